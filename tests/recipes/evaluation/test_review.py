# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Review sheets: blinded, self-contained, filled in a real browser and in a workbook, read back with every mistake reported."""

import html
import io
import json
import re
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest
from openpyxl import load_workbook
from sklearn.metrics import cohen_kappa_score

from processing.errors_gem import EvaluationError
from recipes.evaluation.items import read_test_set
from recipes.evaluation.review import (
    CASE_ROW,
    SCALES,
    agreement,
    columns_of_sheet,
    export_review,
    import_reviews,
    make_cases,
    review_json,
    review_markdown,
    summary,
)

SYSTEMS = {"gem": "Sinus rhythm & <b>no</b> ST deviation of {}.", "rival": "=SUM(1) Atrial fibrillation in {}."}


@pytest.fixture(scope="module")
def items(request):
    folder = request.config.rootpath
    return read_test_set(
        folder / "tests/fixtures/evaluation/grounding.json", files={"samples": str(folder / "processing/samples")}
    )[0]


@pytest.fixture(scope="module")
def answers(items, tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    for system, text in SYSTEMS.items():
        rows = [{"id": item.id, "text": text.format(item.id.split("/")[1])} for item in items]
        (folder / system).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {system: folder / system for system in SYSTEMS}


@pytest.fixture(scope="module")
def exported(items, answers, tmp_path_factory):
    folder, problems = export_review(items, answers, tmp_path_factory.mktemp("review"))
    assert not problems
    return folder


@pytest.fixture
def key(exported):
    return json.loads((exported / "key.json").read_text())


def test_cases_are_complete_shuffled_and_reproducible(items, answers):
    cases, _ = make_cases(items, answers, seed=3)
    assert len(cases) == 8 and len({(case.item, case.system) for case in cases}) == 8
    assert [case.id for case in cases][:2] == ["case-001", "case-002"]
    assert all(a.item != b.item for a, b in pairwise(cases)), "not the same ECG twice in a row"
    again, _ = make_cases(items, answers, seed=3)
    other, _ = make_cases(items, answers, seed=4)
    order = [[(case.item, case.system) for case in found] for found in (cases, again, other)]
    assert order[0] == order[1] != order[2]


def test_sheets_are_blinded_and_self_contained(exported, key):
    page = (exported / "review.html").read_text()
    book = load_workbook(exported / "review.xlsx")
    cells = " ".join(str(cell.value) for sheet in book for row in sheet for cell in row)
    for text in (page, cells):
        assert "rival" not in text and "ecg-grounding/" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:)|https?://(?!www\.w3\.org)|@import", page)
    assert len(re.findall("data:image/png", page)) == 8 and "&lt;b&gt;no&lt;/b&gt;" in page
    assert key["cases"]["case-001"]["system"] in SYSTEMS


def test_a_text_that_was_cut_off_is_marked(items, tmp_path):
    rows = [{"id": item.id, "text": "The QRS axis is 7", "cut_off": item is items[0]} for item in items]
    (tmp_path / "gem").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder, _ = export_review(items, {"gem": tmp_path / "gem"}, tmp_path / "review")
    said = "[This text was cut off before its end.]"
    page = (folder / "review.html").read_text()
    assert page.count(said) == 1 and f'axis is 7</div>\n    <p class="hint">{said}</p>' in page
    sheet = load_workbook(folder / "review.xlsx")["Review"]
    texts = [sheet.cell(row, 3).value for row in range(CASE_ROW, CASE_ROW + len(items))]
    assert sorted(texts)[-1] == f"The QRS axis is 7\n\n{said}" and texts.count("The QRS axis is 7") == len(items) - 1


def test_the_workbook_takes_scores_from_1_to_5_and_no_formulas(exported):
    sheet = load_workbook(exported / "review.xlsx")["Review"]
    rule = sheet.data_validations.dataValidation[0]
    assert (rule.formula1, rule.formula2, rule.type) == ("1", "5", "whole") and len(sheet._images) == 8
    text = [sheet.cell(row, 3) for row in range(CASE_ROW, CASE_ROW + 8)]
    assert all(cell.data_type == "s" for cell in text) and any(cell.value.startswith("=SUM") for cell in text)


