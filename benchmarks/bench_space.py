# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The Space with many users: time to the first words and to the complete page, errors, announced waits, memory; findings of axe.

`python -m benchmarks.bench_space [--model FOLDER] [--users 1 10 100] [--rounds 1] [--interpretations 2000] [--browser]`
starts `gem demo` in its own process on a free port. Users upload an ECG, either the same or each a different one, and then all click on
Interpret at once, with the requests that a browser sends. With `--browser` a Chromium visits it too, and axe checks its
accessibility. It needs the extra `dev`.
"""

import argparse
import json
import math
import os
import re
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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from hub_cards.space.gem_space.uploads import SAMPLES, sample_names
from hub_cards.space.gem_space.views import title
from processing.simulator.simulator import simulate_ecg
from tests.helpers.browser import DESKTOP, PHONE, headless_chromium
from tests.helpers.ecg_files import write_wfdb
from tests.helpers.space_client import SpaceClient

PAIR = [SAMPLES / "normal.hea", SAMPLES / "normal.dat"]
BROWSERS = 10
START_S = 300
# Looks every 10 ms in the page itself, so that the driver's own pace is not measured.
CLICK_AND_WATCH = """button => {
  const start = performance.now(); let first = null;
  window.visit = new Promise(done => {
    const look = () => {
      const words = document.querySelector('.gem-turn.assistant .words');
      const picture = document.querySelector('.gem-answer .counts') && document.querySelector('.gem-page img');
      const alert = document.querySelector('.gem-message[role=alert]');
      if (first === null && words && words.innerText.trim()) first = performance.now() - start;
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
    parser.add_argument("--users", type=int, nargs="+", default=[1, 10, 100], help="how many come at once")
    parser.add_argument("--rounds", type=int, default=1, help="rounds of each number of users")
    parser.add_argument("--interpretations", type=int, default=2000, help="one after the other, for the memory")
    parser.add_argument("--browser", action="store_true", help="visit it with a Chromium, and let axe look")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with demo(arguments.model) as (url, started_s, process), TemporaryDirectory() as folder:
        print(f"{os.cpu_count()} cores, load before the start {load:.1f}; ready to serve after {started_s:.1f} s")
        calls(url, [PAIR])  # what is loaded at first use
        ecgs = different_ecgs(Path(folder), max(arguments.users))
        for number in arguments.users:
            for kind, given in (("the same file", [PAIR] * number), ("different files", ecgs[:number])):
                load = os.getloadavg()[0]
                results = [result for _ in range(arguments.rounds) for result in calls(url, given)]
                report(f"{number} at once, {kind} (load {load:.1f})", results)
                print(f"  memory afterwards: {memory(process):.0f} MB")
        growth(url, process, arguments.interpretations)
        if arguments.browser:
            with headless_chromium() as browser:
                in_browsers(browser, url)


def in_browsers(browser: Any, url: str) -> None:
    names = sample_names()
    report("one browser", [result for name in names for result in visits(browser, url, [name])])
    report(
        f"{BROWSERS} browsers on the same cores",
        visits(browser, url, [names[i % len(names)] for i in range(BROWSERS)]),
    )
    for name, settings in {"desktop": DESKTOP, "phone, dark": {**PHONE, "color_scheme": "dark"}}.items():
        print(f"axe, {name}: {findings(browser, url, settings)}")


def different_ecgs(folder: Path, number: int) -> list[list[Path]]:
    """WFDB records of ten seconds that differ in rate and noise."""
    records = []
    for seed in range(number):
        record = simulate_ecg(heart_rate=50 + seed % 60, seed=seed).record
        counts = np.round(record.signal * 1000).astype(np.int16)
        header = write_wfdb(folder, f"ecg{seed}", counts, record.leads, record.sampling_rate)
        records.append([header, header.with_suffix(".dat")])
    return records


def growth(url: str, process: subprocess.Popen, number: int) -> None:
    """The server's memory over interpretations one after the other, each with a newly opened ECG."""
    user = SpaceClient(url)
    names = sample_names()
    steps = {0, 10, 30, *range(100, number, 100), number}
    for done in range(number + 1):
        if done in steps:
            print(f"memory after {done} interpretations: {memory(process):.0f} MB", flush=True)
        if done < number:
            user.outcome("open_sample", names[done % len(names)])
            user.outcome("interpret", "Both", "Mark")


def memory(process: subprocess.Popen) -> float:
    """MB that the server and the processes that read for it do not share with others."""
    server = psutil.Process(process.pid)
    return sum(part.memory_full_info().uss for part in (server, *server.children(recursive=True))) / 1e6


@contextmanager
def demo(model: str) -> Iterator[tuple[str, float, subprocess.Popen]]:
    """`gem demo` on a free port: its address, the seconds until it answered, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    entry = "import sys; sys.argv[0] = 'gem'; from recipes.cli import main; main()"
    command = [sys.executable, "-c", entry, "demo", "--port", str(port), *(["--model", model] if model else [])]
    started = time.perf_counter()
    # To a file: a pipe that is not read fills up, and the server would block at its next warning.
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            url = f"http://127.0.0.1:{port}/"
            while not answers(url):
                if process.poll() is not None or time.perf_counter() - started > START_S:
                    errors.seek(0)
                    raise SystemExit(f"gem demo did not start: {errors.read()}")
                time.sleep(0.1)
            yield url, time.perf_counter() - started, process
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


def calls(url: str, ecgs: list[list[Path]]) -> list[dict[str, Any]]:
    """One user per ECG, all at once: seconds for the upload, and from the click on Interpret on; the longest wait that was announced."""
    users = [SpaceClient(url) for _ in ecgs]

    def upload(user: SpaceClient, files: list[Path]) -> float:
        started = time.perf_counter()
        said = json.dumps(user.outcome("open_upload", user.upload(files))["output"])
        return time.perf_counter() - started if "data:image" in said else math.nan

    def interpret(user: SpaceClient) -> dict[str, Any]:
        started, result = time.perf_counter(), {}
        user.join("interpret", "Both", "Mark")
        for event in user.events():
            said = json.dumps(event)
            if 'class=\\"words\\"' in said:
                result.setdefault("first", time.perf_counter() - started)
            if told := re.search(r"about (\d+) s until it begins", said):
                result["told"] = max(result.get("told", 0), int(told.group(1)))
            if event["msg"] == "process_completed" and "not measurable" not in said:
                return {"error": said[:300]}
        return {**result, "complete": time.perf_counter() - started}

    with ThreadPoolExecutor(len(users)) as pool:
        uploads = list(pool.map(upload, users, ecgs))
        answers = list(pool.map(interpret, users))
    return [
        {**answer, "upload": seconds} if seconds == seconds else {"error": "upload refused"}
        for answer, seconds in zip(answers, uploads, strict=True)
    ]


def open_sample(page: Any, url: str, name: str) -> None:
    page.goto(url)
    page.get_by_role("radio", name=title(name), exact=True).first.check()
    page.get_by_alt_text(f"ECG 1: {name}, all leads").wait_for()


def report(title: str, results: list[dict[str, Any]]) -> None:
    errors = [result["error"] for result in results if "error" in result]
    print(f"{title}: {len(results)} visits, {len(errors)} errors{''.join(f'; {error}' for error in set(errors))}")
    shown = {
        "upload": "upload shown",
        "first": "first words",
        "complete": "complete page",
        "told": "longest wait told",
    }
    for key, what in shown.items():
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
    page.locator(".gem-answer .counts").wait_for()
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
