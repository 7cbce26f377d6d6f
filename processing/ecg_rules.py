# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Functions that decide a finding from the features by the limits of `ecg_limits`.

All findings are decided only here; sentences, verdicts, the template teacher and the teacher's prompt use these functions. A
finding in leads returns the leads that show it, in the record's order; a finding of the record returns `True` or `False`. A value that was not measured (NaN) is not a finding.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from .ecg_limits import (
    BRUGADA_LEADS,
    BRUGADA_ST_MV,
    CLEAR_AXIS_MARGIN_DEG,
    CLEAR_QTC_MARGIN_MS,
    FIBRILLATION_RR_VARIABILITY,
    LEADS_OF_A_PLANE,
    LEFT_AXIS,
    LOW_VOLTAGE_CHEST_MV,
    LOW_VOLTAGE_LIMB_MV,
    MOSTLY_REGULAR_SHARE,
    PAUSE_RR_SHARE,
    PAUSE_S,
    POOR_R_V3_MV,
    PR,
    PREMATURE_RR_SHARE,
    Q_BESIDE_SHORTER_MS,
    Q_NORMAL_LEADS,
    QRS_SIZE,
    QRS_SIZE_FEW_LEADS,
    QRS_SIZE_FEW_LEADS_FACTOR,
    R_AVL_MV,
    R_I_S_III_MV,
    R_PEAK_V1_MS,
    R_PEAK_V5_V6_MS,
    R_V5_V6_MV,
    REGULAR_RR_SHARE,
    SINUS_ARRHYTHMIA_RR_VARIABILITY,
    SOKOLOW_LYON_MV,
    ST_DEPRESSION_MV,
    ST_ELEVATION_MV,
    T_FLAT_AVL_R_MV,
    T_FLAT_LEADS,
    T_INVERTED_MV,
    T_NORMALLY_INVERTED,
    WIDE_PREMATURE_MORE_MS,
    WIDE_PREMATURE_MS,
    axis_limit,
    cornell_limit,
    incomplete_block_limit,
    q_limits,
    qtc_limit,
    st_elevation_limit,
    wide_qrs_limit,
)
from .ecg_order_statistics import median, nan_median
from .ecg_record import MAIN_WALLS, NEIGHBOURING_LEADS, WALLS

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

AxisSector = Literal["normal", "left", "right", "extreme"]

# Leads ----------------------------------------------------------------------------------------------------------------


def in_neighbouring_leads(leads: Iterable[str]) -> tuple[str, ...]:
    """Those of `leads`, in their order, that have a neighbour among them (`NEIGHBOURING_LEADS`)."""
    listed = tuple(leads)
    pairs = [pair for pair in NEIGHBOURING_LEADS if set(pair) <= set(listed)]
    return tuple(lead for lead in listed if any(lead in pair for pair in pairs))


def st_levels(features: "EcgFeatures", point: Literal["st_j", "st_j60"] = "st_j60") -> dict[str, float]:
    """Lead -> ST level in mV at the J point or 60 ms after it, without aVR, whose ST mirrors the others', and without
    leads that have none."""
    levels = dict(zip(features.leads, features.lead_values[point].tolist(), strict=True))
    return {lead: level for lead, level in levels.items() if lead != "aVR" and math.isfinite(level)}


def st_elevated_leads(
    features: "EcgFeatures",
    *,
    factor: float = 1.0,
    margin: float = 0.0,
) -> tuple[str, ...]:
    """Neighbouring leads (aVR apart) whose ST segment is elevated: fourth universal definition.

    At the J point it reaches the limit of the lead, the sex and the age (`st_elevation_limit`) times `factor` plus `margin`
    mV, in two neighbouring leads, and it has not fallen back by J + 60 ms, as the end of the QRS complex would.
    """
    later = st_levels(features)
    return in_neighbouring_leads(
        lead
        for lead, level in st_levels(features, "st_j").items()
        if level >= factor * st_elevation_limit(lead, features.sex, features.age) + margin
        and later.get(lead, -math.inf) >= ST_ELEVATION_MV
    )


def st_depressed_leads(features: "EcgFeatures", *, factor: float = 1.0, margin: float = 0.0) -> tuple[str, ...]:
    """Neighbouring leads (aVR apart) whose ST level at J + 60 ms is 0.1 mV times `factor` plus `margin` mV or more below
    the PR segment."""
    lowest = -(factor * ST_DEPRESSION_MV + margin)
    return in_neighbouring_leads(lead for lead, level in st_levels(features).items() if level <= lowest)


