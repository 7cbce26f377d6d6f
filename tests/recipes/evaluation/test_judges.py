# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The judge path against a real HTTP server: schema, cache, time limits, broken JSON, refusals, budget, resuming; and a local one."""

import json
import threading

import jsonschema
import pytest

from processing.errors_gem import EvaluationError, TeacherError
from recipes.chat.client import ChatClient
from recipes.chat.replies import read_object
from recipes.chat.settings import ChatSettings
from recipes.evaluation.grounding_scores import score_grounding
from recipes.evaluation.judge_replies import CRITERIA, read_strictly
from recipes.evaluation.judges import (
    ARENA,
    GROUNDING,
    REPORT,
    ChatJudge,
    LocalJudge,
    arena_text,
    judge_answers,
    read_judged,
)
from tests.helpers.chat_server import Answer, ChatServer, Status

PAIRS = {name: (f"reference {name}", f"generated {name}") for name in "abcdef"}


def verdict(grounding=80):
    leads = [{"Lead": lead, "Score": 1, "Explanation": "."} for lead in ("I", "II", "V1")]
    one = [{"Score": 1, "Explanation": "."}]
    graded = {
        key: one if highest <= 2 else [{"Score": grounding, "Explanation": "."}] for key, highest in CRITERIA.items()
    }
    return graded | {"LeadAssessmentCoverage": leads, "LeadAssessmentAccuracy": leads}


def judge(server, tmp_path, **changes):
    settings = {"timeout": 60.0, "max_retries": 2, "cache_dir": tmp_path / "cache"} | changes
    return ChatJudge(ChatClient(ChatSettings(model="judge", base_url=server.url, **settings)))


def test_the_schema_asks_for_what_the_strict_reading_takes():
    jsonschema.validate(verdict(), GROUNDING.schema)
    answer = read_strictly(json.dumps(verdict()))
    assert not answer.problems and set(answer.scores) == set(CRITERIA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            verdict() | {"LeadAssessmentCoverage": [{"Score": 12, "Explanation": "all"}]}, GROUNDING.schema
        )


def test_requests_are_reproducible_and_hold_both_texts(tmp_path):
    with ChatServer([Answer(json.dumps(verdict()))]) as server:
        found = judge_answers(judge(server, tmp_path), GROUNDING, PAIRS, tmp_path / "judged.jsonl")
        body = server.requests[0]
    assert set(found.texts) == set(PAIRS) and not found.failures
    assert body["temperature"] == 0 and body["response_format"]["json_schema"]["schema"] == GROUNDING.schema
    user = body["messages"][1]["content"]
    assert "<reference>\nreference " in user and "<generated>\ngenerated " in user
    assert all(name in user for name in CRITERIA)
    assert score_grounding(found.texts).means["ECGFeatureGrounding"] == 80


def test_nothing_is_asked_twice(tmp_path):
    output = tmp_path / "judged.jsonl"
    with ChatServer([Answer(json.dumps(verdict()))]) as server:
        first = judge_answers(judge(server, tmp_path), GROUNDING, PAIRS, output)
        again = judge_answers(judge(server, tmp_path), GROUNDING, PAIRS, output)
        assert server.count == len(PAIRS)
        output.unlink()
        cached = judge_answers(judge(server, tmp_path), GROUNDING, PAIRS, output)
        assert server.count == len(PAIRS), "the client's cache has them"
        changed = PAIRS | {"a": ("reference a", "another text")}
        judge_answers(judge(server, tmp_path), GROUNDING, changed, output)
        assert server.count == len(PAIRS) + 1
    assert first.texts == again.texts == cached.texts


def test_failures_are_named_and_asked_again(tmp_path):
    """One reply is late, one refuses, one is cut off; the others are kept."""
    output, healed = tmp_path / "judged.jsonl", threading.Event()

    def script(body):
        text = body["messages"][1]["content"]
        if healed.is_set():
            return Answer(json.dumps(verdict()))
        if "generated b" in text:
            return Answer("late", seconds=15)
        if "generated c" in text:
            return Status(500, "out of order")
        if "generated d" in text:
            return Answer(None, refusal="I will not.")
        if "generated e" in text:
            return Answer('{"DiagnosisAccuracy": [', finish_reason="length")
        return Answer(json.dumps(verdict()))

    with ChatServer(script) as server:
        found = judge_answers(judge(server, tmp_path, timeout=5.0, max_retries=0), GROUNDING, PAIRS, output)
        assert set(found.texts) == {"a", "f"}
        for name, expected in {"b": "no answer within", "c": "out of order", "d": "refuses", "e": "cut off"}.items():
            assert expected in found.failures[name]
        healed.set()
        again = judge_answers(judge(server, tmp_path), GROUNDING, PAIRS, output)
    # Answers that came, and were paid for, are not paid for twice: the refusal and the cut are remembered.
    assert set(again.texts) == {"a", "b", "c", "f"} and set(again.failures) == {"d", "e"}


def test_broken_json_is_repaired_and_named(tmp_path):
    broken = json.dumps(verdict()).replace("}, {", "} {")[:-1]
    with ChatServer([Answer(broken)]) as server:
        found = judge_answers(judge(server, tmp_path), GROUNDING, {"a": PAIRS["a"]}, tmp_path / "judged.jsonl")
    scores = score_grounding(found.texts)
    assert scores.means["ECGFeatureGrounding"] == 80 and "repaired JSON" in scores.problems["a"][0]


