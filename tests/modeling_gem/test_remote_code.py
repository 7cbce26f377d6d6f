# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A published folder works for someone who has Transformers and not this package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from processing.errors_gem import CheckpointError
from recipes.publishing.remote_code import add_remote_code
from tests.helpers.tiny_gem import signal, tiny_config, tiny_model, tiny_processor

ROOT = Path(__file__).resolve().parents[2]

STRANGER = """
import importlib.util, json, sys
root, folder = sys.argv[1:3]
sys.path = [path for path in sys.path if path.rstrip("/") != root]
sys.path_importer_cache.clear()
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__ + repr(finder)]
assert all(importlib.util.find_spec(name) is None for name in ("modeling_gem", "processing", "recipes"))

import numpy as np, torch
from transformers import (AutoConfig, AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor,
                          pipeline)

try:
    AutoConfig.from_pretrained(folder)
except ValueError as error:
    assert "trust_remote_code=True" in str(error)
else:
    raise AssertionError("remote code ran without being trusted")

trust = {"trust_remote_code": True}
assert type(AutoConfig.from_pretrained(folder, **trust)).__name__ == "GemConfig"
assert type(AutoModel.from_pretrained(folder, **trust)).__name__ == "GemModel"
processor = AutoProcessor.from_pretrained(folder, **trust)
signal = np.load(folder + "/signal.npy")
chat = [{"role": "user", "content": [{"type": "ecg", "ecg": signal, "sampling_rate": 500},
                                     {"type": "text", "text": "Interpret this ECG."}]}]
inputs = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True,
                                       return_tensors="pt")
answers = {}
for auto in (AutoModelForMultimodalLM, AutoModelForImageTextToText):
    model = auto.from_pretrained(folder, **trust).eval()
    with torch.no_grad():
        answers[auto.__name__] = model(**inputs).logits[0, -1].tolist()
for task in (None, "ecg-text-to-text"):
    interpret = pipeline(task, model=folder, max_new_tokens=5, **trust)
    assert type(interpret).__name__ == "GemPipeline"
    answers[str(task)] = interpret(signal, sampling_rate=500)["generated_text"]
    measured = interpret(signal, sampling_rate=500, return_measurements=True, return_page=True)
    assert measured["measurements"] is not None and measured["page"].size[0] > 0
    assert measured["grounding"] == "off (install gem-ecg to check)" and "claims" not in measured
# The folder that a pipeline of remote code saves is such a folder again.
interpret.save_pretrained(folder + "/again")
again = pipeline("ecg-text-to-text", model=folder + "/again", max_new_tokens=5, **trust)
answers["saved again"] = again(signal, sampling_rate=500)["generated_text"]
print("ANSWERS " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    config = tiny_config()
    tiny_model(config).save_pretrained(folder)
    tiny_processor(config).save_pretrained(folder)
    add_remote_code(folder)
    np.save(folder / "signal.npy", signal())
    return folder


def test_a_stranger_loads_everything(published, tmp_path):
    script = tmp_path / "stranger.py"
    script.write_text(STRANGER)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(ROOT), str(published)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    answers = json.loads(run.stdout.split("ANSWERS ", 1)[1])

    model, processor = tiny_model(), tiny_processor()
    content = [{"type": "ecg", "ecg": signal(), "sampling_rate": 500}, {"type": "text", "text": "Interpret this ECG."}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    expected = model(**inputs).logits[0, -1].tolist()
    for auto in ("AutoModelForMultimodalLM", "AutoModelForImageTextToText"):
        np.testing.assert_allclose(answers[auto], expected, rtol=1e-4, atol=1e-5)
    assert answers["None"] == answers["ecg-text-to-text"] == answers["saved again"]
    # Transformers copied what it follows from the entry files: a model carries these files and no other.
    followed = {path.name for path in (tmp_path / "modules").rglob("*.py")} - {"__init__.py"}
    assert followed == {path.name for path in published.glob("*.py")}


def test_saving_again_keeps_the_code_maps_out_of_ordinary_folders(published, tmp_path):
    tiny_model().save_pretrained(tmp_path)
    assert "auto_map" not in json.loads((tmp_path / "config.json").read_text())
    assert "auto_map" in json.loads((published / "config.json").read_text())


def test_weights_are_untouched(published):
    before = {name: tensor.copy() for name, tensor in load_file(published / "model.safetensors").items()}
    add_remote_code(published)
    after = load_file(published / "model.safetensors")
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_only_complete_folders_can_be_published(tmp_path):
    save_file({"x": np.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        add_remote_code(tmp_path)
