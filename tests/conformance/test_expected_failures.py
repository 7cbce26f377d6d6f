# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The list of expected failures names only tests that exist; that they fail is checked when they run."""

import pytest

from tests.conformance import test_models, test_processors
from tests.conformance.conftest import EXPECTED_FAILURES


@pytest.mark.parametrize(("class_name", "test"), EXPECTED_FAILURES)
def test_expected_failures_are_tests_of_their_class(class_name, test):
    suite = getattr(test_models, class_name, None) or getattr(test_processors, class_name)
    assert any(name.startswith(test) for name in dir(suite)), "take it from the expected failures"
