# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Skipped tests are listed at the end of a run; in CI a test fails if it was skipped although its data was there."""

import os
from collections import Counter

import pytest

from tests.helpers.shared_data import BESIDE_CHECKOUT, NEEDS_SHARED, SHARED


def skip_reasons(reporter) -> Counter[str]:
    """Why tests were skipped -> how many."""
    reports = (report.longrepr for report in reporter.stats.get("skipped", ()))
    return Counter(str(at[2] if isinstance(at, tuple) else at).removeprefix("Skipped: ") for at in reports)


def leaves_shared_data_unused(reasons: Counter[str]) -> bool:
    """Whether this is CI, and tests were skipped for lack of shared data although the data are present."""
    there = SHARED.is_dir() or BESIDE_CHECKOUT.is_dir()
    return bool(os.environ.get("CI")) and there and any(NEEDS_SHARED in reason for reason in reasons)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = session.exitstatus == pytest.ExitCode.OK
    if passed and reporter is not None and leaves_shared_data_unused(skip_reasons(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter) -> None:
    reasons = skip_reasons(terminalreporter)
    if not reasons:
        return
    listed = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common())
    verdict = "FAILED, the data are there" if leaves_shared_data_unused(reasons) else "NOT RUN"
    terminalreporter.write_line(f"{verdict}: {reasons.total()} test(s) skipped: {listed}", yellow=True, bold=True)
