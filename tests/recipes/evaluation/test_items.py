# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The test sets in their published layouts become the same items."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from processing.errors_gem import EcgFormatError, EvaluationError
from recipes.evaluation.items import EvalItem, read_bench, read_test_set, set_name
from tests.helpers.shared_data import shared_path
from tests.helpers.source_trees import ptbxl_tree
from tests.helpers.tiny_gem import signal


def png():
    content = io.BytesIO()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(content, "PNG")
    return content.getvalue()


def turns(question, answer):
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def test_parquet_with_embedded_pictures(tmp_path):
    rows = [
        {
            "id": f"ptb-{i}",
            "image_path": f"ptb/{i}.png",
            "image": {"bytes": png(), "path": f"{i}.png"},
            "conversations": turns("<image>\nWhich? Options: NORM, MI", "NORM"),
        }
        for i in range(3)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "test-00000-of-00001.parquet")
    items = read_bench(tmp_path)
    assert (items[0].id, items[0].question, items[0].gold) == ("ptb-0", "Which? Options: NORM, MI", "NORM")
    given = items[0].model_input()
    assert given["ecg"].size == (30, 20) and given["modality"] == "image"
    with pytest.raises(EcgFormatError, match="ptb-0"):
        items[0].model_input("signal")


@pytest.mark.parametrize(
    "value, gold", [(list("not sure"), "not sure"), (["lead I", "lead II"], ["lead I", "lead II"])]
)
def test_ecg_qa_values_are_lists(tmp_path, value, gold):
    rows = [
        {
            "id": "q",
            "conversations": [{"from": "human", "value": list("<image>\nIs it?")}, {"from": "gpt", "value": value}],
        }
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    item = read_bench(tmp_path / "a.parquet")[0]
    assert item.question == "Is it?" and item.gold == gold


def test_json_of_ecg_grounding_finds_ecgs_and_pictures(tmp_path):
    np.save(tmp_path / "00001.npy", signal())
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1.png").write_bytes(png())
    row = {"id": "1", "image": "1.png", "ecg": "mimic-iv/00001.npy", "conversations": turns("Q", "A. x")}
    path = tmp_path / "csn.json"
    path.write_text(json.dumps([row]))
    item = read_bench(path, {"mimic-iv": str(tmp_path)}, tmp_path / "pictures")[0]
    assert item.ecg is not None and item.ecg.exists() and item.image.endswith("1.png")
    assert read_bench(path)[0].ecg is None


def test_arena_has_one_item_per_turn(tmp_path):
    path = tmp_path / "arena.jsonl"
    path.write_text(
        json.dumps(
            {"id": "a", "conversations": [{"question": "q1", "answer": "1"}, {"question": "q2", "answer": "2"}]}
        )
    )
    assert [(i.id, i.gold) for i in read_bench(path)] == [("a#1", "1"), ("a#2", "2")]


@pytest.mark.parametrize(
    "rows, message",
    [
        ([], "no rows"),
        ([{"conversations": turns("q", "a")}], "row 0 has no id"),
        ([{"id": "1", "conversations": []}], "no question"),
        ([{"id": "1", "conversations": turns("q", a)} for a in ("x", "y")], "occurs twice with different"),
    ],
)
def test_bad_sets_are_named(tmp_path, rows, message):
    path = tmp_path / "set.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(EvaluationError, match=message):
        read_bench(path)


def test_ptbxl_fold_with_both_references():
    folder = shared_path("data/ptbxl_wfdb")
    grounded, _ = read_test_set(folder, fold=3)
    reports, _ = read_test_set(folder, fold=3, reference="report")
    assert grounded and [i.id for i in grounded] == [i.id for i in reports]
    text = grounded[0].reference(grounded[0].ecg.load())
    assert text.startswith("Sinus rhythm, ") and "Impression: " in text
    assert isinstance(reports[0].reference, str) and reports[0].reference
    with pytest.raises(EvaluationError, match="'grounded' or 'report'"):
        read_test_set(folder, reference="none")


def test_a_set_is_called_what_its_data_are(tmp_path, monkeypatch):
    ptbxl_tree(tmp_path / "cohort", records=1, folds=(7,))
    (tmp_path / "parquet").mkdir()
    pq.write_table(
        pa.table({"ecg_id": [1], "strat_fold": [7], "signal_uv": [b""]}), tmp_path / "parquet" / "a.parquet"
    )
    assert set_name(tmp_path / "cohort", 7) == set_name(tmp_path / "parquet", 7) == ("PTB-XL", "fold 7")
    (tmp_path / "my_ptb-1.0.3").mkdir()
    pq.write_table(pa.table({"id": ["a"], "messages": ["m"]}), tmp_path / "my_ptb-1.0.3" / "train.parquet")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "parquet" / "A_answers.parquet")  # something else beside it
    assert set_name(tmp_path / "parquet", 7) == ("PTB-XL", "fold 7")
    (tmp_path / "parquet" / "b.parquet").write_bytes(b"")
    with pytest.raises(EcgFormatError, match=r"b\.parquet: no Parquet file"):
        set_name(tmp_path / "parquet", 7)
    assert set_name(tmp_path / "my_ptb-1.0.3") == ("my_ptb-1.0.3", "test")
    assert set_name(tmp_path / "ptbxl.json") == ("ptbxl", "test")
    monkeypatch.chdir(tmp_path / "my_ptb-1.0.3")
    assert set_name(".") == ("my_ptb-1.0.3", "test")


def test_ecg_grounding_rows_that_name_missing_files_are_reported(tmp_path):
    np.save(tmp_path / "00001.npy", signal())
    rows = [{"id": n, "ecg": f"x/{n}.npy", "conversations": turns("Q", "Reference.")} for n in ("00001", "00002")]
    path = tmp_path / "grounding.json"
    path.write_text(json.dumps(rows))
    items, problems = read_test_set(path, files={"x": str(tmp_path)})
    assert [i.reference for i in items] == ["Reference."] and len(problems) == 1 and "00002" in problems[0]
    with pytest.raises(EvaluationError, match="not one record"):
        read_test_set(path)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(EvaluationError, match="neither PTB-XL"):
        read_test_set(tmp_path)


def test_an_item_without_anything_to_see_is_named():
    with pytest.raises(EcgFormatError, match="item-1"):
        EvalItem("item-1", "q").model_input()
