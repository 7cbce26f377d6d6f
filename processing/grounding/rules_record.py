# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rate, intervals, axis and voltage sums of a claim against the measurements, of the record, of leads and of beats."""

import math
import re
from dataclasses import replace

import numpy as np

from processing.claims.claims import Claim
from processing.ecg_features import EcgFeatures
from processing.ecg_limits import (
    CONTROLLED_RESPONSE_BPM,
    HEART_RATE,
    LEFT_TYPE,
    P_DURATION,
    PR,
    QT,
    QTC,
    QTC_BORDERLINE,
    axis_limit,
    qtc_limit,
    wide_qrs_limit,
)
from processing.ecg_record_measures import READERS_MARGIN_S
from processing.ecg_reliability import NOT_SHOWN, UNSTEADY
from processing.ecg_rules import axis_sector, premature_beat_rows

from .verdicts import (
    CONTRADICTED,
    NOT_MEASURABLE,
    SUPPORTED,
    Judgement,
    Tolerances,
    above,
    agrees,
    compare,
    decided,
    denies_number,
    in_words,
    is_number,
    no_rhythm,
    shown,
    slack,
    unmeasurable,
)

_COURSE = re.compile(r"\b(?:lengthen|prolong|(?:in|de)creas|grow|shorten|var|rang)\w*", re.IGNORECASE)
SHOWN_S = 10.0  # of a recording on a page, and in a usual model

# Record-level values ----------------------------------------------------------------------------------------------


