# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Settings of an endpoint: which of them are part of a request's key, and how a wrong one is reported."""

import pytest

from processing.errors_gem import TeacherError
from recipes.chat.settings import ChatSettings, LocalSettings
from recipes.chat.store import request_key

CHAT = [{"role": "user", "content": "Hello"}]
BASE = {"model": "m", "base_url": "http://a:1/v1", "price_per_million_input": 1.0, "price_per_million_output": 2.0}
# Field -> another value, and whether an answer may change with it.
FIELDS = {
    "model": ("other", True),
    "base_url": ("http://b:1/v1", True),
    "azure_endpoint": ("https://b.azure.com", True),
    "azure_api_version": ("2025-01-01", True),
    "temperature": (0.7, True),
    "seed": (3, True),
    "max_tokens": (99, True),
    "max_tokens_field": ("max_completion_tokens", True),
    "extra_body": ({"top_p": 0.5}, True),
    "api_key_env": ("MY_KEY", False),
    "max_concurrency": (2, False),
    "requests_per_minute": (10, False),
    "tokens_per_minute": (10, False),
    "timeout": (3.0, False),
    "max_retries": (1, False),
    "cache_dir": ("replies", False),
    "price_per_million_input": (9.0, False),
    "price_per_million_output": (9.0, False),
    "budget_usd": (9.0, False),
    "batch_price_factor": (1.0, False),
}


def test_the_table_below_names_every_field():
    assert set(FIELDS) == set(ChatSettings.model_fields)


@pytest.mark.parametrize(("name", "value", "shapes"), [(name, *rest) for name, rest in FIELDS.items()])
def test_the_key_holds_what_changes_an_answer_and_nothing_else(name, value, shapes):
    one, other = (request_key(ChatSettings.from_mapping(BASE | more), CHAT, None) for more in ({}, {name: value}))
    assert (one != other) == shapes


def test_the_key_holds_the_chat_the_schema_and_the_address(monkeypatch):
    plain = ChatSettings(model="m")
    keys = {request_key(plain, CHAT, None), request_key(plain, CHAT, {"type": "object"})}
    keys |= {request_key(plain, [{"role": "user", "content": "Bye"}], None)}
    keys |= {request_key(plain, [{"role": "system", "content": "Hello"}], None)}
    keys |= {request_key(plain, CHAT, {"type": "object", "required": ["a"]})}
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
    keys.add(request_key(plain, CHAT, None))
    assert len(keys) == 6
    slash = ChatSettings(model="m", base_url="http://localhost:8000/v1/")
    assert request_key(slash, CHAT, None) in keys, "a slash at the end is the same address"


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (
            ChatSettings,
            {"model": "m", "temprature": 1},
            r"unknown key\(s\) \['temprature'\]; known are \['base_url', .*'temperature'",
        ),
        (ChatSettings, {}, "chat settings: 'model' is missing"),
        (ChatSettings, {"model": "m", "budget_usd": 1}, "budget_usd needs price_per_million_input"),
        (ChatSettings, {"model": "m", "max_tokens": 0}, "max_tokens: expected greater than 0, got 0"),
        (ChatSettings, {"model": "m", "timeout": "soon"}, "timeout: expected a valid number, .*, got 'soon'"),
        (LocalSettings, {"batch_size": 2}, "local settings: 'model' is missing"),
        (LocalSettings, {"model": "m", "quantize": True}, r"unknown key\(s\) \['quantize'\]"),
    ],
)
def test_a_wrong_setting_is_named(kind, values, message):
    with pytest.raises(TeacherError, match=message):
        kind.from_mapping(values)


def test_unlimited_may_be_written_out():
    assert ChatSettings.from_mapping({"model": "m", "requests_per_minute": None, "temperature": None}).model == "m"
