# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The signs that the benchmark's questions ask for, from the measurements: signs in leads, positions of waves, values of beats.

The limits are those that the questions state (Oh et al. 2026), which differ in places from `processing.ecg_limits`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from processing.ecg_beat_measures import BeatMeasures, measure_beats
from processing.ecg_delineation import Delineation, delineate
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_filters import WORKING_RATE
from processing.ecg_limits import T_INVERTED_MV
from processing.ecg_record import EcgRecord
from processing.ecg_record_measures import frontal_axis, median_beat
from processing.ecg_rules import (
    has_left_block_shape,
    has_right_block_shape,
    is_atrial_fibrillation,
    is_incomplete_block,
    is_wide_qrs,
    premature_beat_rows,
)
from processing.errors_gem import EcgQualityError

INFERIOR, LATERAL = ("II", "III", "aVF"), ("I", "aVL", "V5", "V6")
ANTERIOR_ST, ANTERIOR_T = ("V1", "V2", "V3", "V4"), ("V2", "V3", "V4")
ST_ELEVATED_MV = 0.1
ST_DEPRESSED_MV = {"V2": 0.1}  # other leads: 0.07
ST_DEPRESSED_ELSEWHERE_MV = 0.07
LONG_QRS_MS, LONG_PR_MS, SLOW_BPM = 120.0, 200.0, 70.0
Q_MS, Q_MV = 30.0, 0.075
R_PEAK_TIME_MS, SLURRED_S_MS = 55.0, 40.0
LONG_RR_SHARE = 1.4  # of the median interval: "significantly longer"
SMALL_R_SHARE = 0.1  # of the S wave: "a deep S wave with only a small r wave"
NOTCH_MV = 0.03  # depth of a notch between two tops of an R wave
WAVE_EDGE_MV = 0.03
Span = tuple[float, float]


@dataclass(frozen=True, eq=False)
class MeasuredEcg:
    """
    An ECG with the measurements that the criteria of the benchmark need.

    Attributes:
        features: the record's measurements. delineation, beats: the marks and the values of every lead and beat.
        complexes: median QRS, `(leads, samples at 500 Hz)` mV; inside: which samples belong to it.
    """

    features: EcgFeatures
    delineation: Delineation
    beats: BeatMeasures
    complexes: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, record: EcgRecord) -> "MeasuredEcg":
        """Measures a record.

        Raises:
            EcgQualityError: no heartbeat was found.
        """
        features = extract_features(record)
        signal = np.where(np.isfinite(record.signal), record.signal, np.nan)
        delineation = delineate(signal, record.sampling_rate, leads=record.leads)
        if delineation is None or features.note is not None:
            raise EcgQualityError(f"{record.record_id or 'ECG'}: {features.note or 'no heartbeats'}.")
        beats = measure_beats(delineation)
        return cls(features, delineation, beats, *median_beat(delineation, beats))

    def row(self, lead: str) -> int:
        """The lead's row in every array."""
        return self.features.leads.index(lead)

    def value(self, name: str, lead: str) -> float:
        """Of `EcgFeatures.lead_values`: the median over the beats, mV or ms."""
        return self.features.lead_value(name, lead)

    def letters(self, lead: str) -> str:
        """Deflections of the median QRS, such as `qrs`, in lower case."""
        return self.features.qrs_patterns.get(lead, "").lower()

    def s_depth(self, lead: str) -> float:
        """The deepest point of the median QRS below the line, mV, not negative."""
        return max(0.0, -min(self.value("q_amplitude", lead), self.value("s_amplitude", lead)))

    @cached_property
    def early(self) -> np.ndarray:
        """Numbers of the premature beats."""
        return premature_beat_rows(self.features)[0]

    @cached_property
    def usual(self) -> np.ndarray:
        """Which beats are not premature, `(beats,)`."""
        return ~np.isin(np.arange(len(self.features.beat_times)), self.early)

    def largest(self, name: str, lead: str) -> float:
        """The largest size of a wave over the usual beats, mV."""
        values = np.abs(getattr(self.beats, name)[self.row(lead)][self.usual])
        return float(np.nanmax(values)) if np.isfinite(values).any() else math.nan

    def beat_near(self, span: Span) -> int:
        """The beat whose QRS lies nearest to a span of seconds."""
        qrs = self.features.beat_waves["QRS"]
        return int(np.nanargmin(np.abs(qrs[:, [0, 2]].mean(axis=1) - sum(span) / 2)))

    def axis_of(self, beat: int) -> float:
        """Frontal axis of one beat's QRS, degrees."""
        return frontal_axis(dict(zip(self.features.leads, self.beats.qrs_net[:, beat].tolist(), strict=True)))

    def late_gap(self) -> int | None:
        """The beat after which the first clearly longer RR interval begins."""
        rr = self.features.rr_intervals
        late = np.flatnonzero(rr > LONG_RR_SHARE * np.nanmedian(rr)) if len(rr) else np.zeros(0)
        return int(late[0]) if len(late) else None


