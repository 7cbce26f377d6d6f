# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Filled review sheets back: checked against their key, unblinded, with the reviewers' agreement and a summary per system."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from processing.errors_gem import EvaluationError

from .grounding_scores import confidence_interval
from .review import CASE_ROW, KEY_FILE, KINDS, SCALES, SHEET, columns_of_sheet


@dataclass(frozen=True)
class Highlight:
    """A marked passage. `kind`: `beyond` (expectations) or `differing` (opinion)."""

    kind: str
    quote: str


@dataclass
class CaseReview:
    """What one reviewer says of one case."""

    scores: dict[str, int] = field(default_factory=dict)
    highlights: list[Highlight] = field(default_factory=list)
    comment: str = ""


@dataclass
class Reviews:
    """`by_reviewer`: reviewer -> case -> review. `key`: case -> item, system, text. `problems`: in words."""

    key: dict[str, dict[str, str]]
    by_reviewer: dict[str, dict[str, CaseReview]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def import_reviews(folder: str | Path, sheets: Iterable[str | Path]) -> Reviews:
    """
    Args:
        folder: where `export_review` wrote; its `key.json` is needed.
        sheets: filled sheets, JSON from the HTML file or XLSX.

    Raises:
        EvaluationError: no key, or not one usable sheet.
    """
    path = Path(folder) / KEY_FILE
    if not path.is_file():
        raise EvaluationError(f"{path}: no key; give the folder that the review was exported to.")
    key = json.loads(path.read_text(encoding="utf-8"))
    reviews = Reviews(key["cases"])
    for sheet in map(Path, sheets):
        try:
            content = _from_workbook(sheet) if sheet.suffix.lower() == ".xlsx" else _from_json(sheet)
        except EvaluationError as error:
            reviews.problems.append(str(error))
            continue
        if content["review"] != key["review"]:
            reviews.problems.append(f"{sheet}: belongs to another review ({content['review']}, not {key['review']})")
            continue
        _take(reviews, sheet, content)
    if not any(reviews.by_reviewer.values()):
        raise EvaluationError(f"Not one usable sheet. {' '.join(reviews.problems[:5])}")
    return reviews


def _from_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("cases"), dict) or "review" not in content:
        raise EvaluationError(f"{path}: is no saved review")
    return content


def _from_workbook(path: Path) -> dict[str, Any]:
    from zipfile import BadZipFile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        # A formula comes as it was typed: its value may never have been computed, and would be lost.
        sheet = load_workbook(path)[SHEET]
    except (OSError, KeyError, BadZipFile, InvalidFileException) as error:
        raise EvaluationError(f"{path}: is no review workbook ({error})") from error
    header = [cell.value for cell in sheet[CASE_ROW - 1]]
    if missing := [name for name in columns_of_sheet() if name not in header]:
        raise EvaluationError(f"{path}: column(s) {', '.join(missing)} are gone")
    cases = {}
    for values in sheet.iter_rows(min_row=CASE_ROW, values_only=True):
        row = dict(zip(header, values, strict=False))
        if row["Case"] is None:
            continue
        marks = [
            {"kind": kind, "quote": line.strip()}
            for kind, column in KINDS.items()
            for line in str(row[column] or "").splitlines()
            if line.strip()
        ]
        scores = {scale: row[scale] for scale in SCALES if row[scale] is not None}
        cases[str(row["Case"])] = {"scores": scores, "highlights": marks, "comment": row["Comment"] or ""}
    return {"review": sheet["D1"].value, "reviewer": sheet["B1"].value or "", "cases": cases}


def _take(reviews: Reviews, sheet: Path, content: Mapping[str, Any]) -> None:
    name = str(content.get("reviewer") or "").strip() or sheet.stem
    if name in reviews.by_reviewer:
        reviews.problems.append(f"{sheet}: a second sheet of {name}; the first one counts")
        return
    rated: dict[str, CaseReview] = {}
    for case, entry in content["cases"].items():
        if case not in reviews.key:
            reviews.problems.append(f"{sheet}: unknown case {case}")
            continue
        review = _case(entry, reviews, f"{sheet}, {case}", reviews.key[case]["text"])
        if review.scores or review.highlights or review.comment:
            rated[case] = review
    if missing := [case for case in reviews.key if len(rated.get(case, CaseReview()).scores) < len(SCALES)]:
        reviews.problems.append(f"{sheet}: {len(missing)} case(s) are not fully rated: {', '.join(missing[:5])}")
    reviews.by_reviewer[name] = rated


