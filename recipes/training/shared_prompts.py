# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Several answers to each prompt, written and scored with every prompt read once: ECG, picture and question are most of a sequence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from .trainer import spread, token_scores

# Answers hold no placeholders, and nobody waits for the towers.
NOTHING_SHOWN = {"ecg": None, "image": None}


def answer_scores(
    model: nn.Module,
    prompts: dict[str, torch.Tensor],
    prompts_of: torch.Tensor,
    answer_ids: torch.Tensor,
    answer_mask: torch.Tensor,
    temperature: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Log-probabilities and entropies of the tokens of answers, `(answers, tokens)` each, in nats; 0 where `answer_mask` is 0. Equal to those
    of one pass over every prompt with its answer, gradients too.

    Args:
        model: a GEM.
        prompts: `input_ids` and `attention_mask` `(prompts, length)`, padded on the left, and the signals and pictures in them.
        prompts_of: number of the prompt of each answer, `(answers,)`.
        answer_ids: tokens `(answers, tokens)`, padded on the right.
        answer_mask: 1 for the tokens that count.
        temperature: divisor of the logits.
    """
    read = model(**prompts, use_cache=True, logits_to_keep=1)
    cache = read.past_key_values
    cache.batch_select_indices(prompts_of)
    first = read.logits[prompts_of, -1:]
    seen = torch.cat([prompts["attention_mask"][prompts_of], answer_mask[:, :-1]], dim=1)
    logits = first
    if answer_ids.shape[1] > 1:
        rest = model(
            input_ids=answer_ids[:, :-1],
            attention_mask=seen,
            past_key_values=cache,
            mm_encoder_outputs=NOTHING_SHOWN,
        )
        logits = torch.cat([first, rest.logits], dim=1)
    mask = answer_mask.bool()
    log_probs, entropies, _ = token_scores(logits[mask].float() / temperature, answer_ids[mask])
    return spread(log_probs, mask), spread(entropies, mask)


@contextmanager
def prompts_read_once(
    model: PreTrainedModel, media_of: Callable[[], tuple[dict[str, torch.Tensor], list[int], torch.Tensor]]
) -> Iterator[None]:
    """
    Within it `model.generate` reads every prompt once for all rows that hold it, which get its keys and values.

    Args:
        model: a GEM, perhaps with an adapter.
        media_of: gives, for the rows of the next call, the signals and pictures of the different prompts, a row of each prompt, and the
            number of each row's prompt.
    """
    stock = model.generate

    def generate(input_ids: torch.Tensor, attention_mask: torch.Tensor, **kwargs: Any) -> Any:
        media, firsts, prompts_of = media_of()
        kwargs = {name: value for name, value in kwargs.items() if name not in media}
        seen = attention_mask[firsts, :-1]
        with torch.no_grad():
            read = model(
                input_ids=input_ids[firsts, :-1],
                attention_mask=seen,
                position_ids=(seen.cumsum(dim=-1) - 1).clamp(min=0),  # as `generate` counts them behind padding
                use_cache=True,
                logits_to_keep=1,
                **media,
            )
        read.past_key_values.batch_select_indices(prompts_of)
        return stock(
            input_ids=input_ids, attention_mask=attention_mask, past_key_values=read.past_key_values,
            mm_encoder_outputs=dict(NOTHING_SHOWN), **kwargs,
        )  # fmt: skip

    model.generate = generate  # type: ignore[method-assign]
    try:
        yield
    finally:
        del model.generate


__all__ = ["answer_scores", "prompts_read_once"]
