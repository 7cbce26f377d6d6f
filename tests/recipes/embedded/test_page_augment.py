# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Scan-like distortions: seeded, each of them does something, none of them touches what it was given."""

import hashlib
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_page import render_ecg
from processing.errors_gem import GemError
from recipes.embedded.page_augment import ScanStyle, augment_page
from tests.helpers.ecg_page_records import beating_record

NOTHING = ScanStyle(**{field.name: 0 for field in fields(ScanStyle)})
ONE_BY_ONE = {
    "rotation": {"rotation": 5.0},
    "perspective": {"perspective": 0.03},
    "crop": {"crop": 0.05},
    "creases": {"creases": 4, "crease_depth": 0.3},
    "shadow": {"shadow": 0.4},
    "temperature": {"temperature": 0.3},
    "fade": {"fade": 0.5},
    "noise": {"noise": 10.0},
    "blur": {"blur_mm": 0.8},
    "handwriting": {"handwriting": 3},
    "jpeg": {"jpeg_loss": 80},
}


@pytest.fixture(scope="module")
def page():
    return render_ecg(beating_record(), size=(336, 336))


def test_one_seed_one_picture(page):
    before = page.pixels.copy()
    pictures = [augment_page(page, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()
    np.testing.assert_array_equal(page.pixels, before)
    assert pictures[0].shape == page.pixels.shape and pictures[0].dtype == np.uint8
    np.testing.assert_array_equal(
        augment_page(np.asarray(page), np.random.default_rng(3)), augment_page(page.to_pil(), np.random.default_rng(3))
    )


def test_same_in_another_process(page):
    code = (
        "import hashlib, numpy as np\n"
        "from processing.ecg_page import render_ecg\n"
        "from recipes.embedded.page_augment import augment_page\n"
        "from tests.helpers.ecg_page_records import beating_record\n"
        "page = render_ecg(beating_record(), size=(336, 336))\n"
        "print(hashlib.sha256(augment_page(page, np.random.default_rng(11)).tobytes()).hexdigest())"
    )
    root = Path(__file__).resolve().parents[3]
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    here = hashlib.sha256(augment_page(page, np.random.default_rng(11)).tobytes()).hexdigest()
    assert answer.stdout.strip() == here, answer.stderr


def test_zero_strength_is_the_page_itself(page):
    np.testing.assert_array_equal(augment_page(page, np.random.default_rng(0), NOTHING), page.pixels)


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_each_distortion_alone(page, name):
    style = replace(NOTHING, **ONE_BY_ONE[name])
    changes = [
        np.abs(augment_page(page, np.random.default_rng(seed), style).astype(int) - page.pixels).mean()
        for seed in range(4)
    ]
    assert max(changes) > 0.05
    assert max(changes) < 100, "the page can no longer be seen"


def test_page_stays_in_the_picture(page):
    """With the default strengths the ink moves, but nearly all of it is still there."""
    ink = (page.pixels.max(axis=-1) < 120).sum()
    clean_light = replace(ScanStyle(), fade=0, shadow=0, temperature=0, creases=0, handwriting=0, noise=0)
    for seed in range(4):
        picture = augment_page(page, np.random.default_rng(seed), clean_light)
        assert (picture.max(axis=-1) < 170).sum() > 0.7 * ink


def test_wrong_input(page):
    with pytest.raises(GemError, match="noise"):
        ScanStyle(noise=-1)
    with pytest.raises(GemError, match="uint8"):
        augment_page(page.pixels.astype(float), np.random.default_rng(0))
