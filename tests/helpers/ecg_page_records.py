# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Synthetic records whose every sample is known, for tests of the page."""

import numpy as np

from processing.ecg_record import STANDARD_LEADS, EcgRecord


def beating_record(
    leads: tuple[str, ...] = STANDARD_LEADS, seconds: float = 10.0, rate: float = 500.0, height: float = 1.0
) -> EcgRecord:
    """Beats every 0.8 s from 0.05 s on (so that one is where columns begin), with another amplitude in each lead."""
    t = np.arange(round(seconds * rate)) / rate
    phase = (t - 0.05 + 0.4) % 0.8 - 0.4
    beat = np.exp(-((phase / 0.012) ** 2)) - 0.3 * np.exp(-(((phase - 0.03) / 0.012) ** 2))
    beat += 0.2 * np.exp(-(((phase - 0.25) / 0.05) ** 2))
    amplitudes = height * np.linspace(-1.0, 1.5, len(leads))
    return EcgRecord((amplitudes[:, None] * beat).astype(np.float32), leads, rate, record_id="beats")
