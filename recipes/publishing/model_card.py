# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A model's card from measured facts. Sections without data, such as scores or energy, are left out."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData, parse_local_safetensors_file_metadata

from recipes.scores import TASK, ScoreTable
from recipes.sources.terms import BASE_TERMS, DATA_TERMS, TAGS, TEMPLATES, citations, dataset_id, terms_of


@dataclass(frozen=True)
class Energy:
    """
    The energy of a training: measured hours times the stated power.

    Attributes:
        hours: measured, h.
        watts: mean power of the machine as its owner states it, W.
        hardware: what it ran on, in words.
        grams_per_kwh: CO2 of the grid, g per kWh; `None` if unknown.
    """

    hours: float
    watts: float
    hardware: str = ""
    grams_per_kwh: float | None = None

    @property
    def kwh(self) -> float:
        """Energy in kWh."""
        return self.hours * self.watts / 1000

    def __str__(self) -> str:
        text = f"{self.hours:.3g} h measured x {self.watts:g} W stated = {self.kwh:.3g} kWh"
        text += f" on {self.hardware}" if self.hardware else ""
        if self.grams_per_kwh is not None:
            text += f"; at {self.grams_per_kwh:g} g CO2 per kWh {self.kwh * self.grams_per_kwh / 1000:.3g} kg CO2"
        return text + "."


@dataclass(frozen=True)
class Training:
    """
    The training of a model.

    Attributes:
        stages: one sentence per stage, in order.
        energy: of all stages together; `None` if it was not measured.
    """

    stages: list[str]
    energy: Energy | None = None


def trainer_stages(folder: str | Path) -> tuple[list[str], float | None]:
    """The training run in `folder` in a sentence, from the Trainer's own `trainer_state.json`, and its hours."""
    states = sorted(Path(folder).glob("**/trainer_state.json"), key=lambda path: path.stat().st_mtime)
    if not states:
        return [], None
    state = json.loads(states[-1].read_text())
    seconds = next((row["train_runtime"] for row in reversed(state["log_history"]) if "train_runtime" in row), None)
    losses = [row["loss"] for row in state["log_history"] if "loss" in row]
    text = f"Supervised fine-tuning with TRL: {state['global_step']} steps, {state['epoch']:.2g} passes over the data"
    if losses:
        text += f", loss {losses[0]:.3g} to {losses[-1]:.3g}"
    return [text + "."], None if seconds is None else seconds / 3600


def model_card(
    folder: str | Path,
    *,
    name: str | None = None,
    repo: str = "",
    summary: str = "",
    base_models: Iterable[str] = (),
    datasets: Iterable[str] = (),
    licence: str | None = None,
    tables: Iterable[ScoreTable] = (),
    training: Training | None = None,
    writes: str = "",
    limits: Iterable[str] = (),
    out_of_scope: Iterable[str] = (),
    language: Iterable[str] = ("en",),
) -> ModelCard:
    """
    The card of a saved GEM. Architecture, size and inputs are read from the folder; the caller supplies the rest.

    Args:
        folder: Saved model and processor.
        name: Title; the folder's name if not given.
        repo: Hub id, for the example.
        summary: One or two sentences on what is special about this model.
        base_models: Hub ids or names of the models it was built from; their terms go into the card.
        datasets: Names of the data it was trained on; their agreements and known biases go into the card.
        licence: The Hub's identifier. If not given, the one that the base models require, else Apache-2.0.
        tables: Evaluations; without any the section is left out.
        training: Stages and energy; without it the section is left out.
        writes: What its answers contain.
        limits: Further limitations to list.
        out_of_scope: Further uses to list as out of scope.
        language: Of its answers, ISO 639-1.
    """
    folder, tables = Path(folder), list(tables)
    base_models, datasets = list(base_models), list(datasets)
    config = json.loads((folder / "config.json").read_text())
    processor = json.loads((folder / "processor_config.json").read_text())
    bases, data = terms_of(base_models, BASE_TERMS), terms_of(datasets, DATA_TERMS)
    metadata = ModelCardData(
        model_name=name or folder.name,
        license=licence or next((terms.licence for terms in bases if terms.licence), "apache-2.0"),
        base_model=base_models or None,
        datasets=[dataset_id(dataset) for dataset in datasets] or None,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=TAGS,
        language=list(language),
        metrics=sorted({row.metric for table in tables for row in table.rows}) or None,
        eval_results=[result for table in tables for result in table.eval_results()] or None,
    )
    return ModelCard.from_template(
        metadata,
        template_path=str(TEMPLATES / "model_card.md"),
        name=name or folder.name,
        repo=repo,
        summary=summary,
        architecture=architecture(config, parameters(folder)),
        reads=reads(config, processor),
        seconds=config["ecg_config"]["seq_length"] / processor["feature_extractor"]["sampling_rate"],
        writes=writes,
        limits=list(limits),
        out_of_scope=list(out_of_scope),
        bias=[terms.bias for terms in data if terms.bias],
        tables=tables,
        training=training,
        agreements=[terms.agreement for terms in (*bases, *data)],
        citation=citations(data),
    )


def parameters(folder: Path) -> dict[str, int]:
    """Parameters of each part, counted in the headers of the weight files."""
    parts: dict[str, int] = {}
    for file in folder.glob("*.safetensors"):
        for key, weight in parse_local_safetensors_file_metadata(file).tensors.items():
            part = next((part for part in PARTS if key.startswith(f"model.{part}")), "language_model")
            parts[part] = parts.get(part, 0) + weight.parameter_count
    return parts


PARTS = {
    "ecg_tower": "signal tower",
    "vision_tower": "image tower",
    "ecg_projector": "ECG projector",
    "multi_modal_projector": "shared projector",
    "language_model": "language model",
}


def architecture(config: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, str]:
    """Part -> what it is and how large."""
    ecg, vision, text = config["ecg_config"], config["vision_config"], config["text_config"]
    kinds = {
        "ecg_tower": f"{_blocks(ecg)}, patches of {ecg['patch_size']} samples",
        "vision_tower": f"{vision['model_type']}, {_blocks(vision)}, {vision['image_size']} px in patches of {vision['patch_size']}",
        "ecg_projector": config["ecg_projector_type"],
        "multi_modal_projector": config["projector_type"],
        "language_model": f"{text['model_type']}, {_blocks(text)}, vocabulary of {text['vocab_size']:,}",
    }
    rows = {
        PARTS[part]: kind + (f"; {sizes[part]:,} parameters" if part in sizes else "") for part, kind in kinds.items()
    }
    return rows | ({"in all": f"{sum(sizes.values()):,} parameters"} if sizes else {})


def _blocks(config: Mapping[str, Any]) -> str:
    return f"{config['num_hidden_layers']} blocks of width {config['hidden_size']}"


def reads(config: Mapping[str, Any], processor: Mapping[str, Any]) -> str:
    ecg, rate = config["ecg_config"], processor["feature_extractor"]["sampling_rate"]
    seconds = ecg["seq_length"] / rate
    return (
        f"{ecg['num_leads']} leads of {seconds:g} s at {rate:g} Hz as a signal, as a picture (a photo, a scan, or the page "
        f"that the processor draws in the layout `{processor['page_layout']}`), or both"
    )


__all__ = ["Energy", "Training", "model_card", "trainer_stages"]
