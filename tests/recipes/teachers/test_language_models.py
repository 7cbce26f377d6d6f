# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Each kind of teacher: over real HTTP, a real model in this process, and without any model."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from processing.grounding.check import check_grounding
from processing.guider.guider import DiagnosisGuider
from recipes.chat.client import ChatClient
from recipes.chat.local import LocalModel
from recipes.chat.replies import ChatFailure
from recipes.chat.settings import ChatSettings, LocalSettings
from recipes.teachers.checks import CheckSettings, teach
from recipes.teachers.language_models import LanguageModelTeacher, build_teacher
from recipes.teachers.teacher import TeacherRequest
from recipes.teachers.template import TemplateTeacher, impression_of
from recipes.teachers.template_reading import beats_in_words, long_reading
from tests.helpers.chat_server import Answer, ChatServer, Status
from tests.helpers.shared_data import shared_path

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = {"normal": "NORM", "atrial_fibrillation": "AFIB", "left_bundle_branch_block": "CLBBB"}


@pytest.fixture(scope="module")
def requests() -> list[TeacherRequest]:
    return [
        TeacherRequest(
            name, extract_features(load_ecg(ROOT / f"processing/samples/{name}.hea")), "", {code: 100.0}, "ptb-xl"
        )
        for name, code in SAMPLES.items()
    ]


def reading_of(request: TeacherRequest) -> str:
    return next(teach([request], TemplateTeacher())).text


def test_template_is_deterministic_and_grounded(requests):
    answers = list(teach(requests, TemplateTeacher()))
    assert [answer.key for answer in answers] == list(SAMPLES) and all(answer.accepted for answer in answers)
    assert answers == list(teach(requests, TemplateTeacher()))
    for answer, request in zip(answers, requests, strict=True):
        report = check_grounding(answer.text, request.features)
        assert report.precision == 1.0 and report.count("supported") >= 10
    assert answers[1].text.endswith("Impression: atrial fibrillation.") and "P waves" in answers[1].text
    for answer in answers:
        assert re.search(r"before beat \d", answer.text), "beats are cited"
        assert re.search(r"\b(I|II|III|aV[LF]|V[1-6])\b[^.]* \(?-?\d", answer.text), "leads are cited with values"


def test_the_template_varies_its_words_not_its_values(requests):
    features, impression = requests[0].features, ["sinus rhythm", "normal ECG"]
    texts = [long_reading(features, impression, seed=str(number)) for number in range(20)]
    assert len(set(texts)) >= 15 and texts[3] == long_reading(features, impression, seed="3")
    numbers = [sorted(set(re.findall(r"\d+\.\d+|\d{2,}", text))) for text in texts]
    assert all(found == numbers[0] for found in numbers)


@pytest.mark.parametrize(
    ("changes", "impression", "absent", "present"),
    [
        ({"qrs_axis": 40.0}, ["left axis deviation"], "axis is", "QRS"),
        ({"qrs_axis": -20.0}, ["left axis deviation"], "normal at", "-20 degrees"),
        ({"qrs_axis": -50.0}, ["normal ECG"], "deviation", "-50 degrees"),
        ({"rhythm_regularity": "regular"}, ["atrial fibrillation"], "regular", "The rhythm is atrial fibrillation."),
        ({}, ["first degree AV block"], "PR interval", "a P wave of"),
        ({}, ["sinus tachycardia"], "bpm", "sinus tachycardia"),
        ({"qrs_duration": 97.0}, ["complete left bundle branch block"], "97 ms", "complex in V1"),
        ({"pathological_q": ("III",)}, ["sinus rhythm"], "Q wave", "QRS"),
        ({"pathological_q": ("III", "aVF")}, ["normal ECG"], "Q wave", "QRS"),
        ({"qrs_patterns": {"V1": "", "V6": "qR"}}, ["sinus rhythm"], "  ", "a qR complex in V6"),
        ({}, ["ischaemic ST-T changes"], "no significant", "The largest ST level"),
        ({"qtc_bazett": 400.0}, ["long QT interval"], "QTc", "The QT interval is"),
        ({"qtc_bazett": 490.0}, ["long QT interval"], "  ", "prolonged"),
    ],
)
def test_a_reading_does_not_deny_what_is_settled(requests, changes, impression, absent, present):
    text = long_reading(replace(requests[0].features, **changes), impression).split(" Impression:")[0]
    assert absent not in text and present in text, text


