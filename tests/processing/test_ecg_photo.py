# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Photos of ECG pages are distinguished from pictures of other things."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from processing.ecg_page import render_ecg
from processing.ecg_photo import check_ecg_page, load_page_picture, shows_ecg_page
from processing.ecg_readers import load_ecg
from processing.errors_gem import EcgFormatError, EcgQualityError
from recipes.embedded.page_augment import augment_page
from tests.helpers.shared_data import shared_path

SAMPLES = Path(__file__).resolve().parents[2] / "processing" / "samples"


@pytest.mark.parametrize("layout", ["3x4+1", "12x1", "3x4", "gem_12x1"])
def test_pages_drawn_photographed_and_on_a_table(layout):
    page = render_ecg(load_ecg(SAMPLES / "atrial_fibrillation.hea"), layout=layout, px_per_mm=4)
    photo = Image.fromarray(augment_page(page, np.random.default_rng(3)))
    table = Image.new("RGB", (round(photo.width * 1.15), round(photo.height * 1.15)), (90, 70, 50))
    table.paste(photo, (30, 30))
    for picture in (page.to_pil(), photo, photo.convert("L"), table):
        assert shows_ecg_page(picture)


def test_scans_of_paper():
    scans = sorted(shared_path("data/loaders/scans").glob("*.jpg"))
    assert len(scans) == 2 and all(shows_ecg_page(Image.open(scan)) for scan in scans)


def written_page() -> Image.Image:
    page = Image.new("RGB", (800, 1100), "white")
    for row in range(40):
        ImageDraw.Draw(page).text(
            (60, 40 + 25 * row), "Sinus rhythm with a normal axis and a normal ST segment. " * 2, "black"
        )
    return page


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8))


@pytest.mark.parametrize(
    "picture", [Image.new("RGB", (640, 480), "white"), Image.new("L", (640, 480)), noise(), written_page()]
)
def test_other_pictures(picture):
    assert not shows_ecg_page(picture)


def charts() -> dict[str, Image.Image]:
    """Charts that are not ECGs: random walks, sines, bars, and rows of each in the layout of an ECG page."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rng = np.random.default_rng(1)
    pictures = {}
    for name, rows, curve in (
        ("a sine", 1, np.sin(np.arange(1000) / 40)),
        ("rows of sines", 6, np.sin(np.arange(1000) / 20)),
        ("rows of random walks", 6, None),
        ("a random walk", 1, None),
    ):
        figure = Figure(figsize=(10, 8))
        FigureCanvasAgg(figure)
        for row in range(rows):
            axes = figure.add_subplot(rows, 1, row + 1)
            axes.plot(np.cumsum(rng.normal(size=1000)) if curve is None else curve, linewidth=0.8, color="black")
        stream = io.BytesIO()
        figure.savefig(stream, dpi=100)
        pictures[name] = Image.open(stream)
    return pictures


def test_charts_are_no_ecgs():
    for name, chart in charts().items():
        assert not shows_ecg_page(chart), name


def test_one_lead_small_pages_and_traces_that_run_into_each_other_are_pages():
    record = load_ecg(SAMPLES / "normal.hea")
    large = record.changed((), signal=record.signal * 4)
    for page in (
        render_ecg(record, layout="12x1", leads=["II"], px_per_mm=4),
        render_ecg(record, size=(336, 336)),
        render_ecg(large, layout="gem_12x1", dpi=100),
    ):
        assert shows_ecg_page(page.to_pil())


def test_a_picture_without_a_page_is_refused_by_its_name():
    page = Image.fromarray(render_ecg(load_ecg(SAMPLES / "normal.hea"), layout="3x4", px_per_mm=4).pixels)
    assert check_ecg_page(page) is page
    with pytest.raises(EcgQualityError, match=r"cat\.png: .*no ECG page"):
        check_ecg_page(noise(), "cat.png")


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_photos(name):
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn brings two photos")
    assert not shows_ecg_page(Image.fromarray(datasets.load_sample_image(name)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"0       " + b" " * 176 + b"256     " + bytes(99), "not a picture but a recording (EDF)"),
        (b"\x93NUMPY\x01\0", "not a picture but a recording (NPY)"),
        (b"I,II\n1,2\n3,4\n", "not a picture but text"),
        (b"<html><body></body></html>", "not a picture but a web page"),
        (b"\0\1\2\3" * 99, "not a picture. "),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, data, said):
    (tmp_path / "fake.edf").write_bytes(data)
    with pytest.raises(EcgFormatError) as caught:
        load_page_picture(tmp_path / "fake.edf")
    assert str(caught.value).startswith(f"fake.edf: {said}")
    assert str(caught.value).endswith("PDF; convert it, or give a recording as the ECG itself.")


def test_a_picture_that_is_corrupt_is_none_of_another_kind():
    with pytest.raises(EcgFormatError, match="the picture is truncated or corrupt"):
        load_page_picture(b"\x89PNG\r\n\x1a\n" + bytes(99))


def test_pictures_of_phones_with_several_frames_are_read_and_a_page_that_is_not_there_is_refused():
    file, frame = io.BytesIO(), Image.new("RGB", (99, 80))
    frame.save(file, "MPO", save_all=True, append_images=[frame])
    assert load_page_picture(file.getvalue(), index=0).size == (99, 80)
    with pytest.raises(EcgFormatError, match="a document of 1 pages"):
        load_page_picture(file.getvalue(), index=3)
