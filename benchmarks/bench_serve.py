# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
`gem serve` and vLLM with many clients, compared with Transformers' `generate` in a loop: requests per second, latency, memory, bad requests.

`python -m benchmarks.bench_serve [--clients 1 8 32] [--requests 96] [--memory 2000] [--vllm ENVIRONMENT]` starts `gem serve` as a
process of its own on a free port, and after it `vllm serve` of an environment such as `.venv-vllm` of `make vllm`. Every request sends a WFDB
record as a ZIP (in OpenAI's `file` part, to vLLM as `audio_url`), asks one of two questions and reads the answer to its end; each answer is
compared with that of the plain loop. With `--url` a server is measured that runs already, with `audio_url`. It needs the extra `dev`.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx
import psutil
import torch

from modeling_gem import default_checkpoint
from recipes.models import load_gem
from recipes.serving.uploads import read_ecg
from recipes.serving.wire import SentFile, data_url

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = sorted((ROOT / "processing" / "samples").glob("*.hea"))
TEXTS = ("Interpret this ECG.", "What is the rhythm?")
START_S = 600
MODEL = "gem-ecg-tiny"
LENGTH = 256


@dataclass(frozen=True)
class Question:
    """A record as it is sent, and what is asked about it."""

    record: bytes
    text: str

    def body(self, model: str, as_audio: bool, stream: bool = False, length: int = LENGTH) -> dict[str, Any]:
        """The request."""
        if as_audio:
            part = {"type": "audio_url", "audio_url": {"url": data_url(self.record, "application/zip")}}
        else:
            data = base64.b64encode(self.record).decode()
            part = {"type": "file", "file": {"file_data": data, "filename": "record.zip"}}
        content = [part, {"type": "text", "text": self.text}]
        asked = {"model": model, "messages": [{"role": "user", "content": content}], "temperature": 0}
        return {**asked, "max_tokens": length, "stream": stream}


def questions() -> list[Question]:
    """Every sample with every question."""
    found = []
    for header in SAMPLES:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in (header, header.with_suffix(".dat")):
                file.write(path, path.name)
        found += [Question(archive.getvalue(), text) for text in TEXTS]
    return found


def threads() -> int:
    """Of the model, as in `gem serve`."""
    return max(1, (psutil.cpu_count() or 1) // 2)


def plain_loop(asked: Sequence[Question]) -> tuple[list[str], list[float]]:
    """The answers of `generate`, one after the other in one process, and the seconds of each: read, prepared, written.

    With as many threads as the server takes for the model: on a machine that is busy, more only wait for each other.
    """
    torch.set_num_threads(threads())
    network, processor = load_gem()
    texts, seconds = [], []
    for question in (asked[0], *asked):  # the first one loads what is loaded at first use
        began = time.perf_counter()
        record = read_ecg(SentFile(question.record, "record.zip"))
        chat = processor.build_conversation(record, question=question.text, modality="signal")
        inputs = processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False
        )
        with torch.inference_mode():
            ids = network.generate(**inputs, max_new_tokens=LENGTH, do_sample=False)
        words = ids[0, inputs["input_ids"].shape[1] :]
        texts.append(processor.tokenizer.decode(words, skip_special_tokens=True).strip())
        seconds.append(time.perf_counter() - began)
    return texts[1:], seconds[1:]


@contextmanager
def serving(command: Sequence[str], **environment: str) -> Iterator[tuple[str, psutil.Process]]:
    """The URL and process of a server that has started; the port is added to its command."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The code of this checkout, whatever another environment has installed.
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(
        [*command, "--port", str(port)], cwd=ROOT, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(90)


def gem_serve() -> list[str]:
    """The command of `gem serve`."""
    return [sys.executable, "-m", "recipes.cli", "serve", "--requests", "256"]


def vllm_serve(environment: Path) -> list[str]:
    """The command of `vllm serve` in an environment, with the embedded model and the settings that a CPU needs."""
    command = [str(environment / "bin" / "vllm"), "serve", str(default_checkpoint()), "--served-model-name", MODEL]
    return [*command, "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "16", "--generation-config", "auto"]


class Clients:
    """Clients of one server.

    Args:
        url: its `/v1`.
        as_audio: whether it takes ECGs as `audio_url` only.
    """

    def __init__(self, url: str, model: str, as_audio: bool) -> None:
        self.url, self.model, self.as_audio = url, model, as_audio

    async def _ask(self, client: httpx.AsyncClient, question: Question, length: int) -> tuple[str, float]:
        began = time.perf_counter()
        body = question.body(self.model, self.as_audio, length=length)
        reply = await client.post(f"{self.url}/chat/completions", json=body)
        if reply.is_error:
            raise RuntimeError(f"{reply.status_code}: {reply.text[:500]}")
        return reply.json()["choices"][0]["message"]["content"], time.perf_counter() - began

    def at_once(
        self, asked: Sequence[Question], clients: int, length: int = LENGTH
    ) -> tuple[list[str], list[float], float]:
        """Answers in order, the seconds of each, and those of all: each client asks again as soon as it is answered."""

        async def all_clients() -> list[tuple[str, float]]:
            found: list[tuple[str, float]] = [("", 0.0)] * len(asked)
            waiting = iter(enumerate(asked))

            async def one(client: httpx.AsyncClient) -> None:
                for number, question in waiting:
                    found[number] = await self._ask(client, question, length)

            async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=None)) as client:
                await asyncio.gather(*(one(client) for _ in range(clients)))
            return found

        began = time.perf_counter()
        found = asyncio.run(all_clients())
        return [text for text, _ in found], [seconds for _, seconds in found], time.perf_counter() - began

    def first_words(self, asked: Sequence[Question]) -> list[float]:
        """s until the first words of streams, one after the other."""
        seconds = []
        for question in asked:
            began = time.perf_counter()
            body = question.body(self.model, self.as_audio, stream=True)
            with httpx.stream("POST", f"{self.url}/chat/completions", json=body, timeout=600) as reply:
                for line in reply.iter_lines():
                    if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                        seconds.append(time.perf_counter() - began)
                        break
        return seconds

    def bad_at_once(self, number: int) -> dict[int, int]:
        """Status -> number of simultaneous bad requests that got it; 0: no answer at all."""
        bodies = cycle(
            [
                {"model": self.model, "messages": [{"role": "user", "content": [{"type": "video_url"}]}]},
                Question(b"no ECG " * 999, "?").body(self.model, self.as_audio),
                {"model": "another", "messages": []},
                Question(b"PK\x03\x04" + bytes(5000), "?").body(self.model, self.as_audio),
            ]
        )

        async def one(client: httpx.AsyncClient, body: dict[str, Any]) -> int:
            try:
                return (await client.post(f"{self.url}/chat/completions", json=body)).status_code
            except httpx.HTTPError:
                return 0

        async def storm() -> list[int]:
            async with httpx.AsyncClient(timeout=300, limits=httpx.Limits(max_connections=None)) as client:
                return list(await asyncio.gather(*(one(client, body) for body in islice(bodies, number))))

        statuses = asyncio.run(storm())
        return {status: statuses.count(status) for status in sorted(set(statuses))}


def row(name: str, seconds: Sequence[float], total: float) -> str:
    """A line of the table."""
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return f"| {name} | {len(seconds) / total:.2f} | {statistics.median(seconds):.2f} | {cuts[-1]:.2f} |"


def main() -> None:
    """Measures, and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument(
        "--requests", type=int, default=96, help="for each number of clients, 16 for each client at most"
    )
    parser.add_argument("--memory", type=int, default=2000, help="further short requests, for the memory")
    parser.add_argument("--bad", type=int, default=200, help="bad requests at once")
    parser.add_argument("--url", help="of a server that runs already, instead of `gem serve`")
    parser.add_argument("--model", default=MODEL, help="its name there")
    parser.add_argument("--vllm", type=Path, help="environment with vLLM, whose server is measured too")
    options = parser.parse_args()
    asked = questions()
    many = list(islice(cycle(asked), options.requests))
    expected, seconds = plain_loop(asked)
    print("| | requests/s | p50 (s) | p95 (s) |\n|---|---:|---:|---:|")
    print(row("`generate` in a plain loop", seconds, sum(seconds)), flush=True)
    loop = len(seconds) / sum(seconds)
    if options.url:
        measure("server", Clients(options.url, options.model, True), many, expected, loop, options)
        return
    with serving(gem_serve()) as (url, process):
        clients = Clients(url, MODEL, False)
        measure("`gem serve`", clients, many, expected, loop, options)
        if options.memory:
            memory(clients, asked, process, options.memory)
        print(f"\n{options.bad} bad requests at once: {clients.bad_at_once(options.bad)}")
        print(f"then: {httpx.get(url.removesuffix('/v1') + '/health').json()['status']}", flush=True)
    if options.vllm:
        # As many threads as the model has in `gem serve` and in the loop.
        settings = {"VLLM_MEDIA_CONNECTOR": "gem", "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": str(threads())}
        with serving(vllm_serve(options.vllm), **settings) as (url, _):
            measure("vLLM", Clients(url, MODEL, True), many, expected, loop, options)


def measure(
    name: str,
    clients: Clients,
    many: Sequence[Question],
    expected: Sequence[str],
    loop: float,
    options: argparse.Namespace,
) -> None:
    """The rows of a server, and how often it answers for one answer of the loop."""
    clients.at_once(many[:4], 2)
    for number in options.clients:
        texts, seconds, total = clients.at_once(many[: 16 * number], number)
        wrong = sum(text != known for text, known in zip(texts, cycle(expected), strict=False))
        said = f" {wrong} of {len(texts)} answers are other ones" if wrong else ""
        said += f" {len(texts) / total / loop:.2f} times the loop"
        print(row(f"{name}, {number} client(s)", seconds, total) + said, flush=True)
    first = clients.first_words(many[:16])
    print(f"\nfirst words of a stream: p50 {statistics.median(first):.2f} s, longest {max(first):.2f} s", flush=True)


def memory(clients: Clients, asked: Sequence[Question], process: psutil.Process, number: int) -> None:
    """MB of the server and its processes, over so many short requests."""
    print("\n| requests | MB |\n|---:|---:|")
    done = 0
    for stop in (number // 10, number // 2, number):
        clients.at_once(list(islice(cycle(asked), stop - done)), 8, length=4)
        done = stop
        processes = [process, *process.children(recursive=True)]
        print(f"| {done:,} | {sum(each.memory_info().rss for each in processes) / 2**20:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
