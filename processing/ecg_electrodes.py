# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Exchanged electrodes: pairs of limb cables, and neighbouring chest electrodes; an inverted chest lead."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from .ecg_filters import LevelSpectrum, band_response, level_spectrum
from .ecg_order_statistics import percentile, true_in_rows
from .ecg_record import CHEST_LEADS, interpolate_gaps

LIMBS_AND_LATERAL = ("I", "II", "III", "aVR", "aVL", "V5", "V6")
ARM_REVERSAL_CORRELATION = -0.5
# With a vertical axis the true aVL, which exchanged arms call aVR, runs against V6, but less than the true aVR does.
VERTICAL_AVR_CORRELATION, VERTICAL_AVL_CORRELATION = -0.5, -0.8
# A limb lead below a tenth of the smaller of the other two is the potential between two feet.
FLAT_LIMB_RATIO, FLAT_LIMB_ROOT = 0.1, 0.5
FLAT_LIMB_PAIRS = {
    "I": "both arms and both legs",
    "II": "right arm and right leg",
    "III": "left arm and right leg",
}
# An inverted chest lead runs against both neighbours; V6, which has one, against V5 and V4.
INVERTED_CORRELATION: Final = {"V2": -0.5, "V3": -0.5, "V4": -0.5, "V5": -0.5, "V6": -0.6}
INVERTED_P_MV = -0.02
SMALLEST_CHEST_QRS_MV = 0.15
SHORTER_PATH = 0.85
_QRS_BAND_HZ = (1.0, 30.0)


def limb_lead_reversal(
    leads: Sequence[str],
    signal: np.ndarray,
    sampling_rate: float,
    values: Mapping[str, np.ndarray],
    spectrum: LevelSpectrum | None = None,
) -> str | None:
    """The pair of limb electrodes that seems exchanged, in words, or `None`.

    - Arms: lead I mirrored against V6, which does not run against V5, while aVR runs with it (Batchvarov et al., Europace
      2007;9:1081), or runs against it far less than aVL does (our own addition, for vertical axes).
    - Right arm and left leg: P, QRS and T all negative in II, P upright in aVR, what Einthoven's equations make of normal
      leads (Krasteva et al. 2019, Sensors 19:2920).
    - An electrode with the right leg's: one of I, II, III nearly flat beside the other two.

    Measured on 900 records of PTB-XL and 100 of LUDB: 4 and no alarms. Of exchanges computed from 150 and 100 of them, 81
    and 77 % are named (right arm and left leg), 97 % (left arm and right leg); 93 % of the right arm's with the right leg raise an
    alarm. Of exchanged arms, computed from 2,322 records of PTB-XL's folds 1 to 8 and 100 of LUDB, the signs are there in 89 and 77 %
    (without the addition for vertical axes in 81 and 67 %), and in 1 and none as they were recorded (without it in the same).
    Exchanged left arm and left leg are not looked for: the published sign, a P wave larger in I than in II, is there in 19 % of records
    taken as correct (low specificity is what Ohlsson, Heden and Edenbrandt report of it, LU TP 99-24), and made strict enough
    for 2 % it finds a fifth.

    Args:
        leads: names of the rows.
        signal: `(leads, samples)` in mV, NaN for missing samples.
        sampling_rate: Hz.
        values: medians over the beats per lead, as of `lead_measures`, mV and mV ms; empty without beats.
        spectrum: of the signal with its gaps bridged, where it is known.
    """
    limbs = _QrsBand.of_leads(LIMBS_AND_LATERAL, leads, signal, sampling_rate, spectrum)
    needed = limbs.leads
    flat = _leg_reversal(limbs) if {"I", "II", "III"} <= set(needed) else None
    if flat:
        return flat
    arms = {"I", "aVR", "V6"} <= set(needed) and _arms(limbs)
    arm_and_leg = {"II", "aVR"} <= set(needed) and bool(values) and _right_arm_and_left_leg(leads, values)
    if arms and arm_and_leg:
        # The P wave is deepest in the lead between the exchanged electrodes.
        p = values["p_amplitude"]
        arm_and_leg = not p[leads.index("I")] < p[leads.index("II")]
    if arm_and_leg:
        return "right arm and left leg"
    if arms:
        return "left arm and right arm"
    return None


def _arms(limbs: "_QrsBand") -> bool:
    """Whether I, aVR and V6, and aVL if it is there, look as exchanged arms make them."""
    if "V5" in limbs.leads and limbs.correlation("V5", "V6") < 0:  # then one of these two is upside down
        return False
    if not limbs.correlation("I", "V6") < ARM_REVERSAL_CORRELATION:
        return False
    avr = limbs.correlation("aVR", "V6")
    if avr > 0 or "aVL" not in limbs.leads:
        return avr > 0
    return avr > VERTICAL_AVR_CORRELATION and limbs.correlation("aVL", "V6") < VERTICAL_AVL_CORRELATION


def _right_arm_and_left_leg(leads: Sequence[str], values: Mapping[str, np.ndarray]) -> bool:
    two, avr = leads.index("II"), leads.index("aVR")
    p, area, t = (values[name] for name in ("p_amplitude", "qrs_area", "t_amplitude"))
    return bool(p[two] < INVERTED_P_MV and area[two] < 0 and t[two] < 0 and p[avr] > 0)


