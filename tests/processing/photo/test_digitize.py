# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Drawn pages are digitised: the record is recovered with layout, leads and scale; other pictures are refused with the reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from modeling_gem.interpretation import from_picture, tolerances_for
from processing.chat_gem import with_digitized
from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_photo import check_ecg_page, known_as_page, shows_ecg_page
from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgQualityError
from processing.grounding.check import DEFAULT_TOLERANCES, check_grounding
from recipes.cli import app
from recipes.embedded.page_augment import augment_page
from tests.helpers.shared_data import shared_path

pytest.importorskip("cv2", reason='pip install "gem-ecg[photo]" to run this test')
from processing.photo import digitize_ecg

SAMPLES = Path(__file__).resolve().parents[3] / "processing" / "samples"
NORMAL = load_ecg(SAMPLES / "normal.hea")


def snr_db(truth: EcgRecord, found: EcgRecord, lead: str) -> float:
    """Of a lead where it was found, less its mean, after the best shift by up to 10 ms."""
    seen = np.flatnonzero(np.isfinite(found.lead(lead)))[10:-10]
    seen = seen[(seen > 10) & (seen < truth.num_samples - 10)]
    x = truth.lead(lead)[seen]
    errors = [
        np.var(x - found.lead(lead)[seen + shift])
        for shift in range(-5, 6)
        if (seen + shift).max() < found.num_samples
    ]
    return float(10 * np.log10(np.var(x) / min(errors)))


@pytest.mark.parametrize(
    ("layout", "dpi", "least_db"),
    [("3x4+1", 200, 15), ("6x2", 150, 12), ("12x1", 200, 12), ("3x4+1", 100, 9)],
)
def test_a_drawn_page_gives_its_record_back(layout, dpi, least_db):
    found = digitize_ecg(render_ecg(NORMAL, layout=layout, dpi=dpi).to_pil(), name=layout)
    page = found.metadata["page"]
    assert found.leads == NORMAL.leads and found.sampling_rate == 500
    assert page.layout == layout and (page.scale.speed, page.scale.gain) == (25, 10)
    assert np.median([snr_db(NORMAL, found, lead) for lead in ("I", "II", "V2", "V5")]) > least_db
    assert extract_features(found).heart_rate == pytest.approx(extract_features(NORMAL).heart_rate, abs=2)
    least = 0.5 if layout == "12x1" else 0.8  # there spikes of neighbouring rows touch
    assert page.lowest_confidence >= least and "digitised" in found.history[0]


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.hea")))
def test_the_page_of_every_sample_is_read(name):
    found = digitize_ecg(render_ecg(load_ecg(SAMPLES / f"{name}.hea"), layout="3x4+1").to_pil(), name=name)
    page = found.metadata["page"]
    assert page.layout == "3x4+1" and (page.scale.speed, page.scale.gain) == (25, 10) and len(found.leads) == 12


def test_leads_whose_spikes_touch_those_of_other_rows_are_trusted_less():
    page = digitize_ecg(render_ecg(NORMAL, layout="12x1", dpi=200).to_pil()).metadata["page"]
    assert max(page.confidence[lead] for lead in ("V2", "V3", "V4")) < 0.7
    assert min(page.confidence[lead] for lead in ("I", "V1", "V5", "V6")) > 0.9


def test_what_the_page_does_not_show_is_nan():
    found = digitize_ecg(render_ecg(NORMAL, layout="3x4+1", dpi=150).to_pil())
    shown = {lead: np.isfinite(found.lead(lead)) for lead in found.leads}
    assert shown["II"].mean() > 0.98
    assert shown["V4"][: 7 * 500].sum() == 0 and shown["V4"][8 * 500 : 9 * 500].all()


def test_a_photographed_page_is_read_too():
    photo = augment_page(render_ecg(NORMAL, layout="3x4+1", dpi=200), np.random.default_rng(0))
    found = digitize_ecg(photo)
    assert found.metadata["page"].layout == "3x4+1" and snr_db(NORMAL, found, "V2") > 10


@pytest.mark.parametrize("gain", [5, 20])
def test_the_gain_is_that_of_the_pulse(gain):
    page = render_ecg(NORMAL, layout="6x2", dpi=150, gain=gain, auto_gain=False)
    scale = digitize_ecg(page.to_pil()).metadata["page"].scale
    assert (scale.gain, scale.gain_from) == (gain, "pulse")


