# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What is published on a Hub can be loaded from it by others; failures on the way are reported in plain messages."""

import errno
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Array2D, Dataset, DatasetDict, Features, Image, List, Value
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image as PILImage
from safetensors import safe_open
from typer.testing import CliRunner

import modeling_gem
from processing.errors_gem import PublishError
from recipes.cli import publish
from recipes.dataset.card import dataset_card
from recipes.publishing import model_card
from recipes.publishing.plan import plan_dataset, plan_model, plan_space
from recipes.publishing.upload import upload
from tests.helpers.hub_server import READ_TOKEN, WRITE_TOKEN, HubServer
from tests.helpers.tiny_gem import tiny_config, tiny_model, tiny_processor

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "processing" / "samples" / "normal.hea"

STRANGER = """
import importlib.util, json, sys
root, sample = sys.argv[1:3]
sys.path = [path for path in sys.path if path.rstrip("/") != root]
sys.path_importer_cache.clear()
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__ + repr(finder)]
assert all(importlib.util.find_spec(name) is None for name in ("modeling_gem", "processing", "recipes"))

from datasets import load_dataset
from transformers import AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor, pipeline

classes = [
    type(auto.from_pretrained("tester/model", trust_remote_code=True)).__name__
    for auto in (AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoProcessor)
]
interpret = pipeline(model="tester/model", trust_remote_code=True, dtype="float32")
text = interpret(sample, max_new_tokens=24, do_sample=False)["generated_text"]
data = load_dataset("tester/data")
streamed = next(iter(load_dataset("tester/data", split="test", streaming=True)))
row = data["train"][1]
print("SEEN " + json.dumps({
    "classes": classes, "text": text, "rows": {name: len(split) for name, split in data.items()},
    "signal": row["signal"], "picture": row["image"].size, "messages": row["messages"], "streamed": streamed["id"],
}))
"""


def records(count: int, folder: Path) -> Dataset:
    """Rows in the published schema; the picture of one is named by a path, as builders do."""
    PILImage.new("RGB", (30, 20), "white").save(folder / "page.png")
    rng = np.random.default_rng(0)
    rows = [
        {
            "id": f"r{i}",
            "source": "ptbxl",
            "signal": rng.integers(-2000, 2000, (12, 50), dtype=np.int16),
            "gain": 1000.0,
            "image": str(folder / "page.png"),
            "messages": [{"role": "user", "content": "Interpret."}, {"role": "assistant", "content": f"Answer {i}."}],
        }
        for i in range(count)
    ]
    features = Features(
        {
            "id": Value("string"),
            "source": Value("string"),
            "signal": Array2D((12, 50), "int16"),
            "gain": Value("float32"),
            "image": Image(),
            "messages": List({"role": Value("string"), "content": Value("string")}),
        }
    )
    return Dataset.from_list(rows, features=features)


def tables(folder: Path, count: int = 4) -> Path:
    """A folder of Parquet shards with different contents."""
    folder.mkdir()
    for i in range(count):
        table = pa.table({"id": [f"{i}"], "signal": [np.random.default_rng(i).bytes(50_000)]})
        pq.write_table(table, folder / f"train-{i:05d}-of-{count:05d}.parquet")
    return folder


