# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pages as other programs draw them: two columns of ten seconds, names below the traces or far above them, no pulses."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgQualityError

pytest.importorskip("cv2", reason='pip install "gem-ecg[photo]" to run this test')
from processing.photo import digitize_ecg
from processing.photo.confidence import LEAST_CONFIDENCE, judge
from processing.photo.grid import find_grid
from processing.photo.layout import PageOrder, Stretch
from processing.photo.pulses import Pulse, find_pulses, pulses_in_traces, where_pulses_stand
from processing.photo.traces import Trace, alike_in_blocks, along_curves

SAMPLES = Path(__file__).resolve().parents[3] / "processing" / "samples"
MARGIN_MM = 10.0


def drawn(record: EcgRecord, *, pitch: float, gap: float, name_at: float, seconds: float = 10.0) -> Image.Image:
    """Six rows and two columns of the same seconds on a red grid, 25 mm/s and 10 mm/mV, 127 dpi.

    Args:
        record: at any rate.
        pitch: mm from row to row.
        gap: mm between the columns; with 0 the columns touch.
        name_at: mm from a baseline down to the foot of its name.
        seconds: of a column.
    """
    size = 2 * MARGIN_MM + 2 * 25 * seconds + gap, 2 * MARGIN_MM + 6 * pitch
    figure, axes = paper(*size)
    for number, lead in enumerate(STANDARD_LEADS):
        column, row = divmod(number, 6)
        left, zero = MARGIN_MM + column * (25 * seconds + gap), MARGIN_MM + (row + 0.5) * pitch
        samples = np.resize(record.lead(lead), round(seconds * record.sampling_rate))
        x = left + 25 * np.arange(len(samples)) / record.sampling_rate
        axes.plot(x, zero - 10 * samples, color="#0000b0", linewidth=0.6)
        axes.text(left + 1.5, zero + name_at, lead, fontsize=9)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=127)
    return Image.open(stream).convert("RGB")


def strips(record: EcgRecord, rows: int, leads: tuple[str, ...], seconds: float) -> Image.Image:
    """Columns that continue each other, `seconds` each, with a calibration pulse before the first; 200 dpi."""
    pitch, count = 40, round(seconds * record.sampling_rate)
    size = 30 + 25 * seconds * len(leads) / rows, 30 + rows * pitch
    figure, axes = paper(*size)
    for number, lead in enumerate(leads):
        column, row = divmod(number, rows)
        left, zero = 20 + column * 25 * seconds, 15 + (row + 0.5) * pitch
        samples = record.lead(lead)[column * count : (column + 1) * count]
        axes.plot(left + 25 * np.arange(len(samples)) / record.sampling_rate, zero - 10 * samples, "k", linewidth=0.7)
        axes.text(left + 2, zero - 13, lead, fontsize=9)
        if column == 0:
            axes.plot([11, 12, 12, 17, 17, 18], zero - np.array([0, 0, 10, 10, 0, 0]), "k", linewidth=0.7)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=200)
    return Image.open(stream).convert("RGB")


def paper(width: float, height: float):
    """A figure of red millimetre paper, and its axes in mm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 25.4, height / 25.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for step, color in ((1, "#ffc0c0"), (5, "#ff6060")):
        axes.vlines(np.arange(0, width, step), 0, height, color, linewidth=0.4)
        axes.hlines(np.arange(0, height, step), 0, width, color, linewidth=0.4)
    return figure, axes


def likeness(record: EcgRecord, found: EcgRecord, lead: str) -> float:
    """Pearson's correlation where the page shows the lead."""
    samples = found.lead(lead)[: record.num_samples]
    seen = np.isfinite(samples)
    return (
        float(np.corrcoef(record.lead(lead)[: len(samples)][seen], samples[seen])[0, 1]) if seen.mean() > 0.9 else 0.0
    )


@pytest.mark.parametrize("name", ["normal", "atrial_fibrillation", "inferior_infarction"])
@pytest.mark.parametrize(
    ("pitch", "gap", "name_at"),
    [(30.0, 0.0, 5.0), (30.0, 0.0, 2.8), (48.0, 6.0, -21.0)],
    ids=["below", "touching", "far above"],
)
def test_two_columns_of_the_same_ten_seconds_are_read(name, pitch, gap, name_at):
    record = load_ecg(SAMPLES / f"{name}.hea").resample(500)
    found = digitize_ecg(drawn(record, pitch=pitch, gap=gap, name_at=name_at))
    page = found.metadata["page"]
    assert page.layout == "6x2" and page.simultaneous and found.leads == STANDARD_LEADS
    assert page.scale.gain_from == "convention" and found.evidence["I"].gain == "assumed"
    assert found.duration == pytest.approx(10, abs=0.1)
    assert min(likeness(record, found, lead) for lead in found.leads) > 0.9


@pytest.mark.parametrize(
    ("rows", "columns", "leads"),
    [(2, 6, STANDARD_LEADS), (1, 1, ("II",)), (1, 1, ("V1",)), (3, 1, ("II", "V1", "V5"))],
)
def test_strips_and_six_columns_are_read(rows, columns, leads):
    record = load_ecg(SAMPLES / "normal.hea").resample(500)
    seconds = 10 / columns
    page = strips(record, rows, leads, seconds)
    found = digitize_ecg(page)
    assert found.metadata["page"].layout == f"{rows}x{columns}" and found.leads == leads
    assert found.duration == pytest.approx(10, abs=0.1)
    for lead in leads:
        samples = found.lead(lead)
        seen = np.isfinite(samples)
        assert np.corrcoef(record.lead(lead)[: len(samples)][seen], samples[seen])[0, 1] > 0.8


