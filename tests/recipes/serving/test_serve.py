# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem serve` over HTTP with OpenAI's client: answers equal those of single calls, and say what was checked and measured."""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

openai = pytest.importorskip("openai", reason="the client of the tests comes with the extra `teacher`")
pytest.importorskip("fastapi", reason="`gem serve` needs the extra `serve`")

from modeling_gem.interpretation import interpret  # noqa: E402
from processing.ecg_features import extract_features  # noqa: E402
from processing.ecg_page import render_ecg  # noqa: E402
from processing.ecg_readers import load_ecg  # noqa: E402
from recipes.serving.wire import data_url  # noqa: E402
from tests.helpers.gem_server import LENGTH, MODEL, SAMPLES, as_array, ask, chat_of, form  # noqa: E402

NAMES = sorted(path.stem for path in SAMPLES.glob("*.hea"))


def as_picture(gem, name: str) -> dict:
    """The page of a sample, as the model sees it."""
    file = io.BytesIO()
    gem[1].page(load_ecg(SAMPLES / f"{name}.hea")).save(file, format="PNG")
    return {"type": "image_url", "image_url": {"url": data_url(file.getvalue(), "image/png")}}


def single(gem, source, length=LENGTH, text="Interpret this ECG.", **how) -> str:
    """The answer of one plain call of `generate`."""
    network, processor = gem
    chat = processor.build_conversation(source, question=text, **how)
    inputs = processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False
    )
    with torch.inference_mode():
        ids = network.generate(**inputs, max_new_tokens=length, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.decode(ids, skip_special_tokens=True).strip()


def test_the_model_sees_what_was_sent(gem, client):
    path, picture = SAMPLES / "normal.hea", as_picture(gem, "normal")
    page = gem[1].page(load_ecg(path))
    expected = {
        "signal": single(gem, path, modality="signal"),
        "picture": single(gem, page, modality="image"),
        "both": single(gem, path, modality="both"),
    }
    asked = {"signal": [as_array("normal")], "picture": [picture], "both": [as_array("normal"), picture]}
    assert {kind: ask(client, chat_of(*parts)).choices[0].message.content for kind, parts in asked.items()} == expected


def test_what_comes_with_an_answer(gem, client):
    answer = ask(client, chat_of(as_array("normal")), max_tokens=300)
    marks = answer.model_extra["gem"]
    assert re.fullmatch("[0-9a-f]{64}", marks["model_sha"]) and re.fullmatch("[0-9a-f]{12}", marks["rules_version"])
    assert "not a medical device" in marks["notice"] and marks["model"] == MODEL and marks["version"]
    assert answer.choices[0].finish_reason == "stop" and answer.system_fingerprint == marks["model_sha"][:12]
    inputs = gem[1].apply_chat_template(
        gem[1].build_conversation(SAMPLES / "normal.hea", modality="signal"),
        add_generation_prompt=True, tokenize=True, return_dict=True, draw_page=False,
    )  # fmt: skip
    assert answer.usage.prompt_tokens == len(inputs["input_ids"][0])
    assert ask(client, chat_of(as_array("normal")), max_tokens=5).choices[0].finish_reason == "length"
    assert ask(client, chat_of(as_array("normal")), max_tokens=5).usage.completion_tokens == 5


def test_a_stream_is_the_answer_in_parts(client):
    whole = ask(client, chat_of(as_array("normal")), max_tokens=300).choices[0].message.content
    stream = ask(
        client, chat_of(as_array("normal")), max_tokens=300, stream=True, stream_options={"include_usage": True},
        extra_body={"grounding": "flag"},
    )  # fmt: skip
    chunks = list(stream)
    parts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(parts) == whole and len(parts) > 1
    last = chunks[-2]
    assert last.choices[0].finish_reason == "stop" and last.model_extra["gem"]["verdicts"].startswith("0 contradicted")
    assert chunks[-1].usage.completion_tokens > 40 and len({chunk.id for chunk in chunks}) == 1


def test_answers_of_many_at_once_are_those_of_single_calls(gem, server, client, monkeypatch):
    sizes = []
    generate = gem[0].generate
    monkeypatch.setattr(gem[0], "generate", lambda **of: sizes.append(len(of["input_ids"])) or generate(**of))
    questions = [(name, text) for name in NAMES for text in ("Interpret this ECG.", "What is the rhythm?")]

    def one(question):
        name, text = question
        messages = chat_of(as_array(name), text=text)
        if len(name) % 2:
            return ask(client, messages).choices[0].message.content
        stream = ask(client, messages, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, questions))
    monkeypatch.undo()
    expected = [single(gem, SAMPLES / f"{name}.hea", text=text, modality="signal") for name, text in questions]
    assert answers == expected and len(set(expected)) >= len(NAMES)
    assert max(sizes) > 1