def stage(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / f"stage-{name}"
    folder.mkdir()
    return folder


def dataset_plan(folder: Path, tmp_path: Path, name: str = "data"):
    return plan_dataset(folder, stage(tmp_path, name), lambda path: dataset_card(path, licence="cc-by-4.0"))


def client(hub: HubServer, token: str | None = WRITE_TOKEN) -> HfApi:
    return HfApi(endpoint=hub.url, token=token)


@pytest.fixture(autouse=True)
def no_xet_and_no_waiting(monkeypatch):
    """Xet is off unless a test turns it on; retries do not wait."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


@pytest.mark.parametrize("protocol", ["lfs", "xet"])
def test_strangers_load_what_was_published(protocol, tmp_path, monkeypatch):
    """The embedded model over Xet, a random one and LFS: model, processor, code, pipeline and data from fresh processes."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", protocol == "lfs")
    model = modeling_gem.default_checkpoint() if protocol == "xet" else tmp_path / "model"
    if protocol == "lfs":
        config = tiny_config()
        tiny_model(config).save_pretrained(model)
        tiny_processor(config).save_pretrained(model)
    data = records(5, tmp_path)
    DatasetDict({"train": data, "test": data.select([4])}).save_to_disk(tmp_path / "data")
    with HubServer(tmp_path / "cas" if protocol == "xet" else None) as hub:
        plan = plan_model(model, stage(tmp_path, "model"), lambda path: model_card.model_card(path, name="m"))
        upload(plan, "tester/model", api=client(hub))
        upload(dataset_plan(tmp_path / "data", tmp_path), "tester/data", api=client(hub))
        assert len(hub.repos["model", "tester/model"].branches["main"]) == 2  # the empty one and ours
        assert bool(hub.received) == (protocol == "lfs")  # through Xet nothing large passes the Hub itself
        script = tmp_path / "stranger.py"
        script.write_text(STRANGER)
        environment = {**os.environ, **hub.environment(tmp_path / "home"), "PYTHONPATH": "", "HF_HUB_OFFLINE": "0"}
        run = subprocess.run(
            [sys.executable, "-W", "ignore", str(script), str(ROOT), str(SAMPLE)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=600,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-3000:]
        assert not [request for request in hub.unknown if "tester/" in request]
    seen = json.loads(run.stdout.split("SEEN ", 1)[1])
    from transformers import pipeline

    local = pipeline(modeling_gem.GEM_TASK, model=str(model), dtype="float32")
    assert seen["text"] == local(str(SAMPLE), max_new_tokens=24, do_sample=False)["generated_text"]
    assert seen["classes"] == [
        "GemModel",
        "GemForConditionalGeneration",
        "GemForConditionalGeneration",
        "GemProcessor",
    ]
    assert seen["rows"] == {"train": 5, "test": 1}
    # Ids of a folder's files may name patients: what is published are hashes.
    assert re.fullmatch("[0-9a-f]{16}", seen["streamed"])
    assert seen["signal"] == data[1]["signal"] and seen["picture"] == [30, 20]
    assert seen["messages"] == data[1]["messages"]


def test_the_source_folder_is_not_touched(tmp_path):
    checkpoint = modeling_gem.default_checkpoint()
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()}
    plan = plan_model(checkpoint, stage(tmp_path, "model"), lambda path: model_card.model_card(path))
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.is_file()} == before
    assert "auto_map" in json.loads(plan.files["config.json"].read_text())
    assert {"modeling_gem.py", "processing_gem.py", "README.md", "model.safetensors"} <= set(plan.files)


def test_large_weights_become_shards(tmp_path):
    checkpoint = modeling_gem.default_checkpoint()
    plan = plan_model(checkpoint, stage(tmp_path, "model"), lambda path: model_card.model_card(path), "7MB")
    shards = [name for name in plan.files if name.endswith(".safetensors")]
    assert len(shards) >= 3 and "model.safetensors" not in plan.files
    index = json.loads(plan.files["model.safetensors.index.json"].read_text())["weight_map"]
    with safe_open(checkpoint / "model.safetensors", framework="np") as source:
        whole = set(source.keys())
    assert set(index) == whole and set(index.values()) == set(shards)
    assert max(plan.files[name].stat().st_size for name in shards) < 7.1e6
    loaded = modeling_gem.GemForConditionalGeneration.from_pretrained(plan.files["config.json"].parent)
    expected = modeling_gem.GemForConditionalGeneration.from_pretrained(checkpoint)
    pairs = zip(loaded.state_dict().values(), expected.state_dict().values(), strict=True)
    assert all(bool((a == b).all()) for a, b in pairs)


def test_missing_disk_space_is_reported_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(PublishError, match=r"0\.0 GB are free.*TMPDIR"):
        plan_model(modeling_gem.default_checkpoint(), stage(tmp_path, "model"), model_card.model_card, "5MB")


def test_leftovers_of_training_stay_and_other_pickles_stop(tmp_path):
    config = tiny_config()
    tiny_model(config).save_pretrained(tmp_path / "out")
    tiny_processor(config).save_pretrained(tmp_path / "out")
    for name in ("training_args.bin", "checkpoint-5/optimizer.pt", ".env"):
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_bytes(b"\x80\x04.")
    plan = plan_model(tmp_path / "out", stage(tmp_path, "a"), model_card.model_card)
    assert plan.left_out == [".env", "checkpoint-5/optimizer.pt", "training_args.bin"]
    (tmp_path / "out" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(PublishError, match=r"pytorch_model\.bin: a pickle"):
        plan_model(tmp_path / "out", stage(tmp_path, "b"), model_card.model_card)


def test_an_incomplete_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PublishError, match="no \\*\\.safetensors"):
        plan_model(tmp_path, stage(tmp_path, "a"), model_card.model_card)


