# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Makes a saved GEM self-contained: its code beside its weights, for `trust_remote_code=True` without gem-ecg."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers.dynamic_module_utils import get_relative_import_files

import modeling_gem
import processing
from modeling_gem import GEM_TASK
from processing.errors_gem import CheckpointError
from recipes.files import write_json

# What loads the folder is the code in the folder, so every Auto class must be named.
CONFIG_AUTO_MAP = {
    "AutoConfig": "configuration_gem.GemConfig",
    "AutoModel": "modeling_gem.GemModel",
    "AutoModelForImageTextToText": "modeling_gem.GemForConditionalGeneration",
    "AutoModelForMultimodalLM": "modeling_gem.GemForConditionalGeneration",
    "AutoModelForCausalLM": "modeling_gem.GemForConditionalGeneration",
}
PROCESSOR_AUTO_MAPS: dict[str | None, dict[str, str]] = {
    None: {"AutoProcessor": "processing_gem.GemProcessor"},
    "feature_extractor": {"AutoFeatureExtractor": "feature_extraction_gem.GemFeatureExtractor"},
    "image_processor": {"AutoImageProcessor": "image_processing_gem.GemImageProcessor"},
}
# The files that Transformers is told to load, by package.
ENTRY_FILES = {
    modeling_gem: ("configuration_gem.py", "modeling_gem.py", "pipeline_gem.py"),
    processing: ("processing_gem.py", "feature_extraction_gem.py", "image_processing_gem.py"),
}


def remote_code_files() -> list[Path]:
    """The code that a published model carries: the files that Transformers loads, and all that they import relatively."""
    entries = [Path(package.__path__[0]) / name for package, names in ENTRY_FILES.items() for name in names]
    imported = [Path(file) for entry in entries for file in get_relative_import_files(entry)]
    return sorted({*entries, *imported})


def add_remote_code(folder: str | Path) -> None:
    """
    Copies the code that the model and its processor need into a saved model's folder and writes `auto_map` and the
    pipeline into its configs. An explicit step: `register_for_auto_class` keeps one class only, and a model saved under
    FSDP would name torch's wrapper class instead of ours.

    Raises:
        CheckpointError: The folder is not a saved GEM with its processor.
    """
    folder = Path(folder)
    for name in ("config.json", "processor_config.json"):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: no {name}; save the model and its processor there first.")
    for path in remote_code_files():
        shutil.copyfile(path, folder / path.name)
    _edit_json(folder / "config.json", _with_auto_classes)
    _edit_json(folder / "processor_config.json", _with_processor_classes)


def _with_auto_classes(config: dict[str, Any]) -> None:
    config["auto_map"] = CONFIG_AUTO_MAP
    config["custom_pipelines"] = {
        GEM_TASK: {"impl": "pipeline_gem.GemPipeline", "pt": ["AutoModelForImageTextToText"], "type": "multimodal"}
    }


def _with_processor_classes(config: dict[str, Any]) -> None:
    for part, auto_map in PROCESSOR_AUTO_MAPS.items():
        (config if part is None else config[part])["auto_map"] = auto_map


def _edit_json(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content, indent=2)


__all__ = ["add_remote_code", "remote_code_files"]