def test_an_answer_that_was_cut_off_is_marked(server, client):
    cut = ask(client, chat_of(as_array("atrial_fibrillation")), max_tokens=23).choices[0]
    assert cut.finish_reason == "length" and cut.message.content.endswith("The QRS axis is 7")
    for grounding in ("off", "flag"):
        body = {
            "model": MODEL,
            "messages": chat_of(as_array("atrial_fibrillation")),
            "max_tokens": 23,
            "grounding": grounding,
        }
        marks = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60).json()["gem"]
        assert marks["cut_off"] is True and "measured 70" not in str(marks.get("spans"))
    body = {"ecg": as_array("atrial_fibrillation"), "modality": "signal"}
    whole = httpx.post(f"{server.url}/v1/ecg/interpret", json=body, timeout=60).json()
    assert whole["finish_reason"] == "stop" and "cut_off" not in whole


def test_an_answer_that_calls_an_ecg_none_is_marked(server):
    short = as_array("normal")
    short["signal"] = [lead[:1500] for lead in short["signal"]]
    said = "The model calls this no ECG; the heartbeat check found one (3 beats at 70 bpm)."
    body = {"ecg": short, "modality": "signal"}
    assert httpx.post(f"{server.url}/v1/ecg/interpret", json=body, timeout=60).json()["denied_ecg"] == said
    chat = {"model": MODEL, "messages": chat_of(short), "grounding": "flag"}
    assert httpx.post(f"{server.url}/v1/chat/completions", json=chat, timeout=60).json()["gem"]["denied_ecg"] == said


def test_a_conversation_without_an_ecg_gets_no_reading(server):
    alone = [{"role": "user", "content": "Interpret this ECG."}]
    talk = [*alone, {"role": "assistant", "content": "Sinus rhythm."}, {"role": "user", "content": "Are you sure?"}]
    for messages in (alone, talk):
        for more in ({}, {"stream": True}, {"grounding": "off"}):
            body = {"model": MODEL, "messages": messages, **more}
            said = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
            error = said.json()["error"]
            assert said.status_code == 400 and error["code"] == "no_ecg" and "`ecg` or `image_url`" in error["message"]


def test_a_conversation_goes_on(gem, client):
    first = chat_of(as_array("normal"))
    answer = ask(client, first).choices[0].message.content
    messages = [*first, {"role": "assistant", "content": answer}, {"role": "user", "content": "What is the rhythm?"}]
    assert ask(client, messages).choices[0].message.content
    assert ask(client, [{"role": "system", "content": "Be short."}, *first]).choices[0].message.content


def test_interpret_is_what_gem_interpret_gives(server):
    expected = interpret(SAMPLES / "atrial_fibrillation.hea", generation={"max_new_tokens": 256}).to_dict()
    reply = httpx.post(f"{server.url}/v1/ecg/interpret", files=form("atrial_fibrillation"), timeout=120)
    found = reply.json()
    assert reply.status_code == 200 and found["gem"]["model"] == MODEL and "rhythm accuracy" in found["model_strength"]
    for key in ("text", "claims", "spans", "scores", "verdicts", "grounding", "measurements", "missing"):
        assert found[key] == json.loads(json.dumps(expected[key])), key
    body = {"ecg": as_array("atrial_fibrillation")}
    same = httpx.post(f"{server.url}/v1/ecg/interpret", json=body, timeout=120).json()
    assert same["text"] == found["text"] and len(same["claims"]) == len(found["claims"]) > 5


@pytest.mark.parametrize("grounding", ["off", "flag"])
def test_words_of_a_question_that_were_not_taught_are_named(client, server, grounding):
    words = "Is there a zigzag?"
    body = {"ecg": as_array("normal"), "modality": "signal", "question": words, "grounding": grounding}
    found = httpx.post(f"{server.url}/v1/ecg/interpret", json=body, timeout=120).json()
    assert "not taught 'zigzag'" in found["question_doubt"]
    assert (
        "question_doubt"
        not in httpx.post(
            f"{server.url}/v1/ecg/interpret", json={**body, "question": "What is the rhythm?"}, timeout=120
        ).json()
    )


@pytest.mark.parametrize("grounding", ["select", "correct"])
def test_wrong_claims_are_replaced_when_asked_for(server, grounding):
    body = {"ecg": as_array("ventricular_tachycardia"), "modality": "signal", "grounding": grounding, "n": 3}
    found = httpx.post(f"{server.url}/v1/ecg/interpret", json=body, timeout=120).json()
    assert found["grounding"] == grounding and 1 <= len(found["candidates"]) <= 3
    if grounding == "correct":
        # One of the sampled answers may need no edit.
        assert found["verdicts"].startswith("0 contradicted") and (found["edits"] or len(found["candidates"]) > 1)


def test_a_picture_alone_is_not_checked(gem, server):
    found = httpx.post(f"{server.url}/v1/ecg/interpret", json={"ecg": as_picture(gem, "normal")}, timeout=120).json()
    assert found["grounding"] == "off (picture only)" and found["text"] and found["measurements"] is None
    assert "claims" not in found