def saved(key, reviewer, score, **changes):
    cases = {
        case: {"scores": {scale: score(case, scale) for scale in SCALES}, "highlights": [], "comment": ""}
        for case in key["cases"]
    }
    return {"review": key["review"], "reviewer": reviewer, "cases": cases} | changes


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def by_system(key, gem, rival):
    return lambda case, scale: gem if key["cases"][case]["system"] == "gem" else rival


def test_html_and_workbook_give_the_same(exported, key, tmp_path):
    quote = key["cases"]["case-001"]["text"][:12]
    content = saved(key, "AB", by_system(key, 4, 2))
    content["cases"]["case-001"] |= {"highlights": [{"kind": "differing", "quote": quote}], "comment": "Look again."}
    book = load_workbook(exported / "review.xlsx")
    sheet, columns = book["Review"], columns_of_sheet()
    sheet["B1"] = "CD"
    for row in range(CASE_ROW, CASE_ROW + 8):
        case = sheet.cell(row, 1).value
        for scale in SCALES:
            sheet.cell(row, columns.index(scale) + 1, content["cases"][case]["scores"][scale])
    sheet.cell(CASE_ROW, columns.index("Differing opinion") + 1, f"{quote}\n")
    sheet.cell(CASE_ROW, columns.index("Comment") + 1, "Look again.")
    book.save(tmp_path / "filled.xlsx")
    reviews = import_reviews(exported, [written(tmp_path, "ab.json", content), tmp_path / "filled.xlsx"])
    assert not reviews.problems and reviews.by_reviewer["AB"] == reviews.by_reviewer["CD"]
    assert summary(reviews)["gem"]["scales"]["accuracy"]["mean"] == 4
    assert summary(reviews)["rival"]["scales"]["accuracy"]["mean"] == 2
    assert agreement(reviews)["accuracy"] == {"kappa": 1.0, "within_one": 1.0, "pairs": 1}
    text = review_markdown(reviews)
    assert "| accuracy | 4.00 (4.00-4.00) | 2.00 (2.00-2.00) | 1.00 | 1.00 |" in text and quote in text
    assert json.loads(json.dumps(review_json(reviews)))["reviews"]["AB"]["case-001"]["comment"] == "Look again."


def test_kappa_is_the_quadratically_weighted_one_of_all_pairs(exported, key, tmp_path):
    draw = np.random.default_rng(0)
    tables = {name: {case: int(draw.integers(1, 6)) for case in key["cases"]} for name in "ABC"}
    files = [
        written(tmp_path, f"{name}.json", saved(key, name, lambda case, _, table=table: table[case]))
        for name, table in tables.items()
    ]
    found = agreement(import_reviews(exported, files))["reasoning"]
    pairs = [
        cohen_kappa_score(list(tables[a].values()), list(tables[b].values()), labels=range(1, 6), weights="quadratic")
        for a, b in ("AB", "AC", "BC")
    ]
    assert found["pairs"] == 3 and found["kappa"] == pytest.approx(np.mean(pairs))


def test_reviewers_without_any_spread_have_no_kappa(exported, key, tmp_path):
    files = [written(tmp_path, f"{n}.json", saved(key, n, lambda *_: 4)) for n in "AB"]
    assert agreement(import_reviews(exported, files))["value"] == {"kappa": None, "within_one": 1.0, "pairs": 0}


