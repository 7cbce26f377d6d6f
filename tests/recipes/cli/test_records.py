# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Output of the command line: verdicts, remedies as options, tables on narrow and wide terminals, grouped help."""

import inspect
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from processing.chat_gem import SOURCE_NAMES
from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_page_layout import LAYOUTS
from processing.ecg_readers import load_ecg
from processing.ecg_rules import high_voltage_criteria, is_long_qtc, is_wide_qrs
from processing.untrusted.budget import ReadBudget
from recipes.cli import PANELS, app, models, records
from recipes.cli.tables import print_features
from recipes.record_options import ReadingOptions, RecordOptions, as_options, say_passed_over
from tests.helpers.disturbances import with_exchanged_arms

SAMPLES = Path(__file__).resolve().parents[3] / "processing" / "samples"
NORMAL = load_ecg(SAMPLES / "normal.hea")


def gem(*arguments: object, columns: int = 200):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": str(columns)})


def csv(path: Path, signal: np.ndarray, leads: tuple[str, ...] = NORMAL.leads) -> Path:
    heads = ",".join(f"{lead} (mV)" for lead in leads)
    np.savetxt(path, signal.T, fmt="%.6f", delimiter=",", header=heads, comments="")
    return path


def test_the_options_are_keywords_of_load_ecg_and_of_chats():
    options = set(RecordOptions.__dataclass_fields__) - {"page"}  # of pictures alone, for `digitize_ecg`
    assert options == set(SOURCE_NAMES) and options <= set(inspect.signature(load_ecg).parameters)


def test_the_limits_of_a_file_of_unknown_origin_are_those_of_a_budget():
    options = ReadingOptions(untrusted=True)
    assert set(ReadingOptions.__dataclass_fields__) - set(RecordOptions.__dataclass_fields__) == {
        "untrusted",
        *ReadBudget.__dataclass_fields__,
    }
    assert options.budget == ReadBudget()