# Signs in a lead -------------------------------------------------------------------------------------------------------


def st_elevated(ecg: MeasuredEcg, lead: str) -> bool:
    """J point above 0.1 mV."""
    return ecg.value("st_j", lead) > ST_ELEVATED_MV


def st_depressed(ecg: MeasuredEcg, lead: str) -> bool:
    """J point below -0.07 mV, in V2 below -0.1 mV."""
    return ecg.value("st_j", lead) < -ST_DEPRESSED_MV.get(lead, ST_DEPRESSED_ELSEWHERE_MV)


def t_inverted(ecg: MeasuredEcg, lead: str) -> bool:
    """T wave of -0.1 mV or lower."""
    return ecg.value("t_amplitude", lead) <= T_INVERTED_MV


def pathological_q(ecg: MeasuredEcg, lead: str) -> bool:
    """QS, a Q wave longer than 30 ms and deeper than 0.075 mV, or a deep S with a small r before it."""
    if ecg.letters(lead) == "qs":
        return True
    depth, r = -ecg.value("q_amplitude", lead), ecg.value("r_amplitude", lead)
    small_r = ecg.letters(lead).startswith("rs") and r < SMALL_R_SHARE * ecg.s_depth(lead)
    return (ecg.value("q_duration", lead) > Q_MS and depth > Q_MV) or small_r


def strain(ecg: MeasuredEcg, lead: str) -> bool:
    """Depressed ST segment 60 ms after the J point, and inverted T wave."""
    return ecg.value("st_j60", lead) < -ST_DEPRESSED_ELSEWHERE_MV and t_inverted(ecg, lead)


def dominant_s(ecg: MeasuredEcg, lead: str) -> bool:
    """S deeper than R is high."""
    return ecg.s_depth(lead) > ecg.value("r_amplitude", lead)


def dominant_r(ecg: MeasuredEcg, lead: str) -> bool:
    """R higher than S is deep."""
    return ecg.value("r_amplitude", lead) > ecg.s_depth(lead)


def second_r(ecg: MeasuredEcg, lead: str) -> bool:
    """RSR' and similar forms."""
    return "r'" in ecg.letters(lead)


def small_q_tall_r(ecg: MeasuredEcg, lead: str) -> bool:
    """qR: a small s after it is not an objection."""
    return ecg.letters(lead).startswith("qr") and "r'" not in ecg.letters(lead) and dominant_r(ecg, lead)


def small_r_deep_s(ecg: MeasuredEcg, lead: str) -> bool:
    """rS."""
    return ecg.letters(lead).startswith("rs") and "r'" not in ecg.letters(lead) and dominant_s(ecg, lead)


def upright_without_q(ecg: MeasuredEcg, lead: str) -> bool:
    """An R wave alone, notched or not."""
    return ecg.letters(lead).startswith("r") and "s" not in ecg.letters(lead)


def notched_r(ecg: MeasuredEcg, lead: str) -> bool:
    """Two tops in the upper half of an upright complex, or a second R."""
    trace = ecg.complexes[ecg.row(lead)][ecg.inside[ecg.row(lead)]]
    if len(trace) < 5 or not dominant_r(ecg, lead):
        return False
    rising = np.sign(np.diff(trace))
    tops = np.flatnonzero((rising[:-1] > 0) & (rising[1:] <= 0)) + 1
    tops = tops[trace[tops] > trace.max() / 2]
    dips = [min(trace[a], trace[b]) - trace[a:b].min() for a, b in pairwise(tops)]
    return second_r(ecg, lead) or max(dips, default=0.0) > NOTCH_MV


