# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PTB-XL as records with labels: the same numbers from its WFDB layout and from Parquet, folds, codes and rhythms."""

import numpy as np
import pandas as pd
import pytest

from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import EcgFormatError
from recipes.sources import import_source
from recipes.sources.ptbxl import read_ptbxl
from tests.helpers.source_trees import ptbxl_tree, simulated_microvolts

CODES = "{'IMI': 80.0, 'NDT': 15.0, 'LVH': 0.0, 'SBRAD': 0.0}"


def parquet_of(folder, out, records=3):
    """The published table with the signals as int16 microvolts, lead after lead."""
    rows = pd.read_csv(folder / "ptbxl_database.csv").head(records)
    rows["signal_uv"] = [simulated_microvolts(number, 60 + 5 * number).ravel() for number in rows.ecg_id]
    out.mkdir()
    rows.to_parquet(out / "part.parquet")
    return out


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ptbxl")
    ptbxl_tree(folder / "wfdb", 6, codes=CODES)
    return folder / "wfdb", parquet_of(folder / "wfdb", folder / "parquet")


@pytest.mark.parametrize("layout", [0, 1], ids=["wfdb", "parquet"])
def test_signals_are_millivolts_in_both_layouts(folders, layout):
    items = list(read_ptbxl(folders[layout], folds=(1, 8)))
    assert len(items) == 3
    for number, item in enumerate(items, start=1):
        assert item.record.leads == STANDARD_LEADS and item.record.sampling_rate == 500
        expected = simulated_microvolts(number, 60 + 5 * number) / 1000
        np.testing.assert_allclose(item.record.signal, expected, rtol=1e-5, atol=1e-6)


def test_the_importer_reads_the_same_parquet_signals(folders):
    for number, entry in enumerate(import_source("ptb-xl", str(folders[1])), start=1):
        expected = simulated_microvolts(number, 60 + 5 * number) / np.float32(1000)
        np.testing.assert_array_equal(entry.ecgs[0].load().signal, expected)


def test_folds_codes_superclasses_and_rhythm(folders):
    assert [item.fold for item in read_ptbxl(folders[0])] == [
        1,
        1,
        8,
        9,
        3,
    ]  # fold 10 is the test set: only on request
    assert [item.fold for item in read_ptbxl(folders[0], folds=(10,))] == [10]
    item = next(read_ptbxl(folders[0]))
    assert item.codes == {"IMI": 80.0, "NDT": 15.0, "LVH": 0.0, "SBRAD": 0.0}
    assert item.superclasses == {"MI", "STTC"}, "a likelihood of 0 is not stated"
    assert item.rhythm == "sinus bradycardia"


def test_a_folder_of_neither_layout(tmp_path):
    with pytest.raises(EcgFormatError, match=r"neither ptbxl_database\.csv nor Parquet"):
        next(read_ptbxl(tmp_path))
