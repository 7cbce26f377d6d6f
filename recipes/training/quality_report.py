# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The report of a reinforcement run: the same rows answered before and after, written beside the trained model."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from transformers import PreTrainedModel, TrainerCallback
from transformers.utils import logging

from processing.errors_gem import GemError
from recipes.files import write_json

from .answer_quality import AnswerQuality, hacked, judge
from .grpo_trainer import GemGRPOTrainer
from .outside_truth import OutsideTruth, agreement
from .prompts import answer, as_prompt, model_inputs

logger = logging.get_logger(__name__)
REPORT_FILE, START_FILE = "answer_quality.json", "answer_quality_start.json"
WINDOW = 0.1  # of the logged steps: the reward at the start and at the end


class QualityReport(TrainerCallback):
    """
    Answers the same rows before and after training and writes OUTPUT_DIR/answer_quality.json: the means of both
    `AnswerQuality`, the reward at the start and at the end, the divergence from the start, and what was hacked, which is logged. Every process answers, since a sharded model
    needs all of them; the first one writes.

    Args:
        trainer: its model answers.
        rows: as for training, each with an ECG.
        outside: ECGs with values of readers or devices; each is interpreted from signal and page.
    """

    def __init__(
        self, trainer: GemGRPOTrainer, rows: Sequence[dict[str, Any]], outside: Sequence[OutsideTruth] = ()
    ) -> None:
        self.trainer = trainer
        self.rows = [as_prompt(trainer.collator, row) for row in rows]
        self.outside = outside
        self.before: AnswerQuality | None = None
        self.start: list[tuple[torch.Tensor, torch.Tensor]] = []  # sampled answers and their log-probabilities

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measures the answers before the first step; a continued run keeps its first measurement."""
        path = Path(args.output_dir) / START_FILE
        if state.global_step and path.is_file():  # a continued run is compared with its first start
            kept = json.loads(path.read_text(encoding="utf-8"))
            self.before = AnswerQuality(**kept["before"])
            self.start = [(torch.tensor(ids), torch.tensor(known)) for ids, known in kept["sampled"]]
            return
        sampled = self._answer([row["prompt"] for row in self.rows], do_sample=True, temperature=1.0)
        self.start = [(ids, self._log_probs(row, ids)) for row, ids in zip(self.rows, sampled, strict=True)]
        self.before = self._quality()
        if state.is_world_process_zero:
            answers = [(ids.tolist(), known.tolist()) for ids, known in self.start]
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"before": asdict(self.before), "sampled": answers})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measures the answers again and writes the comparison to the output folder."""
        if self.before is None:
            return
        changes = torch.cat(
            [self._log_probs(row, ids) - known for row, (ids, known) in zip(self.rows, self.start, strict=True)]
        )
        # Of start and end, in nats per token of what the start wrote; this estimate is never negative (Schulman 2020, "k3").
        divergence = float((changes.exp() - 1 - changes).mean())
        after = self._quality()
        rewards = _rewards(state.log_history)
        found = hacked(self.before, after, rewards)
        if state.is_world_process_zero:
            means = self.before.means()
            result = {"rows": len(self.rows), "before": means, "after": after.means(), "reward": rewards}
            write_json(Path(args.output_dir) / REPORT_FILE, {**result, "divergence": divergence, "hacked": found})
            for name, value in after.means().items():
                logger.info(f"{name}: {means[name]} -> {value}")
            for sentence in found:
                logger.warning(f"Hacked: {sentence}.")

    def _quality(self) -> AnswerQuality:
        quality = judge(self._texts(self._answer([row["prompt"] for row in self.rows], do_sample=False)), self.rows)
        processor = self.trainer.processing_class
        asked = [
            processor.build_conversation(truth.record, image=processor.page(truth.record)) for truth in self.outside
        ]
        outside = agreement(self._texts(self._answer(asked, do_sample=False)), self.outside)
        return replace(quality, outside=outside)

    def _answer(self, prompts: list[Any], **generation: Any) -> list[torch.Tensor]:
        limit = self.trainer.max_completion_length
        return answer(self._model(), self.trainer.processing_class, prompts, max_new_tokens=limit, **generation)

    @torch.no_grad()
    def _log_probs(self, row: dict[str, Any], ids: torch.Tensor) -> torch.Tensor:
        """Of every token of one answer, `(tokens,)`."""
        model = self._model()
        training = model.training
        model.eval()
        inputs = model_inputs(self.trainer.processing_class, [row["prompt"]], model.device)
        ids = ids.to(model.device)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], ids[None]], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        logits = model(**inputs).logits[0, -len(ids) - 1 : -1]
        model.train(training)
        return logits.float().log_softmax(-1).gather(1, ids[:, None])[:, 0].cpu()

    def _texts(self, answers: list[torch.Tensor]) -> list[str]:
        return [self.trainer.processing_class.decode(ids, skip_special_tokens=True).strip() for ids in answers]

    def _model(self) -> PreTrainedModel:
        return self.trainer.accelerator.unwrap_model(self.trainer.model)


def _rewards(history: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The mean reward of the first and of the last tenth of the logged steps."""
    logged = [entry["reward"] for entry in history if "reward" in entry]
    if not logged:
        raise GemError("No reward was logged: `logging_steps` is larger than the number of steps.")
    count = max(1, round(WINDOW * len(logged)))
    return fmean(logged[:count]), fmean(logged[-count:])


__all__ = ["REPORT_FILE", "QualityReport"]