def test_an_interrupted_upload_goes_on_where_it_stopped(hub, tmp_path):
    plan = dataset_plan(tables(tmp_path / "data", 8), tmp_path)
    hub.fault = lambda method, path: "drop" if len(hub.received) >= 3 else None
    with pytest.raises(PublishError, match=r"what has arrived is not sent again"):
        upload(plan, "tester/data", api=client(hub))
    arrived = list(hub.received)
    assert 3 <= len(arrived) < 8 and hub.files("dataset", "tester/data") == {}
    hub.__exit__()
    hub.fault = lambda method, path: None
    with hub:  # the same port, a new server
        upload(plan, "tester/data", api=client(hub))
        assert len(hub.received) == 8 and len(set(hub.received)) == 8
        assert set(hub.files("dataset", "tester/data")) == set(plan.files)
        before = len(hub.requests)
        upload(plan, "tester/data", api=client(hub))  # nothing is new: no commit
        assert len(hub.repos["dataset", "tester/data"].branches["main"]) == 2
        assert not [request for request in hub.requests[before:] if request.startswith("PUT")]


def test_shards_that_are_gone_do_not_stay_on_the_hub(hub, tmp_path):
    upload(dataset_plan(tables(tmp_path / "four"), tmp_path, "4"), "tester/data", api=client(hub))
    client(hub).upload_file(
        path_or_fileobj=b"mine", path_in_repo="notes.txt", repo_id="tester/data", repo_type="dataset"
    )
    upload(dataset_plan(tables(tmp_path / "two", 2), tmp_path, "2"), "tester/data", api=client(hub))
    files = hub.files("dataset", "tester/data")
    assert sorted(name for name in files if name.endswith(".parquet")) == [
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    ]
    assert files["notes.txt"] == b"mine"


def test_branches_and_private_repositories(hub, tmp_path):
    plan = dataset_plan(tables(tmp_path / "data", 1), tmp_path)
    upload(plan, "tester/data", api=client(hub), private=True, revision="v2")
    assert hub.files("dataset", "tester/data") == {} and set(hub.files("dataset", "tester/data", "v2")) == set(
        plan.files
    )
    where = {"repo_id": "tester/data", "filename": "README.md", "repo_type": "dataset", "revision": "v2"}
    with pytest.raises(HfHubHTTPError, match="401"):
        hf_hub_download(**where, endpoint=hub.url, token=False, cache_dir=tmp_path / "a")
    path = hf_hub_download(**where, endpoint=hub.url, token=READ_TOKEN, cache_dir=tmp_path / "b")
    assert "license: cc-by-4.0" in Path(path).read_text()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ((401, "whoami"), "hf auth login"),
        ((403, "/commit/"), "write access"),
        ((409, "/commit/"), "somebody else changed"),
        ((412, "/commit/"), "somebody else changed"),
        ((413, "/lfs/"), "max-shard-size"),
        ((429, "/preupload/"), "slow down"),
        ((500, "/commit/"), "run the same command again"),
        ((507, "/commit/"), "storage of this namespace is full"),
    ],
)
def test_answers_of_the_hub_are_explained(hub, tmp_path, fault, words):
    plan = dataset_plan(tables(tmp_path / "data", 1), tmp_path)
    status, where = fault
    hub.fault = lambda method, path: status if where in path else None
    with pytest.raises(PublishError, match="(?i)" + words):
        upload(plan, "tester/data", api=client(hub))
    assert not any(hub.files(*key) for key in hub.repos)


