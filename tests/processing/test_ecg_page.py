# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Drawing: pixels compared with matplotlib and the signal, the way to pixels and back, bad input."""

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing import ecg_page
from processing.ecg_features import extract_features
from processing.ecg_page import MODEL_LAYOUTS, EcgPageWarning, PageStyle, measured_lines, render_ecg
from processing.ecg_page_ink import STYLES
from processing.ecg_page_layout import LAYOUTS, page_layout
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgFormatError, EcgLeadError, GemError
from processing.simulator.simulator import simulate_ecg
from tests.helpers.ecg_page_records import beating_record
from tests.helpers.shared_data import shared_path

ROOT = Path(__file__).resolve().parents[2]
PLAIN = PageStyle(grid="none", trace_pt=0.75)


def only(record: EcgRecord, lead: str) -> EcgRecord:
    """The record with NaN in all leads but one."""
    signal = np.full_like(record.signal, np.nan)
    signal[record.leads.index(lead)] = record.lead(lead)
    return replace(record, signal=signal)


def ink_of(page, blank) -> np.ndarray:
    """Share of each pixel that is covered."""
    return (blank.pixels[..., 0].astype(float) - page.pixels[..., 0]) / (255 - page.style.trace[0])


def empty(record: EcgRecord) -> EcgRecord:
    return replace(record, signal=np.full_like(record.signal, np.nan))


