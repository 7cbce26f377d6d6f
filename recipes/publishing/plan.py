# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The planned content of a repository: files, sizes, card. It is prepared in a separate folder; the source is not changed."""

import fnmatch
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_from_disk
from datasets.table import embed_table_storage
from huggingface_hub import (
    RepoCard,
    parse_local_safetensors_file_metadata,
    split_state_dict_into_shards_factory,
)
from safetensors import safe_open
from safetensors.torch import save_file

from processing.errors_gem import CheckpointError, PublishError

from .allowed import check_allowed
from .checks import check_credentials, check_table, check_text_file, credentialed_sources
from .private_ids import IdsChoice, hide_private_ids
from .remote_code import add_remote_code

# What training and conversion leave beside a model: of use here, not there, and some of it names local paths.
LEFT_OUT = (
    "training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth", "trainer_state.json",
    "checkpoint-*/*", "runs/*", "global_step*/*", "conversion_report.json", "*.log", "*.tmp", "*.part", "*.lock",
    "__pycache__/*", "*/__pycache__/*", "*.pyc", "*.egg-info/*",
)  # fmt: skip
# A file of these kinds that is in the repository and no longer in the folder would be read together with the new ones.
REPLACED = ("*.safetensors", "*.safetensors.index.json", "*.parquet")
README = "README.md"


@dataclass
class PublishPlan:
    """Everything that will be in the commit. `hidden_ids`: number of rows whose ids become hashes."""

    repo_type: str
    files: dict[str, Path]
    left_out: list[str]
    card: RepoCard
    hidden_ids: int = 0

    @property
    def metadata(self) -> dict[str, Any]:
        """The card's YAML block."""
        return self.card.data.to_dict()

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes by path in the repository."""
        return {name: path.stat().st_size for name, path in self.files.items()}


def list_files(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Files of a folder to publish, by their path in it, and those that are left out: hidden ones and leftovers of training."""
    kept, left_out = {}, []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/")) and name != ".gitattributes"
        if hidden or any(fnmatch.fnmatch(name, pattern) for pattern in LEFT_OUT):
            left_out.append(name)
        else:
            kept[name] = path
    return kept, left_out


