# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Findings and amplitudes that a claim states for leads, against the measurements in those leads."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from processing.claims.claims import Claim
from processing.claims.finding import Finding, LeadRule
from processing.ecg_features import EcgFeatures
from processing.ecg_features_text import p_waves_in_words
from processing.ecg_limits import (
    P_DURATION,
    P_HEIGHT_MV,
    P_INVERTED_MV,
    P_NORMALLY_INVERTED,
    Q_NORMAL_LEADS,
    ST_DEPRESSION_MV,
    ST_ELEVATION_MV,
    T_FLAT_MV,
    T_INVERTED_MV,
    T_NORMALLY_INVERTED,
    q_limits,
    st_elevation_limit,
    t_tall_limit,
)
from processing.ecg_record import MAIN_WALLS, NEIGHBOURING_LEADS, WALLS
from processing.ecg_rules import flat_t_leads, in_neighbouring_leads, pathological_q_leads

from .rules_record import sequence_values
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
    in_words,
    is_number,
    slack,
    too_near,
    unmeasurable,
)

TALL_T_BAND_SHARE = 0.3  # tall T waves have no agreed limit
# Groups of leads in which a denial holds for each: one lead that clearly shows the finding contradicts it.
EACH_LEAD = ("all", "other", "precordial", "limb")
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
    """A stated amplitude of a wave or ST level (mV) in the leads that are named."""
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
    listed = ", ".join(f"{lead} {value:+z.2f} mV" for lead, value in list(values.items())[:6])
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
    least: int = 2,
    lone: bool = True,
) -> Judgement:
    """A finding stated for leads, or for the record as a whole.

    All named leads must show it. For a territory, or for no leads, `least` neighbours or leads of one wall must show it; where a
    single lead does, the claim is undecided. A lead near the limit is tolerated beside as many that clearly show the finding;
    else it leaves the claim undecided. A negated claim holds if no lead shows the finding, or, without named leads or for `most`, no
    neighbours and no wall do; `check_claim` holds it against the affirmed claims besides.

    Args:
        claim: the finding, with its leads and polarity.
        values: lead -> measured value, NaN where there is no such wave.
        present: (lead, value) -> whether the lead shows the finding, and whether that is certain.
        name: of the finding, for the explanation.
        unit: of `values`.
        least: number of leads that are needed.
        lone: whether one lead alone contradicts that the finding is in any; else it leaves that undecided.
    """
    known = {lead: value for lead, value in values.items() if math.isfinite(value)}
    if not known:
        return unmeasurable(f"{name}: no measurement in these leads")
    shows = {lead: present(lead, value) for lead, value in known.items()}
    there = [lead for lead, (yes, _) in shows.items() if yes]
    maybe = [lead for lead, (yes, certain) in shows.items() if yes or not certain]
    for_certain = [lead for lead, (yes, certain) in shows.items() if yes and certain]
    each = bool(claim.leads) and claim.territory in EACH_LEAD
    general = not claim.leads or each or claim.territory == "most"

    if claim.polarity == "negated":
        if general:
            # Two leads far from each other are no finding of the record.
            needed = 1 if each and lone else least
            counted = in_neighbouring_leads(for_certain) if needed > 1 else for_certain
            shown, possible = len(counted) >= needed, _together(there, there, for_certain, 1 if each else least)
        else:
            several = min(least, len(known)) if claim.territory else 1
            shown, possible = bool(for_certain) and len(maybe) >= several, bool(there) or len(maybe) >= several
        verdict = CONTRADICTED if shown else NOT_MEASURABLE if possible else SUPPORTED
        by_lead: dict[str, bool | None] = {lead: lead not in for_certain for lead in known}
        listed = _listed(for_certain or there, known, unit)
    else:
        everywhere = claim.territory in ("all", "most", "other")
        if claim.leads and (everywhere or not claim.territory):
            possible = len(maybe) >= (0.75 * len(known) if everywhere else len(known))
            shown = 2 * len(there if everywhere else for_certain) >= len(known) or len(there) == len(known)
        else:  # one lead alone may be what was meant
            possible = len(maybe) >= min(least, len(known)) or (bool(for_certain) and not claim.leads)
            shown = _together(there, maybe if claim.leads else there, for_certain, least)
        verdict = CONTRADICTED if not possible else SUPPORTED if shown else NOT_MEASURABLE
        by_lead = {lead: lead in maybe for lead in known}
        listed = _listed(known if claim.leads and not claim.territory else there, known, unit)
    explanation = f"{name}: {listed}" if listed else f"{name} in none of {', '.join(list(known)[:12])}"
    measured = {lead: round(value, 3) for lead, value in known.items()}
    judgement = (
        too_near(measured, explanation) if verdict == NOT_MEASURABLE else Judgement(verdict, measured, explanation)
    )
    judgement.by_lead = by_lead
    return judgement