def test_gem_page_is_what_matplotlib_draws():
    """The authors' generator draws with matplotlib's Figure; the short cut past it must not change the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    record, plan = beating_record(), page_layout("gem_12x1")
    figure = Figure(figsize=(11, 8.5), dpi=200)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, plan.width), ylim=(0, plan.height))
    for axis, extent in ((axes.xaxis, plan.width), (axes.yaxis, plan.height)):
        axis.set_ticks(np.arange(0, extent, 5))
        axis.set_ticks(np.arange(0, extent, 1), minor=True)
    axes.tick_params(which="both", length=0, labelleft=False, labelbottom=False)
    axes.grid(which="major", linewidth=0.5, color=(1, 0, 0))
    axes.grid(which="minor", linewidth=0.5, color=(0.996, 0.8745, 0.8588))
    grey = (26 / 255,) * 3
    for panel in plan.panels:
        x = panel.x + 25 * np.arange(5000) / 500
        axes.plot(x, plan.height - panel.baseline + 10 * record.lead(panel.lead).astype(float), lw=0.75, color=grey)
    for x, baseline in plan.pulses:
        along, up = np.array(plan.pulse).T
        axes.plot(x + along, plan.height - baseline + 10 * up, lw=1.125, color=grey)
    canvas.draw()
    expected = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    pixels = render_ecg(record, "gem_12x1", labels=False).pixels
    assert pixels.shape == (1700, 2200, 3) and pixels.dtype == np.uint8
    # "25mm/s  10mm/mV" is below 200 mm.
    difference = np.abs(expected - pixels)[:1600]
    assert difference.max() <= 2
    assert (difference.max(axis=-1) > 0).sum() < 300


@pytest.mark.parametrize("layout", ["gem_12x1", "square_12x1", "3x4+1"])
def test_a_slow_wave_is_read_back_from_the_pixels(layout):
    t = np.arange(5000) / 500
    record = EcgRecord(np.tile(0.6 * np.sin(2 * np.pi * 0.4 * t), (12, 1)), STANDARD_LEADS, 500)
    alone = only(record, "V2")
    page = render_ecg(alone, layout, PLAIN, dpi=200, labels=False, pulses=False)
    ink = ink_of(page, render_ecg(empty(record), layout, PLAIN, dpi=200, labels=False, pulses=False))
    rows = np.arange(len(ink)) + 0.5
    columns = np.flatnonzero(ink.sum(axis=0) > 0.5)[12:-12]
    centroid = (ink * rows[:, None]).sum(axis=0)[columns] / ink.sum(axis=0)[columns]
    read = np.array([page.from_px(x + 0.5, y, lead="V2")[1:] for x, y in zip(columns, centroid, strict=True)])
    error_uv = 1000 * (read[:, 1] - 0.6 * np.sin(2 * np.pi * 0.4 * read[:, 0]))
    assert len(columns) > 450
    assert np.sqrt(np.mean(error_uv**2)) < 3
    assert abs(np.polyfit(0.6 * np.sin(2 * np.pi * 0.4 * read[:, 0]), read[:, 1], 1)[0] - 1) < 0.005


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gain", [5, 10])
def test_calibration_pulse_is_1_mv_and_200_ms(layout, gain):
    if layout.startswith("gem") and gain != 10:
        pytest.skip("the authors' page has one gain")
    record = empty(beating_record())
    page = render_ecg(record, layout, PLAIN, dpi=200, gain=gain, labels=False)
    ink = ink_of(page, render_ecg(record, layout, PLAIN, dpi=200, gain=gain, labels=False, pulses=False))
    for foot_x, foot_y in page.layout.pulses:
        x, baseline = page.mm_to_px(foot_x, foot_y)
        roof = baseline - gain * page.px_per_mm
        top = ink[int(roof) - 6 : int(roof) + 7, int(x) + 12 : int(x) + 28].sum(axis=1)
        height = (baseline - int(roof) + 6 - (top * (np.arange(13) + 0.5)).sum() / top.sum()) / page.px_per_mm / gain
        walls = ink[int(baseline) - 30 : int(baseline) - 15].sum(axis=0)
        left, right = (
            (walls[at - 6 : at + 6] * (np.arange(12) + 0.5)).sum() / walls[at - 6 : at + 6].sum() + at - 6
            for at in (int(x), int(x + 5 * page.px_per_mm))
        )
        assert height == pytest.approx(1, abs=0.005)
        assert (right - left) / page.px_per_mm / 25 == pytest.approx(0.2, abs=0.001)


def test_grid_lines_stand_5_mm_apart():
    page = render_ecg(empty(beating_record()), "square_12x1", labels=False, pulses=False)
    # 8 px per mm: every 5-mm line falls on the same place of a pixel.
    middle = page.pixels[100, :, 1].astype(int)
    bold = np.flatnonzero(middle == middle.min())
    assert set(np.diff(bold)) == {40}
    assert abs(bold[1] - 40) <= 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_point_finds_its_way_back(layout):
    page = render_ecg(beating_record(), layout, size=(500, 640), leads=None if "gem" in layout else "cabrera")
    rng = np.random.default_rng(0)
    for lead in STANDARD_LEADS:
        for panel in page.panels_of(lead):
            t, mv = rng.uniform(panel.start, panel.stop), rng.normal()
            x, y = page.to_px(lead, t, mv, panel=panel)
            mm = page.px_to_mm(x, y)
            assert page.mm_to_px(*mm) == pytest.approx((x, y))
            assert mm[0] == pytest.approx(panel.x + (t - panel.start) * 25)
            found = page.from_px(*page.to_px(lead, t, 0.01 * panel.sign, panel=panel))
            assert found[0] == lead
            assert found[1:] == pytest.approx((t, 0.01 * panel.sign), abs=1e-6)
    assert page.from_px(1, 250) is None


def test_points_in_arrays_and_points_not_shown():
    page = render_ecg(beating_record(), "3x4+1", px_per_mm=4)
    x, y = page.to_px("V1", np.array([4.9, 5.0, 7.4, 7.6]), 1.0)
    assert np.isnan(x).tolist() == [True, False, False, True]
    baseline = page.panels_of("V1")[0].baseline
    assert y[1] == pytest.approx((baseline - 10) * 4)
    # Lead II at 1 s is in its column, at 4 s only in the rhythm strip.
    column, strip = page.panels_of("II")
    assert page.to_px("II", 1.0)[1] == pytest.approx(4 * column.baseline)
    assert page.to_px("II", 4.0)[1] == pytest.approx(4 * strip.baseline)
    with pytest.raises(EcgLeadError, match="V9"):
        page.to_px("V9", 1.0)


def test_page_is_the_same_in_another_process():
    record = beating_record(seconds=4)
    pixels = render_ecg(record, "3x4+1", PageStyle.random(np.random.default_rng(7)), px_per_mm=4).pixels
    code = (
        "import hashlib, numpy as np\n"
        "from processing.ecg_page import PageStyle, render_ecg\n"
        "from tests.helpers.ecg_page_records import beating_record\n"
        "style = PageStyle.random(np.random.default_rng(7))\n"
        "pixels = render_ecg(beating_record(seconds=4), '3x4+1', style, px_per_mm=4).pixels\n"
        "print(hashlib.sha256(pixels.tobytes()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "123"}
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert answer.stdout.strip() == hashlib.sha256(pixels.tobytes()).hexdigest(), answer.stderr
    other = PageStyle.random(np.random.default_rng(8))
    assert (render_ecg(record, "3x4+1", other, px_per_mm=4).pixels != pixels).any()


def test_import_is_light():
    code = "import sys, processing.ecg_page, recipes.embedded.page_augment; print('matplotlib' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.stdout.strip() == "False", answer.stderr


def columns_with_ink(page, blank, lead: str, reach_mm: float = 8) -> np.ndarray:
    """Seconds (0.1-s steps) in which a lead's row holds ink."""
    panel = page.panels_of(lead)[0]
    _, y = page.mm_to_px(0, panel.baseline)
    reach = round(reach_mm * page.px_per_mm)
    ink = ink_of(page, blank)[int(y) - reach : int(y) + reach].sum(axis=0)
    edges = page.to_px(lead, np.linspace(panel.start, panel.stop, 101))[0].astype(int)
    return np.flatnonzero([ink[a + 2 : b - 2].max() > 0.5 for a, b in pairwise(edges)]) / 10


