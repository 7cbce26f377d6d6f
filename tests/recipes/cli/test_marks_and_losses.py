# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""No command writes over what it reads, and every one says what is only assumed, in doubt or declined."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from processing.ecg_readers import load_ecg
from processing.errors_gem import BuildError
from recipes.cli import app
from recipes.dataset.samples import SAMPLES


def invoke(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture
def nameless(tmp_path):
    """A CSV of eight columns that states neither leads nor unit."""
    record = load_ecg(SAMPLES / "normal.hea")
    path = tmp_path / "own.csv"
    np.savetxt(path, record.signal[[0, 1, 6, 7, 8, 9, 10, 11]].T, delimiter=",", fmt="%.4f")
    return path


@pytest.mark.parametrize("verb", [("features",), ("render",)])
def test_a_source_is_not_written_over(verb, nameless):
    before = nameless.read_bytes()
    target = ("--output", nameless) if verb == ("features",) else (nameless,)
    result = invoke(*verb, nameless, *target, "--sampling-rate", 500)
    assert result.exit_code == 2 and "is read by this command" in " ".join(result.output.replace("│", " ").split())
    assert nameless.read_bytes() == before


@pytest.mark.parametrize("option", ["--save-page", "--evidence"])
def test_a_picture_is_not_written_over(option, tmp_path):
    page = tmp_path / "page.png"
    assert invoke("render", SAMPLES / "normal.hea", page).exit_code == 0
    before = page.read_bytes()
    result = invoke("interpret", page, option, page)
    assert result.exit_code == 2 and page.read_bytes() == before


def test_failures_of_a_folder_have_their_whole_path(tmp_path):
    for part in ("p1", "p2"):
        (tmp_path / "tree" / part).mkdir(parents=True)
        np.save(tmp_path / "tree" / part / "ecg.npy", np.zeros((3, 4)))
    for more in ((), ("--output", tmp_path / "f.jsonl")):
        said = " ".join(invoke("features", tmp_path / "tree", "--sampling-rate", 500, *more).stderr.split())
        assert "p1/ecg.npy: " in said and "p2/ecg.npy: " in said and "ecg.npy: ecg" not in said


def test_a_plot_is_a_picture_that_can_be_written(tmp_path):
    result = invoke("features", SAMPLES / "normal.hea", "--plot", tmp_path / "plot.foo")
    assert result.exit_code == 2 and ".png, .pdf, .svg" in result.output


def test_what_is_assumed_is_said(nameless, tmp_path):
    text = tmp_path / "report.txt"
    text.write_text("Sinus rhythm.")
    read = (nameless, "--sampling-rate", 500)
    for command in (
        ("features", *read),
        ("features", *read, "--text"),
        ("check", *read, "--text", text),
        ("render", *read[:1], tmp_path / "page.png", *read[1:]),
    ):
        said = " ".join(invoke(*command).stderr.split())
        assert "names of leads assumed, not stated by the file (I, II, V1" in said, command
        assert "unit assumed, not stated by the file (all leads)" in said
    values = json.loads(invoke("features", *read, "--json").stdout)["record"]
    assert set(values["assumed"]) == {"name", "unit"} and values["history"]
    assert set(json.loads(invoke("check", *read, "--text", text, "--json").stdout)["assumed"]) == {"name", "unit"}
    assert "assumed" not in invoke("features", SAMPLES / "normal.hea").stderr


def test_the_first_error_is_told_where_chosen_leads_do_not_name_all_rows(nameless):
    result = invoke("inspect", nameless, "--sampling-rate", 500, "--leads", "II", "--start", 20)
    assert "20" in str(result.exception) and "lead names" not in str(result.exception)


def test_a_withheld_rate_is_not_called_too_few_beats(nameless, tmp_path):
    text = tmp_path / "report.txt"
    text.write_text("Sinus rhythm at 64 bpm.")
    result = invoke("check", nameless, "--sampling-rate", 250, "--text", text, "--json")
    said = {claim["explanation"] for claim in json.loads(result.stdout)["checked"]}
    assert any("the sampling rate is in doubt" in words for words in said) and not any(
        "few" in words for words in said
    )


def test_a_check_says_that_electrodes_seem_exchanged(tmp_path):
    record = load_ecg(SAMPLES / "normal.hea")
    # I turns over, II and III change places, as do aVR and aVL.
    signal = record.signal[[0, 2, 1, 4, 3, 5, 6, 7, 8, 9, 10, 11]] * np.where(np.arange(12) == 0, -1, 1)[:, None]
    path, text = tmp_path / "arms.npz", tmp_path / "report.txt"
    np.savez(path, signal=signal, leads=record.leads, sampling_rate=record.sampling_rate, unit="mV")
    text.write_text("Sinus rhythm.")
    assert "exchanged" in invoke("check", path, "--text", text).stderr


def test_a_foreign_picture_beside_a_record_is_declined(tmp_path):
    picture = tmp_path / "white.png"
    Image.new("RGB", (640, 480), "white").save(picture)
    result = invoke("interpret", SAMPLES / "normal.hea", "--image", picture)
    assert result.exit_code == 3 and "shows no ECG page" in result.output and "measured:" not in result.stdout
    values = json.loads(invoke("interpret", SAMPLES / "normal.hea", "--image", picture, "--json").stdout)
    assert values["interpretation"] is None and "shows no ECG page" in values["declined"]


def test_declined_records_of_a_folder_are_listed(tmp_path):
    folder = tmp_path / "ecgs"
    folder.mkdir()
    for suffix in (".hea", ".dat"):
        shutil.copy(SAMPLES / f"normal{suffix}", folder)
    np.savez(
        folder / "flat.npz",
        signal=np.zeros((12, 5000)),
        leads=load_ecg(SAMPLES / "normal.hea").leads,
        sampling_rate=500,
        unit="mV",
    )
    result = invoke("interpret", folder, "--output", tmp_path / "answers.parquet", "--workers", 0)
    assert result.exit_code == 1, result.output
    assert "declined flat.npz" in " ".join(result.stderr.split())


def test_answers_do_not_replace_a_file_of_something_else(tmp_path):
    folder = tmp_path / "ecgs"
    folder.mkdir()
    for suffix in (".hea", ".dat"):
        shutil.copy(SAMPLES / f"normal{suffix}", folder)
    notes = tmp_path / "notes.csv"
    notes.write_text("a,b\n1,2\n")
    result = invoke("interpret", folder, "--output", notes)
    assert isinstance(result.exception, BuildError) and "something else" in str(result.exception)
    assert notes.read_text() == "a,b\n1,2\n"