def test_leads_in_another_order_are_read_by_their_names():
    page = render_ecg(NORMAL, layout="12x1", dpi=150, leads="cabrera")
    found = digitize_ecg(page.to_pil())
    assert snr_db(NORMAL, found, "aVR") > 10 and snr_db(NORMAL, found, "aVL") > 0


def test_a_trace_that_breaks_einthovens_law_is_refused():
    rows = NORMAL.signal.copy()
    rows[1] *= -1  # I + III is II, of whatever heart
    with pytest.raises(EcgQualityError, match=r"I, II, III contradict each other"):
        digitize_ecg(render_ecg(EcgRecord(rows, NORMAL.leads, 500.0), layout="6x2", dpi=150).to_pil())


@pytest.mark.parametrize("layout", ["3x4+1", "3x4", "6x2"])
def test_the_limb_leads_of_right_pages_agree_and_a_false_gain_shows(layout):
    truth = load_ecg(SAMPLES / "inferior_infarction.hea")  # narrow spikes both ways
    found = digitize_ecg(render_ecg(truth, layout=layout, dpi=200).to_pil())
    assert found.plausibility().verdict == "ok"
    spans = [np.ptp(record.lead("II")[30:1200]) for record in (found, truth)]
    assert spans[0] == pytest.approx(spans[1], rel=0.05)
    rows = found.signal.copy()
    rows[found.leads.index("II")] *= 0.8
    assert replace(found, signal=rows).plausibility().doubts_about("leads")


def test_a_level_line_from_the_pulse_to_the_trace_is_not_read_as_trace():
    page = render_ecg(NORMAL, layout="3x4+1", dpi=200)
    picture = page.to_pil()
    pen = ImageDraw.Draw(picture)
    for panel in page.layout.panels:
        if panel.start == 0:
            x, y = page.to_px(panel.lead, 0.0, 0.0, panel=panel)
            pen.line([(x - 6 * page.layout.px_per_mm, y), (x, y)], fill=(15, 15, 25), width=3)
    found = digitize_ecg(picture)
    assert found.metadata["page"].layout == "3x4+1" and snr_db(NORMAL, found, "V2") > 10


def test_a_trace_that_ends_amid_a_qrs_complex_is_not_held():
    rate = 500
    rows = np.roll(NORMAL.signal, -int(np.argmax(NORMAL.lead("II")[:rate])), axis=1)  # begins on an R wave
    found = digitize_ecg(render_ecg(EcgRecord(rows, NORMAL.leads, 500.0), layout="3x4", dpi=200).to_pil())
    seen = np.isfinite(found.lead("II")[:20])
    error = np.abs(found.lead("II") - rows[1, : found.num_samples])[:20][seen]
    assert error.max(initial=0) < 0.3


def test_low_voltage_is_not_judged_by_the_one_lead_of_a_rhythm_strip():
    found = digitize_ecg(render_ecg(NORMAL, layout="3x4+1", dpi=150).to_pil())
    strip = np.array([[lead == "II"] for lead in found.leads])
    alone = found.changed("the strip alone", signal=np.where(strip, found.signal, np.nan))
    (verdict,) = check_grounding("There is low voltage.", extract_features(alone)).claims
    assert verdict.verdict == "not_measurable" and "nan" not in verdict.explanation and "II" in verdict.explanation


@pytest.mark.parametrize("layout", ["3x4", "3x4+1"])
def test_claims_about_every_column_of_a_page_are_checked(layout):
    sick = load_ecg("processing/samples/inferior_infarction.hea")
    measured = extract_features(digitize_ecg(render_ecg(sick, layout=layout, dpi=150).to_pil()))
    text = "Pathological Q waves in III and aVF. No ST elevation in V2. Low voltage. T wave inversion in V5. PR interval 134 ms."
    verdicts = [claim.verdict for claim in check_grounding(text, measured).claims]
    assert verdicts == ["supported", "supported", "contradicted", "contradicted", "supported"]
    assert measured.qrs_axis == pytest.approx(extract_features(sick).qrs_axis, abs=15)