def test_the_budget_stops_the_run_and_keeps_what_was_judged(tmp_path):
    output = tmp_path / "judged.jsonl"
    # 2,048 answer tokens at 1,000 USD per million are 2.05 USD at worst; 5 USD are two requests under way, not six.
    prices = {"price_per_million_input": 0.0, "price_per_million_output": 1000.0, "max_concurrency": 1}
    with ChatServer([Answer(json.dumps(verdict()), usage=(100, 2000))]) as server:
        with pytest.raises(TeacherError, match="budget"):
            judge_answers(judge(server, tmp_path, budget_usd=5.0, **prices), GROUNDING, PAIRS, output)
        assert 1 <= server.count <= 2
        kept = len(read_judged(output)[0])
        assert kept == server.count
        found = judge_answers(judge(server, tmp_path, budget_usd=100.0, **prices), GROUNDING, PAIRS, output)
        assert server.count == len(PAIRS) and set(found.texts) == set(PAIRS)


def test_a_line_separator_in_a_judges_text_is_not_judged_again(tmp_path):
    output = tmp_path / "judged.jsonl"
    text = json.dumps(verdict()) + " one\u2028two"
    with ChatServer([Answer(text)]) as server:
        asked = judge(server, tmp_path, cache_dir=None)
        first = judge_answers(asked, GROUNDING, {"a": PAIRS["a"]}, output)
        again = judge_answers(asked, GROUNDING, {"a": PAIRS["a"]}, output)
        assert server.count == 1
    assert first.texts == again.texts == read_judged(output)[0] == {"a": text}


def test_a_half_written_file_goes_on(tmp_path, caplog):
    output = tmp_path / "judged.jsonl"
    with ChatServer([Answer(json.dumps(verdict()))]) as server:
        judge_answers(judge(server, tmp_path), GROUNDING, PAIRS, output)
        whole = output.read_bytes()
        output.write_bytes(whole[: len(whole) // 2 + 9])
        found = judge_answers(judge(server, tmp_path, cache_dir=None), GROUNDING, PAIRS, output)
    assert set(found.texts) == set(PAIRS) and "half written" in caplog.text


def test_another_judge_does_not_mix_in(tmp_path):
    output = tmp_path / "judged.jsonl"
    with ChatServer([Answer(json.dumps(verdict()))]) as server:
        judge_answers(judge(server, tmp_path), GROUNDING, PAIRS, output)
        other = ChatJudge(ChatClient(ChatSettings(model="other", base_url=server.url)))
        with pytest.raises(EvaluationError, match="judge differ"):
            judge_answers(other, GROUNDING, PAIRS, output)


@pytest.mark.parametrize("layout", ["ours", "folder", "joined", "batch"])
def test_judged_files_of_every_layout(tmp_path, layout):
    text = json.dumps(verdict())
    if layout == "folder":
        path = tmp_path / "judged"
        path.mkdir()
        (path / "a.json").write_text(json.dumps({"id": "a", "results": text}))
        (path / "b.json").write_text('{"id": "b", "res')
    elif layout == "joined":
        path = tmp_path / "all.json"
        path.write_text(json.dumps({"a": text, "b": None}))
    else:
        path = tmp_path / "judged.jsonl"
        good = {"id": "a", "results": text}
        if layout == "batch":
            good = {"custom_id": "a", "response": {"body": {"choices": [{"message": {"content": text}}]}}}
        path.write_text(json.dumps(good) + '\n{"id": "b", "results": 3}\n')
    texts, problems = read_judged(path)
    assert texts == {"a": text} and len(problems) == 1


def test_nothing_judged_is_an_error(tmp_path):
    with pytest.raises(EvaluationError, match="no judged answers"):
        read_judged(tmp_path / "missing.jsonl")


def test_simple_tasks():
    for task in (REPORT, ARENA):
        one = {name: {"Score": 7, "Explanation": "."} for name in task.criteria}
        jsonschema.validate(one, task.schema)
        assert all(name in task.messages("r", "g")[1]["content"] for name in task.criteria)
    assert arena_text(["q1", "q2"], ["a1", "a2"]).count("Answer: a") == 2


@pytest.mark.parametrize(
    ("text", "found", "problem"),
    [
        ('Sure: {"x": 1', {"x": 1}, "repaired JSON"),
        ('```json\n{"x": [1, 2}\n```', {"x": [1, 2]}, "repaired JSON"),
        ('{"x": 1} and {that is all}', {"x": 1}, None),
        ("no", None, "no JSON object: 'no'"),
        ("[1]", None, "no JSON object"),
    ],
)
def test_the_object_in_a_judges_text(text, found, problem):
    value, said = read_object(text)
    assert value == found and (said is None if problem is None else said.startswith(problem))


def test_a_local_model_judges(tmp_path):
    """A random model writes no JSON: it is asked in its own template and reported as useless."""
    from transformers import LlamaForCausalLM

    from tests.helpers.tiny_gem import tiny_text_config, tiny_tokenizer

    LlamaForCausalLM(tiny_text_config(max_position_embeddings=16384)).save_pretrained(tmp_path / "model")
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}\n{% endfor %}"
    tokenizer.save_pretrained(tmp_path / "model")
    local = LocalJudge(str(tmp_path / "model"), batch_size=2, max_new_tokens=5)
    found = judge_answers(local, REPORT, dict(list(PAIRS.items())[:3]), tmp_path / "judged.jsonl")
    assert set(found.texts) == {"a", "b", "c"} and local.description["kind"] == "local"
    assert score_grounding(found.texts).missing["DiagnosisAccuracy"] == 3
