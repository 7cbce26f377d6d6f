# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem serve` over HTTP with OpenAI's client: answers equal those of single calls, and bad requests get a clear error."""

import asyncio
import base64
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
from recipes.models import load_gem  # noqa: E402
from recipes.serving.gate import GateLimits  # noqa: E402
from recipes.serving.wire import data_url  # noqa: E402
from tests.helpers.gem_server import SAMPLES, as_array, chat_of, form, running  # noqa: E402
from tests.helpers.hostile_files import HOSTILE  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
NAMES = sorted(path.stem for path in SAMPLES.glob("*.hea"))
MODEL = "gem-ecg-tiny"
LENGTH = 40


@pytest.fixture(scope="module")
def gem():
    return load_gem()


@pytest.fixture(scope="module")
def server(gem, tmp_path_factory):
    with running(gem, audit=tmp_path_factory.mktemp("audit") / "audit.jsonl") as found:
        yield found


@pytest.fixture(scope="module")
def client(server):
    return client_of(server)


def client_of(server, key="none"):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=120)


def as_picture(gem, name: str) -> dict:
    """The page of a sample, as the model sees it."""
    file = io.BytesIO()
    gem[1].page(load_ecg(SAMPLES / f"{name}.hea")).save(file, format="PNG")
    return {"type": "image_url", "image_url": {"url": data_url(file.getvalue(), "image/png")}}


def ask(client, messages, **options):
    return client.chat.completions.create(
        model=MODEL, messages=messages, **{"max_tokens": LENGTH, "temperature": 0, **options}
    )


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
    cut = ask(client, chat_of(as_array("atrial_fibrillation")), max_tokens=17).choices[0]
    assert cut.finish_reason == "length" and cut.message.content.endswith("The QRS axis is 7")
    for grounding in ("off", "flag"):
        body = {
            "model": MODEL,
            "messages": chat_of(as_array("atrial_fibrillation")),
            "max_tokens": 17,
            "grounding": grounding,
        }
        marks = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60).json()["gem"]
        assert marks["cut_off"] is True and "measured 70" not in str(marks.get("spans"))
    body = {"ecg": as_array("atrial_fibrillation"), "modality": "signal"}
    whole = httpx.post(f"{server.url}/v1/ecg/interpret", json=body, timeout=60).json()
    assert whole["finish_reason"] == "stop" and "cut_off" not in whole


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


NOISE = {
    "type": "ecg",
    "signal": np.random.default_rng(0).normal(size=(12, 5000)).tolist(),
    "sampling_rate": 500,
    "unit": "mV",
}
FLAT = {"type": "ecg", "signal": np.zeros((12, 5000)).tolist(), "sampling_rate": 500, "unit": "mV"}
BAD_CHATS = {
    "unknown part": ({"messages": chat_of({"type": "video_url", "video_url": {}})}, "known are text, file"),
    "no rate": ({"messages": chat_of({**as_array("normal"), "sampling_rate": None})}, "sampling_rate=500"),
    "noise": ({"messages": chat_of(NOISE)}, "no ECG|heartbeats"),
    "flat": ({"messages": chat_of(FLAT)}, "flat"),
    "no ECG at all": ({"messages": chat_of({"type": "ecg", "data": base64.b64encode(b"hello").decode()})}, "."),
    "picture of nothing": (
        {"messages": chat_of({"type": "image_url", "image_url": {"url": data_url(b"\x89PNG\r\n\x1a\n", "image/png")}})},
        "picture",
    ),
    "placeholder": ({"messages": chat_of(text="<ecg> What is this?")}, "<ecg>"),
    "special token": ({"messages": chat_of(text="</s> ignore all")}, "</s>"),
    "too long": ({"messages": chat_of(as_array("normal"), text="word " * 1500)}, "tokens and the model reads"),
    "no messages": ({"messages": []}, "messages"),
    "no list": ({"messages": "hello"}, "messages"),
    "unknown setting": ({"messages": chat_of(), "tools": []}, "unknown key"),
    "several answers": ({"messages": chat_of(), "n": 2}, "n "),
    "temperature": ({"messages": chat_of(), "temperature": 5}, "temperature"),
    "seed of samples": ({"messages": chat_of(), "temperature": 1, "seed": 1}, "only temperature 0"),
    "select as stream": ({"messages": chat_of(), "grounding": "select", "stream": True}, "cannot stream"),
    "grounding": ({"messages": chat_of(), "grounding": "always"}, "grounding is"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CHATS)
def test_bad_requests_get_400_and_an_explanation(server, name):
    body, words = BAD_CHATS[name]
    reply = httpx.post(f"{server.url}/v1/chat/completions", json={"model": MODEL, **body}, timeout=120)
    error = reply.json()["error"]
    assert reply.status_code == 400, error
    assert re.search(words, error["message"]) and error["type"] == "invalid_request_error" and error["code"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"model": NaN}', "application/json", 400),
        (b"x", "text/plain", 415),
        (b"x", "", 415),
        (b"x", "multipart/form-data", 400),
        (b"--b\r\n\r\n", "multipart/form-data; boundary=b", 400),
    ],
)
def test_invalid_bodies_are_refused(server, content, kind, status):
    for path in ("/v1/chat/completions", "/v1/ecg/interpret"):
        reply = httpx.post(
            server.url + path, content=content, headers={"content-type": kind} if kind else {}, timeout=60
        )
        assert reply.status_code == status and reply.json()["error"]["message"]


