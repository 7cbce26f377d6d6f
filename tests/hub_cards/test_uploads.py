# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Uploads to the Space: limits while they arrive, what stays in memory, and that nothing stays on the disk."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hub_cards.space.gem_space.folder import LOCK, ServerFolder, sweep_dead
from hub_cards.space.gem_space.session import Session
from hub_cards.space.gem_space.store import SessionStore
from hub_cards.space.gem_space.uploads import MAX_UPLOAD_BYTES, MAX_VALUES, read_sample, read_upload, sample_names
from processing.errors_gem import GemError
from tests.helpers.ecg_files import microvolts, write_wfdb

SAMPLES = Path(__file__).resolve().parents[2] / "processing" / "samples"


@pytest.fixture
def pair(tmp_path):
    """A WFDB record, each file in a folder of its own, as Gradio stores uploads."""
    paths = []
    for suffix in ("dat", "hea"):
        folder = tmp_path / suffix
        folder.mkdir()
        paths.append(shutil.copy(SAMPLES / f"normal.{suffix}", folder))
    return [str(path) for path in paths]


@pytest.fixture
def folder(tmp_path):
    """The folder of a server, in which nothing but its lock is left."""
    parent = tmp_path / "servers"
    parent.mkdir()
    folder = ServerFolder(parent)
    yield folder
    assert [path.name for path in folder.path.rglob("*")] == [LOCK, "uploads"]
    folder.close()
    assert not list(folder.parent.iterdir())


def of_size(path, size):
    path.touch()
    with path.open("r+b") as file:
        file.truncate(size)  # takes no room
    return str(path)


def test_the_parts_of_a_record_are_read_together(pair, folder):
    upload = read_upload(pair, folder)
    assert upload.name == "normal.hea" and upload.record.duration == 10


@pytest.mark.parametrize("number", [3, 4, 5])
def test_up_to_four_files_are_an_upload(pair, number, tmp_path, folder):
    for name in range(number - 2):
        (tmp_path / f"{name}.txt").write_text("words")
        pair.append(str(tmp_path / f"{name}.txt"))
    if number <= 4:
        assert read_upload(pair, folder).name == "normal.hea"
    else:
        with pytest.raises(GemError, match="these are 5"):
            read_upload(pair, folder)


def test_no_file_is_no_upload(folder):
    with pytest.raises(GemError, match="these are 0"):
        read_upload([], folder)


@pytest.mark.parametrize(
    ("sizes", "refused"),
    [
        ([MAX_UPLOAD_BYTES + 1], True),
        ([MAX_UPLOAD_BYTES], False),
        ([1000, MAX_UPLOAD_BYTES - 999], True),  # together, whichever is the large one
        ([MAX_UPLOAD_BYTES - 999, 1000], True),
        ([1000, MAX_UPLOAD_BYTES - 1000], False),
        ([MAX_UPLOAD_BYTES // 4 + 1] * 4, True),
    ],
)
def test_all_files_together_have_20_mb_at_most(sizes, refused, tmp_path, folder):
    assert MAX_UPLOAD_BYTES == 20 * 1024 * 1024
    paths = [of_size(tmp_path / f"{number}.bin", size) for number, size in enumerate(sizes)]
    with pytest.raises(GemError) as error:  # within the limit they are read, and are not ECG
        read_upload(paths, folder)
    assert ("20,971,520 at most" in str(error.value)) == refused


@pytest.mark.parametrize(("seconds", "accepted"), [(60, True), (61, False)])
def test_records_of_a_minute_at_most(seconds, accepted, tmp_path, folder):
    header = write_wfdb(tmp_path, "long", microvolts(seconds=seconds))
    paths = [str(header), str(header.with_suffix(".dat"))]
    if accepted:
        assert read_upload(paths, folder).record.duration == seconds
    else:
        with pytest.raises(GemError, match="61 s; this demo reads up to 60 s"):
            read_upload(paths, folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.csv", b"hello"),
        ("flat.csv", b"I,II\n" + b"0,0\n" * 2000),
        ("page.png", b"\x89PNG\r\n\x1a\nbroken"),
        ("r.hea", b""),
    ],
)
def test_refused_uploads_leave_nothing(name, content, tmp_path, folder):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GemError):
        read_upload([str(tmp_path / name)], folder)