def test_every_abnormal_beat_is_named(requests):
    features = requests[0].features
    widths = features.sequences["QRS Duration"].copy()
    widths[features.leads.index("II"), 4] += 80
    rr = features.sequences["RR Interval 1"].copy()
    rr[:, 4] -= 250
    text = long_reading(
        replace(features, sequences={**features.sequences, "QRS Duration": widths, "RR Interval 1": rr}),
        ["sinus rhythm", "ventricular premature complexes"],
    )
    assert re.search(r"Beat 5 (comes early|is premature), \d+ ms after beat 4\.", text), text
    assert re.search(r"In lead II beat 5 is wide, with a QRS duration of 1\d\d ms", text), text


def test_short_template(requests):
    (answer,) = teach(requests[:1], TemplateTeacher("short"), settings=CheckSettings(min_words=20))
    assert answer.version.startswith("short-") and "normal ECG" in answer.text
    with pytest.raises(ValueError, match="long"):
        TemplateTeacher("medium")


def test_the_template_does_not_call_p_waves_absent_that_are_unclear(requests):
    features = replace(requests[0].features, p_present=None, p_unclear="moving electrodes", pr_interval=math.nan)
    (answer,) = teach([replace(requests[0], features=features)], TemplateTeacher())
    assert "cannot be measured because of moving electrodes" in answer.text
    assert not any(words in answer.text for words in ("No P waves precede", "P waves are absent"))


def test_template_without_beats_or_labels(requests):
    flat = TeacherRequest("flat", extract_features(np.zeros((12, 5000)), 500), labels={"NORM": 100.0})
    bare = replace(requests[0], key="bare", labels={})
    reasons = {answer.key: answer.rejected_reason for answer in teach([flat, bare], TemplateTeacher())}
    assert "no heartbeat found" in reasons["flat"] and "no labels" in reasons["bare"]


def test_impressions(requests):
    def impression(**fields):
        return impression_of(replace(requests[0], **fields))

    assert impression(labels={"NORM": 100.0, "SR": 0.0}) == ["sinus rhythm", "normal ECG"]
    assert impression(labels={"NORM": 80.0, "LVH": 100.0}) == ["left ventricular hypertrophy"]
    assert impression(labels={"LVH": 15.0, "NORM": 80.0}) == ["normal ECG"], "unlikely statements are left out"
    assert impression(labels={}, report="vorhofflimmern, linksschenkelblock") == [
        "atrial fibrillation",
        "left bundle branch block",
    ]
    assert impression(labels={"164889003": 100.0}, label_system="snomed") == ["atrial fibrillation"]
    assert impression(labels={"Sinus rhythm": 100.0, "Wolff-Parkinson-White": 100.0}, label_system="text") == [
        "sinus rhythm",
        "Wolff-Parkinson-White",
    ]
    ludb = {"Iii degree av-block": 100.0, "Scar formation: inferior wall": 100.0, "Sinus rhythm": 100.0}
    assert impression(labels=ludb, label_system="ludb") == [
        "sinus rhythm",
        "third degree AV block",
        "myocardial scar (inferior wall)",
    ]


def test_findings_are_named_once(requests):
    told = replace(requests[0], report="Sinus rhythm; abnormal ECG.", labels={"SR": 0.0, "NORM": 100.0})
    assert told.label_words == ["normal ECG"], "a part of a statement is not the statement"


def test_beats_in_words():
    assert beats_in_words([5]) == "beat 5" and beats_in_words([9, 3, 4, 5, 6]) == "beats 3-6 and 9"


def test_the_template_on_real_records():
    from itertools import islice

    from recipes.sources.ptbxl import read_ptbxl

    items = islice(read_ptbxl(shared_path("data/ptbxl"), (9,)), 40)
    made = (
        TeacherRequest(item.record.record_id, extract_features(item.record), "", item.codes, "ptb-xl")
        for item in items
    )
    answers = list(teach(made, TemplateTeacher()))
    assert len(answers) == 40 and sum(answer.accepted for answer in answers) >= 39


def structured(text: str) -> str:
    return json.dumps({"steps": [], "impression": ["normal ECG"], "text": text})


def remote(server: ChatServer, guider: DiagnosisGuider | None = None, **settings) -> LanguageModelTeacher:
    return LanguageModelTeacher(
        ChatClient(ChatSettings(model="judge-9", base_url=server.url, timeout=5, **settings)), guider
    )


def test_remote_with_schema_and_second_attempt(requests, tmp_path):
    good = reading_of(requests[0])

    def script(body):
        second = len(body["messages"]) == 4
        return Answer(structured(good if second else f"{good} The report agrees."), usage=(1000, 300))

    with ChatServer(script) as server:
        for run in range(2):
            teacher = remote(server, cache_dir=tmp_path, price_per_million_input=1, price_per_million_output=1)
            (answer,) = teach(requests[:1], teacher)
            teacher.close()
            assert answer.accepted and answer.attempts == 2 and answer.text == good
            assert answer.structured["impression"] == ["normal ECG"]
            assert answer.usage.cost == pytest.approx(0.0 if run else 2 * 1300e-6), "the second run is free"
        assert server.count == 2
        assert server.requests[0]["response_format"]["json_schema"]["schema"]["required"] == [
            "steps",
            "impression",
            "text",
        ]
        assert "show that a report" in server.requests[1]["messages"][3]["content"]
    assert answer.version == DiagnosisGuider().name and not teacher.remote, "localhost is this machine"


