# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Batch files: exported requests equal those sent to the endpoint; imported answers are not requested again."""

import json

import pytest

from recipes.chat import batch
from recipes.chat.batch import export_batch, import_batch
from recipes.chat.client import ChatClient
from recipes.chat.settings import ChatSettings
from tests.helpers.chat_server import Answer, ChatServer, answer_of, completion

PRICES = {"price_per_million_input": 1.0, "price_per_million_output": 10.0}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def requests(count: int):
    return [(n, [{"role": "user", "content": f"Question {n}"}]) for n in range(count)]


def line(key: str, answer: Answer, status: int = 200) -> str:
    return json.dumps(
        {"custom_id": key, "response": {"status_code": status, "body": completion(answer)}, "error": None}
    )


def test_exported_requests_and_imported_answers(tmp_path):
    with ChatServer([Answer('{"a": 1}')]) as server:
        settings = ChatSettings(model="m", base_url=server.url, cache_dir=tmp_path, extra_body={"top_p": 1}, **PRICES)
        with ChatClient(settings) as client:
            answer_of(client, requests(1)[0][1], SCHEMA)
            export = export_batch(client, requests(4), tmp_path / "batch.jsonl", SCHEMA)
            assert (export.requests, export.cached) == (3, 1) and export.usd_at_most > 3 * 0.01
            lines = [json.loads(text) for text in export.files[0].read_text().splitlines()]
            sent = {**server.requests[0], "messages": requests(2)[1][1]}
            assert lines[0]["body"] == sent and lines[0]["url"] == "/v1/chat/completions"
            keys = [item["custom_id"] for item in lines]
            assert all(len(key) <= 64 for key in keys)
            results = [
                line(keys[0], Answer('{"a": 5}', usage=(100, 10))),
                line(keys[1], Answer("no"), status=500),
                json.dumps({"custom_id": keys[2], "response": None, "error": {"message": "expired"}}),
            ]
            (tmp_path / "output.jsonl").write_text("\n".join(results) + "\n")
            before = client.store.spent()
            for _ in range(2):
                imported = import_batch(client, tmp_path / "output.jsonl")
                assert imported.stored == 1 and set(imported.failed) == set(keys[1:])
                assert "expired" in imported.failed[keys[2]]
                assert client.store.spent() - before == pytest.approx((100 + 100) * 1e-6 / 2)
            reply = answer_of(client, requests(2)[1][1], SCHEMA)
        assert reply.cached and reply.parsed == {"a": 5} and server.count == 1


def test_large_exports_are_split(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "MAX_REQUESTS", 3)
    with ChatClient(ChatSettings(model="m")) as client:
        export = export_batch(client, [*requests(7), *requests(7)], tmp_path / "b.jsonl")
    assert [file.name for file in export.files] == ["b.jsonl", "b-2.jsonl", "b-3.jsonl"]
    assert sum(len(file.read_text().splitlines()) for file in export.files) == export.requests == 7
    assert export.usd_at_most is None


def test_the_budget_holds_for_batches(tmp_path):
    settings = ChatSettings(model="m", budget_usd=0.02, **PRICES)
    with ChatClient(settings) as client, pytest.raises(ValueError, match="Raise budget_usd"):
        export_batch(client, requests(3), tmp_path / "b.jsonl")
    assert not list(tmp_path.iterdir())


def test_another_file_is_refused(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"answer": 1}\n')
    with ChatClient(ChatSettings(model="m")) as client, pytest.raises(ValueError, match=r"x\.jsonl, line 1"):
        import_batch(client, tmp_path / "x.jsonl")
