# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The geometry of an ECG page: panels, pulses and texts in mm from the top left corner of the paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .ecg_record import STANDARD_LEADS, canonical_lead
from .errors_gem import EcgLeadError, GemError

# Kligfield et al. 2007 (doi:10.1161/CIRCULATIONAHA.106.180200): 25 mm/s and 10 mm/mV are the usual recording scales.
SPEEDS = (25.0, 50.0)
GAINS = (2.5, 5.0, 10.0, 20.0)
CABRERA_LEADS = ("aVL", "I", "-aVR", "II", "aVF", "III", *STANDARD_LEADS[6:])
RHYTHM_LEADS = ("II", "V1", "V5")
TRACE_WIDTH_MM = 250.0

PULSE_MM = ((0.0, 0.0), (0.0, 1.0), (5.0, 1.0), (5.0, 0.0))
# The authors' script draws its pulse as 104 samples at 500 Hz of which the first and last two are 0 mV.
GEM_PULSE_MM = ((0.0, 0.0), (0.05, 0.0), (0.1, 1.0), (5.05, 1.0), (5.1, 0.0), (5.15, 0.0))


@dataclass(frozen=True)
class Panel:
    """A stretch of one lead: `start`..`stop` in s of the record, drawn from `x` along `baseline` (mm from top left).

    `sign` is -1 where the lead is drawn upside down (`-aVR` of the Cabrera order); `label_x`, `label_y` is the left
    end of the label's text baseline, `label_anchor` the Pillow anchor of that point.
    """

    lead: str
    start: float
    stop: float
    x: float
    baseline: float
    label_x: float
    label_y: float
    sign: int = 1
    label_anchor: str = "ls"
    is_rhythm: bool = False

    @property
    def label(self) -> str:
        """The name that is drawn: the lead's, with a minus where it is drawn upside down."""
        return self.lead if self.sign > 0 else f"-{self.lead}"


@dataclass(frozen=True)
class PageLayout:
    """The geometry of one page: sizes in mm, `speed` in mm/s, `gain` in mm/mV.

    `pulses` are the feet (x, baseline) of the calibration pulses, `pulse` their outline as (mm, mV) steps,
    `separators` the (x, baseline) of the marks between columns, `texts` what is always written on the page, `header` and
    `footer` where further lines begin (the authors' page has no place for a footer).
    """

    name: str
    width: float
    height: float
    speed: float
    gain: float
    row_pitch: float
    panels: tuple[Panel, ...]
    pulses: tuple[tuple[float, float], ...]
    pulse: tuple[tuple[float, float], ...]
    separators: tuple[tuple[float, float], ...]
    header: tuple[float, float]
    footer: tuple[float, float] | None
    texts: tuple[tuple[str, float, float], ...]
    px_per_mm: float
    labels_may_move: bool

    @property
    def leads(self) -> tuple[str, ...]:
        """Every lead on the page once, in reading order."""
        return tuple(dict.fromkeys(panel.lead for panel in self.panels))

    @property
    def window(self) -> tuple[float, float]:
        """First and last second of the record that any panel shows."""
        return min(panel.start for panel in self.panels), max(panel.stop for panel in self.panels)


# Between the rows of pages with several columns, as on the prints of electrocardiographs: taller paper would stay empty.
ROW_MM = 30.0
TOP_MM, BOTTOM_MM, LINE_MM = 5.0, 10.0, 5.0


@dataclass(frozen=True)
class _Paper:
    """Rows, columns and rhythm strips of a page; its height in mm, which several columns get from their rows."""

    rows: int
    columns: int
    strips: int = 0
    width: float = 280.0
    height: float = 210.0


_PAPERS = {
    "square_12x1": _Paper(12, 1, height=280.0),
    "12x1": _Paper(12, 1),
    "6x2": _Paper(6, 2),
    "3x4": _Paper(3, 4),
    "3x4+1": _Paper(3, 4, strips=1),
    "3x4+3": _Paper(3, 4, strips=3),
}
_GEM_COLUMNS = {"gem_12x1": 1, "gem_6x2": 2}
LAYOUTS = (*_PAPERS, *_GEM_COLUMNS)


