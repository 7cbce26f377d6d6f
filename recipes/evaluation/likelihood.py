# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Closed-set answers by likelihood: the probability of each label as a GEM's answer, a graded score from which AUCs can be computed.

conversations = [processor.build_conversation(record, question="What is the diagnosis?") for record in records]
scores = label_log_likelihoods(model, processor, conversations, ["normal ECG", "inferior myocardial infarction"])
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.modeling_outputs import CausalLMOutputWithPast

from processing.errors_gem import GemError

if TYPE_CHECKING:
    from transformers import BatchFeature
    from transformers.cache_utils import Cache

    from modeling_gem import GemForConditionalGeneration, GemProcessor

Chat = list[dict[str, Any]]
# Transformers 5.24 renamed the models' argument and output.
CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"


@dataclass(frozen=True)
class _Tails:
    """Labels as tokens after what all of them share with the prompt. `dropped`: last tokens of the prompt that are not shared."""

    tokens: tuple[tuple[int, ...], ...]
    dropped: int


@torch.inference_mode()
def label_log_likelihoods(
    model: "GemForConditionalGeneration",
    processor: "GemProcessor",
    conversations: Sequence[Chat],
    labels: Sequence[str],
    batch_size: int = 16,
    answer_prefix: str | Sequence[str] = "",
    normalize: bool = False,
    negations: Sequence[str] | None = None,
) -> np.ndarray:
    """
    log P(label | ECG, question, answer_prefix), in nats. The prompt runs once per record, and all labels share its keys and values.
    Prefix and label are tokenised together, so that a label which merges with the end of the prefix (" normal") is scored right.

    Args:
        model: The GEM.
        processor: Its processor.
        conversations: Chats of `processor.build_conversation`, ending with the user's turn. No pages are added to them.
        labels: Possible continuations of the answer.
        batch_size: Rows per forward pass: records for prompts, records x labels afterwards.
        answer_prefix: Beginning of the answer, before every label, e.g. `"Rhythm: "`; one for all, or one per conversation.
        normalize: Mean per token instead of the sum, for labels of different length.
        negations: One per label: the result is log P(label) - log P(negation), the log odds of a yes/no question.

    Returns:
        float64 (conversations, labels).

    Raises:
        GemError: No labels, an empty label, or a wrong number of negations or prefixes.
    """
    _check(labels, negations, batch_size)
    prefixes = [answer_prefix] * len(conversations) if isinstance(answer_prefix, str) else list(answer_prefix)
    if len(prefixes) != len(conversations):
        raise GemError(f"{len(conversations)} conversations need as many prefixes, got {len(prefixes)}.")
    texts = list(dict.fromkeys([*labels, *(negations or ())]))
    scores = np.full((len(conversations), len(texts)), np.nan)
    for (tails, is_begun), rows in _by_tails(processor, conversations, prefixes, texts).items():
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            chats = [_answered(conversations[row], prefixes[row]) for row in batch]
            inputs = _tensors(processor, chats, is_begun).to(model.device)
            scores[batch] = _score_batch(model, inputs, tails, batch_size)
        if normalize:
            scores[rows] /= np.array([len(tail) for tail in tails.tokens])
    chosen = scores[:, [texts.index(label) for label in labels]]
    return chosen if negations is None else chosen - scores[:, [texts.index(text) for text in negations]]


def _check(labels: Sequence[str], negations: Sequence[str] | None, batch_size: int) -> None:
    if isinstance(labels, str) or not labels or not all(isinstance(label, str) and label.strip() for label in labels):
        raise GemError(f"`labels` is a list of non-empty strings, got {labels!r}.")
    if negations is not None and len(negations) != len(labels):
        raise GemError(f"{len(labels)} labels need as many negations, got {len(negations)}.")
    if batch_size < 1:
        raise GemError(f"`batch_size` must be at least 1, got {batch_size}.")


def _answered(conversation: Chat, answer: str) -> Chat:
    """The chat with the beginning of an answer; content in blocks if the chat's own is."""
    if not answer:
        return list(conversation)
    in_blocks = isinstance(conversation[-1].get("content"), list)
    return [
        *conversation,
        {"role": "assistant", "content": [{"type": "text", "text": answer}] if in_blocks else answer},
    ]


def _by_tails(
    processor: "GemProcessor", conversations: Sequence[Chat], prefixes: list[str], texts: list[str]
) -> dict[tuple[_Tails, bool], list[int]]:
    """The labels' tokens, and whether an answer is begun -> the rows for which they are the same."""
    known: dict[str, _Tails] = {}
    groups: dict[tuple[_Tails, bool], list[int]] = {}
    for row, (conversation, prefix) in enumerate(zip(conversations, prefixes, strict=True)):
        if not conversation or conversation[-1]["role"] != "user":
            raise GemError(f"Conversation {row} must end with the user's turn.")
        prompt = _render(processor, conversation, prefix)
        if prompt not in known:
            known[prompt] = _tails(processor, conversation, prompt, prefix, texts)
        groups.setdefault((known[prompt], bool(prefix)), []).append(row)
    return groups


