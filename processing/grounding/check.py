# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Checks the claims of a text about an ECG against measurements of the waveform, without a judge model or network, deterministically."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from processing.claims.claims import Claim, extract_claims
from processing.claims.finding import NOT_MEASURED, Finding, LeadRule
from processing.claims.findings import BY_KIND, FINDINGS
from processing.ecg_features import EcgFeatures
from processing.ecg_record import MAIN_WALLS, NEIGHBOURING_LEADS, WALLS
from processing.errors_gem import ClaimError

from . import (
    rules_av_block,
    rules_beats,
    rules_leads,
    rules_p_waves,
    rules_record,
    rules_rhythm,
    rules_signal,
    rules_voltage,
)
from .not_judged import beyond_the_rules
from .places_on_ecg import evidence
from .rules_beats import at_premature_beats, not_of_premature_beats
from .rules_leads import shown_in_leads
from .rules_record import missing_beats, missing_leads, unreadable_leads
from .salient import SalientFinding, salient_findings
from .verdicts import (
    CONTRADICTED,
    DEFAULT_TOLERANCES,
    DIGITIZED_TOLERANCES,
    NOT_MEASURABLE,
    SUPPORTED,
    Judgement,
    Tolerances,
    too_near,
    unmeasurable,
)

Rule = Callable[[Claim, EcgFeatures, Tolerances], Judgement]


