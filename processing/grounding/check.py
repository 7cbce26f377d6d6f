# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Checks what a text says about an ECG against what the waveform measures: no judge, no network, the same every time."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from processing.claims.claims import Claim, extract_claims
from processing.ecg_features import EcgFeatures
from processing.ecg_limits import CLEARLY_FAST_BPM, CLEARLY_SLOW_BPM, NORMAL_ST_FACTOR

from .places_on_ecg import evidence
from .rules_leads import amplitude, p_form, pathological_q, qrs_pattern, st_change, st_deviation, t_wave
from .rules_record import axis, heart_rate, interval, missing_beats, missing_leads, qtc, rr_interval, voltage_sum
from .rules_rhythm import (
    atrium,
    av_block,
    bundle_branch,
    ectopy,
    fascicle,
    hypertrophy,
    infarction,
    low_voltage,
    p_waves,
    pause,
    pre_excitation,
    r_progression,
    regularity,
    rhythm,
)
from .salient import SalientFinding, abnormal_findings, by_wall, salient_findings
from .verdicts import (
    CONTRADICTED,
    DEFAULT_TOLERANCES,
    NOT_MEASURABLE,
    SUPPORTED,
    Judgement,
    Tolerances,
    decided,
    unmeasurable,
)

Rule = Callable[[Claim, EcgFeatures, Tolerances], Judgement]


@dataclass(frozen=True)
class CheckedClaim:
    """A claim and what the measurements say about it.

    Attributes:
        claim: the claim.
        verdict: `supported`, `contradicted` or `not_measurable`.
        measured: the measured value or values, `None` where there are none.
        explanation: a sentence's worth of why.
        evidence: (lead, start, end) in s: where on the ECG it is to be seen; `highlight` takes them as they are.
        wrong_leads: the named leads that are not in the record, or that do not show an affirmed finding.
    """

    claim: Claim
    verdict: str
    measured: Any
    explanation: str
    evidence: tuple[tuple[str, float, float], ...]
    wrong_leads: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.claim.to_dict(),
            "verdict": self.verdict,
            "measured": self.measured,
            "explanation": self.explanation,
            "wrong_leads": list(self.wrong_leads),
            "evidence": [list(span) for span in self.evidence],
        }


@dataclass(frozen=True)
class GroundingReport:
    """All claims of a text with their verdicts, and the scores.

    Attributes:
        claims: the checked claims, in the text's order.
        salient: findings of the measurements that ought to be mentioned; `mentioned`: those that are, correctly.
    """

    claims: tuple[CheckedClaim, ...]
    salient: tuple[SalientFinding, ...] = ()
    mentioned: tuple[SalientFinding, ...] = ()

    def count(self, verdict: str) -> int:
        return sum(checked.verdict == verdict for checked in self.claims)

    @property
    def precision(self) -> float:
        """Share of the measurable claims that are supported; NaN without any."""
        supported, contradicted = self.count(SUPPORTED), self.count(CONTRADICTED)
        return supported / (supported + contradicted) if supported + contradicted else math.nan

    @property
    def contradiction_rate(self) -> float:
        """Share of all claims that are contradicted; NaN without any."""
        return self.count(CONTRADICTED) / len(self.claims) if self.claims else math.nan

    @property
    def recall(self) -> float:
        """Share of the salient findings that a supported claim mentions; NaN without any."""
        return len(self.mentioned) / len(self.salient) if self.salient else math.nan

    @property
    def hallucinated_lead_rate(self) -> float:
        """Share of the leads named for affirmed findings that do not show them or are not in the record."""
        named = wrong = 0
        for checked in self.claims:
            if checked.claim.leads and checked.claim.polarity != "negated" and checked.verdict != NOT_MEASURABLE:
                named += len(checked.claim.leads)
                wrong += len(checked.wrong_leads)
        return wrong / named if named else math.nan

    @property
    def missing(self) -> tuple[SalientFinding, ...]:
        """Salient findings that the text does not mention, or gets wrong."""
        return tuple(finding for finding in self.salient if finding not in self.mentioned)

    def scores(self) -> dict[str, float | int | None]:
        """The scores and counts, `None` where a score has nothing to count."""
        rates = {
            name: getattr(self, name)
            for name in ("precision", "recall", "contradiction_rate", "hallucinated_lead_rate")
        }
        return {
            **{name: None if math.isnan(value) else round(value, 4) for name, value in rates.items()},
            "claims": len(self.claims),
            **{verdict: self.count(verdict) for verdict in (SUPPORTED, CONTRADICTED, NOT_MEASURABLE)},
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **self.scores(),
            "salient": [finding.name for finding in self.salient],
            "missing": [finding.name for finding in self.missing],
            "checked": [checked.to_dict() for checked in self.claims],
        }

    def to_markdown(self) -> str:
        """The scores and a table of the claims."""
        scores = ", ".join(
            f"{name.replace('_', ' ')} {'-' if value is None else value}" for name, value in self.scores().items()
        )
        lines = [scores, "", "| verdict | claim | what was said | measured |", "|---|---|---|---|"]
        for checked in self.claims:
            quote = " ".join(checked.claim.quote.split()).replace("|", "\\|")
            lines.append(
                f"| {checked.verdict.replace('_', ' ')} | {checked.claim.kind} | {quote} | {checked.explanation} |"
            )
        if self.missing:
            lines += ["", f"Not mentioned: {'; '.join(finding.name for finding in self.missing)}."]
        return "\n".join(lines)