def slurred_s(ecg: MeasuredEcg, lead: str) -> bool:
    """An S wave longer than the R before it, or than 40 ms."""
    trace = ecg.complexes[ecg.row(lead)][ecg.inside[ecg.row(lead)]]
    if not len(trace) or "s" not in ecg.letters(lead) or ecg.letters(lead) == "qs":
        return False
    top = int(trace.argmax())
    r_ms, s_ms = ((part.sum() * 1000 / WORKING_RATE) for part in (trace > WAVE_EDGE_MV, trace[top:] < -WAVE_EDGE_MV))
    return bool(s_ms > min(r_ms, SLURRED_S_MS))


def late_r_peak(ecg: MeasuredEcg, lead: str) -> bool:
    """A broad R wave without S whose top comes 55 ms or more after the onset."""
    trace = ecg.complexes[ecg.row(lead)][ecg.inside[ecg.row(lead)]]
    if not len(trace) or not upright_without_q(ecg, lead):
        return False
    return bool(trace.argmax() * 1000 / WORKING_RATE >= R_PEAK_TIME_MS)


def broad_r_or_qr(ecg: MeasuredEcg, lead: str) -> bool:
    """qR, or a late R wave in a wide complex."""
    return small_q_tall_r(ecg, lead) or (late_r_peak(ecg, lead) and is_wide_qrs(ecg.features))


def leads_with(
    sign: Callable[[MeasuredEcg, str], bool], leads: Sequence[str]
) -> Callable[[MeasuredEcg], tuple[str, ...]]:
    """Those of `leads` that show the sign."""
    return lambda ecg: tuple(lead for lead in leads if lead in ecg.features.leads and sign(ecg, lead))


# Signs of the record ---------------------------------------------------------------------------------------------------


def left_block(ecg: MeasuredEcg) -> bool:
    """Complete or incomplete: no q in I, V5 and V6 in both (AHA/ACCF/HRS 2009 part III)."""
    return _long_as_a_block(ecg) and has_left_block_shape(ecg.features)


def right_block(ecg: MeasuredEcg) -> bool:
    """Complete or incomplete right bundle branch block."""
    return _long_as_a_block(ecg) and has_right_block_shape(ecg.features)


def _long_as_a_block(ecg: MeasuredEcg) -> bool:
    return is_wide_qrs(ecg.features) or is_incomplete_block(ecg.features)


def every_p_conducted(ecg: MeasuredEcg) -> bool:
    """P waves precede the beats, and each has its QRS."""
    return bool(ecg.features.p_present) and not len(ecg.features.lone_p_waves)


def is_regular(ecg: MeasuredEcg) -> bool:
    """All RR intervals are similar."""
    return ecg.features.rhythm_regularity == "regular"


def fibrillates(ecg: MeasuredEcg) -> bool:
    """Atrial fibrillation; `False` where P waves cannot be seen."""
    return bool(is_atrial_fibrillation(ecg.features))


def dissociated(ecg: MeasuredEcg) -> bool:
    """P waves that no QRS follows, as many as there are beats at least in half."""
    return 2 * len(ecg.features.lone_p_waves) > len(ecg.features.beat_times)


def dropped_beat(ecg: MeasuredEcg) -> bool:
    """A clearly longer RR interval."""
    return ecg.late_gap() is not None


def p_in_the_gap(ecg: MeasuredEcg) -> bool:
    """A lone P wave within the first clearly longer RR interval."""
    beat = ecg.late_gap()
    if beat is None:
        return False
    start, end = ecg.features.beat_times[beat : beat + 2]
    lone = ecg.features.lone_p_waves
    return bool(((lone[:, 0] > start) & (lone[:, 2] < end)).any())


def cornell_product(ecg: MeasuredEcg) -> float:
    """(R in aVL + S in V3) x QRS duration, mV ms."""
    return (ecg.largest("r_amplitude", "aVL") + _largest_s(ecg, "V3")) * ecg.features.qrs_duration


def sokolow(ecg: MeasuredEcg) -> float:
    """S in V1 + the larger R of V5 and V6, the largest of the usual beats, mV."""
    return _largest_s(ecg, "V1") + max(ecg.largest("r_amplitude", lead) for lead in ("V5", "V6"))


def _largest_s(ecg: MeasuredEcg, lead: str) -> float:
    return max(ecg.largest("s_amplitude", lead), ecg.largest("q_amplitude", lead))
