# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The head of a text table: names and units of columns, the sampling rate, the lead, the unit."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .ecg_lead_names import STANDARD_LEADS, canonical_lead
from .ecg_raw import MAX_SAMPLING_RATE, MIN_SAMPLING_RATE
from .ecg_table_layout import TableLayout, split_cells
from .ecg_time_axis import SECONDS_PER_UNIT
from .ecg_units import mv_per_unit, name_and_unit

COMMENTS = ("#", "%", "//")
# A number of hertz as devices of any language write it.
_HERTZ = re.compile(
    r"(?P<number>\d{1,6}(?:[.,]\d{1,6})?)\s{0,3}(?P<kilo>k)?"
    r"(?:hz|hertz|herz|hercios?|гц|герц|赫兹|赫茲|赫|ヘルツ|헤르츠|χερτζ|هرتز|הרץ|sps\b|samples?\s?/\s?s)",
    re.IGNORECASE,
)
# Names of a sampling rate. "Samples: 5000" and "Rate: 70" are not.
_RATE_KEY = re.compile(
    r"sampl\w{0,5}[\s_-]{0,3}(?:rate|freq)|\bfs\b|\bsr\b|^\W{0,3}frequency|abtast(?:rate|freq)|messrate|fréquence d|"
    r"frecuencia de m|frequência de a|frequenza di c|частота д|采样|採樣|サンプ|표본|샘플",
    re.IGNORECASE,
)
# Hertz of filters, of the mains and of the heart. Above the highest of them hertz can only be a sampling rate.
_NO_RATE = re.compile(
    r"filt|notch|pass|cut|band|heart|puls|card|herzf|mains|netz|muscle|emg|\b[hl]f\b|\bac\b", re.IGNORECASE
)
_ABOVE_FILTERS_HZ = 200.0
# "Sampling interval: 2 ms", LabChart's "Interval=	0.001 s".
_INTERVAL = re.compile(
    r"(?:^|sampl\w{0,5}\s{1,3})(?:interval|period)\w{0,3}[\s=:,;]{1,5}"
    r"(?P<number>\d{1,6}(?:\.\d{1,9})?)\s{0,3}(?P<unit>s|sec|ms|msec|us|µs|μs)\b",
    re.IGNORECASE,
)
# LabChart's rows of names and units.
_NAMES_KEY, _UNITS_KEY = "channeltitle=", "unitname="
# Cells of a row of units that are no voltage.
_OTHER_UNITS = frozenset(
    ["s", "sec", "seconds", "ms", "us", "ns", "samples", "counts", "adu", "mmhg", "%", "bpm", "g", "mg", "1", "-"]
)
_UNIT_KEY = re.compile(r"unit|einheit|unidad|unité|unità|eenheid|enhet|ед", re.IGNORECASE)


@dataclass
class TableHead:
    """What the lines above the numbers say."""

    names: list[str] | None = None
    units: list[str] | None = None
    rate: float | None = None
    unit: str | None = None
    lead: str | None = None
    others: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, lines: Sequence[str], comments: Sequence[str], layout: TableLayout) -> "TableHead":
        """Reads names, units and rate from the lines above the first row of numbers."""
        head = cls()
        left = [line.lstrip("#%/ ") for line in comments] + list(lines)
        for line in left:
            key, *cells = layout.cells(line)
            if key.lower() == _NAMES_KEY:
                head.names = ["time", *cells]
            elif key.lower() == _UNITS_KEY:
                head.units = ["s", *cells]
        wide = [line for line in left if _may_name(line, layout, left[-1])]
        for line in wide[:-3:-1]:
            cells = _row_of_head(line, layout)
            if head.units is None and all(map(_is_unit_cell, cells)):
                head.units = cells
            elif head.names is None:
                head.names = cells
            else:
                break
            left.remove(line)
        if head.names is None and lines and _names_leads(layout.cells(lines[-1])):
            head.names = layout.cells(lines[-1])
        for line in left:
            head._read_line(line)
        return head

    def _read_line(self, line: str) -> None:
        """A line such as "Sample Rate,512 hertz", "Unit: µV", "Ableitung;Ableitung I", OpenSignals' JSON."""
        if line.startswith("{"):
            self._read_opensignals(line)
            return
        key, value = _key_and_value(line)
        rate = _rate_of(line, key, value)
        if rate is not None:
            if self.rate is not None and rate != self.rate:
                self.notes.append(f"the head of the table states {self.rate:g} Hz and {rate:g} Hz; the first is taken")
            self.rate = self.rate or rate
        elif _is_unit_line(key, value):
            self.unit = value
        else:
            words = re.findall(r"[A-Za-z0-9]+", value)
            leads = [word for word in words if word in STANDARD_LEADS]
            if len(leads) == 1 and key and (key.casefold() in value.casefold() or words == leads):
                self.lead = leads[0]
            self.others.append(line)

    def _read_opensignals(self, line: str) -> None:
        """The header of PLUX OpenSignals: columns, their sensors, and the rate, as JSON in a comment."""
        try:
            device: dict[str, Any] = next(iter(json.loads(line).values()))
            sensors = dict(zip(device["label"], device["sensor"], strict=True))
            self.rate = float(device["sampling rate"])
            columns = [str(column) for column in device["column"]]
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
            self.others.append(line)
            return
        self.names = [_sensor_name(sensors, column) for column in columns]