def test_remote_failures_are_rejections(requests):
    replies = {"normal": Answer(None, refusal="no"), "atrial": Answer("{broken"), "left": Status(500)}

    def script(body):
        settled = body["messages"][1]["content"].split("<settled>")[1]
        return replies["normal" if "normal" in settled else "atrial" if "atrial" in settled else "left"]

    with ChatServer(script) as server:
        teacher = remote(server, max_retries=0)
        answers = {answer.key: answer for answer in teach(requests, teacher)}
        teacher.close()
    assert "refusal" in answers["normal"].rejected_reason and answers["normal"].attempts == 2
    assert "invalid_json" in answers["atrial_fibrillation"].rejected_reason
    lbbb = answers["left_bundle_branch_block"]
    assert "server" in lbbb.rejected_reason and not lbbb.answered and lbbb.attempts == 1


def test_a_prompt_that_cannot_be_made_spares_the_others(requests):
    bare = replace(requests[0], key="bare", labels={})
    with ChatServer([Answer(reading_of(requests[1]))]) as server:
        teacher = remote(server, DiagnosisGuider(structured=False))
        answers = {answer.key: answer for answer in teach([bare, requests[1]], teacher)}
        teacher.close()
    assert "neither a report nor labels" in answers["bare"].rejected_reason
    assert answers["atrial_fibrillation"].accepted


def test_a_spent_budget_ends_the_run(requests):
    with ChatServer([Answer(structured("x"))]) as server:
        teacher = remote(server, budget_usd=0.001, price_per_million_input=1, price_per_million_output=1)
        with pytest.raises(ChatFailure, match="raise budget_usd"):
            list(teach(requests, teacher))
        teacher.close()
    assert server.count == 0


@pytest.fixture(scope="module")
def tiny_llm(tmp_path_factory) -> Path:
    """A LLaMA of random weights with a byte-level tokenizer and a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("llm") / "tiny-llm"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1500, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([DiagnosisGuider().system], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")
    fast.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=20_000,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def local_teacher(folder: Path, guider: DiagnosisGuider, **settings: int) -> LanguageModelTeacher:
    return LanguageModelTeacher(LocalModel(LocalSettings(model=str(folder), **settings)), guider)


def test_local_model(tiny_llm, requests):
    guider = DiagnosisGuider(max_tokens=3_000, structured=False)
    teacher = local_teacher(tiny_llm, guider, batch_size=2, max_new_tokens=8)
    answers = {answer.key: answer for answer in teach(requests, teacher)}
    assert set(answers) == set(SAMPLES) and teacher.name == "tiny-llm" and not teacher.remote
    for answer in answers.values():
        assert not answer.accepted and answer.attempts == 2 and answer.usage.prompt_tokens > 1_000
        assert "truncated: cut off after 8 tokens" in answer.rejected_reason or "length" in answer.rejected_reason
    (alone,) = teach(requests[:1], local_teacher(tiny_llm, guider, batch_size=1, max_new_tokens=8))
    assert alone.text == answers["normal"].text, "a batch writes what a single prompt writes"


def test_local_prompt_beyond_the_context(tiny_llm, requests):
    teacher = local_teacher(tiny_llm, DiagnosisGuider(structured=False), max_new_tokens=15_000)
    (answer,) = teach(requests[:1], teacher)
    assert "lower the guider's max_tokens" in answer.rejected_reason


def test_settings(tiny_llm):
    assert build_teacher({"kind": "template", "form": "short"}).version.startswith("short")
    local = build_teacher({"kind": "local", "local": {"model": str(tiny_llm)}, "guider": {"variant": "protocol"}})
    assert "protocol" in local.version and not local.guider.structured
    chat = {"model": "m", "base_url": "https://example.com/v1"}
    assert build_teacher({"kind": "remote", "chat": chat}).remote


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "template, local, remote"),
        ({"kind": "template", "chat": {}}, "does not belong to kind template"),
        ({"kind": "remote"}, "'model' is missing"),
        ({"kind": "remote", "chat": {"model": "m", "modle": 1}}, r"unknown key\(s\) \['modle'\]"),
        ({"kind": "local", "local": {}}, "'model' is missing"),
        ({"kind": "remote", "chat": {"model": "m"}, "guider": {"varient": 1}}, "varient"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        build_teacher(settings)
