# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The rest of a stimulus before a paced QRS is not a P wave; the P waves of paced atria are."""

import numpy as np
import pytest

from processing.ecg_features import extract_features
from tests.helpers.delineation_scoring import read_ludb
from tests.helpers.retimed_beats import Beats
from tests.helpers.retimed_rhythms import RETIMED
from tests.helpers.shared_data import shared_path


@pytest.mark.parametrize("spike", ["unipolar", "bipolar"])
def test_paced_beats_have_the_p_waves_that_go_before_them_and_no_others(spike):
    beats = Beats.of(read_ludb(shared_path("data/ludb/data"), every=4))
    # A U wave some 380 ms before the QRS passes for a P wave in one of ten.
    for chambers, most_wrong in (("ventricular", 1), ("dual", 0)):
        ecgs = [RETIMED[f"{chambers} pacing, {spike}"](np.random.default_rng(seed), beats) for seed in range(10)]
        found = [bool(extract_features(own.ecg.signal, own.ecg.sampling_rate).p_present) for own in ecgs]
        assert sum(one != own.has_p for one, own in zip(found, ecgs, strict=True)) <= most_wrong, chambers
