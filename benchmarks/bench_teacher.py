# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""CPU time of the parts of teachers in one process, and, with --endpoint, how many of a real model's answers are accepted.

python -m benchmarks.bench_teacher
python -m benchmarks.bench_teacher --ptbxl PTBXL --endpoint http://localhost:8000/v1 --model my-model --records 20
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from processing.guider.guider import VARIANTS, DiagnosisGuider
from processing.guider.measurements import measurements_to_text
from recipes.chat.client import ChatClient
from recipes.chat.replies import ChatReply, ChatUsage
from recipes.chat.settings import ChatSettings
from recipes.chat.store import request_key
from recipes.sources.ptbxl import read_ptbxl
from recipes.teachers.checks import CheckSettings, problems, teach
from recipes.teachers.language_models import LanguageModelTeacher
from recipes.teachers.teacher import TeacherJob, TeacherRequest
from recipes.teachers.template import TemplateTeacher

SAMPLES = {"normal": "NORM", "atrial_fibrillation": "AFIB", "left_bundle_branch_block": "CLBBB"}


def sample_requests(count: int) -> list[TeacherRequest]:
    made = [
        TeacherRequest(name, extract_features(load_ecg(Path("processing/samples") / f"{name}.hea")), "", {code: 100.0})
        for name, code in SAMPLES.items()
    ]
    return [made[number % len(made)] for number in range(count)]


def per_second(what: Callable[[], int]) -> float:
    """Items per second of CPU time, the best of three runs."""
    rates = []
    for _ in range(3):
        start = time.process_time()
        count = what()
        rates.append(count / (time.process_time() - start))
    return max(rates)


def speeds(count: int) -> None:
    requests = sample_requests(count)
    template = TemplateTeacher()
    texts = [draft.text for draft in template.write(map(TeacherJob, requests))]
    rates = {}
    for variant in VARIANTS:
        guider = DiagnosisGuider(variant=variant)
        rates[f"guider, {variant}"] = per_second(lambda: prompts(guider, requests))  # noqa: B023
    rates["template teacher, written"] = per_second(lambda: len(list(template.write(map(TeacherJob, requests)))))
    rates["checks of one answer"] = per_second(
        lambda: len([problems(text, request) for text, request in zip(texts, requests, strict=True)])
    )
    rates["template teacher, checked"] = per_second(lambda: len(list(teach(requests, template))))
    rates["cache hits of the chat client"] = per_second(lambda: cache_hits(count * 5))
    for name, rate in rates.items():
        print(f"{name:32s} {rate:8.0f} /s/core  {1000 / rate:7.2f} CPU ms")
    features = requests[0].features
    exact, short = (measurements_to_text(features, tokens) for tokens in (20_000, 2_500))
    print(
        f"measurements of {requests[0].key}: {len(exact.text)} characters exact, {len(short.text)} {short.level}, "
        f"{len(json.dumps(features.to_dict()))} as JSON"
    )


def prompts(guider: DiagnosisGuider, requests: list[TeacherRequest]) -> int:
    return len([guider(request.features, "", request.label_words) for request in requests])


def cache_hits(count: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        settings = ChatSettings(model="m", base_url="http://localhost:9/v1", cache_dir=folder)
        chats = [(n, [{"role": "user", "content": f"Question {n}. " * 200}]) for n in range(count)]
        with ChatClient(settings) as client:
            for _, messages in chats:
                reply = ChatReply("An answer. " * 100, ChatUsage(3000, 300))
                client.store.put(request_key(settings, messages, None), "m", reply)
            return sum(reply.cached for _, reply in client.complete_all(chats))


def real_requests(folder: str, count: int) -> Iterator[TeacherRequest]:
    for item in islice(read_ptbxl(folder, (9,)), count):
        yield TeacherRequest(str(item.record.record_id), extract_features(item.record), "", item.codes, "ptb-xl")


def endpoint(arguments: argparse.Namespace) -> None:
    """Accept and reject rates of a real model, and how many tokens and seconds an answer takes."""
    checks = CheckSettings(min_words=arguments.min_words, max_words=arguments.max_words)
    guider = DiagnosisGuider(
        max_tokens=arguments.max_prompt_tokens,
        min_words=arguments.min_words,
        max_words=arguments.max_words,
        structured=arguments.structured,
    )
    settings = ChatSettings(
        model=arguments.model,
        base_url=arguments.endpoint,
        timeout=arguments.timeout,
        max_concurrency=arguments.concurrency,
        max_tokens=arguments.max_answer_tokens,
        cache_dir=arguments.cache_dir,
    )
    client = ChatClient(settings)
    teacher = LanguageModelTeacher(client, guider)
    start = time.perf_counter()
    answers = []
    for answer in teach(real_requests(arguments.ptbxl, arguments.records), teacher, settings=checks):
        answers.append(answer)
        print(f"{answer.key} attempts {answer.attempts}: {answer.rejected_reason or 'accepted'}")
        print(f"    {' '.join(answer.text.split())[:200]}")
    teacher.close()
    accepted = sum(answer.accepted for answer in answers)
    final = Counter(
        reason.split(":")[0]
        for answer in answers
        if answer.rejected_reason
        for reason in answer.rejected_reason.split(" || ")[-1].split(" | ")
    )
    tokens = [
        sum(getattr(answer.usage, name) for answer in answers) for name in ("prompt_tokens", "completion_tokens")
    ]
    print(
        f"{accepted} of {len(answers)} accepted ({arguments.model}, {guider.name}); reasons of the last attempts: {dict(final)}"
    )
    print(f"{tokens[0]} prompt and {tokens[1]} answer tokens, {time.perf_counter() - start:.0f} s; {client.totals}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--endpoint")
    parser.add_argument("--model", default="model")
    parser.add_argument("--ptbxl")
    parser.add_argument("--records", type=int, default=20)
    parser.add_argument("--structured", action="store_true")
    parser.add_argument("--max-prompt-tokens", type=int, default=8000)
    parser.add_argument("--max-answer-tokens", type=int, default=1024)
    parser.add_argument("--min-words", type=int, default=80)
    parser.add_argument("--max-words", type=int, default=300)
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--cache-dir")
    arguments = parser.parse_args()
    if arguments.endpoint:
        endpoint(arguments)
    else:
        speeds(arguments.count)


if __name__ == "__main__":
    main()
