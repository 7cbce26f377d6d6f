# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Space in a real Chromium: time to the first words and to the complete page, ten users at once, what axe finds.

`python -m benchmarks.bench_space [--model FOLDER] [--visits 10] [--rounds 3]` starts `gem demo` as a process of its own on
a free port, and prints medians, 95th percentiles, errors and axe's findings. It needs the extra `dev` and a Chromium.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from hub_cards.space.gem_space.uploads import sample_names
from hub_cards.space.gem_space.views import title
from tests.helpers.browser import DESKTOP, PHONE, headless_chromium

USERS = 10
START_S = 300
# Looks every 10 ms in the page itself, so that the driver's own pace is not measured.
CLICK_AND_WATCH = """button => {
  const start = performance.now(); let first = null;
  window.visit = new Promise(done => {
    const look = () => {
      const bot = document.querySelector('[data-testid=bot]'), picture = document.querySelector('.evidence img');
      const alert = document.querySelector('.gem-message[role=alert]');
      if (first === null && bot && bot.innerText.trim()) first = performance.now() - start;
      if (alert) done({error: alert.innerText});
      else if (picture && picture.complete) done({first: first / 1000, complete: (performance.now() - start) / 1000});
      else setTimeout(look, 10);
    };
    look();
  });
  button.click();
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="model folder or Hub id; the embedded one if not given")
    parser.add_argument("--visits", type=int, default=10, help="visits one after the other")
    parser.add_argument("--rounds", type=int, default=3, help=f"rounds of {USERS} users at once")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with demo(arguments.model) as (url, started_s), headless_chromium() as browser:
        print(f"{os.cpu_count()} cores, load before the start {load:.1f}; ready to serve after {started_s:.1f} s")
        names = sample_names()
        alone = [result for i in range(arguments.visits) for result in visits(browser, url, [names[i % len(names)]])]
        report("one user", alone)
        samples = [names[i % len(names)] for i in range(USERS)]
        crowd = [result for _ in range(arguments.rounds) for result in visits(browser, url, samples)]
        report(f"{USERS} users at once, with their browsers on the same cores", crowd)
        report(
            f"{USERS} users at once, with their browsers elsewhere",
            [result for _ in range(arguments.rounds) for result in calls(url, samples)],
        )
        for name, settings in {"desktop": DESKTOP, "phone, dark": {**PHONE, "color_scheme": "dark"}}.items():
            print(f"axe, {name}: {findings(browser, url, settings)}")


@contextmanager
def demo(model: str) -> Iterator[tuple[str, float]]:
    """`gem demo` on a free port: its address, and the seconds until it answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    entry = "import sys; sys.argv[0] = 'gem'; from recipes.cli import main; main()"
    command = [sys.executable, "-c", entry, "demo", "--port", str(port), *(["--model", model] if model else [])]
    started = time.perf_counter()
    # Into a file: a pipe that nobody reads fills up, and the server would stop at its next warning.
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            url = f"http://127.0.0.1:{port}/"
            while not answers(url):
                if process.poll() is not None or time.perf_counter() - started > START_S:
                    errors.seek(0)
                    raise SystemExit(f"gem demo did not start: {errors.read()}")
                time.sleep(0.1)
            yield url, time.perf_counter() - started
        finally:
            process.terminate()
            process.wait()


def answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


def visits(browser: Any, url: str, samples: list[str]) -> list[dict[str, Any]]:
    """One user per sample, all at once: seconds from the click on Interpret to the first words and to the whole evidence."""
    contexts = [browser.new_context(**DESKTOP) for _ in samples]
    pages = [context.new_page() for context in contexts]
    for page, name in zip(pages, samples, strict=True):
        page.set_default_timeout(START_S * 1000)
        open_sample(page, url, name)
    for page in pages:
        page.get_by_role("button", name="Interpret", exact=True).evaluate(CLICK_AND_WATCH)
    results = [page.evaluate("window.visit") for page in pages]
    for context in contexts:
        context.close()
    return results


def calls(url: str, samples: list[str]) -> list[dict[str, Any]]:
    """One user per sample, all at once, as their browsers would ask, without drawing anything: what the server alone takes."""
    from gradio_client import Client

    users = [Client(url, verbose=False) for _ in samples]
    for user, name in zip(users, samples, strict=True):
        user.predict(name, api_name="/open_sample")

    def ask(user: Client) -> dict[str, Any]:
        started, result = time.perf_counter(), {}
        try:
            for _ in user.submit("Both", api_name="/interpret"):
                result.setdefault("first", time.perf_counter() - started)
        except Exception as error:
            return {"error": str(error)}
        return {**result, "complete": time.perf_counter() - started}

    with ThreadPoolExecutor(len(users)) as pool:
        return list(pool.map(ask, users))


def open_sample(page: Any, url: str, name: str) -> None:
    page.goto(url)
    page.get_by_role("radio", name=title(name), exact=True).first.check()
    page.get_by_alt_text(f"ECG 1: {name}, all leads").wait_for()


def report(title: str, results: list[dict[str, Any]]) -> None:
    errors = [result["error"] for result in results if "error" in result]
    print(f"{title}: {len(results)} visits, {len(errors)} errors{''.join(f'; {error}' for error in set(errors))}")
    for key, what in {"first": "first words", "complete": "complete page"}.items():
        seconds = [result[key] for result in results if key in result]
        if seconds:
            print(f"  {what}: median {statistics.median(seconds):.2f} s, p95 {np.percentile(seconds, 95):.2f} s")


def findings(browser: Any, url: str, settings: dict[str, Any]) -> str:
    """axe's findings on the whole page after an interpretation, with all panels open, counted by impact."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(**settings)
    page = context.new_page()
    page.set_default_timeout(START_S * 1000)
    open_sample(page, url, sample_names()[0])
    page.get_by_role("button", name="Interpret", exact=True).click()
    page.locator(".evidence").wait_for()
    for panel in ("Measurements", "Compare with another ECG"):
        page.get_by_role("button", name=panel).click()
    page.wait_for_timeout(1000)
    found = Axe().run(page).response
    context.close()
    impacts = [violation["impact"] for violation in found["violations"]]
    counts = ", ".join(f"{impacts.count(impact)} {impact}" for impact in ("critical", "serious", "moderate", "minor"))
    return f"{counts}; {len(found['passes'])} rules passed (axe-core {found['testEngine']['version']})"


if __name__ == "__main__":
    main()
