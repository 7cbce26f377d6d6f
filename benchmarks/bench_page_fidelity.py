# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws ECGs, reads them back from the pixels and measures the errors: `python benchmarks/bench_page_fidelity.py`.

Each lead is drawn alone on its page, so that its ink is known; ink is what differs from the same page without it.

- flat: centroid of a column's ink against the mean of the signal in that column, where the trace moves less than one
  pixel per column and no steep column lies within three.
- peaks: outer edge of the ink minus half a line width, at each R or S extreme.
- flanks: centroid of a row's ink against the time at which the signal crosses it, between 25 and 75 % of a flank.
- gain: slope of drawn against true height over all flat columns and peaks.
- pulse and grid: the calibration pulse's height and width, and the mean distance of the 5-mm lines, from their pixels.
- repeatable: two processes draw the same bytes.

The limits hold for 200 dpi, where a pixel is 12.7 uV high and 5.08 ms wide. Exit status 1 if one is passed.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

from processing.ecg_page import EcgPage, PageStyle, render_ecg
from processing.ecg_page_ink import POINTS_PER_MM, STYLES
from processing.ecg_record import STANDARD_LEADS, EcgRecord

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
HASH_FLAG = "--hash-only"
GUARD_PX = 10  # columns at either end of a trace that are left out
INK_FLOOR = 0.04
LIMITS = {
    "flat RMSE uV": 3.0,
    "peak MAE uV": 5.0,
    "peak max uV": 12.7,
    "flank RMSE ms": 2.5,
    "|gain error| %": 0.5,
    "|pulse - 1 mV| mV": 0.005,
    "|grid pitch error| px": 0.01,
}


