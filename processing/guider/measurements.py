# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The 14 sequences of every lead as text for a teacher: exact if they fit, else shortened by rules that the text states."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from processing.ecg_beat_measures import SEQUENCES
from processing.ecg_features import EcgFeatures
from processing.ecg_features_text import CHARACTERS_PER_TOKEN, features_to_text, record_lines

# The same in all leads, as the beats are: said once.
_SHARED = ("Heart Rate", "RR Interval 1", "RR Interval 2")
# Half a small square of the paper in amplitude (0.1 mV), a quarter in time (40 ms): as fine as eyes read.
STEPS = {"ms": 10.0, "mV": 0.05, "bpm": 1.0}
# A beat is listed if it differs from its lead's median by more than this: one small square in time, two in amplitude.
OUTLIERS = {"ms": 40.0, "mV": 0.2, "bpm": 10.0}

Cell = float | str | None


@dataclass(frozen=True)
class MeasurementText:
    """`text`, and how it was shortened: `exact`, `rounded`, `summary` or `cut`."""

    text: str
    level: str


def measurements_to_text(features: EcgFeatures, max_tokens: int) -> MeasurementText:
    """The measurements within a budget of tokens (2.6 characters each), at the first of four levels that fits.

    1. `exact`: every value of every beat; equal values of neighbouring beats are joined, nothing is lost;
    2. `rounded`: the same, times to 10 ms, amplitudes to 0.05 mV;
    3. `summary`: the median, and the beats that differ from it by more than 40 ms, 0.2 mV, 10 bpm;
    4. `cut`: `features_to_text`, which leaves lines out and says how many.
    """
    head = record_lines(features)
    if not len(features.beat_times):
        return MeasurementText("\n".join(head), "exact")
    budget = int(max_tokens * CHARACTERS_PER_TOKEN)
    levels: tuple[tuple[str, str, Callable[[Sequence[Cell], str], str]], ...] = (
        ("exact", "Values are exact; n×v stands for n beats in a row with the value v.", _runs),
        (
            "rounded",
            "Times are rounded to 10 ms, amplitudes to 0.05 mV; n×v: n beats in a row with the value v.",
            lambda cells, unit: _runs([_rounded(cell, unit) for cell in cells], unit),
        ),
        (
            "summary",
            "Per lead the median over the beats; the beats that differ from it by more than 40 ms, 0.2 mV or 10 bpm, or have "
            "no such wave, follow by number.",
            _summary,
        ),
    )
    for level, rule, written in levels:
        text = "\n".join(
            [
                *head,
                f"Beat by beat, in the order of the beats; - means no such wave. {rule}",
                *_lines(features, written),
            ]
        )
        if len(text) <= budget:
            return MeasurementText(text, level)
    return MeasurementText(features_to_text(features, max_tokens), "cut")


def _lines(features: EcgFeatures, written: Callable[[Sequence[Cell], str], str]) -> list[str]:
    # RR and rate are the heart's. A lead has gaps where it was off, so the most complete lead is used.
    measured = np.isfinite(features.sequences["RR Interval 1"].astype(np.float64)).sum(axis=1)
    lines = ["All leads: " + "; ".join(_sequence(features, name, int(measured.argmax()), written) for name in _SHARED)]
    for i, lead in enumerate(features.leads):
        cells = [_sequence(features, name, i, written) for name in SEQUENCES if name not in _SHARED]
        lines.append(f"{lead}: " + "; ".join([*_lead_medians(features, i), *cells]))
    return lines


def _lead_medians(features: EcgFeatures, row: int) -> list[str]:
    """What the 14 sequences do not hold: the waves within the QRS and the level of the ST segment."""
    values = {name: float(column[row]) for name, column in features.lead_values.items()}
    lead = features.leads[row]
    parts = [f"QRS pattern {features.qrs_patterns[lead]}"] if lead in features.qrs_patterns else []
    waves = [
        f"{wave} {values[name]:.2f}"
        for wave, name in (("Q", "q_amplitude"), ("R", "r_amplitude"), ("S", "s_amplitude"))
        if math.isfinite(values[name])
    ]
    if waves:
        parts.append(f"medians {', '.join(waves)} mV")
    if math.isfinite(values["st_j"]) and math.isfinite(values["st_j60"]):
        parts.append(f"ST level {_signed(values['st_j'])} mV at J, {_signed(values['st_j60'])} mV at J+60 ms")
    return parts


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # no -0.00


def _sequence(features: EcgFeatures, name: str, row: int, written: Callable[[Sequence[Cell], str], str]) -> str:
    digits, unit = SEQUENCES[name], unit_of(name)
    values = features.sequences[name][row].tolist()
    if digits is None:
        return f"{name} {_runs(values, '')}"
    cells: list[Cell] = [round(value, digits) if math.isfinite(value) else None for value in values]
    return f"{name} {written(cells, unit)} {unit}"


def unit_of(name: str) -> str:
    """Unit of a sequence, empty for words."""
    if SEQUENCES[name] is None:
        return ""
    return "bpm" if name == "Heart Rate" else "mV" if name.endswith("Amplitude") else "ms"


def _cell(value: Cell) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:g}"


def _runs(cells: Sequence[Cell], unit: str) -> str:
    runs: list[list] = []
    for cell in map(_cell, cells):
        if runs and runs[-1][1] == cell:
            runs[-1][0] += 1
        else:
            runs.append([1, cell])
    return " ".join(cell if count == 1 else f"{count}×{cell}" for count, cell in runs)


def _rounded(cell: Cell, unit: str) -> Cell:
    if cell is None or isinstance(cell, str):
        return cell
    return round(round(cell / STEPS[unit]) * STEPS[unit], 4)


def _summary(cells: Sequence[Cell], unit: str) -> str:
    measured = [cell for cell in cells if isinstance(cell, (int, float))]
    if not measured:
        return "-"
    digits = 3 if unit == "mV" else 0
    middle = float(np.median(measured))
    others = [
        f"beat {number} {_cell(cell)}"
        for number, cell in enumerate(cells, start=1)
        if cell is None or (isinstance(cell, (int, float)) and abs(cell - middle) > OUTLIERS[unit])
    ]
    return f"{middle:.{digits}f}" + (f" ({', '.join(others)})" if others else "")


__all__ = ["MeasurementText", "measurements_to_text", "unit_of"]
