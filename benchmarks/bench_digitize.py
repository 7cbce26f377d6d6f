# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Draws records on pages, digitises the pictures, and measures the errors: `python benchmarks/bench_digitize.py`.

- SNR: 10 log10(sum x^2 / sum (x - y)^2) in dB over all that a page shows of a record, with x the record as drawn, less each
  lead's mean, and y what was digitised, shifted lead by lead by up to 0.2 s and by the best offset; what was not recovered
  counts as 0 mV. The formula is that of the PhysioNet Challenge 2024; shift and offset are those of its successor on Kaggle.
  The table gives the median and the 10th percentile of the records that were read.
- right: layout, leads, speed and gain as drawn, of the records that were read.
- intervals: what `extract_features` measures in the digitised record against the record itself, as drawn (masked alike).
- refused: pages of ECGs that were declined. junk: pictures without an ECG that were read.

Records are of PTB-XL's fold 9. The steps were adjusted on folds 1 to 8, but some were corrected after pages of fold 9 had failed: the
figures are not those of unseen pages.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from scipy.stats import spearmanr

from benchmarks.junk_pictures import KINDS as JUNK
from benchmarks.other_renderers import OTHERS
from benchmarks.ptbxl_rows import RATE, read_rows
from processing.ecg_features import extract_features
from processing.ecg_page import EcgPage, render_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import GemError
from processing.photo import digitize_ecg
from recipes.embedded.page_augment import ScanStyle, augment_page

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
LAYOUTS = ("3x4+1", "3x4", "3x4+3", "6x2", "12x1", "square_12x1", "gem_12x1", "gem_6x2")
SCAN = ScanStyle(perspective=0.0, shadow=0.05, creases=1, rotation=2.0, jpeg_loss=30, handwriting=1, crop=0.0)
PHONE = ScanStyle()
MAX_SHIFT_S = 0.2
INTERVALS = {"heart_rate": "bpm", "pr_interval": "ms", "qrs_duration": "ms", "qt_interval": "ms"}


@dataclass(frozen=True)
class Page:
    """A drawn page, and what it shows: `truth` is `(12, samples)` in mV, NaN where a lead is not drawn."""

    name: str
    picture: Image.Image
    truth: np.ndarray
    layout: str
    gain: float = 10.0


@dataclass
class Group:
    """The results for pages of one kind."""

    snr: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    off: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in INTERVALS})

    def line(self, name: str) -> str:
        pages = len(self.snr) + len(self.refused)
        if not self.snr:
            return f"| {name} | {pages} | - | - | - | {len(self.refused)} | | | | | |"
        off = [np.array(values) for values in self.off.values()]
        medians = [f"{np.median(np.abs(values)):.1f}" if len(values) else "-" for values in off]
        close = 100 * np.mean(np.abs(off[0]) <= 2) if len(off[0]) else float("nan")
        return (
            f"| {name} | {pages} | {np.median(self.snr):.1f} | {np.quantile(self.snr, 0.1):.1f} "
            f"| {100 * np.mean(self.right):.1f} % | {len(self.refused)} | {' | '.join(medians)} "
            f"| {close:.0f} % | {np.median(self.seconds):.1f} |"
        )


def snr_db(truth: np.ndarray, found: np.ndarray) -> float:
    """See the top of this file. Both `(leads, samples)` at 500 Hz; NaN in `truth` where a lead is not drawn."""
    power = error = 0.0
    reach = int(MAX_SHIFT_S * RATE)
    for x, y in zip(truth, found, strict=True):
        drawn = np.flatnonzero(np.isfinite(x))
        if not len(drawn):
            continue
        x = x[drawn] - x[drawn].mean()
        padded = np.pad(y, reach, constant_values=np.nan)
        least = np.inf
        for shift in range(-reach, reach + 1):
            moved = padded[drawn + reach + shift]
            seen = np.isfinite(moved)
            if seen.mean() < 0.5:
                continue
            rest = x[seen] - moved[seen]
            least = min(least, float(((rest - rest.mean()) ** 2).sum() + (x[~seen] ** 2).sum()))
        power += float((x**2).sum())
        error += least if np.isfinite(least) else float((x**2).sum())
    return 10 * np.log10(power / max(error, 1e-12))