@pytest.mark.parametrize("quarters", [1, 2])
def test_a_page_on_its_side_or_head_is_read(quarters):
    turned = render_ecg(NORMAL, layout="3x4+1", dpi=100).to_pil().rotate(90 * quarters, expand=True)
    found = digitize_ecg(turned)
    assert found.metadata["page"].layout == "3x4+1" and "turned by" in found.history[0]
    assert snr_db(NORMAL, found, "V2") > 10
    # The places lead back to the picture as it was given.
    (points,) = found.metadata["page"].places("V5", 8.0, 9.0)
    long = turned.size.index(max(turned.size))
    assert np.ptp(points, axis=0)[long] == pytest.approx(25 * 100 / 25.4, rel=0.03)


@pytest.mark.parametrize("quarters", [0, 1, 2])
def test_the_model_is_shown_a_page_upright(quarters):
    page = known_as_page(render_ecg(NORMAL, layout="3x4+1", dpi=100).to_pil())
    turned = known_as_page(page.rotate(90 * quarters, expand=True))
    chat = [{"role": "user", "content": [{"type": "image", "image": turned, "digitize": True}]}]
    ecg, picture = with_digitized(chat)[0]["content"]
    assert ecg["ecg"].metadata["page"].quarters == (4 - quarters) % 4
    assert np.array_equal(np.asarray(picture["image"]), np.asarray(page))


@pytest.mark.parametrize("quarters", [1, 3])
def test_a_page_on_its_side_is_turned_before_it_is_judged(quarters):
    page = Image.fromarray(render_ecg(NORMAL, layout="3x4+1", dpi=100).pixels)  # not known as a page
    lying = page.rotate(90 * quarters, expand=True)
    assert not shows_ecg_page(lying)
    assert np.array_equal(np.asarray(check_ecg_page(lying)), np.asarray(page))


def test_a_page_on_its_side_without_names_is_refused_as_such():
    mirrored = render_ecg(NORMAL, layout="3x4+1", dpi=100).pixels[:, ::-1]
    illegible = Image.fromarray(np.rot90(mirrored).copy())
    with pytest.raises(EcgQualityError, match="lies on its side"):
        check_ecg_page(illegible)


def test_a_mirrored_page_is_refused_as_such():
    mirrored = Image.fromarray(render_ecg(NORMAL, layout="6x2", dpi=100).pixels[:, ::-1].copy())
    with pytest.raises(EcgQualityError, match="it is mirrored"):
        digitize_ecg(mirrored)


def test_two_pages_in_a_picture_are_refused_as_such():
    page = render_ecg(NORMAL, layout="3x4+1", dpi=100).pixels
    for two in (np.concatenate([page, page]), np.concatenate([page, page], axis=1)):
        with pytest.raises(EcgQualityError, match="more than one page"):
            digitize_ecg(Image.fromarray(two))


@pytest.mark.parametrize("turn", [0.0, 1.5])
def test_a_page_without_a_grid_is_read_by_its_pulse_and_says_so(turn):
    page = render_ecg(NORMAL, layout="3x4+1", dpi=150, style="plain").to_pil()
    found = digitize_ecg(page.rotate(turn, Image.Resampling.BICUBIC, fillcolor="white"))
    assert "without a grid: the pulse is assumed to be 5 mm wide" in found.history[0]
    assert found.assumed["rate"] == found.leads == found.assumed["gain"]
    assert 0.5 < max(found.metadata["page"].confidence.values()) <= 0.8
    assert extract_features(found).heart_rate == pytest.approx(extract_features(NORMAL).heart_rate, rel=0.01)
    assert found.metadata["page"].px_per_mm(500, 300) == pytest.approx(150 / 25.4, rel=0.005)
    assert snr_db(NORMAL, found, "I") > 9


def test_a_scale_that_a_pulse_alone_does_not_tell_is_not_guessed():
    for said in ({"gain": 5, "auto_gain": False}, {"speed": 50}, {"pulses": False}):
        page = render_ecg(NORMAL, layout="3x4+1", dpi=150, style="plain", **said)
        with pytest.raises(EcgQualityError, match="no millimetre grid"):
            digitize_ecg(page.to_pil())
    page = render_ecg(NORMAL, layout="3x4+1", dpi=150, style="plain").to_pil()
    with pytest.raises(EcgQualityError, match="no millimetre grid"):
        digitize_ecg(page, speed=50)


