# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem convert` takes ids on the Hub wherever it takes folders; the Hub is a local stand-in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, constants
from safetensors.torch import load_file

from modeling_gem import GemEcgConfig, GemEcgModel
from modeling_gem.checkpoint_files import local_checkpoint
from modeling_gem.convert_gem import assemble_gem
from processing.errors_gem import CheckpointError
from tests.helpers.hub_server import WRITE_TOKEN, HubServer
from tests.modeling_gem.test_gem_parts import save_image_tower, save_language_model

ROOT = Path(__file__).resolve().parents[2]
GEM = ROOT / "tests/fixtures/original_f1/checkpoint/llava-gem-F1"
ECG = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    GemEcgModel(GemEcgConfig(**ECG)).save_pretrained(folder / "ecg")
    save_image_tower(folder / "clip", "clip")
    save_language_model(folder / "llama", "llama")
    return folder


@pytest.fixture(scope="module")
def hub(folder):
    """The parts and an original checkpoint, each with a folder that no conversion needs."""
    with HubServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        api = HfApi(endpoint=server.url, token=WRITE_TOKEN)
        for name, path in {
            "gem": GEM,
            "gem-clip": GEM.parents[1] / "clip_vit_tiny",
            **{part.name: part for part in folder.iterdir()},
        }.items():
            api.create_repo(f"tester/{name}")
            api.upload_folder(repo_id=f"tester/{name}", folder_path=path)
        api.upload_file(repo_id="tester/gem", path_in_repo="old/model.safetensors", path_or_fileobj=b"large")
        yield server


def convert(hub, tmp_path, *arguments, offline="0"):
    environment = {
        **os.environ,
        **hub.environment(tmp_path / "home"),
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": offline,
    }
    command = [sys.executable, "-W", "ignore", "-m", "recipes.cli", "convert", *map(str, arguments)]
    return subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_fresh_gem_from_three_ids(hub, folder, tmp_path):
    parts = ["--vision-tower", "tester/clip", "--language-model", "tester/llama@main"]
    done = convert(hub, tmp_path, "tester/ecg", tmp_path / "out", *parts)
    assert done.returncode == 0, done.stderr[-2000:]
    assemble_gem(folder / "ecg", folder / "clip", folder / "llama", tmp_path / "here")
    files = [load_file(tmp_path / name / "model.safetensors") for name in ("out", "here")]
    assert files[0].keys() == files[1].keys()
    assert all(torch.equal(tensor, files[1][name]) for name, tensor in files[0].items())
    again = convert(hub, tmp_path, "tester/ecg", tmp_path / "again", *parts, offline="1")
    assert again.returncode == 0, again.stderr[-2000:]


def test_an_original_checkpoint_by_its_id(hub, tmp_path):
    done = convert(hub, tmp_path, "tester/gem", tmp_path / "out", "--vision-tower", "tester/gem-clip")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "models--tester--gem" in done.stdout  # the report names the commit
    assert not list(tmp_path.rglob("old"))


@pytest.mark.parametrize("name", ["tester/absent", "tester/gem@no-such-branch"])
def test_what_the_hub_does_not_have_ends_in_one_line(hub, tmp_path, name):
    done = convert(hub, tmp_path, name, tmp_path / "out")
    assert done.returncode == 2 and done.stderr.startswith(
        f"error: {name}: not a folder, and it cannot be fetched from the Hub"
    )
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_folders_and_files_come_first(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert local_checkpoint(f"{folder.name}/clip") == Path(folder.name, "clip")
    assert local_checkpoint("a/b/c.pt") == Path("a/b/c.pt")  # no id, so the reader says that the file is absent
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        assemble_gem(folder / "ecg", tmp_path / "nowhere", folder / "llama", tmp_path / "out")
