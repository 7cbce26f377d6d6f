# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`GemGRPOTrainer`: TRL's GRPO whose policy sees the ECGs and pictures of its prompts, in generation and in scoring."""

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel
from trl import GRPOConfig, GRPOTrainer
from trl.trainer import grpo_trainer

from modeling_gem.pretrained_gem import runs_distributed
from processing.chat_gem import Modality
from processing.errors_gem import TrainingError
from processing.processing_gem import GemProcessor
from recipes.dataset.schema import PageStyleChoice

from .claim_credit import claim_credit
from .collator import GemDataCollator
from .prompts import as_prompt, blocks
from .shared_prompts import answer_scores, prompts_read_once
from .towers import TowerRates
from .trainer import reference_by_auto_class, score_answers_only_on_cpu

# What the model takes besides tokens, with the block of a message that each row of it comes from.
MEDIA = {"ecg_values": "ecg", "pixel_values": "image", "image_sizes": "image"}
PROMPT = "prompt"  # the number of a row's prompt, beside its media
Media = dict[str, torch.Tensor]
REWARDED_WITH = ("prompts", "completions", "completion_ids")
LOST_BY_TRL = {
    "use_vllm": "TRL hands vLLM pictures only",
    "use_transformers_continuous_batching": "continuous batching takes token ids only",
    "use_liger_kernel": "Liger's loss is given no ECGs",
}


