"""What the measurements say about one claim: the measured value, the verdict, and where on the ECG it is seen."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .ecg_claims import Claim
from .ecg_features import EcgFeatures
from .grounding_tolerances import (
    NORMAL_AXIS_DEG,
    P_DURATION_MS,
    P_TALL_MV,
    PR_MS,
    QT_MS,
    QTC_MS,
    QTC_NORMAL_MS,
    ST_MV,
    T_FLAT_MV,
    T_INVERTED_MV,
    T_TALL_MV,
    WIDE_QRS_MS,
    Tolerances,
)

SUPPORTED, CONTRADICTED, NOT_MEASURABLE = "supported", "contradicted", "not_measurable"


@dataclass
class Judgement:
    """The verdict about a claim, the measured value, why, and per lead whether it bears the claim out."""

    verdict: str
    measured: Any
    explanation: str
    by_lead: dict[str, bool | None] = field(default_factory=dict)


def unmeasurable(why: str, measured: Any = None) -> Judgement:
    return Judgement(NOT_MEASURABLE, measured, why)


def decided(holds: bool, measured: Any, explanation: str) -> Judgement:
    return Judgement(SUPPORTED if holds else CONTRADICTED, measured, explanation)


# Numbers --------------------------------------------------------------------------------------------------------


def agrees(claim: Claim, measured: float, tolerance: float) -> bool:
    """Whether a stated number, range or limit fits `measured` within `tolerance` (all in the claim's unit)."""
    stated = float(claim.value)
    if claim.high is not None:
        return stated - tolerance <= measured <= claim.high + tolerance
    if claim.comparator in (">", "not_less"):
        return measured >= stated - tolerance
    if claim.comparator in ("<", "not_more"):
        return measured <= stated + tolerance
    return abs(measured - stated) <= tolerance


def slack(claim: Claim, tolerances: Tolerances) -> float:
    """Factor of the tolerances: more for `about` and hedged claims."""
    return tolerances.approximate if claim.comparator == "~" or claim.polarity == "hedged" else 1.0


def is_number(claim: Claim) -> bool:
    return isinstance(claim.value, (int, float)) and not isinstance(claim.value, bool) and claim.unit is not None


def shown(value: float, unit: str | None) -> str:
    if not math.isfinite(value):
        return "absent"
    digits = 2 if unit == "mV" else 2 if unit == "s" else 0
    return f"{value:.{digits}f}{'°' if unit == 'deg' else f' {unit}' if unit else ''}"


def compare(claim: Claim, measured: float, tolerance: float, name: str) -> Judgement:
    """The judgement about a stated number."""
    if not math.isfinite(measured):
        return unmeasurable(f"{name} cannot be measured in this ECG")
    tolerance *= slack(claim, _TOLERANCES_FOR_SLACK)
    holds = agrees(claim, measured, tolerance)
    if claim.polarity == "negated":
        holds = not holds
    return decided(
        holds,
        round(measured, 3),
        f"{name} measures {shown(measured, claim.unit)} (tolerance {shown(tolerance, claim.unit)})",
    )


_TOLERANCES_FOR_SLACK = Tolerances()


def in_words(claim: Claim, holds: bool, certain: bool, measured: Any, explanation: str) -> Judgement:
    """The judgement about a word; `holds` and `not certain` tell what is near the limit: both sayings are tolerated."""
    if claim.polarity == "negated":
        holds = not holds
    return decided(holds or not certain, measured, explanation)


def above(value: float, limit: float, band: float) -> tuple[bool, bool]:
    """Whether a value is above a limit, and whether that is certain (further away than `band`)."""
    return value >= limit, abs(value - limit) > band


# Record-level values ----------------------------------------------------------------------------------------------


def heart_rate(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    rate = features.heart_rate
    if not math.isfinite(rate):
        return unmeasurable("the heart rate cannot be measured: fewer than two beats")
    if is_number(claim):
        if claim.beats:
            return _by_beat(claim, features, "Heart Rate", max(tol.heart_rate_bpm, tol.heart_rate_share * rate))
        share = tol.heart_rate_share if features.rhythm_regularity == "regular" else tol.irregular_share
        if claim.high is not None and features.rhythm_regularity != "regular":
            return _rate_range(claim, features, tol)
        return compare(claim, rate, max(tol.heart_rate_bpm, share * rate), "heart rate")
    band, explanation = tol.limit_bpm * slack(claim, tol), f"heart rate measures {rate:.0f} bpm"
    if claim.value == "bradycardia":
        high, certain = above(rate, 60, band)
        return in_words(claim, not high, certain, round(rate), explanation)
    if claim.value == "tachycardia":
        return in_words(claim, *above(rate, 100, band), round(rate), explanation)
    certain = min(abs(rate - 60), abs(rate - 100)) > band
    return in_words(claim, 60 <= rate <= 100, certain, round(rate), explanation)


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
    attribute, sequence, tolerance, name = _INTERVALS[claim.kind]
    value = float(getattr(features, attribute))
    if claim.value == "not measurable":
        return decided(
            not math.isfinite(value), None if math.isnan(value) else round(value), f"{name}: {shown(value, 'ms')}"
        )
    if is_number(claim):
        if not math.isfinite(value) and claim.kind in ("pr_interval", "p_duration") and len(features.beat_times):
            return decided(claim.polarity == "negated", None, f"{name} is stated, but no P waves lead the beats")
        if claim.beats or claim.leads:
            return _in_leads_and_beats(claim, features, sequence, getattr(tol, tolerance), name)
        return compare(claim, value, getattr(tol, tolerance), name)
    if not math.isfinite(value):
        if claim.kind in ("pr_interval", "p_duration") and len(features.beat_times):
            return decided(claim.polarity == "negated", None, f"{name} is judged, but no P waves lead the beats")
        return unmeasurable(f"{name} cannot be measured in this ECG")
    return _interval_words(claim, value, tol, name)


def _interval_words(claim: Claim, value: float, tol: Tolerances, name: str) -> Judgement:
    band, explanation = tol.limit_ms * slack(claim, tol), f"{name} measures {value:.0f} ms"
    measured = round(value)
    if claim.kind == "qrs_duration":
        wide, certain = above(value, WIDE_QRS_MS, band)
        return in_words(claim, wide == (claim.value == "wide"), certain, measured, explanation)
    low, high = {"pr_interval": PR_MS, "qt_interval": QT_MS, "p_duration": (60.0, P_DURATION_MS)}.get(
        claim.kind, QTC_MS
    )
    if claim.kind == "qt_interval":
        band *= 3  # the normal QT depends on the rate
    if claim.value == "prolonged":
        return in_words(claim, *above(value, high, band), measured, explanation)
    if claim.value == "short":
        longer, certain = above(value, low, band)
        return in_words(claim, not longer, certain, measured, explanation)
    if claim.kind.startswith("qtc"):
        low, high = QTC_NORMAL_MS
    certain = min(abs(value - low), abs(value - high)) > band
    return in_words(claim, low <= value <= high, certain, measured, explanation)


def qtc(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """QTc without a formula may be Bazett's or Fridericia's: it is right if either bears it out."""
    formulas = [claim.formula] if claim.formula else ["bazett", "fridericia"]
    from dataclasses import replace

    judged = [interval(replace(claim, kind=f"qtc_{formula}"), features, tol) for formula in formulas]
    return next((judgement for judgement in judged if judgement.verdict == SUPPORTED), judged[0])


def rr_interval(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if not is_number(claim):
        return unmeasurable("no limit is set for RR intervals")
    value = features.rr_interval
    share = tol.rr_share if features.rhythm_regularity == "regular" else tol.irregular_share
    if claim.beats:
        return _by_beat(claim, features, "RR Interval 1", share * value)
    if claim.high is not None and not agrees(claim, value, share * value):
        rr = np.diff(features.beat_times) * 1000
        return decided(
            bool(len(rr)) and rr.min() - 60 <= claim.value and claim.high <= rr.max() + 60,
            [round(rr.min()), round(rr.max())] if len(rr) else None,
            "the range of the RR intervals",
        )
    return compare(claim, value, share * value, "RR")


def axis(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    value = float(getattr(features, claim.kind))
    if claim.value == "not measurable":
        return decided(not math.isfinite(value), shown(value, "deg"), f"axis {shown(value, 'deg')}")
    if not math.isfinite(value):
        return unmeasurable("the axis cannot be measured: leads I and aVF are needed")
    if is_number(claim):
        from dataclasses import replace

        # Angles go round: -170 and 190 degrees are the same.
        middle = claim.value if claim.high is None else (claim.value + claim.high) / 2
        turned = middle + (value - middle + 180) % 360 - 180 if claim.comparator in (None, "~") else value
        return compare(replace(claim), turned, tol.axis_deg, "axis")
    low, high = NORMAL_AXIS_DEG
    band, measured, explanation = tol.limit_deg * slack(claim, tol), round(value), f"axis measures {value:.0f}°"
    distance = min(abs(value - low), abs(value - high))
    kind = (
        "normal" if low <= value <= high else "left" if -90 <= value < low else "right" if value > high else "extreme"
    )
    if claim.value == "deviated":
        return in_words(claim, kind != "normal", distance > band, measured, explanation)
    near_edge = {
        "normal": distance,
        "left": min(abs(value - low), abs(value + 90)),
        "right": min(abs(value - high), abs(value - 180), abs(value + 180)),
        "extreme": min(abs(value + 90), abs(value - 180), abs(value + 180)),
    }[claim.value]
    return in_words(claim, kind == claim.value, near_edge > band, measured, explanation)


def voltage_sum(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    value = float(getattr(features, claim.kind))
    if claim.value == "not measurable":
        return decided(not math.isfinite(value), shown(value, "mV"), f"{claim.kind} {shown(value, 'mV')}")
    name = {"sokolow_lyon": "Sokolow-Lyon", "cornell": "Cornell"}[claim.kind]
    return compare(claim, value, max(tol.voltage_mv, tol.voltage_share * abs(value)), name)


# Values in leads and beats ------------------------------------------------------------------------------------------


def _by_beat(claim: Claim, features: EcgFeatures, sequence: str, tolerance: float) -> Judgement:
    return _in_leads_and_beats(claim, features, sequence, tolerance, sequence)


def missing_beats(claim: Claim, features: EcgFeatures) -> Judgement | None:
    count = len(features.beat_times)
    beyond = [beat for beat in claim.beats or () if not 1 <= beat <= count]
    if beyond:
        return Judgement(CONTRADICTED, count, f"beat {beyond[0]} is named, the ECG has {count} beats")
    if claim.time_s is not None and claim.kind != "beat_time" and claim.time_s > features.duration + 0.1:
        return Judgement(CONTRADICTED, round(features.duration, 2), f"{claim.time_s:g} s is after the end of the ECG")
    return None


def missing_leads(claim: Claim, features: EcgFeatures) -> Judgement | None:
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


def _in_leads_and_beats(claim: Claim, features: EcgFeatures, sequence: str, tolerance: float, name: str) -> Judgement:
    leads = [lead for lead in claim.leads or features.leads if lead in features.leads]
    tolerance *= slack(claim, _TOLERANCES_FOR_SLACK)
    medians: dict[str, float] = {}
    for lead in leads:
        values = sequence_values(features, sequence, lead, claim.beats)
        if len(values):
            medians[lead] = float(np.median(values))
    if not medians:
        return unmeasurable(f"{name} cannot be measured there")
    values = np.array(list(medians.values()))
    if not claim.leads:
        return compare(claim, float(np.median(values)), tolerance, name)
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
    attribute = {"PR Interval": "pr_interval", "QRS Duration": "qrs_duration", "QT Interval": "qt_interval", "QTc Interval": "qtc_bazett", "P Duration": "p_duration"}.get(sequence)  # fmt: skip
    value = float(getattr(features, attribute)) if attribute else math.nan
    return value if math.isfinite(value) else None


_AMPLITUDE_SEQUENCES = {"p_amplitude": "P Amplitude", "t_amplitude": "T Amplitude", "qrs_amplitude": "QRS Amplitude"}


def lead_amplitudes(claim: Claim, features: EcgFeatures, name: str) -> dict[str, float]:
    """Lead -> mV of a wave, in the claim's beats where the paper's sequences know them, else the median."""
    result = {}
    for lead in claim.leads or features.leads:
        if lead not in features.leads:
            continue
        value = features.lead_value(name, lead)
        if claim.beats and name in _AMPLITUDE_SEQUENCES:
            values = sequence_values(features, _AMPLITUDE_SEQUENCES[name], lead, claim.beats)
            value = float(np.median(values)) if len(values) else math.nan
        result[lead] = value
    return result


def amplitude(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if not is_number(claim):
        return unmeasurable("no limit is set for this wave")
    if not claim.leads:
        return unmeasurable("an amplitude without a lead")
    name = "st_j60" if claim.kind == "st_level" else claim.kind
    values = {lead: v for lead, v in lead_amplitudes(claim, features, name).items() if math.isfinite(v)}
    if not values:
        return unmeasurable("the wave is not there or too small to measure")
    floor, share = (tol.st_mv, tol.st_share) if claim.kind == "st_level" else (tol.amplitude_mv, tol.amplitude_share)
    # A depth may be given without its sign, and the sign must not make -0.3 into 0.3 for waves of both signs.
    signless = claim.kind in ("q_amplitude", "s_amplitude") and float(claim.value) > 0
    return leadwise_number(claim, {k: -v if signless else v for k, v in values.items()}, floor, share, tol, claim.kind)


def leadwise_number(
    claim: Claim, values: dict[str, float], floor: float, share: float, tol: Tolerances, name: str
) -> Judgement:
    """A number stated for several leads: each must fit; `up to` must fit the largest; a range must hold them all."""
    factor = slack(claim, tol)
    stated = abs(float(claim.value))
    extreme = max(values.values(), key=abs)
    tolerance = factor * max(floor, share * max(stated, abs(extreme)))
    if claim.comparator == "max":
        verdicts: dict[str, bool | None] = {lead: abs(value) <= stated + tolerance for lead, value in values.items()}
        holds = abs(abs(extreme) - stated) <= tolerance
    else:
        verdicts = {
            lead: agrees(claim, value, factor * max(floor, share * abs(value))) for lead, value in values.items()
        }
        # One number for a group of leads is their middle or their largest.
        middle = float(np.median(list(values.values())))
        holds = all(verdicts.values()) or (
            len(values) > 1 and (agrees(claim, middle, tolerance) or agrees(claim, extreme, tolerance))
        )
    listed = ", ".join(f"{lead} {value:+.2f} mV" for lead, value in list(values.items())[:6])
    judgement = decided(
        holds != (claim.polarity == "negated"),
        {k: round(v, 3) for k, v in values.items()},
        f"{name.replace('_', ' ')}: {listed}",
    )
    judgement.by_lead = verdicts
    return judgement


# Findings in leads ----------------------------------------------------------------------------------------------------


def lead_finding(
    claim: Claim,
    values: dict[str, float],
    present: Callable[[str, float], tuple[bool, bool]],
    name: str,
    unit: str = "mV",
) -> Judgement:
    """A finding stated for leads, or for the record as a whole.

    Named leads must all show it (values near the limit are tolerated); a territory counts as right when at least two
    of its leads (or its only one) show it; without leads any two leads do, or one that is certain. Negated: no lead
    may show it for certain (of the record as a whole: not two).

    Args:
        values: lead -> measured value, NaN where there is no such wave.
        present: (lead, value) -> whether the finding is there, and whether that is certain.
    """
    known = {lead: value for lead, value in values.items() if math.isfinite(value)}
    if not known:
        return unmeasurable(f"{name}: no measurement in these leads")
    shows = {lead: present(lead, value) for lead, value in known.items()}
    there = [lead for lead, (yes, _) in shows.items() if yes]
    maybe = [lead for lead, (yes, certain) in shows.items() if yes or not certain]
    for_certain = [lead for lead, (yes, certain) in shows.items() if yes and certain]
    measured = {lead: round(value, 3) for lead, value in known.items()}
    general = not claim.leads or claim.territory in ("all", "other", "precordial", "limb")
    if claim.polarity == "negated":
        allowed = 1 if general else 0
        holds = len(for_certain) <= allowed
        by_lead: dict[str, bool | None] = {lead: lead not in for_certain for lead in known}
        listed = _listed(for_certain or there, known, unit)
    else:
        by_lead = {lead: lead in maybe for lead in known}
        listed = _listed(known if claim.leads and not claim.territory else there, known, unit)
        if not claim.leads:
            holds = bool(for_certain) or len(maybe) > 1
        elif claim.territory is None:
            holds = all(lead in maybe for lead in known)
        elif claim.territory in ("all", "other"):
            holds = len(maybe) >= 0.75 * len(known)
        else:
            holds = len(maybe) >= min(2, len(known)) and bool(there)
    explanation = f"{name}: {listed}" if listed else f"{name} in none of {', '.join(list(known)[:12])}"
    judgement = decided(holds, measured, explanation)
    judgement.by_lead = by_lead
    return judgement


def _listed(leads: Any, values: dict[str, float], unit: str) -> str:
    sign = "+" if unit == "mV" else ""
    return ", ".join(f"{lead} {values[lead]:{sign}.{2 if unit == 'mV' else 0}f} {unit}" for lead in list(leads)[:8])


def st_change(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    sign = 1 if claim.kind == "st_elevation" else -1
    values = _st_levels(claim, features, sign)
    band = tol.limit_mv * slack(claim, tol)
    limit = ST_MV
    if is_number(claim) and claim.polarity != "negated":
        from dataclasses import replace

        stated = replace(claim, value=abs(float(claim.value)), high=None if claim.high is None else abs(claim.high))
        sized = {lead: sign * value for lead, value in values.items() if math.isfinite(value)}
        if not sized:
            return unmeasurable("the ST level cannot be measured in these leads")
        if not claim.leads:
            extreme = max(sized.values())
            return compare(stated, extreme, max(tol.st_mv, tol.st_share * abs(extreme)), "largest ST deviation")
        judgement = leadwise_number(stated, sized, tol.st_mv, tol.st_share, tol, claim.kind)
        if judgement.verdict == SUPPORTED:
            finding = lead_finding(
                claim, sized, lambda _, v: above(v, min(limit, abs(float(claim.value)) / 2), band), claim.kind
            )
            return finding if finding.verdict == CONTRADICTED else judgement
        return judgement
    if is_number(claim):
        limit = max(limit, abs(float(claim.value)))
    return lead_finding(
        claim,
        values,
        lambda lead, value: above(sign * value, _st_limit(lead, sign, limit, claim.polarity), band),
        claim.kind.replace("_", " ").replace("st", "ST"),
    )


def _st_limit(lead: str, sign: int, limit: float, polarity: str) -> float:
    """Up to 0.2 mV is normal in V2 and V3 (AHA/ACCF/HRS 2009 part VI): to deny an elevation there is right."""
    return 0.2 if polarity == "negated" and sign > 0 and lead in ("V2", "V3") else limit


def _st_levels(claim: Claim, features: EcgFeatures, sign: int) -> dict[str, float]:
    """ST level at J+60 (or, in the claim's favour, at J or J+80, as readers differ in where they measure)."""
    leads = [lead for lead in claim.leads or features.leads if lead in features.leads]
    if not claim.leads or claim.territory in ("all", "other", "limb"):
        leads = [lead for lead in leads if lead != "aVR"]
    return {lead: features.lead_value("st_j60", lead) for lead in leads}


def st_deviation(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    band = tol.limit_mv * slack(claim, tol)

    def present(lead: str, value: float) -> tuple[bool, bool]:
        limit = _st_limit(lead, 1 if value > 0 else -1, ST_MV, claim.polarity)
        return above(abs(value), limit, band)

    return lead_finding(claim, _st_levels(claim, features, 1), present, "ST deviation")


def t_wave(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    values = lead_amplitudes(claim, features, "t_amplitude")
    band = tol.limit_mv * slack(claim, tol)
    if claim.kind == "t_inversion" and is_number(claim) and claim.polarity != "negated":
        from dataclasses import replace

        depth = {lead: -value for lead, value in values.items() if math.isfinite(value)}
        if not depth:
            return unmeasurable("the T wave cannot be measured in these leads")
        return leadwise_number(
            replace(claim, value=abs(float(claim.value))), depth, tol.amplitude_mv, tol.amplitude_share, tol, "T depth"
        )
    if not claim.leads or claim.territory in ("all", "other", "limb", "precordial"):
        # Inversion in aVR is the rule and in V1 (and III) frequent: neither counts for the record as a whole.
        values = {lead: value for lead, value in values.items() if lead not in ("aVR", "V1")}
    rules: dict[str, Callable[[str, float], tuple[bool, bool]]] = {
        "t_inversion": lambda _, value: above(-value, -T_INVERTED_MV, band + 0.02),
        "t_flat": lambda _, value: above(-abs(value), -T_FLAT_MV, band),
        "t_tall": lambda lead, value: above(value, T_TALL_MV if lead.startswith("V") else 0.5, 0.15),
        "t_abnormality": lambda _, value: above(-value, -T_INVERTED_MV, band),
    }
    if claim.kind == "t_flat":
        # A T wave that is too small to be marked is flat.
        values = {lead: 0.0 if math.isnan(value) else value for lead, value in values.items()}
    if claim.kind == "t_inversion" and claim.polarity != "negated":
        values = {lead: 0.0 if math.isnan(value) else value for lead, value in values.items()}
    name = {"t_inversion": "T inverted", "t_flat": "T flat", "t_tall": "T tall", "t_abnormality": "T abnormal"}[
        claim.kind
    ]
    return lead_finding(claim, values, rules[claim.kind], name)


def pathological_q(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    leads = [lead for lead in claim.leads or features.leads if lead in features.leads]
    if not claim.leads or claim.territory in ("all", "other", "limb", "precordial"):
        leads = [lead for lead in leads if lead not in ("aVR", "V1")]
    durations = {lead: features.lead_value("q_duration", lead) for lead in leads}
    depths = {lead: -features.lead_value("q_amplitude", lead) for lead in leads}

    def present(lead: str, duration: float) -> tuple[bool, bool]:
        enough = 20 if lead in ("V2", "V3") else 30
        deep = 0.03 if lead in ("V2", "V3") else 0.1
        depth = depths[lead]
        yes = duration >= enough and depth >= deep
        clearly_yes = duration >= enough + tol.q_duration_ms and depth >= deep * 1.4
        clearly_no = duration < enough - tol.q_duration_ms or depth < deep * 0.6
        return yes, clearly_yes if yes else clearly_no

    return lead_finding(claim, durations, present, "pathological Q", "ms")


def p_form(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    if not features.p_present:
        return unmeasurable("no P waves lead the beats")
    if claim.kind == "p_wide":
        return in_words(
            claim,
            *above(features.p_duration, P_DURATION_MS, tol.limit_ms),
            round(features.p_duration),
            f"P wave measures {features.p_duration:.0f} ms",
        )
    values = lead_amplitudes(claim, features, "p_amplitude")
    if claim.kind == "p_tall":
        return lead_finding(claim, values, lambda _, value: above(value, P_TALL_MV, tol.limit_mv), "P tall")
    if not claim.leads:
        values = {lead: value for lead, value in values.items() if lead == "II"}
    return lead_finding(claim, values, lambda _, value: above(-value, 0.03, 0.03), "P inverted")


def qrs_pattern(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    patterns = {lead: features.qrs_patterns[lead] for lead in claim.leads if lead in features.qrs_patterns}
    if not patterns:
        return unmeasurable("a QRS pattern without a lead", None)
    stated, listed = str(claim.value).lower(), ", ".join(f"{lead} {pattern}" for lead, pattern in patterns.items())
    same = all(pattern.lower() == stated for pattern in patterns.values())
    prime = stated == "rsr'" and all("r'" in pattern.lower() for pattern in patterns.values())
    if same or prime:
        return decided(claim.polarity != "negated", patterns, f"QRS pattern: {listed}")
    areas = [features.lead_value("qrs_area", lead) for lead in patterns]
    upright = {"qs": -1, "rs": -1 if claim.value == "rS" else 1, "qr": 1, "qrs": 1}.get(stated)
    opposite = upright is not None and all(area * upright < -5 for area in areas)
    if opposite and claim.polarity != "negated":
        return decided(False, patterns, f"QRS pattern: {listed}")
    return unmeasurable(f"letters of the QRS are a matter of reading; measured: {listed}", patterns)


__all__ = ["CONTRADICTED", "NOT_MEASURABLE", "SUPPORTED", "Judgement", "decided", "in_words", "unmeasurable"]
