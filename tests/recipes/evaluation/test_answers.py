# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Answer files of every published kind, and every way in which they can be broken: reported, never skipped."""

import json

import pytest

from processing.errors_gem import EvaluationError
from recipes.evaluation.answers import AnswerLog, read_answers


def written(tmp_path, content, name="answers.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize(
    "row, key",
    [
        ({"question_id": "a", "prompt": "q", "text": "yes"}, "text"),
        ({"id": "a", "response": "yes"}, "response"),
        ({"id": "a", "Model_generated": "yes"}, "Model_generated"),
        ({"id": "a", "GEM_generated": "yes"}, "GEM_generated"),
        ({"No": "a", "text": "yes"}, "text"),
    ],
)
def test_published_layouts(tmp_path, row, key):
    for content, name in ((lines(row), "a.jsonl"), (json.dumps([row]), "a.json")):
        file = read_answers(written(tmp_path, content, name))
        assert [(a.id, a.text, a.key) for a in file.answers] == [("a", "yes", key)] and not file.problems


def test_turns_of_the_arena_are_answers_of_their_own(tmp_path):
    rows = ({"id": "arena-1", "predict_convs": [{"question": "q", "answer": "x"}, {"question": "r", "answer": "y"}]},)
    assert {a.id: a.text for a in read_answers(written(tmp_path, lines(*rows))).answers} == {
        "arena-1#1": "x",
        "arena-1#2": "y",
    }


def test_everything_wrong_is_named(tmp_path):
    good = lines(
        {"id": "a", "text": "1"}, {"id": "b", "text": "2"}, {"id": "b", "text": "3"}, {"id": "x", "text": "4"}
    )
    bad = lines({"id": "c", "text": 5}, {"id": "d"}, {"text": "6"}, {"id": "e", "error": "unreadable"}, ["f"])
    content = (
        good.encode()
        + bad.encode()
        + b"not json\n"
        + '{"id": "g", "text": "gr\xfcn"}\n'.encode("latin-1")
        + b'{"id": "h", "te'
    )
    file = read_answers(written(tmp_path, content))
    answers = file.texts_for(["a", "b", "c", "d", "e", "g", "h"])
    assert answers == ["1", "3", None, None, None, "grün", None]
    problems = "\n".join(file.problems)
    for expected in (
        "line 11 is not UTF-8 (byte 0xfc",
        "id c (line 5): the answer is int, expected text; it counts as unanswered",
        "id d (line 6): no answer",
        "line 7 has no id",
        "id e (line 8): unreadable",
        "line 9 has no id",
        "line 10 is no JSON",
        "line 12 is half written",
        "id b stands 2 times (lines 2, 3) with different answers, the last one counts",
        "1 of 7 ids have no answer: h",
        "1 ids are not in the test set: x",
    ):
        assert expected in problems, expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings(tmp_path, encoding):
    file = read_answers(written(tmp_path, lines({"id": "a", "text": "größer"}).encode(encoding)))
    assert file.answers[0].text == "größer" and bool(file.problems) == (encoding == "utf-16")


@pytest.mark.parametrize("content", ["", "\n\n", "no json\n", '{"text": "no id"}\n', '[{"id": "a", "te'])
def test_a_file_without_answers_is_refused(tmp_path, content):
    with pytest.raises(EvaluationError, match=r"answers\.jsonl"):
        read_answers(written(tmp_path, content))


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    with pytest.raises(EvaluationError, match="belong together"):
        read_answers(written(tmp_path, lines({"id": "a", "text": "1"}))).texts_for(["b"])
    with pytest.raises(EvaluationError, match="no such file"):
        read_answers(tmp_path / "missing.jsonl")


def test_a_log_goes_on_where_it_was_cut_off(tmp_path, caplog):
    path = tmp_path / "log.jsonl"
    with AnswerLog(path, {"model": "m"}) as log:
        log.append([{"id": "a", "text": "1"}, {"id": "b", "text": "2"}])
    path.write_bytes(path.read_bytes() + b'{"id": "c", "text": "hal')
    with AnswerLog(path, {"model": "m"}) as log:
        assert set(log.rows) == {"a", "b"} and "half written" in caplog.text
        log.append([{"id": "c", "text": "3"}])
    file = read_answers(path)
    assert [answer.id for answer in file.answers] == ["a", "b", "c"] and not file.problems


def test_a_damaged_line_is_removed_and_named(tmp_path, caplog):
    path = written(tmp_path, '{"id": "a", "text": "1"}\n{"id": "b\n{"id": "c", "text": "3"}\n', "log.jsonl")
    with AnswerLog(path, {}) as log:
        assert set(log.rows) == {"a", "c"} and "line 2 is damaged" in caplog.text


def test_a_line_separator_within_an_answer_ends_no_line(tmp_path, caplog):
    """JSON leaves U+2028 and U+0085 as they are, and `str.splitlines` would break the row there."""
    path, text = tmp_path / "log.jsonl", "one\u2028two\u0085three"
    with AnswerLog(path, {}) as log:
        log.append([{"id": "a", "text": text}])
    with AnswerLog(path, {}) as log:
        assert log.rows["a"]["text"] == text and not caplog.text
    assert [answer.text for answer in read_answers(path).answers] == [text]


def test_a_log_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    with AnswerLog(path, {"model": "m", "modality": "both"}) as log:
        log.append([{"id": "a", "text": "1"}])
    with pytest.raises(EvaluationError, match="modality differ"):
        AnswerLog(path, {"model": "m", "modality": "image"})
