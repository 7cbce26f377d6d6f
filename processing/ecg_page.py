# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws an `EcgRecord` as a page of ECG paper: `render_ecg(record).save("page.png")`."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .ecg_page_ink import POINTS_PER_MM, STYLES, InkCanvas, PageStyle, draw_text, grid_background, text_box
from .ecg_page_layout import RHYTHM_LEADS, PageLayout, Panel, page_layout, page_leads
from .ecg_page_picture import EcgPage, EcgPageWarning, PageVisibility, PlacedLabel, panel_samples
from .ecg_record import STANDARD_LEADS, EcgRecord
from .errors_gem import EcgFormatError, GemError

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

MAX_PIXELS = 100_000_000
PX_PER_MM_BOUNDS = (0.1, 50.0)
MIN_GAIN = 2.5
# A trace has too little room if, for longer than this share of its time, it is off the paper or further from its
# baseline than this many row pitches, that is, well into its neighbour.
MAX_SHARE_OUT_OF_REACH = 0.002
REACH_IN_PITCHES = 1.5
# Of the samples within half a px, only the extremes can be seen.
RUNS_PER_PX = 2
SEPARATOR_MM = 3.15
# What the processor draws by default, and what GEM was trained on.
MODEL_LAYOUTS = ("square_12x1", "gem_12x1", "gem_6x2")


def render_ecg(
    record: EcgRecord,
    layout: str = "square_12x1",
    style: PageStyle | str | None = None,
    *,
    speed: float = 25.0,
    gain: float = 10.0,
    auto_gain: bool = True,
    leads: str | Sequence[str] | None = None,
    start: float = 0.0,
    seconds: float | None = None,
    columns: str = "sequential",
    rhythm_leads: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    px_per_mm: float | None = None,
    dpi: float | None = None,
    header: str | Sequence[str] | None = None,
    measured: "EcgFeatures | None" = None,
    labels: bool = True,
    pulses: bool = True,
) -> EcgPage:
    """Draws a record on ECG paper, exactly to scale and the same in every process.

    Args:
        record: signal in mV. Leads that are missing, or NaN throughout, keep their row and are called "not recorded".
        layout: one of `LAYOUTS`. `square_12x1` loses nothing under any image mode; `gem_12x1` is the page that the
            released GEM was trained on.
        style: a `PageStyle` or the name of one of `STYLES`; "gem" for the authors' pages, otherwise "clinical".
        speed: paper speed in mm/s, 25 or 50.
        gain: mm/mV, 5, 10 or 20.
        auto_gain: halve the gain, down to 2.5 mm/mV, while a lead is off the paper or over 1.5 row pitches from its
            baseline for more than 0.2 % of its time; the footer then says so. Never on the authors' pages.
        leads: `"standard"`, `"cabrera"` or names in order (see `page_leads`).
        start: first second shown.
        seconds: seconds in a full row; as many as 250 mm hold by default.
        columns: `"sequential"` or `"simultaneous"`.
        rhythm_leads: leads of the rhythm strips; by default those of II, V1, V5 that were recorded.
        size: (height, width) px of the picture, the paper fitted into its middle; or
        px_per_mm: the scale; or
        dpi: the scale per inch. By default 200 dpi for the authors' pages, otherwise 8 px/mm.
        header: lines for the top of the page. Nothing of the record's metadata is ever written by itself.
        measured: the record's measurements. Rate, PR, QRS, QT, QTc and axes are written under the header, marked as gem-ecg's, with
            the filter if the file states it. Never on pages for models, which could read the answer from them.
        labels: write the lead names, and "not recorded".
        pulses: draw the calibration pulses, 1 mV high and 5 mm wide.

    Raises:
        GemError: an unknown layout, style or scale, a size out of bounds, or `start` after the record's end.
        EcgLeadError: no lead to draw, or one named twice.
    """
    if not 0 <= start < record.duration:
        raise EcgFormatError(f"{record.name}: `start` is {start:g} s, but the record lasts {record.duration:g} s.")
    is_gem = layout.startswith("gem_")
    if is_gem:
        _check_gem_leads(record, layout, leads)
    header_lines = header.splitlines() if isinstance(header, str) else list(header or ())
    if measured is not None:
        if layout in MODEL_LAYOUTS:
            raise GemError(f"{layout} is a page that models see: it carries no measurements. Use 3x4+1, 6x2 or 12x1.")
        header_lines += measured_lines(measured, record)
    inks = _resolve_style(style, "gem" if is_gem else "clinical")

    if rhythm_leads is None:
        rhythm_leads = [lead for lead in RHYTHM_LEADS if lead in record.leads]

    def plan_at(millimetres_per_mv: float, label_mm: float = 6.0) -> PageLayout:
        return page_layout(
            layout,
            page_leads(leads, record.leads),
            speed=speed,
            gain=millimetres_per_mv,
            start=start,
            seconds=seconds,
            columns=columns,
            rhythm_leads=rhythm_leads,
            header_lines=len(header_lines),
            label_mm=label_mm,
            duration=record.duration,
        )

    plan = plan_at(gain)
    shape, scale, origin = _fit_picture(plan, size, px_per_mm, dpi)
    inks = inks.at(scale)
    label_mm = inks.label_pt / POINTS_PER_MM
    plan = plan_at(gain, label_mm)
    while auto_gain and not is_gem and plan.gain > MIN_GAIN and _overflows(record, plan):
        plan = plan_at(plan.gain / 2, label_mm)

    canvas = InkCanvas(grid_background(shape, scale, origin, (plan.width, plan.height), inks.without_ink()))
    notes = _notes(record, plan, gain, columns)
    page = EcgPage(canvas.background, plan, scale, origin, inks, record, notes=notes)
    _draw_lines(canvas, page, pulses)
    placed = tuple(_place_label(canvas, page, panel) for panel in plan.panels) if labels else ()
    page = replace(page, pixels=canvas.to_rgb(), labels=placed)
    _write_texts(page, header_lines)
    return page


