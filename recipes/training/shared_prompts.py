# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Probabilities of several answers to each prompt, with every prompt read once: ECG, picture and question are most of a sequence."""

import torch
from torch import nn

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
    scores = (logits[mask].float() / temperature).log_softmax(dim=-1)
    log_probs = scores.gather(1, answer_ids[mask][:, None])[:, 0]
    known = scores.detach()
    entropies = -(known.exp() * known).sum(dim=-1)
    return spread(log_probs, mask), spread(entropies, mask)


def spread(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`values` where `mask` is true, row by row, and 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


__all__ = ["answer_scores"]
