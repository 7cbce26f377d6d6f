# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A judge's text -> lists of scores, read as the published notebooks do, or strictly."""

import ast
import json
import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import json_repair

from processing.ecg_record import STANDARD_LEADS
from recipes.chat.replies import read_object

# Criterion -> highest score of one entry. The names are the ones of the paper.
CRITERIA: dict[str, float] = {
    "DiagnosisAccuracy": 2,
    "AnalysisCompleteness": 1,
    "AnalysisRelevance": 2,
    "LeadAssessmentCoverage": 1,
    "LeadAssessmentAccuracy": 2,
    "ECGFeatureGrounding": 100,
    "EvidenceBasedReasoning": 100,
    "ClinicalDiagnosticFidelity": 100,
}
LEAD_CRITERIA = ("LeadAssessmentCoverage", "LeadAssessmentAccuracy")
# The shipped prompt, the notebook and the paper disagree about these names.
ALIASES = {
    "GroundedECGUnderstanding": "ECGFeatureGrounding",
    "RealisticDiagnosticProcess": "ClinicalDiagnosticFidelity",
    "Evidence-BasedReasoning": "EvidenceBasedReasoning",
}
JUDGE_TO_OLD_NAMES = {new: old for old, new in ALIASES.items() if new in CRITERIA and "-" not in old}
NOTEBOOK_KEYS = {
    "gem-v1": tuple(JUDGE_TO_OLD_NAMES.get(key, key) for key in CRITERIA),
    "gem-v2": tuple(CRITERIA),
    "ecg-r1": (
        "DiagnosisAccuracy",
        "AnalysisCompleteness",
        "AnalysisRelevance",
        "LeadEvidenceValidity",
        "GroundedECGUnderstanding",
        "ECGFeatureGrounding",
        "EvidenceBasedReasoning",
        "Evidence-BasedReasoning",
        "RealisticDiagnosticProcess",
        "ClinicalDiagnosticFidelity",
    ),
}
LEAD_NAMES = {name.lower(): name for name in STANDARD_LEADS}


@dataclass(frozen=True)
class Entry:
    """One score of a criterion. `lead`: its canonical name where the judge gave one."""

    score: float
    lead: str | None = None