def test_no_login_a_read_token_and_a_strange_namespace(hub, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    plan = dataset_plan(tables(tmp_path / "data", 1), tmp_path)
    for token, repo, words in (
        (None, "tester/data", "hf auth login"),
        ("hf_wrong", "tester/data", "hf auth login"),
        (READ_TOKEN, "tester/data", "write access"),
        (WRITE_TOKEN, "others/data", "write access"),
        (WRITE_TOKEN, "not a name", "name/repository"),
    ):
        with pytest.raises(PublishError, match=words):
            upload(plan, repo, api=client(hub, token))
    assert hub.repos == {}


def test_a_full_disk_and_no_server(hub, tmp_path, monkeypatch):
    plan = dataset_plan(tables(tmp_path / "data", 1), tmp_path)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(HfApi, "create_commit", full)
    with pytest.raises(PublishError, match="disk is full"):
        upload(plan, "tester/data", api=client(hub))
    with pytest.raises(PublishError, match="connection to the Hub broke"):
        upload(plan, "tester/data", api=HfApi(endpoint="http://127.0.0.1:9", token=WRITE_TOKEN))


def test_the_command(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    run = CliRunner()
    folder = tables(tmp_path / "data", 2)
    arguments = ["dataset", str(folder), "tester/data", "--license", "cc-by-4.0"]
    shown = run.invoke(publish.app, [*arguments, "--dry-run"])
    assert shown.exit_code == 0 and hub.repos == {}
    assert "train-00001-of-00002.parquet" in shown.output and "license: cc-by-4.0" in shown.output
    assert f"{(folder / 'train-00000-of-00002.parquet').stat().st_size:,}" in shown.output
    sent = run.invoke(publish.app, [*arguments, "--private"])
    assert sent.exit_code == 0, sent.output
    assert hub.repos["dataset", "tester/data"].private and "3 files" in sent.output


def test_a_model_from_mimic_needs_the_flag(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    config = tiny_config()
    tiny_model(config).save_pretrained(tmp_path / "model")
    tiny_processor(config).save_pretrained(tmp_path / "model")
    arguments = ["model", str(tmp_path / "model"), "tester/m", "--dataset", "MIMIC-IV-ECG"]
    refused = CliRunner().invoke(publish.app, arguments)
    assert isinstance(refused.exception, PublishError) and "--allow-credentialed" in str(refused.exception)
    allowed = CliRunner().invoke(publish.app, [*arguments, "--allow-credentialed"])
    assert allowed.exit_code == 0, allowed.output
    assert b"PhysioNet" in hub.files("model", "tester/m")["README.md"]


def test_a_space_brings_the_packages_that_it_imports(hub, tmp_path):
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "app.py").write_text("from modeling_gem import load_ecg\n")
    with pytest.raises(PublishError, match=r"README\.md"):
        plan_space(folder, stage(tmp_path, "a"))
    (folder / "README.md").write_text("---\ntitle: GEM\nsdk: gradio\nsdk_version: 5.0.0\napp_file: main.py\n---\n")
    with pytest.raises(PublishError, match=r"main\.py"):
        plan_space(folder, stage(tmp_path, "b"))
    (folder / "README.md").write_text("---\ntitle: GEM\nsdk: gradio\nsdk_version: 5.0.0\napp_file: app.py\n---\n")
    plan = plan_space(folder, stage(tmp_path, "c"))
    assert {"app.py", "modeling_gem/__init__.py", "processing/ecg_page.py", "recipes/cli/__init__.py"} <= set(
        plan.files
    )
    assert "modeling_gem/checkpoints/gem-ecg-tiny/model.safetensors" in plan.files
    assert not [name for name in plan.files if "__pycache__" in name]
    upload(plan, "tester/space", api=client(hub))
    assert set(hub.files("space", "tester/space")) == set(plan.files)
    (folder / "app.py").write_text("print(1)\n")
    assert set(plan_space(folder, stage(tmp_path, "d")).files) == {"app.py", "README.md"}


def test_the_projects_own_space_is_complete(tmp_path):
    plan = plan_space(ROOT / "hub_cards" / "space", stage(tmp_path, "a"))
    assert {"app.py", "requirements.txt", "modeling_gem/__init__.py", "hub_cards/model_card.md"} <= set(plan.files)
    assert plan.metadata["sdk"] == "gradio" and not [name for name in plan.files if name.startswith("hub_cards/space")]


def test_the_space_requires_what_the_package_requires():
    """Under the same limits; modules of transformers itself are left alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    space = set((ROOT / "hub_cards" / "space" / "requirements.txt").read_text().split())
    brought = ("huggingface_hub", "tokenizers")
    assert not {line for line in project if not line.startswith(brought)} - space


STARTED_SPACE = """
import os, runpy, sys, threading
sys.path[:] = [os.getcwd(), *(path for path in sys.path if path.rstrip("/") not in (os.getcwd(), sys.argv[1]))]
import modeling_gem, processing
assert all(module.__file__.startswith(os.getcwd()) for module in (modeling_gem, processing))
runpy.run_path("app.py", run_name="__main__")
"""


def test_the_projects_own_space_starts_from_what_was_published(hub, tmp_path):
    pytest.importorskip("gradio", reason="the Space needs the extra `demo`")
    from gradio_client import Client

    plan = plan_space(ROOT / "hub_cards" / "space", stage(tmp_path, "a"))
    upload(plan, "tester/space", api=client(hub))
    folder = tmp_path / "as-the-hub-holds-it"
    for name, content in hub.files("space", "tester/space").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "GRADIO_SERVER_PORT": port, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-c", STARTED_SPACE, str(ROOT)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        user = None
        while user is None:
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            try:
                user = Client(f"http://127.0.0.1:{port}", verbose=False)
            except (OSError, ValueError, httpx.HTTPError):
                time.sleep(0.5)
        status, *_ = user.predict("normal", api_name="/open_sample")
        assert "normal" in status and "alert" not in status
        talk, *_ = user.predict("Signal only", "Mark", api_name="/interpret")
        assert "Sinus rhythm" in talk
    finally:
        process.terminate()
        process.wait()