@dataclass
class Errors:
    """What was read back minus what was drawn, gathered over leads and records."""

    flat_uv: list[np.ndarray] = field(default_factory=list)
    peak_uv: list[float] = field(default_factory=list)
    flank_ms: list[float] = field(default_factory=list)
    true_px: list[np.ndarray] = field(default_factory=list)
    drawn_px: list[np.ndarray] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        flat, peaks, flanks = np.concatenate(self.flat_uv), np.abs(self.peak_uv), np.array(self.flank_ms)
        true, drawn = np.concatenate(self.true_px), np.concatenate(self.drawn_px)
        slope = np.polyfit(true - true.mean(), drawn - drawn.mean(), 1)[0]
        return {
            "flat RMSE uV": float(np.sqrt(np.mean(flat**2))),
            "peak MAE uV": float(peaks.mean()),
            "peak max uV": float(peaks.max()),
            "flank RMSE ms": float(np.sqrt(np.mean(flanks**2))),
            "|gain error| %": float(100 * abs(slope - 1)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--records",
        nargs="*",
        default=sorted(
            str(p.with_suffix("")) for p in SHARED.glob("data/ptbxl_wfdb/records?00/00000/0000[1-4]_?r.hea")
        ),
        help="WFDB records (default: PTB-XL 1 to 4 of the shared data, at 100 and 500 Hz)",
    )
    parser.add_argument("--layouts", nargs="*", default=["gem_12x1", "square_12x1"], help="pages to measure")
    parser.add_argument(
        "--dpi", type=float, default=200.0, help="resolution (default: 200, for which the limits hold)"
    )
    parser.add_argument(HASH_FLAG, action="store_true", help="only print the hash of one page of the first record")
    options = parser.parse_args()
    records = [read_record(path) for path in options.records]
    if not records:
        parser.error("no records: pass --records, or set GEM_SHARED to the folder of shared data")
    if options.hash_only:
        print(hashlib.sha256(render_ecg(records[0], options.layouts[0]).pixels.tobytes()).hexdigest())
        return
    passed = [measure_layout(layout, records, options.dpi) for layout in options.layouts]
    hashes = {hash_in_new_process(options.records[0], seed) for seed in ("1", "2")}
    print(f"{'two processes draw the same bytes':36s} {len(hashes) == 1}")
    sys.exit(not (all(passed) and len(hashes) == 1))


def measure_layout(layout: str, records: list[EcgRecord], dpi: float) -> bool:
    errors = Errors()
    for record in records:
        for lead in STANDARD_LEADS:
            add_errors(errors, record, lead, layout, dpi)
    heights, widths = pulse_sizes(records[0], layout, dpi)
    figures = errors.figures() | {
        "|pulse - 1 mV| mV": float(np.abs(heights - 1).max()),
        "|grid pitch error| px": grid_pitch_error(records[0], layout, dpi),
    }
    counts = f"{len(records)} records, {len(errors.peak_uv)} peaks, {len(errors.flank_ms)} flank rows"
    print(f"{layout} at {dpi:g} dpi: {counts}; pulse {heights.mean():.4f} mV x {1000 * widths.mean():.1f} ms")
    for name, value in figures.items():
        verdict = "ok" if value < LIMITS[name] else "PASSED THE LIMIT"
        print(f"  {name:34s} {value:8.4f}  limit {LIMITS[name]:g}  {verdict}")
    return all(value < LIMITS[name] for name, value in figures.items())


def add_errors(errors: Errors, record: EcgRecord, lead: str, layout: str, dpi: float) -> None:
    """Draws one lead alone and compares its ink with its samples."""
    alone = np.full_like(record.signal, np.nan)
    row = record.leads.index(lead)
    alone[row] = record.signal[row]
    page = plain_page(record.changed("one lead", signal=alone), layout, dpi)
    blank = plain_page(record.changed("no lead", signal=np.full_like(alone, np.nan)), layout, dpi)
    ink = ink_of(page, blank)
    samples = record.lead(lead).astype(float)
    x, y = page.to_px(lead, np.arange(len(samples)) / record.sampling_rate, samples)
    drawn = np.isfinite(x)
    trace = Trace(x[drawn], y[drawn], samples[drawn], page, ink)
    trace.add_flat(errors)
    trace.add_peaks_and_flanks(errors, record.sampling_rate)


def plain_page(record: EcgRecord, layout: str, dpi: float, pulses: bool = False) -> EcgPage:
    style = STYLES["gem"] if layout.startswith("gem") else PageStyle(trace_pt=0.75)
    return render_ecg(record, layout, style, dpi=dpi, auto_gain=False, labels=False, pulses=pulses)


def ink_of(page: EcgPage, blank: EcgPage) -> np.ndarray:
    """The share of each pixel that is covered; the red channel, where a red grid is paler than in the others."""
    paper, drawn = blank.pixels[..., 0].astype(float), page.pixels[..., 0].astype(float)
    ink = np.clip((paper - drawn) / np.maximum(paper - page.style.trace[0], 1), 0, 1)
    ink[ink < INK_FLOOR] = 0
    return ink


@dataclass
class Trace:
    """One drawn lead: its vertices in px, its samples in mV, its page and its ink."""

    x: np.ndarray
    y: np.ndarray
    samples: np.ndarray
    page: EcgPage
    ink: np.ndarray

    def __post_init__(self) -> None:
        self.first = int(np.ceil(self.x[0])) + GUARD_PX
        self.last = int(np.floor(self.x[-1])) - GUARD_PX
        self.uv_per_px = 1000 / (self.page.px_per_mm * self.page.layout.gain)
        self.ms_per_px = 1000 / (self.page.px_per_mm * self.page.layout.speed)

    def add_flat(self, errors: Errors) -> None:
        ink = self.ink[:, self.first : self.last]
        weight = ink.sum(axis=0)
        rows = np.arange(len(ink)) + 0.5
        with np.errstate(invalid="ignore", divide="ignore"):
            centroid = (ink * rows[:, None]).sum(axis=0) / weight
        fine = np.interp(self.first + (np.arange((self.last - self.first) * 64) + 0.5) / 64, self.x, self.y)
        fine = fine.reshape(-1, 64)
        steep = np.convolve(np.ptp(fine, axis=1) >= 1, np.ones(7), "same") > 0
        flat = np.isfinite(centroid) & ~steep
        mean = fine.mean(axis=1)
        errors.flat_uv.append((mean - centroid)[flat] * self.uv_per_px)
        errors.true_px.append(mean[flat] - self.y.mean())
        errors.drawn_px.append(centroid[flat] - self.y.mean())

    def add_peaks_and_flanks(self, errors: Errors, sampling_rate: float) -> None:
        for sign in (1, -1):
            heights = sign * self.samples
            peaks, _ = find_peaks(heights, prominence=0.35, distance=int(0.25 * sampling_rate))
            for peak in peaks:
                if not self.first + 3 <= self.x[peak] <= self.last - 3:
                    continue
                read = self.peak_px(peak, sign)
                if read is not None:
                    errors.peak_uv.append((self.y[peak] - read) * self.uv_per_px)
                    errors.true_px.append(np.array([self.y[peak] - self.y.mean()]))
                    errors.drawn_px.append(np.array([read - self.y.mean()]))
                for step in (-1, 1):
                    foot = peak
                    while 0 < foot + step < len(heights) - 1 and heights[foot + step] < heights[foot]:
                        foot += step
                    self.add_flank(errors, *sorted((peak, foot)))

    def peak_px(self, peak: int, sign: int) -> float | None:
        """The height at which a peak's ink ends, minus half a line."""
        column = int(self.x[peak])
        profile = self.ink[:, column - 1 : column + 2].max(axis=1)[::sign]
        inked = np.flatnonzero(profile > 0.08)
        if not len(inked):
            return None
        top = inked[0]
        edge = top if profile[top] >= 0.95 else top + 1 - min(profile[top] / max(profile[top + 1], 1e-6), 1)
        edge += self.page.style.trace_pt / POINTS_PER_MM * self.page.px_per_mm / 2
        return edge if sign == 1 else len(profile) - edge

    def add_flank(self, errors: Errors, start: int, stop: int) -> None:
        low, high = sorted((self.y[start], self.y[stop]))
        if high - low < 12:
            return
        heights, columns = self.y[start : stop + 1], self.x[start : stop + 1]
        if heights[0] > heights[-1]:
            heights, columns = heights[::-1], columns[::-1]
        for row in range(int(low + 0.25 * (high - low)), int(low + 0.75 * (high - low))):
            true = np.interp(row + 0.5, heights, columns)
            left = int(np.floor(true - 3.5))
            ink = self.ink[row, left : left + 8]
            if len(ink) == 8 and max(ink[0], ink[-1]) <= 0.05 and ink.sum() >= 0.2:
                read = (ink * (np.arange(8) + 0.5 + left)).sum() / ink.sum()
                errors.flank_ms.append((read - true) * self.ms_per_px)


def pulse_sizes(record: EcgRecord, layout: str, dpi: float) -> tuple[np.ndarray, np.ndarray]:
    """Height in mV and width in s of each calibration pulse, from the ink of its upper edge and of its two sides."""
    empty = record.changed("no lead", signal=np.full_like(record.signal, np.nan))
    page = plain_page(empty, layout, dpi, pulses=True)
    ink = ink_of(page, plain_page(empty, layout, dpi))
    scale, gain = page.px_per_mm, page.layout.gain
    heights, widths = [], []
    for x_mm, baseline_mm in page.layout.pulses:
        x, baseline = page.mm_to_px(x_mm, baseline_mm)
        roof = baseline - gain * scale
        top = (
            centroid(ink[int(roof) - 8 : int(roof) + 8, int(x + 1.5 * scale) : int(x + 4 * scale)].sum(1))
            + int(roof)
            - 8
        )
        walls = ink[int(baseline - 8 * scale) : int(baseline - 3 * scale)].sum(0)
        sides = [centroid(walls[int(at) - 6 : int(at) + 6]) + int(at) - 6 for at in (x, x + 5 * scale)]
        heights.append((baseline - top) / scale / gain)
        widths.append((sides[1] - sides[0]) / scale / page.layout.speed)
    return np.array(heights), np.array(widths)


def centroid(weights: np.ndarray) -> float:
    return float((weights * (np.arange(len(weights)) + 0.5)).sum() / weights.sum())


def grid_pitch_error(record: EcgRecord, layout: str, dpi: float) -> float:
    """How far the mean distance of the 5-mm lines is from 5 mm, in px, the worse of both directions."""
    empty = record.changed("no lead", signal=np.full_like(record.signal, np.nan))
    page = plain_page(empty, layout, dpi)
    ideal = 5 * page.px_per_mm
    strength = 255.0 - page.pixels[..., 1]
    worst = 0.0
    for axis in (0, 1):
        profile = np.median(strength, axis=axis)
        bold = np.flatnonzero(profile > 0.6 * np.quantile(profile, 1 - 0.5 / ideal))
        lines = np.array([centroid(profile[g]) + g[0] for g in np.split(bold, np.flatnonzero(np.diff(bold) > 3) + 1)])
        lines = lines[(lines > 3) & (lines < len(profile) - 3)]
        worst = max(worst, abs(np.polyfit(np.round((lines - lines[0]) / ideal), lines, 1)[0] - ideal))
    return float(worst)


def hash_in_new_process(path: str, seed: str) -> str:
    command = [sys.executable, __file__, HASH_FLAG, "--records", path]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def read_record(path: str) -> EcgRecord:
    import wfdb

    record = wfdb.rdrecord(path)
    return EcgRecord(record.p_signal.T, tuple(record.sig_name), record.fs, record_id=Path(path).name)


if __name__ == "__main__":
    main()
