# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Model folders that cannot be used: one sentence that names the folder, no traceback of a library, and no code that runs."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from modeling_gem import default_checkpoint
from processing.errors_gem import CheckpointError
from recipes.models import load_gem, load_pipeline
from recipes.training.adapter import merge_adapter

CONFIG = "config.json"


class _WritesAFile:
    """What a hostile pickle does: it calls something when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": _WritesAFile(folder / "ran")}, folder / "pytorch_model.bin")


def _old_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": _WritesAFile(folder / "ran")}, protocol=2))


def _cut_archive(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(10)}, folder / "pytorch_model.bin")
    whole = (folder / "pytorch_model.bin").read_bytes()
    assert zipfile.is_zipfile(folder / "pytorch_model.bin")
    (folder / "pytorch_model.bin").write_bytes(whole[: len(whole) // 2])


def _of_another_shape(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config["text_config"]["hidden_size"] *= 2
    (folder / CONFIG).write_text(json.dumps(config))


def _with(name: str, content: str):
    def change(folder: Path) -> None:
        assert (folder / name).is_file()
        (folder / name).write_text(content)

    return change


DAMAGES = {
    "pickle": (_pickle, "safetensors"),
    "old pickle": (_old_pickle, "safetensors"),
    "cut archive": (_cut_archive, "cannot be loaded"),
    "cut weights": (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 5000), "SafetensorError"),
    "another shape": (_of_another_shape, "cannot be loaded"),
    "tokenizer": (_with("tokenizer.json", '{"a": 1}'), "cannot be loaded"),
    "processor": (_with("processor_config.json", "[]"), "cannot be loaded"),
    "another model": (_with(CONFIG, '{"model_type": "gpt2"}'), "cannot be loaded"),
    "template that reaches out": (
        _with("chat_template.jinja", "{{ ''.__class__.__mro__[1].__subclasses__() }}"),
        "chat template cannot be used .SecurityError",
    ),
    "template cut off": (_with("chat_template.jinja", "{% for x in messages %}"), "TemplateSyntaxError"),
}


@pytest.mark.parametrize("load", [load_gem, load_pipeline])
@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=DAMAGES)
def test_unusable_models_raise_our_errors(tmp_path, load, damage, told):
    folder = tmp_path / "model"
    shutil.copytree(default_checkpoint(), folder, copy_function=shutil.copyfile)
    damage(folder)
    with pytest.raises(CheckpointError, match=told) as caught:
        load(folder)
    assert str(caught.value).startswith(str(folder)) and "\n" not in str(caught.value)
    assert not (folder / "ran").exists()


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such folder"):
        load_gem(tmp_path / "nowhere")


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises((OSError, CheckpointError), match=str(tmp_path)):
        load_gem(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("adapter_config.json", "{"), ("adapter_config.json", "{}"), ("adapter_model.safetensors", "xx")],
)
def test_a_damaged_adapter_is_an_error_of_ours(tmp_path, name, content):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    settings = {
        "peft_type": "LORA",
        "base_model_name_or_path": str(default_checkpoint()),
        "target_modules": ["q_proj"],
    }
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    (adapter / name).write_text(content)
    with pytest.raises(CheckpointError):
        merge_adapter(adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
