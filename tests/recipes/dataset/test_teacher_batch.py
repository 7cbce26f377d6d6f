# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A build with the batch API: questions exported, replies imported, second attempts, and rows without a single request."""

import json
from pathlib import Path

import pytest
from datasets import load_dataset

from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from processing.errors_gem import BuildError
from recipes.dataset.build import build_dataset
from recipes.dataset.settings import BuildSettings, settings_from
from recipes.dataset.teacher_batch import export_requests, import_replies
from recipes.teachers.template_reading import long_reading
from tests.helpers.chat_server import Answer, completion

SAMPLES = Path(__file__).resolve().parents[3] / "processing/samples"
FINDINGS = {"normal": ("NORM", "normal ECG"), "atrial_fibrillation": ("AFIB", "atrial fibrillation")}


def settings(folder: Path, **chat: object) -> BuildSettings:
    table = folder / "table.csv"
    table.write_text("file,labels\n" + "".join(f"{name}.hea,{code}\n" for name, (code, _) in FINDINGS.items()))
    # Nobody listens on port 9: a request that were sent would fail the build.
    endpoint = {
        "model": "m",
        "base_url": "http://127.0.0.1:9/v1",
        "cache_dir": str(folder / "replies"),
        "max_retries": 0,
    }
    prices = {"price_per_million_input": 1.0, "price_per_million_output": 2.0}
    return settings_from(
        {
            "output": str(folder / "out"),
            "sources": [{"format": "folder", "path": str(SAMPLES), "table": str(table)}],
            "split": {"method": "hash", "fractions": {"train": 1.0}},
            "teacher": {"kind": "remote", "chat": endpoint | prices | chat},
        }
    )


def answered(requests: Path, texts: dict[str, str]) -> Path:
    """The batch API's output: for each request a text with the right diagnosis."""
    lines = []
    for line in map(json.loads, requests.read_text().splitlines()):
        told = line["body"]["messages"][1]["content"]
        text = next(text for words, text in texts.items() if f"- {words}" in told)
        answer = json.dumps({"steps": [], "impression": [], "text": text})
        response = {"status_code": 200, "body": completion(Answer(answer))}
        lines.append(json.dumps({"custom_id": line["custom_id"], "response": response, "error": None}))
    output = requests.with_name(f"{requests.stem}-output.jsonl")
    output.write_text("\n".join(lines))
    return output


def test_a_build_without_a_request(tmp_path):
    good = {
        words: long_reading(extract_features(load_ecg(SAMPLES / f"{name}.hea")), [words])
        for name, (_, words) in FINDINGS.items()
    }
    chosen = settings(tmp_path)
    first = export_requests(chosen, tmp_path / "first.jsonl")
    assert (first.requests, first.cached) == (2, 0) and first.usd_at_most > 0
    replies = answered(first.files[0], good | {"normal ECG": "Too short."})
    assert import_replies(chosen, replies).stored == 2
    second = export_requests(chosen, tmp_path / "second.jsonl")
    assert second.requests == 1, "the answer that failed its checks is asked for again"
    (again,) = map(json.loads, second.files[0].read_text().splitlines())
    assert "Too short." in again["body"]["messages"][2]["content"]
    assert "length" in again["body"]["messages"][3]["content"]
    import_replies(chosen, answered(second.files[0], good))
    assert export_requests(chosen, tmp_path / "third.jsonl").files == ()
    result = build_dataset(chosen)
    assert (result.rows, result.rejected) == (2, 0)
    rows = {row["id"]: row for row in load_dataset(str(tmp_path / "out"), split="train")}
    assert rows["own/normal"]["teacher"]["attempts"] == 2 and rows["own/normal"]["teacher"]["name"] == "m"
    assert rows["own/atrial_fibrillation"]["messages"][1]["content"] == good["atrial fibrillation"]


def test_batches_need_a_cache_and_a_budget(tmp_path):
    with pytest.raises(BuildError, match="cache_dir"):
        export_requests(settings(tmp_path, cache_dir=None), tmp_path / "x.jsonl")
    with pytest.raises(ValueError, match="Raise budget_usd"):
        export_requests(settings(tmp_path, budget_usd=0.001), tmp_path / "x.jsonl")
    assert not list(tmp_path.glob("*x.jsonl*"))