def inverted_t_waves(leads: Sequence[str], t_amplitude: np.ndarray) -> tuple[str, ...]:
    """Leads (aVR apart) with a T wave of -0.1 mV or lower; `t_amplitude` is `(leads,)` mV."""
    return tuple(lead for i, lead in enumerate(leads) if t_amplitude[i] <= T_INVERTED_MV and lead != "aVR")


def abnormal_t_inversion_leads(features: "EcgFeatures") -> tuple[str, ...]:
    """Leads with an inverted T wave where it should be upright: all but aVR and V1."""
    return tuple(lead for lead in features.t_inversion if lead not in T_NORMALLY_INVERTED)


def flat_t_leads(features: "EcgFeatures") -> tuple[str, ...]:
    """Leads in which a low T wave is called flat: I, II, V4 to V6, and aVL where its R exceeds 0.3 mV (AHA/ACCF/HRS 2009 part IV)."""
    low_r = "aVL" in features.leads and not features.lead_value("r_amplitude", "aVL") > T_FLAT_AVL_R_MV
    return tuple(lead for lead in features.leads if lead in T_FLAT_LEADS and not (lead == "aVL" and low_r))


def pathological_q_waves(
    leads: Sequence[str], q_amplitude: np.ndarray, q_duration: np.ndarray, *, shorter_ms: float = 0.0
) -> tuple[str, ...]:
    """Leads (V1 and aVR apart) with a pathological Q wave; `q_amplitude` (mV, negative) and `q_duration` (ms) `(leads,)`.

    `shorter_ms`: how much shorter than its limit a Q wave may be.

    Fourth universal definition of myocardial infarction, per lead: 20 ms or QS in V2 and V3; 30 ms and 0.1 mV, or QS,
    elsewhere. The definition asks for two neighbouring leads (`pathological_q_leads`) and for no left bundle branch block,
    which is for the reader to weigh.
    """
    found = []
    for i, lead in enumerate(leads):
        duration, depth = q_limits(lead)
        if lead not in Q_NORMAL_LEADS and q_duration[i] >= duration - shorter_ms and -q_amplitude[i] >= depth:
            found.append(lead)
    return tuple(found)


def pathological_q_leads(features: "EcgFeatures") -> tuple[str, ...]:
    """Neighbouring leads with a pathological Q wave (`pathological_q_waves`): a Q wave in III alone is none.

    One of two neighbours may be up to 5 ms shorter than its limit.
    """
    full = set(features.pathological_q)
    waves = (features.lead_values[name] for name in ("q_amplitude", "q_duration"))
    nearly = full | set(pathological_q_waves(features.leads, *waves, shorter_ms=Q_BESIDE_SHORTER_MS))
    pairs = [pair for pair in NEIGHBOURING_LEADS if set(pair) <= nearly and full & set(pair)]
    return tuple(lead for lead in features.leads if any(lead in pair for pair in pairs))


def brugada_type_1_leads(features: "EcgFeatures", *, margin: float = 0.0) -> tuple[str, ...]:
    """V1 and V2 with a coved ST segment: raised by 0.2 mV at the J point, falling from there into an inverted T wave.

    HRS/EHRA/APHRS 2013 (ESC 2022 agrees): type 1 in at least one of V1 and V2. Falling: lower at J + 80 ms than at the J
    point (Corrado et al. 2010), but still raised at J + 60 ms, unlike the end of a second R wave. Left bundle branch block
    and pacing raise V1 and V2 by themselves, so none is reported there.

    Args:
        features: the measurements.
        margin: mV by which ST and T must be beyond their limits.
    """
    if is_left_bundle_branch_block(features) or len(features.pacing_spikes):
        return ()
    found = []
    for lead in BRUGADA_LEADS:
        if lead not in features.leads:
            continue
        names = ("st_j", "st_j60", "st_j80", "t_amplitude")
        at_j, at_60, at_80, t_wave = (features.lead_value(name, lead) for name in names)
        coved = at_j >= BRUGADA_ST_MV + margin and at_60 >= ST_ELEVATION_MV and at_80 < at_j
        if coved and t_wave <= T_INVERTED_MV - margin:
            found.append(lead)
    return tuple(found)


# Rate and rhythm ------------------------------------------------------------------------------------------------------


def regularity(rr: np.ndarray) -> str | None:
    """`regular`, `mostly regular` or `irregular`, `None` below two intervals; `rr` in ms without NaN."""
    if len(rr) < 2:
        return None
    share = (np.abs(rr / median(rr) - 1) <= REGULAR_RR_SHARE).mean()
    return "regular" if share == 1 else "mostly regular" if share >= MOSTLY_REGULAR_SHARE else "irregular"