def test_gaps_short_records_and_missing_leads_stay_blank():
    record = beating_record(seconds=6)
    signal = record.signal.copy()
    signal[1, 1000:1500] = np.nan
    signal[2, :] = np.nan
    record = EcgRecord(np.delete(signal, 4, axis=0), np.delete(STANDARD_LEADS, 4), 500)
    blank = render_ecg(replace(record, signal=np.full_like(record.signal, np.nan)), labels=False, style=PLAIN)
    page = render_ecg(record, labels=False, style=PLAIN)
    assert columns_with_ink(page, blank, "I").tolist() == pytest.approx(np.arange(60) / 10)
    with_gap = columns_with_ink(page, blank, "II")
    assert with_gap.tolist() == pytest.approx([*(np.arange(20) / 10), *(np.arange(30, 60) / 10)])
    assert not len(columns_with_ink(page, blank, "III"))
    assert not len(columns_with_ink(page, blank, "aVL"))
    labelled = render_ecg(record, style=PLAIN)
    assert columns_with_ink(labelled, blank, "aVL", 3).min() < 1  # "not recorded"


def test_a_halved_gain_is_reported():
    tall = beating_record(height=8)
    page = render_ecg(tall, "12x1", px_per_mm=4)
    assert page.layout.gain == 2.5
    assert page.notes == ("gain reduced from 10 mm/mV to fit",)
    fixed = render_ecg(tall, "12x1", px_per_mm=4, auto_gain=False)
    assert (fixed.layout.gain, fixed.notes) == (10, ())
    # The footer begins at (25, 207) mm.
    assert (
        page.pixels[810:, 260:700] != render_ecg(beating_record(), "12x1", px_per_mm=4).pixels[810:, 260:700]
    ).any()
    assert render_ecg(tall, "gem_12x1", dpi=100).layout.gain == 10
    assert render_ecg(beating_record(), "12x1", px_per_mm=4).layout.gain == 10


