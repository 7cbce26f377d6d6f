# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Speed and fidelity of page renderers: `OMP_NUM_THREADS=1 python -m benchmarks.bench_renderers`.

Each draws the same page, twelve rows of ten seconds, at 200 dpi: ours, pmecg (GPL-3, for an environment of this benchmark only), ecg_plot
0.2 (MIT; later versions write SVG) and dicom-ecg-plot (MIT; reads only DICOM, so it is given the record as DICOM, and its reading
counts too), each where it is installed (`pip install pmecg ecg-plot==0.2.8 dicom-ecg-plot`).

- CPU ms from the samples to the pixels, minimum of the runs.
- mm/s and mm/mV of the page, at 200 dpi.
- Each trace is drawn alone. RMS error: the centroid of its ink in a column of pixels against the record's samples at that place, in uV,
  less an offset and a scale for each trace, where the trace moves less than a pixel per column and no steep column lies within three.
- height error: the height of the whole ink less the width of the line against the record's highest minus lowest sample, in uV, mean of
  the absolute values over the leads. Both contain the rasterisation, and what a renderer does to the samples.
"""

import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_page import options_of_record, read_record
from processing.ecg_page import render_ecg
from processing.ecg_page_ink import POINTS_PER_MM, PageStyle
from processing.ecg_record import STANDARD_LEADS, EcgRecord

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
DPI = 200
MM_PER_INCH = 25.4
FINE = 32  # points per pixel at which a trace is followed
STEEP_PX_PER_MV = 10 / MM_PER_INCH * DPI  # every renderer here draws about 10 mm/mV
INK_FLOOR = 0.08
GUARD_PX = 5  # columns at either end of a trace that are left out
LEAST_SAMPLES = 1000  # lines of a figure with fewer points are no traces


@dataclass(frozen=True)
class DrawnTrace:
    """A lead drawn alone.

    Attributes:
        lead: its name.
        ink: the share of each pixel that is covered, `(height, width)`.
        x: the column of each of the record's samples, in px.
        width: of the line, in px.
    """

    lead: str
    ink: np.ndarray
    x: np.ndarray
    width: float


@dataclass(frozen=True)
class Renderer:
    """A package, what it needs, how it draws a page, and its traces one by one."""

    name: str
    package: str
    draw: Callable[[EcgRecord], object]
    traces: Callable[[EcgRecord], Iterator[DrawnTrace]]


def main() -> None:
    parser = options_of_record(__doc__ or "", runs=5)
    options = parser.parse_args()
    record = read_record(options.record)
    print(f"{record!r}; page of 12 x 1 rows at {DPI} dpi")
    print(
        f"{'':24s} {'CPU ms':>8s} {'x ours':>7s} {'mm/s':>7s} {'mm/mV':>7s} {'RMS error uV':>13s} {'height error uV':>16s}"
    )
    ours = None
    for renderer in RENDERERS:
        if find_spec(renderer.package) is None:
            print(f"{renderer.name:24s} not installed")
            continue
        try:
            spent = cpu_ms(renderer.draw, record, options.runs)
            ours = ours or spent
            speed, gain, rms, height = fidelity(record, renderer.traces(record))
        except Exception as error:  # of another package: the table says what happened, and goes on
            print(f"{renderer.name:24s} failed: {error!r}")
            continue
        print(
            f"{renderer.name:24s} {spent:8.1f} {spent / ours:7.1f} {speed:7.2f} {gain:7.2f} {rms:13.1f} {height:16.1f}"
        )


def cpu_ms(draw: Callable[[EcgRecord], object], record: EcgRecord, runs: int) -> float:
    """Of the fastest run, after one that is not counted."""
    draw(record)
    fastest = float("inf")
    for _ in range(runs):
        start = time.process_time()
        draw(record)
        fastest = min(fastest, time.process_time() - start)
    return 1000 * fastest


def fidelity(record: EcgRecord, traces: Iterator[DrawnTrace]) -> tuple[float, float, float, float]:
    """Median mm/s and mm/mV over the leads, RMS error of their flat columns and mean error of their heights in uV."""
    speeds, gains, errors, heights = [], [], [], []
    for trace in traces:
        samples = record.lead(trace.lead).astype(float)
        px_per_second = np.diff(trace.x).mean() * record.sampling_rate
        px_per_mv, differences = against_samples(trace, samples)
        speeds.append(px_per_second / DPI * MM_PER_INCH)
        gains.append(px_per_mv / DPI * MM_PER_INCH)
        errors.append(1000 * differences / px_per_mv)
        heights.append(1000 * ((height_px(trace.ink) - trace.width) / px_per_mv - np.ptp(samples)))
    rms = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
    return float(np.median(speeds)), float(np.median(gains)), rms, float(np.abs(heights).mean())


def against_samples(trace: DrawnTrace, samples: np.ndarray) -> tuple[float, np.ndarray]:
    """Pixels per mV, and the ink's centroid minus the best fit of the samples in px, of every flat column."""
    columns = np.arange(int(np.ceil(trace.x[0])) + GUARD_PX, int(trace.x[-1]) - GUARD_PX)
    ink = trace.ink[:, columns]
    with np.errstate(invalid="ignore"):
        drawn = (ink * (np.arange(len(ink)) + 0.5)[:, None]).sum(0) / ink.sum(0)
    at = columns[0] + (np.arange(len(columns) * FINE) + 0.5) / FINE
    fine = np.interp(at, trace.x, samples).reshape(-1, FINE)
    steep = np.convolve(np.ptp(fine, axis=1) * STEEP_PX_PER_MV >= 1, np.ones(7), "same") > 0
    flat = np.isfinite(drawn) & ~steep
    means = fine.mean(axis=1)[flat]
    down, offset = np.polyfit(means, drawn[flat], 1)
    return float(-down), offset + down * means - drawn[flat]