def test_a_file_that_takes_too_much_is_skipped_and_the_others_are_measured(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    csv(folder / "small.csv", NORMAL.signal)
    csv(folder / "big.csv", np.tile(NORMAL.signal, 60))  # more than the free memory of a process that ran other tests
    limits = ("--sampling-rate", 500, "--untrusted", "--megabytes", 24, "--wall-seconds", 120)
    result = gem("features", folder, *limits, "--output", tmp_path / "f.jsonl", "--workers", 0, columns=1000)
    assert result.exit_code == 1
    assert "big.csv: to read it takes more than 24 MB of memory" in result.output
    assert "--megabytes 48" in result.output
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert {Path(line["id"]).stem: "features" in line for line in lines} == {"small": True, "big": False}


@pytest.mark.parametrize("verb", [records.inspect, records.render, records.features, records.check, models.interpret])
def test_every_command_that_reads_a_record_has_every_option(verb):
    said = gem(verb.__name__, "--help").stdout
    assert all(f"--{name.replace('_', '-')}" in said for name in ReadingOptions.__dataclass_fields__)


@pytest.mark.parametrize(
    ("message", "option"),
    [
        ("Pass `unit='uV'`, or `gain=` in counts.", "Pass --unit uV, or --gain in counts."),
        ("name rows with `leads=['I', 'II', ...]`", "name rows with --leads I,II"),
        ("choose `index=0` to `index=3`", "choose --index 0 to --index 3"),
        ("`missing_leads='mask'` or `nan_policy='zero'`", "--missing-leads mask or `nan_policy='zero'`"),
    ],
)
def test_a_remedy_is_named_as_a_command_line_option(message, option):
    assert as_options(message) == option


@pytest.mark.parametrize("verb", ["inspect", "features", "render", "check"])
def test_every_command_refuses_a_bad_record_and_the_named_option_helps(verb, tmp_path):
    path = csv(tmp_path / "counts.csv", NORMAL.signal * 1000)
    more = {"render": [tmp_path / "page.png"], "check": ["--text", tmp_path / "text"]}.get(verb, [])
    (tmp_path / "text").write_text("Sinus rhythm.")
    result = gem(verb, path, *more, "--sampling-rate", 500)
    assert result.exit_code != 0 and "spans" in str(result.exception) and "`unit='uV'`" in str(result.exception)
    assert "Sokolow" not in result.output and not (tmp_path / "page.png").exists()
    assert gem(verb, path, *more, "--sampling-rate", 500, "--unit", "uV").exit_code == 0


def test_a_refused_record_is_declined_before_a_model_is_loaded(tmp_path):
    path = csv(tmp_path / "counts.csv", NORMAL.signal * 1000)
    result = gem("interpret", path, "--sampling-rate", 500, "--model", "no/such/model")
    assert result.exit_code == 3 and not result.stdout
    assert result.stderr.startswith("declined: ") and "spans" in result.stderr and "--unit uV" in result.stderr


def test_a_refused_record_is_left_out_of_a_folder(tmp_path):
    csv(tmp_path / "counts.csv", NORMAL.signal * 1000)
    csv(tmp_path / "good.csv", NORMAL.signal)
    result = gem("features", tmp_path, "--sampling-rate", 500, "--output", tmp_path / "features.jsonl")
    lines = {line["id"]: line for line in map(json.loads, (tmp_path / "features.jsonl").read_text().splitlines())}
    assert result.exit_code == 1 and "features" in lines["good.csv"] and "spans" in lines["counts.csv"]["error"]
    (tmp_path / "counts.csv").unlink()
    csv(tmp_path / "tenth.csv", NORMAL.signal / 10)
    result = gem("features", tmp_path, "--sampling-rate", 500, "--output", tmp_path / "features.jsonl", "--workers", 0)
    assert result.exit_code == 3 and "suspect tenth.csv: lead" in result.output.replace("\n", " ")


def test_a_suspect_record_says_so_first_and_ends_with_its_own_exit_code(tmp_path):
    path = csv(tmp_path / "tenth.csv", NORMAL.signal / 10)
    quick = ("--modality", "signal", "--max-new-tokens", 4)
    for verb, more in (("inspect", ()), ("features", ()), ("interpret", quick)):
        result = gem(verb, path, "--sampling-rate", 500, *more)
        assert result.exit_code == 3 and result.stdout.splitlines()[0].startswith(f"{path}: suspect: ")
        assert "--unit uV" in result.stdout.splitlines()[0]
    result = gem("features", path, "--sampling-rate", 500, "--json")
    told = json.loads(result.stdout)["record"]
    assert result.exit_code == 3 and told["plausibility"]["verdict"] == "suspect" and told["sokolow_lyon"] is None
    result = gem("interpret", path, "--sampling-rate", 500, "--json", *quick)
    assert result.exit_code == 3 and json.loads(result.stdout)["plausibility"]["verdict"] == "suspect"
    assert gem("render", tmp_path, tmp_path / "out", "--sampling-rate", 500).exit_code == 3


def test_leads_name_rows_or_choose_among_named_ones(tmp_path):
    chosen = json.loads(gem("inspect", SAMPLES / "normal.hea", "--leads", "V5, ii", "--json").stdout)
    assert chosen["leads"] == ["V5", "II"]
    batch = tmp_path / "features.jsonl"
    assert (
        gem("features", SAMPLES / "normal.hea", "--leads", "V5, ii", "--output", batch, "--workers", 1).exit_code == 0
    )
    measured = json.loads(batch.read_text())["features"]
    assert list(measured)[:2] == ["V5", "II"] and "V1" not in measured
    np.save(tmp_path / "rows.npy", NORMAL.signal[[1, 6]])
    named = json.loads(
        gem("inspect", tmp_path / "rows.npy", "--leads", "II,V1", "--sampling-rate", 500, "--json").stdout
    )
    assert named["leads"] == ["II", "V1"]
    masked = gem("inspect", SAMPLES / "normal.hea", "--leads", "II", "--missing-leads", "mask", "--json")
    assert json.loads(masked.stdout)["leads"][0] == "II" and len(json.loads(masked.stdout)["leads"]) == 12
    part = gem("inspect", SAMPLES / "normal.hea", "--start", 2, "--seconds", 4, "--json")
    assert json.loads(part.stdout)["duration_s"] == 4
    assert "--gain is one number" in str(gem("inspect", SAMPLES / "normal.hea", "--gain", "much").exception)


def test_inspect_names_assumed_and_derived_leads(tmp_path):
    said = gem("inspect", csv(tmp_path / "two.csv", NORMAL.signal[:2], ("I", "II")), "--sampling-rate", 500).stdout
    assert re.search(r"^Names +derived from what the file says \(III, aVR, aVL, aVF\)", said, re.M)
    assert re.search(r"^Rate +given with the options \(all leads\)", said, re.M) and "Units" not in said
    np.save(tmp_path / "rows.npy", NORMAL.signal)
    said = gem("inspect", tmp_path / "rows.npy", "--sampling-rate", 500).stdout
    assert re.search(r"^Units +assumed, not stated by the file \(all leads\)", said, re.M)
    assert "not stated" not in gem("inspect", SAMPLES / "normal.hea").stdout


def test_one_lead_is_interpreted_with_a_note_about_missing_leads(tmp_path):
    path = tmp_path / "one.npy"
    np.save(path, np.tile(NORMAL.signal[1:2], 2))
    said = ("--sampling-rate", 500, "--leads", "II", "--modality", "signal")
    refused = gem("interpret", path, *said)
    assert refused.exit_code == 1 and "missing_leads='mask'" in str(refused.exception)
    shown = gem("interpret", path, *said, "--missing-leads", "mask", "--max-new-tokens", 4)
    assert shown.exit_code == 0, shown.output
    assert "the model gets zeros for I, III" in shown.stdout and "the first 10 of 20 s; --start" in shown.stdout


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("verb", ["inspect", "features"])
def test_tables_fit_the_terminal(verb, columns):
    result = gem(verb, SAMPLES / "inferior_infarction.hea", columns=columns)
    tables = [line for line in result.stdout.splitlines() if not line.startswith(("- ", str(SAMPLES), "File"))]
    assert result.exit_code == 0 and max(map(len, tables)) <= columns
    assert not re.search(
        r"[a-z]_[a-z]|nan|-0\.00", "\n".join(tables).replace("ecg_limits", "").replace("inferior_inf", "")
    )


def test_features_are_marked_where_they_are_out_of_range():
    said = gem("features", SAMPLES / "left_bundle_branch_block.hea").stdout
    assert re.search(r"QRS duration +\d{3} +ms +below 120 +> high", said)
    assert re.search(r"Heart rate +\d+ +bpm +60 to 100 *$", said, re.M)
    text = gem("features", SAMPLES / "left_bundle_branch_block.hea", "--text").stdout
    assert "beats in 10.0 s, rhythm" in text and "below 120" not in text


def test_help_is_grouped_and_there_is_a_version():
    said = gem("--help", columns=100).stdout
    places = [said.index(f"─ {panel} ─") for panel in PANELS]
    assert places == sorted(places) and said.index(" inspect ") < said.index(" features ") < said.index(" eval ")
    version = gem("--version")
    assert version.exit_code == 0 and version.stdout.startswith("gem-ecg")


def test_pages_with_measures_header_chosen_leads_and_as_pdf(tmp_path):
    heights = {}
    for name, more in {"plain": (), "measures": ("--measures", "--header", "Study 7", "--header", "at rest")}.items():
        assert gem("render", SAMPLES / "normal.hea", tmp_path / f"{name}.png", *more).exit_code == 0
        heights[name] = Image.open(tmp_path / f"{name}.png").height
    assert heights["measures"] - heights["plain"] == 8 * 5 * 4, "two lines of header, two of measures, 8 px per mm"
    strip = ("--layout", "12x1", "--leads", "II,V1", "--start", 2, "--seconds", 4)
    assert gem("render", SAMPLES / "normal.hea", tmp_path / "strip.pdf", *strip).exit_code == 0
    assert (tmp_path / "strip.pdf").read_bytes().startswith(b"%PDF")
    assert gem("render", SAMPLES / "normal.hea", tmp_path / "c.png", "--leads", "cabrera").exit_code == 0
    refused = gem("render", SAMPLES / "normal.hea", tmp_path / "m.png", "--measures", "--layout", "square_12x1")
    assert refused.exit_code == 1 and "a page that models see" in str(refused.exception)


@pytest.mark.parametrize(
    ("sex", "age", "words"), [("M", None, "men at"), ("F", 34, "women of 34 years"), (None, None, "adults")]
)
def test_the_table_marks_what_the_rules_call_abnormal(sex, age, words):
    measured = extract_features(NORMAL)
    for qtc, duration, cornell in ((455.0, 100.0, 1.0), (465.0, 119.0, 2.2), (430.0, 120.0, 3.0)):
        features = replace(measured, sex=sex, age=age, qtc_bazett=qtc, qrs_duration=duration, cornell=cornell)
        console = Console(width=100, record=True, file=io.StringIO())
        print_features(console, features)
        shown = console.export_text()
        for name, high in (
            (r"QTc \(Bazett\)", is_long_qtc(features)),
            ("QRS duration", is_wide_qrs(features)),
            ("Cornell", "Cornell" in high_voltage_criteria(features)),
        ):
            assert bool(re.search(rf"{name} .*> high", shown)) == high, (name, qtc, duration, cornell)
        assert words in shown


def test_a_wfdb_record_in_a_folder_hides_no_table_and_what_is_left_out_is_said(tmp_path):
    folder = tmp_path / "mix"
    folder.mkdir()
    for suffix in (".hea", ".dat"):
        shutil.copy(SAMPLES / f"normal{suffix}", folder)
    for name in ("a.csv", "a.txt"):
        csv(folder / name, NORMAL.signal)
    (folder / "RECORDS").write_text("normal\n")
    rate = ("--sampling-rate", 500)
    for verb in ("features", "inspect"):
        result = gem(verb, folder, "--json", *rate)
        assert result.exit_code == 0 and len(list(map(json.loads, result.stdout.splitlines()))) == 3
        assert "3 of 3 records done" in result.stderr
        assert "left out: 1 file (RECORDS: a list or notes of a data set)" in result.stderr
    result = gem("features", folder, "--output", tmp_path / "f.jsonl", "--workers", 0, *rate)
    assert result.exit_code == 0 and "3 measured" in result.stderr and "left out: 1 file (RECORDS" in result.stderr
    assert gem("render", folder, tmp_path / "pages", *rate).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["a.png", "a.txt.png", "normal.png"]
    (folder / "page.png").write_bytes((tmp_path / "pages" / "normal.png").read_bytes())
    answers = tmp_path / "m.parquet"
    result = gem("interpret", folder, "--output", answers, "--max-new-tokens", 8, *rate)
    assert result.exit_code == 0 and "left out: 1 file (RECORDS" in result.stderr
    rows = {row["id"]: row for row in pq.read_table(answers).to_pylist()}
    assert list(rows) == ["a.csv", "a.txt", "normal.hea", "page.png"] and all(row["text"] for row in rows.values())
    assert rows["page.png"]["history"][0].startswith("digitised from a picture")


def test_a_page_in_a_folder_is_answered_alone_where_it_is_not_digitised(tmp_path):
    assert gem("render", SAMPLES / "normal.hea", tmp_path / "page.png").exit_code == 0
    (tmp_path / "notes.txt").write_text("none")
    answers = tmp_path / "m.parquet"
    asked = ("--output", answers, "--max-new-tokens", 8, "--modality", "image")
    assert gem("interpret", tmp_path, *asked).exit_code == 0
    (row,) = pq.read_table(answers).to_pylist()
    assert (
        row["id"] == "page.png" and row["text"] and row["grounding"] == "off (picture only)" and row["claims"] is None
    )


def test_an_answer_that_was_cut_off_is_marked(tmp_path):
    path = SAMPLES / "first_degree_av_block.hea"
    asked = ("--modality", "signal", "--max-new-tokens", 21)
    found = json.loads(gem("interpret", path, *asked, "--json").stdout)
    assert found["interpretation"].endswith("The QRS axis is 7") and found["cut_off"] is True
    assert "measured 68 degrees" not in json.dumps(found["spans"])
    assert "cut off after 21 tokens" in gem("interpret", path, *asked).stdout
    assert json.loads(gem("interpret", path, "--modality", "signal", "--json").stdout)["cut_off"] is False
    for suffix in (".hea", ".dat"):
        shutil.copy(SAMPLES / f"first_degree_av_block{suffix}", tmp_path)
        shutil.copy(SAMPLES / f"normal{suffix}", tmp_path)
    result = gem("interpret", tmp_path, "--output", tmp_path.with_suffix(".a"), *asked)
    rows = pq.read_table(tmp_path.with_suffix(".a")).to_pylist()
    assert [row["cut_off"] for row in rows] == [True, True] and rows[0]["text"] == found["interpretation"]
    assert rows[0]["contradicted"] == 0 and "2 cut off after 21 tokens; the unfinished last word" in result.stderr
    question = ("-q", "Is the rhythm regular? Answer yes or no.", "--modality", "signal")
    assert gem("interpret", tmp_path, "--output", tmp_path.with_suffix(".b"), *question).exit_code == 0
    assert [row["cut_off"] for row in pq.read_table(tmp_path.with_suffix(".b")).to_pylist()] == [False, False]


def test_an_answer_that_calls_an_ecg_none_is_marked(tmp_path):
    np.save(tmp_path / "three.npy", load_ecg(SAMPLES / "normal.hea").signal[:, :1500])
    asked = ("--modality", "signal", "--sampling-rate", 500)
    said = "The model calls this no ECG; the heartbeat check found one (3 beats at 70 bpm)."
    assert said in gem("interpret", tmp_path / "three.npy", *asked).stdout
    assert json.loads(gem("interpret", tmp_path / "three.npy", *asked, "--json").stdout)["denied_ecg"] == said
    assert gem("interpret", tmp_path, "--output", tmp_path.with_suffix(".a"), *asked).exit_code == 0
    assert [row["denied_ecg"] for row in pq.read_table(tmp_path.with_suffix(".a")).to_pylist()] == [said]
    usual = gem("interpret", SAMPLES / "normal.hea", "--modality", "signal", "--json")
    assert json.loads(usual.stdout)["denied_ecg"] is None


def test_a_doubtful_recording_is_told_below_the_answer(tmp_path):
    record = load_ecg(SAMPLES / "normal.hea")
    np.save(tmp_path / "arms.npy", with_exchanged_arms(record.signal))
    asked = ("--modality", "signal", "--sampling-rate", 500, "--max-new-tokens", 12)
    said = "electrodes exchanged? left arm and right arm"
    assert f"the recording: {said}" in gem("interpret", tmp_path / "arms.npy", *asked).stdout
    assert said in json.loads(gem("interpret", tmp_path / "arms.npy", *asked, "--json").stdout)["cautions"]
    assert json.loads(gem("interpret", SAMPLES / "normal.hea", *asked[:2], "--json").stdout)["cautions"] == []


@pytest.mark.parametrize("number", [0, -3])
def test_an_answer_has_a_token_at_least(number):
    result = gem("interpret", SAMPLES / "normal.hea", "--max-new-tokens", number)
    assert result.exit_code == 2 and "--max-new-tokens" in result.stderr and "Traceback" not in result.output


@pytest.mark.parametrize("verb", ["inspect", "features", "render"])
def test_a_lead_that_is_not_in_the_file_is_named(tmp_path, verb):
    more = [tmp_path / "page.png"] if verb == "render" else []
    result = gem(verb, SAMPLES / "normal.hea", *more, "--leads", "II,V99")
    said = str(result.exception)
    assert result.exit_code == 1 and said.startswith(
        "normal.hea: V99 is not among its leads I, II, III, aVR, aVL, aVF, V1"
    )
    rows = gem(verb, SAMPLES / "normal.hea", *more, "--leads", "II,-")
    assert "2 lead names ['II', '-'] for 12 rows" in str(rows.exception)


def test_options_that_change_nothing_are_named_once(tmp_path):
    say_passed_over.cache_clear()
    for number in (1, 2):
        csv(tmp_path / f"{number}.csv", NORMAL.signal)
    shown = gem("inspect", tmp_path, "--sampling-rate", 500, "--page", "layout=3x4")
    assert shown.exit_code == 0 and shown.output.count("not used for recordings: --page") == 1


def test_a_page_is_read_in_part_and_its_paper_says_the_units(tmp_path):
    say_passed_over.cache_clear()
    page = tmp_path / "page.png"
    render_ecg(NORMAL).to_pil().save(page)
    shown = gem("inspect", page, "--unit", "uV", "--leads", "II,V1", "--seconds", 2, "--json")
    summary = json.loads(shown.stdout)
    assert set(summary["leads"]) == {"II", "V1"} and summary["duration_s"] == 2
    assert "not used for pictures: --unit" in shown.stderr
    assert {lead["name"] for lead in summary["evidence"].values()} == {"stated"}


def test_a_unit_that_was_given_wrongly_is_the_cause_and_no_cure(tmp_path):
    shown = gem("inspect", csv(tmp_path / "r.csv", NORMAL.signal), "--sampling-rate", 500, "--unit", "uV")
    assert "that was given does not fit" in str(shown.exception) and "If its numbers" not in str(shown.exception)


def test_a_text_is_about_one_record(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Sinus rhythm.")
    shown = gem("check", SAMPLES, "--text", text)
    assert "a text is about one record" in str(shown.exception)


def test_a_text_that_is_not_there_is_named(tmp_path):
    result = gem("check", SAMPLES / "normal.hea", "--text", tmp_path / "nofile.txt")
    assert str(result.exception).startswith(f"{tmp_path / 'nofile.txt'}: cannot be read (No such file")


def test_help_lists_every_layout():
    words = re.sub(r"\W*\n\W*", " ", gem("render", "--help").stdout)
    assert all(layout in words for layout in LAYOUTS) and "gem_6x2" in words


def test_a_page_is_described_in_words_and_for_scripts(tmp_path):
    page = tmp_path / "page.png"
    assert gem("render", SAMPLES / "normal.hea", page, "--layout", "3x4+1").exit_code == 0
    said = gem("inspect", page).stdout
    assert "layout 3x4+1, scale (speed 25.0, gain 10.0" in said and "DigitizedPage" not in said
    found = json.loads(gem("inspect", page, "--json").stdout)["metadata"]["page"]
    assert (
        found["layout"] == "3x4+1" and found["scale"]["speed"] == 25 and set(found["confidence"]) == set(NORMAL.leads)
    )


def test_what_was_changed_names_options(tmp_path):
    path = csv(tmp_path / "a.csv", NORMAL.signal, (*NORMAL.leads[:-1], "X9"))
    said = " ".join(gem("inspect", path, "--sampling-rate", 500).stdout.split())
    assert 'left out channels of unknown lead: "X9"; name them with --leads' in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--save-page", "page.txt"), "page.txt: name a .png or .jpg file"),
        (("--save-page", "page.png", "--modality", "signal"), "the model sees no picture"),
    ],
)
def test_a_page_that_cannot_be_saved_is_refused_before_the_model_is_loaded(monkeypatch, tmp_path, options, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "_load", lambda *_: pytest.fail("loads the model"))
    result = gem("interpret", SAMPLES / "normal.hea", *options)
    assert result.exit_code == 2 and said in result.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "option", ["--json", "--no-digitize", "--trust-remote-code", "--evidence", "--save-page", "--image"]
)
def test_options_of_one_record_are_refused_for_many(tmp_path, option):
    value = ("a.png",) if option in ("--evidence", "--save-page", "--image") else ()
    result = gem("interpret", SAMPLES, "--output", tmp_path / "a.parquet", option, *value)
    assert result.exit_code == 2 and f"Invalid value for {option}: goes with one record" in result.stderr


@pytest.mark.parametrize("command", [("inspect",), ("features",), ("render", "out")])
def test_a_folder_without_a_record_is_an_error(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "page.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    name, *rest = command
    result = gem(name, "notes", *rest)
    said = " ".join(str(result.exception).split())
    assert (
        result.exit_code != 0 and said == "notes: no ECG in it. left out: 1 file (page.png: a picture; name it alone)"
    )


def test_features_show_what_must_be_known_of_the_record(tmp_path):
    signal = NORMAL.signal.copy()
    signal[:, 2500:] *= 0.03
    signal[8] *= -1
    np.save(tmp_path / "half.npy", signal)
    shown = gem("features", tmp_path / "half.npy", "--sampling-rate", 500, columns=300).stdout
    assert "no heartbeat is found after" in shown and "lead upside down? V3" in shown