def _rate_of(line: str, key: str, value: str) -> float | None:
    """The sampling rate in Hz that a line states."""
    hertz, interval = _HERTZ.search(line), _INTERVAL.search(line)
    named = _RATE_KEY.search(key or line) is not None
    rate = None
    if hertz and (named or not _NO_RATE.search(line)):
        rate = float(hertz["number"].replace(",", ".")) * (1000 if hertz["kilo"] else 1)
        rate = rate if named or rate >= _ABOVE_FILTERS_HZ else None
    elif interval and float(interval["number"]) > 0:
        rate = 1 / (float(interval["number"]) * SECONDS_PER_UNIT[interval["unit"].lower()])
    elif named and re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", value):
        rate = float(value)
    return rate if rate is not None and MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE else None


def _is_unit_line(key: str, value: str) -> bool:
    """ "Unit,µV", "単位,mV"; a lone V is a unit only where the key says so, for it is a lead too."""
    return mv_per_unit(value) is not None and (value.upper() != "V" or _UNIT_KEY.search(key) is not None)


def _sensor_name(sensors: dict[str, str], column: str) -> str:
    """ "ECG" for the channel of an ECG sensor; other columns, such as the digital input "DI", count."""
    if column not in sensors:
        return f"counter {column}"
    kind = "ECG" if str(sensors[column]).upper().startswith(("ECG", "EKG")) else str(sensors[column])
    return kind if list(sensors.values()).count(sensors[column]) == 1 else f"{kind} {column}"


def _may_name(line: str, layout: TableLayout, last: str) -> bool:
    """Whether a line above the numbers has one cell per column; above a single column only the last line, without marks."""
    cells = layout.cells(line)
    says_something = _HERTZ.search(line) or cells[0].endswith("=") or (len(cells) == 2 and _UNIT_KEY.search(cells[0]))
    if line.startswith("{") or says_something:
        return False
    if layout.width == 1 and (line is not last or re.search("[,;:=\t]", line)):
        return False
    return len(_row_of_head(line, layout)) == layout.width


def _row_of_head(line: str, layout: TableLayout) -> list[str]:
    """The cells of a line; those above columns without numbers at the end are left out."""
    cells = layout.cells(line)
    if layout.separator == " " and len(cells) != layout.width:
        cells = re.split(r"\s{2,99}", line.strip())  # "sample #    MLII"
    return cells if any(cells[layout.width :]) else cells[: layout.width]


def _names_leads(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and any(canonical_lead(name_and_unit(cell)[0]) in STANDARD_LEADS for cell in cells)


def _is_unit_cell(cell: str) -> bool:
    """Whether a cell of a second head line is a unit: "mV", "s", "hh:mm:ss.mmm", or empty."""
    bare = cell.strip("[]() ")
    return (
        not bare or mv_per_unit(bare) is not None or bare.lower().startswith("hh:mm") or bare.lower() in _OTHER_UNITS
    )


def _key_and_value(line: str) -> tuple[str, str]:
    """ "Sample Rate,512 hertz", "fs=360", "Unit: µV" in two; a line that has no mark is a value."""
    for mark in (",", ";", "\t", ":", "="):
        if mark in line:
            cells = split_cells(line, mark)
            return cells[0], " ".join(cells[1:]).strip(" =:")
    return "", line.strip()


__all__ = ["COMMENTS", "TableHead"]
