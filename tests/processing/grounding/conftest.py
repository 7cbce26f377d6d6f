# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A normal ECG whose features the tests of limits change."""

import pytest

from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg


@pytest.fixture(scope="session")
def normal():
    return extract_features(simulate_ecg(heart_rate=70, pr_interval=160, axis=45, seed=11).record)
