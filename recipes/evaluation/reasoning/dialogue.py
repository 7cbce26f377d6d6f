# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A GEM in the benchmark's dialogue: every question is asked with the right answers to the earlier ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processing.errors_gem import GemError
from processing.grounding.cut_off import CutOff, as_answer
from recipes.chat.engine_names import engine_settings
from recipes.chat.engines import gem_engine
from recipes.sources.source_record import EcgSource

from ..answers import CUT_OFF, AnswerLog
from ..items import EvalItem
from .samples import ReasoningSample, Step

if TYPE_CHECKING:
    from processing.chat_gem import Modality
    from recipes.chat.gem_models import GemEngine

ANSWER_TOKENS = 48  # the longest option of the PTB-XL half has fewer than 40 in any tokenizer tried
ONLY_AN_OPTION = "Answer only with the full text of the option."
ONLY_OPTIONS = "Several may be right. Answer only with the full text of the options, separated by commas."


@dataclass
class Talk:
    """A dialogue in progress: the answers so far, and the chat that asks the next question."""

    sample: ReasoningSample
    opening: list[dict[str, Any]]  # the first turn, with the ECG
    responses: list[str] = field(default_factory=list)

    @property
    def asked(self) -> Step:
        """The question to be answered next."""
        return self.sample.steps[len(self.responses)]

    def chat(self) -> list[dict[str, Any]]:
        """The chat with the next question. Earlier questions are repeated without their options, so that long chains fit into a model's
        context. The model's own reply to the initial question is kept; the other questions get the right answers."""
        steps = self.sample.steps[: len(self.responses) + 1]
        if len(steps) == 1:
            return self.opening
        media = [block for block in self.opening[0]["content"] if block["type"] != "text"]
        turns = [{"role": "user", "content": [*media, _text(steps[0].question)]}]
        told = [self.responses[0], *(step.right_text for step in steps[1:-1])]
        for answer, step in zip(told, steps[1:], strict=True):
            question = with_options(step) if step is steps[-1] else step.question
            turns += [
                {"role": "assistant", "content": [_text(answer)]},
                {"role": "user", "content": [_text(question)]},
            ]
        return turns


def with_options(step: Step) -> str:
    """The question, its options, and how to answer."""
    several = step.kind == "lead_grounding" and "select all" in step.question.lower()
    listed = "\n".join(f"- {option}" for option in step.options)
    return f"{step.question.strip()}\nOptions:\n{listed}\n{ONLY_OPTIONS if several else ONLY_AN_OPTION}"


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def model_responses(
    model: str,
    samples: Sequence[ReasoningSample],
    ecgs: Mapping[str, EcgSource],
    output: Path,
    modality: "Modality" = "both",
    batch_size: int = 8,
    engine: str = "transformers",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[str]]:
    """
    Id of a sample -> the model's replies, one per question, a `CutOff` where one ends at its limit. They are also written to `output` (JSON Lines), from which a stopped run
    continues. A sample whose ECG cannot be read has no replies; `output` has its `error`.

    Args:
        model: folder or Hub id.
        samples: the dialogues.
        ecgs: id of a sample -> its ECG.
        output: file of replies.
        modality: what the model sees: `both`, `signal` or `image`.
        batch_size: dialogues that are answered together.
        engine: what the model runs on, see `recipes.chat.engine_names`.
        progress: called with (samples done, in all).

    Raises:
        EvaluationError: `output` belongs to a run with other settings.
        GemError: see `recipes.chat.engines.gem_engine`.
    """
    with AnswerLog(output, {"model": model, "modality": modality} | engine_settings(engine)) as log:
        todo = [sample for sample in samples if sample.id not in log.rows]
        if todo:
            asked = gem_engine(engine, model, at_once=batch_size)
            try:
                for start in range(0, len(todo), asked.at_once):
                    batch = todo[start : start + asked.at_once]
                    log.append(_talk(asked, batch, ecgs, modality))
                    if progress is not None:
                        progress(start + len(batch), len(todo))
            finally:
                asked.close()
        return {name: _responses(row) for name, row in log.rows.items() if "responses" in row}


def _responses(row: Mapping[str, Any]) -> list[str]:
    """The replies of a row, a `CutOff` where one ends at its length limit; rows of older runs do not say it."""
    said = row["responses"]
    return [as_answer(text, cut) for text, cut in zip(said, row.get(CUT_OFF, [False] * len(said)), strict=True)]


def _talk(
    engine: "GemEngine",
    samples: Sequence[ReasoningSample],
    ecgs: Mapping[str, EcgSource],
    modality: "Modality",
) -> list[dict[str, Any]]:
    talks, rows = [], []
    for sample in samples:
        item = EvalItem(sample.id, with_options(sample.initial), ecg=ecgs[sample.id])
        try:
            talks.append(Talk(sample, engine.processor.build_conversation(item.model_input(modality))))
        except (GemError, OSError) as error:
            rows.append({"id": sample.id, "error": f"not answered: {error}"})
    while going := [talk for talk in talks if len(talk.responses) < len(talk.sample.steps)]:
        replies = engine.answers([talk.chat() for talk in going], ANSWER_TOKENS)
        for talk, reply in zip(going, replies, strict=True):
            if isinstance(reply, GemError):
                talks.remove(talk)
                rows.append({"id": talk.sample.id, "error": f"not answered: {reply}"})
            else:
                talk.responses.append(reply)
    return rows + [
        {
            "id": talk.sample.id,
            "responses": talk.responses,
            CUT_OFF: [isinstance(reply, CutOff) for reply in talk.responses],
        }
        for talk in talks
    ]


__all__ = ["Talk", "model_responses", "with_options"]
