# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""One loose electrode or one noisy second changes nothing of what the rest of the record shows."""

import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from tests.helpers.delineation_scoring import read_ludb
from tests.helpers.disturbances import movement, with_loose_electrode
from tests.helpers.shared_data import shared_path

RATE = 500
ELECTRODES = ("LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")


@pytest.fixture(scope="module")
def sinus():
    """Records of LUDB in sinus rhythm, and simulated ones."""
    records = [record for record in read_ludb(shared_path("data/ludb/data"), every=9) if "inus" in record.rhythm]
    return [record.signal for record in records[:6]] + [simulate_ecg(seed=seed).record.signal for seed in range(2)]


@pytest.mark.parametrize("electrode", ELECTRODES)
def test_a_loose_electrode_takes_no_wave_away(sinus, electrode):
    for number, signal in enumerate(sinus):
        clean = extract_features(signal, RATE)
        loose = extract_features(with_loose_electrode(signal, RATE, movement, 0.2, electrode, number), RATE)
        assert clean.p_present and loose.p_present
        assert loose.pr_interval == pytest.approx(clean.pr_interval, abs=20)
        assert loose.qrs_duration == pytest.approx(clean.qrs_duration, abs=20)
        assert loose.qt_interval == pytest.approx(clean.qt_interval, abs=30)
        assert loose.rhythm_regularity == clean.rhythm_regularity
