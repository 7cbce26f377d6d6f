# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A GEM in this process as an engine, and the check of any engine's answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modeling_gem.interpretation import (
    ANSWERS,
    GemEngine,
    Grounding,
    Interpretation,
    MoreAnswers,
    check_chat,
    more_answers,
)
from processing.ecg_features import EcgFeatures
from processing.errors_gem import GemError
from processing.grounding.cut_off import as_answer

if TYPE_CHECKING:
    from modeling_gem import GemPipeline

Chat = list[dict[str, Any]]


class TransformersGem:
    """A GEM in this process."""

    def __init__(self, gem: "GemPipeline", at_once: int = 8) -> None:
        self.gem, self.processor, self.at_once = gem, gem.processor, at_once

    def answers(self, chats: Sequence[Chat], max_new_tokens: int) -> list[str | GemError]:
        """See `GemEngine`."""
        # A finished chat gets no page beyond the one that it was built with.
        settings = {"modality": "signal", "do_sample": False, "grounding": "off", "max_new_tokens": max_new_tokens}
        found = self.gem(list(chats), batch_size=len(chats), **settings)
        return [as_answer(said["generated_text"], said.get("cut_off", False)) for said in found]

    def more(self, chat: Chat, features: EcgFeatures, seed: int, max_new_tokens: int) -> MoreAnswers:
        """See `GemEngine`. The answers are written side by side, see `sample_answers`."""
        return more_answers(self.gem, chat, features, seed, {"max_new_tokens": max_new_tokens})

    def close(self) -> None:
        """Frees the model's memory."""
        del self.gem


def checked_answer(
    engine: GemEngine,
    chat: Chat,
    text: str,
    *,
    grounding: Grounding,
    n: int = ANSWERS,
    seed: int = 0,
    max_new_tokens: int = 256,
) -> Interpretation:
    """Checks an engine's greedy answer; `select` and `correct` ask the same engine for more."""
    return check_chat(
        chat, text, grounding=grounding, more=lambda features: engine.more(chat, features, seed, max_new_tokens), n=n
    )


__all__ = ["GemEngine", "TransformersGem", "checked_answer"]
