# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pages that a model sees: what its image tower keeps of them, and that they carry no measurements."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from modeling_gem import GemProcessor
from processing.ecg_page import EcgPageWarning, render_ecg
from processing.errors_gem import GemError
from processing.simulator.simulator import simulate_ecg
from tests.helpers.ecg_page_records import beating_record

ROOT = Path(__file__).resolve().parents[2]


def test_what_the_tower_sees_of_the_authors_page():
    """The figures were measured on the authors' own pages: 86.5 % of the signal, no label and no pulse."""
    page = render_ecg(beating_record(), "gem_12x1")
    left, top, right, bottom = page.visible_box("ori")
    assert (left / page.px_per_mm, right / page.px_per_mm) == pytest.approx((31.5, 247.9), abs=0.1)
    assert (top, bottom) == (0, 1700)
    seen = page.visibility("ori")
    assert seen.fraction == pytest.approx(0.865, abs=0.0005)
    assert (seen.num_labels, len(seen.hidden_labels), seen.pulses) == (12, 12, (0, 12))
    for mode in ("pad", "stretch", "anyres"):
        assert page.visibility(mode).is_complete
    with pytest.warns(EcgPageWarning, match="0 of 12 lead labels"):
        assert page.warn_if_hidden("ori")
    two_columns = render_ecg(beating_record(), "gem_6x2").visibility("ori")
    assert two_columns.fraction == pytest.approx(0.865, abs=0.0005)
    assert (len(two_columns.hidden_labels), two_columns.pulses) == (6, (0, 6))


@pytest.mark.parametrize("mode", ["ori", "pad", "stretch", "anyres"])
def test_square_page_loses_nothing(mode, recwarn):
    page = render_ecg(beating_record(), size=(336, 336))
    assert page.visible_fraction(mode) == 1
    assert not page.warn_if_hidden(mode)
    assert not [warning for warning in recwarn if warning.category is EcgPageWarning]
    with pytest.raises(GemError, match="ori, pad, stretch, anyres"):
        page.visible_box("crop")


def test_visible_box_is_what_the_clip_processor_keeps():
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    page = render_ecg(beating_record(), "12x1", px_per_mm=5)
    height, width = page.pixels.shape[:2]
    ramp = np.tile(np.linspace(0, 250, width)[None, :, None], (height, 1, 3)).astype(np.uint8)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}, do_normalize=False, do_rescale=False
    )
    kept = np.asarray(processor(Image.fromarray(ramp), return_tensors="np")["pixel_values"])[0, 0, 100]
    left, _, right, _ = page.visible_box("ori")
    assert kept[[0, -1]] / 250 * width == pytest.approx([left, right], abs=10)


def test_no_page_of_the_processor_carries_measurements():
    """Whatever its layout: the model would read the answer."""
    ecg = simulate_ecg(heart_rate=70, seed=2).record
    for layout in ("square_12x1", "3x4+1"):
        drawn = GemProcessor.page(SimpleNamespace(page_size=None, page_layout=layout), ecg)
        np.testing.assert_array_equal(np.asarray(drawn), render_ecg(ecg, layout).pixels)
    modules = [
        ROOT / room
        for room in ("processing/processing_gem.py", "recipes/training", "recipes/embedded", "recipes/dataset")
    ]
    files = [path for module in modules for path in ([module] if module.is_file() else module.rglob("*.py"))]
    assert not [path.name for path in files if re.search(r"\bmeasured=\w", path.read_text())]
