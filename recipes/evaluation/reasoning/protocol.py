# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The benchmark's criteria, one tree per diagnosis, which decides the next question and when a diagnosis is settled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from processing.ecg_rules import premature_beat_rows

from . import signs
from .signs import (
    ANTERIOR_ST,
    ANTERIOR_T,
    INFERIOR,
    LATERAL,
    LONG_PR_MS,
    LONG_QRS_MS,
    SLOW_BPM,
    MeasuredEcg,
    leads_with,
)

Leads = Callable[[MeasuredEcg], tuple[str, ...]]
Sign = Callable[[MeasuredEcg, str], bool]
Shape = tuple[str, Sign, tuple[str, ...]]


@dataclass(frozen=True)
class Criterion:
    """
    A node: its name as the options spell it, whether an ECG meets it, and what follows.

    Attributes:
        then, otherwise: the next criterion, or the diagnosis itself (`True`: present).
        leads: where the ECG meets it, for criteria of leads; `least` of them make a finding.
        finding: for criteria of the record.
    """

    name: str
    then: "Criterion | bool"
    otherwise: "Criterion | bool"
    leads: Leads | None = None
    least: int = 1
    finding: Callable[[MeasuredEcg], bool] | None = None

    def is_met(self, ecg: MeasuredEcg) -> bool:
        """Whether the ECG's own measurements meet the criterion."""
        if self.finding is not None:
            return self.finding(ecg)
        return self.leads is not None and len(self.leads(ecg)) >= self.least


def _or_else(first: tuple[str, Leads], second: tuple[str, Leads]) -> Criterion:
    """Present with the first sign in two leads, or else with the second."""
    later = Criterion(second[0], True, False, leads=second[1], least=2)
    return Criterion(first[0], True, later, leads=first[1], least=2)


def _ischemia(wall: str, st_leads: tuple[str, ...], t_leads: tuple[str, ...]) -> Criterion:
    return _or_else(
        (f"Presence of ST-segment depression in {wall} leads", leads_with(signs.st_depressed, st_leads)),
        (f"Presence of inverted T waves in {wall} leads", leads_with(signs.t_inverted, t_leads)),
    )


def _infarction(wall: str, leads: tuple[str, ...]) -> Criterion:
    return _or_else(
        (f"Presence of ST-segment elevation in {wall} leads", leads_with(signs.st_elevated, leads)),
        (f"Presence of pathological Q waves in {wall} leads", leads_with(signs.pathological_q, leads)),
    )


def _shape(
    name: str,
    sign: Sign,
    leads: tuple[str, ...],
    then: Criterion | bool = True,
    otherwise: Criterion | bool = False,
    least: int = 1,
) -> Criterion:
    return Criterion(name, then, otherwise, leads=leads_with(sign, leads), least=least)


def _record(
    name: str,
    finding: Callable[[MeasuredEcg], bool],
    then: Criterion | bool = True,
    otherwise: Criterion | bool = False,
) -> Criterion:
    return Criterion(name, then, otherwise, finding=finding)


def _long_qrs(then: Criterion) -> Criterion:
    return _record("Prolongation of the QRS duration", lambda ecg: ecg.features.qrs_duration > LONG_QRS_MS, then)


def _left_bundle_branch_block() -> Criterion:
    late = _shape(
        "Presence of a broad monophasic R wave with a prolonged R wave peak time in leads V5 and V6",
        signs.late_r_peak,
        ("V5", "V6"),
    )
    notched = _shape("Presence of a notched R wave in lateral leads", signs.notched_r, LATERAL, True, late)
    upright = _shape(
        "Presence of a positive monophasic QRS complex without a Q wave in lateral leads",
        signs.upright_without_q,
        ("I", "aVL", "V6"),
        notched,
        least=2,
    )
    return _long_qrs(
        _shape("Presence of a dominant S wave in leads V1 and V2", signs.dominant_s, ("V1", "V2"), upright, least=2)
    )


def _right_bundle_branch_block() -> Criterion:
    slurred = _shape("Presence of a slurred S wave in lateral leads", signs.slurred_s, LATERAL, least=2)
    broad = _shape(
        "Presence of a broad monophasic R wave or qR pattern in lead V1", signs.broad_r_or_qr, ("V1",), slurred
    )
    return _long_qrs(
        _shape("Presence of an RSR' pattern in leads V1 and V2", signs.second_r, ("V1", "V2"), slurred, broad)
    )


def _fascicular_block(side: str, low: float, high: float, lateral: Shape, inferior: Shape) -> Criterion:
    (lateral_name, lateral_sign, lateral_leads), later = lateral, _shape(*inferior)
    shapes = _shape(lateral_name, lateral_sign, lateral_leads, later)
    axis = _record(f"Presence of {side} axis deviation", lambda ecg: low <= ecg.features.qrs_axis <= high, shapes)
    return _record("Presence of left bundle branch block", signs.left_block, False, axis)


QR, RS = "Presence of a qR pattern in leads", "Presence of an rS pattern in leads"
QR_LATERAL = (f"{QR} I and aVL", signs.small_q_tall_r, ("I", "aVL"))
RS_LATERAL = (f"{RS} I and aVL", signs.small_r_deep_s, ("I", "aVL"))
QR_INFERIOR = (f"{QR} II, III, and aVF", signs.small_q_tall_r, INFERIOR)
RS_INFERIOR = (f"{RS} II, III, and aVF", signs.small_r_deep_s, INFERIOR)