class _QrsBand:
    """The QRS band of some leads. Their sizes and correlations come from the spectrum (Parseval), which saves the inverse FFT.

    Args:
        leads: names of the rows.
        spectrum: `(leads, frequencies)`, see `LevelSpectrum`.
        samples: length of the signal.
        rate: Hz.
    """

    def __init__(self, leads: Sequence[str], spectrum: np.ndarray, samples: int, rate: float) -> None:
        self.leads, self.samples = leads, samples
        self.spectrum = spectrum * band_response(samples, rate, *_QRS_BAND_HZ)
        with np.errstate(over="ignore", invalid="ignore"):  # numbers out of all reason
            parts = self.spectrum.view(self.spectrum.real.dtype)  # real and imaginary ones, side by side
            self.shared = parts @ parts.T

    @classmethod
    def of_leads(
        cls,
        wanted: Sequence[str],
        leads: Sequence[str],
        signal: np.ndarray,
        rate: float,
        spectrum: LevelSpectrum | None,
    ) -> "_QrsBand":
        """Of the `wanted` leads those that live: a constant row is a dead channel, not an electrode in the wrong place."""
        named = [lead for lead in wanted if lead in leads]
        there = signal[[leads.index(lead) for lead in named]]
        alive = np.fmax.reduce(there, axis=1) > np.fmin.reduce(there, axis=1)
        alive &= true_in_rows(np.isfinite(there)) > 0.5 * signal.shape[1]
        found = [lead for lead, lives in zip(named, alive.tolist(), strict=True) if lives]
        rows = [leads.index(lead) for lead in found]
        known = (
            level_spectrum(interpolate_gaps(signal[rows])).spectrum if spectrum is None else spectrum.spectrum[rows]
        )
        return cls(found, known, signal.shape[1], rate)

    def size(self, lead: str) -> float:
        """Root mean square times a factor that all leads share."""
        row = self.leads.index(lead)
        return math.sqrt(self.shared[row, row])

    def correlation(self, first: str, second: str) -> float:
        """Cosine between two leads; 0 if one is flat."""
        norm = self.size(first) * self.size(second)
        return float(self.shared[self.leads.index(first), self.leads.index(second)]) / norm if norm > 0 else 0.0

    def height(self, lead: str) -> float:
        """What only 0.5 % of the samples exceed, in mV."""
        from scipy.fft import irfft

        return float(percentile(np.abs(irfft(self.spectrum[self.leads.index(lead)], self.samples)), 99.5))


def _leg_reversal(limbs: _QrsBand) -> str | None:
    """The exchange with the right leg's electrode by the one limb lead that is nearly flat."""
    for lead, pair in FLAT_LIMB_PAIRS.items():
        others = [other for other in FLAT_LIMB_PAIRS if other != lead]
        # A lead with half of the others' root mean square cannot be ten times lower, whatever its shape.
        if limbs.size(lead) < FLAT_LIMB_ROOT * min(limbs.size(other) for other in others) and limbs.height(
            lead
        ) < FLAT_LIMB_RATIO * min(limbs.height(other) for other in others):
            return pair
    return None


def inverted_chest_lead(
    leads: Sequence[str], signal: np.ndarray, sampling_rate: float, spectrum: LevelSpectrum | None = None
) -> str | None:
    """The chest lead, V2 to V6, that seems to be upside down, or `None`: from 1 to 30 Hz it runs against both of its neighbours.

    A criterion of our own. Of 2,000 records of PTB-XL (folds 1 to 9) none has such a lead; of leads that were turned over it finds
    68 (V2), 70, 79, 92 and 77 % (V6). V1, which runs against V2 and V3 in 13 of these records, is not looked at.

    Args:
        leads: names of the rows.
        signal: `(leads, samples)` in mV, NaN for missing samples.
        sampling_rate: Hz.
        spectrum: of the signal with its gaps bridged, where it is known.
    """
    chest = _QrsBand.of_leads(CHEST_LEADS, leads, signal, sampling_rate, spectrum)
    for lead, limit in INVERTED_CORRELATION.items():
        place = CHEST_LEADS.index(lead)
        neighbours = CHEST_LEADS[place - 1], CHEST_LEADS[place + 1 if lead != CHEST_LEADS[-1] else place - 2]
        if {lead, *neighbours} <= set(chest.leads) and all(
            chest.correlation(lead, other) < limit for other in neighbours
        ):
            return lead
    return None


def chest_lead_swap(leads: Sequence[str], complexes: np.ndarray) -> str | None:
    """The neighbouring chest electrodes that seem exchanged (`V2 and V3`), or `None`.

    From V1 to V6 the QRS changes step by step. The way through the six shapes (QRS scaled to unit size, distance
    between neighbours) is shortest in the right order: an exchange is suspected where one makes the way shorter by
    15 %. A criterion of our own: on 536 PTB-XL records 0.8 % false alarms; of computed exchanges it finds 42 % (V1 and
    V2), 74, 80, 59 and 9 % (V5 and V6, which look alike).

    Args:
        leads: names of the rows.
        complexes: the median QRS, `(leads, samples)` mV.
    """
    if not set(CHEST_LEADS) <= set(leads):
        return None
    shapes = complexes[[leads.index(lead) for lead in CHEST_LEADS]]
    if not np.isfinite(shapes).all() or np.ptp(shapes, axis=1).min() < SMALLEST_CHEST_QRS_MV:
        return None
    shapes = shapes / np.linalg.norm(shapes, axis=1, keepdims=True)
    distance = np.linalg.norm(shapes[:, None] - shapes[None], axis=2)
    orders = [list(range(6)) for _ in range(6)]
    for first, order in enumerate(orders[1:]):
        order[first], order[first + 1] = first + 1, first
    ways = [sum(distance[a, b] for a, b in pairwise(order)) for order in orders]
    shortest = int(np.argmin(ways))
    if shortest == 0 or ways[shortest] > SHORTER_PATH * ways[0]:
        return None
    return f"{CHEST_LEADS[shortest - 1]} and {CHEST_LEADS[shortest]}"


__all__ = ["FLAT_LIMB_PAIRS", "chest_lead_swap", "inverted_chest_lead", "limb_lead_reversal"]
