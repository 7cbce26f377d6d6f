# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The chat client against a real HTTP server: named failures, retries, limits, budget, cache."""

import json
import multiprocessing
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock

from recipes.chat.client import ChatClient, DataLeavesWarning
from recipes.chat.replies import ChatFailure, ChatReply
from recipes.chat.settings import ChatSettings
from recipes.chat.store import ChatStore
from tests.helpers.chat_server import Answer, ChatServer, Raw, Status, answer_of

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer"}},
    "required": ["score"],
    "additionalProperties": False,
}


def client_of(server: ChatServer, **settings) -> ChatClient:
    return ChatClient(ChatSettings(model="m", base_url=server.url, **{"timeout": 30, "max_retries": 3, **settings}))


def chat(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Question {number}"}]


def test_reply_and_request():
    with ChatServer([Answer("Good day", usage=(7, 3))]) as server, client_of(server, max_tokens=99) as client:
        reply = answer_of(client, HELLO)
    assert (reply.text, reply.finish_reason, reply.cached) == ("Good day", "stop", False)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (7, 3)
    assert server.requests[0] == {"model": "m", "messages": HELLO, "temperature": 0.0, "max_tokens": 99}


def test_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    with ChatServer() as server, client_of(server, api_key_env="MY_KEY") as client:
        answer_of(client, HELLO)
    assert server.headers[0]["authorization"] == "Bearer s3cret"
    monkeypatch.delenv("MY_KEY")
    remote = ChatSettings(model="m", base_url="https://api.example.com/v1", api_key_env="MY_KEY")
    with pytest.raises(ValueError, match="environment variable MY_KEY"):
        remote.api_key()
    assert not remote.is_local and ChatSettings(model="m", base_url="http://[::1]:1/v1").is_local


def test_an_address_in_the_environment_is_used(monkeypatch):
    assert not ChatSettings(model="m").is_local
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
    assert ChatSettings(model="m").is_local
    assert not ChatSettings(model="m", azure_endpoint="https://my.openai.azure.com").is_local


def test_azure_address(monkeypatch):
    monkeypatch.setenv("AZURE_KEY", "k")
    with ChatServer() as server:
        settings = ChatSettings(model="dep", azure_endpoint=server.url.removesuffix("/v1"), api_key_env="AZURE_KEY")
        with ChatClient(settings) as client:
            assert answer_of(client, HELLO).text == "fine"
    assert server.headers[0]["api-key"] == "k"


@pytest.mark.parametrize(
    ("trouble", "settings"),
    [
        (Status(429, headers={"Retry-After": "0.2"}), {}),
        (Status(503), {}),
        (Status(408), {}),
        (Answer(seconds=6.0), {"timeout": 2.0}),
    ],
)
def test_temporary_failures_are_retried(trouble, settings):
    with ChatServer([trouble, Answer("at last")]) as server, client_of(server, **settings) as client:
        assert answer_of(client, HELLO).text == "at last"
    assert server.count == 2


def test_retry_after_is_obeyed():
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
        (Raw(b"<html>gateway</html>"), "malformed", "gateway"),
        (Raw(b'{"choices": []}'), "malformed", "choices"),
        (Answer(seconds=2.0), "timeout", "0.3 s"),
    ],
)
def test_permanent_failures_are_named(reply, kind, message):
    with (
        ChatServer([reply]) as server,
        client_of(server, max_retries=1, timeout=0.3 if kind == "timeout" else 30) as client,
        pytest.raises(ChatFailure, match=message) as failure,
    ):
        answer_of(client, HELLO)
    assert failure.value.kind == kind


def test_no_server_at_the_address():
    with ChatServer() as server:
        pass
    with client_of(server, max_retries=0) as client, pytest.raises(ChatFailure, match="cannot be reached") as failure:
        answer_of(client, HELLO)
    assert failure.value.kind == "connection"


def test_schema_is_sent_and_checked():
    with ChatServer([Answer('{"score": 3}')]) as server, client_of(server) as client:
        assert answer_of(client, HELLO, SCHEMA).parsed == {"score": 3}
    assert server.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize("text", ["no json", '{"score": ', '{"score": "three"}', "[1]"])
def test_json_that_does_not_fit_is_named(text):
    with ChatServer([Answer(text)]) as server, client_of(server) as client, pytest.raises(ChatFailure) as failure:
        answer_of(client, HELLO, SCHEMA)
    assert failure.value.kind == "invalid_json" and failure.value.text == text


@pytest.mark.parametrize(
    "text", ['{"score": 3', '{"score": 3,}', 'Here: {"score": 3} {and so on}', '```json\n{"score": 3}\n```\n[done]']
)
def test_json_inside_text_or_unclosed_is_read(text):
    with ChatServer([Answer(text)]) as server, client_of(server) as client:
        assert answer_of(client, HELLO, SCHEMA).parsed == {"score": 3}


