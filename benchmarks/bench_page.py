# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Time and memory of drawing a page: `OMP_NUM_THREADS=1 python benchmarks/bench_page.py`.

CPU milliseconds (minimum of N runs, single-threaded) from an `EcgRecord` to the uint8 array, with a cached grid as from the second page
on, compared with drawing the same page through a matplotlib `Figure` in the same run. Encoding to PNG or JPEG is measured separately.
Peak memory is that of a fresh process that draws a page.
"""

import argparse
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import AutoProcessor

from modeling_gem import GemProcessor, check_ecg, default_checkpoint
from processing.ecg_page import render_ecg
from processing.ecg_page_layout import LAYOUTS, page_layout
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.evidence.highlight import highlight
from processing.feature_extraction_gem import GemFeatureExtractor
from processing.image_processing_gem import GemImageProcessor
from recipes.embedded.page_augment import augment_page

SHARED = Path(os.environ.get("GEM_SHARED", Path(__file__).resolve().parents[2] / "shared"))
MEMORY_FLAG = "--memory-of-one-page"


def options_of_record(description: str, runs: int) -> argparse.ArgumentParser:
    """A parser with `--record` and `--runs`, as the benchmarks of pages have them."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--record",
        default=str(SHARED / "data/ptbxl_wfdb/records500/00000/00001_hr"),
        help="a WFDB record; a synthetic one if it does not exist (default: PTB-XL 1 of the shared data)",
    )
    parser.add_argument("--runs", type=int, default=runs, help=f"runs of each, the fastest counts (default: {runs})")
    return parser


def main() -> None:
    parser = options_of_record(__doc__ or "", runs=15)
    parser.add_argument(MEMORY_FLAG, action="store_true", help="only draw one gem_12x1 page and print the peak MiB")
    options = parser.parse_args()
    if options.memory_of_one_page:
        render_ecg(synthetic_record(), "gem_12x1")
        # Not `getrusage`: its maximum includes the parent's memory at the fork.
        status = Path("/proc/self/status").read_text()
        print(f"{int(status.split('VmHWM:')[1].split()[0]) / 1024:.0f}")
        return
    record = read_record(options.record)
    print(f"{record!r}; CPU ms, minimum of {options.runs}")

    def cpu_ms(task: Callable[[], object], runs: int = options.runs) -> float:
        return measure(task, runs)

    figure_ms = cpu_ms(lambda: figure_page(record), runs=3)
    page_ms = cpu_ms(lambda: render_ecg(record, "gem_12x1"))
    report("gem_12x1, 2200 x 1700, matplotlib Figure", figure_ms)
    report("gem_12x1, 2200 x 1700, render_ecg", page_ms, f"{figure_ms / page_ms:.0f}x the Figure's speed; goal 40")
    small_ms = cpu_ms(lambda: render_ecg(record, "gem_12x1", size=(336, 434)))
    report("gem_12x1 straight to 434 x 336", small_ms, "goal 10")
    for side in (336, 672):
        report(f"square_12x1 at {side} x {side}", cpu_ms(lambda side=side: render_ecg(record, size=(side, side))))
    square = Image.fromarray(np.asarray(render_ecg(record, size=(336, 336))))
    pictures = GemImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    report("that page to pixel_values", cpu_ms(lambda: pictures(square, return_tensors="pt")))
    signals = GemFeatureExtractor()
    # A record that is new each time: what is found out about it is kept with it.
    report("the record to ecg_values", cpu_ms(lambda: signals(replace(record), return_tensors="pt")))
    report("whether it shows heartbeats", cpu_ms(lambda: check_ecg(replace(record))))
    processor = AutoProcessor.from_pretrained(default_checkpoint())
    report("question, page and signal to tensors", cpu_ms(lambda: sample(processor, replace(record))))
    for name in LAYOUTS:
        page = render_ecg(record, name)
        height, width = page.pixels.shape[:2]
        report(f"{name}, {width} x {height}", cpu_ms(lambda name=name: render_ecg(record, name)))

    page = render_ecg(record, "gem_12x1")
    picture = page.to_pil()
    for label, kind, settings in (
        ("PNG", "PNG", {}),
        ("PNG, compress_level=1", "PNG", {"compress_level": 1}),
        ("JPEG, quality 95", "JPEG", {"quality": 95, "subsampling": 0}),
    ):
        report(f"encode gem_12x1 as {label}", cpu_ms(lambda k=kind, s=settings: picture.save(io.BytesIO(), k, **s), 3))
    report("highlight, 2 spans, gem_12x1", cpu_ms(lambda: highlight(page, [("II", 1, 2, "a"), ("V2", 3, 4, "b")]), 5))
    report("augment_page, gem_12x1", cpu_ms(lambda: augment_page(page, np.random.default_rng(0)), 5))
    small = render_ecg(record, size=(672, 672))
    report("augment_page, square_12x1 at 672", cpu_ms(lambda: augment_page(small, np.random.default_rng(0))))

    command = [sys.executable, __file__, MEMORY_FLAG]
    started = time.perf_counter()
    peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    seconds = time.perf_counter() - started
    print(f"{'fresh process, one gem_12x1 page':44s} {peak:>7s} MiB peak, goal 150; {seconds:.1f} s wall")