def _together(there: Sequence[str], maybe: Sequence[str], certain: Sequence[str], least: int) -> bool:
    """Whether `least` neighbours, or leads of one wall, show a finding: all of them (`there`), or half of them for `certain` and
    the others perhaps (`maybe`)."""
    groups = (*NEIGHBOURING_LEADS, *(WALLS[wall] for wall in MAIN_WALLS)) if least > 1 else [(lead,) for lead in there]
    return any(
        len(set(group) & set(there)) >= least
        or (len(set(group) & set(maybe)) >= least and 2 * len(set(group) & set(certain)) >= least)
        for group in groups
    )


def _listed(leads: Any, values: dict[str, float], unit: str) -> str:
    sign = "+" if unit == "mV" else ""
    return ", ".join(f"{lead} {values[lead]:{sign}z.{2 if unit == 'mV' else 0}f} {unit}" for lead in list(leads)[:8])


def shown_in_leads(
    claim: Claim, features: EcgFeatures, tol: Tolerances, *, finding: Finding, rule: LeadRule
) -> Judgement:
    """The verdict of a finding that is decided by the leads that show it."""
    stated = claim.leads or finding.shown_in or features.leads
    there, certain, maybe = (
        rule.leads(features, margin=margin * slack(claim, tol)) for margin in (0.0, tol.limit_mv, -tol.limit_mv)
    )

    def present(lead: str, _: float) -> tuple[bool, bool]:
        return lead in there, lead in certain if lead in there else lead not in maybe

    values = {lead: features.lead_value(rule.measure, lead) for lead in stated if lead in features.leads}
    return lead_finding(claim, values, present, finding.kind.replace("_", " "), least=rule.least)


def compared_in_leads(claim: Claim, features: EcgFeatures, tol: Tolerances, name: str, sign: int) -> Judgement:
    """`greater in II than in III`: the largest values of both groups; `sign` 1 for upward. The greater one must show the finding."""
    others = tuple(str(claim.comparator).removeprefix("than ").split(", "))
    more, less = (claim.leads, others) if claim.value == "more" else (others, claim.leads)
    shown = (st_change if claim.kind.startswith("st") else t_wave)(
        replace(claim, leads=more, value=None, comparator=None, territory=None, polarity="affirmed"), features, tol
    )
    known = {lead: features.lead_value(name, lead) for lead in (*more, *less) if lead in features.leads}
    most, least = (max(sign * known.get(lead, math.nan) for lead in leads) for leads in (more, less))
    apart = most - least
    measured, listed = {lead: round(value, 3) for lead, value in known.items()}, _listed(known, known, "mV")
    if shown.verdict != CONTRADICTED and not abs(apart) >= tol.limit_mv / 2:
        return unmeasurable(f"{listed}: too little apart, or not measured", measured)
    holds = shown.verdict != CONTRADICTED and apart > 0
    return decided(holds != (claim.polarity == "negated"), measured, f"{claim.kind.replace('_', ' ')}: {listed}")


