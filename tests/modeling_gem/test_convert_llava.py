# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A LLaVA or PULSE checkpoint, which has no ECG tower, becomes a GEM to be trained with an ECG tower from elsewhere."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMultimodalLM, AutoProcessor

from modeling_gem.convert_gem import convert_original_checkpoint
from processing.errors_gem import CheckpointError

FIXTURE = Path(__file__).parents[1] / "fixtures" / "original_f1"
GEM = FIXTURE / "checkpoint" / "llava-gem-F1"
CLIP = FIXTURE / "clip_vit_tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The packaged GEM converted, its tower saved, and the same checkpoint as it was before it became a GEM."""
    folder = tmp_path_factory.mktemp("llava")
    convert_original_checkpoint(GEM, folder / "gem")
    model = AutoModelForMultimodalLM.from_pretrained(folder / "gem")
    model.model.ecg_tower.save_pretrained(folder / "tower")
    (folder / "llava").mkdir()
    for path in GEM.iterdir():
        (folder / "llava" / path.name).write_bytes(path.read_bytes())
    weights = load_file(GEM / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "ecg" not in name}
    assert 0 < len(kept) < len(weights)
    save_file(kept, folder / "llava" / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_everything_but_the_ecg_projector_is_what_the_gem_has(folder, tmp_path):
    report = convert_original_checkpoint(
        folder / "llava", tmp_path / "out", vision_tower=CLIP, ecg_encoder=folder / "tower"
    )
    assert report.new == ["model.ecg_projector"] and report.sources["ecg_tower"].endswith("tower")
    ours, gem = (load_file(path / "model.safetensors") for path in (tmp_path / "out", folder / "gem"))
    assert ours.keys() == gem.keys()
    different = {name for name in gem if not torch.equal(ours[name], gem[name])}
    assert different == {"model.ecg_projector.linear_1.weight", "model.ecg_projector.linear_1.bias"}
    assert all(ours[name].dtype == gem[name].dtype for name in gem)
    processors = [AutoProcessor.from_pretrained(path) for path in (tmp_path / "out", folder / "gem")]
    assert processors[0].chat_template == processors[1].chat_template and processors[0].compat == "gem"
    again = convert_original_checkpoint(
        folder / "llava", tmp_path / "again", vision_tower=CLIP, ecg_encoder=folder / "tower"
    )
    assert again.new and ours.keys() == load_file(tmp_path / "again" / "model.safetensors").keys()
    for name, tensor in load_file(tmp_path / "again" / "model.safetensors").items():
        assert torch.equal(tensor, ours[name])


def test_a_missing_or_surplus_tower_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"no ECG tower in this checkpoint.*--ecg-encoder"):
        convert_original_checkpoint(folder / "llava", tmp_path / "out")
    with pytest.raises(CheckpointError, match="has an ECG tower of its own"):
        convert_original_checkpoint(GEM, tmp_path / "out", vision_tower=CLIP, ecg_encoder=folder / "tower")
    assert not (tmp_path / "out").exists()
