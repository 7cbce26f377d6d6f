# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A data set as it is published: Parquet shards that a plain `load_dataset` opens, checked, with a card."""

from collections.abc import Callable
from pathlib import Path

from datasets import Dataset, DatasetDict, load_from_disk
from datasets.table import embed_table_storage
from huggingface_hub import RepoCard

from processing.errors_gem import PublishError

from .checks import (
    check_credentials,
    check_no_pickles,
    check_no_raw_records,
    check_table,
    check_text_file,
    credentialed_sources,
)
from .plan import README, PublishPlan, link_files, list_files, take_card

SHARD_BYTES = 500_000_000


def plan_dataset(
    folder: Path, stage: Path, make_card: Callable[[Path], RepoCard], allow_credentialed: bool = False
) -> PublishPlan:
    """
    Args:
        folder: Parquet files with or without a README.md, or what `save_to_disk` wrote.
        stage: An empty folder; Parquet shards are written there where the folder has none.
        make_card: Writes a card for the staged folder if it has none.
        allow_credentialed: The user states that the agreement of MIMIC data allows this.

    Raises:
        PublishError: Patients' identities, device files, pickles, credentialed data, or no data set.
    """
    saved = any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))
    files, left_out = list_files(folder)
    check_no_pickles(files.values())
    if saved:
        _write_shards(folder, stage)
        link_files({README: files[README]} if README in files else {}, stage)
    else:
        check_no_raw_records(files.values())
        if not any(name.endswith(".parquet") for name in files):
            raise PublishError(f"{folder}: no Parquet files here, and not a data set that `save_to_disk` wrote.")
        link_files(files, stage)
    tables = sorted(stage.rglob("*.parquet"))
    for table in tables:
        check_table(table)
    for file in list_files(stage)[0].values():
        check_text_file(file)
    card = take_card(stage, lambda: make_card(stage))
    check_credentials(credentialed_sources(tables, card.data.to_dict(), card.text), allow_credentialed)
    return PublishPlan("dataset", list_files(stage)[0], left_out, card)


def _write_shards(folder: Path, stage: Path) -> None:
    """`data/SPLIT-00000-of-0000N.parquet`, about `SHARD_BYTES` each, pictures inside."""
    loaded = load_from_disk(str(folder))
    splits = loaded if isinstance(loaded, DatasetDict) else DatasetDict({"train": loaded})
    (stage / "data").mkdir()
    for split, data in splits.items():
        count = max(1, -(-data.data.nbytes // SHARD_BYTES))
        for index in range(count):
            shard = data.shard(count, index, contiguous=True)
            _embedded(shard).to_parquet(stage / "data" / f"{split}-{index:05d}-of-{count:05d}.parquet")


def _embedded(shard: Dataset) -> Dataset:
    """Pictures that are only named by a path are read into the table."""
    if not any(getattr(feature, "decode", False) for feature in shard.features.values()):
        return shard
    return shard.with_format("arrow").map(embed_table_storage, batched=True, keep_in_memory=True).with_format(None)


__all__ = ["plan_dataset"]
