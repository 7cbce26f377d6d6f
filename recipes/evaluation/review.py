# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sheets for cardiologists: blinded cases with page and interpretation, as one HTML file and as a workbook."""

import base64
import io
import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.metrics import cohen_kappa_score

from processing.errors_gem import EvaluationError, GemError
from processing.grounding.cut_off import CutOff, end_in_words
from recipes.files import atomic_write, write_json

from .answers import read_answers
from .grounding_scores import confidence_interval
from .items import EvalItem

if TYPE_CHECKING:
    from openpyxl.cell import Cell

# The seven scales of the paper's clinical evaluation (arXiv 2503.06073 v2), 1 to 5, in words of ours.
SCALES = {
    "relevance": "Does it speak of what matters in this ECG?",
    "accuracy": "Are its statements right?",
    "completeness": "Is everything there that a report needs?",
    "reasoning": "Do its conclusions follow from the findings that it names?",
    "novelty": "Does it point out something that you might have passed over?",
    "value": "Would it be of use in clinical work?",
    "satisfaction": "All in all: are you content with it?",
}
MarkKind = Literal["beyond", "differing"]
KINDS: dict[MarkKind, str] = {"beyond": "Beyond expectations", "differing": "Differing opinion"}
KEY_FILE = "key.json"
PAGE_LAYOUT = "3x4+1"
SHEET, CASE_ROW = "Review", 4  # the first row with a case
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReviewCase:
    """A blinded case. `text`: a `CutOff` if it ends at its length limit; `page`: PNG."""

    id: str
    item: str
    system: str
    text: str
    page: bytes


def make_cases(
    items: Sequence[EvalItem], systems: Mapping[str, str | Path], seed: int = 0
) -> tuple[list[ReviewCase], list[str]]:
    """
    All answers of all systems in random order under neutral names. Two answers about one ECG do not follow each other, if possible.

    Args:
        items: the records.
        systems: name -> file of answers.
        seed: seed of the order.

    Returns:
        The cases, and a note on each answer that is left out.

    Raises:
        EvaluationError: there is nothing to review.
    """
    problems: list[str] = []
    chosen: list[tuple[EvalItem, str, str]] = []
    for system, path in systems.items():
        file = read_answers(path)
        texts = file.texts_for([item.id for item in items], of_more=True)
        problems += [f"{system}: {problem}" for problem in file.problems]
        chosen += [(item, system, text) for item, text in zip(items, texts, strict=True) if text and text.strip()]
    pages: dict[str, bytes] = {}
    for item in items:
        try:
            pages[item.id] = _page(item)
        except (GemError, OSError) as error:
            problems.append(f"{item.id}: left out: {error}")
    chosen = [row for row in chosen if row[0].id in pages]
    if not chosen:
        raise EvaluationError(f"There is no case to review. {' '.join(problems[:3])}")
    random.Random(seed).shuffle(chosen)
    chosen = _spread(chosen)
    width = max(3, len(str(len(chosen))))
    return [
        ReviewCase(f"case-{number:0{width}d}", item.id, system, text, pages[item.id])
        for number, (item, system, text) in enumerate(chosen, 1)
    ], problems


def _spread(rows: list[tuple[EvalItem, str, str]]) -> list[tuple[EvalItem, str, str]]:
    pending = list(rows)
    ordered: list[tuple[EvalItem, str, str]] = []
    while pending:
        last = ordered[-1][0].id if ordered else None
        place = next((i for i, row in enumerate(pending) if row[0].id != last), 0)
        ordered.append(pending.pop(place))
    return ordered


def _page(item: EvalItem) -> bytes:
    from PIL import Image

    from processing.ecg_page import render_ecg

    content = io.BytesIO()
    picture = (
        render_ecg(item.ecg.load(), layout=PAGE_LAYOUT).to_pil()
        if item.ecg is not None
        else item.model_input("image")["ecg"]
    )
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(content, "PNG", optimize=True)
    return content.getvalue()


def export_review(
    items: Sequence[EvalItem], systems: Mapping[str, str | Path], folder: str | Path, seed: int = 0
) -> tuple[Path, list[str]]:
    """
    Writes `review.html` and `review.xlsx` for the reviewers, and `key.json` with the authors of the answers, which you keep.

    Returns:
        The folder, and what was left out and why.

    Raises:
        EvaluationError: nothing to review.
    """
    folder = Path(folder)
    cases, problems = make_cases(items, systems, seed)
    review = review_id(cases)
    key = {
        "review": review,
        "seed": seed,
        "cases": {case.id: {"item": case.item, "system": case.system, "text": case.text} for case in cases},
    }
    atomic_write(folder / "review.html", html(cases, review))
    atomic_write(folder / "review.xlsx", workbook(cases, review))
    write_json(folder / KEY_FILE, key, indent=1, ensure_ascii=False)
    return folder, problems