def spiked(height, samples, lead=3):
    """A flat record of 5,000 samples whose fourth lead is at `height` mV for so many of them."""
    signal = np.zeros((12, 5000), np.float32)
    signal[lead, 1000 : 1000 + samples] = height
    return EcgRecord(signal, STANDARD_LEADS, 500, record_id="spiked")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("pitches", "samples", "gain"),
    [
        (1.45, 5000, 10),  # a trace may reach one and a half rows away
        (1.55, 5000, 5),
        (1.55, 10, 10),  # and farther for 0.2 % of its time
        (1.55, 11, 5),
        (3.1, 5000, 2.5),
        (9.0, 5000, 2.5),  # no smaller than this
    ],
)
def test_the_gain_is_halved_where_a_trace_has_too_little_room(pitches, samples, gain, sign):
    pitch = render_ecg(spiked(0.1, 1), "12x1", px_per_mm=1).layout.row_pitch
    page = render_ecg(spiked(sign * pitches * pitch / 10, samples, lead=6), "12x1", px_per_mm=1)
    assert page.layout.gain == gain
    assert page.notes == (() if gain == 10 else ("gain reduced from 10 mm/mV to fit",))
    assert render_ecg(spiked(sign * 9.0, 5000), "12x1", px_per_mm=1, auto_gain=False).layout.gain == 10


@pytest.mark.parametrize(("speed", "gain"), [(25, 5), (25, 10), (25, 20), (50, 10)])
def test_a_page_is_to_scale(speed, gain):
    """A second is `speed` mm wide and a millivolt `gain` mm high, upwards."""
    page = render_ecg(
        beating_record(seconds=4, height=0.3), "12x1", speed=speed, gain=gain, px_per_mm=4, auto_gain=False
    )
    (x0, y0), (x1, y1) = (page.to_px("II", *point) for point in ((1.0, 0.0), (2.0, 1.0)))
    assert (x1 - x0, y0 - y1) == pytest.approx((4 * speed, 4 * gain))


def test_footer_says_which_part_is_shown():
    long = beating_record(seconds=30)
    assert render_ecg(long, "12x1", px_per_mm=2, start=12).notes == ("12 to 22 s of 30 s",)
    assert render_ecg(long, "6x2", px_per_mm=2, columns="simultaneous").notes[-1] == "columns simultaneous"
    with pytest.raises(EcgFormatError, match="lasts 30 s"):
        render_ecg(long, start=30)


@pytest.mark.parametrize("layout", ["6x2", "3x4+1", "3x4+3", "square_12x1"])
def test_no_trace_runs_through_a_label(layout):
    record = beating_record(height=1.4)
    bare = render_ecg(record, layout, PLAIN, labels=False)
    blank = render_ecg(empty(record), layout, PLAIN, labels=False, pulses=False)
    page = render_ecg(record, layout, PLAIN)
    assert [label.lead for label in page.labels] == [panel.lead for panel in page.layout.panels]
    for label in page.labels:
        left, top, right, bottom = label.box
        box = np.s_[top:bottom, left:right]
        assert (page.pixels[box] != bare.pixels[box]).any(), f"{label.text} was not written"
        assert (bare.pixels[box] == blank.pixels[box]).all(), f"ink under {label.text}"
        assert label.box[0] >= 0 and label.box[1] >= 0


def test_cabrera_draws_avr_upside_down():
    record = beating_record()
    upright = render_ecg(record, "12x1", px_per_mm=4, leads=("aVR",), labels=False)
    turned = replace(record, signal=-record.signal)
    inverted = render_ecg(turned, "12x1", px_per_mm=4, leads=("-aVR",), labels=False)
    np.testing.assert_array_equal(upright.pixels, inverted.pixels)


def test_sizes():
    record = beating_record()
    page = render_ecg(record, "12x1", size=(336, 448))
    assert np.asarray(page).shape == (336, 448, 3)
    assert page.px_per_mm == 1.6
    letterbox = render_ecg(record, "12x1", size=(400, 280))
    assert (letterbox.px_per_mm, letterbox.origin) == (1.0, (0.0, 95.0))
    assert (letterbox.pixels[:90] == 255).all() and (letterbox.pixels[310:] == 255).all()
    assert render_ecg(record, "12x1", dpi=101.6).pixels.shape == (840, 1120, 3)
    for options in (
        {"size": (9, 9)},
        {"px_per_mm": 0.05},
        {"dpi": 5000},
        {"dpi": 200, "px_per_mm": 8},
        {"dpi": np.nan},
    ):
        with pytest.raises(GemError):
            render_ecg(record, **options)
    with pytest.raises(GemError, match="clinical"):
        render_ecg(record, style="baroque")
    with pytest.raises(GemError):
        PageStyle(grid="dots")


