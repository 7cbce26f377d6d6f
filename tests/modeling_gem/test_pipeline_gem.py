# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Both pipelines: ours for records of any kind, and the stock one with ECGs in the chat."""

import numpy as np
import pytest
from PIL import Image
from transformers import pipeline

from modeling_gem import EcgRecord
from processing.ecg_record import STANDARD_LEADS
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
        output = interpret(source, **options)
        assert set(output) == {"generated_text"} and isinstance(output["generated_text"], str)


def test_batches_of_mixed_modality_equal_single_calls(interpret):
    inputs = [
        record(0),
        page(1),
        {"ecg": record(2), "modality": "signal"},
        chat(3),
        chat(4, ecg=False, image=False),
    ]
    expected = [interpret(source) for source in inputs]
    assert interpret(inputs, batch_size=5) == expected
    assert interpret(inputs, batch_size=2) == expected
    assert list(interpret(iter(inputs), batch_size=2)) == expected
    assert len({output["generated_text"] for output in expected}) > 1


def test_measurements_and_page_on_request(interpret):
    output = interpret(record(), return_measurements=True, return_page=True)
    assert isinstance(output["page"], Image.Image) and output["measurements"] is not None
    assert interpret(page(), return_measurements=True)["measurements"] is None
    assert isinstance(interpret(chat(image=False), return_page=True)["page"], Image.Image)