def is_irregular(features: "EcgFeatures") -> bool:
    """Irregular, or mostly regular with RR intervals that vary as in atrial fibrillation."""
    return features.rhythm_regularity == "irregular" or (
        features.rhythm_regularity == "mostly regular" and features.rr_variability > FIBRILLATION_RR_VARIABILITY
    )


def has_sinus_p_waves(features: "EcgFeatures") -> bool | None:
    """P waves precede the beats, or more than three are without a QRS: those that no QRS follows are the sinus node's as well.
    `None` where P waves cannot be seen."""
    return len(features.lone_p_waves) > 3 or features.p_present


def is_sinus_arrhythmia(features: "EcgFeatures") -> bool | None:
    """P waves at intervals that vary. `None` where only the P waves cannot be seen."""
    uneven = is_irregular(features) or features.rr_variability > SINUS_ARRHYTHMIA_RR_VARIABILITY
    return has_sinus_p_waves(features) if uneven else False


def is_atrial_fibrillation(features: "EcgFeatures") -> bool | None:
    """Irregular without P waves and without pacing (ESC 2020). `None` where only the P waves cannot be seen."""
    if features.p_present or not is_irregular(features) or len(features.pacing_spikes):
        return False
    return None if features.p_present is None else True


def premature_beat_rows(features: "EcgFeatures") -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the premature beats, and which of them have a wide QRS."""
    rr = features.rr_intervals / 1000
    if np.isfinite(rr).sum() < 3:
        return np.zeros(0, int), np.zeros(0, bool)
    widths = (features.beat_waves["QRS"][:, 2] - features.beat_waves["QRS"][:, 0]) * 1000
    usual, typical = float(np.nanmedian(widths)), float(np.nanmedian(rr))
    early = np.flatnonzero(rr < PREMATURE_RR_SHARE * typical) + 1
    short = rr < PREMATURE_RR_SHARE * float(np.nanmean(rr))
    if len(early) >= 0.4 * len(rr) or np.mean(short[1:] != short[:-1]) > 0.8:
        # In bigeminy the median RR is no reference.
        early = np.flatnonzero(short) + 1
        usual = float(np.nanmin(widths))
    return early, (widths[early] > usual + WIDE_PREMATURE_MORE_MS) & (widths[early] > WIDE_PREMATURE_MS)


def pause_rows(features: "EcgFeatures") -> np.ndarray:
    """The numbers of the RR intervals that exceed 1.5 s and 1.4 times the median one; number 0 follows the first beat."""
    rr = features.rr_intervals / 1000
    known = rr[np.isfinite(rr)]
    return np.flatnonzero(rr > max(PAUSE_S, PAUSE_RR_SHARE * float(np.median(known))) if len(known) > 1 else rr < 0)


# Intervals and conduction ---------------------------------------------------------------------------------------------


def is_long_pr(features: "EcgFeatures") -> bool:
    """First degree AV block, as far as the interval shows it."""
    return features.pr_interval > PR.high


def is_short_pr(features: "EcgFeatures") -> bool:
    """PR interval (ms) below the normal range, `ecg_limits.PR`."""
    return features.pr_interval < PR.low


def is_wide_qrs(features: "EcgFeatures", *, margin: float = 0.0) -> bool:
    """The QRS reaches the limit of its age, and `margin` ms more."""
    return features.qrs_duration >= wide_qrs_limit(features.age) + margin


def is_long_qtc(features: "EcgFeatures") -> bool:
    """QTc by Bazett's formula at or above the limit of the sex; without it the limit that holds for everybody."""
    return features.qtc_bazett >= qtc_limit(features.sex).high


def is_clearly_long_qtc(features: "EcgFeatures") -> bool:
    """QTc by Bazett's and by Fridericia's formula above the limit by a margin."""
    shorter = min(features.qtc_bazett, features.qtc_fridericia)
    return shorter > qtc_limit(features.sex).high + CLEAR_QTC_MARGIN_MS


def axis_sector(degrees: float, age: float | None = None) -> AxisSector | None:
    """Where an axis of -180 to 180 degrees points, by the limits of the age; `None` for NaN."""
    if not math.isfinite(degrees):
        return None
    normal = axis_limit(age)
    if normal.contains(degrees):
        return "normal"
    if LEFT_AXIS.low <= degrees <= normal.low:
        return "left"
    return "right" if degrees > normal.high else "extreme"


