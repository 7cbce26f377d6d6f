# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Conditioning of an ECG for delineation: gaps, pacing spikes, the 500 Hz grid and a zero-phase filter bank."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from .ecg_bad_samples import repair
from .ecg_spikes import remove_spikes

WORKING_RATE = 500  # Hz of every array in the delineation
# Where no larger array was freed before, the C library gives freed memory back to the system after every record, and getting it again,
# page by page, takes a tenth of a record's time. Once an array of this size was freed, it keeps twice as much (glibc's mallopt(3),
# M_MMAP_THRESHOLD).
_KEPT_BYTES = 2**21
np.empty(_KEPT_BYTES, dtype=np.uint8)


@dataclass(frozen=True)
class FilterBands:
    """Corner frequencies in Hz of the bands; found by random search on LUDB.

    The QRS band and the 40 Hz limit are the field's usual ones (Pan and Tompkins 1985: 5-15 Hz for detection; AHA 2007
    asks 40 Hz at least for monitoring); P and T waves have nearly no energy above their own limits.
    """

    high_pass: float = 0.4453
    low_pass: float = 40.0
    t_low_pass: float = 13.65
    p_low_pass: float = 22.43
    qrs_low: float = 10.0
    qrs_high: float = 30.0


@dataclass(frozen=True)
class BeatBands:
    """What beats are found in: float32 `(leads, samples)` at 500 Hz, mV and mV/s; `bad` marks the samples that were bridged."""

    band: np.ndarray
    qrs_slope: np.ndarray
    bad: np.ndarray


@dataclass(frozen=True)
class FilteredEcg(BeatBands):
    """One conditioned ECG in every band of the delineation: float32 `(leads, samples)` at 500 Hz, mV or mV/s.

    `spikes` and `spike_ends` are the first samples of the pacing spikes and after them.
    """

    signal: np.ndarray
    slope: np.ndarray
    t_band: np.ndarray
    t_slope: np.ndarray
    p_band: np.ndarray
    p_slope: np.ndarray
    spikes: np.ndarray
    spike_ends: np.ndarray