def _case(entry: Mapping[str, Any], reviews: Reviews, where: str, text: str) -> CaseReview:
    review = CaseReview(comment=str(entry.get("comment") or "").strip())
    for scale, value in (entry.get("scores") or {}).items():
        if scale not in SCALES:
            reviews.problems.append(f"{where}: unknown scale {scale}")
        elif not isinstance(value, (int, float)) or isinstance(value, bool) or value not in (1, 2, 3, 4, 5):
            reviews.problems.append(f"{where}: {scale} is {value!r}, expected a whole number from 1 to 5")
        else:
            review.scores[scale] = int(value)
    for mark in entry.get("highlights") or ():
        kind, quote = mark.get("kind"), str(mark.get("quote") or "").strip()
        if kind not in KINDS:
            reviews.problems.append(f"{where}: unknown kind of mark {kind!r}")
            continue
        if " ".join(quote.split()) not in " ".join(text.split()):
            reviews.problems.append(f"{where}: the marked words are not in the text: {quote[:60]!r}")
        review.highlights.append(Highlight(kind, quote))
    return review


def agreement(reviews: Reviews) -> dict[str, dict[str, float | int | None]]:
    """
    Scale -> `kappa`: quadratically weighted (Cohen 1968), mean over all pairs of reviewers with cases in common; `within_one`: share of
    common cases rated at most one step apart; `pairs`. `None` where a reviewer gave one value only and kappa does not exist.
    """
    found = {}
    for scale in SCALES:
        kappas, near = [], []
        for first, second in combinations(reviews.by_reviewer.values(), 2):
            common = [c for c in first if c in second and scale in first[c].scores and scale in second[c].scores]
            one, two = ([review[c].scores[scale] for c in common] for review in (first, second))
            near += [abs(a - b) <= 1 for a, b in zip(one, two, strict=True)]
            if len(set(one)) > 1 or len(set(two)) > 1:
                kappas.append(cohen_kappa_score(one, two, labels=[1, 2, 3, 4, 5], weights="quadratic"))
        usable = [float(kappa) for kappa in kappas if math.isfinite(kappa)]
        found[scale] = {
            "kappa": float(np.mean(usable)) if usable else None,
            "within_one": float(np.mean(near)) if near else None,
            "pairs": len(usable),
        }
    return found


def summary(reviews: Reviews) -> dict[str, dict[str, Any]]:
    """System -> `scales`: mean, 95 % bootstrap interval over cases, cases; `highlights`: passages per kind."""
    found = {}
    for system in sorted({row["system"] for row in reviews.key.values()}):
        cases = [case for case, row in reviews.key.items() if row["system"] == system]
        given = {case: [r[case] for r in reviews.by_reviewer.values() if case in r] for case in cases}
        scales = {}
        for scale in SCALES:
            means = [
                np.mean(s) for rows in given.values() if (s := [r.scores[scale] for r in rows if scale in r.scores])
            ]
            if means:
                interval = confidence_interval(np.array(means))
                scales[scale] = {"mean": float(np.mean(means)), "interval": interval, "cases": len(means)}
        marks = [mark for rows in given.values() for review in rows for mark in review.highlights]
        found[system] = {
            "scales": scales,
            "highlights": {kind: [m.quote for m in marks if m.kind == kind] for kind in KINDS},
        }
    return found


def review_json(reviews: Reviews) -> dict[str, Any]:
    """Everything, unblinded, for programs."""
    return {
        "reviewers": list(reviews.by_reviewer),
        "agreement": agreement(reviews),
        "systems": summary(reviews),
        "problems": reviews.problems,
        "reviews": {
            reviewer: {
                case: {**asdict(review), "item": reviews.key[case]["item"], "system": reviews.key[case]["system"]}
                for case, review in cases.items()
            }
            for reviewer, cases in reviews.by_reviewer.items()
        },
    }


def review_markdown(reviews: Reviews) -> str:
    """Scores by system, agreement, marked passages."""
    systems, agreed = summary(reviews), agreement(reviews)
    lines = [f"# Review by {len(reviews.by_reviewer)} reviewer(s)", ""]
    lines += ["| scale (1-5) | " + " | ".join(systems) + " | weighted kappa | within one step |"]
    lines += ["|---" * (len(systems) + 3) + "|"]
    for scale in SCALES:
        means = [systems[system]["scales"].get(scale) for system in systems]
        shown = [f"{m['mean']:.2f} ({m['interval'][0]:.2f}-{m['interval'][1]:.2f})" if m else "" for m in means]
        kappa, near = agreed[scale]["kappa"], agreed[scale]["within_one"]
        both = ["-" if value is None else f"{value:.2f}" for value in (kappa, near)]
        lines.append(f"| {scale} | " + " | ".join([*shown, *both]) + " |")
    for kind, title in KINDS.items():
        lines += ["", f"## {title}", ""]
        lines += [f"- {s}: {quote}" for s in systems for quote in systems[s]["highlights"][kind]] or ["- none"]
    lines += ["", f"## Problems ({len(reviews.problems)})", "", *(f"- {p}" for p in reviews.problems or ["none"]), ""]
    return "\n".join(lines)


__all__ = ["Reviews", "agreement", "import_reviews", "review_json", "review_markdown", "summary"]