def test_a_sheet_without_grid_and_pulse_is_read_by_its_resolution():
    page = render_ecg(NORMAL, layout="3x4+1", dpi=150, style="plain", pulses=False).to_pil()
    sheet = Image.new("RGB", (1754, 1240), "white")  # A4
    sheet.paste(page, (40, 200))
    with pytest.raises(EcgQualityError, match="no millimetre grid"):
        digitize_ecg(sheet)
    sheet.info["dpi"] = (150, 150)
    found = digitize_ecg(sheet)
    assert "as the file states" in found.history[0]
    assert extract_features(found).heart_rate == pytest.approx(extract_features(NORMAL).heart_rate, abs=1)


def test_a_picture_of_something_else_says_why_there_is_no_signal():
    nothing = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    record, reason = from_picture(nothing)
    assert record is None and "grid" in reason


def test_claims_about_a_digitised_record_have_more_room():
    found = digitize_ecg(render_ecg(NORMAL, layout="12x1", dpi=100).to_pil())
    assert tolerances_for(found).qt_ms > DEFAULT_TOLERANCES.qt_ms and tolerances_for(NORMAL) == DEFAULT_TOLERANCES


def test_commands_take_pictures(tmp_path):
    picture = render_ecg(NORMAL, layout="3x4+1", dpi=150).save(tmp_path / "page.png")
    features = CliRunner().invoke(app, ["features", str(picture)])
    assert features.exit_code == 0 and "Heart rate" in features.stdout
    over = CliRunner().invoke(app, ["render", str(picture), str(tmp_path / "over.png"), "--digitize"])
    assert over.exit_code == 0 and Image.open(tmp_path / "over.png").size == Image.open(picture).size
    answer = CliRunner().invoke(app, ["interpret", str(picture)])
    assert "digitised from a picture: 3x4+1" in answer.stdout and "picture only" not in answer.stdout
    alone = CliRunner().invoke(app, ["interpret", str(picture), "--no-digitize"])
    assert "picture only: not checked" in alone.stdout


def test_the_space_digitises_an_upload(tmp_path):
    from hub_cards.space.gem_space.uploads import _read
    from hub_cards.space.gem_space.views import PHOTO, view_names

    render_ecg(NORMAL, layout="3x4+1", dpi=150).to_pil().rotate(270, expand=True).save(tmp_path / "page.png")
    upload = _read(tmp_path / "page.png")  # lies on its side
    assert upload.record is not None and upload.picture is not None and PHOTO in view_names(upload)


def test_a_picture_block_that_asks_for_it_brings_its_signal():
    from modeling_gem.interpretation import load_interpreter

    processor = load_interpreter().processor
    picture = render_ecg(NORMAL, layout="3x4+1", dpi=150).to_pil()
    blocks = [{"type": "image", "image": picture, "digitize": True}, {"type": "text", "text": "Rhythm?"}]
    built = processor.build_conversation([{"role": "user", "content": blocks}])[0]["content"]
    asked = processor.build_conversation(picture, digitize=True)[0]["content"]
    assert [block["type"] for block in built] == ["ecg", "image", "text"] == [block["type"] for block in asked]
    assert built[0]["ecg"].metadata["page"].layout == "3x4+1"


def test_the_authors_two_columns_show_the_same_seconds():
    page = digitize_ecg(render_ecg(NORMAL, layout="gem_6x2", dpi=150).to_pil()).metadata["page"]
    assert page.simultaneous and max(stretch.stop for stretch in page.stretches) < 5.1


def test_scans_of_paper():
    for scan, rate in zip(sorted(shared_path("data/loaders/scans").glob("*.jpg")), (82, 60), strict=True):
        found = digitize_ecg(scan)
        page = found.metadata["page"]
        assert (page.layout, page.simultaneous, page.scale.gain_from) == ("6x2", True, "pulse")
        assert page.scale.speed_from == "convention" and found.assumed["rate"] == found.leads
        assert extract_features(found).heart_rate == pytest.approx(rate, abs=2)