def drawn_part(record: EcgRecord, page: EcgPage) -> np.ndarray:
    """`(12, samples)` in mV: NaN where the page does not show a lead."""
    shown = np.full((len(STANDARD_LEADS), record.num_samples), np.nan)
    for panel in page.layout.panels:
        if (found := page.samples_of(panel)) is not None:
            first, samples = found
            shown[STANDARD_LEADS.index(panel.lead), first : first + len(samples)] = samples
    return shown


def twelve(record: EcgRecord, length: int) -> np.ndarray:
    """The standard leads, cut or filled with NaN to `length`."""
    rows = np.full((len(STANDARD_LEADS), length), np.nan)
    for row, lead in zip(rows, STANDARD_LEADS, strict=True):
        if lead in record.leads:
            samples = record.lead(lead)[:length]
            row[: len(samples)] = samples
    return rows


def measure(group: Group, shown: Page) -> None:
    """Digitises one page and notes the result."""
    name, truth = shown.name, shown.truth
    started = time.process_time()
    try:
        found = digitize_ecg(shown.picture, name=name)
    except GemError as error:
        group.refused.append(str(error))
        return
    group.seconds.append(time.process_time() - started)
    rows = twelve(found, truth.shape[1])
    group.snr.append(snr_db(truth, rows))
    page = found.metadata["page"]
    group.confidence.append(float(np.mean(list(page.confidence.values()))))
    same_leads = {lead for lead, row in zip(STANDARD_LEADS, truth, strict=True) if np.isfinite(row).any()} == set(
        found.leads
    )
    right = page.layout == shown.layout and same_leads and (page.scale.speed, page.scale.gain) == (25, shown.gain)
    # A lead that was taken for another, or a column of other seconds, has more error than signal.
    worst = min(snr_db(own[None], seen[None]) for own, seen in zip(truth, rows, strict=True) if np.isfinite(own).any())
    group.right.append(bool(right and worst > 0))
    if not group.right[-1] or group.snr[-1] < 10:
        group.wrong.append(f"{name}: {group.snr[-1]:.1f} dB, {found.history[0]}")
    _compare_intervals(group, truth, found)


def _compare_intervals(group: Group, truth: np.ndarray, found: EcgRecord) -> None:
    keep = np.isfinite(truth).any(axis=1)
    leads = tuple(lead for lead, kept in zip(STANDARD_LEADS, keep, strict=True) if kept)
    true = extract_features(EcgRecord(truth[keep].astype(np.float32), leads, float(RATE)))
    seen = extract_features(found)
    for name, errors in group.off.items():
        a, b = getattr(true, name), getattr(seen, name)
        if np.isfinite(a) and np.isfinite(b):
            errors.append(float(b - a))


def own_pages(records: list[EcgRecord], dpi: float, style: ScanStyle | None) -> Iterator[Page]:
    """Every record in every layout; the pages that models see are made by computers and are not photographed."""
    for number, record in enumerate(records):
        for layout in LAYOUTS if style is None else LAYOUTS[:5]:
            page = render_ecg(record, layout=layout, dpi=dpi)
            picture = page.to_pil()
            if style is not None:
                picture = Image.fromarray(augment_page(page, np.random.default_rng(number), style))
            plain = layout.removeprefix("gem_").removeprefix("square_")
            yield Page(f"{record.record_id} {layout}", picture, drawn_part(record, page), plain, page.layout.gain)


def others_pages(records: list[EcgRecord], renderer: str) -> Iterator[Page]:
    """Every record in the layouts of somebody else's package."""
    for record in records:
        for name, picture, truth, layout in OTHERS[renderer](record):
            yield Page(name, picture, truth, layout)


