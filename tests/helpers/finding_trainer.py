# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A trainer of the embedded model whose loss is looked at, batch by batch, without training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import SFTConfig

from recipes.embedded.sft_cached import FindingTrainer


def finding_trainer(model: Any, processor: Any, collate: Callable, folder: Path, **weights: float) -> FindingTrainer:
    """The trainer with these weights; its data set is one row that nobody reads."""
    arguments = SFTConfig(str(folder), report_to="none", use_cpu=True, bf16=False, max_length=None)
    arguments.dataset_kwargs = {"skip_prepare_dataset": True}
    rows = Dataset.from_list([{"a": 1}])
    return FindingTrainer(
        model, arguments, train_dataset=rows, processing_class=processor, data_collator=collate, **weights
    )


__all__ = ["finding_trainer"]