def heart_rate(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A rate in bpm, of the record or of beats, or in words: bradycardia, tachycardia, a controlled ventricular response."""
    rate = features.heart_rate
    if not math.isfinite(rate):
        return no_rhythm(features)
    if is_number(claim):
        if claim.beats:
            return _by_beat(claim, features, "Heart Rate", max(tol.heart_rate_bpm, tol.heart_rate_share * rate), tol)
        share = tol.heart_rate_share if features.rhythm_regularity == "regular" else tol.irregular_share
        if claim.high is not None and features.rhythm_regularity != "regular":
            return _rate_range(claim, features, tol)
        return compare(claim, rate, max(tol.heart_rate_bpm, share * rate), tol, "heart rate")
    band, explanation = tol.limit_bpm * slack(claim, tol), f"heart rate measures {rate:.0f} bpm"
    if claim.value == "bradycardia":
        high, certain = above(rate, HEART_RATE.low, band)
        return in_words(claim, not high, certain, round(rate), explanation)
    if claim.value == "tachycardia":
        return in_words(claim, *above(rate, HEART_RATE.high, band), round(rate), explanation)
    if claim.value in ("controlled", "uncontrolled"):
        high, certain = above(rate, CONTROLLED_RESPONSE_BPM, band)
        return in_words(claim, high == (claim.value == "uncontrolled"), certain, round(rate), explanation)
    certain = min(abs(rate - HEART_RATE.low), abs(rate - HEART_RATE.high)) >= band
    return in_words(claim, HEART_RATE.contains(rate), certain, round(rate), explanation)


def _rate_range(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A range in an irregular rhythm may be that of the beats."""
    rates = features.sequences["Heart Rate"]
    finite = rates[np.isfinite(rates)]
    low, high = float(finite.min()), float(finite.max())
    mean_fits = agrees(claim, features.heart_rate, tol.irregular_share * features.heart_rate)
    inside = low - 10 <= claim.value <= features.heart_rate <= (claim.high or 0) <= high + 10
    holds = (mean_fits or inside) != (claim.polarity == "negated")
    return decided(holds, [round(low), round(high)], f"heart rate ranges from {low:.0f} to {high:.0f} bpm")


_INTERVALS: dict[str, tuple[str, str, str, str]] = {
    # kind: attribute, sequence, name of its tolerance, name in words
    "pr_interval": ("pr_interval", "PR Interval", "pr_ms", "PR"),
    "qrs_duration": ("qrs_duration", "QRS Duration", "qrs_ms", "QRS"),
    "qt_interval": ("qt_interval", "QT Interval", "qt_ms", "QT"),
    "p_duration": ("p_duration", "P Duration", "p_duration_ms", "P wave"),
    "qtc_bazett": ("qtc_bazett", "QTc Interval", "qtc_ms", "QTc (Bazett)"),
    "qtc_fridericia": ("qtc_fridericia", "QTc Interval", "qtc_ms", "QTc (Fridericia)"),
}


def interval(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """PR, QRS, QT or P duration in ms, as a number, in words, or "not measurable"."""
    attribute, sequence, tolerance, name = _INTERVALS[claim.kind]
    value = float(getattr(features, attribute))
    if claim.value == "not measurable":
        return decided(
            not math.isfinite(value), None if math.isnan(value) else round(value), f"{name}: {shown(value, 'ms')}"
        )
    of_no_wave = claim.kind in ("pr_interval", "p_duration") and features.p_present is False
    if of_no_wave and not math.isfinite(value) and len(features.beat_times):
        return decided(claim.polarity == "negated", None, f"{name} is stated, but no P waves lead the beats")
    if is_number(claim):
        in_each_beat = claim.detail == "all" or (claim.high is not None and _COURSE.search(claim.quote))
        if claim.kind == "pr_interval" and in_each_beat and not claim.beats:
            return _pr_in_each_beat(claim, features, tol)
        if claim.beats or claim.leads:
            return _in_leads_and_beats(claim, features, sequence, getattr(tol, tolerance), tol, name)
        judgement = compare(claim, value, getattr(tol, tolerance), tol, name)
        if claim.kind == "qrs_duration" and (judgement.verdict != SUPPORTED or denies_number(claim)):
            return _of_the_usual_lead(claim, features, judgement, tol)
        return judgement
    if claim.beats:
        value = interval_of_beats(claim, features)
        name = f"{name} of beat {', '.join(map(str, claim.beats))}"
    if not math.isfinite(value):
        return unmeasurable(f"{name} cannot be measured in this ECG")
    if claim.detail == "all" and claim.value == "narrow":
        early, is_wide = premature_beat_rows(features)
        if is_wide.any():
            numbers = (early[is_wide] + 1).tolist()
            explanation = f"early, with a wide QRS: beats {', '.join(map(str, numbers))}"
            return decided(claim.polarity == "negated", numbers, explanation)
    return _interval_words(claim, features, value, tol, name)


def pr_of_beats(features: EcgFeatures) -> np.ndarray:
    """ms from the onset of P to that of QRS, `(beats,)`; NaN where no P wave leads a beat."""
    return (features.beat_waves["QRS"][:, 0] - features.beat_waves["P"][:, 0]) * 1000


def _pr_in_each_beat(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A PR (ms) of all beats, or the ends between which it goes from beat to beat; an end that no beat comes near is wrong."""
    pr = pr_of_beats(features) + 1000 * READERS_MARGIN_S
    pr = pr[np.isfinite(pr)]
    if len(pr) < 2:
        return unmeasurable(f"PR is measured in {len(pr)} beats")
    low, high = float(pr.min()), float(pr.max())
    explanation, measured = f"PR {low:.0f} to {high:.0f} ms from beat to beat", [round(low), round(high)]
    if claim.high is None:
        off = max(abs(float(value) - claim.value) for value in np.quantile(pr, (0.1, 0.9)))
        holds, wrong = off <= tol.pr_ms * slack(claim, tol), off > 2 * tol.pr_ms
    else:
        off = max(abs(low - claim.value), abs(high - claim.high))
        holds, wrong = off <= tol.pr_ms * slack(claim, tol), max(low - claim.value, claim.high - high) > 2 * tol.pr_ms
    if not holds and not wrong:
        return unmeasurable(explanation, measured)
    return decided(holds != (claim.polarity == "negated"), measured, explanation)


def interval_of_beats(claim: Claim, features: EcgFeatures) -> float:
    """The interval of the claim's kind in its beats, in ms, from the marks of the heart as a whole; NaN where beats differ in a word.

    Several beats must all be wide or narrow, long or short: the one that is least so is given.
    """
    rows = [beat - 1 for beat in claim.beats or ()]
    p, qrs, t = (features.beat_waves[wave][rows] * 1000 for wave in ("P", "QRS", "T"))
    margin = 1000 * READERS_MARGIN_S
    values = {
        "pr_interval": qrs[:, 0] + margin - p[:, 0],
        "qrs_duration": qrs[:, 2] - qrs[:, 0] - 2 * margin,
        "qt_interval": t[:, 2] - qrs[:, 0] - margin,
        "p_duration": p[:, 2] - p[:, 0],
    }.get(claim.kind)
    if values is None:
        return math.nan
    return float(values.max() if claim.value in ("narrow", "short") else values.min())


def _of_the_usual_lead(claim: Claim, features: EcgFeatures, judgement: Judgement, tol: Tolerances) -> Judgement:
    """A QRS may be read in one lead too, where it is up to 30 ms shorter than from the first lead's start to the last one's end:
    a number that agrees with the median of the leads is right as well, and a denied number must be neither. `judgement` is that of
    the longer one."""
    durations = [
        values for lead in features.leads if len(values := sequence_values(features, "QRS Duration", lead, None))
    ]
    if not durations:
        return judgement
    usual = float(np.median([np.median(values) for values in durations]))
    in_a_lead = compare(claim, usual, tol.qrs_ms, tol, "QRS of the usual lead")
    if denies_number(claim):
        gravest = (CONTRADICTED, NOT_MEASURABLE, SUPPORTED)
        return min(judgement, in_a_lead, key=lambda one: gravest.index(one.verdict))
    return in_a_lead if in_a_lead.verdict == SUPPORTED else judgement


def _interval_words(claim: Claim, features: EcgFeatures, value: float, tol: Tolerances, name: str) -> Judgement:
    band, explanation = tol.limit_ms * slack(claim, tol), f"{name} measures {value:.0f} ms"
    measured = round(value)
    if claim.kind == "qrs_duration":
        wide, certain = above(value, wide_qrs_limit(features.age), band)
        return in_words(claim, wide == (claim.value == "wide"), certain, measured, explanation)
    limit = {"pr_interval": PR, "qt_interval": QT, "p_duration": P_DURATION}.get(claim.kind, qtc_limit(features.sex))
    # Of unknown sex what is prolonged or short in some only is not decided.
    borderline = QTC_BORDERLINE if limit is QTC else limit
    if claim.kind == "qt_interval":
        band *= 3  # the normal QT depends on the rate
    near_low = limit.low - band < value < borderline.low + band
    near_high = borderline.high - band < value < limit.high + band
    if claim.value == "prolonged":
        return in_words(claim, value >= limit.high, not near_high, measured, explanation)
    if claim.value == "short":
        return in_words(claim, value <= limit.low, not near_low, measured, explanation)
    return in_words(claim, limit.contains(value), not (near_low or near_high), measured, explanation)


def qtc(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """QTc without a formula may be Bazett's or Fridericia's: it is right if it agrees with either. It is normal by both."""
    formulas = [claim.formula] if claim.formula else ["bazett", "fridericia"]
    judged = [interval(replace(claim, kind=f"qtc_{formula}"), features, tol) for formula in formulas]
    if claim.value == "normal":
        other = next((judgement for judgement in judged if judgement.verdict != SUPPORTED), judged[0])
        agreed = len({judgement.verdict for judgement in judged}) == 1
        return other if agreed else unmeasurable("; ".join(judgement.explanation for judgement in judged))
    return next((judgement for judgement in judged if judgement.verdict == SUPPORTED), judged[0])


def rr_interval(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """An RR interval in ms, of the record or of beats, the longest or shortest one, or a range of them."""
    if not is_number(claim):
        return unmeasurable("no limit is set for RR intervals")
    value = features.rr_interval
    share = tol.rr_share if features.rhythm_regularity == "regular" else tol.irregular_share
    if claim.beats:
        if len(claim.beats) == 2 and claim.beats[1] == claim.beats[0] + 1 and "between" in claim.quote.lower():
            claim = replace(claim, beats=claim.beats[1:])  # the interval before the second one
        after = re.search(r"\b(?:after|follow)", claim.quote, re.IGNORECASE)
        return _by_beat(claim, features, f"RR Interval {2 if after else 1}", share * value, tol)
    rr = features.rr_intervals[np.isfinite(features.rr_intervals)]
    if len(rr) and (extreme := _extreme_of(claim)):
        end = float(rr.max() if extreme == "longest" else rr.min())
        return compare(claim, end, max(tol.rr_range_ms, tol.rr_share * end), tol, f"{extreme} RR")
    if claim.high is not None and len(rr) and claim.detail == "all":
        low, high = float(rr.min()), float(rr.max())
        within = claim.value - tol.rr_range_ms <= low and high <= claim.high + tol.rr_range_ms
        return decided(
            within != (claim.polarity == "negated"), [round(low), round(high)], "the range of the RR intervals"
        )
    ends_named = bool(re.search(r"\b(?:rang|var)", claim.quote, re.IGNORECASE))
    if claim.high is not None and (ends_named or not agrees(claim, value, share * value)):
        return decided(
            bool(len(rr)) and rr.min() - tol.rr_range_ms <= claim.value and claim.high <= rr.max() + tol.rr_range_ms,
            [round(rr.min()), round(rr.max())] if len(rr) else None,
            "the range of the RR intervals",
        )
    return compare(claim, value, share * value, tol, "RR")


def _extreme_of(claim: Claim) -> str | None:
    """Whether a claim is about the longest or the shortest interval: by its words, or as no interval is to be longer or shorter."""
    if claim.comparator in ("longest", "shortest"):
        return claim.comparator
    if claim.polarity == "affirmed" and claim.comparator in ("<", ">") and re.search(r"intervals\b", claim.quote):
        return "longest" if claim.comparator == "<" else "shortest"  # "RR intervals are below 1.2 s": all of them
    most = {("negated", ">"): "longest", ("negated", "<"): "shortest", ("affirmed", "not_more"): "longest"}
    return (most | {("affirmed", "not_less"): "shortest"}).get((claim.polarity, str(claim.comparator)))


def axis(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """An axis in degrees, or its deviation in words; the limits follow the age."""
    value = float(getattr(features, claim.kind))
    if claim.value == "not measurable":
        return decided(not math.isfinite(value), shown(value, "deg"), f"axis {shown(value, 'deg')}")
    if not math.isfinite(value):
        return unmeasurable("the axis cannot be measured: leads I and aVF are needed")
    if is_number(claim):
        # Angles go round: -170 and 190 degrees are the same.
        middle = claim.value if claim.high is None else (claim.value + claim.high) / 2
        turned = middle + (value - middle + 180) % 360 - 180 if claim.comparator in (None, "~") else value
        name = {"p_axis": "P axis", "t_axis": "T axis"}.get(claim.kind, "axis")
        return compare(claim, turned, tol.axis_deg, tol, name)
    low, high = axis_limit(features.age).low, axis_limit(features.age).high
    band, measured, explanation = tol.limit_deg * slack(claim, tol), round(value), f"axis measures {value:.0f}°"
    if claim.value == "left type":
        near = min(abs(value - LEFT_TYPE.low), abs(value - LEFT_TYPE.high))
        return in_words(claim, LEFT_TYPE.contains(value), near >= band, measured, explanation)
    distance = min(abs(value - low), abs(value - high))
    kind = axis_sector(value, features.age)
    if claim.value == "deviated":
        return in_words(claim, kind != "normal", distance >= band, measured, explanation)
    near_edge = {
        "normal": distance,
        "left": min(abs(value - low), abs(value + 90)),
        "right": min(abs(value - high), abs(value - 180), abs(value + 180)),
        "extreme": min(abs(value + 90), abs(value - 180), abs(value + 180)),
    }[claim.value]
    # An extreme axis may have come round from either side.
    certain = near_edge >= band and not (kind == "extreme" and claim.value in ("left", "right"))
    return in_words(claim, kind == claim.value, certain, measured, explanation)


def voltage_sum(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """The Sokolow-Lyon or Cornell voltage in mV."""
    value = float(getattr(features, claim.kind))
    if claim.value == "not measurable":
        return decided(not math.isfinite(value), shown(value, "mV"), f"{claim.kind} {shown(value, 'mV')}")
    name = {"sokolow_lyon": "Sokolow-Lyon", "cornell": "Cornell"}[claim.kind]
    tolerance = max(tol.voltage_mv, tol.voltage_share * abs(value))
    return compare(claim, value, tolerance, tol, name, near=tolerance)


def long_qt(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A prolonged QT, judged as a prolonged QTc."""
    return qtc(replace(claim, kind="qtc_interval", value="prolonged"), features, tol)


# Values in leads and beats ------------------------------------------------------------------------------------------


def _by_beat(claim: Claim, features: EcgFeatures, sequence: str, tolerance: float, tol: Tolerances) -> Judgement:
    return _in_leads_and_beats(claim, features, sequence, tolerance, tol, sequence)


def beat_time(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """The time of a beat in s: within the tolerance, or within its QRS complex."""
    number = (claim.beats or (0,))[0]
    time = float(features.beat_times[number - 1])
    onset, offset = (float(features.beat_waves["QRS"][number - 1, i]) for i in (0, 2))
    stated = float(claim.value)
    near = abs(time - stated) <= tol.time_s or onset - 0.05 <= stated <= offset + 0.05
    return decided(near, round(time, 2), f"beat {number} is at {time:.2f} s")


def recording_length(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """The length of the recording in ms. Of a longer one a page, and a model, may show no more than `SHOWN_S`."""
    seconds = features.duration
    room = 1000 * max(tol.length_s, tol.length_share * seconds)
    judgement = compare(claim, 1000 * seconds, room, tol, "the recording's length")
    judgement.explanation = f"the recording lasts {seconds:.4g} s (tolerance {room / 1000:.2g} s)"
    if judgement.verdict == CONTRADICTED and seconds > SHOWN_S and agrees(claim, 1000 * SHOWN_S, room):
        return unmeasurable(f"{judgement.explanation}, of which {SHOWN_S:g} s may be shown", judgement.measured)
    return judgement


def missing_beats(claim: Claim, features: EcgFeatures) -> Judgement | None:
    """The verdict on a claim about a beat or a time that the ECG does not have, else `None`."""
    count = len(features.beat_times)
    beyond = [beat for beat in claim.beats or () if not 1 <= beat <= count]
    if beyond:
        return Judgement(CONTRADICTED, count, f"beat {beyond[0]} is named, the ECG has {count} beats")
    if claim.time_s is not None and claim.kind != "beat_time" and claim.time_s > features.duration + 0.1:
        return Judgement(CONTRADICTED, round(features.duration, 2), f"{claim.time_s:g} s is after the end of the ECG")
    return None


def unreadable_leads(features: EcgFeatures) -> tuple[str, ...]:
    """Leads too poor to be described: without signal, or lost in noise for more than half of the time that they are shown.

    What does not repeat from beat to beat may be fibrillation, and is measured.
    """
    unused, shown = dict.fromkeys(features.leads, 0.0), dict.fromkeys(features.leads, features.duration)
    for lead, start, end, reason in features.left_out:
        if lead in unused and reason == NOT_SHOWN:
            shown[lead] -= end - start
        elif lead in unused and reason != UNSTEADY:
            unused[lead] += end - start
    dead = (lead for lead, found in features.quality.items() if found["verdict"] in ("missing", "flat"))
    return tuple(dict.fromkeys([*dead, *(lead for lead in unused if unused[lead] > shown[lead] / 2)]))


def missing_leads(claim: Claim, features: EcgFeatures) -> Judgement | None:
    """The judgement about a claim whose leads the ECG does not have, or holds too poorly to be judged."""
    poor = unreadable_leads(features) if claim.leads else ()
    if poor and set(claim.leads) <= set(poor):
        return unmeasurable(f"{', '.join(claim.leads)} too poor to be judged")
    return absent_leads(claim, features)


def absent_leads(claim: Claim, features: EcgFeatures) -> Judgement | None:
    """The judgement about a claim of whose leads the ECG has none."""
    absent = [lead for lead in claim.leads if lead not in features.leads]
    if absent and claim.territory is None and len(absent) == len(claim.leads):
        return Judgement(CONTRADICTED, None, f"lead {absent[0]} is not in this ECG", dict.fromkeys(absent, False))
    return None


def sequence_values(features: EcgFeatures, sequence: str, lead: str, beats: tuple[int, ...] | None) -> np.ndarray:
    """One lead's values in the named beats (all without names), those that are there."""
    values = np.asarray(features.sequence(sequence, lead), dtype=float)
    if beats:
        values = values[[beat - 1 for beat in beats if beat <= len(values)]]
    return values[np.isfinite(values)]


def _in_leads_and_beats(
    claim: Claim, features: EcgFeatures, sequence: str, tolerance: float, tol: Tolerances, name: str
) -> Judgement:
    leads = [lead for lead in claim.leads or features.leads if lead in features.leads]
    medians: dict[str, float] = {}
    for lead in leads:
        values = sequence_values(features, sequence, lead, claim.beats)
        if len(values):
            medians[lead] = float(np.median(values))
    if not medians:
        return unmeasurable(f"{name} cannot be measured there")
    values = np.array(list(medians.values()))
    if not claim.leads:
        return compare(claim, float(np.median(values)), tolerance, tol, name)
    tolerance *= slack(claim, tol)
    verdicts: dict[str, bool | None] = {lead: agrees(claim, value, tolerance) for lead, value in medians.items()}
    whole = _global(features, sequence)
    holds = all(verdicts.values()) or (len(leads) > 2 and agrees(claim, float(np.median(values)), tolerance))
    # Intervals of single leads scatter; who names a lead where the whole heart's interval is seen is right as well.
    holds = holds or (whole is not None and not claim.beats and agrees(claim, whole, tolerance))
    listed = ", ".join(f"{lead} {shown(value, claim.unit)}" for lead, value in list(medians.items())[:6])
    judgement = decided(
        holds != (claim.polarity == "negated"), {k: round(v, 3) for k, v in medians.items()}, f"{name}: {listed}"
    )
    judgement.by_lead = verdicts
    return judgement


def _global(features: EcgFeatures, sequence: str) -> float | None:
    attribute = {
        "PR Interval": "pr_interval",
        "QRS Duration": "qrs_duration",
        "QT Interval": "qt_interval",
        "QTc Interval": "qtc_bazett",
        "P Duration": "p_duration",
    }.get(sequence)
    value = float(getattr(features, attribute)) if attribute else math.nan
    return value if math.isfinite(value) else None


__all__ = [
    "absent_leads",
    "axis",
    "beat_time",
    "heart_rate",
    "interval",
    "long_qt",
    "missing_beats",
    "missing_leads",
    "pr_of_beats",
    "qtc",
    "recording_length",
    "rr_interval",
    "sequence_values",
    "unreadable_leads",
    "voltage_sum",
]
