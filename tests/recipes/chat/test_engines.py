# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The same answers on every engine, also over HTTP; unknown and unreachable engines."""

import importlib.util
import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from modeling_gem import default_checkpoint, load_ecg
from modeling_gem.interpretation import load_interpreter
from processing.errors_gem import BuildError, GemError, MissingDependencyError
from recipes.chat.engine_names import as_engine
from recipes.chat.engines import gem_engine, language_model
from recipes.chat.gem_models import TransformersGem, checked_answer
from recipes.chat.replies import ChatFailure
from recipes.chat.settings import LocalSettings
from recipes.cli import app
from recipes.dataset.settings import read_settings
from recipes.serving.uploads import read_ecg, read_picture
from recipes.serving.wire import SentEcg, SentPicture, read_messages
from tests.helpers.chat_server import Answer, ChatServer, Status
from tests.helpers.gem_server import running

TINY = str(default_checkpoint())
SET = ["tests/fixtures/evaluation/grounding.json", "--files", "samples=processing/samples", "--limit", "2"]


@pytest.fixture(autouse=True)
def in_the_project(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)


@pytest.fixture(scope="module")
def local():
    return TransformersGem(load_interpreter())


@pytest.fixture
def server(local):
    """A GEM behind HTTP; `chats` holds the requests it received."""

    def block(part):
        match part:
            case SentEcg(file):
                return {"type": "ecg", "ecg": read_ecg(file), "modality": "signal"}
            case SentPicture(file):
                return {"type": "image", "image": read_picture(file)}
        return {"type": "text", "text": part}

    def answer(body):
        chat = [{"role": m.role, "content": list(map(block, m.parts))} for m in read_messages(body["messages"])]
        chats.append(chat)
        if body["temperature"]:
            return Answer("Sinus rhythm, 66 bpm.")
        (text,) = local.answers([chat], body["max_tokens"])
        return Answer(text, finish_reason="length")

    chats: list = []
    with ChatServer(answer, models=["a-gem"]) as found:
        found.chats = chats
        yield found


def test_a_server_gets_what_the_towers_would_read_and_gives_the_answer_of_this_process(local, server):
    record = load_ecg("processing/samples/normal.hea")
    chats = [local.processor.build_conversation(record, modality=m) for m in ("both", "signal", "image")]
    engine = gem_engine(server.url, TINY)
    assert engine.answers(chats, 24) == local.answers(chats, 24)
    assert {body["model"] for body in server.requests} == {"a-gem"}
    sent = {len(chat[0]["content"]): chat for chat in server.chats if chat[0]["content"][0]["type"] == "ecg"}
    for chat in (sent[2], sent[3]):
        prepared = local.processor.feature_extractor([record, local.processor.record(chat)])["ecg_values"]
        assert np.array_equal(*prepared)
    assert np.array_equal(local.processor.picture(sent[3]), local.processor.picture(chats[0]))
    engine.close()


def test_select_asks_the_server_until_an_answer_has_no_contradiction(local, server):
    record = load_ecg("processing/samples/normal.hea")
    chat = local.processor.build_conversation(record, modality="signal")
    engine = gem_engine(server.url, TINY)
    found = checked_answer(engine, chat, "Atrial flutter, 150 bpm.", grounding="select", n=4)
    assert found.text == "Sinus rhythm, 66 bpm." and len(found.candidates) == 4
    assert [body["temperature"] for body in server.requests] == [1.0] * 3, "equal requests are asked each for itself"
    engine.close()


