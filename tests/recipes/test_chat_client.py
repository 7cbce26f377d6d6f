# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The chat client against a real HTTP server: failures by name, retries, limits, budget, cache."""

import asyncio
import json
import multiprocessing
import threading
import time

import pytest

from recipes.chat_client import ChatClient, ChatFailure, ChatReply, ChatSettings
from tests.recipes.chat_server import Answer, ChatServer, Raw, Status

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer"}},
    "required": ["score"],
    "additionalProperties": False,
}


def client_of(server: ChatServer, **settings) -> ChatClient:
    return ChatClient(ChatSettings("m", base_url=server.url, **{"timeout": 30, "max_retries": 3, **settings}))


def chat(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Question {number}"}]


def test_reply_and_request():
    with ChatServer([Answer("Good day", usage=(7, 3))]) as server, client_of(server, max_tokens=99) as client:
        reply = client.complete_now(HELLO)
    assert (reply.text, reply.finish_reason, reply.cached) == ("Good day", "stop", False)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.estimated) == (7, 3, False)
    assert server.requests[0] == {"model": "m", "messages": HELLO, "temperature": 0.0, "max_tokens": 99}


def test_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    with ChatServer() as server, client_of(server, api_key_env="MY_KEY") as client:
        client.complete_now(HELLO)
    assert server.headers[0]["authorization"] == "Bearer s3cret"
    monkeypatch.delenv("MY_KEY")
    remote = ChatSettings("m", base_url="https://api.example.com/v1", api_key_env="MY_KEY")
    with pytest.raises(ValueError, match="environment variable MY_KEY"):
        remote.api_key()
    assert not remote.is_local and ChatSettings("m", base_url="http://[::1]:1/v1").is_local


def test_an_address_in_the_environment_counts(monkeypatch):
    assert not ChatSettings("m").is_local
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
    assert ChatSettings("m").is_local
    assert not ChatSettings("m", azure_endpoint="https://my.openai.azure.com").is_local


def test_azure_address(monkeypatch):
    monkeypatch.setenv("AZURE_KEY", "k")
    with ChatServer() as server:
        settings = ChatSettings("dep", azure_endpoint=server.url.removesuffix("/v1"), api_key_env="AZURE_KEY")
        with ChatClient(settings) as client:
            assert client.complete_now(HELLO).text == "fine"
    assert server.headers[0]["api-key"] == "k"


@pytest.mark.parametrize(
    ("trouble", "settings"),
    [
        (Status(429, headers={"Retry-After": "0.2"}), {}),
        (Status(503), {}),
        (Status(408), {}),
        (Raw(b"<html>gateway</html>"), {}),
        (Raw(b'{"choices": []}'), {}),
        (Answer(seconds=6.0), {"timeout": 2.0}),
    ],
)
def test_passing_trouble_is_retried(trouble, settings):
    with ChatServer([trouble, Answer("at last")]) as server, client_of(server, **settings) as client:
        assert client.complete_now(HELLO).text == "at last"
    assert server.count == 2


def test_retry_after_is_kept_by_all_requests():
    replies = iter([Status(429, headers={"Retry-After": "0.8"})])
    with (
        ChatServer(lambda body: next(replies, Answer())) as server,
        client_of(server, max_concurrency=1) as client,
    ):
        assert all(isinstance(reply, ChatReply) for _, reply in client.complete_all((i, chat(i)) for i in range(3)))
    assert server.times[1] - server.times[0] >= 0.79


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (Answer(None, refusal="I cannot"), "refusal", "I cannot"),
        (Answer("half", "length"), "truncated", "raise max_tokens"),
        (Answer("", "content_filter"), "content_filter", "filter"),
        (Answer(" "), "empty", "empty"),
        (Status(400, "too long"), "bad_request", "too long"),
        (Status(429, "slow down"), "rate_limit", "slow down"),
        (Status(429, "no money", error_code="insufficient_quota"), "quota", "no money"),
        (Status(401, "who?"), "authentication", "OPENAI_API_KEY"),
        (Status(404, "model?"), "not_found", "'m'"),
        (Status(500, "boom"), "server", "boom"),
        (Raw(b"nonsense"), "malformed", "nonsense"),
        (Answer(seconds=2.0), "timeout", "0.3 s"),
    ],
)
def test_lasting_trouble_has_a_name(reply, kind, message):
    with (
        ChatServer([reply]) as server,
        client_of(server, max_retries=1, timeout=0.3 if kind == "timeout" else 30) as client,
        pytest.raises(ChatFailure, match=message) as failure,
    ):
        client.complete_now(HELLO)
    assert failure.value.kind == kind