def test_small_pages_get_traces_a_tower_can_see():
    """At 336 px a 0.75-pt trace leaves about half of the ink; 1.5 pt is what one tile needs."""
    record = only(beating_record(), "V6")
    blank = render_ecg(empty(record), size=(336, 336), labels=False, pulses=False)
    page = render_ecg(record, size=(336, 336), labels=False, pulses=False)
    thin = render_ecg(
        record, size=(336, 336), labels=False, pulses=False, style=replace(STYLES["clinical"], trace_pt=0.75)
    )
    darkest, darkest_thin = (ink_of(p, blank).max(axis=0)[40:325].mean() for p in (page, thin))
    assert page.style.trace_pt == 1.5
    assert darkest > 1.3 * darkest_thin


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("style", STYLES)
def test_every_layout_in_every_style(layout, style):
    page = render_ecg(beating_record(), layout, style, px_per_mm=2)
    dark = (page.pixels.max(axis=-1) < 110).mean()
    assert 0.002 < dark < 0.1


@pytest.mark.parametrize(
    "record",
    [
        beating_record(("II",)),
        beating_record(("MLII",)),
        beating_record((*STANDARD_LEADS, "V7", "V8", "V9")),
        beating_record(("I", "V1"), seconds=0.5),
        EcgRecord(np.full((1, 1), 0.3), ("I",), 500),
        EcgRecord(np.full((12, 500), np.nan), STANDARD_LEADS, 500),
        EcgRecord(np.full((1, 500), 1e30), ("I",), 500),
        EcgRecord(np.where(np.arange(5000) % 2, 50, -50)[None], ("I",), 500),
        beating_record(("I",), seconds=1.0, rate=1e6),
        beating_record(("I", "II"), rate=33.3),
    ],
    ids=["one", "unknown", "fifteen", "half second", "one sample", "all NaN", "1e30 mV", "50 mV", "1 MHz", "33.3 Hz"],
)
@pytest.mark.parametrize("layout", ["square_12x1", "3x4+3", "gem_12x1"])
@pytest.mark.filterwarnings("ignore::processing.ecg_page_picture.EcgPageWarning")
def test_odd_records_are_drawn(record, layout):
    page = render_ecg(record, layout, size=(336, 336))
    assert page.pixels.shape == (336, 336, 3)
    assert page.visible_fraction("pad") == 1


def test_the_authors_page_says_what_it_does_not_show():
    with pytest.warns(EcgPageWarning, match="V7"):
        render_ecg(beating_record((*STANDARD_LEADS, "V7")), "gem_12x1", dpi=50)
    with pytest.raises(GemError, match="cabrera"):
        render_ecg(beating_record(), "gem_12x1", leads="cabrera")


def test_dense_samples_are_thinned_without_losing_extremes():
    """Samples that swing between 0 and 1 mV, 500 to a pixel, fill a band of exactly that height."""
    record = EcgRecord((np.arange(200_000) % 2)[None].astype(float), ("I",), 50_000)
    page = render_ecg(record, "12x1", PLAIN, px_per_mm=4, leads=("I",), labels=False)
    (left, right), (bottom, top) = page.to_px("I", np.array([0.5, 3.5]), np.array([0.0, 1.0]))
    ink = 255 - page.pixels[:, int(left) : int(right), 0].astype(float)
    assert (ink[int(top) + 1 : int(bottom) - 1] > 200).all()
    assert ink[: int(top) - 1].max() == 0 and ink[int(bottom) + 2 : 800].max() == 0


def test_nothing_of_the_metadata_reaches_the_page():
    record = beating_record()
    private = replace(
        record,
        record_id="Jane Doe",
        source="jane_doe.xml",
        start_time=datetime(2020, 1, 2),
        metadata={"name": "Jane Doe"},
        report="Jane Doe: sinus rhythm",
    )
    np.testing.assert_array_equal(render_ecg(record, px_per_mm=3).pixels, render_ecg(private, px_per_mm=3).pixels)
    with_header = render_ecg(record, px_per_mm=3, header=["Study 7", "resting"])
    assert (with_header.pixels[:36, 75:200].max(axis=-1) < 110).any()


