# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PEFT's methods train a GEM with ECGs, including those that pass embeddings in place of ids."""

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptEncoderConfig, PromptTuningConfig, get_peft_model

from tests.helpers.tiny_gem import chat, tiny_model, tiny_processor

METHODS = {
    "lora": LoraConfig(task_type="CAUSAL_LM", r=4, init_lora_weights=False),
    "prompt tuning": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "p-tuning": PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=4, encoder_hidden_size=16),
}


@pytest.fixture(scope="module")
def batch():
    conversations = [chat(0, answer="Sinus rhythm."), chat(1, image=False, answer="Atrial flutter.")]
    inputs = tiny_processor(draw_page=False).apply_chat_template(
        conversations, tokenize=True, return_dict=True, return_tensors="pt", processor_kwargs={"padding": True}
    )
    labels = inputs["input_ids"].clone()
    labels[:, :-4] = -100
    return {**inputs, "labels": labels}


@pytest.mark.parametrize("method", METHODS)
def test_methods_train_with_ecgs_and_load_again(batch, method, tmp_path):
    model = get_peft_model(tiny_model(), METHODS[method])
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.05)
    losses = []
    for _ in range(8):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    model.eval()
    with torch.no_grad():
        logits = model(**batch).logits
        other = model(**batch | {"ecg_values": batch["ecg_values"].flip(0)}).logits
    assert (logits - other)[:, -1].abs().max() > 1e-3, "the ECG must be seen"
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(tiny_model(), tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, logits)
    prompt = {name: value for name, value in batch.items() if name != "labels"}
    assert torch.equal(*(m.generate(**prompt, max_new_tokens=5, do_sample=False) for m in (model, again)))


@pytest.mark.parametrize("method", ["prompt tuning", "p-tuning"])
def test_a_lost_ecg_raises_with_embeddings_too(batch, method):
    model = get_peft_model(tiny_model(), METHODS[method])
    with pytest.raises(ValueError, match=r"ecg placeholder tokens .* input gives 0"):
        model(**{name: value for name, value in batch.items() if name != "ecg_values"})


def test_lora_adapts_the_language_model_by_default():
    model = get_peft_model(tiny_model(), LoraConfig(task_type="CAUSAL_LM", r=4))
    adapted = {name.split(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A" in name}
    layers = "base_model.model.model.language_model.layers"
    assert adapted == {f"{layers}.{i}.self_attn.{name}_proj" for i in range(2) for name in "qv"}
