# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Uploads to the Space: how many, how large and how long they may be, and that nothing of them stays on the disk."""

import shutil
from pathlib import Path

import pytest

from hub_cards.space.gem_space.uploads import MAX_UPLOAD_BYTES, read_sample, read_upload, sample_names
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


def left(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


def of_size(path, size):
    path.touch()
    with path.open("r+b") as file:
        file.truncate(size)  # takes no room
    return str(path)


def test_the_parts_of_a_record_are_read_together_and_deleted(pair, tmp_path):
    upload = read_upload(pair)
    assert upload.name == "normal.hea" and upload.record.duration == 10 and not left(tmp_path)


@pytest.mark.parametrize("number", [3, 4, 5])
def test_up_to_four_files_are_an_upload(pair, number, tmp_path):
    for name in range(number - 2):
        (tmp_path / f"{name}.txt").write_text("words")
        pair.append(str(tmp_path / f"{name}.txt"))
    if number <= 4:
        assert read_upload(pair).name == "normal.hea"
    else:
        with pytest.raises(GemError, match="these are 5"):
            read_upload(pair)
    assert not left(tmp_path)


def test_no_file_is_no_upload():
    with pytest.raises(GemError, match="these are 0"):
        read_upload([])


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
def test_all_files_together_have_20_mb_at_most(sizes, refused, tmp_path):
    assert MAX_UPLOAD_BYTES == 20 * 1024 * 1024
    paths = [of_size(tmp_path / f"{number}.bin", size) for number, size in enumerate(sizes)]
    with pytest.raises(GemError) as error:  # within the limit they are read, and are no ECG
        read_upload(paths)
    assert ("20,971,520 at most" in str(error.value)) == refused
    assert not left(tmp_path)


@pytest.mark.parametrize(("seconds", "accepted"), [(60, True), (61, False)])
def test_records_of_a_minute_at_most(seconds, accepted, tmp_path):
    header = write_wfdb(tmp_path, "long", microvolts(seconds=seconds))
    paths = [str(header), str(header.with_suffix(".dat"))]
    if accepted:
        assert read_upload(paths).record.duration == seconds
    else:
        with pytest.raises(GemError, match="61 s; this demo reads up to 60 s"):
            read_upload(paths)
    assert not left(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.csv", b"hello"),
        ("flat.csv", b"I,II\n" + b"0,0\n" * 2000),
        ("page.png", b"\x89PNG\r\n\x1a\nbroken"),
        ("r.hea", b""),
    ],
)
def test_refused_uploads_leave_nothing(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GemError):
        read_upload([str(tmp_path / name)])
    assert not left(tmp_path)


def test_samples_by_name_alone():
    assert {"normal", "atrial_fibrillation"} <= set(sample_names())
    assert read_sample("normal").record.duration == 10
    for name in ("../normal", "absent", str(SAMPLES / "normal")):
        with pytest.raises(GemError, match="no sample of this name"):
            read_sample(name)