def review_id(cases: Sequence[ReviewCase]) -> str:
    """The id that links filled sheets to their key: a digest of names and texts, without the systems, which would be a hint."""
    return sha256(json.dumps([[case.id, case.text] for case in cases]).encode()).hexdigest()[:12]


def html(cases: Sequence[ReviewCase], review: str) -> str:
    """One file with everything in it: pages, texts, scales, and a script that saves the entries; nothing is loaded or sent."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    shown = [
        {"id": case.id, "text": case.text, "page": base64.b64encode(case.page).decode(), "end": _end(case)}
        for case in cases
    ]
    return environment.get_template("review.html").render(cases=shown, scales=SCALES, review=review)


def _end(case: ReviewCase) -> str:
    """A note for reviewers under a text that was cut off; else nothing."""
    return f"[This text was {end_in_words()}.]" if isinstance(case.text, CutOff) else ""


def workbook(cases: Sequence[ReviewCase], review: str) -> bytes:
    """The same as an XLSX workbook: one row per case, scores restricted to 1-5, quotes typed in."""
    from openpyxl import Workbook
    from openpyxl.drawing.image import Image as SheetImage
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet = book.active
    sheet.title = SHEET
    columns = columns_of_sheet()
    sheet["A1"], sheet["B1"] = "Reviewer (initials):", ""
    sheet["B1"].fill = PatternFill("solid", fgColor="FFF2CC")
    sheet["C1"], sheet["D1"] = "Review:", review
    sheet["A2"] = (
        "Rate every scale from 1 (not at all) to 5 (fully). Copy passages that exceed your expectations, or on which you differ, "
        "into their columns, one per line. For research only."
    )
    for number, name in enumerate(columns, 1):
        cell = sheet.cell(CASE_ROW - 1, number, name)
        cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="top")
        width = {"Page": 95, "Interpretation": 70}.get(name, 30 if name in (*KINDS.values(), "Comment") else 13)
        sheet.column_dimensions[cell.column_letter].width = width
    for number, case in enumerate(cases, CASE_ROW):
        sheet.cell(number, 1, case.id)
        _write_text(
            sheet.cell(number, columns.index("Interpretation") + 1),
            f"{case.text}\n\n{_end(case)}" if _end(case) else case.text,
        )
        for column in range(1, len(columns) + 1):
            sheet.cell(number, column).alignment = Alignment(wrap_text=True, vertical="top")
        picture = SheetImage(io.BytesIO(case.page))
        picture.height, picture.width = 660 * picture.height / picture.width, 660
        sheet.add_image(picture, f"B{number}")
        sheet.row_dimensions[number].height = max(200, 0.75 * picture.height + 8)
    allowed = DataValidation(type="whole", operator="between", formula1="1", formula2="5", showErrorMessage=True)
    allowed.error = "A whole number from 1 to 5."
    first, last = columns.index(next(iter(SCALES))) + 1, columns.index(list(SCALES)[-1]) + 1
    allowed.add(f"{_letter(first)}{CASE_ROW}:{_letter(last)}{CASE_ROW + len(cases) - 1}")
    sheet.add_data_validation(allowed)
    sheet.freeze_panes = sheet.cell(CASE_ROW, 2)
    scales = book.create_sheet("Scales")
    for row in (*SCALES.items(), *((kind, "Passages to mark.") for kind in KINDS.values())):
        scales.append(row)
    scales.column_dimensions["A"].width, scales.column_dimensions["B"].width = 24, 70
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def columns_of_sheet() -> list[str]:
    return ["Case", "Page", "Interpretation", *SCALES, *KINDS.values(), "Comment"]


def _letter(column: int) -> str:
    from openpyxl.utils import get_column_letter

    return get_column_letter(column)


def _write_text(cell: "Cell", text: str) -> None:
    """As text, even where it begins like a formula; control characters have no place in a workbook."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    cell.value = ILLEGAL_CHARACTERS_RE.sub("", text)
    cell.data_type = "s"


@dataclass(frozen=True)
class Highlight:
    """A marked passage."""

    kind: MarkKind
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
    """Reads filled review sheets and summarises them by system.

    Args:
        folder: where `export_review` wrote; its `key.json` is needed.
        sheets: filled sheets, JSON from the HTML file or XLSX.

    Raises:
        EvaluationError: there is no key, or no usable sheet.
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
        raise EvaluationError(f"{path}: is not a saved review")
    return content


def _from_workbook(path: Path) -> dict[str, Any]:
    from zipfile import BadZipFile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        # A formula comes as it was typed: its value may never have been computed, and would be lost.
        sheet = load_workbook(path)[SHEET]
    except (OSError, KeyError, BadZipFile, InvalidFileException) as error:
        raise EvaluationError(f"{path}: is not a review workbook ({error})") from error
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


__all__ = [
    "KINDS",
    "SCALES",
    "ReviewCase",
    "Reviews",
    "agreement",
    "export_review",
    "html",
    "import_reviews",
    "make_cases",
    "review_json",
    "review_markdown",
    "summary",
    "workbook",
]
