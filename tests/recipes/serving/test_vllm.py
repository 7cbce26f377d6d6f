# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""GEM in vLLM gives the same tokens as in Transformers. `make vllm` runs this, in its own environment."""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, LlamaForCausalLM, Qwen3Config

from modeling_gem import default_checkpoint, extract_features, load_ecg
from modeling_gem.interpretation import load_interpreter
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from recipes.chat.engines import gem_engine, language_model
from recipes.chat.gem_models import TransformersGem
from recipes.chat.settings import LocalSettings
from recipes.chat.vllm_models import VllmGem, prompt_with_ecgs
from recipes.serving.wire import data_url
from tests.helpers.tiny_gem import (
    page,
    picture,
    signal,
    tiny_config,
    tiny_model,
    tiny_processor,
    tiny_text_config,
    tiny_tokenizer,
)

vllm = pytest.importorskip("vllm", reason="vLLM is not installed: `make vllm` runs these tests")

TOKENS = 48
SAMPLES = Path("processing/samples").resolve()
# Of the tokens of a prompt vLLM reads so many at a time: fewer than one ECG and its page have.
CHUNK = 96


@pytest.fixture(autouse=True, scope="module")
def small_cache():
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")


def tiny_gem(folder: Path, body: str) -> Path:
    """A GEM with random weights; vLLM's attention on a CPU needs heads of 32 or more."""
    sizes = {"hidden_size": 128, "intermediate_size": 192, "head_dim": 32, "num_attention_heads": 4}
    text = tiny_text_config(**sizes)
    if body == "qwen3":
        text = Qwen3Config(**{**text.to_diff_dict(), "model_type": "qwen3", "tie_word_embeddings": False})
    config = tiny_config(text)
    tiny_model(config).save_pretrained(folder)
    tiny_processor(config).save_pretrained(folder)
    return folder


def tiny_chats(processor) -> list[list[dict]]:
    """Chats with both, signal, page and text; and one with two ECGs and two pages."""
    records = [EcgRecord(signal(seed), STANDARD_LEADS, 500) for seed in range(3)]
    asked = [
        processor.build_conversation(records[0], image=page(0)),
        processor.build_conversation(records[1], "What is the rhythm?", modality="signal"),
        processor.build_conversation(page(2), "And here?"),
        [{"role": "user", "content": [{"type": "text", "text": "What does a PR interval of 220 ms mean?"}]}],
    ]
    several = [block for chat in asked[:2] for block in chat[0]["content"] if block["type"] != "text"]
    text = {"type": "text", "text": "Compare them."}
    return [*asked, [{"role": "user", "content": [*several, {"type": "image", "image": page(1)}, text]}]]


def sample_chats(processor) -> list[list[dict]]:
    """The same of real shape, for the embedded model, which holds 1,024 tokens."""
    names = ("normal", "atrial_fibrillation", "left_bundle_branch_block")
    records = [load_ecg(SAMPLES / f"{name}.hea") for name in names]
    asked = [
        processor.build_conversation(record, modality=m)
        for record, m in zip(records, ("both", "signal", "image"), strict=True)
    ]
    text = [{"role": "user", "content": [{"type": "text", "text": "Interpret this ECG."}]}]
    several = [{"type": "ecg", "ecg": record} for record in records[:2]] + [{"type": "text", "text": "Compare them."}]
    return [*asked, text, [{"role": "user", "content": several}]]


def transformers_tokens(folder: Path, chats: list[list[dict]]) -> list[list[int]]:
    """Each chat alone, greedy; what follows the end is cut."""
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    ends = model.generation_config.eos_token_id
    tokens = []
    for chat in chats:
        inputs = processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False
        )
        with torch.inference_mode():
            found = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        tokens.append([token for token in found.tolist() if token != ends])
    return tokens


def vllm_tokens(folder: Path, chats: list[list[dict]], rounds: int = 1, **options) -> list[list[int]]:
    gem = VllmGem(str(folder), max_model_len=1024, max_num_seqs=8, **options)
    try:
        settings = vllm.SamplingParams(temperature=0, max_tokens=TOKENS)
        prompts = [prompt_with_ecgs(gem.processor, chat) for chat in chats]
        for _ in range(rounds):
            found = gem.llm.generate(prompts, settings, use_tqdm=False)
    finally:
        gem.close()
    ends = gem.processor.tokenizer.eos_token_id
    return [[token for token in output.outputs[0].token_ids if token != ends] for output in found]


@pytest.mark.parametrize("body", ["llama", "qwen3"])
def test_random_gems_give_the_tokens_of_transformers(tmp_path, body):
    folder = tiny_gem(tmp_path / body, body)
    chats = tiny_chats(AutoProcessor.from_pretrained(folder))
    expected = transformers_tokens(folder, chats)
    assert len({tuple(tokens) for tokens in expected}) == len(chats), "equal answers would prove nothing"
    assert vllm_tokens(folder, chats) == expected


def test_the_embedded_model_gives_them_in_chunks_and_from_the_cache_of_prefixes():
    folder = default_checkpoint()
    chats = sample_chats(AutoProcessor.from_pretrained(folder))
    expected = transformers_tokens(folder, chats)
    chunked = {
        "max_num_batched_tokens": CHUNK + 64,
        "long_prefill_token_threshold": CHUNK,
        "enable_prefix_caching": True,
    }
    assert vllm_tokens(folder, chats, rounds=2, **chunked) == expected