@pytest.mark.parametrize("accepted", ["json_object", None])
def test_servers_without_schemas_get_the_schema_as_text(accepted):
    def script(body):
        kind = body.get("response_format", {}).get("type")
        return Answer('Sure:\n```json\n{"score": 4}\n```') if kind == accepted else Status(400, f"{kind} is unknown")

    with ChatServer(script) as server, client_of(server) as client:
        assert answer_of(client, HELLO, SCHEMA).parsed == {"score": 4}
        asked = server.count
        assert '"score"' in server.requests[-1]["messages"][0]["content"]
        assert answer_of(client, chat(1), SCHEMA).parsed == {"score": 4}
    assert server.count == asked + 1, "what the server refuses is remembered"


def test_a_bad_request_says_what_the_server_said_first():
    with (
        ChatServer([Status(400, "context length exceeded")]) as server,
        client_of(server) as client,
        pytest.raises(ChatFailure, match="context length exceeded"),
    ):
        answer_of(client, HELLO, SCHEMA)


def test_complete_all_bounds_what_is_under_way_and_reads_lazily():
    taken = []

    def requests():
        for number in range(20):
            taken.append(number)
            yield number, chat(number)

    server = ChatServer(lambda body: Answer(body["messages"][0]["content"], seconds=0.02))
    with server, client_of(server, max_concurrency=4) as client:
        results = client.complete_all(requests())
        first = next(results)
        assert len(taken) == 4
        answers = dict([first, *results])
        assert client.totals.replies == 20
    assert {key: reply.text for key, reply in answers.items()} == {n: f"Question {n}" for n in range(20)}
    assert 2 <= server.most_at_once <= 4


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
                assert answer_of(client, HELLO).cached is bool(run)
                with pytest.raises(ChatFailure) as failure:
                    answer_of(client, chat(1))
                assert failure.value.cached is bool(run)
        assert server.count == 2
        with client_of(server, cache_dir=tmp_path, max_tokens=7) as client, pytest.raises(ChatFailure):
            answer_of(client, chat(1))  # another parameter is another question
    assert server.count == 3


def test_errors_of_the_endpoint_are_not_cached(tmp_path):
    with ChatServer([Status(400), Answer("now")]) as server, client_of(server, cache_dir=tmp_path) as client:
        with pytest.raises(ChatFailure):
            answer_of(client, HELLO)
        assert answer_of(client, HELLO).text == "now"


def _ask(url: str, folder: str, first: int) -> None:
    settings = ChatSettings(
        model="m", base_url=url, cache_dir=folder, price_per_million_input=1, price_per_million_output=1
    )
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


def test_a_cache_is_opened_while_nobody_else_opens_it(tmp_path):
    """SQLite changes the journal of a file only if no other process is about to, and fails at once where one is."""
    with ThreadPoolExecutor(1) as pool:
        with FileLock(tmp_path / "replies.sqlite.lock"):
            opening = pool.submit(ChatStore, tmp_path)
            with pytest.raises(TimeoutError):
                opening.result(0.3)
        opening.result(30).close()


PRICES = {"price_per_million_input": 1.0, "price_per_million_output": 10.0}


def test_budget_is_never_exceeded(tmp_path):
    # A request of 103 or 104 bytes and 100 tokens: 0.0011 USD set aside; 10 + 50 are charged: 0.00051 USD.
    settings = {"cache_dir": tmp_path, "max_tokens": 100, **PRICES}
    with ChatServer(lambda body: Answer(usage=(10, 50), seconds=0.01)) as server:
        with client_of(server, budget_usd=0.004, **settings) as client:
            replies = []
            with pytest.raises(ChatFailure, match="raise budget_usd and start again") as failure:
                for item in client.complete_all((n, chat(n)) for n in range(100)):
                    replies.append(item)
            assert failure.value.kind == "budget"
            assert server.count == len(replies) == 6
            assert client.store.spent() == pytest.approx(6 * 0.00051) and client.totals.cost <= 0.004
        again = client_of(server, budget_usd=0.005, **settings)
        with again as client, pytest.raises(ChatFailure, match=r"\$0\.0041 spent"):
            list(client.complete_all((n, chat(n)) for n in range(100)))
        assert server.count == 8, "the money spent before counts, the answers are there"


def _spend(url: str, folder: str, first: int) -> None:
    settings = {"budget_usd": 0.01, "max_tokens": 100, "cache_dir": folder, **PRICES}
    with ChatClient(ChatSettings(model="m", base_url=url, **settings)) as client:
        try:
            list(client.complete_all((n, chat(n)) for n in range(first, first + 100)))
        except ChatFailure as failure:
            raise SystemExit(7 if failure.kind == "budget" else 1) from failure