def test_nobody_there():
    with ChatServer() as server:
        pass
    with client_of(server, max_retries=0) as client, pytest.raises(ChatFailure, match="cannot be reached") as failure:
        client.complete_now(HELLO)
    assert failure.value.kind == "connection"


def test_schema_is_sent_and_checked():
    with ChatServer([Answer('{"score": 3}')]) as server, client_of(server) as client:
        assert client.complete_now(HELLO, SCHEMA).parsed == {"score": 3}
    assert server.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize("text", ["no json", '{"score": ', '{"score": "three"}', "[1]"])
def test_broken_json_is_named(text):
    with ChatServer([Answer(text)]) as server, client_of(server) as client, pytest.raises(ChatFailure) as failure:
        client.complete_now(HELLO, SCHEMA)
    assert failure.value.kind == "invalid_json" and failure.value.text == text


@pytest.mark.parametrize("accepted", ["json_object", None])
def test_servers_without_schemas_are_asked_in_words(accepted):
    def script(body):
        kind = body.get("response_format", {}).get("type")
        return Answer('Sure:\n```json\n{"score": 4}\n```') if kind == accepted else Status(400, f"{kind} is unknown")

    with ChatServer(script) as server, client_of(server) as client:
        assert client.complete_now(HELLO, SCHEMA).parsed == {"score": 4}
        asked = server.count
        assert '"score"' in server.requests[-1]["messages"][0]["content"]
        assert client.complete_now(chat(1), SCHEMA).parsed == {"score": 4}
    assert server.count == asked + 1, "what the server refuses is remembered"


def test_a_bad_request_says_what_the_server_said_first():
    with (
        ChatServer([Status(400, "context length exceeded")]) as server,
        client_of(server) as client,
        pytest.raises(ChatFailure, match="context length exceeded"),
    ):
        client.complete_now(HELLO, SCHEMA)


def test_complete_all_bounds_what_is_under_way_and_reads_lazily():
    taken = []

    def requests():
        for number in range(20):
            taken.append(number)
            yield number, chat(number)

    seen: list[int] = []
    server = ChatServer(lambda body: Answer(body["messages"][0]["content"], seconds=0.02))
    with server, client_of(server, max_concurrency=4) as client:
        results = client.complete_all(requests(), progress=lambda totals: seen.append(totals.replies))
        first = next(results)
        assert len(taken) == 4
        answers = dict([first, *results])
    assert {key: reply.text for key, reply in answers.items()} == {n: f"Question {n}" for n in range(20)}
    assert 2 <= server.most_at_once <= 4 and seen[-1] == 20


def test_one_failure_does_not_stop_the_rest():
    def script(body):
        return Status(400, "bad") if body["messages"][0]["content"].endswith("3") else Answer()

    with ChatServer(script) as server, client_of(server) as client:
        results = dict(client.complete_all((n, chat(n)) for n in range(6)))
    assert isinstance(results[3], ChatFailure) and sum(isinstance(r, ChatReply) for r in results.values()) == 5


def test_a_wrong_key_stops_at_once():
    with (
        ChatServer([Status(401)]) as server,
        client_of(server, max_concurrency=2) as client,
        pytest.raises(ChatFailure, match="check the key"),
    ):
        list(client.complete_all((n, chat(n)) for n in range(100)))
    assert server.count <= 4