def test_every_mistake_is_named_and_the_rest_counts(exported, key, tmp_path):
    content = saved(key, "AB", lambda *_: 3)
    content["cases"]["case-001"]["scores"] |= {"accuracy": 6, "beauty": 3}
    content["cases"]["case-002"]["scores"] = {}
    content["cases"]["case-003"]["highlights"] = [
        {"kind": "beyond", "quote": "never said"},
        {"kind": "odd", "quote": "x"},
    ]
    content["cases"]["case-099"] = {}
    files = [
        written(tmp_path, "ab.json", content),
        written(tmp_path, "again.json", saved(key, "AB", lambda *_: 5)),
        written(tmp_path, "other.json", saved(key, "EF", lambda *_: 5, review="other")),
        written(tmp_path, "cut.json", '{"review": "'),
        written(tmp_path, "no.xlsx", "no workbook"),
        tmp_path / "missing.json",
    ]
    reviews = import_reviews(exported, files)
    said = "\n".join(reviews.problems)
    for expected in (
        "accuracy is 6, expected a whole number from 1 to 5",
        "unknown scale beauty",
        "2 case(s) are not fully rated: case-001, case-002",
        "not in the text: 'never said'",
        "unknown kind of mark 'odd'",
        "unknown case case-099",
        "a second sheet of AB",
        "other.json: belongs to another review",
        "cut.json: cannot be read",
        "no.xlsx: is not a review workbook",
        "missing.json: cannot be read",
    ):
        assert expected in said, expected
    assert list(reviews.by_reviewer) == ["AB"] and len(reviews.by_reviewer["AB"]) == 7


def test_nothing_usable_is_an_error(exported, tmp_path, items, answers):
    with pytest.raises(EvaluationError, match="Not one usable"):
        import_reviews(exported, [written(tmp_path, "a.json", "{}")])
    with pytest.raises(EvaluationError, match="no key"):
        import_reviews(tmp_path, [])
    with pytest.raises(EvaluationError, match="no case"):
        make_cases([type(items[0])(items[0].id, "q")], answers)


FILL = """
<script>
addEventListener("load", () => {
  document.getElementById("reviewer").value = "AB";
  for (const section of document.querySelectorAll("section")) {
    const box = section.querySelector(".text"), range = document.createRange();
    const mark = (from, to, kind) => {
      const whole = document.createTreeWalker(box, NodeFilter.SHOW_TEXT), points = [];
      for (let at = 0, node; (node = whole.nextNode()); at += node.length)
        for (const point of [from, to]) if (point >= at && point <= at + node.length && !points[point]) points[point] = [node, point - at];
      range.setStart(...points[from]); range.setEnd(...points[to]);
      getSelection().removeAllRanges(); getSelection().addRange(range);
      section.querySelector("button." + kind).click();
    };
    mark(0, 5, "beyond"); mark(6, 9, "differing");
    section.querySelectorAll("input[value='4']").forEach(input => input.click());
  }
  const saved = URL.createObjectURL;
  URL.createObjectURL = blob => { blob.text().then(text => { document.body.textContent = "SAVED" + text + "SAVED"; }); return "#"; };
  document.getElementById("save").click();
});
</script>
"""


def test_a_browser_fills_the_sheet(exported, key, tmp_path):
    """Marks, scores and the saved file by the page's own script, in Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here (Debian: chromium) to fill the sheet with")
    page = tmp_path / "review.html"
    page.write_text((exported / "review.html").read_text() + FILL)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=4000", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False).stdout
    content = json.loads(html.unescape(dom.split("SAVED")[1]))
    reviews = import_reviews(exported, [written(tmp_path, "ab.json", content)])
    assert not reviews.problems and len(reviews.by_reviewer["AB"]) == 8
    for case, review in reviews.by_reviewer["AB"].items():
        text = key["cases"][case]["text"]
        assert [(mark.kind, mark.quote) for mark in review.highlights] == [
            ("beyond", text[:5].strip()),
            ("differing", text[6:9].strip()),
        ]
        assert set(review.scores.values()) == {4}


def test_the_page_picture_is_readable(exported):
    from PIL import Image

    sheet = load_workbook(exported / "review.xlsx")["Review"]
    picture = Image.open(io.BytesIO(sheet._images[0]._data()))
    assert picture.width > 1000 and len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 10
