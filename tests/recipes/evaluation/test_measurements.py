# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Our measurements compared with those of others: PTB-XL+'s layout, tables, headers of device files, Bland-Altman statistics."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from processing.errors_gem import EcgFormatError, EvaluationError
from recipes.cli import app
from recipes.evaluation.measurements import Agreement, agreements, header_values, measure, read_values, short_id
from recipes.sources import import_source
from recipes.sources.ptbxl_plus import read_12sl_statements, read_median_beat, read_ptbxl_plus
from tests.helpers.ecg_files import INDEPENDENT, microvolts, scp_bytes, sierra_xml, write_wfdb
from tests.helpers.shared_data import shared_path
from tests.helpers.source_trees import ptbxl_plus_tree, ptbxl_tree, simulated_microvolts


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    ptbxl_tree(folder / "ptbxl", records=4)
    ptbxl_plus_tree(folder / "plus", records=4)
    return folder


def test_every_engines_columns_get_our_names(trees):
    values = {engine: read_ptbxl_plus(trees / "plus", engine) for engine in ("12sl", "ecgdeli", "unig")}
    assert values["12sl"].loc[2, "pr_interval"] == 140 and values["12sl"].loc[2, "r_amplitude V5"] == 1.2
    assert values["12sl"].loc[2, "qrs_axis"] == 42 and values["unig"].loc[2, "qrs_axis"] == 40
    # ECGdeli gives no rate but the mean RR interval.
    assert values["ecgdeli"].loc[2, "heart_rate"] == pytest.approx(60000 / 857)
    assert np.isnan(values["unig"].loc[1, "pr_interval"])


def test_columns_that_mean_something_else_are_not_taken(trees):
    ecgdeli = read_ptbxl_plus(trees / "plus", "ecgdeli")
    assert ecgdeli.loc[2, "pr_interval"] == 150  # not its PR, which ends at the R peak
    assert "qrs_axis" not in ecgdeli  # its heart axis is a class
    assert np.isnan(read_ptbxl_plus(trees / "plus", "unig").loc[1, "qrs_axis"])  # called indeterminate
    # 12SL's rows are in no order.
    assert read_ptbxl_plus(trees / "plus", "12sl")["heart_rate"].to_dict() == {1: 65, 2: 70, 3: 75, 4: 80}


def test_an_interval_of_zero_is_a_missing_one(trees, tmp_path):
    shutil.copytree(trees / "plus/features", tmp_path / "features")
    table = tmp_path / "features/12sl_features.csv"
    pd.read_csv(table).assign(PR_Int_Global=0).to_csv(table, index=False)
    assert read_ptbxl_plus(tmp_path, "12sl")["pr_interval"].isna().all()


def test_median_beats_and_statements(trees):
    beat = read_median_beat(trees / "plus", "12sl", 2)
    assert beat.leads[:2] == ("I", "II") and beat.signal.shape == (12, 600)
    glasgow = read_median_beat(trees / "plus", "unig", 2)
    assert np.abs(glasgow.signal - beat.signal).max() < 0.002 and any("uV" in line for line in glasgow.history)
    assert beat.history == ()
    assert Path(beat.source).parent.parent.name == "12sl"
    assert read_12sl_statements(trees / "plus")[2] == ("NSR", "NML")
    with pytest.raises(EcgFormatError, match="00002_medians"):
        read_median_beat(trees / "plus", "ecgdeli", 2)


def test_what_is_not_there_is_said(trees, tmp_path):
    with pytest.raises(EcgFormatError, match="12sl_features"):
        read_ptbxl_plus(tmp_path, "12sl")
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "values.csv", index=False)
    with pytest.raises(EvaluationError, match="column of ids"):
        read_values(tmp_path / "values.csv")
    with pytest.raises(EvaluationError, match="neither"):
        read_values(tmp_path / "nothing")
    pd.DataFrame({"id": ["zz"], "pr_interval": [160]}).to_csv(tmp_path / "values.csv", index=False)
    with pytest.raises(EvaluationError, match="no record has values"):
        measure(import_source("ptb-xl", str(trees / "ptbxl")), read_values(tmp_path / "values.csv"))


@pytest.mark.parametrize(
    ("name", "short"), [("ptb-xl/00012", "12"), (12, "12"), ("own/a/b", "b"), ("0", "0"), ("A00001", "A00001")]
)
def test_ids_meet_however_they_are_written(name, short):
    assert short_id(name) == short