def test_a_teachers_language_model_writes_what_it_writes_in_transformers(tmp_path):
    torch.manual_seed(0)
    tiny = {"hidden_size": 128, "intermediate_size": 192, "head_dim": 32, "num_attention_heads": 4}
    model = LlamaForCausalLM(tiny_text_config(**tiny))
    for parameter in model.parameters():
        parameter.data.mul_(4)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    for saved in (model, tokenizer):
        saved.save_pretrained(tmp_path)
    chats = [(name, [{"role": "user", "content": f"PR {name} ms?"}]) for name in ("120", "210")]
    long = [("long", [{"role": "user", "content": "PR " * 3000}])]
    schema = {
        "type": "object",
        "properties": {"pr": {"type": "integer"}},
        "required": ["pr"],
        "additionalProperties": False,
    }
    written = []
    for engine in ("transformers", "vllm"):
        settings = LocalSettings(model=str(tmp_path), engine=engine, max_new_tokens=24, dtype="float32")
        model = language_model(settings)
        found = dict(model.complete_all([*chats, *long]))
        assert found["long"].kind == "bad_request" and model.is_local
        # Where the limit cuts a character in two, Transformers writes a mark for its first half.
        written.append({name: found[name].text.rstrip("\ufffd") for name, _ in chats})
        if engine == "vllm":
            ((_, held),) = model.complete_all(chats[:1], schema)
            assert held.text.lstrip().startswith("{"), "held to the schema from its first token"
        model.close()
    assert written[0] == written[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The URL of `vllm serve` with the embedded model and GEM's media connector."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("served") / "log.txt"
    command = [str(Path(sys.executable).with_name("vllm")), "serve", str(default_checkpoint()), "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--served-model-name", "gem", "--max-num-seqs", "8"]
    environment = {**os.environ, "VLLM_MEDIA_CONNECTOR": "gem"}
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 900
    try:
        while True:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
                break
            time.sleep(1)
        yield f"{url}/v1"
    finally:
        process.terminate()
        process.wait(60)


def ask(url: str, *parts: dict, **settings) -> tuple[int, str]:
    """Status and body of one request about an ECG."""
    content = [*parts, {"type": "text", "text": "Interpret this ECG."}]
    body = {"model": "gem", "temperature": 0, "max_tokens": TOKENS, "messages": [{"role": "user", "content": content}]}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body | settings).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sent(data: bytes, kind: str = "audio_url", **said) -> dict:
    return {"type": kind, kind: {"url": data_url(data, **said)}}


def test_vllm_serve_gives_the_answers_of_transformers(served):
    local = TransformersGem(load_interpreter())
    chats = sample_chats(local.processor)
    engine = gem_engine(served, str(default_checkpoint()))
    assert engine.answers(chats, TOKENS) == local.answers(chats, TOKENS)
    features = extract_features(local.processor.record(chats[1]))
    tried = engine.more(chats[1], features, 0, TOKENS)(3)
    assert len(tried) == 3 and all(tried)
    engine.close()


def table_of_normal() -> bytes:
    record, table = load_ecg(SAMPLES / "normal.hea"), io.StringIO()
    np.savetxt(table, record.signal.T, delimiter=",", header=",".join(record.leads), comments="", fmt="%.6f")
    return table.getvalue().encode()


def test_vllm_serve_reads_files_as_gem_serve_does(served):
    csv = sent(table_of_normal(), media_type="text/csv", sampling_rate=500, unit="mV")
    status, body = ask(served, csv)
    answer = json.loads(body)["choices"][0]["message"]["content"]
    assert status == 200 and answer.strip().startswith("Sinus rhythm")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for suffix in (".hea", ".dat"):
            files.write(SAMPLES / f"normal{suffix}", f"normal{suffix}")
    assert ask(served, sent(archive.getvalue()))[0] == 200
    status, events = ask(served, csv, stream=True)
    told = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
    assert status == 200 and "".join(event["choices"][0]["delta"].get("content") or "" for event in told) == answer


def test_vllm_serve_says_what_is_wrong_with_a_file(served):
    png = io.BytesIO()
    picture(0, 300, 300).save(png, "PNG")
    flat = io.BytesIO()
    np.savez(
        flat, signal=np.zeros((12, 5000), np.float32), sampling_rate=500.0, leads=np.array(STANDARD_LEADS), unit="mV"
    )
    shown = io.BytesIO()
    TransformersGem(load_interpreter()).processor.page(load_ecg(SAMPLES / "normal.hea")).save(shown, "PNG")
    for part, said in (
        (sent(b"I,II\n0.1,0.2\n"), "sampling rate"),
        (sent(b"no ECG at all"), "ECG"),
        (sent(flat.getvalue()), "flat"),
        (sent(png.getvalue()), "image_url"),
        (sent(png.getvalue(), "image_url"), "ECG"),
        ({"type": "audio_url", "audio_url": {"url": "file:///etc/hostname"}}, "not opened here"),
        ({"type": "audio_url", "audio_url": {"url": "http://127.0.0.1:9/ecg.csv"}}, "not opened here"),
        ({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}, "video"),
        ({"type": "ecg", "path": "normal.hea"}, "Unsupported"),
        ({"type": "text", "text": "What does <ecg> show?"}, "placeholder"),
        (sent(shown.getvalue(), "image_url", digitize="true"), "makes no signal"),
    ):
        status, body = ask(served, part)
        assert status == 400 and said in body, (part["type"], status, body)
    ecg = sent(table_of_normal(), media_type="text/csv", sampling_rate=500, unit="mV")
    status, body = ask(served, ecg, {"type": "text", "text": "and this <ecg>?"})
    assert status == 400 and "2 <ecg> placeholder(s), but 1" in body
    assert ask(served)[0] == 200, "the server lives"