def height_px(ink: np.ndarray) -> float:
    """From the upper edge of the highest ink to the lower edge of the lowest."""
    rows = ink.max(axis=1)
    return len(rows) - upper_edge(rows) - upper_edge(rows[::-1])


def upper_edge(rows: np.ndarray) -> float:
    """Where the ink begins, from the shares of the first two rows that it covers."""
    first = int(np.flatnonzero(rows > INK_FLOOR)[0])
    return first if rows[first] >= 0.95 else first + 1 - min(rows[first] / max(rows[first + 1], 1e-6), 1)


def draw_ours(record: EcgRecord) -> object:
    return render_ecg(record, "12x1", dpi=DPI, auto_gain=False).pixels


def our_traces(record: EcgRecord) -> Iterator[DrawnTrace]:
    style = PageStyle()

    def page(signal: np.ndarray) -> Any:
        return render_ecg(
            record.changed("one lead", signal=signal),
            "12x1",
            style,
            dpi=DPI,
            auto_gain=False,
            labels=False,
            pulses=False,
        )

    nothing = np.full_like(record.signal, np.nan)
    blank = page(nothing).pixels
    seconds = np.arange(record.num_samples) / record.sampling_rate
    for lead in STANDARD_LEADS:
        alone = nothing.copy()
        alone[record.leads.index(lead)] = record.lead(lead)
        drawn = page(alone)
        x, _ = drawn.to_px(lead, seconds, record.lead(lead).astype(float))
        width = drawn.style.trace_pt / POINTS_PER_MM * drawn.px_per_mm
        yield DrawnTrace(lead, ink_between(drawn.pixels, blank), x, width)


def ink_between(page: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """The share of each pixel that is covered; of the red channel, in which red grids are palest and all traces dark."""
    paper = blank[..., 0].astype(float)
    darkest = float(page[..., 0].min())
    return np.clip((paper - page[..., 0]) / np.maximum(paper - darkest, 1), 0, 1)


def pixels(figure: Any) -> np.ndarray:
    """Of a matplotlib figure, `(height, width, 3)`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def by_figure(figure_of: Callable[[EcgRecord], Any]) -> Callable[[EcgRecord], np.ndarray]:
    """Draws by a package that makes a matplotlib figure, and closes it."""

    def draw(record: EcgRecord) -> np.ndarray:
        from matplotlib import pyplot

        drawn = pixels(figure_of(record))
        pyplot.close("all")
        return drawn

    return draw


def traces_of(figure_of: Callable[[EcgRecord], Any]) -> Callable[[EcgRecord], Iterator[DrawnTrace]]:
    """The long lines of its figure, which are the leads in their order, each drawn with the others hidden."""

    def traces(record: EcgRecord) -> Iterator[DrawnTrace]:
        from matplotlib import pyplot

        figure = figure_of(record)
        lines = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) >= LEAST_SAMPLES]
        if len(lines) != len(STANDARD_LEADS):
            raise ValueError(f"{len(lines)} long lines on a page of twelve leads")
        for line in lines:
            line.set_visible(False)
        blank = pixels(figure)
        for lead, line in zip(STANDARD_LEADS, lines, strict=True):
            line.set_visible(True)
            ink = ink_between(pixels(figure), blank)
            line.set_visible(False)
            places = np.column_stack([line.get_xdata(), np.zeros(len(line.get_xdata()))])
            yield DrawnTrace(lead, ink, line.get_transform().transform(places)[:, 0], line.get_linewidth() * DPI / 72)
        pyplot.close("all")

    return traces


def pmecg_figure(record: EcgRecord) -> Any:
    import pmecg

    signal = np.stack([record.lead(lead) for lead in STANDARD_LEADS], axis=1)
    return pmecg.ECGPlotter().plot((signal, list(STANDARD_LEADS)), sampling_frequency=record.sampling_rate, show=False)


def ecg_plot_figure(record: EcgRecord) -> Any:
    import ecg_plot
    from matplotlib import pyplot

    signal = np.stack([record.lead(lead) for lead in STANDARD_LEADS])
    # With names of leads both 0.2 and 0.3 draw a figure of pyplot.
    ecg_plot.plot(signal, sample_rate=record.sampling_rate, title="", lead_index=list(STANDARD_LEADS), columns=1)
    return pyplot.gcf()


def dicom_figure(record: EcgRecord) -> Any:
    import ecg

    page = ecg.ECG(io.BytesIO(as_dicom(record)))
    page.draw("12x1", minor_axis=True)
    figure = page._plotter.fig
    page.close = lambda: None  # it closes whatever figure is the current one, when it is collected
    return figure


def as_dicom(record: EcgRecord) -> bytes:
    """The record in steps of 1 uV."""
    from tests.helpers.ecg_files import dicom_bytes

    counts = np.stack([np.round(1000 * record.lead(lead)) for lead in STANDARD_LEADS])
    return dicom_bytes(counts, STANDARD_LEADS, record.sampling_rate, sensitivity="1", baseline="0")


RENDERERS = (
    Renderer(f"gem-ecg {version('gem-ecg')}", "processing", draw_ours, our_traces),
    *(
        Renderer(name, package, by_figure(figure_of), traces_of(figure_of))
        for name, package, figure_of in (
            ("pmecg", "pmecg", pmecg_figure),
            ("ecg_plot", "ecg_plot", ecg_plot_figure),
            ("dicom-ecg-plot", "ecg", dicom_figure),
        )
    ),
)


if __name__ == "__main__":
    main()
