# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes the results table of the README from the card of the embedded model: `python docs/make_results.py`."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
CARD = ROOT / "modeling_gem" / "checkpoints" / "gem-ecg-tiny" / "README.md"
COLUMNS = ("both", "signal", "image", "photographed", "another", "blind")
# Row of the card -> what the README calls it.
ROWS = {
    "superclass likelihood macro AUC": "five superclasses, AUC of the likelihoods",
    "superclass hard-label macro AUC": "the same, AUC of what is written",
    "superclass macro F1": "the same, macro F1",
    "rhythm accuracy": "rhythm accuracy",
    "heart rate (bpm), MAE": "heart rate, mean absolute error (bpm)",
    "PR (ms), MAE": "PR (ms)",
    "QRS (ms), MAE": "QRS (ms)",
    "QTc (ms), MAE": "QTc (ms)",
    "stated numbers within tolerance": "share of stated numbers within tolerance",
    "precision of claims": "share of claims that hold",
    "contradicted claims": "share of claims that the waveform contradicts",
}
FIRST = "asked with"
PLACE = re.compile(rf"^\| {FIRST} \|.*\n(?:\|.*\n)+", re.MULTILINE)


def tables(text: str) -> dict[str, dict[str, str]]:
    """Row -> column -> cell of all tables of a page that have a heading for each column."""
    found: dict[str, dict[str, str]] = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()]
        for name, *cells in lines[2:]:
            found.setdefault(name, dict(zip(lines[0][1:], cells, strict=False)))
    return found


def results(card: str) -> str:
    """The README's table.

    Raises:
        KeyError: the card lacks one of the rows.
    """
    found = tables(card)
    lines = [f"| {FIRST} | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row, name in ROWS.items():
        lines.append(f"| {name} | {' | '.join(found[row].get(column, '') for column in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def with_results(readme: str, card: str) -> str:
    """The README with the table of the card in its place."""
    return PLACE.sub(lambda _: results(card), readme)


def main() -> None:
    README.write_text(with_results(README.read_text(encoding="utf-8"), CARD.read_text(encoding="utf-8")), "utf-8")


if __name__ == "__main__":
    main()