def test_rate_limit():
    with ChatServer() as server, client_of(server, requests_per_minute=600) as client:
        start = time.monotonic()
        list(client.complete_all((n, chat(n)) for n in range(5)))
    assert all(arrival - start >= 0.1 * number for number, arrival in enumerate(sorted(server.times)))


def test_cache_survives_and_failures_are_not_paid_for_twice(tmp_path):
    with ChatServer([Answer("a"), Answer("half", "length")]) as server:
        for run in range(2):
            with client_of(server, cache_dir=tmp_path) as client:
                assert client.complete_now(HELLO).cached is bool(run)
                with pytest.raises(ChatFailure) as failure:
                    client.complete_now(chat(1))
                assert failure.value.cached is bool(run)
        assert server.count == 2
        with client_of(server, cache_dir=tmp_path, max_tokens=7) as client, pytest.raises(ChatFailure):
            client.complete_now(chat(1))  # another parameter is another question
        with client_of(server, cache_dir=tmp_path) as client, pytest.raises(ChatFailure):
            client.complete_now(HELLO, sample=1)
    assert server.count == 4


def test_errors_of_the_endpoint_are_not_cached(tmp_path):
    with ChatServer([Status(400), Answer("now")]) as server, client_of(server, cache_dir=tmp_path) as client:
        with pytest.raises(ChatFailure):
            client.complete_now(HELLO)
        assert client.complete_now(HELLO).text == "now"


def _ask(url: str, folder: str, first: int) -> None:
    settings = ChatSettings("m", base_url=url, cache_dir=folder, price_per_million_input=1, price_per_million_output=1)
    with ChatClient(settings) as client:
        for _, reply in client.complete_all((n, chat(n)) for n in range(first, first + 30)):
            assert isinstance(reply, ChatReply)