def check_grounding(
    text_or_claims: str | Sequence[Claim], features: EcgFeatures, tolerances: Tolerances = DEFAULT_TOLERANCES
) -> GroundingReport:
    """Compares every claim of an interpretation with the measurements of the ECG it is about.

    Args:
        text_or_claims: the interpretation, or what `extract_claims` made of it.
        features: what `extract_features` measured.
        tolerances: how far a stated value may be off.

    Example:
        >>> from processing.ecg_features import extract_features
        >>> from processing.simulator.simulator import simulate_ecg
        >>> features = extract_features(simulate_ecg(heart_rate=72, seed=1).record)
        >>> report = check_grounding("Sinus rhythm, 72 bpm, with ST elevation in II, III and aVF.", features)
        >>> [checked.verdict for checked in report.claims]
        ['supported', 'supported', 'contradicted']
    """
    claims = extract_claims(text_or_claims) if isinstance(text_or_claims, str) else text_or_claims
    checked = tuple(check_claim(claim, features, tolerances) for claim in claims)
    salient = salient_findings(features)
    return GroundingReport(
        checked, tuple(salient), tuple(finding for finding in salient if _mentions(checked, finding))
    )


def check_claim(claim: Claim, features: EcgFeatures, tolerances: Tolerances = DEFAULT_TOLERANCES) -> CheckedClaim:
    """The verdict about one claim."""
    judgement = missing_beats(claim, features) or missing_leads(claim, features)
    if judgement is None:
        rule = RULES.get(claim.kind)
        if not len(features.beat_times):
            judgement = unmeasurable(features.note or "no beats were found")
        elif rule is None:
            judgement = unmeasurable("the measurements do not decide this")
        else:
            judgement = rule(claim, features, tolerances)
    wrong = [lead for lead, right in judgement.by_lead.items() if right is False]
    wrong += [lead for lead in claim.leads if lead not in features.leads and lead not in wrong]
    if claim.polarity == "negated" or (claim.territory is not None and judgement.verdict == SUPPORTED):
        wrong = []
    return CheckedClaim(
        claim=claim,
        verdict=judgement.verdict,
        measured=judgement.measured,
        explanation=judgement.explanation,
        evidence=tuple(evidence(claim, features)),
        wrong_leads=tuple(wrong),
    )


def _beat_time(claim: Claim, features: EcgFeatures, tolerances: Tolerances) -> Judgement:
    beat = (claim.beats or (0,))[0]
    time = float(features.beat_times[beat - 1])
    onset, offset = (float(features.beat_waves["QRS"][beat - 1, i]) for i in (0, 2))
    stated = float(claim.value)
    near = abs(time - stated) <= tolerances.time_s or onset - 0.05 <= stated <= offset + 0.05
    return decided(near, round(time, 2), f"beat {beat} is at {time:.2f} s")


