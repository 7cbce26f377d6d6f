# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The part of a generation config that vLLM leaves out: `suppress_tokens` and `sequence_bias`, as Transformers applies them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

if TYPE_CHECKING:
    from vllm.config import VllmConfig

# Tokens of the prompt and of the answer so far, which vLLM keeps filling.
History = tuple[Sequence[int], Sequence[int]]


class GenerationBiases(LogitsProcessor):
    """Adds to the scores of a batch what the model's generation config says, in every request."""

    def __init__(self, vllm_config: "VllmConfig", device: torch.device, is_pin_memory: bool) -> None:
        said = vllm_config.model_config.try_get_generation_config()
        self.suppressed = torch.tensor(said.get("suppress_tokens") or [], dtype=torch.long, device=device)
        self.sequences = _sequences(said.get("sequence_bias") or [])
        self.histories: dict[int, History] = {}  # by the row of the batch

    def is_argmax_invariant(self) -> bool:
        """Whether greedy answers need none of this."""
        return not len(self.suppressed) and not self.sequences

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follows which request is in which row of the batch."""
        process_dict_updates(self.histories, batch_update, _history)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Adds the biases to `(rows, vocabulary)` scores."""
        if len(self.suppressed):
            logits[:, self.suppressed] = -torch.inf
        for row, history in self.histories.items() if self.sequences else ():
            for tokens, bias in self.sequences.items():
                if _ends_with(history, tokens[:-1]):
                    logits[row, tokens[-1]] += bias
        return logits


def _sequences(
    said: Mapping[tuple[int, ...], float] | Iterable[tuple[Sequence[int], float]],
) -> dict[tuple[int, ...], float]:
    """Tokens -> bias of the last one after the others; a generation config holds a dict or, from JSON, pairs."""
    pairs = said.items() if isinstance(said, Mapping) else said
    return {tuple(tokens): float(bias) for tokens, bias in pairs}


def _history(_: SamplingParams, prompt: list[int] | None, answer: list[int]) -> History:
    return prompt or (), answer


def _ends_with(history: History, tokens: tuple[int, ...]) -> bool:
    prompt, answer = history
    count = len(tokens)
    if count <= len(answer):
        return tuple(answer[len(answer) - count :]) == tokens
    return (*prompt[len(prompt) - (count - len(answer)) :], *answer) == tokens


__all__ = ["GenerationBiases"]
