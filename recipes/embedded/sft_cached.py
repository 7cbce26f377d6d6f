# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Supervised fine-tuning with TRL on kept states of frozen towers (`recipes/embedded/states.py`): many times faster.

python -m recipes.embedded.sft_cached --config recipes/configs/sft_tiny.yaml
"""

import os
import shutil
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import torch
from torch.nn.utils import parametrize
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedTokenizerBase
from trl import SFTConfig, TrlParser

import modeling_gem  # noqa: F401 (registers GEM)
from processing.chat_gem import Modality
from processing.errors_gem import TrainingError
from recipes.console import run_script
from recipes.files import write_json
from recipes.models import computes_in_bfloat16
from recipes.teachers.grounded_answer import VERDICTS
from recipes.training.checkpoints import checkpoint_to_resume
from recipes.training.towers import freeze_towers
from recipes.training.trainer import GemSFTTrainer, parse_settings

from .states import CachedCollator, TowerStates, cached_towers, whiten_projectors
from .tower_verdicts import TowerVerdicts
from .words import learn_words_together, settle_words


@dataclass
class CachedArguments:
    """Arguments besides those of `SFTConfig`."""

    model_name_or_path: str = field(metadata={"help": "GEM to start from; its towers stay as they are."})
    dataset: str = field(metadata={"help": "Folder written by `save_to_disk`, with `id`, `messages` and `length`."})
    states: str = field(metadata={"help": "Folder of tower states, made with the same towers."})
    verdicts: str | None = field(
        default=None,
        metadata={"help": "Folder of recipes.embedded.tower_verdicts: how likely the states make each verdict."},
    )
    whiten: bool = field(default=False, metadata={"help": "Start fresh projectors from the statistics of the states."})
    both: float = field(default=1.0, metadata={"help": "Weight of batches that show signal and picture."})
    signal: float = field(default=0.0, metadata={"help": "Weight of batches that show the signal only."})
    image: float = field(default=0.0, metadata={"help": "Weight of batches that show the picture only."})
    words: bool = field(
        default=False,
        metadata={
            "help": "Learn the words of recipes.embedded.words together: what is learned of one, of all near it."
        },
    )
    compiled: bool = field(
        default=False,
        metadata={
            "help": "Compile the language model, where there is a C++ compiler: a fifth faster after half a minute."
        },
    )
    finding_weight: float = field(
        default=1.0, metadata={"help": "Weight of a likely or unlikely in the loss; a word has 1."}
    )
    first_weight: float = field(
        default=1.0,
        metadata={"help": "Weight of an answer's first word, which says yes or no, names the rhythm, or declines."},
    )


def verdict_ids(tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """The tokens of `VERDICTS`, `(2,)`.

    Raises:
        TrainingError: they are no tokens of their own in this vocabulary.
    """
    ids = [tokenizer.encode(word, add_special_tokens=False) for word in VERDICTS]
    if any(len(tokens) != 1 for tokens in ids):
        raise TrainingError(
            f"{' or '.join(VERDICTS)} is not a token of its own in this vocabulary, so that neither `finding_weight` nor `verdicts` "
            "can be used."
        )
    return torch.tensor(ids).flatten()


@dataclass
class VerdictCollator(CachedCollator):
    """
    Batches with `likely`, `(batch, tokens)` beside `labels`: how likely the superclass is at whose verdict a token stands, NaN at all
    others.

    Args:
        verdicts: of the records; `None` for no `likely`.
    """

    verdicts: TowerVerdicts | None = None

    def __post_init__(self) -> None:
        self.verdict_ids = verdict_ids(self.processor.tokenizer) if self.verdicts is not None else torch.tensor([])

    def collate(self, examples: Sequence[dict[str, Any]], kept: Modality) -> dict[str, torch.Tensor]:
        """A batch that shows `kept`, with the verdicts from what it shows."""
        batch = super().collate(examples, kept)
        if self.verdicts is not None:
            batch["likely"] = torch.full(batch["labels"].shape, torch.nan)
            for row, example in enumerate(examples):
                likelihoods = self.verdicts.of(example["id"], kept)
                places = torch.isin(batch["labels"][row], self.verdict_ids).nonzero().flatten()
                if likelihoods is not None and len(places) == len(likelihoods):
                    batch["likely"][row, places] = torch.from_numpy(likelihoods)
        return batch


class FindingTrainer(GemSFTTrainer):
    """
    `GemSFTTrainer` whose loss is a weighted mean: five of some seventy tokens of an interpretation are a verdict, and beside
    digits that cannot be known exactly they hardly count. Where a batch says how `likely` a verdict is, this is what its probability
    should be, not 0 or 1.

    Args:
        finding_weight: Of the tokens in `VERDICTS`.
        first_weight: Of the first token of every answer. The weight of all others is 1.

    Raises:
        TrainingError: A weight that is not positive, or a vocabulary in which they are no tokens of their own.
    """

    def __init__(self, *arguments: Any, finding_weight: float, first_weight: float = 1.0, **others: Any) -> None:
        super().__init__(*arguments, **others)
        for name, weight in (("finding_weight", finding_weight), ("first_weight", first_weight)):
            if weight <= 0:
                raise TrainingError(f"`{name}` must be positive, got {weight}.")
        self.finding_ids = verdict_ids(self.processing_class.tokenizer) if finding_weight != 1 else torch.tensor([])
        self.finding_weight, self.first_weight = finding_weight, first_weight

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """The mean loss of the answers' tokens, weighted."""
        labels, likely = inputs.pop("labels"), inputs.pop("likely", None)
        answered = labels != -100
        begun = answered[:, 1:] & ~answered[:, :-1]
        answered = answered[:, 1:]
        labels, first = labels[:, 1:][answered], begun[answered]
        with parametrize.cached():  # of words that are learned together: once, for both ends of the model
            outputs = model(**inputs, use_cache=False, logits_to_keep=torch.nn.functional.pad(answered, (0, 1)))
        losses = torch.nn.functional.cross_entropy(outputs.logits.float(), labels, reduction="none")
        findings = torch.isin(labels, self.finding_ids.to(labels.device))
        weights = torch.where(findings, self.finding_weight, 1.0) * torch.where(first, self.first_weight, 1.0)
        if likely is not None:
            likely = likely[:, 1:][answered]
            losses = torch.where(likely.isnan(), losses, self._unsure(losses, likely.nan_to_num(), labels))
        loss = (losses * weights).sum() / weights.sum().clamp(min=1)
        if num_items_in_batch is not None:  # then the trainer leaves the mean over accumulated batches to the loss
            loss = loss / self.current_gradient_accumulation_steps
        return (loss, outputs) if return_outputs else loss

    def _unsure(self, losses: torch.Tensor, likely: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross entropy with a probability instead of a label; a verdict is one of two words, so that the other one has the rest."""
        probability = torch.exp(-losses).clamp(max=1 - 1e-5)
        _, likely_id = verdict_ids(self.processing_class.tokenizer)
        share = torch.where(labels == int(likely_id), likely, 1 - likely)
        return share * losses - (1 - share) * torch.log1p(-probability)


def _attention(device: torch.device) -> str | None:
    """
    On a CPU the plain one: PyTorch's fused attention has a slow backward pass there in bfloat16. A step of this model with both inputs
    takes 0.60 s instead of 1.00 on two threads, and as long on one.
    """
    return "eager" if device.type == "cpu" else None


def can_compile() -> bool:
    """Whether this machine has what `torch.compile` needs on a CPU: a C++ compiler and Python's headers."""
    return (
        bool(shutil.which(os.environ.get("CXX", "g++"))) and Path(sysconfig.get_path("include"), "Python.h").is_file()
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains as told, from the last checkpoint of OUTPUT_DIR with `resume_from_checkpoint: true`, and saves the result."""
    script, training = parse_settings(TrlParser((CachedArguments, SFTConfig)), arguments)
    training.dataset_kwargs = {"skip_prepare_dataset": True}
    training.max_length = None
    training.remove_unused_columns = False
    if not computes_in_bfloat16(training.device):
        training.bf16, training.mixed_precision = False, "no"

    torch.manual_seed(training.seed)
    model = AutoModelForImageTextToText.from_pretrained(
        script.model_name_or_path, dtype="float32", attn_implementation=_attention(training.device)
    )
    processor = AutoProcessor.from_pretrained(script.model_name_or_path)
    freeze_towers(model)
    words = learn_words_together(model, script.model_name_or_path) if script.words else None
    mix: dict[Modality, float] = {"both": script.both, "signal": script.signal, "image": script.image}
    states = TowerStates.load(script.states)
    if script.whiten:
        whiten_projectors(model, states)
    verdicts = TowerVerdicts.load(script.verdicts) if script.verdicts else None
    mixed = {name: weight for name, weight in mix.items() if weight}
    collator = VerdictCollator(processor, states, mixed, verdicts=verdicts)
    if script.compiled and can_compile():
        model.model.language_model.compile(dynamic=True)
    with cached_towers(model):
        trainer = FindingTrainer(
            model=model,
            finding_weight=script.finding_weight,
            first_weight=script.first_weight,
            args=training,
            train_dataset=datasets.load_from_disk(script.dataset)["train"],
            processing_class=processor,
            data_collator=collator,
        )
        trainer.train(resume_from_checkpoint=checkpoint_to_resume(training))
    if words is not None:
        settle_words(model, words, training.output_dir)
    model.save_pretrained(training.output_dir)
    processor.save_pretrained(training.output_dir)
    write_json(Path(training.output_dir) / "training_log.json", trainer.state.log_history, indent=1)


if __name__ == "__main__":
    run_script(main)