def _beat(claim: Claim, features: EcgFeatures, tolerances: Tolerances) -> Judgement:
    return decided(True, len(features.beat_times), f"the ECG has {len(features.beat_times)} beats")


def _normal_ecg(claim: Claim, features: EcgFeatures, tolerances: Tolerances) -> Judgement:
    """A normal ECG: nothing clearly abnormal is measured; that is not all of it, so an abnormal one is not proven."""
    abnormal = [
        finding.name for finding in (*abnormal_findings(features), *by_wall(features, st_factor=NORMAL_ST_FACTOR))
    ]
    if not features.p_present:
        abnormal.append("no P waves")
    if features.heart_rate < CLEARLY_SLOW_BPM or features.heart_rate > CLEARLY_FAST_BPM:
        abnormal.append(f"{features.heart_rate:.0f} bpm")
    if abnormal:
        return decided(claim.polarity == "negated", None, "; ".join(abnormal))
    if claim.polarity == "negated":
        return unmeasurable("nothing clearly abnormal is measured, which does not prove it normal")
    return decided(True, None, "nothing clearly abnormal is measured")


def _long_qt(claim: Claim, features: EcgFeatures, tolerances: Tolerances) -> Judgement:
    return qtc(replace(claim, kind="qtc_interval", value="prolonged"), features, tolerances)


def _mentions(checked: Sequence[CheckedClaim], finding: SalientFinding) -> bool:
    for item in checked:
        claim = item.claim
        if item.verdict != SUPPORTED or claim.kind not in finding.kinds:
            continue
        if finding.polarity == "affirmed" and claim.polarity == "negated":
            continue
        if finding.values and isinstance(claim.value, str) and claim.value not in finding.values:
            continue
        if finding.leads and claim.leads and not set(finding.leads) & set(claim.leads):
            continue
        return True
    return False


RULES: dict[str, Rule] = {
    "heart_rate": heart_rate,
    "rr_interval": rr_interval,
    "qtc_interval": qtc,
    "long_qt": _long_qt,
    **dict.fromkeys(
        ("pr_interval", "qrs_duration", "qt_interval", "p_duration", "qtc_bazett", "qtc_fridericia"), interval
    ),
    **dict.fromkeys(("qrs_axis", "p_axis", "t_axis"), axis),
    **dict.fromkeys(("sokolow_lyon", "cornell"), voltage_sum),
    **dict.fromkeys(
        ("p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "qrs_amplitude", "t_amplitude", "st_level"),
        amplitude,
    ),
    **dict.fromkeys(("st_elevation", "st_depression"), st_change),
    "st_deviation": st_deviation,
    **dict.fromkeys(("t_inversion", "t_flat", "t_tall", "t_abnormality"), t_wave),
    "pathological_q": pathological_q,
    **dict.fromkeys(("p_inversion", "p_tall", "p_wide"), p_form),
    "qrs_pattern": qrs_pattern,
    "rhythm": rhythm,
    "regularity": regularity,
    "p_waves": p_waves,
    **dict.fromkeys(("ectopy", "ventricular_ectopy", "atrial_ectopy", "bigeminy"), ectopy),
    "pause": pause,
    "av_block": av_block,
    **dict.fromkeys(
        ("rbbb", "lbbb", "incomplete_rbbb", "incomplete_lbbb", "bundle_branch_block", "ivcd"), bundle_branch
    ),
    **dict.fromkeys(("lafb", "lpfb"), fascicle),
    "pre_excitation": pre_excitation,
    **dict.fromkeys(("lvh", "rvh"), hypertrophy),
    "low_voltage": low_voltage,
    **dict.fromkeys(("r_progression", "poor_r_progression"), r_progression),
    **dict.fromkeys(("lae", "rae"), atrium),
    **dict.fromkeys(("infarction", "ischemia"), infarction),
    "beat_time": _beat_time,
    "beat": _beat,
    "normal_ecg": _normal_ecg,
}

__all__ = [
    "CONTRADICTED",
    "DEFAULT_TOLERANCES",
    "NOT_MEASURABLE",
    "SUPPORTED",
    "CheckedClaim",
    "Claim",
    "GroundingReport",
    "Tolerances",
    "check_claim",
    "check_grounding",
    "extract_claims",
]