def is_clear_axis_deviation(features: "EcgFeatures") -> bool:
    """The axis lies outside of the normal range by a margin."""
    normal, axis = axis_limit(features.age), features.qrs_axis
    return axis < normal.low - CLEAR_AXIS_MARGIN_DEG or axis > normal.high + CLEAR_AXIS_MARGIN_DEG


def qrs_area(features: "EcgFeatures", lead: str) -> float:
    """Net area of the QRS in mV ms, NaN where the lead is absent."""
    return features.lead_value("qrs_area", lead) if lead in features.leads else math.nan


def r_peak_time(features: "EcgFeatures", lead: str) -> float:
    """ms from the first lead's QRS onset to the lead's R peak, median over the beats; NaN where the lead has none."""
    if lead not in features.leads:
        return math.nan
    peaks = features.waves["QRS"][features.leads.index(lead), :, 1]
    return float(nan_median((peaks - features.beat_waves["QRS"][:, 0]) * 1000))


def has_right_block_shape(features: "EcgFeatures") -> bool:
    """An r' in V1 or V2, or a V1 that is upright as a whole with a late R peak; and an S wave in I or V6.

    AHA/ACCF/HRS 2009 part III. How long the S wave lasts (40 ms) is not asked; where neither I nor V6 was recorded, nor is
    the S wave itself.
    """
    second_r = any("r'" in features.qrs_patterns.get(lead, "").lower() for lead in ("V1", "V2"))
    upright = qrs_area(features, "V1") > 0 and r_peak_time(features, "V1") > R_PEAK_V1_MS
    lateral = [features.qrs_patterns[lead].lower() for lead in ("I", "V6") if lead in features.qrs_patterns]
    return (second_r or upright) and (not lateral or any("s" in pattern for pattern in lateral))


def has_left_block_shape(features: "EcgFeatures") -> bool:
    """V1 negative without r', I upright, no q wave in I, V5 and V6, and a late R peak in V5 or V6.

    AHA/ACCF/HRS 2009 part III, for the complete and the incomplete block; the late peak is what a broad, notched or slurred R
    measures. What was not recorded is not asked.
    """
    peaks = [time for lead in ("V5", "V6") if math.isfinite(time := r_peak_time(features, lead))]
    return (
        qrs_area(features, "V1") < 0
        and "r'" not in features.qrs_patterns.get("V1", "").lower()
        and not qrs_area(features, "I") < 0
        and not any(features.qrs_patterns.get(lead, "").startswith("q") for lead in ("I", "V5", "V6"))
        and not max(peaks, default=math.nan) <= R_PEAK_V5_V6_MS
    )


def is_left_bundle_branch_block(features: "EcgFeatures") -> bool:
    """A wide QRS in the shape of a left bundle branch block (AHA/ACCF/HRS 2009, part III)."""
    return is_wide_qrs(features) and has_left_block_shape(features)


def is_incomplete_block(features: "EcgFeatures") -> bool:
    """A QRS as long as an incomplete bundle branch block makes it, whatever its shape."""
    return incomplete_block_limit(features.age) <= features.qrs_duration < wide_qrs_limit(features.age)


# Voltage --------------------------------------------------------------------------------------------------------------


def low_voltage_share(leads: Sequence[str], qrs_amplitude: Iterable[float]) -> float:
    """The largest QRS as a share of its limit, limb or chest leads, whichever is the smaller (AHA/ACCF/HRS 2009 part V).

    Below 1 the voltage is low. NaN where leads without a known QRS decide: all six limb or all six chest leads must be small, so that nothing
    is said where fewer than three of them are known, or most of those given are not, as on a page that shows each lead for a quarter of the
    time; unless a lead is large enough.

    Args:
        leads: names of the leads.
        qrs_amplitude: `(leads,)` mV, NaN where there is none.
    """
    shares: list[float] = []
    sizes = list(zip(leads, qrs_amplitude, strict=True))
    for is_chest, limit in ((False, LOW_VOLTAGE_LIMB_MV), (True, LOW_VOLTAGE_CHEST_MV)):
        group = [size for lead, size in sizes if lead.startswith("V") is is_chest]
        known = [size for size in group if math.isfinite(size)]
        if group:
            share = max(known, default=math.nan) / limit
            enough = 2 * len(known) >= max(len(group), LEADS_OF_A_PLANE)
            shares.append(share if share >= 1 or enough else math.nan)
    low = [share for share in shares if share < 1]
    return min(low or shares, default=math.nan) if low or all(map(math.isfinite, shares)) else math.nan


