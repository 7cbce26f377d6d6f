# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Claims about a digitised page are marked on its picture, where its traces are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from processing.evidence.html import evidence_html
from processing.evidence.photo import photo_sheet
from processing.evidence.picture import evidence_picture, locate_claims
from processing.grounding.check import check_grounding

pytest.importorskip("cv2", reason='pip install "gem-ecg[photo]" to run this test')
from processing.photo import digitize_ecg

RECORD = load_ecg(Path(__file__).resolve().parents[3] / "processing" / "samples" / "normal.hea")
TEXT = "ST elevation in V2."
TURN = 3.0  # degrees


@pytest.fixture(scope="module")
def drawn():
    return render_ecg(RECORD, layout="3x4+1", dpi=100)


@pytest.fixture(scope="module")
def turned(drawn):
    """The page as a scanner takes it that lies a little askew."""
    picture = drawn.to_pil().rotate(TURN, Image.Resampling.BICUBIC, fillcolor="white")
    return picture, digitize_ecg(picture)


def test_marks_lie_on_the_beats_in_the_picture(drawn, turned):
    picture, record = turned
    sheet = photo_sheet(picture, record)
    (claim,) = locate_claims(sheet, check_grounding(TEXT, extract_features(record)))
    shown = [  # the page shows a quarter of the lead
        span for span in claim.checked.evidence if np.isfinite(record.lead("V2")[round((span[1] + span[2]) / 2 * 500)])
    ]
    assert len(claim.boxes) == len(shown) > 1
    middle, angle = np.array(picture.size) / 2, np.radians(TURN)
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for (lead, start, end), (left, top, right, bottom) in zip(shown, claim.boxes, strict=True):
        x, y = drawn.to_px(lead, (start + end) / 2, float(np.nanmedian(record.lead("V2"))))
        x, y = back @ (np.array([x, y]) - middle) + middle
        assert left < x < right and top < y < bottom


def test_the_picture_keeps_its_size_and_gets_a_legend(turned):
    picture, record = turned
    features = extract_features(record)
    report = check_grounding(TEXT, features)
    shown = evidence_picture(record, features, report, picture)
    assert shown.width == picture.width and shown.height > picture.height
    changed = np.any(np.asarray(shown)[: picture.height] != np.asarray(picture), axis=2)
    rows = np.flatnonzero(changed.any(axis=1))
    assert 0 < changed.mean() < 0.1 and len(rows)
    assert f'width="{picture.width}"' in evidence_html(record, features, report, picture)


def test_a_record_of_a_file_has_no_such_sheet(drawn):
    assert photo_sheet(drawn.to_pil(), RECORD) is None
