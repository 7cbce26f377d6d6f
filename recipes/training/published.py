# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rows as LANSG/ECG-Grounding and PULSE publish them (`id`, `ecg`, `image`, `conversations`) -> examples of the collator."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
from transformers.utils import logging

from processing.errors_gem import EcgFormatError, TrainingError
from recipes.sources.conversations import FileMap, to_messages
from recipes.sources.llava_sets import read_rows

logger = logging.get_logger(__name__)
HERE = {"": "."}


def published_example(
    row: Mapping[str, Any], files: Mapping[str, str] | None = None, images: str | None = None
) -> dict[str, Any]:
    """
    A published row with local paths: `id`, `messages`, `ecg` and `image` (`None` without `images`). The files are not read.

    Args:
        row: of the published JSON.
        files: Beginning of a published ECG path (`""` for all others) -> local folder. Default: the published paths, from the
            working directory.
        images: Folder of the published pictures.

    Raises:
        EcgFormatError: The row has no ECG or no conversation, or a file is missing.
    """
    name, ecg = str(row.get("id")), row.get("ecg")
    if not ecg:
        raise EcgFormatError(f"{name}: the row names no ECG (it has {sorted(row)}).")
    file = FileMap(files or HERE).find(ecg)
    if file is None:
        raise EcgFormatError(
            f"{name}: {ecg} is not in {dict(files or HERE)}; map its beginning to the folder that holds it."
        )
    image = Path(images) / str(row.get("image")) if images else None
    if image is not None and not image.is_file():
        raise EcgFormatError(f"{name}: there is no picture {image}.")
    messages = [dict(message) for message in to_messages(row.get("conversations"), name)]
    return {"id": name, "messages": messages, "ecg": str(file), "image": None if image is None else str(image)}


def is_published(path: Path) -> bool:
    """Whether a data set's name is that of a published file of rows."""
    return path.suffix in (".json", ".jsonl") and path.is_file()


def published_dataset(path: Path, files: Mapping[str, str], images: str | None) -> datasets.Dataset:
    """
    The rows of a published JSON whose files exist; logs how many are left out, and the first reason.

    Raises:
        TrainingError: No row can be used.
    """
    examples, reasons = [], []
    for row in read_rows(path):
        try:
            examples.append(published_example(row, files, images))
        except EcgFormatError as error:
            reasons.append(str(error))
    if not examples:
        raise TrainingError(
            f"{path}: none of its {len(reasons)} rows can be used ({reasons[0] if reasons else 'it is empty'}). `ecg_files: "
            "[mimic-iv=/data/mimic-iv-ecg]` gives the folder of the ECGs, `image_folder` that of the pictures."
        )
    if reasons:
        total = len(examples) + len(reasons)
        logger.warning(f"{path}: {len(reasons)} of {total} rows are left out, the first because: {reasons[0]}")
    return datasets.Dataset.from_list(examples)


__all__ = ["is_published", "published_dataset", "published_example"]