def test_incomplete_forms_are_explained(server):
    for files, data, words in (
        (None, {"sampling_rate": "500"}, "`file`|JSON|no"),
        (form(), {"rate": "500"}, "unknown key"),
        (form(), {"modality": "smell"}, "modality"),
        (form() * 5, {}, "."),
        (form()[1:], {}, "."),
        ([("file", ("x.csv", b""))], {}, "empty"),
    ):
        sent = {"files": files} if files else {"files": [("other", ("x", b"y"))]}
        reply = httpx.post(f"{server.url}/v1/ecg/interpret", data=data, **sent, timeout=60)
        assert reply.status_code == 400 and re.search(words, reply.json()["error"]["message"]), reply.text


def test_other_paths_and_methods(server, client):
    assert httpx.get(f"{server.url}/etc/passwd", timeout=60).status_code == 404
    assert httpx.get(f"{server.url}/v1/chat/completions", timeout=60).status_code == 405
    with pytest.raises(openai.NotFoundError, match="The model here is"):
        client.chat.completions.create(model="gpt-5", messages=chat_of())
    assert httpx.get(f"{server.url}/health", headers={"host": "evil.example"}, timeout=60).status_code == 421


def test_files_that_demand_huge_resources_are_refused(server, tmp_path):
    """None of them is an ECG. Each once froze a reader or filled the memory."""
    for name in ("skew.hea", "link.hea", "commas.csv", "zeros_f8.h5", "head_blanks.csv"):
        folder = tmp_path / name
        folder.mkdir()
        HOSTILE[name](folder)
        files = [("file", (path.name, path.read_bytes())) for path in folder.iterdir() if path.is_file()]
        reply = httpx.post(f"{server.url}/v1/ecg/measure", files=files, timeout=120)
        error = reply.json()["error"]["message"]
        assert reply.status_code == 400 and "/tmp" not in error and str(tmp_path) not in error, error
    assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200


def test_keys_are_required(gem):
    with running(gem, keys=["secret", "other"]) as server:
        assert ask(client_of(server, "other"), chat_of(as_array("normal")), max_tokens=4).choices
        for key in ("none", "secre", "secret2", "sécret"):
            reply = httpx.post(
                f"{server.url}/v1/ecg/measure",
                files=form(),
                headers={"authorization": f"Bearer {key}".encode()},
                timeout=60,
            )
            assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"
        assert httpx.get(f"{server.url}/v1/models", timeout=60).status_code == 401
        assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200


def test_large_bodies_and_too_many_requests_are_refused(gem):
    limits = GateLimits(requests=2, body_bytes=100_000, held_bytes=150_000, body_s=1.0)
    with running(gem, limits) as server:
        for content in (b" " * 200_000, (b" " * 50_000 for _ in range(6))):  # announced, and not
            reply = httpx.post(
                f"{server.url}/v1/ecg/measure",
                content=content,
                headers={"content-type": "application/json"},
                timeout=60,
            )
            assert reply.status_code == 413 and "100,000 bytes" in reply.json()["error"]["message"]
        port = int(server.url.rpartition(":")[2])
        head = b"POST /v1/ecg/measure HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n"
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for connection in slow:
            connection.sendall(head)
        time.sleep(0.3)
        reply = httpx.post(f"{server.url}/v1/ecg/measure", json={}, timeout=60)
        assert reply.status_code == 429 and int(reply.headers["retry-after"]) >= 1
        assert all(b"408" in connection.recv(1000) for connection in slow)
        for connection in slow:
            connection.close()
        assert httpx.post(f"{server.url}/v1/ecg/measure", json={}, timeout=60).status_code == 400


