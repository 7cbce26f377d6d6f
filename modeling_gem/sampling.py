# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Several answers to one chat, written side by side: blockwise best of n.

Few whole answers are right throughout, so choosing among whole answers gains little. Here the choice is made at every clause: as
soon as a clause makes an answer worse than another, it is replaced by a copy of the better one (Mudgal et al., Controlled Decoding
from Language Models, 2024). The model continues from there as in any answer.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import lru_cache
from itertools import cycle
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.generation import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from transformers.modeling_outputs import BaseModelOutputWithPast

from processing.grounding.cut_off import as_answer

from .pipeline_gem import GemPipeline
from .transformers_compat import generate_arguments

# Of the beginning of an answer: how good it is, and how many things are wrong in it.
Judge = Callable[[str], tuple[float, int]]
# Its name depends on Transformers' version, see `modeling_gem.modeling_gem`.
CACHE = next(field.name for field in fields(BaseModelOutputWithPast) if field.name in ("past_key_values", "cache"))
_CLAUSE_END = re.compile(r"[,.;:!?](?=\s)|\n")


def sample_answers(
    gem: GemPipeline, chat: list[dict], count: int, judge: Judge, *, seed: int = 0, **generation: Any
) -> list[str]:
    """Sampled answers to a chat. The same seed gives the same answers, and the caller's random state is left as it was.

    The prompt is processed once for all answers. An answer in which the judge finds more errors than in the best one is replaced
    by a copy of the best one and continues from there. Once half of the answers are finished, an answer that is twice as long
    is taken for an endless repetition and dropped, so fewer than `count` answers may come back.

    Args:
        gem: pipeline with the model.
        chat: a conversation of `GemProcessor.build_conversation`.
        count: number of answers to write side by side.
        judge: rates the beginning of an answer: how good it is, and how many errors it has. Called at the end of each clause.
        seed: seed of the sampling.
        **generation: `max_new_tokens`, `temperature`, `top_k` and `top_p` of `generate`; other arguments have no effect.
    """
    network, tokenizer = gem.model, gem.processor.tokenizer
    settings = _settings(gem, generation)
    warpers = _warpers(settings)
    inputs = gem.processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False
    ).to(network.device)
    judge = lru_cache(maxsize=None)(judge)
    random = torch.Generator(network.device).manual_seed(seed)
    ends = torch.as_tensor(settings.eos_token_id, device=network.device).reshape(-1)
    with torch.inference_mode():
        read = network(**inputs, use_cache=True, logits_to_keep=1)
        cache = read[CACHE]
        cache.batch_repeat_interleave(count)
        logits, mask = read.logits.repeat(count, 1, 1), inputs["attention_mask"].repeat(count, 1)
        written = torch.empty((count, 0), dtype=torch.long, device=network.device)
        done = torch.zeros(count, dtype=torch.bool, device=network.device)
        last_end = 0
        for step in range(settings.max_new_tokens):
            chances = warpers(written, logits[:, -1].float()).softmax(-1)
            tokens = torch.multinomial(chances, 1, generator=random)[:, 0].masked_fill(done, ends[0])
            written = torch.cat([written, tokens[:, None]], dim=1)
            last_end = step if (torch.isin(tokens, ends) & ~done).any() else last_end
            done |= torch.isin(tokens, ends)
            kept = _kept(tokenizer.batch_decode(written, skip_special_tokens=True), done.tolist(), judge)
            if kept != list(range(count)):
                order = torch.tensor(kept, device=network.device)
                cache.reorder_cache(order)
                written, done = written[order], done[order]
            if done.all():
                break
            if step > 2 * last_end and 2 * done.sum() >= count:
                written, done = written[done], done[done]
                break
            mask = torch.cat([mask, mask.new_ones(count, 1)], dim=1)
            logits = network(
                input_ids=written[:, -1:], attention_mask=mask, use_cache=True, logits_to_keep=1, **{CACHE: cache}
            ).logits
    texts = tokenizer.batch_decode(written, skip_special_tokens=True)
    return [as_answer(text.strip(), not ended) for text, ended in zip(texts, done.tolist(), strict=True)]


def _kept(texts: Sequence[str], done: Sequence[bool], judge: Judge) -> list[int]:
    """For each answer, the answer that it continues: itself, or one of the best unfinished ones if it has more errors than they.

    Finished answers are kept but never copied, because a short answer has had few chances to be wrong.
    """
    found = {number: judge(_whole_clauses(text)) for number, text in enumerate(texts) if not done[number]}
    if not found:
        return list(range(len(texts)))
    top = max(found.values(), key=lambda one: (one[0], -one[1]))
    best = cycle([number for number, one in found.items() if one == top])
    return [next(best) if number in found and found[number][1] > top[1] else number for number in range(len(texts))]


def _whole_clauses(text: str) -> str:
    """`text` up to the end of its last clause; the next word may change the meaning of an unfinished one."""
    ends = [end.end() for end in _CLAUSE_END.finditer(text)]
    return text[: ends[-1]] if ends else ""


def _settings(gem: GemPipeline, generation: dict[str, Any]) -> GenerationConfig:
    """The pipeline's generation settings with those that are given."""
    said = generate_arguments(gem, generation)
    config = said.pop("generation_config", None) or gem.model.generation_config
    return GenerationConfig(
        **{**config.to_dict(), **{name: value for name, value in said.items() if value is not None}}
    )


def _warpers(settings: GenerationConfig) -> LogitsProcessorList:
    warpers = LogitsProcessorList()
    if settings.temperature not in (None, 1.0):
        warpers.append(TemperatureLogitsWarper(float(settings.temperature)))
    if settings.top_k:
        warpers.append(TopKLogitsWarper(settings.top_k))
    if settings.top_p is not None and settings.top_p < 1:
        warpers.append(TopPLogitsWarper(settings.top_p))
    return warpers


__all__ = ["Judge", "sample_answers"]