def screen(page: Image.Image) -> Image.Image:
    """The page on a screen, photographed: each pixel is three stripes, which beat with the camera's own pixels (moire)."""
    shown = page.resize((page.width * 2 // 3, page.height * 2 // 3), Image.Resampling.LANCZOS)
    stripes = np.kron(np.asarray(shown, np.float32), np.ones((3, 3, 1), np.float32))
    stripes *= 0.25 + 0.75 * np.tile(np.eye(3, dtype=np.float32), (1, shown.width, 1))
    stripes[::3] *= 0.5  # the gap between the rows of pixels
    seen = Image.fromarray(np.clip(2.2 * stripes, 0, 255).astype(np.uint8))
    seen = seen.rotate(1.7, Image.Resampling.BILINEAR, expand=True, fillcolor=(30, 30, 30))
    return seen.resize((round(seen.width * 0.43), round(seen.height * 0.43)), Image.Resampling.BILINEAR)


def spoiled_pages(record: EcgRecord) -> Iterator[tuple[str, Image.Image]]:
    """Pages that lie wrong or show too little: read or declined, but none may get a wrong calibration with high confidence."""
    page = render_ecg(record, layout="3x4+1", dpi=200).to_pil()
    yield "turned by 90 degrees", page.rotate(90, expand=True)
    yield "upside down", page.rotate(180)
    yield "mirrored", ImageOps.mirror(page)
    yield "blurred", page.filter(ImageFilter.GaussianBlur(6))
    yield "200 px", page.resize((200, 96))
    yield "photographed from a screen", screen(page)
    yield "half cut off", page.crop((0, 0, page.width, page.height // 2))
    two = Image.new("RGB", (page.width, 2 * page.height), "white")
    two.paste(page, (0, 0))
    two.paste(page, (0, page.height))
    yield "two pages", two


def records_of(fold: int, number: int) -> list[EcgRecord]:
    rows = (row for row in read_rows(SHARED / "data" / "ptbxl") if row.fold == fold)
    found = []
    for row in rows:
        found.append(EcgRecord(row.signal, STANDARD_LEADS, float(RATE), record_id=str(row.ecg_id)))
        if len(found) == number:
            break
    return found


HEAD = (
    "| pages | n | SNR dB | 10 % below | right | refused | HR bpm | PR ms | QRS ms | QT ms | HR within 2 | CPU s |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10, help="records a group; each is drawn in every layout")
    parser.add_argument("--junk", type=int, default=2, help="junk pictures of every kind")
    parser.add_argument("--fold", type=int, default=9)
    parser.add_argument("--groups", nargs="*", help="names of groups, or parts of them")
    parser.add_argument("--verbose", action="store_true", help="name what was refused or wrong")
    options = parser.parse_args(arguments)
    records = records_of(options.fold, options.records)
    groups: dict[str, Callable[[], Iterator[Page]]] = {
        "ours, clean, 200 dpi": lambda: own_pages(records, 200, None),
        "ours, clean, 100 dpi": lambda: own_pages(records, 100, None),
        "ours, scanned, 200 dpi": lambda: own_pages(records, 200, SCAN),
        "ours, photographed, 200 dpi": lambda: own_pages(records, 200, PHONE),
    }
    for renderer in OTHERS:
        groups[f"by {renderer}"] = partial(others_pages, records, renderer)
    print(HEAD)
    snr: list[float] = []
    confidence: list[float] = []
    for name, pages in groups.items():
        if options.groups and not any(part in name for part in options.groups):
            continue
        group = Group()
        for page in pages():
            measure(group, page)
        print(group.line(name), flush=True)
        if options.verbose:
            for text in (*group.refused, *group.wrong):
                print("   ", text)
        snr += group.snr
        confidence += group.confidence
    if len(snr) > 2:
        rank = float(spearmanr(confidence, snr).statistic)
        print(f"rank correlation of a page's mean confidence and its SNR (Spearman): {rank:.2f} over {len(snr)} pages")
    if not options.groups or "junk" in options.groups:
        _report_others(records[0], options.junk)
    return 0


def _report_others(record: EcgRecord, junk: int) -> None:
    """Prints how many junk pictures were read, and what came of spoiled pages."""
    generator = np.random.default_rng(0)
    read = [kind for kind, draw in JUNK.items() for _ in range(junk) if _digitized(draw(generator)) is not None]
    print(f"junk pictures read: {len(read)} of {junk * len(JUNK)} {read}")
    for name, picture in spoiled_pages(record):
        found = _digitized(picture)
        print(f"{name}: {'refused' if found is None else found.history}")


def _digitized(picture: Image.Image) -> EcgRecord | None:
    try:
        return digitize_ecg(picture)
    except GemError:
        return None


if __name__ == "__main__":
    sys.exit(main())
