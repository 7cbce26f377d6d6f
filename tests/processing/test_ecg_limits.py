# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Every limit is compared with its published source; no other place in code or documentation repeats it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from processing import ecg_limits as limits
from processing.ecg_record import STANDARD_LEADS
from processing.guider.protocol import CRITERIA

ROOT = Path(__file__).parents[2]

# As published; `ecg_limits` names the sources.
PUBLISHED = {
    "HEART_RATE": (60, 100),
    "BRADYCARDIA_2018_BPM": 50,
    "CONTROLLED_RESPONSE_BPM": 110,
    "PR": (120, 200),
    "PR_CODE_6_3_MS": 220,
    "P_DURATION": (60, 120),
    "P_HEIGHT_MV": 0.25,
    "P_HEIGHT_V1_MV": 0.15,
    "WIDE_QRS_MS": 120,
    "INCOMPLETE_BLOCK_MS": 110,
    "QTC": (360, 460),
    "QTC_BORDERLINE": (390, 450),
    "AXIS": (-30, 90),
    "LEFT_AXIS": (-90, -30),
    "RIGHT_AXIS": (90, 180),
    "MARKED_LEFT_AXIS_DEG": -45,
    "MARKED_RIGHT_AXIS_DEG": 120,
    "LEFT_ANTERIOR_AXIS": (-90, -45),
    "LEFT_POSTERIOR_AXIS": (90, 180),
    "LOW_VOLTAGE_LIMB_MV": 0.5,
    "LOW_VOLTAGE_CHEST_MV": 1.0,
    "SOKOLOW_LYON_MV": 3.5,
    "CORNELL_MV": 2.4,
    "R_AVL_MV": 1.1,
    "R_I_S_III_MV": 2.5,
    "R_V5_V6_MV": 2.6,
    "R_LIMB_CODE_3_1_MV": 2.0,
    "R_AVL_CODE_3_1_MV": 1.2,
    "POOR_R_V3_MV": 0.3,
    "ST_DEPRESSION_MV": 0.1,
    "ST_DEPRESSION_TWO_LEADS_MV": 0.05,
    "T_INVERTED_MV": -0.1,
    "T_DEEP_MV": -0.5,
    "T_GIANT_MV": -1.0,
    "T_FLAT_MV": 0.1,
    "CLEARLY_LONG_PR_MS": 210,
    "CLEAR_QRS_MARGIN_MS": 10,
    "CLEAR_QTC_MARGIN_MS": 10,
    "CLEAR_AXIS_MARGIN_DEG": 10,
    "CLEARLY_HIGH_SOKOLOW_LYON_MV": 3.85,
    "CLEARLY_LOW_VOLTAGE_SHARE": 0.9,
    "CLEARLY_SLOW_BPM": 45,
    "CLEARLY_FAST_BPM": 110,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_limit_is_the_published_one(name: str) -> None:
    limit = getattr(limits, name)
    value = (limit.low, limit.high) if isinstance(limit, limits.Limit) else limit
    assert value == pytest.approx(PUBLISHED[name])


def test_limits_by_sex_age_and_lead() -> None:
    assert {sex: (limit.low, limit.high) for sex, limit in limits.QTC_BY_SEX.items()} == {
        "M": (390, 450),
        "F": (390, 460),
    }
    assert limits.qtc_limit("M").high == 450 and limits.qtc_limit().high == limits.qtc_limit("F").high == 460
    assert {sex: limits.cornell_limit(sex) for sex in ("F", "M", None)} == {"F": 2.0, "M": 2.8, None: 2.4}
    for lead in ("V2", "V3"):
        by_patient = {
            ("F", 30): 0.15,
            ("F", 70): 0.15,
            ("M", 39): 0.25,
            ("M", 40): 0.2,
            ("M", None): 0.2,
            (None, 30): 0.2,
        }
        assert {patient: limits.st_elevation_limit(lead, *patient) for patient in by_patient} == by_patient
        assert limits.q_limits(lead)[0] == 20
    for lead in ("I", "V1", "V4"):
        assert limits.st_elevation_limit(lead, "F", 30) == limits.st_elevation_limit(lead) == 0.1
        assert limits.q_limits(lead) == (30, 0.1)
    assert limits.t_tall_limit("II") == 0.5 and limits.t_tall_limit("V4") == 1.0


def test_every_range_has_a_unit_and_a_source() -> None:
    ranges = [value for value in vars(limits).values() if isinstance(value, limits.Limit)]
    assert len(ranges) > 10 and tuple(limits.QRS_SIZE) == STANDARD_LEADS
    for limit in (*ranges, *limits.QRS_SIZE.values()):
        assert limit.low < limit.high and limit.unit in ("ms", "bpm", "degrees", "mV") and limit.source
        assert limit.contains(limit.low) and limit.contains(limit.high) and not limit.contains(limit.high + 1)


# Values of limits that tolerances and margins do not have as well (0.1 and 0.5 mV, 10 ms).
CLINICAL = {
    60,
    100,
    110,
    120,
    140,
    200,
    220,
    330,
    360,
    390,
    440,
    450,
    460,
    -45,
    -30,
    3.5,
    2.8,
    1.1,
    2.6,
    0.25,
    0.15,
    1.75,
}
OWNERS_OF_WORDS = (
    "processing/ecg_record_measures.py",
    "processing/ecg_rules.py",
    "processing/ecg_features_text.py",
    "processing/grounding/check.py",
    "processing/grounding/rules_leads.py",
    "processing/grounding/rules_p_waves.py",
    "processing/grounding/rules_record.py",
    "processing/grounding/rules_rhythm.py",
    "processing/grounding/salient.py",
    "processing/guider/protocol.py",
    "recipes/teachers/grounded_answer.py",
    "recipes/teachers/settled.py",
    "recipes/teachers/template.py",
    "recipes/teachers/template_reading.py",
)


def decisions_in(tree: ast.Module) -> Iterator[ast.AST]:
    """Comparisons, calls of `above`, and constants of the module, but for lengths of texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "above"):
            yield node
    for node in tree.body:
        lengths = re.search("CHARACTERS_PER_TOKEN|MOST_WORDS", ast.unparse(node))
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and not lengths:
            yield node


def numbers_in(part: ast.AST) -> Iterator[float]:
    for node in ast.walk(part):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            yield -node.operand.value
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node.value


@pytest.mark.parametrize("path", OWNERS_OF_WORDS)
def test_no_limit_is_repeated_in_the_code(path: str) -> None:
    decisions = decisions_in(ast.parse((ROOT / path).read_text()))
    copies = [ast.unparse(part) for part in decisions if CLINICAL & set(numbers_in(part))]
    assert not copies, f"{path}: take these from processing.ecg_limits: {copies}"


def test_a_repeated_limit_is_found() -> None:
    for code in ("found = qtc > 450", "above(rate, 100, band)", "WIDE_QRS_MS = 120.0", "left = axis < -30"):
        assert any(CLINICAL & set(numbers_in(part)) for part in decisions_in(ast.parse(code))), code


def test_criteria_of_the_guider_state_these_numbers() -> None:
    rules = " | ".join(criterion.rule for criterion in CRITERIA)
    men, women = (limits.QTC_BY_SEX[sex] for sex in ("M", "F"))
    for words in (
        f"below {limits.BRADYCARDIA_2018_BPM:.0f} bpm",
        f"above {limits.HEART_RATE.high:.0f} bpm",
        f"PR above {limits.PR.high:.0f} ms",
        f"QRS of {limits.WIDE_QRS_MS:.0f} ms or more",
        f"incomplete from {limits.INCOMPLETE_BLOCK_MS:.0f} ms on",
        f"{men.high:.0f} ms or more in men, {women.high:.0f} ms or more in women",
        f"{men.low:.0f} ms or less",
        f"{limits.SOKOLOW_LYON_MV} mV or more (Sokolow-Lyon)",
        f"{limits.CORNELL_BY_SEX_MV['M']} mV in men, {limits.CORNELL_BY_SEX_MV['F']} mV in women",
        f"{limits.ST_V2_V3_YOUNG_MEN_MV} mV (younger men), {limits.ST_V2_V3_WOMEN_MV} mV (women)",
    ):
        assert words in rules, words


def test_the_documentation_states_these_numbers() -> None:
    page = (ROOT / "docs/grounding.md").read_text()
    women, men = (limits.CORNELL_BY_SEX_MV[sex] for sex in ("F", "M"))
    for row in (
        f"| heart rate | {limits.HEART_RATE.low:g} to {limits.HEART_RATE.high:g} bpm |",
        f"bradycardia is below {limits.BRADYCARDIA_2018_BPM:g} bpm",
        f"| PR | {limits.PR.low:g} to {limits.PR.high:g} ms |",
        f"| P wave | long from {limits.P_DURATION.high:g} ms on, tall from {limits.P_HEIGHT_MV:g} mV on in II |",
        f"| QRS | wide from {limits.WIDE_QRS_MS:g} ms on, incomplete block from {limits.INCOMPLETE_BLOCK_MS:g} ms on; of children "
        f"{limits.wide_qrs_limit(4):g} and {limits.incomplete_block_limit(4):g} ms (4 to {limits.ADULT_ABOVE_YEARS} years), "
        f"{limits.wide_qrs_limit(3):g} and {limits.incomplete_block_limit(3):g} ms (below) |",
        f"| QTc | long from {limits.QTC_BY_SEX['M'].high:g} ms on (men), {limits.QTC_BY_SEX['F'].high:g} ms (women), short up to "
        f"{limits.QTC_BY_SEX['F'].low:g} ms; of unknown sex long from {limits.QTC.high:g} ms on, short up to {limits.QTC.low:g} ms, "
        f"from {limits.QTC_BORDERLINE.high:g} ms on and up to {limits.QTC_BORDERLINE.low:g} ms neither",
        f"| axis | normal {limits.AXIS.low:g}° to {limits.AXIS.high:g}°, left anterior block "
        f"{limits.LEFT_ANTERIOR_AXIS.high:g}° to {limits.LEFT_ANTERIOR_AXIS.low:g}°; of children "
        + ", ".join(
            f"{limit.low:g}° to {limit.high:g}° (below {years}{' year' if years == 1 else ''})"
            for years, limit in limits.CHILDREN_AXIS.items()
        ),
        f"| ST elevation | {limits.ST_ELEVATION_MV:g} mV; in V2 and V3 {limits.ST_V2_V3_WOMEN_MV:g} mV (women), "
        f"{limits.ST_V2_V3_MEN_MV:g} mV (men), {limits.ST_V2_V3_YOUNG_MEN_MV:g} mV (men below {limits.YOUNG_MEN_BELOW_YEARS} years), "
        f"of unknown sex {limits.st_elevation_limit('V2'):g} mV, not decided from {limits.ST_V2_V3_WOMEN_MV:g} mV on",
        f"| ST depression | {limits.ST_DEPRESSION_MV:g} mV |",
        f"| T wave | inverted from {limits.T_INVERTED_MV:g} mV on; flat within {limits.T_FLAT_MV:g} mV in I, II, V4 to V6, and in aVL "
        f"if its R exceeds {limits.T_FLAT_AVL_R_MV:g} mV; tall from {limits.T_TALL_LIMB_MV:g} mV on in limb leads, {limits.T_TALL_CHEST_MV:g} mV in chest leads |",
        f"| pathological Q | {limits.Q_DURATION_MS:g} ms and {limits.Q_DEPTH_MV:g} mV deep; in V2 and V3 "
        f"{limits.Q_DURATION_V2_V3_MS:g} ms |",
        f"| low voltage | below {limits.LOW_VOLTAGE_LIMB_MV:g} mV in all limb leads or {limits.LOW_VOLTAGE_CHEST_MV:g} mV in all chest",
        f"| left hypertrophy | Sokolow-Lyon {limits.SOKOLOW_LYON_MV:g} mV, Cornell {women:g} mV (women), {men:g} mV (men), "
        f"{limits.CORNELL_MV:g} mV (unknown), R in aVL {limits.R_AVL_MV:g} mV, R in I + S in III {limits.R_I_S_III_MV:g} mV, R in V5 or V6 "
        f"{limits.R_V5_V6_MV:g} mV |",
        f"| poor R progression | R in V3 up to {limits.POOR_R_V3_MV:g} mV |",
        f"| pause | {limits.PAUSE_S:g} s and {limits.PAUSE_RR_SHARE:g} times",
        f"PR > {limits.CLEARLY_LONG_PR_MS:g} ms, QRS from {limits.WIDE_QRS_MS + limits.CLEAR_QRS_MARGIN_MS:g} ms on, QTc > "
        f"{limits.QTC.high + limits.CLEAR_QTC_MARGIN_MS:g} ms",
        f"Sokolow-Lyon > {limits.CLEARLY_HIGH_SOKOLOW_LYON_MV:g} mV",
    ):
        assert row in page, row
