# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The questions that the embedded model was taught, word for word. It understands no others, and answers them all the same."""

from difflib import get_close_matches
from functools import cache

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg

from .grounded_answer import QUESTIONS
from .questions import KINDS, Known, ask

MOST_WORDINGS = 12  # of a kind: its wordings, leads, walls or things that no ECG can tell
SUGGESTED = 3


class _InTurn:
    """Stands for a random generator: chooses the same number of whatever there is, round the end."""

    def __init__(self, number: int) -> None:
        self.number = number

    def integers(self, count: int) -> int:
        return self.number % count

    def random(self) -> float:
        return 1.0


@cache
def taught_questions() -> frozenset[str]:
    """Every wording of `KINDS`, and those that ask for a whole interpretation."""
    known = Known(extract_features(simulate_ecg(seed=0, duration=5).record), {"NORM": 100.0})
    asked = {ask(kind, known, _InTurn(number))[0] for kind in KINDS for number in range(MOST_WORDINGS)}  # type: ignore[arg-type]
    return frozenset(asked | set(QUESTIONS["full_text"]))


def untaught(question: str) -> str | None:
    """What to say to a question that was not taught: the nearest ones that were. `None` for one that was."""
    taught = taught_questions()
    if question.strip() in taught:
        return None
    near = get_close_matches(question, sorted(taught), SUGGESTED, cutoff=0)
    return (
        f"gem-ecg-tiny was not taught {question!r} and may answer something else. It knows {len(taught)} questions, among them: "
        f"{' '.join(near)}"
    )


__all__ = ["taught_questions", "untaught"]
