# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Output of `gem interpret`: the answer while it is written, then again with its contradicted claims marked."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from processing.evidence.picture import VERDICT_LOOKS
from processing.grounding.verdicts import CONTRADICTED, NOT_MEASURABLE
from recipes.console import console

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, TextStreamer

    from modeling_gem import Interpretation

# Verdict -> style of the words, style of the note after them, and its sign.
_MARKS = {
    CONTRADICTED: ("bold red", "red", VERDICT_LOOKS[CONTRADICTED].mark),
    NOT_MEASURABLE: ("", "dim", VERDICT_LOOKS[NOT_MEASURABLE].mark),
}


@contextmanager
def shown_as_written(tokenizer: "PreTrainedTokenizerBase") -> "Iterator[TextStreamer | None]":
    """A streamer that shows an answer on a terminal while it is written; what it showed is gone afterwards, for the checked
    answer to stand in its place. Where the output goes to a file or a program there is none."""
    if not console.is_terminal:
        yield None
        return
    from transformers import TextStreamer

    with Live(Text(), console=console, transient=True) as live:

        class Shown(TextStreamer):
            written = ""

            def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
                self.written += text
                live.update(Text(self.written))

        skip: dict[str, Any] = {"skip_special_tokens": True}
        yield Shown(tokenizer, skip_prompt=True, **skip)


def print_answer(to: Console, found: "Interpretation") -> None:
    """The answer with its contradicted words marked, and what was tried and changed."""
    if found.question_doubt:
        to.print(found.question_doubt, style="yellow", markup=False)
    if found.report is None and found.note:
        to.print(found.verdicts, style="bold yellow")
    to.print(marked_answer(found))
    if found.denied_ecg:
        to.print(found.denied_ecg, style="bold yellow", markup=False)
    for caution in found.cautions:
        to.print(f"the recording: {caution}", style="yellow", markup=False)
    if len(found.candidates) > 1:
        to.print(f"{len(found.candidates)} answers were tried; this is the one whose claims hold best.", style="dim")
    for edit in found.edits:
        to.print(Text.assemble("changed: ", (edit.was, "strike red"), f" -> {edit.now}; {edit.measured}"), style="dim")


def marked_answer(found: "Interpretation") -> Text:
    """The answer as it stands, after every contradicted claim what is measured, in brackets, and quietly after every other
    one that was not decided; what was changed in green."""
    answer, shown, last = Text(found.text), Text(), 0
    for edit in found.edits:
        answer.stylize("bold green", edit.new_start, edit.new_end)
    for span in found.spans:
        if span.verdict not in _MARKS:
            continue
        words, style, mark = _MARKS[span.verdict]
        answer.stylize(words, span.start, span.end)
        said = span.measured if span.verdict == CONTRADICTED else "not measurable"
        shown.append_text(answer[last : span.end])
        shown.append(f" [{mark} {said}]", style)
        last = span.end
    return shown.append_text(answer[last:])


def print_verdicts(to: Console, found: "Interpretation") -> None:
    """One line: how many claims are contradicted, supported and not measurable, or why none was checked."""
    wrong = found.report is not None and found.report.count(CONTRADICTED)
    words = "claims: " if found.report is not None else ""
    to.print(f"{words}{found.verdicts}", style="bold red" if wrong else "bold yellow" if found.note else "bold")


__all__ = ["marked_answer", "print_answer", "print_verdicts", "shown_as_written"]