def page_leads(leads: str | Sequence[str] | None, recorded: Sequence[str]) -> tuple[str, ...]:
    """The leads a page shows, in order; `"-aVR"` asks for an inverted lead.

    `None` or `"standard"`: the standard twelve, then whatever else was recorded; a record that has none of the twelve
    is shown as it is. `"cabrera"`: aVL, I, -aVR, II, aVF, III, V1 ... V6 (Kligfield et al. 2007), then the others.

    Raises:
        EcgLeadError: a lead is named twice, or none is named.
    """
    if leads is None or isinstance(leads, str):
        if leads not in (None, "standard", "cabrera"):
            raise EcgLeadError(f'`leads` must be "standard", "cabrera" or a sequence of lead names, got {leads!r}.')
        others = tuple(lead for lead in recorded if lead not in STANDARD_LEADS)
        if len(others) == len(recorded):
            return others
        return (CABRERA_LEADS if leads == "cabrera" else STANDARD_LEADS) + others
    named = tuple(f"-{canonical_lead(lead[1:])}" if lead.startswith("-") else canonical_lead(lead) for lead in leads)
    if not named or len({lead.lstrip("-") for lead in named}) != len(named):
        raise EcgLeadError(f"`leads` must name at least one lead and none twice, got {list(leads)}.")
    return named


def page_layout(
    name: str = "square_12x1",
    leads: Sequence[str] = STANDARD_LEADS,
    *,
    speed: float = 25.0,
    gain: float = 10.0,
    start: float = 0.0,
    seconds: float | None = None,
    columns: str = "sequential",
    rhythm_leads: Sequence[str] = RHYTHM_LEADS,
    header_lines: int = 0,
    label_mm: float = 6.0,
    duration: float | None = None,
) -> PageLayout:
    """The geometry of a named page.

    `gem_12x1` and `gem_6x2` are what the GEM authors' generator draws (`--num_columns` 1 and 2). The others are ours:
    traces run from 25 to 275 mm, between two 5-mm lines, on paper whose size in mm is a whole number. Pages with one
    column grow rows for more than twelve leads, the others grow columns.

    Args:
        name: one of `LAYOUTS`.
        leads: the leads in order (see `page_leads`).
        speed: mm/s, 25 or 50.
        gain: mm/mV, 2.5, 5, 10 or 20.
        start: first second shown.
        seconds: how many seconds a row shows; as many as fit on 250 mm by default. Other values change the width.
        columns: `"sequential"` (each column continues where the one before it ended) or `"simultaneous"`.
        rhythm_leads: leads of the rhythm strips, as many as the layout has strips.
        header_lines: lines of header to leave room for.
        label_mm: size of the lead labels in mm.
        duration: of the record in s. Where it ends in or before the middle of the last of several columns, later columns begin
            earlier and show the record's last seconds.

    Raises:
        GemError: an unknown layout, speed, gain or column mode, or a scale that the authors' page does not have.
    """
    if name not in LAYOUTS:
        raise GemError(f"There is no page layout {name!r}; choose one of {', '.join(LAYOUTS)}.")
    if speed not in SPEEDS or gain not in GAINS:
        raise GemError(
            f"A page is drawn at {_choices(SPEEDS)} mm/s and {_choices(GAINS)} mm/mV, "
            f"got {speed:g} mm/s and {gain:g} mm/mV."
        )
    if columns not in ("sequential", "simultaneous"):
        raise GemError(f'`columns` must be "sequential" or "simultaneous", got {columns!r}.')
    if seconds is not None and not 0.5 <= seconds <= 60:
        raise GemError(f"A page row shows 0.5 to 60 s, got {seconds!r} s.")
    if name in _GEM_COLUMNS:
        if (speed, gain) != (25.0, 10.0) or seconds not in (None, 10.0):
            raise GemError(
                f"{name} is the GEM authors' page: 10 s at 25 mm/s and 10 mm/mV. Use 12x1 for other scales."
            )
        return _gem_layout(name, _GEM_COLUMNS[name], start)
    row_seconds = TRACE_WIDTH_MM / speed if seconds is None else float(seconds)
    return _own_layout(
        name,
        _PAPERS[name],
        tuple(leads),
        speed=float(speed),
        gain=float(gain),
        start=start,
        seconds=row_seconds,
        sequential=columns == "sequential",
        rhythm_leads=tuple(rhythm_leads),
        header_lines=header_lines,
        label_mm=label_mm,
        end=math.inf if duration is None else duration,
    )


def _choices(values: Sequence[float]) -> str:
    return " or ".join(f"{value:g}" for value in values)