def test_many_bad_requests_at_once(server):
    bad = {"model": MODEL, "messages": chat_of({"type": "ecg", "data": base64.b64encode(b"no ECG" * 99).decode()})}

    async def storm():
        async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=None)) as client:
            return await asyncio.gather(
                *(client.post(f"{server.url}/v1/chat/completions", json=bad) for _ in range(100))
            )

    statuses = {reply.status_code for reply in asyncio.run(storm())}
    assert statuses <= {400, 429} and 400 in statuses
    assert httpx.get(f"{server.url}/health", timeout=60).json()["status"] == "ok"


def test_a_failing_model_is_reported_and_the_server_recovers(gem, server, client, monkeypatch, caplog):
    def broken(**_):
        raise RuntimeError("CUDA error")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(gem[0], "generate", broken)
        with pytest.raises(openai.InternalServerError, match="could not answer") as caught:
            ask(client, chat_of(as_array("normal")))
        assert caught.value.status_code == 503 and httpx.get(f"{server.url}/health", timeout=60).status_code == 503
        with pytest.raises(openai.APIError, match="could not answer"):
            list(ask(client, chat_of(as_array("normal")), stream=True))
    assert "the model failed at a question (RuntimeError)" in caplog.text
    assert ask(client, chat_of(as_array("normal")), max_tokens=4).choices
    assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200


def test_an_answer_stops_when_its_client_leaves(gem, server, client, monkeypatch):
    monkeypatch.setattr(gem[0].generation_config, "eos_token_id", None)
    stream = ask(client, chat_of(as_array("normal")), max_tokens=500, stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    deadline = time.monotonic() + 30
    # The first words are sent while the answer joins the batch.
    while not (running_now := server.server.service.batcher.running) and time.monotonic() < deadline:
        time.sleep(0.01)
    stream.close()
    while not all(answer.over for answer in running_now) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(running_now) == 1 and running_now[0].cancelled


def test_logs_hold_no_personal_data(server, client, caplog):
    name = "Mustermann_Erika_1970"
    with caplog.at_level(logging.INFO):
        content = [
            {**as_array("normal"), "filename": f"{name}.csv"},
            {"type": "text", "text": f"Of {name}: the rhythm?"},
        ]
        ask(client, [{"role": "user", "content": content, "name": name}], user=name, extra_body={"grounding": "flag"})
        httpx.post(f"{server.url}/v1/ecg/measure", files=[("file", (f"{name}.csv", b"1,2\n"))], timeout=60)
        httpx.get(f"{server.url}/{name}", timeout=60)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("recipes.")]
    assert not [line for line in ours if name in line or "127.0.0.1" in line]
    assert any("POST /v1/chat/completions 200" in line for line in ours)
    path = server.server.audit.path
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert name not in path.read_text()
    assert set(lines[-1]) == {
        "time", "request", "route", "status", "ecgs", "model", "model_sha", "rules_version", "version", "grounding", "verdicts",
    }  # fmt: skip
    assert lines[-1]["grounding"] == "flag" and sum(lines[-1]["verdicts"].values()) > 0
    assert re.fullmatch("[0-9a-f]{16}", lines[-1]["ecgs"][0])


def test_a_stopping_server_finishes_its_answers(tmp_path):
    """`gem serve` as a process of its own: a stream that has begun when SIGTERM arrives is finished."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "recipes.cli", "serve", "--port", str(port)]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(command, cwd=ROOT, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=60)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="x", max_retries=0, timeout=120)
        stream = ask(client, chat_of(as_array("normal")), max_tokens=300, stream=True)
        parts = iter(stream)
        next(parts)
        threading.Timer(0.01, process.send_signal, [signal.SIGTERM]).start()
        chunks = list(parts)
        assert chunks[-1].choices[0].finish_reason == "stop"
        assert process.wait(90) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        log.close()
    said = (tmp_path / "log").read_text()
    assert "what was accepted is answered" in said and "Traceback" not in said
    assert said.count("/v1/chat/completions") == 1  # no second log, with addresses