def _check_gem_leads(record: EcgRecord, layout: str, leads: str | Sequence[str] | None) -> None:
    if leads not in (None, "standard"):
        raise GemError(f"{layout} is the GEM authors' page with the standard leads; use another layout for {leads!r}.")
    others = [lead for lead in record.leads if lead not in STANDARD_LEADS]
    if others:
        warnings.warn(f"{record.name}: {layout} does not show lead(s) {others}.", EcgPageWarning, stacklevel=3)


def _resolve_style(style: PageStyle | str | None, default: str) -> PageStyle:
    if isinstance(style, PageStyle):
        return style
    if (style or default) not in STYLES:
        raise GemError(f"There is no page style {style!r}; choose one of {', '.join(STYLES)} or pass a `PageStyle`.")
    return STYLES[style or default]


def _fit_picture(
    plan: PageLayout, size: tuple[int, int] | None, px_per_mm: float | None, dpi: float | None
) -> tuple[tuple[int, int], float, tuple[float, float]]:
    """(height, width) px, px per mm and the paper's top left corner in px."""
    if sum(choice is not None for choice in (size, px_per_mm, dpi)) > 1:
        raise GemError("Give one of `size`, `px_per_mm` and `dpi`: each of them sets the scale.")
    if size is not None:
        scale = min(size[1] / plan.width, size[0] / plan.height)
    elif dpi is not None:
        scale = dpi / 25.4
    else:
        scale = plan.px_per_mm if px_per_mm is None else px_per_mm
    if not PX_PER_MM_BOUNDS[0] <= scale <= PX_PER_MM_BOUNDS[1]:
        low, high = PX_PER_MM_BOUNDS
        raise GemError(f"{plan.name} at {scale:.3g} px/mm cannot be drawn: a page has {low:g} to {high:g} px per mm.")
    height, width = (round(plan.height * scale), round(plan.width * scale)) if size is None else map(int, size)
    if height * width > MAX_PIXELS:
        raise GemError(f"{plan.name} would be {width} x {height} px; a page has at most {MAX_PIXELS:,} pixels.")
    left, top = (
        max((side - extent * scale) // 2, 0.0) for side, extent in ((width, plan.width), (height, plan.height))
    )
    return (height, width), scale, (left, top)


def _overflows(record: EcgRecord, plan: PageLayout) -> bool:
    """Whether some trace has too little room."""
    reach = REACH_IN_PITCHES * plan.row_pitch
    for panel in plan.panels:
        found = panel_samples(record, panel)
        if found is None:
            continue
        highest, lowest = min(reach, panel.baseline), -min(reach, plan.height - panel.baseline)
        scale = panel.sign * plan.gain
        ends = scale * found[1].max(), scale * found[1].min()
        if max(ends) <= highest and min(ends) >= lowest:
            continue
        rise = scale * found[1]
        if np.mean((rise > highest) | (rise < lowest)) > MAX_SHARE_OUT_OF_REACH:
            return True
    return False


def _notes(record: EcgRecord, plan: PageLayout, gain: float, columns: str) -> tuple[str, ...]:
    notes = []
    if plan.gain != gain:
        notes.append(f"gain reduced from {gain:g} mm/mV to fit")
    first, last = plan.window
    if first > 0 or record.duration > last + 0.05:
        notes.append(f"{first:g} to {min(last, record.duration):g} s of {record.duration:g} s")
    if columns == "sequential" and _columns_overlap(plan):
        notes.append("short record: its last seconds are drawn in several columns")
    if columns == "simultaneous" and plan.separators:
        notes.append("columns simultaneous")
    return tuple(notes)


def _columns_overlap(plan: PageLayout) -> bool:
    """Whether a column of a page of ours begins before the one left of it ends."""
    if plan.name.startswith("gem_"):
        return False
    columns = sorted({(panel.x, panel.start, panel.stop) for panel in plan.panels if not panel.is_rhythm})
    return any(later[1] < earlier[2] - 1e-6 for earlier, later in pairwise(columns))


def _draw_lines(canvas: InkCanvas, page: EcgPage, pulses: bool) -> None:
    plan, style, px_per_pt = page.layout, page.style, page.px_per_mm / POINTS_PER_MM
    if pulses and plan.pulses:
        # One path with a gap after each pulse: what a line costs is mostly the call.
        outline = np.array([*plan.pulse, (np.nan, np.nan)])[None] * (1, -plan.gain) + np.array(plan.pulses)[:, None]
        corners = page.mm_to_px(outline[..., 0].ravel(), outline[..., 1].ravel())
        canvas.stroke(np.stack(corners, axis=1), style.pulse_pt * px_per_pt, style.trace)
    for x, baseline in plan.separators:
        ends = [page.mm_to_px(x, baseline + dy) for dy in (-SEPARATOR_MM, SEPARATOR_MM)]
        canvas.stroke(np.array(ends), style.separator_pt * px_per_pt, style.trace)
    for panel in plan.panels:
        vertices = _trace(page, panel)
        if vertices is not None:
            canvas.stroke(vertices, style.trace_pt * px_per_pt, style.trace)


def _trace(page: EcgPage, panel: Panel) -> np.ndarray | None:
    """The vertices (n, 2) px of a panel's trace."""
    found = page.samples_of(panel)
    if found is None:
        return None
    first, samples = found
    rate = page.record.sampling_rate
    run = math.ceil(rate / (page.layout.speed * page.px_per_mm * RUNS_PER_PX))
    shown = _extremes(samples, run) if run > 2 else np.arange(len(samples))
    x, y = page.mm_to_px(
        panel.x + ((first + shown) / rate - panel.start) * page.layout.speed,
        panel.baseline - panel.sign * page.layout.gain * samples[shown].astype(np.float64),
    )
    # Agg's clipping loses precision far off the paper.
    return np.stack([x, np.clip(y, -1e5, 1e5)], axis=1)


def _extremes(samples: np.ndarray, run: int) -> np.ndarray:
    """Indices of the lowest and highest of every `run` samples, in order; a run without a finite sample is a gap."""
    whole = len(samples) // run * run
    runs = samples[:whole].reshape(-1, run)
    finite = np.isfinite(runs)
    low, high = (runs, runs) if finite.all() else (np.where(finite, runs, np.inf), np.where(finite, runs, -np.inf))
    lowest, highest = low.argmin(axis=1), high.argmax(axis=1)
    ends = np.empty((len(runs), 2), dtype=np.intp)
    np.minimum(lowest, highest, out=ends[:, 0])
    np.maximum(lowest, highest, out=ends[:, 1])
    ends += np.arange(0, whole, run)[:, None]
    return np.concatenate([[0], ends.ravel(), np.arange(whole, len(samples)), [len(samples) - 1]])


def _place_label(canvas: InkCanvas, page: EcgPage, panel: Panel) -> PlacedLabel:
    """Where a lead's name goes: at its place in the layout or, if a trace runs there, at the nearest free one."""
    size = page.style.label_pt / POINTS_PER_MM * page.px_per_mm
    x, y = page.mm_to_px(panel.label_x, panel.label_y)
    if panel.label_anchor == "rs":
        left, _, right, _ = text_box(panel.label, x, y, size, "rs", page.style.bold_labels)
        size *= min(1.0, 0.96 * x / max(right - left, 1))
    position = (float(x), float(y))
    if page.layout.labels_may_move:
        position = _clearest(canvas, page, panel, _label_positions(page, panel, position), size)
    return PlacedLabel(
        lead=panel.lead,
        text=panel.label,
        position=position,
        size=size,
        anchor=panel.label_anchor,
        box=text_box(panel.label, *position, size, panel.label_anchor, page.style.bold_labels),
    )


def _label_positions(page: EcgPage, panel: Panel, preferred: tuple[float, float]) -> list[tuple[float, float]]:
    """Positions near the preferred one, nearest first, all closer to this lead's baseline than to another's."""
    reach = min(0.5 * page.layout.row_pitch, 24.0)
    steps = [
        (dx, dy)
        for dx in (0.0, 3.0, 6.0, 9.0)
        for dy in np.arange(-12.0, 24.0, 1.5)
        if -reach <= panel.label_y + dy - panel.baseline <= 0.8 * reach
    ]
    steps.sort(key=lambda step: np.hypot(*step))
    return [(preferred[0] + dx * page.px_per_mm, preferred[1] + dy * page.px_per_mm) for dx, dy in steps]


def _clearest(
    canvas: InkCanvas, page: EcgPage, panel: Panel, positions: list[tuple[float, float]], size: float
) -> tuple[float, float]:
    """The first position without ink in or around the label, else the one with the least."""
    left, top, right, bottom = text_box(panel.label, 0, 0, size, panel.label_anchor, page.style.bold_labels)
    clear = max(round(size / 6), 1)
    least, best = float("inf"), positions[0]
    for x, y in positions:
        column, row = round(x), round(y)
        ink = canvas.ink_in((column + left - clear, row + top - clear, column + right + clear, row + bottom + clear))
        if ink < least:
            least, best = ink, (x, y)
        if not ink:
            break
    return best


def _write_texts(page: EcgPage, header_lines: Sequence[str]) -> None:
    plan, style, record = page.layout, page.style, page.record
    halo_px = style.halo_mm * page.px_per_mm
    text_px = style.text_pt / POINTS_PER_MM * page.px_per_mm

    def write(text: str, x: float, y: float, size: float = text_px, **options: Any) -> None:
        draw_text(page.pixels, text, x, y, size, style.text, halo=style.paper, **options)

    for label in page.labels:
        write(label.text, *label.position, label.size, anchor=label.anchor, halo_px=halo_px, bold=style.bold_labels)
    for text, x, y in plan.texts:
        write(text, *page.mm_to_px(x, y))
    for index, line in enumerate(header_lines):
        write(line, *page.mm_to_px(plan.header[0], plan.header[1] + 5 * index), halo_px=halo_px)
    if plan.footer:
        footer = "    ".join([f"{plan.speed:g} mm/s", f"{plan.gain:g} mm/mV", *page.notes])
        write(footer, *page.mm_to_px(*plan.footer), halo_px=halo_px)
    if page.labels and not page.layout.name.startswith("gem_"):
        for panel in plan.panels:
            if page.samples_of(panel) is None:
                write(_why_empty(record, panel), *page.mm_to_px(panel.x + 3, panel.baseline), halo_px=halo_px)


def _why_empty(record: EcgRecord, panel: Panel) -> str:
    """Why a panel shows nothing: its lead was never recorded, or not in these seconds."""
    if panel.lead in record.leads and np.isfinite(record.lead(panel.lead)).any():
        return f"recorded, but not from {panel.start:g} to {panel.stop:g} s"
    return "not recorded"


def measured_lines(measured: "EcgFeatures", record: EcgRecord) -> list[str]:
    """What electrocardiographs print above the traces, of our measurements: two or three lines of text."""

    def number(value: float) -> str:
        return f"{value:.0f}" if math.isfinite(value) else "-"

    axes = "/".join(number(axis) for axis in (measured.p_axis, measured.qrs_axis, measured.t_axis))
    values = [
        f"Rate {number(measured.heart_rate)} bpm",
        f"PR {number(measured.pr_interval)} ms",
        f"QRS {number(measured.qrs_duration)} ms",
        f"QT/QTc {number(measured.qt_interval)}/{number(measured.qtc_bazett)} ms (Bazett)",
        f"axes P/QRS/T {axes} deg",
    ]
    doubt = "" if measured.plausibility.verdict == "ok" else f" The record is {measured.plausibility.verdict}."
    lines = ["    ".join(values), f"Measured by gem-ecg, not confirmed by a physician.{doubt}"]
    band = [record.metadata.get(name) for name in ("high_pass_hz", "low_pass_hz")]
    if any(edge is not None for edge in band):
        low, high = ("open" if edge is None else f"{edge:g}" for edge in band)
        lines.append(f"Filter stated by the file: {low} to {high} Hz")
    return lines


__all__ = [
    "EcgPage",
    "EcgPageWarning",
    "PageStyle",
    "PageVisibility",
    "measured_lines",
    "render_ecg",
]