@lru_cache(maxsize=64)  # a data set's pages have few
def _own_layout(
    name: str,
    paper: _Paper,
    leads: tuple[str, ...],
    *,
    speed: float,
    gain: float,
    start: float,
    seconds: float,
    sequential: bool,
    rhythm_leads: tuple[str, ...],
    header_lines: int,
    label_mm: float,
    end: float,
) -> PageLayout:
    rows = len(leads) if paper.columns == 1 else min(paper.rows, len(leads))
    columns = math.ceil(len(leads) / rows)
    strips = [canonical_lead(lead) for lead in rhythm_leads[: paper.strips]]
    trace_x, width = 25.0, paper.width - TRACE_WIDTH_MM + seconds * speed
    top = TOP_MM + LINE_MM * header_lines
    if paper.columns > 1:
        height = top + ROW_MM * (rows + len(strips)) + BOTTOM_MM
    else:
        height = width if name.startswith("square") else paper.height
    pitch = (height - top - BOTTOM_MM) / (rows + len(strips))
    baselines = [float(round(top + pitch * (row + 0.55))) for row in range(rows + len(strips))]
    column_seconds = seconds / columns
    latest = end - column_seconds if end < start + seconds - column_seconds / 2 else math.inf
    panels, separators = [], []
    for index, lead in enumerate(leads):
        column, row = divmod(index, rows)
        x = trace_x + column * column_seconds * speed
        first = max(start, min(start + column * column_seconds * sequential, latest))
        panels.append(
            _panel(lead, first, first + column_seconds, x, baselines[row], pitch, label_mm, in_margin=columns == 1)
        )
        if column:
            separators.append((x, baselines[row]))
    for lead, baseline in zip(strips, baselines[rows:], strict=True):
        panels.append(_panel(lead, start, start + seconds, trace_x, baseline, pitch, label_mm, columns == 1, True))
    return PageLayout(
        name=name,
        width=width,
        height=height,
        speed=speed,
        gain=gain,
        row_pitch=pitch,
        panels=tuple(panels),
        pulses=tuple((15.0, baseline) for baseline in baselines),
        pulse=PULSE_MM,
        separators=tuple(separators),
        header=(trace_x, 6.0),
        footer=(trace_x, height - 3.0),
        texts=(),
        px_per_mm=8.0,
        labels_may_move=columns > 1,
    )


def _panel(
    lead: str,
    start: float,
    stop: float,
    x: float,
    baseline: float,
    pitch: float,
    label_mm: float,
    in_margin: bool,
    is_rhythm: bool = False,
) -> Panel:
    """In the margin the label is left of its pulse, centred on the baseline, where no trace can reach it."""
    return Panel(
        lead=lead.lstrip("-"),
        start=start,
        stop=stop,
        x=x,
        baseline=baseline,
        label_x=13.8 if in_margin else x + 1.5,
        # DejaVu's capitals are 0.73 em high.
        label_y=baseline + 0.365 * label_mm if in_margin else baseline - min(10.5, 0.42 * pitch),
        sign=-1 if lead.startswith("-") else 1,
        label_anchor="rs" if in_margin else "ls",
        is_rhythm=is_rhythm,
    )


def _gem_layout(name: str, columns: int, start: float) -> PageLayout:
    """US letter, landscape; geometry of the generator that GEM ships (ecg-image-kit with GEM's lead order).

    Rows are counted from the bottom, leads run V6 ... I; every label is 7 mm *below* its baseline, and with two
    columns both show the first 5 s.
    """
    width, height = 11 * 25.4, 8.5 * 25.4
    rows = len(STANDARD_LEADS) // columns
    pitch = height / (rows + 3)
    left = math.floor(((width / 25 - 10) / 2) / 0.2) * 0.2 * 25
    seconds = 10.0 / columns
    panels, pulses, separators = [], [], []
    for index, lead in enumerate(reversed(STANDARD_LEADS)):
        row, column = divmod(index, columns)
        x, baseline = left + 5 + column * seconds * 25, height - pitch * (1.5 + row)
        panels.append(Panel(lead, start, start + seconds, x, baseline, x, baseline + 7))
        if column:
            separators.append((x, baseline))
        else:
            pulses.append((left, baseline))
    return PageLayout(
        name=name,
        width=width,
        height=height,
        speed=25.0,
        gain=10.0,
        row_pitch=pitch,
        panels=tuple(reversed(panels)),
        pulses=tuple(reversed(pulses)),
        pulse=GEM_PULSE_MM,
        separators=tuple(separators),
        header=(left, 6.0),
        footer=None,
        texts=(("25mm/s", 50.0, height - 5), ("10mm/mV", 100.0, height - 5)),
        px_per_mm=200 / 25.4,
        labels_may_move=False,
    )


__all__ = [
    "CABRERA_LEADS",
    "GAINS",
    "LAYOUTS",
    "RHYTHM_LEADS",
    "SPEEDS",
    "PageLayout",
    "Panel",
    "page_layout",
    "page_leads",
]
