# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The collator gives the labels of the original training code (golden batches)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMultimodalLM, AutoProcessor

from modeling_gem.convert_gem import convert_original_checkpoint
from recipes.training.collator import GemDataCollator
from tests.helpers.shared_data import shared_path
from tests.modeling_gem.test_convert_gem import collapsed


def example(sample: dict, folder: Path) -> dict:
    """The authors' sample as a row of a data set: one `<image>`, wherever it stood, for signal and picture."""
    roles = {"human": "user", "gpt": "assistant"}
    return {
        "id": sample["id"],
        "ecg": str(folder / "ecg" / sample["ecg"]),
        "images": [str(folder / "images" / sample["image"])],
        "messages": [{"role": roles[turn["from"]], "content": turn["value"]} for turn in sample["conversations"]],
    }


@pytest.fixture(scope="module", params=["F1", "F3"])
def original(request, tmp_path_factory):
    folder = shared_path(f"fixtures/original/{request.param}")
    output = tmp_path_factory.mktemp(request.param)
    convert_original_checkpoint(folder / "checkpoint" / f"llava-gem-{request.param}", output)
    samples = json.loads((folder / "inputs" / "data.json").read_text())
    examples = dict(zip("abcd", (example(sample, folder / "inputs") for sample in samples), strict=True))
    return output, examples, load_file(folder / "golden.safetensors")


@pytest.mark.parametrize("names", ["ab", "cd"])
def test_labels_and_loss_of_the_collator(original, names):
    checkpoint, examples, golden = original
    processor = AutoProcessor.from_pretrained(checkpoint)
    batch = GemDataCollator(processor, assistant_only_loss=True)([examples[name] for name in names])
    assert torch.equal(batch["labels"], golden[f"batch_{names}.merged_labels"])
    assert torch.equal(batch["attention_mask"], golden[f"batch_{names}.merged_attention_mask"].long())
    for row, name in enumerate(names):
        ids = batch["input_ids"][row, : int(batch["attention_mask"][row].sum())].tolist()
        assert collapsed(ids, processor) == golden[f"{name}.train_input_ids"].tolist()
    model = AutoModelForMultimodalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    with torch.no_grad():
        loss = model(**batch).loss
    torch.testing.assert_close(loss[None], golden[f"batch_{names}.loss"], rtol=1e-4, atol=1e-5)