def _checked_files(folder: Path, kind: str, include: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """What `list_files` finds, if all of it may be published."""
    files, left_out = list_files(folder)
    check_allowed(folder, files, kind, include)
    for file in files.values():
        check_text_file(file)
    return files, left_out


def plan_model(
    folder: Path,
    stage: Path,
    make_card: Callable[[Path], RepoCard],
    max_shard_size: str = "5GB",
    include: Sequence[str] = (),
) -> PublishPlan:
    """
    A saved GEM, its processor, the code that loads it without gem-ecg, and a card (the folder's own, or `make_card`'s).

    Args:
        folder: What `save_pretrained` of model and processor wrote.
        stage: An empty folder; large weight files are written there again as shards.
        make_card: Writes a card for the folder if it has none.
        max_shard_size: Largest weight file.
        include: Patterns of further files to publish.

    Raises:
        PublishError: Not a complete model folder, or it holds what `check_allowed` or `check_text_file` refuses.
    """
    files, left_out = _checked_files(folder, "model", include)
    if not any(name.endswith(".safetensors") for name in files):
        raise PublishError(f"{folder}: no *.safetensors here; save the model with `save_pretrained` first.")
    # The code comes from this version of gem-ecg; a link to older code would be written through.
    link_files({name: path for name, path in files.items() if not name.endswith(".py")}, stage)
    _check_shards(stage)
    _shard_large_files(stage, max_shard_size)
    try:
        add_remote_code(stage)
    except CheckpointError as error:
        raise PublishError(str(error).replace(str(stage), str(folder))) from error
    card = take_card(stage, lambda: make_card(stage))
    return PublishPlan("model", list_files(stage)[0], left_out, card)


def plan_space(folder: Path, stage: Path, include: Sequence[str] = ()) -> PublishPlan:
    """
    A Space and, if its code imports ours, the packages of gem-ecg beside it: the Space then needs no release of gem-ecg.

    Raises:
        PublishError: No README.md with the Space's settings, its app is not there, or it holds what `check_allowed` or
            `check_text_file` refuses.
    """
    files, left_out = _checked_files(folder, "space", include)
    if README not in files:
        raise PublishError(
            f"{folder}: a Space needs a README.md with a YAML block of title, sdk, sdk_version and app_file."
        )
    card = RepoCard.load(files[README])
    if not card.data.get("sdk"):
        raise PublishError(f"{folder / README}: the YAML block lacks `sdk` (gradio, docker or static).")
    app_file = card.data.get("app_file", "app.py")
    if card.data["sdk"] == "gradio" and app_file not in files:
        raise PublishError(f"{folder}: `app_file: {app_file}` of the README is not here.")
    files |= _own_packages(files)
    link_files(files, stage)
    return PublishPlan("space", list_files(stage)[0], left_out, card)


def _own_packages(files: dict[str, Path]) -> dict[str, Path]:
    """The packages of gem-ecg as files of the Space, if any of its modules imports one of them."""
    root = Path(__file__).resolve().parents[2]
    packages = ("modeling_gem", "processing", "recipes", "hub_cards")
    code = [path.read_text(encoding="utf-8") for name, path in files.items() if name.endswith(".py")]
    if not any(f"import {package}" in text or f"from {package}" in text for text in code for package in packages):
        return {}
    own = {}
    for package in packages:
        for name, path in list_files(root / package)[0].items():
            if not (package == "hub_cards" and name.startswith("space/")):
                own[f"{package}/{name}"] = path
    return own


def take_card(stage: Path, make: Callable[[], RepoCard]) -> RepoCard:
    """The folder's own card, checked, or a new one, written there."""
    path = stage / README
    try:
        card = RepoCard.load(path) if path.is_file() else make()
    except ValueError as error:
        raise PublishError(f"{README}: its YAML block cannot be read ({error}).") from error
    if not card.data.get("license"):
        raise PublishError(f"{README}: its YAML block names no `license`, without which others may not use it.")
    if not path.is_file():
        card.save(path)
    return card


def _check_shards(stage: Path) -> None:
    for index in stage.glob("*.safetensors.index.json"):
        named = set(json.loads(index.read_text())["weight_map"].values())
        if absent := sorted(name for name in named if not (stage / name).is_file()):
            raise PublishError(f"{index.name} names weight files that are not here: {', '.join(absent)}.")


def _shard_large_files(stage: Path, max_shard_size: str) -> None:
    """Writes a weight file larger than `max_shard_size` as shards with an index; tensors pass one shard at a time."""
    single = stage / "model.safetensors"
    if not single.is_file():
        return
    split = split_state_dict_into_shards_factory(
        parse_local_safetensors_file_metadata(single).tensors,
        get_storage_size=lambda weight: weight.data_offsets[1] - weight.data_offsets[0],
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max_shard_size,
    )
    if not split.is_sharded:
        return
    needed, free = single.stat().st_size, shutil.disk_usage(stage).free
    if free < needed:
        raise PublishError(
            f"{stage}: {needed / 1e9:.1f} GB are needed to write the weights as shards, {free / 1e9:.1f} GB are free. Make "
            "room, set TMPDIR to a larger disk, or save the model with a smaller `max_shard_size`."
        )
    with safe_open(single, framework="pt") as weights:
        for file_name, keys in split.filename_to_tensors.items():
            save_file({key: weights.get_tensor(key) for key in keys}, stage / file_name, metadata={"format": "pt"})
    single.unlink()
    index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
    (stage / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def link_files(files: dict[str, Path], stage: Path) -> None:
    """Links files into the stage without copying them."""
    for name, source in files.items():
        target = stage / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(source.resolve(), target)


def stale_files(remote: Iterator[str] | list[str], plan: PublishPlan) -> list[str]:
    """Weight and table files in the repository that the new version does not have."""
    return sorted(
        name
        for name in remote
        if name not in plan.files and any(fnmatch.fnmatch(name, pattern) for pattern in REPLACED)
    )


SHARD_BYTES = 500_000_000


def plan_dataset(
    folder: Path,
    stage: Path,
    make_card: Callable[[Path], RepoCard],
    allow_credentialed: bool = False,
    include: Sequence[str] = (),
    ids: IdsChoice = "hash",
) -> PublishPlan:
    """What a data set's folder uploads, after all checks.

    Args:
        folder: Parquet files with or without a README.md, or what `save_to_disk` wrote.
        stage: An empty folder; Parquet shards are written there where the folder has none.
        make_card: Writes a card for the staged folder if it has none.
        allow_credentialed: Whether the user confirms that the agreement of the data (MIMIC, eICU) allows this.
        include: Patterns of further files to publish.
        ids: `hash` replaces ids and patients of the user's own records, see `hide_private_ids`; `stem` publishes them as they are.

    Raises:
        PublishError: Patients' identities, credentialed data, what `check_allowed` refuses, or no data set.
    """
    saved = any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))
    if saved:
        files, left_out = list_files(folder)
        _write_shards(folder, stage)
        card_file = {README: files[README]} if README in files else {}
        check_allowed(folder, card_file, "dataset")
        for file in card_file.values():
            check_text_file(file)
        link_files(card_file, stage)
    else:
        files, left_out = _checked_files(folder, "dataset", include)
        if not any(name.endswith(".parquet") for name in files):
            raise PublishError(f"{folder}: no Parquet files here, and not a data set that `save_to_disk` wrote.")
        link_files(files, stage)
    hidden = hide_private_ids(folder, stage) if ids == "hash" else 0
    tables = sorted(stage.rglob("*.parquet"))
    for table in tables:
        check_table(table)
    card = take_card(stage, lambda: make_card(stage))
    check_credentials(credentialed_sources(tables, card.data.to_dict(), card.text), allow_credentialed)
    return PublishPlan("dataset", list_files(stage)[0], left_out, card, hidden)


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


__all__ = [
    "README",
    "PublishPlan",
    "link_files",
    "list_files",
    "plan_dataset",
    "plan_model",
    "plan_space",
    "stale_files",
    "take_card",
]
