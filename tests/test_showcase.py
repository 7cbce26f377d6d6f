# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The samples and every command of README and docs that interprets one: no wrong statement is shown without a mark."""

import json
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from modeling_gem.interpretation import Interpretation
from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from recipes.cli import app
from recipes.dataset.samples import BEYOND_TRAINING, RECORDS, SAMPLES, TABLE, TRUTH, truth_of
from recipes.embedded import records as training
from recipes.sources.statements import RHYTHMS, STATEMENTS, in_words
from recipes.teachers.diagnoses import diagnoses_in, not_stated
from tests.test_readme import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGE = runpy.run_path(str(ROOT / "docs" / "make_samples.py"))
TRUE = json.loads(TRUTH.read_text(encoding="utf-8"))
INTERPRETED = sorted(
    {
        re.sub(r" --(?:save-page|evidence) \S+| --json", "", command)
        for commands in COMMANDS.values()
        for command in commands
        if command.startswith("gem interpret processing/samples/")
    }
)


@pytest.fixture(scope="module")
def answers() -> dict[str, Interpretation]:
    return PAGE["rows"]()


def _stated(name: str) -> str:
    return ". ".join(TRUE[name]["diagnoses"])


def test_there_are_six_to_eight_samples_with_one_truth():
    assert 6 <= len(RECORDS) <= 8 and set(RECORDS) == set(TRUE) == {path.stem for path in SAMPLES.glob("*.hea")}
    table = dict(line.split(",") for line in TABLE.read_text().splitlines()[1:])
    for name, truth in TRUE.items():
        known = [code for code in truth["codes"] if code in STATEMENTS or code in RHYTHMS]
        assert table.get(f"{name}.hea", "") == ";".join(known), "run python -m recipes.dataset.samples"


@pytest.mark.parametrize("name", RECORDS)
def test_a_sample_is_what_the_simulator_draws(name):
    ecg = simulate_ecg(**RECORDS[name])
    assert truth_of(ecg) == TRUE[name], "run python -m recipes.dataset.samples"
    record = load_ecg(SAMPLES / f"{name}.hea")
    assert np.abs(record.signal - ecg.record.signal).max() <= 0.0006, "stored in microvolts"
    labels = ". ".join(in_words(code, "snomed") for code in record.labels)
    # SNOMED's codes of ECGs have none for a normal one.
    assert diagnoses_in(labels) == diagnoses_in(_stated(name)) - {"normal ECG"}


def test_no_training_data_are_drawn_with_these_seeds(monkeypatch):
    """Training's own seeds, as many as it draws, for the seeds that its commands use."""
    drawn: set[int] = set()

    first = simulate_ecg(duration=1, seed=0)

    def note(*_, seed: int, **__):
        drawn.add(seed)
        return first

    monkeypatch.setattr(training, "simulate_ecg", note)
    for seed in range(3):
        assert len(list(training.simulated_items(training.SIMULATED, seed + 1))) == training.SIMULATED
    used = {settings["seed"] for settings in RECORDS.values()}
    assert len(drawn) > training.SIMULATED and not used & drawn and max(drawn) < BEYOND_TRAINING


@pytest.mark.parametrize("name", RECORDS)
def test_measurements_agree_with_the_truth(name):
    features = extract_features(load_ecg(SAMPLES / f"{name}.hea"))
    assert features.plausibility.verdict == "ok"
    report = check_grounding(f"{_stated(name)}.", features)
    wrong = [f"{claim.claim.quote}: {claim.explanation}" for claim in report.claims if claim.verdict == "contradicted"]
    assert report.claims and not wrong


@pytest.mark.parametrize("name", RECORDS)
def test_what_the_waveform_contradicts_is_marked(name, answers):
    found = answers[name]
    assert found.grounding == "flag" and found.claims, "checked, and with claims"
    marks = [span for span in found.spans if span.verdict == "contradicted"]
    for claim in found.claims:
        if claim.verdict == "contradicted":
            assert any(mark.start < claim.claim.end and claim.claim.start < mark.end for mark in marks), (
                claim.claim.quote
            )
    assert all(mark.measured for mark in marks)


def test_the_page_shows_what_the_model_gets_wrong(answers):
    """Exactly the false diagnoses are marked with a cross; measured values may change in the last digit."""

    def shape(text: str) -> str:
        return re.sub(r"\((?:[^()]|\([^()]*\))*measured(?:[^()]|\([^()]*\))*\)|\d+ of \d+", "", text)

    assert shape(PAGE["page"](answers)) == shape(PAGE["PAGE"].read_text(encoding="utf-8")), "run `make samples`"
    rows = {line.split("`")[1]: line for line in PAGE["PAGE"].read_text().splitlines() if line.startswith("| `")}
    for name, found in answers.items():
        shown = set(re.findall(r"not ([\w -]+?)(?=,|\*\*)", rows[name]))
        # What the waveform shows, as a long QTc, is not wrong because the label is silent about it.
        decided = {
            named
            for checked in found.report.claims
            if checked.verdict in ("contradicted", "supported")
            for named in diagnoses_in(checked.claim.quote)
        }
        assert set(not_stated(found.text, _stated(name))) <= shown | decided, name


def test_the_conversation_that_is_shown_is_what_the_model_answers(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    block = re.search(r"A chat goes on.*?```python\n(.*?)```.*?```text\n(.*?)```", page, re.DOTALL)
    assert block is not None
    exec(block[1], {})
    said, shown = (re.sub(r"\d+", "0", text) for text in (capsys.readouterr().out, block[2]))
    assert said == shown  # apart from the last digits of the numbers


def test_the_commands_are_found():
    assert len(INTERPRETED) >= 4 and any("first_degree_av_block" in command for command in INTERPRETED)


@pytest.mark.parametrize("command", INTERPRETED)
def test_a_command_shows_nothing_wrong_without_a_mark(command, monkeypatch):
    """Run as a reader would: the printed text holds the marks, and the JSON holds them in its keys."""
    monkeypatch.chdir(ROOT)
    name = Path(shlex.split(command)[2]).stem
    printed = CliRunner().invoke(app, [*shlex.split(command)[1:]])
    result = CliRunner().invoke(app, [*shlex.split(command)[1:], "--json"])
    assert printed.exit_code == result.exit_code == 0, printed.output
    answer = json.loads(result.stdout)
    for span in answer["spans"]:
        if span["verdict"] == "contradicted":
            quote = answer["interpretation"][span["start"] : span["end"]]
            assert f"{quote} [✗ {span['measured']}" in " ".join(printed.output.split()), quote
    contradicted = sum(claim["verdict"] == "contradicted" for claim in answer["claims"])
    assert f"claims: {contradicted} contradicted" in printed.output
    for diagnosis in not_stated(answer["interpretation"], _stated(name)):
        assert diagnosis in answer["label"]["not_stated"]
        assert f"✗ the answer says {diagnosis}, the label does not" in printed.output


def test_the_output_that_is_shown_is_what_is_printed(monkeypatch):
    """Of the page's first command; `...` marks what is left out."""
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "interpret.md").read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if line.startswith("gem interpret"))
    shown = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    printed = CliRunner().invoke(app, shlex.split(command)[1:]).output
    assert shown is not None
    parts = [part.strip() for line in shown[1].splitlines() for part in line.split("...") if part.strip()]
    places = [printed.find(part) for part in parts]
    assert len(parts) >= 5 and min(places) >= 0 and places == sorted(places), printed