def test_the_signal_of_a_picture_is_recovered_measured_and_checked(gem, server, client):
    pytest.importorskip("cv2", reason="digitising needs the extra `photo`")
    record = load_ecg(SAMPLES / "normal.hea")
    file = io.BytesIO()
    render_ecg(record, layout="3x4+1", dpi=200).to_pil().save(file, format="PNG")
    photo, rate = [("file", ("photo.png", file.getvalue()))], extract_features(record).heart_rate
    question = {"question": "Interpret this ECG."}
    read = httpx.post(f"{server.url}/v1/ecg/interpret", files=photo, data=question, timeout=240).json()
    assert read["claims"] and read["grounding"] == "flag" and "digitised from a picture" in " ".join(read["history"])
    measured = httpx.post(f"{server.url}/v1/ecg/measure", files=photo, timeout=240).json()
    assert abs(measured["measurements"]["record"]["heart_rate"] - rate) < 2
    alone = httpx.post(f"{server.url}/v1/ecg/interpret", files=photo, data={"digitize": "false"}, timeout=240).json()
    assert alone["grounding"] == "off (picture only)" and alone["measurements"] is None

    def asked(**options):
        part = {"type": "image_url", "image_url": {"url": data_url(file.getvalue(), "image/png"), **options}}
        return ask(client, chat_of(part), extra_body={"grounding": "flag"}, timeout=240)

    both, picture = asked(digitize=True), asked()
    assert both.model_extra["gem"]["claims"] and both.usage.prompt_tokens > picture.usage.prompt_tokens
    assert both.choices[0].message.content == read["text"][: len(both.choices[0].message.content)]
    assert picture.model_extra["gem"]["grounding"] == "off (picture only)"
    over = httpx.post(f"{server.url}/v1/ecg/page.png", files=photo, data={"digitize": "true"}, timeout=240)
    anew = httpx.post(f"{server.url}/v1/ecg/page.png", files=photo, timeout=240)
    assert Image.open(io.BytesIO(over.content)).size == Image.open(file).size
    assert Image.open(io.BytesIO(anew.content)).size == gem[1].page(record).size


def test_a_picture_that_cannot_be_digitised_says_why(gem, server):
    """The page of the model is too small: it is read as a picture, and nothing is measured in it."""
    pytest.importorskip("cv2", reason="digitising needs the extra `photo`")
    body = {"ecg": as_picture(gem, "normal")}
    read = httpx.post(f"{server.url}/v1/ecg/interpret", json=body, timeout=240).json()
    assert read["text"] and "cannot be digitised" in read["undigitized"] and read["measurements"] is None
    for path, asked in (("measure", body), ("page.png", body), ("interpret", {**body, "modality": "signal"})):
        refused = httpx.post(f"{server.url}/v1/ecg/{path}", json=asked, timeout=240)
        assert refused.status_code == 400 and "cannot be digitised" in refused.json()["error"]["message"], path


def test_measurements_and_pages(gem, server):
    record = load_ecg(SAMPLES / "normal.hea")
    found = httpx.post(f"{server.url}/v1/ecg/measure", files=form(), timeout=60).json()
    expected = json.loads(json.dumps(extract_features(record).to_dict(full=True)))
    assert {key: found["measurements"][key] for key in record.leads} == {key: expected[key] for key in record.leads}
    reply = httpx.post(f"{server.url}/v1/ecg/page.png", files=form(), timeout=60)
    assert reply.headers["content-type"] == "image/png" and reply.headers["x-gem-rules-version"]
    assert "not a medical device" in reply.headers["x-gem-notice"]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(reply.content))), np.asarray(gem[1].page(record)))
    other = httpx.post(f"{server.url}/v1/ecg/page.png", files=form(), data={"layout": "3x4+1"}, timeout=60)
    assert Image.open(io.BytesIO(other.content)).size != Image.open(io.BytesIO(reply.content)).size


def test_models_health_and_the_openapi_page(server, client):
    assert [model.id for model in client.models.list()] == [MODEL]
    assert httpx.get(f"{server.url}/health", timeout=60).json()["status"] == "ok"
    routes = httpx.get(f"{server.url}/openapi.json", timeout=60).json()["paths"]
    assert set(routes) == {
        "/health", "/v1/models", "/v1/chat/completions", "/v1/ecg/interpret", "/v1/ecg/measure", "/v1/ecg/page.png",
    }  # fmt: skip
    interpret_body = routes["/v1/ecg/interpret"]["post"]["requestBody"]["content"]
    assert set(interpret_body) == {"application/json", "multipart/form-data"}
    assert "$ref" not in json.dumps([route["post"]["requestBody"] for route in routes.values() if "post" in route])
    assert httpx.get(f"{server.url}/docs", timeout=60).status_code == 200
