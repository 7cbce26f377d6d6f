# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A real, headless Chromium: Debian's or any other that is installed; none is ever downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}


def chromium_path() -> str | None:
    """The executable: GEM_CHROMIUM, or one of the usual names."""
    return os.environ.get("GEM_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def headless_chromium() -> Iterator:
    """A Playwright browser; the calling test is skipped, with the reason, where there is no Chromium or no Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need the extra `dev`")
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium, or set GEM_CHROMIUM to its executable")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
