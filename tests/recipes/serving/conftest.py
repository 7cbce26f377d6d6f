# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""One model for all tests of this folder; per file one running `gem serve` and OpenAI's client of it."""

import pytest

from recipes.models import load_gem


@pytest.fixture(scope="package")
def gem():
    return load_gem()


@pytest.fixture(scope="module")
def server(gem, tmp_path_factory):
    from tests.helpers.gem_server import running

    with running(gem, audit=tmp_path_factory.mktemp("audit") / "audit.jsonl") as found:
        yield found


@pytest.fixture(scope="module")
def client(server):
    from tests.helpers.gem_server import client_of

    return client_of(server)