@dataclass(frozen=True)
class GainSuspicion:
    """QRS complexes whose size in most leads points to a wrong gain.

    Attributes:
        size: `large` or `small`.
        leads: those outside of the population's limits on that side.
        ratio: size over the middle of the limits, median over all leads that have a QRS.
    """

    size: Literal["large", "small"]
    leads: tuple[str, ...]
    ratio: float

    def __str__(self) -> str:
        times = f"{self.ratio:.1f}" if self.ratio >= 1 else f"{self.ratio:.2g}"
        return f"QRS complexes are unusually {self.size} in {', '.join(self.leads)}, {times} times the usual: a false gain?"


def suspected_gain(leads: Sequence[str], qrs_amplitude: Iterable[float]) -> GainSuspicion | None:
    """Whether more than half of the leads have a QRS complex beyond the same end of `QRS_SIZE`, the population's limits.

    Where fewer than six leads have limits and a QRS, they must be beyond them by a factor of 1.3. `python -m
    benchmarks.qrs_sizes` measures how many correct gains are suspected, and how many that are five times too large or too small.

    Args:
        leads: names of the leads.
        qrs_amplitude: `(leads,)`, R + S in mV (`lead_values["qrs_amplitude"]`), NaN where there is none.
    """
    sizes = {
        lead: size
        for lead, size in zip(leads, qrs_amplitude, strict=True)
        if lead in QRS_SIZE and math.isfinite(size) and size > 0
    }
    factor = QRS_SIZE_FEW_LEADS_FACTOR if len(sizes) < QRS_SIZE_FEW_LEADS else 1.0
    large = tuple(lead for lead, size in sizes.items() if size > factor * QRS_SIZE[lead].high)
    small = tuple(lead for lead, size in sizes.items() if size < QRS_SIZE[lead].low / factor)
    found = max(large, small, key=len)
    if 2 * len(found) <= len(sizes):
        return None
    ratio = float(
        np.median([size / math.sqrt(QRS_SIZE[lead].low * QRS_SIZE[lead].high) for lead, size in sizes.items()])
    )
    return GainSuspicion("large" if found is large else "small", found, ratio)


def is_low_voltage(features: "EcgFeatures") -> bool:
    """QRS complexes smaller than the limits of low voltage, as measured (`EcgFeatures.low_voltage`)."""
    return features.low_voltage


def is_poor_r_progression(r_v3: float) -> bool:
    """`r_v3`: R in V3, mV (Zema 1982)."""
    return r_v3 <= POOR_R_V3_MV


def voltage_ratios(features: "EcgFeatures") -> dict[str, float]:
    """Voltage criteria of left ventricular hypertrophy as shares of their limits; any one that is met counts.

    Hancock 2009 (AHA/ACCF/HRS part V) lists them.
    """

    def wave(name: str, lead: str) -> float:
        return abs(features.lead_value(name, lead)) if lead in features.leads else math.nan

    values = {
        "Sokolow-Lyon": features.sokolow_lyon / SOKOLOW_LYON_MV,
        "Cornell": features.cornell / cornell_limit(features.sex),
        "R in aVL": wave("r_amplitude", "aVL") / R_AVL_MV,
        "R in I + S in III": (wave("r_amplitude", "I") + wave("s_amplitude", "III")) / R_I_S_III_MV,
        "R in V5": wave("r_amplitude", "V5") / R_V5_V6_MV,
        "R in V6": wave("r_amplitude", "V6") / R_V5_V6_MV,
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}


def high_voltage_criteria(features: "EcgFeatures") -> tuple[str, ...]:
    """The voltage criteria of left ventricular hypertrophy that are met (`voltage_ratios`)."""
    return tuple(name for name, ratio in voltage_ratios(features).items() if ratio >= 1)


def is_right_hypertrophy(features: "EcgFeatures") -> bool:
    """V1 upright as a whole, or an axis right of the normal one: what of it is measured."""
    return qrs_area(features, "V1") > 0 or features.qrs_axis > axis_limit(features.age).high


# Walls ----------------------------------------------------------------------------------------------------------------


def walls_of(leads: Iterable[str], least: int = 2) -> dict[str, tuple[str, ...]]:
    """Wall -> its leads among `leads`, for the main walls that have at least `least` of them."""
    found = set(leads)
    shared = {wall: tuple(lead for lead in WALLS[wall] if lead in found) for wall in MAIN_WALLS}
    return {wall: members for wall, members in shared.items() if len(members) >= least}
