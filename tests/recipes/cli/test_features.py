# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
import json

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from processing.ecg_features import EcgFeatures
from processing.ecg_readers import load_ecg
from processing.simulator.simulator import simulate_ecg
from recipes.cli import app
from recipes.dataset.feature_file import read_features
from recipes.dataset.samples import SAMPLES


def invoke(*arguments):
    return CliRunner().invoke(app, ["features", *map(str, arguments)])


def copy(name, folder):
    for suffix in (".hea", ".dat"):
        (folder / f"{name}{suffix}").write_bytes((SAMPLES / f"{name}{suffix}").read_bytes())


def test_json_names_the_record_and_is_read_back():
    values = json.loads(invoke(SAMPLES / "normal.hea", "--json").stdout)
    assert values["record"]["path"].endswith("normal.hea")
    assert EcgFeatures.from_dict(values).leads == load_ecg(SAMPLES / "normal.hea").leads
    theirs = json.loads(invoke(SAMPLES / "normal.hea", "--json", "--compat", "featuredb").stdout)
    assert theirs["record"]["compat"] == "featuredb"
    assert theirs["II"]["QT Interval"][1] < values["II"]["QT Interval"][1] - 60


def test_long_records_are_summarised_by_their_events(tmp_path):
    record = simulate_ecg("ventricular_premature", duration=70, seed=2, sampling_rate=250).record
    path = tmp_path / "minute.npz"
    np.savez(path, signal=record.signal, leads=record.leads, sampling_rate=250)
    events = json.loads(invoke(path, "--json").stdout)["record"]["events"]
    assert events["wide_premature"] >= 3 and events["ectopy_share"] > 0
    text = invoke(path).stdout
    assert f"{events['wide_premature']} wide and" in text and "pauses of 2 s or more" in text
    assert "pauses" not in invoke(SAMPLES / "normal.hea").stdout


def test_text_keeps_the_budget():
    short, long = (invoke(SAMPLES / "normal.hea", "--max-tokens", tokens).stdout for tokens in (150, 1200))
    assert len(short) < 600 < len(long) and "left out" in short


def test_a_folder_gets_one_file_or_one_picture_each(tmp_path):
    folder = tmp_path / "ecgs"
    folder.mkdir()
    copy("normal", folder)
    copy("atrial_fibrillation", folder)
    output = tmp_path / "features.jsonl"
    result = invoke(folder, "--output", output, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert [name for name, _ in read_features(output)] == ["atrial_fibrillation.hea", "normal.hea"]
    again = invoke(folder, "--output", output, "--workers", 0)
    assert "0 measured, 2 already there" in again.stderr
    assert invoke(folder, "--plot", tmp_path / "waves").exit_code == 0
    sizes = [Image.open(tmp_path / "waves" / f"{name}.png").size for name in ("normal", "atrial_fibrillation")]
    assert min(width for width, _ in sizes) > 600
