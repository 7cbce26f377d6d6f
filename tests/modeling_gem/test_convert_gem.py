# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A converted original checkpoint computes what the authors' code computed (golden values)."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMultimodalLM, AutoProcessor

from modeling_gem import GemEcgModel
from modeling_gem.convert_gem import convert_ecg_coca, convert_original_checkpoint
from processing.errors_gem import CheckpointError
from tests.helpers.shared_data import shared_path
from tests.helpers.tiny_gem import trusting

FIXTURE = Path(__file__).parents[1] / "fixtures" / "original_f1"
FULL = ("F1", "F3")
MULTI_ROUND = "b"


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def conversation(sample: dict, folder: Path) -> list[dict]:
    """The authors' training sample as a chat with answers."""
    media = [
        {"type": "ecg", "path": str(folder / "ecg" / sample["ecg"])},
        {"type": "image", "path": str(folder / "images" / sample["image"])},
    ]
    messages = []
    for turn in sample["conversations"]:
        text = {"type": "text", "text": turn["value"].replace("<image>", "").strip()}
        if turn["from"] == "human":
            messages.append({"role": "user", "content": [*media, text] if not messages else [text]})
        else:
            messages.append({"role": "assistant", "content": [text]})
    return messages


def collapsed(ids: list[int], processor) -> list[int]:
    """Our placeholder runs as the original writes them: one -200."""
    result: list[int] = []
    for token in ids:
        if token in (processor.ecg_token_id, processor.image_token_id):
            if not result or result[-1] != -200:
                result.append(-200)
        else:
            result.append(token)
    return result


@pytest.fixture(scope="module", params=FULL)
def original(request, tmp_path_factory):
    """A full golden fixture with its converted model; F1 tunes its image tower, F3 takes it from elsewhere."""
    folder = shared_path(f"fixtures/original/{request.param}")
    output = tmp_path_factory.mktemp(request.param)
    report = convert_original_checkpoint(folder / "checkpoint" / f"llava-gem-{request.param}", output)
    processor = trusting(AutoProcessor.from_pretrained(output))
    samples = dict(zip("abcd", json.loads((folder / "inputs" / "data.json").read_text()), strict=True))
    chats = {name: conversation(sample, folder / "inputs") for name, sample in samples.items()}
    return SimpleNamespace(
        name=request.param,
        folder=folder,
        report=report,
        processor=processor,
        model=AutoModelForMultimodalLM.from_pretrained(output, dtype=torch.float32).eval(),
        golden=load_file(folder / "golden.safetensors"),
        facts=json.loads((folder / "golden.json").read_text()),
        chats=chats,
    )


def encode(original, name: str, **kwargs):
    prompt = original.chats[name][:1]
    settings = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return original.processor.apply_chat_template(prompt, **settings | kwargs)


def batch(original, names: str):
    """A training batch as TRL's collator builds it: right-padded, answers alone supervised."""
    output = original.processor.apply_chat_template(
        [original.chats[name] for name in names],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
        processor_kwargs={"padding": True, "padding_side": "right"},
    )
    masks = (
        torch.tensor(output.pop("assistant_masks"))
        if not torch.is_tensor(output["assistant_masks"])
        else output.pop("assistant_masks")
    )
    output["labels"] = output["input_ids"].masked_fill(masks == 0, -100)
    return output


@pytest.mark.parametrize("name", "abcd")
def test_inputs_are_equal_to_the_bit(original, name):
    inputs = encode(original, name)
    golden = original.golden
    assert collapsed(inputs["input_ids"][0].tolist(), original.processor) == golden[f"{name}.input_ids"][0].tolist()
    assert torch.equal(inputs["ecg_values"][0], golden[f"{name}.ecg"])
    assert torch.equal(inputs["pixel_values"][0], golden[f"{name}.pixel_values"])


def test_towers_and_projectors(original):
    golden, model = original.golden, original.model
    with torch.no_grad():
        for name in "abcd":
            outputs = model.get_ecg_features(golden[f"{name}.ecg"][None])
            close(outputs.last_hidden_state, golden[f"{name}.ecg_tower_out"])
            close(outputs.pooler_output[0][None], golden[f"{name}.mm_projector_ecg_out"])
        for name in "ab":
            tower = model.model.ecg_tower
            outputs = tower(golden[f"{name}.ecg"][None], output_hidden_states=True)
            close(outputs.pooler_output, golden[f"{name}.ecg_tower.pooled_proj"])
            close(tower.post_layernorm(outputs.last_hidden_state)[:, 1:], golden[f"{name}.ecg_tower.tokens_ln_post"])
            close(model.model.ecg_projector(outputs.last_hidden_state), golden[f"{name}.ecg_projector_out"])
            images = model.get_image_features(golden[f"{name}.pixel_values"][None])
            close(images.pooler_output[0][None], golden[f"{name}.mm_projector_image_out"])
            close(images.hidden_states[3][:, 1:], golden[f"{name}.vision_tower_out"])
        first = tower(golden["a.ecg"][None], output_hidden_states=True).hidden_states
        close(first[0], golden["a.ecg_tower.ln_pre"])
        close(first[1], golden["a.ecg_tower.block0"])
        close(tower.embeddings.patch_embedding(golden["a.ecg"][None]), golden["a.ecg_tower.conv1"])


