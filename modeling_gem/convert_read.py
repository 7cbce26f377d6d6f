# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The weights of a checkpoint on disk, one after the other: safetensors, shards, legacy pickles of plain tensors."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open

from processing.errors_gem import CheckpointError


def read_weights(path: str | Path) -> Iterator[tuple[str, torch.Tensor]]:
    """
    Name and tensor of each weight of a file or folder (safetensors, shards with their index, or legacy `.bin`/`.pt`/
    `.pth`, which is only read with `weights_only=True`). Tensors are memory-mapped.

    Raises:
        CheckpointError: Nothing to read, a shard of the index is missing, or a pickle holds more than tensors.
    """
    path = Path(path)
    files = _weight_files(path) if path.is_dir() else [path]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{file}: the weight file does not exist. Is the download complete?")
        if file.suffix == ".safetensors":
            try:
                with safe_open(file, framework="pt") as weights:
                    for key in weights.keys():  # noqa: SIM118 (not a dict)
                        yield key, weights.get_tensor(key)
            except Exception as error:
                raise CheckpointError(
                    f"{file}: not a readable safetensors file ({error}). Download it again."
                ) from error
        else:
            yield from _read_pickle(file).items()


def _weight_files(folder: Path) -> list[Path]:
    for pattern in ("*.safetensors.index.json", "*.bin.index.json"):
        for index in sorted(folder.glob(pattern)):
            return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    for pattern in ("*.safetensors", "pytorch_model*.bin"):
        if files := sorted(folder.glob(pattern)):
            return files
    raise CheckpointError(f"{folder}: no model weights here (*.safetensors or pytorch_model*.bin).")


def _read_pickle(file: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except Exception as error:
        raise CheckpointError(
            f"{file}: refused, it cannot be read as plain tensors ({type(error).__name__}). A pickle may run code when "
            "opened; save its state dict again with `torch.save(state_dict, ...)` or as safetensors on a machine you trust."
        ) from error
    state = content.get("state_dict", content)
    return {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}


__all__ = ["read_weights"]
