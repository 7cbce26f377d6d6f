# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints on disk: reads their weights one by one, and saves a model only if it uses all of them."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, HTTPError
from safetensors import safe_open
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedTokenizerBase

from processing.errors_gem import CheckpointError

from .modeling_gem import GemForConditionalGeneration

# Of a model on the Hub: what is small, the weights, and weights of old repositories, which may be pickles.
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
SMALL_FILES = ("*.json", "*.model", "*.txt", "*.jinja")
OLD_WEIGHTS = ("pytorch_model*.bin", "*.pt", "*.pth")


def local_checkpoint(name: str | Path) -> Path:
    """
    The file or folder `name`, or, where there is none and it is an id such as `owner/model` or `owner/model@revision`, that
    model's folder in the cache of the Hub: downloaded once, and found there without a network too.

    Raises:
        CheckpointError: it is an id, and the Hub has no such model or cannot be reached.
    """
    if Path(name).exists() or not HUB_ID.fullmatch(str(name)):
        return Path(name)
    repository, _, revision = str(name).partition("@")

    def download(*patterns: str) -> Path:
        return Path(
            snapshot_download(
                repository, revision=revision or None, allow_patterns=list(patterns), ignore_patterns=["*/*"]
            )
        )

    try:
        folder = download(*SMALL_FILES, "*.safetensors")
        return folder if any(folder.glob("*.safetensors")) else download(*SMALL_FILES, *OLD_WEIGHTS)
    except (OSError, HTTPError, HFValidationError) as error:
        said = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{name}: not a folder, and it cannot be fetched from the Hub ({said})") from error


def read_weights(path: str | Path) -> Iterator[tuple[str, torch.Tensor]]:
    """
    Name and tensor of each weight of a file or folder (safetensors, shards with their index, or legacy `.bin`/`.pt`/
    `.pth`, which is only read with `weights_only=True`). Tensors are memory-mapped, those of safetensors each by a map of its
    own, so that dropping a tensor frees its pages.

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
                    keys = list(weights.keys())
                for key in keys:
                    with safe_open(file, framework="pt") as weights:
                        tensor = weights.get_tensor(key)
                    yield key, tensor
                    del tensor
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


@dataclass
class ConversionReport:
    """
    What became of the weights. `sources`: the origin of each part; `dropped`: unused keys of the source by reason; `notes`:
    sentences for those who pass the result on.
    """

    output: str
    sources: dict[str, str] = field(default_factory=dict)
    converted: int = 0
    dropped: dict[str, list[str]] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    num_parameters: int = 0

    def drop(self, reason: str, keys: list[str]) -> None:
        """Notes weights of the source that the result does not have, under the reason."""
        if keys:
            self.dropped.setdefault(reason, []).extend(keys)

    def save(self) -> None:
        """Writes `conversion_report.json` into the output folder."""
        path = Path(self.output) / "conversion_report.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def save_model(
    model_class: type,
    config: PreTrainedConfig,
    weights: dict[str, torch.Tensor],
    report: ConversionReport,
    tokenizer: PreTrainedTokenizerBase | None = None,
    max_shard_size: str = "5GB",
) -> None:
    """
    Saves memory-mapped `weights` for an empty model that needs every one of them. They are removed from the dictionary, so that a
    shard leaves memory once it is written, unless the caller keeps another reference.

    Raises:
        CheckpointError: a weight is missing, left over or of another shape; nothing is written.
    """
    body = "model.language_model." if model_class is GemForConditionalGeneration else "layers."
    config.dtype = dtype = next(tensor.dtype for key, tensor in weights.items() if key.startswith(body))
    with torch.device("meta"):
        model = model_class(config)
    unused_blocks = model._keys_to_ignore_on_load_unexpected or []
    unused = [key for key in weights if any(re.search(pattern, key) for pattern in unused_blocks)]
    report.drop("blocks of the image tower after the layer that is used", unused)
    for key in unused:
        del weights[key]
    wanted = {key: tensor.shape for key, tensor in model.state_dict().items()}
    if getattr(config, "tie_word_embeddings", False):
        wanted.pop("lm_head.weight", None)
    missing, leftover = sorted(set(wanted) - set(weights)), sorted(set(weights) - set(wanted))
    if missing or leftover:
        raise CheckpointError(
            f"{report.output}: not written, the weights do not add up. Missing: {missing or 'none'}. "
            f"Leftover: {leftover or 'none'}."
        )
    others = [
        f"`{key}` {tuple(weights[key].shape)}, not {tuple(shape)}"
        for key, shape in wanted.items()
        if weights[key].shape != shape
    ]
    if others:
        raise CheckpointError(
            f"{report.output}: not written, weights have other shapes than the config says: {'; '.join(others)}."
        )
    model.tie_weights()
    if tokenizer is not None:
        model.generation_config = GenerationConfig(
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            suppress_tokens=[config.ecg_token_id, config.image_token_id],
        )
    report.converted = len(weights)
    report.num_parameters = sum(tensor.numel() for tensor in weights.values())
    # Transformers takes each tensor out of the dictionary that it is given, when its shard's turn has come.
    model.save_pretrained(
        report.output, state_dict={key: weights.pop(key) for key in wanted}, max_shard_size=max_shard_size
    )
    # Transformers wrote the type of whichever weight is first; the model is to be loaded in the language model's.
    config.dtype = dtype
    config.save_pretrained(report.output)
    report.save()


__all__ = ["ConversionReport", "local_checkpoint", "read_weights", "save_model"]