def st_change(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """ST elevation or depression, with or without a size (mV); the J point and J+60 ms both count."""
    sign = 1 if claim.kind == "st_elevation" else -1
    if claim.value in ("more", "less"):
        return compared_in_leads(claim, features, tol, "st_j" if sign > 0 else "st_j60", sign)
    at_j, later = (_st_levels(claim, features, point) for point in ("st_j", "st_j60"))
    band = tol.limit_mv * slack(claim, tol)
    if is_number(claim) and claim.polarity != "negated":
        stated = _unsigned(claim)
        # A text need not say where a level was read: the J point and 60 ms after it both count.
        sized = {
            lead: _nearest(stated, sign * at_j[lead], sign * level)
            for lead, level in later.items()
            if math.isfinite(level) and math.isfinite(at_j[lead])
        }
        if not sized:
            return unmeasurable("the ST level cannot be measured in these leads")
        if not claim.leads:
            extreme = _nearest(stated, *(max(sign * levels[lead] for lead in sized) for levels in (at_j, later)))
            return compare(stated, extreme, max(tol.st_mv, tol.st_share * abs(extreme)), tol, "largest ST deviation")
        judgement = leadwise_number(stated, sized, tol.st_mv, tol.st_share, tol, claim.kind)
        if judgement.verdict == SUPPORTED:
            finding = lead_finding(
                claim,
                sized,
                lambda _, v: above(v, min(ST_ELEVATION_MV, abs(float(claim.value)) / 2), band),
                claim.kind,
            )
            return finding if finding.verdict == CONTRADICTED else judgement
        return judgement
    least = abs(float(claim.value)) if is_number(claim) else 0.0
    return lead_finding(
        claim,
        at_j if sign > 0 else later,
        lambda lead, _: _st_beyond(
            features,
            lead,
            at_j[lead],
            at_j[lead] if sign > 0 and claim.polarity == "negated" else later[lead],
            sign,
            band,
            least,
        ),
        claim.kind.replace("_", " ").replace("st", "ST"),
    )


def _nearest(stated: Claim, *levels: float) -> float:
    """The one of `levels` (mV) that is nearest to a stated size, or to the middle of a stated range."""
    middle = (float(stated.value) + float(stated.value if stated.high is None else stated.high)) / 2
    return min(levels, key=lambda level: abs(level - middle))


def _unsigned(claim: Claim) -> Claim:
    """A claim's size without its sign; of `-0.3 to -0.5 mV` the range 0.3 to 0.5."""
    bounds = sorted(abs(float(bound)) for bound in (claim.value, claim.high) if bound is not None)
    return replace(claim, value=bounds[0], high=None if claim.high is None else bounds[1])


def _st_beyond(
    features: EcgFeatures, lead: str, at_j: float, later: float, sign: int, band: float, least: float = 0.0
) -> tuple[bool, bool]:
    """Whether an ST segment is raised (`sign` 1) or lowered (-1) by the limit or by `least` mV, and whether that is certain.

    Elevation is measured at the J point (fourth universal definition), depression 60 ms after it. A segment that is raised only
    60 ms after the J point, as in many healthy hearts in V2 to V4, is uncertain. If the sex is not known, a level in V2 or V3 is
    certain only below the limit for women or above that for most men.

    Args:
        features: the measurements, for sex and age.
        lead: name of the lead.
        at_j: level at the J point, mV.
        later: level 60 ms after it, mV.
        sign: 1 for elevation, -1 for depression.
        band: distance from the limit within which the result is uncertain, mV.
        least: a limit that the claim states itself, mV; 0 for none.
    """
    if sign < 0:
        return above(-later, max(ST_DEPRESSION_MV, least), band)
    limit = max(st_elevation_limit(lead, features.sex, features.age), least)
    lowest = limit if features.sex else max(st_elevation_limit(lead, "F"), least)
    if at_j >= limit:
        return True, at_j > limit + band and later >= ST_ELEVATION_MV
    return False, max(at_j, later) < lowest - band


def _st_levels(claim: Claim, features: EcgFeatures, point: Literal["st_j", "st_j60"]) -> dict[str, float]:
    """ST level in mV of the claim's leads; of the record as a whole without aVR, whose ST mirrors the others'."""
    leads = [lead for lead in claim.leads or features.leads if lead in features.leads]
    if not claim.leads or claim.territory in ("all", "most", "other", "limb"):
        leads = [lead for lead in leads if lead != "aVR"]
    return {lead: features.lead_value(point, lead) for lead in leads}


def st_deviation(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """An ST deviation of unnamed direction; denied, neither direction may be there."""
    if claim.polarity == "negated":
        # Both are denied. A lead that is raised beside one that is lowered makes neither of them a finding.
        denied = [st_change(replace(claim, kind=kind), features, tol) for kind in ("st_elevation", "st_depression")]
        return max(denied, key=lambda judgement: (SUPPORTED, NOT_MEASURABLE, CONTRADICTED).index(judgement.verdict))
    band = tol.limit_mv * slack(claim, tol)
    at_j, later = (_st_levels(claim, features, point) for point in ("st_j", "st_j60"))

    def present(lead: str, _: float) -> tuple[bool, bool]:
        forms = [_st_beyond(features, lead, at_j[lead], later[lead], sign, band) for sign in (1, -1)]
        there = any(yes for yes, _ in forms)
        return there, any(yes and sure for yes, sure in forms) if there else all(sure for _, sure in forms)

    return _unless_another_form(claim, lead_finding(claim, later, present, "ST deviation"))


def _unless_another_form(claim: Claim, judgement: Judgement) -> Judgement:
    """`ST changes` and `T wave abnormalities` may lie in the slope or shape, which is not measured."""
    other_form = claim.value == "abnormal" and claim.polarity != "negated" and not claim.leads
    if other_form and judgement.verdict == CONTRADICTED:
        return unmeasurable(f"{judgement.explanation}; slopes and shapes are not measured", judgement.measured)
    return judgement


def t_wave(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Inverted, flat, upright or tall T waves, or the depth of an inversion (mV)."""
    if claim.value in ("more", "less"):
        return compared_in_leads(claim, features, tol, "t_amplitude", 1 if claim.kind == "t_tall" else -1)
    values = lead_amplitudes(claim, features, "t_amplitude")
    band = tol.limit_mv * slack(claim, tol)
    if claim.kind == "t_inversion" and is_number(claim) and claim.polarity != "negated":
        depth = {lead: -value for lead, value in values.items() if math.isfinite(value)}
        if not depth:
            return unmeasurable("the T wave cannot be measured in these leads")
        return leadwise_number(_unsigned(claim), depth, tol.amplitude_mv, tol.amplitude_share, tol, "T depth")
    if not claim.leads or claim.territory in (*EACH_LEAD, "most"):
        # Inversion in aVR is the rule and in V1 (and III) frequent: neither counts for the record as a whole.
        values = {lead: value for lead, value in values.items() if lead not in T_NORMALLY_INVERTED}
    judged_flat = flat_t_leads(features)

    def abnormal(lead: str, value: float) -> tuple[bool, bool]:
        # A low T is abnormal to who says so, if all leads show it; who says that all is normal denies inversions only.
        inverted = above(-value, -T_INVERTED_MV, band)
        if claim.polarity == "negated" or inverted[0] or lead not in judged_flat:
            return inverted
        return value <= T_FLAT_MV, value > T_FLAT_MV + band

    rules: dict[str, Callable[[str, float], tuple[bool, bool]]] = {
        "t_inversion": lambda _, value: above(-value, -T_INVERTED_MV, band + 0.02),
        "t_flat": lambda _, value: above(-abs(value), -T_FLAT_MV, band),
        "t_tall": lambda lead, value: above(value, t_tall_limit(lead), TALL_T_BAND_SHARE * t_tall_limit(lead)),
        "t_abnormality": abnormal,
    }
    if claim.kind == "t_flat":
        # A T wave that is too small to be marked is flat.
        values = {lead: 0.0 if math.isnan(value) else value for lead, value in values.items()}
        if claim.polarity == "negated" and claim.territory in EACH_LEAD:
            values = {lead: value for lead, value in values.items() if lead in judged_flat}
    name = {"t_inversion": "T inverted", "t_flat": "T flat", "t_tall": "T tall", "t_abnormality": "T abnormal"}[
        claim.kind
    ]
    judgement = lead_finding(claim, values, rules[claim.kind], name)
    if claim.kind == "t_flat" and not claim.leads:
        decisive = lead_finding(claim, {lead: values[lead] for lead in judged_flat}, rules[claim.kind], name)
        # Flat in other leads only: neither the guideline's finding nor its absence.
        if decisive.verdict != judgement.verdict:
            return unmeasurable(f"{judgement.explanation}; of a T wave's flatness {', '.join(judged_flat)} decide")
    return _unless_another_form(claim, judgement)


def stt_changes(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """ST-T changes that are affirmed: shown by a level or an inversion. Denied they are never judged: readers do not count those
    that an infarct, a block or pacing brings with it, and slopes and shapes are not measured."""
    judged = [
        rule(replace(claim, kind=kind, value="abnormal", polarity="affirmed"), features, tol)
        for kind, rule in (("st_deviation", st_deviation), ("t_abnormality", t_wave))
    ]
    shown = [judgement for judgement in judged if judgement.verdict == SUPPORTED and claim.polarity != "negated"]
    return shown[0] if shown else unmeasurable("; ".join(judgement.explanation for judgement in judged))


def pathological_q(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Q waves beyond the limits of width and depth (`ecg_limits`) in the leads that are named."""
    leads = [lead for lead in claim.leads or features.leads if lead in features.leads]
    if not claim.leads or claim.territory is not None:
        leads = [lead for lead in leads if lead not in Q_NORMAL_LEADS]
    durations = {lead: features.lead_value("q_duration", lead) for lead in leads}
    depths = {lead: -features.lead_value("q_amplitude", lead) for lead in leads}
    beside = pathological_q_leads(features)

    def present(lead: str, duration: float) -> tuple[bool, bool]:
        enough, deep = q_limits(lead)
        depth = depths[lead]
        yes = (duration >= enough and depth >= deep) or lead in beside
        clearly_yes = lead not in Q_NORMAL_LEADS and duration >= enough + tol.q_duration_ms and depth >= deep * 1.4
        clearly_no = duration < enough - tol.q_duration_ms or depth < deep * 0.6
        if (
            features.qrs_patterns.get(lead) in ("QS", "rS")
            and features.lead_value("r_amplitude", lead) < tol.amplitude_mv
        ):
            clearly_no = False  # so small an r may be read as none, and what follows as a QS
        return yes, clearly_yes if yes else clearly_no

    return lead_finding(claim, durations, present, "pathological Q", "ms", lone=False)


def p_form(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Wide, tall or notched P waves."""
    if not features.p_present:
        return unmeasurable(f"P waves {p_waves_in_words(features)}")
    if claim.kind == "p_wide":
        return in_words(
            claim,
            *above(features.p_duration, P_DURATION.high, tol.limit_ms),
            round(features.p_duration),
            f"P wave measures {features.p_duration:.0f} ms",
        )
    values = lead_amplitudes(claim, features, "p_amplitude")
    if claim.kind == "p_tall":
        return lead_finding(claim, values, lambda _, value: above(value, P_HEIGHT_MV, tol.limit_mv), "P tall")
    if not claim.leads:
        values = {lead: value for lead, value in values.items() if lead == "II"}
    if claim.polarity == "negated" and claim.territory in EACH_LEAD:
        values = {lead: value for lead, value in values.items() if lead not in P_NORMALLY_INVERTED}
    least = 2 if claim.leads else 1
    return lead_finding(
        claim, values, lambda _, value: above(-value, -P_INVERTED_MV, -P_INVERTED_MV), "P inverted", least=least
    )


def qrs_pattern(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A QRS pattern such as `rSR'` in the leads that are named; case and closely related patterns are forgiven."""
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


__all__ = [
    "amplitude",
    "p_form",
    "pathological_q",
    "qrs_pattern",
    "shown_in_leads",
    "st_change",
    "st_deviation",
    "stt_changes",
    "t_wave",
]