def _left_ventricular_hypertrophy() -> Criterion:
    """Present with two voltage criteria, or with one and strain; all three voltages are asked for."""
    strain = _shape("Presence of an LV strain pattern in lateral leads", signs.strain, LATERAL)
    settled: tuple[Criterion | bool, ...] = (False, strain, True, True)

    def cornell(met: int) -> Criterion:
        name = "Cornell Product ((R amplitude in aVL + S amplitude in V3) x QRS duration) > 0.244mV*s"
        return _record(name, lambda ecg: signs.cornell_product(ecg) > 244, settled[met + 1], settled[met])

    def sokolow(met: int) -> Criterion:
        name = "Sum of S amplitude in V1 and R amplitude in V5/V6 > 3.5mV"
        return _record(name, lambda ecg: signs.sokolow(ecg) > 3.5, cornell(met + 1), cornell(met))

    name = "R wave amplitude in lead aVL > 1.1mV"
    return _record(name, lambda ecg: ecg.largest("r_amplitude", "aVL") > 1.1, sokolow(1), sokolow(0))


def _right_ventricular_hypertrophy() -> Criterion:
    tall = _record("R wave amplitude in V1 > 1.5mV", lambda ecg: ecg.value("r_amplitude", "V1") > 1.5)
    with_block = _record("QRS axis > +60 degrees", lambda ecg: ecg.features.qrs_axis > 60, True, tall)
    dominant = _record("Presence of a dominant R wave in V1", lambda ecg: signs.dominant_r(ecg, "V1"))
    without = _record("Presence of right axis deviation", lambda ecg: ecg.features.qrs_axis > 100, dominant)
    return _record("Presence of right bundle branch block", signs.right_block, with_block, without)


def _premature(name: str, wide_means: bool) -> Criterion:
    """The finding asks in both diagnoses whether the premature beat is wide."""

    def wide(ecg: MeasuredEcg) -> bool:
        return bool(premature_beat_rows(ecg.features)[1].any())

    width = _record(name, wide, wide_means, not wide_means)
    return _record("Presence of premature beats", lambda ecg: bool(len(ecg.early)), width)


def _third_degree_block() -> Criterion:
    dissociation = _record("Presence of AV dissociation", signs.dissociated)
    fibrillation = _record("Presence of atrial fibrillation", signs.fibrillates, True, dissociation)
    regular = _record("Regularity of the RR intervals", signs.is_regular, fibrillation)
    return _record(
        "Presence of bradycardia (slow ventricular rate)", lambda ecg: ecg.features.heart_rate < SLOW_BPM, regular
    )


PROTOCOL: Mapping[str, Criterion] = {
    "anterior_ischemia": _ischemia("anterior", ANTERIOR_T, ANTERIOR_T),
    "inferior_ischemia": _ischemia("inferior", INFERIOR, INFERIOR),
    "lateral_ischemia": _ischemia("lateral", LATERAL, LATERAL),
    "anterior_myocardial_infarction": _infarction("anterior", ANTERIOR_ST),
    "inferior_myocardial_infarction": _infarction("inferior", INFERIOR),
    "lateral_myocardial_infarction": _infarction("lateral", LATERAL),
    "complete_left_bundle_branch_block": _left_bundle_branch_block(),
    "complete_right_bundle_branch_block": _right_bundle_branch_block(),
    "left_anterior_fascicular_block": _fascicular_block("left", -90, -30, QR_LATERAL, RS_INFERIOR),
    "left_posterior_fascicular_block": _fascicular_block("right", 90, 180, RS_LATERAL, QR_INFERIOR),
    "left_ventricular_hypertrophy": _left_ventricular_hypertrophy(),
    "right_ventricular_hypertrophy": _right_ventricular_hypertrophy(),
    "premature_atrial_complex": _premature(
        "Absence of significant QRS prolongation in the premature beat compared to normal beats", False
    ),
    "premature_ventricular_complex": _premature(
        "Presence of significant QRS prolongation in the premature beat compared to normal beats", True
    ),
    "first_degree_av_block": _record(
        "Evidence of consistent 1:1 atrioventricular conduction",
        signs.every_p_conducted,
        _record("Prolongation of the PR interval", lambda ecg: ecg.features.pr_interval > LONG_PR_MS),
    ),
    "second_degree_av_block": _record(
        "Occurrence of intermittent dropped beats",
        signs.dropped_beat,
        _record("Presence of a non-conducted P wave within the dropped interval", signs.p_in_the_gap),
    ),
    "third_degree_av_block": _third_degree_block(),
}


def diagnosis_of(root: Criterion, ecg: MeasuredEcg) -> bool:
    """The diagnosis to which the findings of an ECG lead in the tree."""
    node: Criterion | bool = root
    while isinstance(node, Criterion):
        node = node.then if node.is_met(ecg) else node.otherwise
    return node


__all__ = ["PROTOCOL", "Criterion", "diagnosis_of"]