def condition(signal: np.ndarray, sampling_rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The signal without gaps, offset, steps and pacing spikes on the 500 Hz grid, and where bad samples and spikes were.

    Args:
        signal: `(leads, samples)` in mV; non-finite samples are gaps.
        sampling_rate: Hz.

    Returns:
        float32 `(leads, samples at 500 Hz)`, a mask of the samples that were bridged, and the sample numbers (500 Hz) of the
        pacing spikes.
    """
    signal, bad = repair(signal, sampling_rate)
    if sampling_rate != WORKING_RATE:
        signal = _to_working_rate(signal, sampling_rate)
        nearest = np.arange(signal.shape[1]) * (sampling_rate / WORKING_RATE)
        bad = bad[:, np.minimum(nearest.astype(int), bad.shape[1] - 1)]
    clean, spikes, spike_ends = remove_spikes(signal)
    return clean, bad, spikes, spike_ends


def _to_working_rate(signal: np.ndarray, sampling_rate: float) -> np.ndarray:
    from scipy.signal import resample_poly

    ratio = Fraction(WORKING_RATE / sampling_rate).limit_denominator(1000)
    if ratio.numerator == 0 or signal.shape[1] < 2:
        return signal[:, :1]
    return resample_poly(signal, ratio.numerator, ratio.denominator, axis=1, padtype="line")


def filter_ecg(signal: np.ndarray, sampling_rate: float, bands: FilterBands | None = None) -> FilteredEcg:
    """All bands of an ECG from one forward and one inverse FFT, without phase shift.

    Args:
        signal: `(leads, samples)` in mV.
        sampling_rate: Hz.
        bands: corner frequencies.
    """
    conditioned, bad, spikes, spike_ends = condition(signal, sampling_rate)
    names = ("band", "qrs_slope", "slope", "t_band", "p_band")
    band, qrs_slope, slope, t_band, p_band = _filtered(conditioned, bands or FilterBands(), names)
    return FilteredEcg(
        signal=conditioned,
        band=band,
        slope=slope,
        qrs_slope=qrs_slope,
        t_band=t_band,
        t_slope=_central_difference(t_band),
        p_band=p_band,
        p_slope=_central_difference(p_band),
        bad=bad,
        spikes=spikes,
        spike_ends=spike_ends,
    )


def filter_beats(signal: np.ndarray, sampling_rate: float) -> BeatBands:
    """The same as `filter_ecg`, only of what beats are found in: half of the time."""
    conditioned, bad, *_ = condition(signal, sampling_rate)
    band, qrs_slope = _filtered(conditioned, FilterBands(), ("band", "qrs_slope"))
    return BeatBands(band, qrs_slope, bad)


def _filtered(conditioned: np.ndarray, bands: FilterBands, names: tuple[str, ...]) -> list[np.ndarray]:
    """The bands `names` of a signal `(leads, samples)` at 500 Hz without gaps."""
    from scipy import fft

    samples = conditioned.shape[1]
    pad = min(samples - 1, int(1.2 * WORKING_RATE))
    first, last = conditioned[:, :1], conditioned[:, -1:]
    # Odd reflection keeps level and slope at the edges, so the high-pass does not ring there.
    padded = np.concatenate(
        [2 * first - conditioned[:, pad:0:-1], conditioned, 2 * last - conditioned[:, -2 : -pad - 2 : -1]], axis=1
    )
    length = fft.next_fast_len(padded.shape[1], real=True)
    spectrum = fft.rfft(padded, length, axis=1)
    responses = _responses(length, bands)
    # Band by band, in one buffer: the arrays stay in the processor's cache.
    product = np.empty_like(spectrum)
    return [
        fft.irfft(np.multiply(spectrum, responses[name], out=product), length, axis=1)[:, pad : pad + samples]
        for name in names
    ]


def _central_difference(band: np.ndarray) -> np.ndarray:
    """Slope in mV/s; exact enough below 25 Hz, and cheaper than another inverse FFT."""
    slope = np.zeros_like(band)
    np.subtract(band[:, 2:], band[:, :-2], out=slope[:, 1:-1])
    slope *= np.float32(WORKING_RATE / 2)
    return slope


@lru_cache(maxsize=8)
def _responses(length: int, bands: FilterBands) -> dict[str, np.ndarray]:
    """Frequency responses `(frequencies,)` of the bands: Butterworth magnitudes without phase, and two derivatives."""
    frequency = np.fft.rfftfreq(length, 1 / WORKING_RATE)
    derivative = 2j * np.pi * frequency

    def low_pass(corner: float, order: int = 4) -> np.ndarray:
        return 1 / (1 + (frequency / corner) ** (2 * order))

    def high_pass(corner: float, order: int = 2) -> np.ndarray:
        return 1 - low_pass(corner, order)

    steady = high_pass(bands.high_pass)
    band = steady * low_pass(bands.low_pass)
    t_band, p_band = steady * low_pass(bands.t_low_pass, 2), steady * low_pass(bands.p_low_pass, 2)
    qrs = high_pass(bands.qrs_low) * low_pass(bands.qrs_high)
    found = {
        "band": band, "slope": band * derivative, "qrs_slope": qrs * derivative, "t_band": t_band, "p_band": p_band,
    }  # fmt: skip
    return {name: response.astype(np.complex64) for name, response in found.items()}


@dataclass(frozen=True)
class LevelSpectrum:
    """The spectrum of a signal less the line from the first to the last sample of each lead: without it the ends meet, and the FFT has
    no jump between them.

    Attributes:
        line: float32 `(leads, samples)`.
        spectrum: `rfft` of what is left, `(leads, frequencies)`.
    """

    line: np.ndarray
    spectrum: np.ndarray

    @property
    def samples(self) -> int:
        """Length of the signal."""
        return self.line.shape[1]


def level_spectrum(signal: np.ndarray) -> LevelSpectrum:
    """`LevelSpectrum` of a signal `(leads, samples)` without gaps."""
    from scipy.fft import rfft

    line = (signal[:, -1:] - signal[:, :1]) * ramp(signal.shape[1])
    line += signal[:, :1]
    return LevelSpectrum(line, rfft(signal - line, axis=1, overwrite_x=True))


@lru_cache(maxsize=16)
def ramp(samples: int) -> np.ndarray:
    """From 0 to 1 in equal steps, read-only float32 `(samples,)`."""
    rising = np.linspace(0, 1, samples, dtype=np.float32)
    rising.setflags(write=False)
    return rising


@lru_cache(maxsize=16)
def band_response(samples: int, rate: float, low: float, high: float) -> np.ndarray:
    """Magnitude at every frequency of `rfft`, float32: a second-order Butterworth band from `low` (0: open) to `high` Hz, forth and
    back."""
    frequency = np.fft.rfftfreq(samples, 1 / rate)
    response = 1 / (1 + (frequency / high) ** 4)
    if low:
        response = response / (1 + (low / np.maximum(frequency, 1e-9)) ** 4)
    return response.astype(np.float32)


def moving_average(values: np.ndarray, seconds: float) -> np.ndarray:
    """Centred moving average along the last axis over an odd number of samples (500 Hz), edges repeated."""
    from scipy.ndimage import uniform_filter1d

    width = max(1, int(seconds * WORKING_RATE) | 1)
    if width == 3 and values.shape[-1] > 1:  # a tenth of the filter's time
        total = values.copy()
        total[..., 1:] += values[..., :-1]
        total[..., :1] += values[..., :1]
        total[..., :-1] += values[..., 1:]
        total[..., -1:] += values[..., -1:]
        total /= 3
        return total
    return uniform_filter1d(values, width, axis=-1, mode="nearest")


__all__ = [
    "WORKING_RATE",
    "BeatBands",
    "FilterBands",
    "FilteredEcg",
    "LevelSpectrum",
    "band_response",
    "condition",
    "filter_beats",
    "filter_ecg",
    "level_spectrum",
    "moving_average",
    "ramp",
]
