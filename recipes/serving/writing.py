# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Continuous batching: answers join and leave the batch between two tokens, so that none waits for the longest.

`generate` writes all rows for a while and stops. Finished rows are removed from the cache, new ones are added, and `generate` continues
with the same cache. So the model and its generation config work as in a single call.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.generation.streamers import BaseStreamer

from .answer import Answer, Progress

if TYPE_CHECKING:
    from modeling_gem import GemForConditionalGeneration, GemProcessor

PACE = 4  # tokens at least between two stops: a stop takes as long as a token of a few rows
TELL_S = 0.1  # between two parts of a stream; readers cannot follow faster updates


class Writing:
    """Answers that are written side by side. A greedy answer equals that of a single call, whatever else is in the batch.

    Args:
        network, processor: a GEM.

    Attributes:
        answers: the unfinished answers, one per row of the batch.
    """

    def __init__(self, network: "GemForConditionalGeneration", processor: "GemProcessor") -> None:
        self.network = network
        self.processor = processor
        self._pad: int = processor.tokenizer.pad_token_id
        self.clear()

    def clear(self) -> None:
        """Drops all rows."""
        self.answers: list[Answer] = []
        self._tokens: list[list[int]] = []  # of each answer
        self._ids = self._mask = torch.empty((0, 0), dtype=torch.long)  # prompts and answers, padded on the left
        self._cache = DynamicCache()

    @property
    def is_open(self) -> bool:
        """Whether answers may join. Only a cache that holds every token can be padded; with other caches the batch must end first."""
        return not self.answers or all(type(layer) is DynamicLayer for layer in self._cache.layers)

    def join(self, answers: Sequence[Answer]) -> None:
        """Reads the prompts of further answers, and writes the first token of each.

        Raises:
            GemError: a prompt cannot be read; the others are as they were.
        """
        inputs = self.processor.apply_chat_template(
            [answer.chat for answer in answers],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            draw_page=False,
            processor_kwargs={"padding": True},
        ).to(self.network.device)
        cache = DynamicCache(config=self.network.config.get_text_config())
        rows = self._rows(answers, [[] for _ in answers])
        ids = self._generate(rows, 1, cache, **inputs)
        mask = pad(inputs["attention_mask"], (0, 1), value=1)
        if self.answers:
            width = max(ids.shape[1], self._ids.shape[1])
            self._ids = torch.cat([_fitted(held, width, self._pad) for held in (self._ids, ids)])
            self._mask = torch.cat([_fitted(held, width) for held in (self._mask, mask)])
            for layer, new in zip(self._cache.layers, cache.layers, strict=True):
                assert isinstance(layer, DynamicLayer) and isinstance(new, DynamicLayer)
                for held in (layer, new):
                    _fit_layer(held, width - 1)
                layer.keys = torch.cat([layer.keys, new.keys])
                layer.values = torch.cat([layer.values, new.values])
        else:
            self._ids, self._mask, self._cache = ids, mask, cache
        self.answers = [*self.answers, *answers]
        self._tokens = [*self._tokens, *rows.tokens]
        self._leave()

    def write(self, stop: Callable[[], bool]) -> None:
        """Continues all answers until `stop` returns true, or until half of them are finished."""
        rows = self._rows(self.answers, self._tokens, stop if self.is_open else None)
        left = max(
            answer.max_new_tokens - len(tokens) for answer, tokens in zip(self.answers, self._tokens, strict=True)
        )
        ids = self._generate(rows, left, self._cache, input_ids=self._ids, attention_mask=self._mask)
        self._mask = pad(self._mask, (0, ids.shape[1] - self._ids.shape[1]), value=1)
        self._ids = ids
        self._leave()

    def _rows(
        self, answers: Sequence[Answer], tokens: Sequence[list[int]], stop: Callable[[], bool] | None = None
    ) -> "_Rows":
        return _Rows(answers, tokens, self.processor, self.network.generation_config.eos_token_id, stop)

    def _generate(self, rows: "_Rows", steps: int, cache: DynamicCache, **inputs: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self.network.generate(
                **inputs,
                past_key_values=cache,
                max_new_tokens=steps,
                **_sampling(rows.answers),
                streamer=rows,
                stopping_criteria=StoppingCriteriaList([rows]),
            )

    def _leave(self) -> None:
        """Takes out the rows that are over, and the columns that only they had."""
        kept = [number for number, answer in enumerate(self.answers) if not answer.over]
        if not kept:
            self.clear()
        if len(kept) == len(self.answers) or not self.is_open:
            return
        order = torch.tensor(kept, device=self._ids.device)
        self.answers = [self.answers[number] for number in kept]
        self._tokens = [self._tokens[number] for number in kept]
        self._ids, self._mask = self._ids[order], self._mask[order]
        self._cache.batch_select_indices(order)
        width = int(self._mask.sum(1).max())
        self._ids, self._mask = _fitted(self._ids, width, self._pad), _fitted(self._mask, width)
        for layer in self._cache.layers:
            assert isinstance(layer, DynamicLayer)
            _fit_layer(layer, width - 1)


def _fitted(rows: torch.Tensor, width: int, padding: int = 0) -> torch.Tensor:
    """Rows padded or cut on the left."""
    return pad(rows, (width - rows.shape[1], 0), value=padding)


def _fit_layer(layer: DynamicLayer, length: int) -> None:
    """The same for the keys and values `(rows, heads, length, size)` of a layer; what is masked may hold any finite number."""
    missing = length - layer.get_seq_length()
    layer.keys, layer.values = (pad(held, (0, 0, missing, 0)) for held in (layer.keys, layer.values))


def _sampling(answers: Sequence[Answer]) -> dict[str, Any]:
    """Arguments of `generate` for rows that are greedy or sampled, each as it was asked for."""
    temperatures = [answer.temperature for answer in answers]
    if not any(temperatures):
        return {"do_sample": False}
    settings = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    return {**settings, "logits_processor": LogitsProcessorList([_Temperatures(temperatures)])}


class _Temperatures(LogitsProcessor):
    """Divides the scores of each row by its temperature; a greedy row keeps its best token alone."""

    def __init__(self, temperatures: Sequence[float]) -> None:
        self.temperatures = torch.tensor(temperatures)[:, None]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        temperatures = self.temperatures.to(scores.device)
        best = torch.full_like(scores, -torch.inf).scatter(1, scores.argmax(1, keepdim=True), 0.0)
        return torch.where(temperatures > 0, scores / temperatures.clamp(min=1e-3), best)


class _Rows(BaseStreamer, StoppingCriteria):
    """Hands every row's tokens to its answer, ends the rows that are over, and all of them where others are to join.

    Args:
        tokens: of each answer so far; more are added.
        stop: whether to stop early; `None` for never.
    """

    def __init__(
        self,
        answers: Sequence[Answer],
        tokens: Sequence[list[int]],
        processor: "GemProcessor",
        eos: int | Iterable[int] | None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self.answers = answers
        self.tokens = tokens
        self.tokenizer = processor.tokenizer
        self.eos = {eos} if isinstance(eos, int) else set(eos or ())
        self.stop = stop
        self.steps = 0
        self.prompt_is_next = True

    def put(self, value: torch.Tensor) -> None:
        """Takes the next token of each row; the first call holds what was there before."""
        if self.prompt_is_next:
            self.prompt_is_next = False
            return
        now = time.monotonic()
        for answer, tokens, token in zip(self.answers, self.tokens, value.tolist(), strict=True):
            if answer.over:
                continue
            if token not in self.eos:
                tokens.append(token)
            ended = token in self.eos or len(tokens) >= answer.max_new_tokens
            cut = not ended and now > answer.deadline
            if ended or cut or now - answer.told >= TELL_S:
                answer.told = now
                answer.tell(self._progress(tokens, ended or cut, cut))

    def end(self) -> None:
        """Nothing is held back."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
        over = [answer.over for answer in self.answers]
        self.steps += 1
        if self.stop is not None and self.steps >= PACE and (2 * sum(over) >= len(over) or self.stop()):
            over = [True] * len(over)
        return torch.tensor(over, device=input_ids.device)

    def _progress(self, tokens: list[int], done: bool, cut: bool) -> Progress:
        text = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        whole = text if done else text.rstrip("\ufffd")  # half of a character
        return Progress(whole, done=done, cut=cut, tokens=len(tokens))


__all__ = ["Writing"]
