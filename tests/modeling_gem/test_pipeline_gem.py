# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Both pipelines: ours for records of any kind, and the stock one with ECGs in the chat."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from transformers import pipeline

from modeling_gem import EcgRecord
from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import GemError
from tests.helpers.tiny_gem import chat, page, signal, tiny_config, tiny_model, tiny_processor


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    config = tiny_config()
    tiny_model(config).save_pretrained(folder)
    tiny_processor(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def interpret(checkpoint):
    return pipeline("ecg-text-to-text", model=checkpoint, device="cpu", max_new_tokens=8)


def record(seed: int = 0) -> EcgRecord:
    return EcgRecord(signal(seed), STANDARD_LEADS, 500)


def test_stock_pipeline_takes_chats_with_ecgs(checkpoint):
    stock = pipeline("image-text-to-text", model=checkpoint, device="cpu")
    for conversation in (chat(), chat(image=False)):
        output = stock(text=conversation, max_new_tokens=5, return_full_text=False)
        assert isinstance(output[0]["generated_text"], str)


def test_single_inputs(interpret, tmp_path):
    np.save(tmp_path / "a.npy", signal())
    for source, options in (
        (record(), {}),
        (signal(), {"sampling_rate": 500}),
        (str(tmp_path / "a.npy"), {"sampling_rate": 500}),
        (page(), {}),
        (chat(), {}),
        (record(), {"modality": "signal", "question": "Rate?"}),
        (record(), {"image": page()}),
    ):
        output = interpret(source, **options, grounding="off")
        assert set(output) == {"generated_text", "cut_off", "grounding"} and isinstance(output["generated_text"], str)


def test_the_claims_are_checked_beside_a_text_that_stays_as_it_is(interpret):
    plain, flagged = interpret(record(), grounding="off"), interpret(record())
    assert plain == {"generated_text": flagged["generated_text"], "cut_off": True, "grounding": "off"}
    assert flagged["grounding"] == "flag" and {"claims", "spans", "verdicts"} < set(flagged)
    assert interpret(page()) == {
        "generated_text": interpret(page())["generated_text"],
        "cut_off": True,
        "grounding": "off (picture only)",
    }
    two = [{"role": "user", "content": [*chat()[0]["content"][:1], *chat(1, image=False)[0]["content"]]}]
    assert interpret(two)["grounding"] == "off (more than one ECG)"
    with pytest.raises(GemError, match="'select'"):
        interpret(record(), grounding="best")


def test_a_chat_without_an_ecg_gets_no_reading(interpret):
    nothing = [{"role": "user", "content": "Interpret this ECG."}]
    blocks = [{"role": "user", "content": [{"type": "text", "text": "Interpret this ECG."}]}]
    for chats in (nothing, blocks, [chat(), nothing], [nothing, nothing]):
        with pytest.raises(GemError, match="holds no ECG and no picture"):
            interpret(chats, batch_size=2, grounding="off")
    assert "input_ids" in interpret.processor.apply_chat_template(nothing, tokenize=True, return_dict=True)


def test_without_gem_ecg_the_result_says_that_nothing_was_checked(interpret, monkeypatch):
    monkeypatch.setitem(sys.modules, "modeling_gem.interpretation", None)  # as if it were not installed
    assert interpret(record()).keys() == {"generated_text", "cut_off", "grounding"}
    assert interpret(record())["grounding"] == "off (install gem-ecg to check)"


def test_batches_of_mixed_modality_equal_single_calls(interpret):
    inputs = [
        record(0),
        page(1),
        {"ecg": record(2), "modality": "signal"},
        chat(3),
        chat(4, ecg=False),
    ]
    expected = [interpret(source) for source in inputs]
    assert interpret(inputs, batch_size=5) == expected
    assert interpret(inputs, batch_size=2) == expected
    assert list(interpret(iter(inputs), batch_size=2)) == expected
    assert len({output["generated_text"] for output in expected}) > 1


def test_all_returned_sequences_come_back(interpret):
    alone = interpret(record(0))["generated_text"]
    copies = interpret(record(0), do_sample=True, top_k=1, num_return_sequences=3)
    assert [copy["generated_text"] for copy in copies] == [alone] * 3
    batch = interpret([record(0), record(1)], batch_size=2, num_beams=2, num_return_sequences=2, return_page=True)
    assert [len(beams) for beams in batch] == [2, 2]
    for i, beams in enumerate(batch):
        assert beams[0]["generated_text"] == interpret(record(i), num_beams=2)["generated_text"]
        assert all(isinstance(beam["page"], Image.Image) for beam in beams)


def test_full_text_is_the_chat_with_its_answer(interpret):
    answer = interpret(chat(), return_full_text=False)["generated_text"]
    full = interpret(chat(), return_full_text=True)["generated_text"]
    assert [message["role"] for message in full] == ["user", "assistant"]
    assert full[1]["content"] == answer and interpret(chat())["generated_text"] == answer


@dataclass
class Block:
    type: str
    text: str | None = None
    ecg: np.ndarray | None = None
    sampling_rate: int = 500


@dataclass
class Message:
    role: str
    content: list
    tool_calls: list | None = None


def test_messages_may_be_objects(interpret):
    text = {"type": "text", "text": "Interpret this ECG."}
    dicts = [{"role": "user", "content": [{"type": "ecg", "ecg": signal(), "sampling_rate": 500}, text]}]
    objects = [Message("user", [Block("ecg", ecg=signal()), text])]
    assert interpret(objects) == interpret(dicts)
    settings = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    expected, given = (interpret.processor.apply_chat_template(c, **settings) for c in (dicts, objects))
    assert expected.keys() == given.keys() and all((expected[name] == given[name]).all() for name in expected)


def test_a_saved_pipeline_is_loaded_again(interpret, tmp_path):
    interpret.save_pretrained(tmp_path)
    again = pipeline("ecg-text-to-text", model=str(tmp_path), device="cpu", max_new_tokens=8)
    assert again(record()) == interpret(record())
    assert "custom_pipelines" not in (tmp_path / "config.json").read_text()


def test_measurements_and_page_on_request(interpret):
    output = interpret(record(), return_measurements=True, return_page=True)
    assert isinstance(output["page"], Image.Image) and output["measurements"] is not None
    assert interpret(page(), return_measurements=True)["measurements"] is None
    assert isinstance(interpret(chat(image=False), return_page=True)["page"], Image.Image)