def test_a_page_that_is_too_long_is_declined_instead_of_cut():
    record = load_ecg(SAMPLES / "normal.hea").resample(500)
    with pytest.raises(EcgQualityError, match="longer than the 600 mm that are read"):
        digitize_ecg(drawn(record, pitch=30.0, gap=0.0, name_at=5.0, seconds=13.0))


def test_a_lone_box_amid_traces_is_no_pulse():
    block = (240, 4240)
    amid, above, first = Pulse(2000, 2040, 500, 545), Pulse(2004, 2044, 900, 945), Pulse(180, 220, 500, 580)
    assert where_pulses_stand([amid, first], [block]) == [first]
    assert where_pulses_stand([amid, above], [block]) == [amid, above]


def test_pulses_stand_above_each_other_however_many_boxes_traces_make():
    ink = np.zeros((900, 1600), np.float32)

    def box(left, top, width, height):
        ink[top : top + height, left - 1 : left + 2] = 1
        ink[top : top + height, left + width - 1 : left + width + 2] = 1
        ink[top - 1 : top + 2, left - 1 : left + width + 2] = 1

    for row in range(3):
        box(160, 120 + 240 * row, 40, 80)
    for number in range(7):
        box(350 + 130 * number, 180 + 20 * number, 80, 20)
    assert [(pulse.left, round(pulse.height_mm)) for pulse in find_pulses(ink)] == [
        (pytest.approx(160, abs=1), 10)
    ] * 3


@pytest.mark.parametrize(("top", "gains"), [(10.0, 3), (9.7, 3), (7.0, 0), (0.0, 0)])
def test_rows_that_all_begin_at_the_height_of_a_gain_begin_with_a_pulse(top, gains):
    def row(baseline):
        height = baseline - np.concatenate([np.full(81, top * 8), 20 * np.hanning(60), np.zeros(1860)])
        edge = height[1::2]
        return Trace(300, baseline, edge, edge, height, 1.0, np.ones(1000), np.zeros(1000))

    found = pulses_in_traces([row(400.0 + 200 * number) for number in range(3)])
    assert len(found) == gains
    assert all(
        pulse.width_mm == pytest.approx(5, abs=0.3) and pulse.height_mm == pytest.approx(top) for pulse in found
    )


def test_a_row_that_is_nowhere_flat_is_found_beside_its_neighbours():
    full = [100.0, 300.0, 500.0]
    assert alike_in_blocks([full, [101.0, 499.0]]) == [full, [101.0, 300.0, 499.0]]
    assert alike_in_blocks([full, [200.0, 499.0]]) == [full, [200.0, 499.0]]  # rows of another kind
    assert alike_in_blocks([full, []]) == [full, []]


def test_a_row_without_ink_has_no_stroke():
    none = np.full(100, np.nan)
    empty = Trace(0, 50.0, none, none, np.full(201, np.nan), 0.0, np.zeros(100), np.zeros(100))
    assert not along_curves([[empty]], (100, 100)).any()


def test_leads_that_agree_in_the_first_half_only_are_not_trusted():
    beats = np.tile(np.hanning(500) ** 8, 20)
    half = np.where(np.arange(len(beats)) < len(beats) // 2, 1.0, 0.0)
    height = np.sin(np.arange(7))
    trace = Trace(0, 0.0, height[1::2], height[1::2], height, 1.0, np.ones(3), np.zeros(3))
    stretches = [Stretch(lead, 1, trace, -8, 12, False) for lead in ("I", "II", "III")]
    order = PageOrder("3x1", tuple(stretches), (), (3, 3))
    right, _ = judge(stretches, [(0, beats), (0, 2 * beats), (0, beats)], order)
    wrong, doubts = judge(stretches, [(0, beats), (0, 2 * half * beats), (0, beats)], order)
    assert min(right.values()) > 0.9 and min(wrong.values()) < LEAST_CONFIDENCE
    assert "contradict each other" in doubts[0]


@pytest.mark.parametrize("height", [28.0, 30.0, 34.5])
@pytest.mark.parametrize("gap", [7.7, 11.0, 13.0])
def test_leads_with_grids_of_their_own_do_not_change_the_millimetre(height, gap):
    scale = 5.8
    size = round(scale * (6 * (height + gap) + 10)), round(scale * 330)
    lines = np.zeros(size, np.float32)
    y, x = ((np.arange(length) + 0.5) / scale for length in size)
    for left in (5.0, 168.0):
        for row in range(6):
            top = 5.0 + row * (height + gap)
            down, across = y[:, None] - top, x[None] - left
            inside = (down >= 0) & (down <= height) & (across >= 0) & (across <= 150)
            for step, dark in ((1.0, 0.08), (5.0, 0.25)):
                level, upright = (
                    np.abs((down / step + 0.5) % 1 - 0.5) * step,
                    np.abs((across / step + 0.5) % 1 - 0.5) * step,
                )
                lines = np.maximum(
                    lines, np.where(inside & (np.minimum(level, upright) < 0.09), dark, 0).astype(np.float32)
                )
    found = find_grid(lines)
    assert found is not None and found.px_per_mm == pytest.approx((scale, scale), rel=0.004)