class GemGRPOTrainer(TowerRates, GRPOTrainer):
    """
    `GRPOTrainer` for rows with `messages` (or `prompt`), `ecg` (one ECG or several) and perhaps `image`, as `GemSFTTrainer`
    takes them. The last answer of `messages` is not shown to the model; reward functions get it as `reference`, and the
    row's first ECG as `record`. The stock trainer drops both modalities from the scoring of answers, and the ECG from
    generation as well.

    Args:
        modality_mix: share of prompts that show `"both"`, only the `"signal"` or only the `"image"`; all answers to one
            prompt see the same. Default: both.
        page: style of the page for a row that has an ECG and no picture. Default: no page, so it stays signal-only.
        claim_credit: weight of the advantage that the tokens of each claim get for this claim alone (see `claim_credit.py`), beside
            that of the whole answer.

    Raises:
        TrainingError: a setting under which the ECG would be lost, a reward function that cannot be called, rewards that
            are not numbers.
        PlaceholderError: a prompt without an ECG or a picture.
    """

    processing_class: GemProcessor

    def __init__(
        self,
        model: PreTrainedModel | str,
        reward_funcs: Callable | Sequence[Callable],
        args: GRPOConfig | None = None,
        *,
        modality_mix: dict[Modality, float] | None = None,
        page: PageStyleChoice | None = None,
        claim_credit: float = 0.0,
        **kwargs: Any,
    ) -> None:
        args = args or GRPOConfig()
        args.remove_unused_columns = False  # every column is for reward functions, at least
        for setting, reason in LOST_BY_TRL.items():
            if getattr(args, setting, False):
                raise TrainingError(f"`{setting}: true` would train without ECGs: {reason}. Leave it out.")
        functions = list(reward_funcs) if isinstance(reward_funcs, Sequence) else [reward_funcs]
        for function in functions:
            _check_signature(function)
        with reference_by_auto_class(grpo_trainer):
            super().__init__(model, functions, args=args, **kwargs)
        self.collator = GemDataCollator(
            self.processing_class, modality_mix=modality_mix or {"both": 1.0}, mix_seed=args.seed, page=page
        )
        # Pages come with the rows, are drawn by the collator, or are not wanted.
        self.processing_class = self.collator.processor
        # TRL generates by a configuration of its own, and hot sampling hits every token once.
        placeholders = {self.processing_class.ecg_token_id, self.processing_class.image_token_id}
        self.generation_config.suppress_tokens = sorted(
            {*(self.generation_config.suppress_tokens or ()), *placeholders}
        )
        self.claim_credit = claim_credit
        self._media: list[Media] = []
        self._prompts_seen = 0
        score_answers_only_on_cpu(self, self.temperature)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self.collator.epoch.fill_(int((self.state.epoch or 0) + 1e-6))
        rows = self._prepared(inputs)
        output = super()._generate_and_score_completions(rows)
        output["media"] = self._media
        if self.claim_credit:
            output["advantages"] = output["advantages"][:, None] + self.claim_credit * self._credit(rows, output)
        return output

    @property
    def _answers_per_prompt(self) -> int:
        return self.num_generations if self.model.training else self.num_generations_eval

    def _credit(self, rows: list[dict[str, Any]], output: dict[str, Any]) -> torch.Tensor:
        """The advantage of each token by the claim that it belongs to, `(answers, tokens)`."""
        ids, mask = output["completion_ids"], output["completion_mask"].bool()
        first = self.accelerator.process_index * len(rows)
        credit = claim_credit(
            self.processing_class.tokenizer,
            [answer[kept] for answer, kept in zip(ids, mask, strict=True)],
            [row["record"] for row in rows],
            [(first + number) // self._answers_per_prompt for number in range(len(rows))],
            ids.shape[1],
        )
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["claim_credit"].append(float(credit.abs().sum() / max(int(mask.sum()), 1)))
        return credit.to(ids.device)

    def _prepared(self, examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows whose `prompt` holds records and pictures; the answers to one prompt share them."""
        answers = self._answers_per_prompt
        prepared: dict[Any, dict[str, Any]] = {}
        rows = []
        for number, example in enumerate(examples):
            # A record may be asked several questions; a process may start in the middle of a group of answers.
            asked = repr(example.get("messages") or example["prompt"])
            key = (example["id"], asked) if "id" in example else number // answers
            if key not in prepared:
                prepared[key] = as_prompt(self.collator, example)
            rows.append(prepared[key])
        return rows

    def _generate(self, prompts: list) -> Any:
        """Logs the seconds of a step's answers beside TRL's `step_time`."""
        started = time.perf_counter()
        model = self.accelerator.unwrap_model(self.model)
        with prompts_read_once(model, self._different_prompts) if self._shares_prompts else nullcontext():
            generated = super()._generate(prompts)
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["generation_time"].append(time.perf_counter() - started)
        return generated

    def _tokenize_prompts(self, prompts: list) -> tuple[list, None, dict[str, Any]]:
        prompt_ids, _, fields = super()._tokenize_prompts(prompts)
        media = {name: torch.as_tensor(np.array(fields[name])) for name in MEDIA if name in fields}
        self._media = [{} for _ in prompts]
        self._number_prompts(prompts)
        for name, values in media.items():
            counts = [sum(block["type"] == MEDIA[name] for block in blocks(prompt)) for prompt in prompts]
            for row, part in zip(self._media, values.to(self.accelerator.device).split(counts), strict=True):
                row.update({name: part} if len(part) else {})
        # With pictures in their own list TRL would process them again, without the ECGs beside them.
        return prompt_ids, None, {**fields, **media}

    def _number_prompts(self, prompts: list) -> None:
        """All answers to one prompt hold the same object, one behind the other, see `_prepared`."""
        for number, (prompt, row) in enumerate(zip(prompts, self._media, strict=True)):
            self._prompts_seen += not number or prompt is not prompts[number - 1]
            row[PROMPT] = torch.tensor([self._prompts_seen])

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        if self._shares_prompts and not kwargs.get("compute_aux_loss"):
            return self._scores_of_shared_prompts(model, input_ids, attention_mask, logits_to_keep, batch_size)
        with _fed(model, iter(self._media)):
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, **kwargs
            )

    @property
    def _shares_prompts(self) -> bool:
        """In one process on CPUs, where TRL's fused head, which saves memory, is of no use; recomputed states are not kept."""
        on_cpu = self.accelerator.device.type == "cpu" and not runs_distributed()
        return on_cpu and not self.args.gradient_checkpointing

    def _different_prompts(self, rows: Sequence[int] | None = None) -> tuple[Media, list[int], torch.Tensor]:
        """Of `rows` (all of the batch): signals and pictures of the different prompts, the first row of each, the number of each row's."""
        media = self._media if rows is None else [self._media[row] for row in rows]
        _, prompts_of = torch.cat([row[PROMPT] for row in media]).unique(return_inverse=True)
        firsts = [int((prompts_of == number).nonzero()[0]) for number in range(int(prompts_of.max()) + 1)]
        return _joined([media[first] for first in firsts]), firsts, prompts_of

    def _scores_of_shared_prompts(
        self, model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, answer_length: int, batch_size: int | None
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """As TRL's, and three times as fast: a prompt is read once for all its answers in a batch."""
        scores = []
        for rows in torch.arange(len(ids)).split(batch_size or len(ids)):
            media, firsts, prompts_of = self._different_prompts(rows.tolist())
            prompts = {
                "input_ids": ids[rows[firsts], :-answer_length],
                "attention_mask": mask[rows[firsts], :-answer_length],
                **media,
            }
            answers, counted = ids[rows, -answer_length:], mask[rows, -answer_length:]
            with self.accelerator.autocast():
                scores.append(answer_scores(model, prompts, prompts_of, answers, counted, self.temperature))
        log_probs, entropies = (torch.cat(parts) for parts in zip(*scores, strict=True))
        return log_probs, entropies, None

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        self._media = inputs["media"]
        return super()._compute_loss(model, inputs)

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> torch.Tensor:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        names = ", ".join(self.reward_func_names)
        if torch.isinf(rewards).any():
            raise TrainingError(
                f"A reward is infinite ({names}): a reward is a finite number, or None where it does not apply."
            )
        if torch.isnan(rewards).all(dim=1).any():
            raise TrainingError(
                f"An answer got no reward at all: each of {names} returned None or NaN. Where a reward needs the signal "
                "(`record`) or the reference answer, give every row one, or add a reward that always applies."
            )
        return rewards


def _check_signature(function: Callable) -> None:
    """
    Raises:
        TrainingError: TRL could not call it.
    """
    name = getattr(function, "__name__", type(function).__name__)
    if isinstance(function, (str, torch.nn.Module)) or not callable(function):
        raise TrainingError(f"{function!r}: a reward of GEM is a function, since reward models read no ECG.")
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if not takes_any or not ({"completions", "completion_ids"} & set(parameters)):
        raise TrainingError(
            f"The reward function {name}{inspect.signature(function)} cannot be called: expected `{name}(completions, "
            f"**columns) -> list of numbers`; by name it gets {', '.join(REWARDED_WITH)}, `record`, `reference` and the columns."
        )


def _joined(rows: Sequence[Media]) -> Media:
    """The signals and pictures of several rows, as one batch."""
    names = [name for name in MEDIA if any(name in row for row in rows)]
    return {name: torch.cat([row[name] for row in rows if name in row]) for name in names}


@contextmanager
def _fed(model: torch.nn.Module, rows: Iterator[Media]) -> Iterator[None]:
    """Every forward pass of `model` gets the media of as many further rows as it has sequences."""

    def give(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, **_joined([next(rows) for _ in range(len(kwargs["input_ids"]))])}

    handle = model.register_forward_pre_hook(give, prepend=True, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


__all__ = ["GemGRPOTrainer"]