def test_merged_embeddings_logits_and_greedy_ids(original):
    golden, model = original.golden, original.model
    embedded = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: embedded.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    with torch.no_grad():
        for name in "abcd":
            inputs = encode(original, name)
            logits = model(**inputs).logits
            close(embedded[-1], golden[f"{name}.inputs_embeds"])
            close(logits[:, -1], golden[f"{name}.last_logits"])
            for use_cache in (True, False):
                ids = model.generate(**inputs, max_new_tokens=20, do_sample=False, use_cache=use_cache)
                assert ids[0, inputs["input_ids"].shape[1] :].tolist() == golden[f"{name}.generated_ids"].tolist()
        hook.remove()
        close(model(**encode(original, "a")).logits, golden["a.logits"])
        close(model(**encode(original, "b")).logits[:, ::8], golden["b.logits_every8"])
        inputs = encode(original, "a")
        length = inputs["input_ids"].shape[1]
        beams = model.generate(**inputs, max_new_tokens=12, do_sample=False, num_beams=3)
        assert beams[0, length:].tolist() == golden["a.beam3_generated_ids"].tolist()
        for key in ("ecg", "image"):
            field = {"ecg": "ecg_values", "image": "pixel_values"}[key]
            zeroed = {**inputs, field: torch.zeros_like(inputs[field])}
            close(model(**zeroed).logits[:, -1], golden[f"a.last_logits_zero_{key}"])
            ids = model.generate(**zeroed, max_new_tokens=20, do_sample=False)
            assert ids[0, length:].tolist() == golden[f"a.generated_ids_zero_{key}"].tolist()


def test_text_only(original):
    golden = original.golden
    ids = golden["textonly.input_ids"]
    with torch.no_grad():
        close(original.model(input_ids=ids).logits, golden["textonly.logits"])
        new = original.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=10, do_sample=False)
    assert new[0, ids.shape[1] :].tolist() == golden["textonly.generated_ids"].tolist()


@pytest.mark.parametrize("names", ["ab", "cd"])
def test_training_batches_labels_and_losses(original, names):
    golden, model, processor = original.golden, original.model, original.processor
    inputs = batch(original, names)
    for row, name in enumerate(names):
        length = int(inputs["attention_mask"][row].sum())
        ids, labels = inputs["input_ids"][row, :length].tolist(), inputs["labels"][row, :length]
        assert collapsed(ids, processor) == golden[f"{name}.train_input_ids"].tolist()
        kept = [
            i
            for i, token in enumerate(ids)
            if token != processor.ecg_token_id and (ids[i - 1] != token or token != processor.image_token_id)
        ]
        assert labels[kept].tolist() == golden[f"{name}.train_labels"].tolist()
    assert torch.equal(inputs["labels"], golden[f"batch_{names}.merged_labels"])
    assert torch.equal(inputs["attention_mask"], golden[f"batch_{names}.merged_attention_mask"].long())
    outputs = model(**inputs)
    close(outputs.loss.detach()[None], golden[f"batch_{names}.loss"])
    if names == "ab":
        seen = golden["batch_ab.merged_attention_mask"].bool()[:, ::8]
        close(outputs.logits.detach()[:, ::8][seen], golden["batch_ab.logits_every8"][seen])


def test_gradients_of_the_trained_parameters(original):
    model, golden = original.model, original.golden
    model.zero_grad()
    model(**batch(original, "ab")).loss.backward()
    ours = {
        "lm_head.weight": model.lm_head.weight,
        "model.ecg_projector.weight": model.model.ecg_projector.linear_1.weight,
        "model.ecg_projector.bias": model.model.ecg_projector.linear_1.bias,
        "model.mm_projector.0.weight": model.model.multi_modal_projector.linear_1.weight,
        "model.mm_projector.2.bias": model.model.multi_modal_projector.linear_2.bias,
        "model.norm.weight": model.model.language_model.norm.weight,
        "model.layers.0.self_attn.q_proj.weight": model.model.language_model.layers[0].self_attn.q_proj.weight,
    }
    for name, parameter in ours.items():
        close(parameter.grad, golden[f"batch_ab.grad.{name}"])


def test_tokenizer(original):
    """Every golden string, through the processor: it restores what a fast tokenizer does otherwise than the slow one."""
    processor = original.processor
    for case in original.facts["tokenizer_golden"]:
        assert processor(text=case["text"])["input_ids"][0] == case["ids"], repr(case["text"])


def test_report_says_where_the_weights_came_from(original):
    sources, dropped = original.report.sources, original.report.dropped
    if original.name == "F1":
        assert "unfreeze_mm_vision_tower" in sources["vision_tower"]
        assert any("image_newline" in reason for reason in dropped)
    else:
        assert sources["vision_tower"].endswith("clip_vit_tiny")
        ignored = next(keys for reason, keys in dropped.items() if "ignores" in reason)
        assert len(ignored) == 71  # as the original's own loading report
    blocks = next(keys for reason, keys in dropped.items() if "blocks" in reason)
    assert all("layers.3." in key for key in blocks) and len(blocks) == 16