@dataclass
class JudgedAnswer:
    """What the strict reading of one judge text found. `problems`: everything that is not as asked for, in words."""

    scores: dict[str, list[Entry]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """The criteria that the judge did not score."""
        return [key for key in CRITERIA if key not in self.scores]


def read_strictly(text: str | Mapping[str, Any]) -> JudgedAnswer:
    """
    Reads all eight criteria under any of their published names with a JSON parser; broken JSON is repaired. Bare numbers and numbers
    in strings count. Values that are not scores are left out, those outside of the scale are clipped; both are reported.
    """
    answer = JudgedAnswer()
    parsed, problem = read_object(text) if isinstance(text, str) else (text, None)
    if problem:
        answer.problems.append(problem)
    for name, value in (parsed or {}).items():
        key = ALIASES.get(name, name)
        if key not in CRITERIA:
            answer.problems.append(f"unknown criterion {name}")
            continue
        entries = value if isinstance(value, list) else [value]
        if key in answer.scores:
            answer.problems.append(f"{key}: given twice, the last one counts")
        found = (_entry(key, number, entry, answer) for number, entry in enumerate(entries, 1))
        answer.scores[key] = [entry for entry in found if entry is not None]
    answer.problems += [f"missing criterion {key}" for key in answer.missing]
    return answer


def read_score(entry: Any) -> float | None:
    """The finite number of an entry, `{"Score": 2, ...}` with its name in any case, or 2 or "2"; `None` where it has none."""
    return _number(_fields(entry).get("score"))


def _fields(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        return {"score": entry}
    return {str(name).strip().lower(): value for name, value in entry.items()}


def _entry(key: str, number: int, entry: Any, answer: JudgedAnswer) -> Entry | None:
    score = read_score(entry)
    if score is None:
        answer.problems.append(f"{key}: entry {number} holds no score")
        return None
    highest = CRITERIA[key]
    if not 0 <= score <= highest:
        answer.problems.append(f"{key}: score {score:g} outside of 0-{highest:g}")
        score = min(max(score, 0.0), highest)
    lead = str(_fields(entry).get("lead", "")).strip().lower().removeprefix("lead ")
    return Entry(score, LEAD_NAMES.get(lead))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        score = float(value)
    except (ValueError, OverflowError):
        return None
    return score if math.isfinite(score) else None


def read_as_notebook(text: str, version: str) -> dict[str, list[Any]]:
    """
    The scores as GEM's notebook (`gem-v1`, `gem-v2`) or ECG-R1's script (`ecg-r1`) reads them. A list ends at its first "]", even
    inside an explanation. Broken lists are repaired by text replacements; a list that cannot be repaired is silently left out.
    Sums in the text are computed without `eval`.

    Raises:
        AttributeError: as in the original, if an entry is not an object or its explanation is not text.
    """
    keys = NOTEBOOK_KEYS[version]
    scores: dict[str, list[Any]] = {}
    for match in re.finditer(rf'"({"|".join(keys)})":\s*(\[.*?\])', text, re.DOTALL):
        key, content = match.groups()
        try:
            scores[key] = list(_scores_in(content, version == "ecg-r1"))
        except json.JSONDecodeError:
            continue
    return scores


@lru_cache(maxsize=2**15)  # GEM's two formulas read the same lists
def _scores_in(content: str, of_ecg_r1: bool) -> tuple[Any, ...]:
    items = _mended_list(content, of_ecg_r1)
    return tuple(_scores_ecg_r1(items) if of_ecg_r1 else (_scored(item).get("Score") for item in items))


def _scored(item: Any) -> Any:
    """An entry; the notebooks stop at one whose explanation is no text (AttributeError), and so must their scores."""
    item.get("Explanation", "").strip()
    return item


def _scores_ecg_r1(items: Any) -> list[Any]:
    scores = []
    for item in items if isinstance(items, list) else ():
        score = None
        if isinstance(item, dict):
            score = item.get("Score") if item.get("Score") is not None else item.get(" Score")
        if score is None:
            continue
        _scored(item)
        try:
            score = float(score)
        except (TypeError, ValueError):
            digits = re.search(r"\d+(\.\d+)?", str(score))
            score = float(digits.group()) if digits else score
        scores.append(score)
    return scores


# Text replacements of the notebooks, in their order; (pattern, replacement).
_ECG_R1_FIRST = (
    (r'\[\s*"Score":', '[{"Score":'),
    (r'("Score":\s*\d+(?:\.\d+)?)\s*"Explanation"', r'\1, "Explanation"'),
    (r'\}\s*"Score"', '}, {"Score"'),
)
_BEFORE_SUMS = (
    ("[“”]", '"'),
    (r"//.*", ""),
    (r",\s*([}\]])", r"\1"),
    (r'"\s*"', " "),
    (r"\+(\d)", r"\1"),
)
_AFTER_SUMS = (
    (r'"\);', '"'),
    (r"\s+", " "),
    (r'"\s*[\])]', '"'),
    (r"\}\s*\{", "},{"),
)
_OPEN_AFTER_QUOTE = re.compile(r'"\s*,?\s*\{')


def _mended_list(content: str, of_ecg_r1: bool) -> Any:
    """
    Raises:
        json.JSONDecodeError: it cannot be mended.
    """
    for pattern, replacement in (*(_ECG_R1_FIRST if of_ecg_r1 else ()), *_BEFORE_SUMS):
        content = re.sub(pattern, replacement, content)
    content = re.sub(r"\d+[\d\s*+\-/]+\d+", lambda match: _sum(match.group()), content)
    for pattern, replacement in _AFTER_SUMS:
        content = re.sub(pattern, replacement, content)
    if _OPEN_AFTER_QUOTE.search(content):  # without one the costly pattern finds nothing
        content = re.sub(r'("Explanation":\s*".*?)(?<!\\)"\s*,?\s*\{', r'\1"}, {', content)
    if len(re.findall(r'(?<!\\)"', content)) % 2:
        content = re.sub(r"\s*[}\]]", lambda match: f'"{match.group()}', content, count=1)
    content = re.sub(r'""+', '"', content)
    content = re.sub(
        r'"Explanation":\s*"([^"]*?)"',
        lambda match: f'"Explanation": "{re.sub(r"[][]", "", match.group(1))}"',
        content,
    )
    for opening, closing in ("{}", "[]"):
        content += closing * (content.count(opening) - content.count(closing))
    return json_repair.loads(content) if of_ecg_r1 else json.loads(content)


_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
MAX_BITS = 4300 * math.log2(10)  # longer numbers have no text in Python, and the notebook keeps what the judge wrote


def _sum(text: str) -> str:
    """The value of a calculation like "40 + 40"; `text` itself if it is none."""
    try:
        return str(_value(ast.parse(text.strip(), mode="eval").body))
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError):
        return text


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and isinstance(left, int) and right * left.bit_length() > MAX_BITS:
            raise ValueError("too long a number")
        return _OPERATORS[type(node.op)](left, right)
    raise ValueError("no calculation")


__all__ = [
    "ALIASES",
    "CRITERIA",
    "JUDGE_TO_OLD_NAMES",
    "LEAD_CRITERIA",
    "Entry",
    "JudgedAnswer",
    "read_as_notebook",
    "read_object",
    "read_score",
    "read_strictly",
]