def test_two_processes_do_not_exceed_a_budget_together(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    with ChatServer(lambda body: Answer(usage=(10, 50), seconds=0.02)) as server:
        workers = [spawn.Process(target=_spend, args=(server.url, str(tmp_path), first)) for first in (100, 500)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert worker.exitcode == 7
    # Of 0.01 USD one worst case (0.0011 USD) can be left over, and what the other process had set aside when one gave up.
    assert server.count >= 10 and server.count * 0.00051 <= 0.01


def test_a_killed_run_goes_on(tmp_path):
    server = ChatServer(lambda body: Answer(usage=(10, 50), seconds=0.05))
    with server:
        worker = multiprocessing.get_context("spawn").Process(target=_ask, args=(server.url, str(tmp_path), 0))
        worker.start()
        while server.count < 12:
            assert worker.is_alive()
            time.sleep(0.01)
        worker.kill()
        worker.join()
        with client_of(server, cache_dir=tmp_path, **PRICES) as client:
            for _, reply in client.complete_all((n, chat(n)) for n in range(30)):
                assert isinstance(reply, ChatReply)
            # Those under way at the kill are asked again, and stay counted at their worst case (more than 2,048 tokens each).
            assert client.totals.cached >= 4 and server.count <= 30 + 8
            assert client.store.spent() > client.totals.cost + client.totals.cached * 60e-6 + 2048e-6


def test_timeouts_stay_counted(tmp_path):
    with ChatServer([Answer(seconds=2)]) as server:
        settings = {"timeout": 1.0, "max_retries": 1, "max_tokens": 100, "budget_usd": 1.0, **PRICES}
        with client_of(server, cache_dir=tmp_path, **settings) as client:
            with pytest.raises(ChatFailure):
                answer_of(client, chat(1))
            assert client.store.spent() > 2 * 0.001


def test_several_answers_and_other_limits_are_set_aside():
    plain, many, longer = (
        ChatSettings(model="m", extra_body=more) for more in ({}, {"n": 3}, {"max_completion_tokens": 5000})
    )
    assert [each.most_tokens(b"12345") for each in (plain, many, longer)] == [(5, 2048), (5, 6144), (5, 5000)]


def test_a_store_that_cannot_be_written_is_fatal(tmp_path):
    (tmp_path / "replies.sqlite").write_bytes(b"this is no database" * 100)
    with ChatServer() as server, pytest.raises(ChatFailure, match=r"replies\.sqlite.*start again"):
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


def test_the_consumer_may_be_slow_and_may_leave():
    with ChatServer() as server, client_of(server) as client:
        for number, (_, reply) in enumerate(client.complete_all((n, chat(n)) for n in range(8))):
            assert isinstance(reply, ChatReply)
            time.sleep(0.15)
            if number == 5:
                break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("chat-client")]


@pytest.mark.parametrize("reply", [Answer(usage=None), Raw(b"<html>")])
def test_what_is_not_counted_is_charged_in_full(reply):
    with ChatServer([reply]) as server, client_of(server, max_tokens=100, **PRICES) as client:
        ((_, result),) = client.complete_all([(0, HELLO)])
        assert isinstance(result, ChatFailure) == isinstance(reply, Raw) and result.usage.cost is None
        assert 100 * 10e-6 < client.store.spent() < 100 * 10e-6 + 500e-6


def test_requests_are_json(tmp_path):
    with ChatServer() as server, client_of(server, extra_body={"top_p": 0.5}, seed=3) as client:
        answer_of(client, HELLO)
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


def test_an_empty_account_is_not_asked_again():
    server = ChatServer([Status(429, error_code="insufficient_quota")])
    with server, client_of(server) as client, pytest.raises(ChatFailure):
        answer_of(client, HELLO)
    assert server.count == 1


def test_refused_attempts_cost_nothing_and_retries_are_each_set_aside():
    script = [Status(500), Answer(seconds=2), Answer(usage=(10, 50))]
    settings = {"timeout": 1.0, "max_tokens": 100, "budget_usd": 1.0, **PRICES}
    with ChatServer(script) as server, client_of(server, **settings) as client:
        assert answer_of(client, HELLO).usage.cost == pytest.approx(0.00051)
        late = client.store.spent() - 0.00051
        assert 0.001 < late < 0.0015, "the attempt without an answer, and not the one that was refused"
    assert server.count == 3


def test_an_unreachable_server_costs_nothing():
    with ChatServer() as server:
        pass
    with client_of(server, max_retries=1, budget_usd=1.0, **PRICES) as client:
        with pytest.raises(ChatFailure, match="cannot be reached"):
            answer_of(client, HELLO)
        assert client.store.spent() == 0


@pytest.mark.parametrize(
    "url", ["https://api.example.org/v1", "http://192.168.1.7:8000/v1", "http://127.example.org/v1"]
)
def test_sending_to_another_machine_warns(url):
    with pytest.warns(DataLeavesWarning, match="another machine.*MIMIC"):
        ChatClient(ChatSettings(model="m", base_url=url)).close()


@pytest.mark.parametrize("url", ["http://localhost:8000/v1", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"])
def test_sending_to_this_machine_does_not_warn(url):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ChatClient(ChatSettings(model="m", base_url=url)).close()