def test_bias_and_limits_follow_the_definition():
    rng = np.random.default_rng(1)
    theirs = rng.uniform(120, 200, 4000)
    found = Agreement("pr_interval", theirs + rng.normal(5, 8, 4000), theirs).scores()
    assert found["bias"] == pytest.approx(5, abs=0.5) and found["SD"] == pytest.approx(8, abs=0.4)
    assert found["upper limit"] - found["lower limit"] == pytest.approx(2 * 1.96 * found["SD"])


def test_axes_differ_by_the_shorter_way_round():
    axes = Agreement("qrs_axis", np.array([-175.0, 10.0]), np.array([175.0, 20.0]))
    assert axes.differences.tolist() == [10, -10] and axes.means.tolist() == [180, 15]
    assert Agreement("qt_interval", np.array([400.0]), np.array([390.0])).scores()["SD"] is not None


def test_our_values_meet_the_simulators_and_missing_ones_make_no_pair(trees):
    run = measure(import_source("ptb-xl", str(trees / "ptbxl")), read_values(trees / "plus"))
    assert run.problems == [] and len(run.ours) == 4
    found = {each.name: each for each in agreements(run, "unig")}
    assert len(found["pr_interval"].ours) == 3 and len(found["qrs_duration"].ours) == 4
    # The simulator's rates are 60 + 5 n, which the tree states too.
    assert np.abs({each.name: each for each in agreements(run, "12sl")}["heart_rate"].differences).max() < 1


def test_the_command_writes_tables_and_plots(trees, tmp_path):
    command = ["eval", "measurements", str(trees / "ptbxl"), "--format", "ptb-xl", "--table", str(trees / "plus")]
    result = CliRunner().invoke(app, [*command, "--limit", "2", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (
        "gem-ecg minus 12sl (2 records)" in result.output
        and (tmp_path / "12sl_qrs_duration.png").stat().st_size > 5000
    )
    pairs = pd.read_csv(tmp_path / "pairs.csv")
    assert set(pairs["engine"]) == {"12sl", "ecgdeli", "unig"} and set(pairs["unit"]) == {"ms", "bpm", "degrees", "mV"}
    one = pairs[(pairs.engine == "ecgdeli") & (pairs.record == 2) & (pairs.measure == "pr_interval")]
    assert one["theirs"].tolist() == [150]


def test_files_without_values_are_no_records_to_compare(tmp_path):
    write_wfdb(tmp_path, "plain", simulated_microvolts())
    with pytest.raises(EvaluationError, match="no record has values"):
        measure(import_source("folder", str(tmp_path)))


def test_headers_of_device_files():
    folder = shared_path("data/loaders/formats")
    muse = header_values(folder / "MUSE_example.xml")
    assert (muse["heart_rate"], muse["pr_interval"], muse["qrs_duration"], muse["qrs_axis"]) == (56, 330, 94, -22)
    assert header_values(folder / "sample.dcm")["qt_interval"] == 398
    assert set(header_values(folder / "sample.xml")) >= {"heart_rate", "pr_interval", "qrs_duration", "qt_interval"}
    assert header_values(folder / "sample.edf") == {}


def test_intervals_of_scp_follow_from_its_wave_limits(tmp_path):
    limits = struct.pack("<BBHH5H3h", 1, 0, 857, 29999, 40, 150, 200, 296, 29999, 50, -20, 999)
    (tmp_path / "device.scp").write_bytes(scp_bytes(microvolts(INDEPENDENT), measured=limits))
    found = header_values(tmp_path / "device.scp")
    assert found.pop("heart_rate") == pytest.approx(60000 / 857)
    # No QT and no T axis: 29999 and 999 mean that a value was not found.
    assert found == {"pr_interval": 160, "qrs_duration": 96, "p_axis": 50, "qrs_axis": -20}


def test_philips_states_its_intervals(tmp_path):
    stated = "<heartrate>70</heartrate><print>150</print><qrsdur>92</qrsdur><qtint>401</qtint><qrsfrontaxis>-3</qrsfrontaxis>"
    xml = sierra_xml(microvolts()).replace(
        "<waveforms>",
        f"<interpretations><interpretation><globalmeasurements>{stated}</globalmeasurements></interpretation></interpretations><waveforms>",
    )
    (tmp_path / "device.xml").write_text(xml)
    assert header_values(tmp_path / "device.xml") == {
        "heart_rate": 70,
        "pr_interval": 150,
        "qrs_duration": 92,
        "qt_interval": 401,
        "qrs_axis": -3,
    }