def test_two_processes_share_a_cache(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    with ChatServer() as server:
        workers = [spawn.Process(target=_ask, args=(server.url, str(tmp_path), first)) for first in (0, 15)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 0
        asked = server.count
        assert 45 <= asked <= 60
        with client_of(server, cache_dir=tmp_path) as client:
            assert all(reply.cached for _, reply in client.complete_all((n, chat(n)) for n in range(45)))
            assert client.store.spent() == pytest.approx(asked * 15e-6)
        assert server.count == asked


PRICES = {"price_per_million_input": 1.0, "price_per_million_output": 10.0}


def test_budget_is_never_exceeded(tmp_path):
    # At most 26 + 100 tokens: 0.001026 USD set aside; 10 + 50 are charged: 0.00051 USD.
    server = ChatServer(lambda body: Answer(usage=(10, 50), seconds=0.01))
    with server, client_of(server, cache_dir=tmp_path, budget_usd=0.004, max_tokens=100, **PRICES) as client:
        replies = []
        with pytest.raises(ChatFailure, match="raise budget_usd and start again") as failure:
            for item in client.complete_all((n, chat(n)) for n in range(100)):
                replies.append(item)
        assert failure.value.kind == "budget"
        assert server.count == len(replies) == 6
        assert client.store.spent() == pytest.approx(6 * 0.00051) and client.totals.cost <= 0.004
    with (
        server_again() as again,
        client_of(again, cache_dir=tmp_path, budget_usd=0.005, max_tokens=100, **PRICES) as client,
    ):
        with pytest.raises(ChatFailure, match=r"\$0\.0041 spent"):
            list(client.complete_all((n, chat(n)) for n in range(100)))
        assert again.count == 2, "the money spent before counts, the answers are there"


def server_again() -> ChatServer:
    return ChatServer([Answer(usage=(10, 50))])


def test_timeouts_stay_counted(tmp_path):
    with ChatServer([Answer(seconds=2)]) as server:
        settings = {"timeout": 1.0, "max_retries": 1, "max_tokens": 100, "budget_usd": 1.0, **PRICES}
        with client_of(server, cache_dir=tmp_path, **settings) as client:
            with pytest.raises(ChatFailure):
                client.complete_now(chat(1))
            assert client.store.spent() > 2 * 0.001


def test_a_budget_needs_prices():
    with pytest.raises(ValueError, match="price_per_million_input"):
        ChatSettings("m", budget_usd=1)
    with pytest.raises(ValueError, match="unknown temprature"):
        ChatSettings.from_mapping({"model": "m", "temprature": 1})


def test_a_store_that_cannot_be_written_is_fatal(tmp_path):
    (tmp_path / "chat.sqlite").write_bytes(b"this is no database" * 100)
    with ChatServer() as server, pytest.raises(ChatFailure, match=r"chat\.sqlite.*start again"):
        client_of(server, cache_dir=tmp_path)


def test_a_full_disk_stops_the_run_and_keeps_the_replies(tmp_path):
    with ChatServer(lambda body: Answer("x" * 20_000)) as server:
        with client_of(server, cache_dir=tmp_path, max_concurrency=1) as client:
            client.store._base.execute("PRAGMA max_page_count = 40")  # what a full disk does, by SQLite's own limit
            kept = []
            with pytest.raises(ChatFailure, match="full") as failure:
                for key, _ in client.complete_all((n, chat(n)) for n in range(50)):
                    kept.append(key)
            assert failure.value.kind == "storage" and kept
        with client_of(server, cache_dir=tmp_path) as client:
            assert all(reply.cached for _, reply in client.complete_all((n, chat(n)) for n in kept))


def test_in_an_event_loop_of_the_caller():
    async def many(client):
        return await asyncio.gather(*(client.complete(chat(n)) for n in range(6)))

    with ChatServer() as server, client_of(server, max_concurrency=2) as client:
        for _ in range(2):  # a second loop must not meet the first one's connections
            assert len(asyncio.run(many(client))) == 6
        assert server.most_at_once <= 2


def test_the_consumer_may_be_slow_and_may_leave():
    with ChatServer() as server, client_of(server) as client:
        for number, (_, reply) in enumerate(client.complete_all((n, chat(n)) for n in range(8))):
            assert isinstance(reply, ChatReply)
            time.sleep(0.15)
            if number == 5:
                break
    assert not [thread for thread in threading.enumerate() if thread.name == "chat-client"]


def test_usage_is_estimated_where_the_server_does_not_count():
    with ChatServer([Answer("four " * 20, usage=None)]) as server, client_of(server, **PRICES) as client:
        usage = client.complete_now(HELLO).usage
    assert usage.estimated and usage.completion_tokens == 25 and usage.cost > 0


def test_requests_are_json(tmp_path):
    with ChatServer() as server, client_of(server, extra_body={"top_p": 0.5}, seed=3) as client:
        client.complete_now(HELLO)
    assert json.dumps(server.requests[0]) and server.requests[0]["top_p"] == 0.5 and server.requests[0]["seed"] == 3


def test_requests_left_behind_do_not_block_the_budget(tmp_path):
    # Two requests fit; leaving while both are under way must not make the next one wait for them for ever.
    script = iter([Answer(usage=(10, 50)), Answer(seconds=0.5), Answer(seconds=0.5)])
    with ChatServer(lambda body: next(script, Answer(usage=(10, 50)))) as server:
        settings = {"cache_dir": tmp_path, "max_tokens": 100, "budget_usd": 0.0035, "max_concurrency": 2, **PRICES}
        with client_of(server, **settings) as client:
            for _ in client.complete_all((n, chat(n)) for n in range(5)):
                break
            results = client.complete_all((n, chat(n)) for n in range(10, 20))
            with pytest.raises(ChatFailure, match="raise budget_usd"):
                list(results)
            assert client.store.spent() <= 0.0035


@pytest.mark.parametrize(("code", "kind"), [(402, "quota"), (403, "authentication")])
def test_accounts_that_cannot_pay_stop_the_run(code, kind):
    with ChatServer([Status(code)]) as server, client_of(server) as client, pytest.raises(ChatFailure) as failure:
        list(client.complete_all([(1, HELLO)]))
    assert failure.value.kind == kind