@dataclass(frozen=True)
class CheckedClaim:
    """A claim with its verdict by the measurements.

    Attributes:
        claim: the claim.
        verdict: `supported`, `contradicted` or `not_measurable`.
        measured: the measured value or values; `None` if there are none.
        explanation: the reason in words.
        evidence: the parts of the ECG that show it, (lead, start, end) in s, in the form that `highlight` takes.
        wrong_leads: the named leads that are not in the record, or that do not show an affirmed finding.
    """

    claim: Claim
    verdict: str
    measured: Any
    explanation: str
    evidence: tuple[tuple[str, float, float], ...]
    wrong_leads: tuple[str, ...] = ()

    @property
    def of_recording(self) -> bool:
        """Whether it is about the recording, its quality or its length, and not about the heart."""
        return _of_recording(self.claim)

    def to_dict(self) -> dict[str, Any]:
        """Claim, verdict and evidence as JSON holds them; spans are [lead, start, end] in s."""
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
        salient: measured findings that an interpretation should mention.
        mentioned: those that are mentioned correctly.
        poor_leads: leads too poor to be described; of claims about them alone, only those about the signal are judged.
    """

    claims: tuple[CheckedClaim, ...]
    salient: tuple[SalientFinding, ...] = ()
    mentioned: tuple[SalientFinding, ...] = ()
    poor_leads: tuple[str, ...] = ()

    def count(self, verdict: str) -> int:
        """How many claims have this verdict."""
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
        """Share of the leads named for affirmed findings of the heart that do not show them or are not in the record."""
        named = wrong = 0
        for checked in self.claims:
            if (
                checked.claim.leads
                and not checked.of_recording
                and checked.claim.polarity != "negated"
                and checked.verdict != NOT_MEASURABLE
            ):
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
            "poor_leads": list(self.poor_leads),
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
        if self.poor_leads:
            lines += ["", f"Too poor to be described: {', '.join(self.poor_leads)}."]
        return "\n".join(lines)


def check_grounding(
    text_or_claims: str | Sequence[Claim], features: EcgFeatures, tolerances: Tolerances = DEFAULT_TOLERANCES
) -> GroundingReport:
    """Compares every claim of an interpretation with the measurements of the ECG it is about.

    Args:
        text_or_claims: the interpretation, or its claims from `extract_claims`.
        features: measurements from `extract_features`.
        tolerances: allowed differences of stated values.

    Returns:
        The claims with verdict, measured value and evidence, the scores, and the salient findings.

    Raises:
        ClaimError: the text is too long, see `extract_claims`; or neither text nor claims, or no measurements, were given.

    Examples:
        >>> from processing.ecg_features import extract_features
        >>> from processing.simulator.simulator import simulate_ecg
        >>> features = extract_features(simulate_ecg(heart_rate=72, seed=1).record)
        >>> report = check_grounding("Sinus rhythm, 72 bpm, with ST elevation in II, III and aVF.", features)
        >>> [checked.verdict for checked in report.claims]
        ['supported', 'supported', 'contradicted']
    """
    if not isinstance(features, EcgFeatures):
        raise ClaimError(f"Measurements are needed, not {type(features).__name__}: give `extract_features(record)`.")
    if not isinstance(text_or_claims, Sequence):
        raise ClaimError(f"A text or its claims are needed, not {type(text_or_claims).__name__}.")
    claims = extract_claims(text_or_claims) if isinstance(text_or_claims, str) else text_or_claims
    checked = tuple(check_claim(claim, features, tolerances) for claim in claims)
    salient = salient_findings(features)
    mentioned = tuple(finding for finding in salient if _mentions(checked, finding))
    return GroundingReport(checked, tuple(salient), mentioned, unreadable_leads(features))


def _of_recording(claim: Claim) -> bool:
    return claim.kind in BY_KIND and BY_KIND[claim.kind].of_recording


def check_claim(claim: Claim, features: EcgFeatures, tolerances: Tolerances = DEFAULT_TOLERANCES) -> CheckedClaim:
    """The verdict about one claim; the last beat gets its number."""
    if claim.beats and min(claim.beats) < 0 and len(features.beat_times):
        numbers = (beat if beat > 0 else len(features.beat_times) + 1 + beat for beat in claim.beats)
        claim = replace(claim, beats=tuple(numbers))
    # A recording has a quality where no beat is found, and most of all where a lead is too poor for anything else.
    of_recording = _of_recording(claim)
    about = at_premature_beats(claim, features)
    judgement = (
        not_of_premature_beats(about)
        or missing_beats(claim, features)
        or (None if of_recording else missing_leads(claim, features))
    )
    if judgement is None:
        rule = RULES.get(claim.kind)
        if not len(features.beat_times) and not of_recording:
            judgement = unmeasurable(features.note or "no beats were found")
        elif rule is None:
            judgement = unmeasurable("the measurements do not decide this")
        else:
            judgement = _unless_affirmed(rule, about, features, tolerances)
            if judgement.verdict == SUPPORTED and (beyond := beyond_the_rules(claim)) is not None:
                judgement = unmeasurable(f"{judgement.explanation}; {beyond}", judgement.measured)
    wrong = [lead for lead, right in judgement.by_lead.items() if right is False]
    wrong += [
        lead
        for lead in claim.leads
        if lead not in features.leads and lead not in wrong and not judgement.by_lead.get(lead)
    ]
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


def _unless_affirmed(rule: Rule, claim: Claim, features: EcgFeatures, tolerances: Tolerances) -> Judgement:
    """The rule's judgement; a denial is not supported where the same claim would be if it were affirmed, for these leads or, if it
    names none, for neighbours or a wall. Near a limit, or where formulas and readings differ, tolerances reach to both sides."""
    judgement = rule(claim, features, tolerances)
    if claim.polarity != "negated" or judgement.verdict != SUPPORTED:
        return judgement
    affirmed = replace(claim, polarity="affirmed")
    stated = [affirmed]
    finding = BY_KIND[claim.kind]
    if not claim.leads and finding.scope == "leads" and not finding.of_recording:
        everywhere = rule(replace(affirmed, leads=tuple(features.leads)), features, tolerances)
        showing = {lead for lead, shows in everywhere.by_lead.items() if shows}
        # Neighbours must both show a finding, and two leads of a wall.
        stated += [
            replace(affirmed, leads=leads, territory=wall)
            for leads, wall in _PLACES
            if set(leads) <= set(features.leads) and len(showing.intersection(leads)) > 1
        ]
    judged = (rule(located, features, tolerances) for located in stated)
    opposite = next((other for other in judged if other.verdict == SUPPORTED), None)
    return judgement if opposite is None else too_near(opposite.measured, opposite.explanation)


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


def _rule_of(finding: Finding) -> Rule:
    if isinstance(finding.rule, LeadRule):
        return partial(shown_in_leads, finding=finding, rule=finding.rule)
    return _FUNCTIONS[finding.rule]


_FUNCTIONS = {
    name: function
    for rules in (
        rules_record,
        rules_beats,
        rules_leads,
        rules_rhythm,
        rules_av_block,
        rules_p_waves,
        rules_signal,
        rules_voltage,
    )
    for name, function in vars(rules).items()
}
_PLACES = [(pair, None) for pair in NEIGHBOURING_LEADS] + [(WALLS[wall], wall) for wall in MAIN_WALLS]
RULES = {finding.kind: _rule_of(finding) for finding in FINDINGS if finding.rule != NOT_MEASURED}

__all__ = [
    "CONTRADICTED",
    "DEFAULT_TOLERANCES",
    "DIGITIZED_TOLERANCES",
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
