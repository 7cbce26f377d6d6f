# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The `gem` command on real and broken input."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from typer.testing import CliRunner

from modeling_gem import default_checkpoint, load_ecg
from recipes.cli import app, main
from recipes.models import NOT_A_DEVICE, load_gem
from tests.helpers.shared_data import shared_path

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "processing" / "samples"


def gem(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Runs the command in its own process, with errors and exit codes."""
    code = "import sys; sys.argv[0] = 'gem'; from recipes.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200", "PYTHONPATH": str(ROOT)},
        timeout=300,
        check=False,
    )


def invoke(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


@pytest.mark.parametrize("verb", ["interpret", "info", "convert", "inspect", "render", "features"])
def test_help_explains_the_command(verb):
    result = invoke(verb, "--help")
    assert result.exit_code == 0 and "Usage" in result.stdout and len(result.stdout) > 400


def test_interpret_streams_an_interpretation_and_saves_the_page(tmp_path):
    result = gem("interpret", SAMPLES / "normal.hea", "--save-page", tmp_path / "page.png")
    assert result.returncode == 0, result.stderr
    assert "Sinus rhythm, " in result.stdout and "Impression: " in result.stdout
    assert "\nmeasured: 68 bpm, " in result.stdout and "[/" not in result.stdout
    notice, strength, verdicts = result.stdout.strip().splitlines()[-3:]
    assert notice == NOT_A_DEVICE and "rhythm accuracy 0." in strength and "superclass macro F1 0." in strength
    assert re.fullmatch(r"claims: \d+ contradicted, \d+ supported, \d+ not measurable", verdicts)
    assert Image.open(tmp_path / "page.png").size == (336, 336)


def test_words_that_the_embedded_model_was_not_taught_are_named():
    asked = "interpret", SAMPLES / "normal.hea", "--modality", "signal", "-q", "Is there a zigzag at the helipad?"
    said = " ".join(invoke(*asked).output.split())
    assert "was not taught 'zigzag', 'helipad'" in said
    assert "was not taught" in json.loads(invoke(*asked, "--json").stdout)["question_doubt"]


def test_interpret_as_json_with_measurements_of_the_same_record():
    result = invoke(
        "interpret", SAMPLES / "atrial_fibrillation.hea", "--json", "--modality", "signal", "-q", "What is the rhythm?"
    )
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    assert (
        output["question"] == "What is the rhythm?" and output["interpretation"] and output["question_doubt"] is None
    )
    assert output["notice"] == NOT_A_DEVICE and len(output["measurements"]["II"]["RR Interval 1"]) > 5


def test_interpret_stops_at_the_length_that_is_asked_for():
    short, long = (
        json.loads(
            invoke("interpret", SAMPLES / "normal.hea", "--modality", "signal", "--json", "--max-new-tokens", n).stdout
        )
        for n in (4, 40)
    )
    assert long["interpretation"].startswith(short["interpretation"])
    assert 0 < len(short["interpretation"]) < len(long["interpretation"])


def test_interpret_a_real_record():
    record = shared_path("data/ptbxl_wfdb/records500/00000/00001_hr.hea")
    result = invoke("interpret", record.with_suffix(""))
    assert result.exit_code == 0 and "Impression: " in result.stdout


def test_interpret_a_photographed_page():
    photo = next(iter(sorted(shared_path("data/loaders/scans").glob("*.jpg"))))
    read = invoke("interpret", photo)
    assert read.exit_code in (0, 3) and "digitised from a picture" in read.stderr + read.stdout
    result = invoke("interpret", photo, "--no-digitize")
    assert result.exit_code == 0 and NOT_A_DEVICE in result.stdout
    lines = result.stdout.strip().splitlines()
    assert lines[0] == lines[-1] == "picture only: not checked"
    assert ", from the page: rhythm accuracy" in lines[-2]  # not the better figures of signal and page


# Exit code and first word of the line.
UNREADABLE, DECLINED = (2, "error"), (3, "declined")


@pytest.mark.parametrize(
    ("name", "content", "message", "ending"),
    [
        ("absent.hea", None, "absent.hea", UNREADABLE),
        ("broken.hea", b"no header at all", "broken.hea", UNREADABLE),
        ("flat.npy", np.zeros((12, 5000), dtype=np.float32), "flat", DECLINED),
        ("short.npy", np.ones((12, 100), dtype=np.float32), "shorter than 1 s", DECLINED),
        ("eight.npy", np.random.default_rng(0).normal(size=(3, 5000)).astype(np.float32), "lead", UNREADABLE),
    ],
)
def test_bad_input_ends_in_one_clear_line(tmp_path, monkeypatch, capsys, name, content, message, ending):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    monkeypatch.setattr(sys, "argv", ["gem", "interpret", str(path), "--sampling-rate", "500"])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert (ended.value.code, error.partition(":")[0]) == ending and message in error.replace("\n", " ")


def test_json_says_why_there_is_no_answer(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((12, 5000), dtype=np.float32))
    result = invoke("interpret", tmp_path / "flat.npy", "--sampling-rate", 500, "--json")
    output = json.loads(result.stdout)
    assert result.exit_code == 3 and output["interpretation"] is None and "flat" in output["declined"]
    Image.new("RGB", (400, 300), "white").save(tmp_path / "white.png")
    result = invoke("interpret", tmp_path / "white.png", "--json")
    assert result.exit_code == 3 and "no ECG page" in json.loads(result.stdout)["declined"]


def test_bad_input_to_the_program_itself():
    result = gem("interpret", "absent.hea")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert result.stderr.startswith("error:") and "absent.hea" in result.stderr


def test_info_names_every_part():
    result = invoke("info")
    assert result.exit_code == 0
    for part in ("ECG tower", "image tower", "shared projector", "language model", "51 tokens"):
        assert part in result.stdout
    told = [int(count.replace(",", "")) for count in re.findall(r"([\d,]+) │ float32", result.stdout)]
    with safe_open(default_checkpoint() / "model.safetensors", "pt") as weights:
        stored = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    assert len(told) == 5 and sum(told) == stored


def test_convert_and_interpret_with_the_converted_model(tmp_path):
    fixture = ROOT / "tests" / "fixtures" / "original_f1"
    result = invoke("convert", fixture / "checkpoint" / "llava-gem-F1", tmp_path / "gem", "--remote-code")
    assert result.exit_code == 0, result.output
    assert "unfreeze_mm_vision_tower" in result.stdout and "left out: 1 weights" in result.stdout
    assert (tmp_path / "gem" / "modeling_gem.py").is_file()
    said = ("--model", tmp_path / "gem", "--max-new-tokens", 5, "--trust-remote-code")
    result = invoke("interpret", SAMPLES / "normal.hea", *said)
    assert result.exit_code == 0, result.output


def test_inspect_render_and_features_of_one_record(tmp_path):
    inspected = json.loads(invoke("inspect", SAMPLES / "normal.hea", "--json").stdout)
    assert inspected["sampling_rate_hz"] == 500 and len(inspected["leads"]) == 12
    shown = invoke("inspect", SAMPLES / "normal.hea")
    assert shown.exit_code == 0 and shown.stdout.splitlines()[0] == f"{SAMPLES / 'normal.hea'}: ok"
    assert "Length  10 s, 5,000 samples at 500 Hz" in shown.stdout and "sampling_rate_hz" not in shown.stdout
    assert all(re.search(rf"^ {lead} +good", shown.stdout, re.M) for lead in inspected["leads"])
    drawn = invoke("render", SAMPLES / "normal.hea", tmp_path / "page.png", "--layout", "6x2")
    assert drawn.exit_code == 0 and drawn.output.strip() == "", "one page is drawn without a word"
    assert Image.open(tmp_path / "page.png").size[0] > 1000
    measured = json.loads(invoke("features", SAMPLES / "normal.hea", "--json").stdout)
    assert 60 < measured["II"]["Heart Rate"][1] < 76
    result = invoke("features", SAMPLES / "normal.hea", "--text", "--plot", tmp_path / "waves.png")
    assert result.exit_code == 0 and Image.open(tmp_path / "waves.png").size[0] > 300
    lines = result.stdout.splitlines()
    assert lines[0].endswith("normal.hea") and lines[1].startswith("11 beats in 10.0 s, rhythm regular, HR 68 bpm")


def test_folders_report_failures_and_go_on(tmp_path):
    for name in ("normal.hea", "normal.dat"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    (tmp_path / "broken.npy").write_bytes(b"no array")
    for verb in (
        ("inspect", tmp_path, "--json"),
        ("features", tmp_path, "--json"),
        ("render", tmp_path, tmp_path / "out"),
    ):
        result = gem(*verb)
        assert result.returncode == 1
        assert "1 of 2 records done" in result.stderr and "broken.npy" in result.stderr, verb
    assert (tmp_path / "out" / "normal.png").is_file()


def test_default_checkpoint_is_small_and_safe_and_has_a_card():
    folder = default_checkpoint()
    weights = list(folder.glob("*.safetensors"))
    assert 0 < sum(path.stat().st_size for path in weights) <= 40e6
    assert not list(folder.glob("*.bin")) and (folder / "README.md").is_file()


def test_interpret_writes_the_evidence(tmp_path):
    target = tmp_path / "evidence.html"
    result = invoke("interpret", SAMPLES / "normal.hea", "--modality", "signal", "--evidence", target, "--json")
    assert result.exit_code == 0, result.output
    output = json.loads(result.stdout)
    assert output["grounding"] == "flag" and len(output["claims"]) > 3
    assert f'id="claim-{len(output["claims"])}"' in target.read_text()


@pytest.mark.parametrize("arguments", [("out.pdf",), ("out.png", "--grounding", "off")])
def test_evidence_that_cannot_be_is_refused_before_the_model_is_loaded(arguments, tmp_path):
    result = invoke("interpret", SAMPLES / "normal.hea", "--evidence", tmp_path / arguments[0], *arguments[1:])
    assert result.exit_code == 2 and "--evidence" in result.output


def test_evidence_on_a_picture_that_cannot_be_digitised_says_why(tmp_path):
    page = tmp_path / "page.png"
    load_gem()[1].page(load_ecg(SAMPLES / "normal.hea")).save(page)
    result = invoke("interpret", page, "--evidence", tmp_path / "out.png")
    words = " ".join(result.output.replace("│", " ").split())
    assert result.exit_code == 2 and "no signal was recovered from the picture" in words