def test_gem_eval_answers_the_same_on_gem_serve(local, tmp_path):
    texts = []
    with running((local.gem.model, local.processor)) as server:
        for engine in ("transformers", f"{server.url}/v1"):
            out = tmp_path / str(len(texts))
            given = ["--model", "tiny", "--engine", engine, "--max-new-tokens", "24", "-o", str(out)]
            result = CliRunner().invoke(app, ["eval", "grounding", *SET, *given])
            assert result.exit_code == 0, result.output
            texts.append([json.loads(line)["text"] for line in (out / "answers.jsonl").read_text().splitlines()])
        chat = local.processor.build_conversation("processing/samples/normal.hea", modality="signal")
        one = ["interpret", "processing/samples/normal.hea", "--json", "--max-new-tokens", "24", "--backend"]
        told = [CliRunner().invoke(app, [*one, backend]) for backend in ("transformers", f"{server.url}/v1")]
        first, second = (json.loads(result.output) for result in told)
        assert first["interpretation"] == second["interpretation"] and first["claims"] == second["claims"]
        engine = gem_engine(f"{server.url}/v1", TINY)
        assert len(engine.more(chat, None, 0, 4)(2)) == 2, "sampled answers are taken too"
        engine.close()
    assert texts[0] == texts[1] and len(texts[0]) == 2
    given = ["--model", "tiny", "--max-new-tokens", "24", "-o", str(tmp_path / "1")]
    mixed = CliRunner().invoke(app, ["eval", "grounding", *SET, *given])
    assert "begun with other settings (engine differ)" in str(mixed.exception)


def test_one_bad_request_is_one_row_without_an_answer_and_a_server_that_fails_ends_the_run(local):
    chat = [{"role": "user", "content": [{"type": "text", "text": "What is a PR interval?"}]}]
    replies = [Status(400, "no ECG"), Status(500, headers={"x-should-retry": "false"})]
    with ChatServer(replies) as server:
        engine = gem_engine(server.url, TINY)
        (refused,) = engine.answers([chat], 8)
        assert isinstance(refused, GemError) and "no ECG" in str(refused)
        with pytest.raises(ChatFailure, match="answered 500"):
            engine.answers([[*chat, {"role": "user", "content": "And now?"}]], 8)
        engine.close()


def test_unknown_and_absent_engines_are_named(tmp_path):
    assert [as_engine(name) for name in ("vllm", "http://localhost:8000/v1")] == ["vllm", "http://localhost:8000/v1"]
    for name in ("tensorrt", "localhost:8000", "ftp://here/v1", ""):
        with pytest.raises(GemError, match="transformers, vllm, or the URL"):
            as_engine(name)
    with pytest.raises(GemError, match="Is a server of GEM running there"):
        gem_engine("http://127.0.0.1:9/v1", TINY)
    with ChatServer(models=["a", "b"]) as server, pytest.raises(GemError, match="serves a, b; name one"):
        gem_engine(server.url, TINY)
    result = CliRunner().invoke(
        app, ["eval", "grounding", *SET, "--answers", "a.jsonl", "--engine", "vllm", "-o", str(tmp_path)]
    )
    assert result.exit_code == 2 and "goes with --model" in result.output


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_its_engine_says_how_to_get_it():
    with pytest.raises(MissingDependencyError, match=r"docs/vllm\.md"):
        gem_engine("vllm", TINY)
    with pytest.raises(MissingDependencyError, match=r"docs/vllm\.md"):
        language_model(LocalSettings(model="m", engine="vllm"))


def test_an_own_server_can_be_teacher_and_judge(tmp_path):
    with ChatServer([Answer("Sinus rhythm.")]) as server:
        model = language_model(LocalSettings(model="m", engine=server.url, max_new_tokens=7))
        ((_, reply),) = model.complete_all([("a", [{"role": "user", "content": "Hello"}])])
        model.close()
        assert reply.text == "Sinus rhythm." and server.requests[0]["max_tokens"] == 7 and model.is_local
    config = tmp_path / "build.yaml"
    source = {"format": "folder", "path": "processing/samples"}
    teacher = {"kind": "local", "local": {"model": "m"}}
    config.write_text(yaml.safe_dump({"output": "out", "sources": [source], "teacher": teacher}))
    settings = read_settings(config)
    assert settings.with_teacher_engine("vllm").teacher["local"] == {"model": "m", "engine": "vllm"}
    assert settings.with_teacher_engine("vllm").content() != settings.content(), "answers of engines are not mixed"
    with pytest.raises(BuildError, match="does not run on an engine"):
        settings.model_copy(update={"teacher": {"kind": "template"}}).with_teacher_engine("vllm")