def test_ecg_coca_tower_differs_from_the_checkpoints(original, tmp_path):
    """The .pt holds the tower before bf16 rounding: the same architecture, visibly other weights."""
    report = convert_ecg_coca(original.folder / "ecg_coca_tiny.pt", tmp_path)
    assert any("decoder" in reason for reason in report.dropped)
    tower = GemEcgModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        hidden = tower(original.golden["a.ecg"][None]).last_hidden_state
    error = (hidden - original.golden["a.ecg_tower_out"]).abs().max() / original.golden["a.ecg_tower_out"].abs().max()
    assert 1e-4 < error < 5e-2


# The rest runs on the reduced fixture that comes with the package.


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    output = tmp_path_factory.mktemp("packaged")
    convert_original_checkpoint(FIXTURE / "checkpoint" / "llava-gem-F1", output)
    return output


def test_packaged_proof_of_equality(packaged):
    golden = load_file(FIXTURE / "golden.safetensors")
    processor = trusting(AutoProcessor.from_pretrained(packaged))
    model = AutoModelForMultimodalLM.from_pretrained(packaged, dtype=torch.float32).eval()
    chat = [
        {
            "role": "user",
            "content": [
                {"type": "ecg", "path": str(FIXTURE / "inputs" / "rec_a.hea")},
                {"type": "image", "path": str(FIXTURE / "inputs" / "img_a.png")},
                {"type": "text", "text": "What is the rhythm of this ECG?"},
            ],
        }
    ]
    inputs = processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert collapsed(inputs["input_ids"][0].tolist(), processor) == golden["a.input_ids"][0].tolist()
    with torch.no_grad():
        close(model.get_ecg_features(inputs["ecg_values"]).last_hidden_state, golden["a.ecg_tower_out"])
        close(model(**inputs).logits[:, ::8], golden["a.logits_every8"])
        ids = model.generate(**inputs, max_new_tokens=20, do_sample=False)
    assert ids[0, inputs["input_ids"].shape[1] :].tolist() == golden["a.generated_ids"].tolist()


def edited_checkpoint(folder: Path, **config_changes) -> Path:
    """A copy of the packaged checkpoint with another config."""
    target = folder / "checkpoint"
    target.mkdir()
    for path in (FIXTURE / "checkpoint" / "llava-gem-F1").iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    config = json.loads((target / "config.json").read_text())
    for key, value in config_changes.items():
        config.pop(key) if value is None else config.update({key: value})
    (target / "config.json").write_text(json.dumps(config))
    return target


@pytest.mark.parametrize(
    ("changes", "blocks"), [({}, 3), ({"mm_vision_select_layer": -1}, 4), ({"mm_vision_select_layer": -3}, 2)]
)
def test_the_image_tower_ends_at_the_layer_of_the_original_config(tmp_path, changes, blocks):
    """Of the tower's four blocks; the original reads the state before last if it does not say otherwise."""
    convert_original_checkpoint(edited_checkpoint(tmp_path, **changes), tmp_path / "out", FIXTURE / "clip_vit_tiny")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["vision_config"]["num_hidden_layers"] == blocks and config["vision_feature_layer"] == -1


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({}, "vision_feature_select_strategy", "default"),
        ({"mm_vision_select_feature": "cls_patch"}, "vision_feature_select_strategy", "full"),
        ({}, "ecg_projector_type", "linear"),
        ({}, "tie_word_embeddings", False),
    ],
)
def test_settings_of_the_original_config_are_kept(tmp_path, changes, name, value):
    convert_original_checkpoint(edited_checkpoint(tmp_path, **changes), tmp_path / "out", FIXTURE / "clip_vit_tiny")
    assert json.loads((tmp_path / "out" / "config.json").read_text()).get(name, False) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unfreeze_mm_vision_tower": None}, "--vision-tower"),
        ({"mm_vision_tower": "some/unknown-tower"}, "not a known CLIP model"),
        ({"ecg_projector_type": "mlp2x_gelu"}, r"Missing: \['model\.ecg_projector\.linear_2"),
        ({"num_hidden_layers": 1}, r"Leftover: \['model\.language_model\.layers\.1\."),
        ({"num_hidden_layers": 3}, r"Missing: \['model\.language_model\.layers\.2\."),
        ({"model_type": "llava_mpt"}, "llava_mpt"),
        ({"hidden_size": 48}, "other shapes"),
    ],
)
def test_an_inconsistent_checkpoint_is_refused(tmp_path, changes, message):
    checkpoint = edited_checkpoint(tmp_path, **changes)
    (tmp_path / "elsewhere").mkdir()
    tower = None if "vision_tower" in str(changes) else FIXTURE / "clip_vit_tiny"
    with pytest.raises(CheckpointError, match=message):
        convert_original_checkpoint(checkpoint, tmp_path / "out", tower)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_folders_that_hold_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        convert_original_checkpoint(tmp_path, tmp_path / "out")
    with pytest.raises(CheckpointError, match="does not exist"):
        convert_ecg_coca(tmp_path / "absent.pt", tmp_path / "out")
