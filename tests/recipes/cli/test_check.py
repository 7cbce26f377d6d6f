# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem check` as a user runs it."""

import json

from typer.testing import CliRunner

from processing.errors_gem import EcgFormatError
from recipes.cli import app

NORMAL = "processing/samples/normal.hea"


def run(*arguments, **kwargs):
    return CliRunner().invoke(app, ["check", *map(str, arguments)], **kwargs)


def test_table_and_scores(tmp_path):
    text = tmp_path / "report.txt"
    text.write_text("Sinus rhythm. ST elevation in V5 [marked].", encoding="utf-8")
    result = run(NORMAL, "--text", text)
    assert result.exit_code == 0
    assert "supported" in result.output and "contradicted" in result.output and "precision: 0.50" in result.output


def test_json_from_standard_input():
    result = run(NORMAL, "--text", "-", "--json", input="Sinus rhythm with ST elevation in V5.")
    report = json.loads(result.output)
    assert [item["verdict"] for item in report["checked"]] == ["supported", "contradicted"]
    assert report["hallucinated_lead_rate"] == 1


def test_strict_fails_on_contradictions():
    wrong = run(NORMAL, "--text", "-", "--strict", input="ST elevation in V5.")
    assert wrong.exit_code == 1 and "contradicted" in wrong.output and "contradiction rate: 1.00" in wrong.output
    right = run(NORMAL, "--text", "-", "--strict", input="Sinus rhythm.")
    assert right.exit_code == 0 and "contradicted" not in right.output and "precision: 1.00" in right.output


def test_bad_texts_are_named(tmp_path):
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Sinusrhythmus, Herzachse überdreht".encode("latin-1"))
    for text, words in ((latin, "UTF-8"), ("-", "no text"), (tmp_path / "absent.txt", "absent.txt")):
        result = run(NORMAL, "--text", text, input="  \n")
        assert isinstance(result.exception, (EcgFormatError, OSError)) and words in str(result.exception)


def test_help_explains_the_command():
    assert "gem interpret record.hea --json" in run("--help").output
