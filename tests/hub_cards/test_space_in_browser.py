# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Space in a real Chromium: mouse, keyboard and phone; hostile files; ten users; axe."""

import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hub_cards.space.gem_space.uploads import MAX_UPLOAD_BYTES, sample_names
from hub_cards.space.gem_space.views import PHOTO, title
from processing.ecg_beat_measures import SEQUENCES
from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from processing.evidence.html import evidence_html
from processing.grounding.check import check_grounding
from tests.helpers.browser import DESKTOP, PHONE, headless_chromium

SAMPLES = Path(__file__).resolve().parents[2] / "processing" / "samples"
EVIL = "<img src=x onerror=window.hacked=1> ${window.hacked=2} {{hacked}} **bold**"
WAIT_MS = 120_000  # for machines that have other things to do


@pytest.fixture(scope="module")
def browser():
    with headless_chromium() as chromium:
        yield chromium


@contextmanager
def visit(browser, server, **settings):
    """The Space in a window of its own. Whatever the test does, nothing is loaded from elsewhere and no script fails."""
    context = browser.new_context(**(settings or DESKTOP))
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    strange, broken = [], []
    page.on("request", lambda request: strange.append(request.url) if not request.url.startswith(home) else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    home = (server[0], "data:", "blob:")
    page.goto(server[0])
    sample(page, "normal").wait_for()
    yield page
    context.close()
    assert strange == [] and broken == []


def sample(page, name, number=0):
    return page.get_by_role("radio", name=title(name), exact=True).nth(number)


def open_sample(page, name):
    sample(page, name).check()
    page.get_by_alt_text(f"ECG 1: {name}, all leads").wait_for()


def interpret(page):
    page.get_by_role("button", name="Interpret", exact=True).click()
    page.locator(".gem-answer .counts").wait_for()
    page.get_by_alt_text("all leads in full length").wait_for()


def upload(page, path):
    page.locator("input[type=file]").first.set_input_files(path)


def message(page, pattern):
    return page.locator(".gem-message").filter(has_text=re.compile(pattern)).first


def visible_boxes(page):
    return [box.get_attribute("class").split()[1] for box in page.locator(".gem-sheet .box:visible").all()]


def shown_claims(page):
    """The numbers of the claims that have places on the page."""
    classes = page.locator(".gem-sheet .box").evaluate_all("boxes => boxes.map(box => box.classList[1])")
    return sorted({int(name[1:]) for name in classes})


SETTLED = """() => !document.querySelector(".pending") && document.getAnimations().every(
    animation => animation.playState != "running" || animation.effect.getTiming().iterations == Infinity)"""


def serious(page):
    """What axe calls serious or critical: contrast, names, roles, order."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra `dev`")
    page.wait_for_function(SETTLED)  # what is faded while it waits for the server has another contrast
    found = axe.Axe().run(page).response["violations"]
    return [
        (violation["id"], violation["nodes"][0]["html"][:200])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]


def test_from_a_sample_to_the_highlighted_beats(browser, server):
    with visit(browser, server) as page:
        assert page.get_by_role("note").inner_text().startswith("Research software, not a medical device.")
        open_sample(page, "inferior_infarction")
        interpret(page)
        assert page.locator(".gem-sheet").count() == 1  # the answer's words are the links to the one page
        assert set(visible_boxes(page)) == {f"c{number}" for number in shown_claims(page)}
        number = shown_claims(page)[-1]
        claim = page.locator(f".claim:has(#claim-{number})")
        claim.click()
        assert set(visible_boxes(page)) == {f"c{number}"}
        assert re.search(r"✓\s+supported|✗\s+contradicted\s.+|\?\s+not measurable", claim.inner_text())
        why = page.locator(f"#why-{number}")
        assert re.match(r"(supported|contradicted|not measurable): .*places?\)$", why.inner_text())
        assert page.locator(".gem-sheet img").is_visible() and in_view(page, f".box.c{number}")
        first = shown_claims(page)[0]
        page.get_by_label("Show all claims on the page").check()
        assert not why.is_visible()
        page.locator(f".gem-sheet .box.c{first}").first.dispatch_event("click")
        assert page.locator(f"#claim-{first}").is_checked()
        page.get_by_label("Follow-up question").fill(EVIL)
        page.get_by_role("button", name="Ask").click()
        page.locator(".gem-answer").nth(3).wait_for()
        message(page, "Done").wait_for()
        said = page.locator(".gem-turn.user").last
        assert EVIL in said.inner_text() and page.locator("img[src=x]").count() == 0
        assert page.evaluate("window.hacked") is None


def in_view(page, selector):
    """Whether the first such element lies inside the window."""
    return page.locator(f".gem-sheet {selector}").first.evaluate(
        "box => { const r = box.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight && r.width > 0 }"
    )


def test_what_the_file_states_is_shown_under_the_answer(browser, server):
    with visit(browser, server) as page:
        open_sample(page, "atrial_fibrillation")
        interpret(page)
        told = page.locator(".gem-turn.assistant .gem-label")
        assert told.first.inner_text() == "label in the file: atrial fibrillation"
        said = page.locator(".gem-answer .words").last.inner_text().lower()
        objections = told.all_inner_texts()[1:]
        assert ("atrial flutter" in said) == ("✗ the answer says atrial flutter, the label does not" in objections)
        assert serious(page) == []


def test_zoom_focus_measurements_and_comparison(browser, server, tmp_path):
    with visit(browser, server, **DESKTOP, accept_downloads=True) as page:
        open_sample(page, "left_bundle_branch_block")
        picture = page.get_by_alt_text("ECG 1: left_bundle_branch_block, all leads")
        width = picture.bounding_box()["width"]
        page.get_by_role("radio", name="2×").first.check(force=True)
        assert picture.bounding_box()["width"] == pytest.approx(2 * width, rel=0.01)
        page.get_by_label("Leads shown").click()
        page.get_by_role("option", name="V2", exact=True).click()
        page.get_by_alt_text("ECG 1: left_bundle_branch_block, lead V2").wait_for()

        page.get_by_role("button", name="Measurements").click()
        table = page.locator(".gem-table").first
        table.get_by_text("V6", exact=True).wait_for()
        names = [heading.split(" (")[0] for heading in table.get_by_role("columnheader").all_inner_texts()]
        assert [name.replace("\n", " ").strip(" ⋮") for name in names] == ["Lead", *SEQUENCES]
        page.get_by_label("Sort by").click()
        page.get_by_role("option", name="QRS Amplitude (mV)").click()
        page.get_by_label("Largest first").check()
        column = [list(SEQUENCES).index("QRS Amplitude") + 1, 12]
        page.wait_for_function(
            """([column, rows]) => {
              const cells = [...document.querySelectorAll(`.gem-table [role=gridcell][data-col="${column}"]`)];
              const values = cells.map(cell => parseFloat(cell.innerText));
              return values.length >= rows && values.every((value, i) => i === 0 || values[i - 1] >= value);
            }""",
            arg=column,
        )
        with page.expect_download() as download:
            page.get_by_role("link", name="Download every beat as CSV").click()
        rows = Path(download.value.path()).read_text().splitlines()
        assert rows[0].startswith("lead,beat,time,Heart Rate") and len(rows) > 12 * 5

        page.get_by_role("button", name="Compare with another ECG").click()
        sample(page, "normal", 1).check()
        page.get_by_alt_text("ECG 2: normal, all leads").wait_for()
        change = page.locator(".gem-table").nth(1)
        assert "Heart rate (bpm)" in change.inner_text() and "QRS axis (°)" in change.inner_text()
        interpret(page)
        assert serious(page) == []


def test_on_a_phone_in_dark_mode(browser, server):
    with visit(browser, server, **PHONE, color_scheme="dark") as page:
        open_sample(page, "inferior_infarction")
        interpret(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        number = shown_claims(page)[-1]
        page.locator(f".claim:has(#claim-{number})").tap()
        assert set(visible_boxes(page)) == {f"c{number}"} and in_view(page, f".box.c{number}")
        assert serious(page) == []


def test_the_keyboard_is_enough(browser, server):
    with visit(browser, server) as page:
        focused = lambda: page.evaluate(  # noqa: E731
            "(e => e.labels?.[0]?.innerText.trim() || e.getAttribute('aria-label') || e.innerText.trim())(document.activeElement)"
        )

        def tab_to(name):
            passed = []
            for _ in range(25):
                page.keyboard.press("Tab")
                passed.append(focused())
                if passed[-1].startswith(name):
                    return passed
            raise AssertionError(f"{name} is not reached: {passed}")

        tab_to(title(sample_names()[1]))
        page.keyboard.press("Space")
        page.get_by_alt_text(f"ECG 1: {sample_names()[1]}, all leads").wait_for()
        order = [*tab_to("Upload an ECG"), *tab_to("Leads shown"), *tab_to("Both"), *tab_to("Interpret")]
        assert "Fit" in order
        page.keyboard.press("Enter")
        page.locator(".gem-answer .counts").wait_for()
        tab_to("Show all claims")
        for _ in range(shown_claims(page)[0]):
            page.keyboard.press("ArrowDown")  # from the last one to the first one, and on
        assert set(visible_boxes(page)) == {f"c{shown_claims(page)[0]}"}


def test_bad_uploads_end_in_a_message_and_the_next_one_works(browser, server, tmp_path):
    # Names of files may not hold "/".
    evil = tmp_path / f"{EVIL}.csv"
    evil.write_text(f"{EVIL}\n1\n")
    leads = tmp_path / "leads.csv"
    values = np.random.default_rng(0).normal(scale=0.2, size=(2500, 3)).round(3)
    np.savetxt(leads, values, delimiter=",", header=f"I,II,{EVIL}", comments="")
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)).save(noise)
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(MAX_UPLOAD_BYTES + 1)
    with visit(browser, server) as page:
        upload(page, evil)
        alert = page.locator(".gem-message[role=alert]")
        alert.filter(has_text="onerror=window.hacked=1").wait_for()
        upload(page, leads)
        alert.filter(has_text="leads.csv").wait_for()
        upload(page, noise)
        alert.filter(has_text="noise.png").wait_for()
        upload(page, large)
        page.get_by_text(re.compile("file size|too large|maximum", re.IGNORECASE)).first.wait_for()
        assert page.evaluate("window.hacked") is None and page.locator("img[src=x]").count() == 0
        upload(page, [SAMPLES / "normal.hea", SAMPLES / "normal.dat"])
        page.get_by_alt_text(re.compile(r"ECG 1: normal\.hea, all leads")).wait_for()
        interpret(page)
        assert shown_claims(page)


def test_ten_users_at_once_each_see_their_own_ecg(browser, server):
    names = (sample_names() * 3)[:10]
    contexts = [browser.new_context(**DESKTOP) for _ in names]
    pages = [context.new_page() for context in contexts]
    for page, name in zip(pages, names, strict=True):
        page.set_default_timeout(2 * WAIT_MS)
        page.goto(server[0])
        sample(page, name).check()
    for page, name in zip(pages, names, strict=True):
        page.get_by_alt_text(f"ECG 1: {name}, all leads").wait_for()
        page.get_by_role("button", name="Interpret", exact=True).click()
    answers = {}
    for page, name in zip(pages, names, strict=True):
        page.locator(".gem-answer .counts").wait_for()
        assert page.locator("[role=alert]").count() == 0
        answers.setdefault(name, set()).add(page.locator(".gem-talk").inner_text())
    assert all(len(texts) == 1 for texts in answers.values()) and len(set.union(*answers.values())) == len(answers)
    for context in contexts:
        context.close()


def test_a_photo_shows_its_traces_and_its_claims(browser, server, tmp_path):
    pytest.importorskip("cv2", reason="digitising needs the extra `photo`")
    photo = render_ecg(load_ecg(SAMPLES / "normal.hea"), layout="3x4+1", dpi=150).save(tmp_path / "photo.png")
    with visit(browser, server) as page:
        upload(page, photo)
        page.get_by_alt_text("ECG 1: photo.png, all leads").wait_for()
        interpret(page)
        page.get_by_label("Leads shown").click()
        page.get_by_role("option", name=PHOTO, exact=True).click()
        shown = page.get_by_alt_text("ECG 1: photo.png, the picture")
        shown.wait_for()
        width, height = Image.open(photo).size
        box = shown.bounding_box()
        assert box["width"] / box["height"] == pytest.approx(width / height, rel=0.02)
        number = shown_claims(page)[0]
        page.locator(f".claim:has(#claim-{number})").click()
        assert set(visible_boxes(page)) == {f"c{number}"}
        # The marks lie on the picture.
        mark = page.locator(f".gem-sheet .box.c{number}").first.bounding_box()
        assert box["x"] <= mark["x"] + mark["width"] / 2 <= box["x"] + box["width"]
        assert serious(page) == []


def test_the_evidence_file_of_the_command_line(browser, tmp_path):
    record = load_ecg(SAMPLES / "inferior_infarction.hea")
    features = extract_features(record)
    text = f"Sinus rhythm, 190 bpm. Q waves in III and aVF. {EVIL}"
    (tmp_path / "e.html").write_text(
        evidence_html(record, features, check_grounding(text, features)), encoding="utf-8"
    )
    page = browser.new_page(**DESKTOP)
    page.goto((tmp_path / "e.html").as_uri())
    number = shown_claims(page)[-1]
    page.locator(f".claim:has(#claim-{number})").click()
    assert set(visible_boxes(page)) == {f"c{number}"} and in_view(page, f".box.c{number}")
    assert serious(page) == []
    page.close()
