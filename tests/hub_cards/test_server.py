# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Space as a public server: login, host names, turns, limits, messages, and how it stops."""

import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

gradio = pytest.importorskip("gradio", reason="the Space needs the extra `demo`")
from gradio_client import Client, handle_file  # noqa: E402

from hub_cards.space.gem_space import actions, guard  # noqa: E402
from hub_cards.space.gem_space.folder import ServerFolder  # noqa: E402
from hub_cards.space.gem_space.server import serve  # noqa: E402
from recipes.serving.hosts import own_names  # noqa: E402
from tests.helpers.space_client import SpaceClient  # noqa: E402

SAMPLES = Path(__file__).resolve().parents[2] / "processing" / "samples"
PAIR = [str(SAMPLES / f"normal.{suffix}") for suffix in ("hea", "dat")]
WAIT_S = 60  # for machines that have other things to do


@pytest.fixture
def endless(gem, monkeypatch):
    """Answers that would never end by themselves."""
    monkeypatch.setattr(gem.batcher._writing.network.generation_config, "eos_token_id", None)
    monkeypatch.setattr("hub_cards.space.gem_space.interpreter.MAX_NEW_TOKENS", 700)
    return gem


def until(true, seconds=WAIT_S):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_twenty_users_upload_the_same_file_at_once(server):
    def upload(_):
        user = Client(server[0], verbose=False)
        return user.predict([handle_file(path) for path in PAIR], api_name="/open_upload")[0]

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        said = list(pool.map(upload, range(20)))
    assert all("normal.hea" in status and "alert" not in status for status in said)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "", "127.0.0.1.evil.example", "[::1"])
def test_other_names_that_lead_here_are_refused(server, host):
    for path in ("/", "/config", "/gradio_api/queue/join"):
        assert SpaceClient(server[0], host=host or " ").call("GET", path)[0] in (400, 421)


def test_its_own_names_and_addresses_are_answered(server):
    for host in ("localhost:1", "127.0.0.1", "192.168.1.7:7860", "[::1]:7860", "LOCALHOST"):
        assert SpaceClient(server[0], host=host).call("GET", "/config")[0] == 200
    assert own_names("0.0.0.0", ["ecg.example"]) > {"ecg.example", "localhost"}


def test_no_route_bypasses_the_queue(server):
    for path in ("run", "api"):
        body = {"data": ["Both", "Mark"], "session_hash": "s"}
        assert SpaceClient(server[0]).call("POST", f"/gradio_api/{path}/interpret", body)[0] == 404


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("open_upload", [[{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]]),
        ("open_upload", [[{"path": "../../x", "meta": {"_type": "gradio.FileData"}}]]),
        ("open_upload", ["text"]),
        ("open_sample", ["../normal"]),
        ("open_sample", [{"a": 1}]),
        ("interpret", [None, "Mark"]),
        ("ask", [[1], "Both", "Mark"]),
        ("focus", []),
    ],
)
def test_refusals_explain_and_show_no_path(server, name, data):
    outcome = SpaceClient(server[0], session=name).outcome(name, *data)
    said = json.dumps(outcome["output"])
    assert outcome["success"] or len(outcome["output"]["error"]) > 20
    assert not re.search(r"/(tmp|etc|home|usr|work)\\b|Traceback|Errno", said.replace(json.dumps(data)[1:-1], ""))


def test_errors_are_explained(tmp_path):
    missing = FileNotFoundError(2, "No such file or directory", str(tmp_path))
    assert str(tmp_path) not in guard.in_words(missing) and "No such file" in guard.in_words(missing)
    assert guard.in_words(KeyError("x")) == guard.in_words(guard.GemError("")) == guard.FAILED


def test_every_step_has_a_deadline(server, monkeypatch):
    monkeypatch.setattr(guard, "STEP_S", 0.0)
    assert "No result within 0 s" in SpaceClient(server[0], "late").outcome("open_sample", "normal")["output"]["error"]
    monkeypatch.undo()
    monkeypatch.setattr(actions, "WITHIN_S", 0.0)
    said = SpaceClient(server[0], "late").outcome("open_sample", "normal")["output"]["data"][0]
    assert "No result within 0 s" in said and "alert" in said


def test_an_answer_ends_when_its_client_leaves(server, endless):
    visitor = SpaceClient(server[0], "leaver")
    visitor.outcome("open_sample", "normal")
    assert visitor.join("interpret", "Both", "Mark") == 200
    events = visitor.events()
    assert any("being written" in json.dumps(event) for event in events)
    assert until(lambda: endless.batcher.running)
    (answer,) = endless.batcher.running
    events.close()  # and with it the connection
    assert until(lambda: answer.cancelled) and not answer.latest.done
    assert until(lambda: not endless.batcher.running)


def test_one_client_with_many_sessions_does_not_hold_up_another(server, monkeypatch):
    """One client has eight sessions with eight clicks each. The sample and the answer of another client come in their turn."""
    greedy = [SpaceClient(server[0], f"greedy{number}") for number in range(8)]
    for visitor in greedy:
        visitor.outcome("open_sample", "normal")
    accepted = [visitor.join("interpret", "Both", "Mark") for visitor in greedy for _ in range(8)]
    other = SpaceClient(server[0], "other", address="127.0.0.2")
    assert "normal" in other.outcome("open_sample", "normal")["output"]["data"][0]
    assert "contradicted" in json.dumps(other.outcome("interpret", "Both", "Mark")["output"])
    said = [event for visitor in greedy for event in visitor.events() if event["msg"] == "process_completed"]
    assert accepted == [200] * 64 and len(said) == 64
    refused = [event for event in said if "of your requests are waiting" in json.dumps(event)]
    assert 0 < len(refused) < 64  # a session may have four in the line, and the refusal says so


def test_a_password_protects_every_route(gem, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # `serve` sets it; the other server's comes back
    folder = ServerFolder(tmp_path)
    app, url, _ = serve(gem, folder, password="sinus", prevent_thread_lock=True, quiet=True)
    try:
        stranger = SpaceClient(url)
        assert stranger.call("POST", "/gradio_api/upload", {})[0] == 401
        assert (
            stranger.call("POST", "/gradio_api/queue/join", {"data": [], "fn_index": 0, "session_hash": "s"})[0] == 401
        )
        assert "dependencies" not in stranger.call("GET", "/config")[1]
        with pytest.raises(Exception, match=r"(?i)login|credentials|auth|401|400"):
            Client(url, auth=("gem", "wrong"), verbose=False)
        user = Client(url, auth=("anybody", "sinus"), verbose=False)
        assert "normal" in user.predict("normal", api_name="/open_sample")[0]
    finally:
        app.get_blocks().close()
        folder.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_leaves_no_files(tmp_path, number):
    program = "import sys; sys.argv[0] = 'gem'; from recipes.cli import main; main()"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        command = [sys.executable, "-c", program, "demo", "--port", str(free.getsockname()[1])]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        url = next(found.group() for line in process.stdout if (found := re.search(r"http://\S+", line)))
        user = Client(url, verbose=False)
        assert "normal" in user.predict([handle_file(path) for path in PAIR], api_name="/open_upload")[0]
        assert list(tmp_path.rglob("normal.dat"))
        process.send_signal(number)
        try:
            process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
    left = {path.name for path in tmp_path.iterdir()} - {
        "gradio"
    }  # Gradio's import makes an empty folder for all servers
    assert not left and not [path for path in tmp_path.rglob("*") if path.is_file()]