def test_save(tmp_path):
    page = render_ecg(beating_record(), "gem_12x1")
    with Image.open(page.save(tmp_path / "page.png")) as png:
        assert png.info["dpi"] == pytest.approx((200, 200), abs=0.01)
        np.testing.assert_array_equal(np.asarray(png), page.pixels)
    with Image.open(page.save(str(tmp_path / "page.JPG"))) as jpeg:
        assert jpeg.info["dpi"] == pytest.approx((200, 200), abs=1)
        assert np.abs(np.asarray(jpeg).astype(int) - page.pixels).mean() < 3
    pdf = page.save(tmp_path / "page.pdf").read_bytes()
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", pdf)
    assert pdf.startswith(b"%PDF") and [float(side) / 72 * 25.4 for side in box.groups()] == pytest.approx(
        [page.layout.width, page.layout.height], abs=0.2
    )
    with pytest.raises(GemError, match="bmp"):
        page.save(tmp_path / "page.bmp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.JPG", "page.pdf", "page.png"]


def test_a_lead_outside_of_its_panel_is_not_called_unrecorded(monkeypatch):
    written = []
    monkeypatch.setattr(ecg_page, "draw_text", lambda pixels, text, *args, **kwargs: written.append(text))
    signal = beating_record().signal.copy()
    signal[6, 2500:5000] = np.nan  # V1, shown from 5 to 7.5 s
    signal[7] = np.nan
    render_ecg(EcgRecord(signal, STANDARD_LEADS, 500), "3x4", px_per_mm=2)
    assert written.count("not recorded") == 1 and written.count("recorded, but not from 5 to 7.5 s") == 1
    written.clear()
    page = render_ecg(beating_record(seconds=5), "3x4+1", px_per_mm=2)
    assert not any("recorded" in text for text in written)
    assert page.notes == ("short record: its last seconds are drawn in several columns",)


def test_measurements_stand_on_clinical_pages_on_request_and_never_on_those_of_models():
    ecg = simulate_ecg(heart_rate=70, seed=2).record.changed((), metadata={"high_pass_hz": 0.05, "low_pass_hz": 150})
    measured = extract_features(ecg)
    lines = measured_lines(measured, ecg)
    assert lines[0].startswith(f"Rate {measured.heart_rate:.0f} bpm    PR {measured.pr_interval:.0f} ms")
    assert "not confirmed" in lines[1] and lines[2].endswith("0.05 to 150 Hz")
    nothing = replace(measured, pr_interval=np.nan)
    assert "PR - ms" in measured_lines(nothing, ecg)[0] and "nan" not in measured_lines(nothing, ecg)[0]
    plain, page = (render_ecg(ecg, "3x4+1", px_per_mm=3, measured=given) for given in (None, measured))
    assert page.layout.height == plain.layout.height + 15
    assert (page.pixels[:45, 75:600].max(axis=-1) < 110).any()
    for layout in MODEL_LAYOUTS:
        with pytest.raises(GemError, match="a page that models see"):
            render_ecg(ecg, layout, px_per_mm=3, measured=measured)


def test_a_real_record(tmp_path):
    wfdb = pytest.importorskip("wfdb")
    path = shared_path("data/ptbxl_wfdb/records500/00000/00001_hr.hea").with_suffix("")
    source = wfdb.rdrecord(str(path))
    record = EcgRecord(source.p_signal.T, tuple(source.sig_name), source.fs)
    page = render_ecg(record, "3x4+1", px_per_mm=4)
    # The ink of V2 follows its samples: the darkest pixel near each sample's place is dark.
    t = np.arange(5.1, 7.4, 0.01)
    x, y = page.to_px("V2", t, np.interp(t, np.arange(5000) / 500, record.lead("V2")))
    darkest = [page.pixels[int(b) - 1 : int(b) + 2, int(a)].max(axis=-1).min() for a, b in zip(x, y, strict=True)]
    assert np.mean(np.array(darkest) < 140) > 0.95