def test_samples_are_opened_by_name_only():
    assert {"normal", "atrial_fibrillation"} <= set(sample_names())
    assert read_sample("normal").record.duration == 10
    for name in ("../normal", "absent", str(SAMPLES / "normal")):
        with pytest.raises(GemError, match="no sample of this name"):
            read_sample(name)


def test_equal_uploads_are_one_file_that_each_of_their_users_reads(pair, folder):
    assert [read_upload(pair, folder).name for _ in range(3)] == ["normal.hea"] * 3
    Path(pair[0]).unlink()
    with pytest.raises(GemError, match=r"normal\.dat: the upload is no longer here"):
        read_upload(pair, folder)
    with pytest.raises(GemError, match=r"Two of the files are named normal\.hea"):
        read_upload([pair[1], pair[1]], folder)


def test_a_record_is_kept_at_1_khz_at_most(tmp_path, folder):
    header = write_wfdb(tmp_path, "fast", microvolts(seconds=10, rate=4000), rate=4000)
    record = read_upload([str(header), str(header.with_suffix(".dat"))], folder).record
    assert record.sampling_rate == 1000 and record.signal.shape[1] == 10_000
    assert any("1000 Hz" in note for note in record.history)


def test_a_session_has_a_million_values_at_most(tmp_path, folder):
    names = [f"lead{number}" for number in range(40)]
    values = np.random.default_rng(0).normal(size=(MAX_VALUES // 40 + 100, 40)).round(2)
    np.savetxt(tmp_path / "wide.csv", values, delimiter=",", fmt="%.2f", header=",".join(names), comments="")
    with pytest.raises(GemError) as error:
        read_upload([str(tmp_path / "wide.csv")], folder)
    assert str(tmp_path) not in str(error.value) and str(folder.path) not in str(error.value)


def test_unused_uploads_are_removed(tmp_path):
    folder = ServerFolder(tmp_path)
    for name, age in (("old.csv", 400), ("new.csv", 0)):
        (folder.uploads / name).write_text("1")
        os.utime(folder.uploads / name, (time.time() - age,) * 2)
    folder.sweep()
    assert [path.name for path in folder.uploads.iterdir()] == ["new.csv"]
    folder.close()
    assert not list(tmp_path.iterdir())


def test_a_server_removes_old_uploads_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("hub_cards.space.gem_space.folder.SWEEP_S", 0.05)
    monkeypatch.setattr("hub_cards.space.gem_space.folder.LEFTOVER_S", 0.1)
    folder = ServerFolder(tmp_path)
    (folder.uploads / "half.csv").write_text("1")
    deadline = time.time() + 30
    while (folder.uploads / "half.csv").exists() and time.time() < deadline:
        time.sleep(0.05)
    assert not (folder.uploads / "half.csv").exists()
    folder.close()


def test_folders_of_killed_servers_are_removed_and_those_of_running_ones_stay(tmp_path):
    program = (
        "import sys; from pathlib import Path; from hub_cards.space.gem_space.folder import ServerFolder\n"
        "folder = ServerFolder(Path(sys.argv[1])); (folder.uploads / 'a.csv').write_text('1')\n"
        "print(folder.path, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        path = Path(server.stdout.readline().strip())
        stranger = tmp_path / "gem-space-new"  # of a server that is about to lock it
        stranger.mkdir()
        sweep_dead(tmp_path)
        assert (path / "uploads" / "a.csv").exists() and stranger.exists()
        server.kill()
        server.wait()
    assert path.exists()
    os.utime(stranger, (time.time() - 100,) * 2)
    sweep_dead(tmp_path)
    assert not path.exists() and not stranger.exists()


def test_sessions_are_bounded_in_bytes_and_time(monkeypatch):
    store = SessionStore(max_bytes=100)
    for name in ("a", "b", "c"):
        store.put(name, Session(size=40))
        store.get("a")
    assert store.size == 80 and store.get("b").size == 0 and store.get("a").size == store.get("c").size == 40
    store.put("large", Session(size=1000))  # has been let in; alone it may stay
    assert store.size == 1000
    monkeypatch.setattr("hub_cards.space.gem_space.store.KEPT_S", -1)
    assert store.get("large").size == 0 and store.size == 0
