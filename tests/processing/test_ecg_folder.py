# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Which files of a folder are records, and what is said of the others."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from processing.folders.listing import ecg_folder, left_out_in_words
from tests.helpers.ecg_files import LEADS, dicom_bytes, microvolts, write_wfdb
from tests.helpers.shared_data import shared_path

COUNTS = microvolts()
ROWS = [[f"{value / 1000:.3f}" for value in row] for row in COUNTS.T[:1000]]


def table(separator: str = ",", head: bool = True) -> str:
    rows = [list(LEADS), *ROWS] if head else ROWS
    return "".join(f"{separator.join(row)}\n" for row in rows)


def named(folder: Path, pictures: bool = False) -> tuple[list[str], dict[str, str]]:
    found = ecg_folder(folder, pictures)
    return [path.relative_to(folder).as_posix() for path in found.records], found.left_out_in(folder)


def test_a_wfdb_record_hides_no_table(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "normal", COUNTS)
    (tmp_path / "deep").mkdir()
    for name, separator in {
        "a.csv": ",",
        "c.tsv": "\t",
        "b.txt": " ",
        "d.asc": ";",
        "plain": ",",
        "deep/e.csv": ",",
    }.items():
        (tmp_path / name).write_text(table(separator))
    (tmp_path / "k.csv.gz").write_bytes(gzip.compress(table().encode()))
    (tmp_path / "IM0001").write_bytes(dicom_bytes(COUNTS))
    expected = ["IM0001", "a.csv", "b.txt", "c.tsv", "d.asc", "deep/e.csv", "k.csv.gz", "normal.hea", "plain"]
    assert named(tmp_path) == (expected, {})
    for path in ecg_folder(tmp_path).records[1:]:
        assert load_ecg(path, sampling_rate=500).leads == tuple(LEADS)


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_numbers_without_names_are_a_record_if_they_run_like_a_signal(tmp_path: Path, separator: str) -> None:
    (tmp_path / "columns.txt").write_text(table(separator, head=False))
    (tmp_path / "rows.txt").write_text("".join(f"{separator.join(f'{value:g}' for value in row)}\n" for row in COUNTS))
    (tmp_path / "one.txt").write_text("".join(f"{row[0]}\n" for row in ROWS))
    noise = np.random.default_rng(0).integers(0, 90, (400, 4)).astype(str)
    (tmp_path / "visits.txt").write_text("".join(f"{separator.join(row)}\n" for row in noise))
    (tmp_path / "numbers.txt").write_text("".join(f"{number}\n" for number in range(100, 400)))
    records, left_out = named(tmp_path)
    assert records == ["columns.txt", "one.txt", "rows.txt"]
    assert list(left_out) == ["numbers.txt", "visits.txt"] and "runs like a signal" in left_out["visits.txt"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("RECORDS", "a\nb\n", "a list or notes of a data set"),
        ("ptbxl_database.csv", "ecg_id,age\n1,50\n", "a list or notes of a data set"),
        ("labels.csv", "id,label\n" + "".join(f"{n},{n * 7 % 5}\n" for n in range(300)), "runs like a signal"),
        ("people.csv", "name,age\n" + "".join(f"p{n},{n % 90}\n" for n in range(300)), "runs like a signal"),
        ("notes.txt", "Nothing was found.\n", "without lines of numbers"),
        ("empty.txt", "", "no ECG by its name"),
        ("data.json", "{}", "no ECG by its name"),
        ("lost.dat", "\0\1", "without its header"),
        ("answers.parquet", "PAR1", "a data set needs a folder of its own"),
        ("w.csv", table(), "of the same name"),
        ("w.txt", "a note", "of the same name"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_said(tmp_path: Path, name: str, content: str, reason: str) -> None:
    write_wfdb(tmp_path, "w", COUNTS)
    (tmp_path / "w.atr").write_bytes(b"\0\0")
    (tmp_path / name).write_text(content)
    records, left_out = named(tmp_path)
    assert records == ["w.hea"] and list(left_out) == [name] and reason in left_out[name]


@pytest.mark.parametrize("content", [b"", b"I,II,III\nx,y,z\n", b"\0\0\1", b"\x1f\x8b\x08broken"])
def test_a_broken_table_is_a_record_that_fails(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.csv").write_bytes(content)
    assert named(tmp_path) == (["broken.csv"], {})


def test_pictures_are_taken_where_they_are_read(tmp_path: Path) -> None:
    render_ecg(load_ecg(COUNTS / 1000, sampling_rate=500)).save(tmp_path / "page.png")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "copy.csv").write_text(table())
    assert named(tmp_path) == ([], {"page.png": "a picture; name it alone"})
    assert named(tmp_path, pictures=True) == (["page.png"], {})


def test_published_folders_give_their_records_alone() -> None:
    records, left_out = named(shared_path("data/ptbxl_wfdb"))
    assert len(records) == 48 and {Path(record).suffix for record in records} == {".hea"}
    assert list(left_out) == ["LICENSE.txt", "ptbxl_database.csv", "scp_statements.csv"]
    records, left_out = named(shared_path("data/ludb"))
    assert len(records) == 100 and list(left_out) == ["LICENSE.txt", "RECORDS", "ludb.csv"]


def test_many_files_are_said_briefly() -> None:
    files = {f"{n}.png": "a picture" for n in range(1000)} | {"RECORDS": "a list"}
    assert left_out_in_words(files) == (
        "left out: 1,001 files (0.png, 1.png, 2.png and 997 more: a picture; RECORDS: a list)"
    )
    assert left_out_in_words({}) == "" and left_out_in_words({"a": "b"}) == "left out: 1 file (a: b)"
