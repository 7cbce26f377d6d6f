# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pages of ECGs are told from pictures of other things."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from processing.ecg_page import render_ecg
from processing.ecg_photo import shows_ecg_page
from processing.ecg_readers import load_ecg
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


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_photos(name):
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn brings two photos")
    assert not shows_ecg_page(Image.fromarray(datasets.load_sample_image(name)))