def _render(processor: "GemProcessor", conversation: Chat, answer: str) -> str:
    # The template marks where an unfinished answer ends by writing into the chat it gets: only texts are handed over.
    bare = [
        {**m, "content": [_bare(block) for block in m["content"]] if isinstance(m["content"], list) else m["content"]}
        for m in _answered(conversation, answer)
    ]
    return processor.apply_chat_template(bare, tokenize=False, draw_page=False, **_ending(bool(answer)))


def _bare(block: dict[str, Any]) -> dict[str, Any]:
    return {key: block[key] for key in ("type", "text") if key in block}


def _ending(is_begun: bool) -> dict[str, bool]:
    return {"continue_final_message": True} if is_begun else {"add_generation_prompt": True}


def _tails(processor: "GemProcessor", conversation: Chat, prompt: str, answer_prefix: str, texts: list[str]) -> _Tails:
    def tokens(text: str) -> list[int]:
        # Placeholders stand for one token each here; they lie in the shared part.
        return processor.tokenizer(text, add_special_tokens=False)["input_ids"]

    before = tokens(prompt)
    answered = [tokens(_render(processor, conversation, answer_prefix + text)) for text in texts]
    # One token stays after, from which the first token of a label is predicted.
    shared = min(_common(before, row) for row in answered)
    return _Tails(tuple(tuple(row[shared:]) for row in answered), len(before) - shared)


def _common(first: list[int], second: list[int]) -> int:
    length = min(len(first), len(second) - 1)
    return next((i for i in range(length) if first[i] != second[i]), length)


def _tensors(processor: "GemProcessor", chats: list[Chat], is_begun: bool) -> "BatchFeature":
    return processor.apply_chat_template(
        chats,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        draw_page=False,
        processor_kwargs={"padding": True, "padding_side": "left"},
        **_ending(is_begun),
    )


def _score_batch(
    model: "GemForConditionalGeneration", inputs: "BatchFeature", tails: _Tails, batch_size: int
) -> np.ndarray:
    """Summed log probabilities (records, texts)."""
    others = dict(inputs)
    ids, mask = (others.pop(name) for name in ("input_ids", "attention_mask"))
    kept = ids.shape[1] - tails.dropped - 1
    last, mask = ids[:, kept : kept + 1], mask[:, : kept + 1]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    prefix = model(
        input_ids=ids[:, :kept],
        attention_mask=mask[:, :kept],
        position_ids=positions[:, :kept],
        use_cache=True,
        logits_to_keep=1,
        **others,
    )
    columns = []
    for chunk in _chunks(tails.tokens, max(1, batch_size // len(ids))):
        # The pass writes into the cache it gets.
        cache = {CACHE: copy.deepcopy(prefix[CACHE])}
        columns.append(_score_chunk(model, cache, last, mask, positions[:, -1:], chunk))
    return torch.cat(columns, dim=1).double().cpu().numpy()


def _chunks(items: Sequence[tuple[int, ...]], size: int) -> Iterator[Sequence[tuple[int, ...]]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _score_chunk(
    model: "GemForConditionalGeneration",
    cache: dict[str, "Cache"],
    last: torch.Tensor,
    mask: torch.Tensor,
    position: torch.Tensor,
    tails: Sequence[tuple[int, ...]],
) -> torch.Tensor:
    """All records x these labels in one pass after the cached prompts: (records, labels)."""
    records, labels = len(last), len(tails)
    length = max(map(len, tails))
    targets = torch.tensor([[*tail, *[-1] * (length - len(tail))] for tail in tails], device=last.device)
    # Row r * labels + l holds record r and label l, as `batch_repeat_interleave` orders the cache.
    targets = targets.repeat(records, 1)
    cache[CACHE].batch_repeat_interleave(labels)
    fed = torch.cat([last.repeat_interleave(labels, 0), targets[:, :-1].clamp(min=0)], dim=1)
    steps = torch.arange(length, device=last.device)
    known = torch.cat([mask.repeat_interleave(labels, 0), (targets[:, :-1] >= 0).to(mask.dtype)], dim=1)
    logits = model(
        input_ids=fed,
        attention_mask=known,
        position_ids=position.repeat_interleave(labels, 0) + steps,
        use_cache=True,
        **cache,
    ).logits
    chosen = logits.float().log_softmax(-1).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return chosen.masked_fill(targets < 0, 0.0).sum(-1).view(records, labels)


__all__ = ["label_log_likelihoods"]