def sample(processor: GemProcessor, record: EcgRecord) -> object:
    """All that the model is given about a record."""
    chat = processor.build_conversation(record)
    return processor.apply_chat_template(
        [chat], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def report(label: str, milliseconds: float, note: str = "") -> None:
    print(f"{label:44s} {milliseconds:7.1f} ms  {note}".rstrip())


def measure(task: Callable[[], object], runs: int) -> float:
    """CPU ms of the fastest run, after one that is not counted."""
    task()
    fastest = float("inf")
    for _ in range(runs):
        started = time.process_time()
        task()
        fastest = min(fastest, time.process_time() - started)
    return 1000 * fastest


def read_record(path: str) -> EcgRecord:
    if not Path(f"{path}.hea").exists():
        return synthetic_record()
    import wfdb

    record = wfdb.rdrecord(path)
    return EcgRecord(record.p_signal.T, tuple(record.sig_name), record.fs, record_id=Path(path).name)


def synthetic_record() -> EcgRecord:
    t = np.arange(5000) / 500
    beats = sum(np.exp(-(((t - beat) / 0.012) ** 2)) for beat in np.arange(0.4, 10, 0.8))
    noise = np.random.default_rng(0).normal(0, 0.01, (12, 5000))
    return EcgRecord(np.linspace(-1, 1.5, 12)[:, None] * beats + noise, STANDARD_LEADS, 500, record_id="synthetic")


def figure_page(record: EcgRecord) -> np.ndarray:
    """The gem_12x1 page as one draws it with matplotlib's ordinary means."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MultipleLocator

    plan = page_layout("gem_12x1")
    figure = Figure(figsize=(11, 8.5), dpi=200)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, plan.width), ylim=(plan.height, 0))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(5))
        axis.set_minor_locator(MultipleLocator(1))
    axes.grid(which="major", linewidth=0.5, color=(1, 0, 0))
    axes.grid(which="minor", linewidth=0.5, color=(0.996, 0.8745, 0.8588))
    seconds = np.arange(record.num_samples) / record.sampling_rate
    for panel in plan.panels:
        axes.plot(panel.x + 25 * seconds, panel.baseline - 10 * record.lead(panel.lead), lw=0.75, color="0.1")
        axes.text(panel.label_x, panel.label_y, panel.lead, fontsize=11)
    for x, baseline in plan.pulses:
        along, up = zip(*plan.pulse, strict=True)
        axes.plot(x + np.array(along), baseline - 10 * np.array(up), lw=1.125, color="0.1")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


if __name__ == "__main__":
    main()
