# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Sheets for cardiologists: blinded cases with page and interpretation, as one HTML file and as a workbook."""

import base64
import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from processing.errors_gem import EvaluationError, GemError
from recipes.files import atomic_write, write_json

from .answers import read_answers
from .items import EvalItem

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
KINDS = {"beyond": "Beyond expectations", "differing": "Differing opinion"}
KEY_FILE = "key.json"
PAGE_LAYOUT = "3x4+1"
SHEET, CASE_ROW = "Review", 4  # the first row with a case
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ReviewCase:
    """A blinded case. `page`: PNG."""

    id: str
    item: str
    system: str
    text: str
    page: bytes


def make_cases(
    items: Sequence[EvalItem], systems: Mapping[str, str | Path], seed: int = 0
) -> tuple[list[ReviewCase], list[str]]:
    """
    All answers of all systems in random order under neutral names; two answers about one ECG never stand side by side if that can be.

    Args:
        systems: name -> file of answers.

    Returns:
        The cases, and what is left out and why.

    Raises:
        EvaluationError: nothing to review.
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
    Writes `review.html` and `review.xlsx` for the reviewers, and `key.json`, which says who wrote what, for nobody but you.

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
    """What ties filled sheets to their key: a digest of names and texts (of no system, which would be a hint)."""
    return sha256(json.dumps([[case.id, case.text] for case in cases]).encode()).hexdigest()[:12]


def html(cases: Sequence[ReviewCase], review: str) -> str:
    """One file with everything in it: pages, texts, scales, and a script that saves the entries; nothing is loaded or sent."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    shown = [{"id": case.id, "text": case.text, "page": base64.b64encode(case.page).decode()} for case in cases]
    return environment.get_template("review.html").render(cases=shown, scales=SCALES, review=review)


def workbook(cases: Sequence[ReviewCase], review: str) -> bytes:
    """The same as an XLSX workbook: one row per case, scores restricted to 1-5, quotes typed in."""
    from openpyxl import Workbook
    from openpyxl.drawing.image import Image as SheetImage
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet: Any = book.active
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
        _write_text(sheet.cell(number, columns.index("Interpretation") + 1), case.text)
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


def _write_text(cell: Any, text: str) -> None:
    """As text, even where it begins like a formula; control characters have no place in a workbook."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    cell.value = ILLEGAL_CHARACTERS_RE.sub("", text)
    cell.data_type = "s"


__all__ = ["KINDS", "SCALES", "ReviewCase", "export_review", "html", "make_cases", "workbook"]
