# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A GEM assembled from parts holds exactly these parts; parts that cannot be used are refused by name."""

import json
import os
import pickle
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from modeling_gem import GemEcgModel
from modeling_gem.convert_gem import assemble_gem, convert_ecg_coca, convert_original_checkpoint
from processing.errors_gem import CheckpointError
from tests.helpers.shared_data import shared_path
from tests.helpers.tiny_gem import page, signal, tiny_tokenizer

VOCABULARY = 300
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LANGUAGE_MODELS = {
    "llama": {},
    "qwen3": {"tie_word_embeddings": True},
    "gemma3_text": {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]},
}
VISION = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
    "intermediate_size": 48,
}
CHATML = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"


def save_language_model(folder: Path, model_type: str, dtype: torch.dtype = torch.float32) -> Path:
    """A causal language model as it comes from the Hub: weights, config and a tokenizer without our placeholders."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[model_type](**TEXT | LANGUAGE_MODELS[model_type]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    model.to(dtype).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tiny_tokenizer().backend_tokenizer.to_str().replace("<ecg>", "<unused1>")),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>" if model_type != "llama" else None,
    )
    tokenizer.chat_template = {"llama": None, "qwen3": CHATML, "gemma3_text": GEMMA_TEMPLATE}[model_type]
    tokenizer.save_pretrained(folder)
    return folder


# As Gemma's: a template that joins strings, so it cannot read lists of content blocks.
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\n' }}"
    "{{ message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def save_image_tower(folder: Path, tower: str) -> Path:
    torch.manual_seed(2)
    if tower == "clip":  # the whole two-tower model, as openai's folders hold it
        vision = CLIPVisionConfig(**VISION).to_dict()
        text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text))
    elif tower == "clip_vision":
        model = CLIPVisionModel(CLIPVisionConfig(**VISION))
    elif tower == "siglip":
        model = SiglipVisionModel(SiglipVisionConfig(**VISION))
    else:
        model = Dinov2Model(Dinov2Config(**{k: v for k, v in VISION.items() if k != "intermediate_size"}))
    model.save_pretrained(folder)
    statistics = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3]}
    (folder / "preprocessor_config.json").write_text(json.dumps(statistics))
    return folder


@pytest.fixture(scope="module")
def coca() -> Path:
    return shared_path("fixtures/original/F1/ecg_coca_tiny.pt")


@pytest.fixture(scope="module")
def parts(tmp_path_factory, coca):
    folder = tmp_path_factory.mktemp("parts")
    return {
        "coca": coca,
        "clip": save_image_tower(folder / "clip", "clip"),
        "llama": save_language_model(folder / "llama", "llama"),
    }


COMBINATIONS = [
    ("llama", "clip"),
    ("llama", "clip_vision"),
    ("qwen3", "siglip"),
    ("gemma3_text", "dinov2"),
]


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def assembled(request, tmp_path_factory, coca):
    language, tower = request.param
    folder = tmp_path_factory.mktemp(f"{language}_{tower}")
    language_folder = save_language_model(folder / "language", language)
    tower_folder = save_image_tower(folder / "tower", tower)
    report = assemble_gem(coca, tower_folder, language_folder, folder / "gem", max_shard_size="200KB")
    return {
        "names": request.param,
        "report": report,
        "folder": folder,
        "model": AutoModelForImageTextToText.from_pretrained(folder / "gem").eval(),
        "processor": AutoProcessor.from_pretrained(folder / "gem"),
    }


def test_text_logits_are_the_language_models(assembled):
    source = AutoModelForCausalLM.from_pretrained(assembled["folder"] / "language").eval()
    ids = torch.randint(3, VOCABULARY, (2, 12), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        logits = assembled["model"](input_ids=ids).logits
        assert torch.equal(logits, source(input_ids=ids).logits)
    assert logits.std() > 0.05
    assert assembled["model"].config.tie_word_embeddings == source.config.tie_word_embeddings


@torch.no_grad()
def test_towers_are_the_parts(assembled, coca, tmp_path):
    model, (_, tower) = assembled["model"], assembled["names"]
    convert_ecg_coca(coca, tmp_path / "tower")
    ecg = torch.randn(1, 12, 5000, generator=torch.Generator().manual_seed(4))
    alone = GemEcgModel.from_pretrained(tmp_path / "tower").eval()(ecg)
    assert torch.equal(model.model.ecg_tower(ecg).last_hidden_state, alone.last_hidden_state)
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(5))
    whole = AutoModel.from_pretrained(assembled["folder"] / "tower").eval()
    whole = whole.vision_model if tower == "clip" else whole
    expected = whole(pixels, output_hidden_states=True).hidden_states[-2]
    expected = expected if tower == "siglip" else expected[:, 1:]
    assert torch.equal(
        model.get_image_features(pixels).pooler_output[0][None], model.model.multi_modal_projector(expected)
    )


def test_processor_fits_the_model(assembled):
    model, processor = assembled["model"], assembled["processor"]
    assert processor.image_processor.image_mean == (0.5, 0.4, 0.3)
    assert processor.image_processor.image_std == (0.2, 0.25, 0.3)
    assert processor.tokenizer.padding_side == "left"
    chats = [
        [{"role": "user", "content": [*media, {"type": "text", "text": "Interpret this ECG."}]}]
        for media in (
            [{"type": "ecg", "ecg": signal(0, samples=5000), "sampling_rate": 500}],
            [
                {"type": "ecg", "ecg": signal(1, samples=5000), "sampling_rate": 500},
                {"type": "image", "image": page(1)},
            ],
            [],
        )
    ]
    inputs = processor.apply_chat_template(
        chats,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        draw_page=False,
        processor_kwargs={"padding": True},
    )
    assert inputs["ecg_values"].shape == (2, 12, 5000) and inputs["pixel_values"].shape == (1, 3, 28, 28)
    new = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    assert new.shape[1] > inputs["input_ids"].shape[1]
    text = processor.tokenizer.decode(inputs["input_ids"][0])
    assert text.replace("<ecg>", "").count("Interpret this ECG.") == 1
    assert text.count("<ecg>") == 101
    marker = {"llama": "USER:", "qwen3": "<|im_start|>user", "gemma3_text": "<start_of_turn>user"}
    assert marker[assembled["names"][0]] in text


def test_report_and_files(assembled):
    report, folder = assembled["report"], assembled["folder"] / "gem"
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1 and (folder / "model.safetensors.index.json").is_file()
    stored = {key: value for shard in shards for key, value in load_file(shard).items()}
    assert report.converted == len(stored)
    assert report.num_parameters == sum(value.numel() for value in stored.values())
    assert report.sources["projectors"] == "new"
    assert report.new == ["model.ecg_projector", "model.multi_modal_projector"]
    assert any("decoder" in reason for reason in report.dropped)
    assert json.loads((folder / "conversion_report.json").read_text())["sources"] == report.sources
    for key, value in stored.items():
        if "projector" in key and key.endswith("weight"):
            assert 0.01 < value.std() < 1, key


def test_half_precision_parts_stay_half(coca, parts, tmp_path):
    language = save_language_model(tmp_path / "language", "llama", torch.bfloat16)
    assemble_gem(coca, parts["clip"], language, tmp_path / "gem", ecg_projector_type="mlp2x_gelu")
    stored = load_file(tmp_path / "gem" / "model.safetensors")
    assert "model.ecg_projector.linear_2.weight" in stored
    assert {weight.dtype for weight in stored.values()} == {torch.bfloat16}
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "gem")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_mixed_precision_checkpoint_loads_in_its_language_models_type(tmp_path):
    """F3: a language model in bfloat16, its image tower in float32."""
    convert_original_checkpoint(shared_path("fixtures/original/F3/checkpoint/llava-gem-F3"), tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert {stored[key].dtype for key in stored if "vision_tower" in key} == {torch.float32}
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_another_seed_gives_other_projectors_and_the_same_parts(parts, tmp_path):
    for seed in (0, 0, 1):
        assemble_gem(parts["coca"], parts["clip"], parts["llama"], tmp_path / f"{seed}", seed=seed)
    first, second = (load_file(tmp_path / seed / "model.safetensors") for seed in "01")
    differing = {key for key in first if not torch.equal(first[key], second[key])}
    assert differing == {key for key in first if "projector" in key}


def test_a_saved_ecg_tower_is_as_good_as_its_checkpoint(parts, tmp_path):
    convert_ecg_coca(parts["coca"], tmp_path / "tower")
    assemble_gem(tmp_path / "tower", parts["clip"], parts["llama"], tmp_path / "from_folder")
    assemble_gem(parts["coca"], parts["clip"], parts["llama"], tmp_path / "from_file")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("from_folder", "from_file"))
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_legacy_file_formats(parts, tmp_path):
    """`torch.save` before 1.6, and a language model in `pytorch_model.bin` shards."""
    checkpoint = torch.load(parts["coca"], weights_only=True)
    torch.save(checkpoint, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    folder = split_folder(parts["llama"], tmp_path / "language")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    for shard in folder.glob("*.safetensors"):
        torch.save(load_file(shard), folder / f"pytorch_{shard.stem}.bin")
        shard.unlink()
    index["weight_map"] = {key: f"pytorch_{Path(file).stem}.bin" for key, file in index["weight_map"].items()}
    (folder / "model.safetensors.index.json").unlink()
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assemble_gem(tmp_path / "old.pt", parts["clip"], folder, tmp_path / "old")
    assemble_gem(parts["coca"], parts["clip"], parts["llama"], tmp_path / "new")
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("old", "new"))
    assert old.keys() == new.keys() and all(torch.equal(old[key], new[key]) for key in old)


# What is refused


def refused(message: str, *arguments, **kwargs) -> str:
    with pytest.raises(CheckpointError, match=message) as raised:
        assemble_gem(*arguments, **kwargs)
    return str(raised.value)


def test_head_with_a_bias(parts, tmp_path):
    PhiForCausalLM(PhiConfig(**{k: v for k, v in TEXT.items() if k != "head_dim"})).save_pretrained(tmp_path / "phi")
    tiny_tokenizer().save_pretrained(tmp_path / "phi")
    message = refused("bias", parts["coca"], parts["clip"], tmp_path / "phi", tmp_path / "gem")
    assert str(tmp_path / "phi") in message
    assert not (tmp_path / "gem").exists()


@pytest.mark.parametrize(
    ("model_type", "changes", "reason"),
    [("gemma2", {}, "final_logit_softcapping"), ("cohere", {}, "logit_scale"), ("gpt2", {}, "embed_tokens")],
)
def test_language_models_whose_head_is_not_plain(parts, tmp_path, model_type, changes, reason):
    config = CONFIG_MAPPING[model_type](**TEXT | changes)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "language")
    tiny_tokenizer().save_pretrained(tmp_path / "language")
    message = refused(reason, parts["coca"], parts["clip"], tmp_path / "language", tmp_path / "gem")
    assert str(tmp_path / "language") in message and f"`{model_type}`" in message


class Malicious:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["torch", "plain pickle", "whole module"])
def test_pickles_with_code_are_refused_and_do_not_run(parts, tmp_path, form):
    file, trace = tmp_path / "evil.pt", tmp_path / "it_ran"
    weights = torch.load(parts["coca"], weights_only=True)["state_dict"]
    if form == "torch":
        torch.save({"state_dict": weights, "extra": Malicious(trace)}, file)
    elif form == "plain pickle":
        file.write_bytes(pickle.dumps({"state_dict": {}, "extra": Malicious(trace)}))
    else:
        torch.save(torch.nn.Linear(2, 2), file)
    message = refused("pickle", file, parts["clip"], parts["llama"], tmp_path / "gem")
    assert str(file) in message
    assert not trace.exists() and not (tmp_path / "gem").exists()
    if form != "whole module":
        pickle.loads(file.read_bytes()) if form == "plain pickle" else torch.load(file, weights_only=False)
        assert trace.exists(), "the pickle would have run"


def test_checkpoint_with_a_malicious_bin(tmp_path):
    source = shared_path("fixtures/original/F3/checkpoint/llava-gem-F3")
    folder = Path(shutil.copytree(source, tmp_path / "llava-gem", copy_function=shutil.copyfile))
    folder.chmod(0o755)
    torch.save({"x": Malicious(tmp_path / "it_ran")}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: refused"):
        convert_original_checkpoint(folder, tmp_path / "gem")
    assert not (tmp_path / "it_ran").exists()


def changed_coca(coca: Path, file: Path, change) -> Path:
    checkpoint = torch.load(coca, weights_only=True)
    change(checkpoint["state_dict"])
    torch.save(checkpoint, file)
    return file


CONV = "module.ecg.conv1.weight"
BLOCK = "module.ecg.transformer.resblocks.1.mlp.c_fc.bias"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda w: w.update({"module.ecg.gate": torch.ones(1)}), "gate"),
        (lambda w: w.update({"module.camera.weight": torch.ones(1)}), r"module\.camera\.weight"),
        (lambda w: w.pop(BLOCK), r"model\.ecg_tower\.layers\.1\.mlp\.fc1\.bias"),
        (lambda w: w.pop(CONV), r"conv1\.weight"),
        (lambda w: w.pop("module.ecg.positional_embedding"), "position_embedding"),
        (lambda w: w.pop("module.ecg.transformer.resblocks.0.mlp.c_fc.weight"), r"layers\.0\.mlp\.fc1\.weight"),
        (lambda w: w.update({BLOCK: torch.ones(7)}), r"layers\.1\.mlp\.fc1\.bias"),
        (lambda w: w.update({"module.ecg.class_embedding": torch.ones(100)}), "class_embedding"),
        (lambda w: w.clear(), r"conv1\.weight"),
    ],
    ids=[
        "leftover",
        "foreign",
        "missing",
        "no patches",
        "no positions",
        "no block 0",
        "shape",
        "shape of class",
        "empty",
    ],
)
def test_inconsistent_ecg_towers_are_refused(parts, tmp_path, change, named):
    file = changed_coca(parts["coca"], tmp_path / "coca.pt", change)
    message = refused(named, file, parts["clip"], parts["llama"], tmp_path / "gem")
    assert str(file) in message or "not written" in message
    assert not (tmp_path / "gem" / "config.json").exists()
    with pytest.raises(CheckpointError):
        convert_ecg_coca(file, tmp_path / "tower")


def split_folder(source: Path, folder: Path) -> Path:
    """The safetensors file of `source` in two shards with an index."""
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    weight_map = {key: files[index % 2] for index, key in enumerate(sorted(weights))}
    for file in files:
        chosen = {key: weights[key] for key in weights if weight_map[key] == file}
        save_file(chosen, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


@pytest.mark.parametrize("part", ["language model", "image tower", "ECG tower"])
@pytest.mark.parametrize("damage", ["truncated", "missing shard", "missing key", "leftover key"])
def test_damaged_parts(parts, tmp_path, part, damage):
    if part == "ECG tower":
        convert_ecg_coca(parts["coca"], tmp_path / "tower")
        source = tmp_path / "tower"
    else:
        source = parts["llama" if part == "language model" else "clip"]
    folder = split_folder(source, tmp_path / "damaged")
    shard = folder / "model-00001-of-00002.safetensors"
    named = shard.name
    if damage == "truncated":
        shard.write_bytes(shard.read_bytes()[:-64])
    elif damage == "missing shard":
        shard.unlink()
    else:
        weights = load_file(shard)
        named = min(key for key in weights if "layer" in key and "text_model" not in key)
        if damage == "missing key":
            del weights[named]
        else:
            weights[f"{named}.extra"], named = torch.ones(1), f"{named}.extra"
        save_file(weights, shard, metadata={"format": "pt"})
        if damage == "leftover key":
            index = json.loads((folder / "model.safetensors.index.json").read_text())
            index["weight_map"][named] = shard.name
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    arguments = {"ecg_encoder": parts["coca"], "vision_tower": parts["clip"], "language_model": parts["llama"]}
    key = {"language model": "language_model", "image tower": "vision_tower", "ECG tower": "ecg_encoder"}[part]
    with pytest.raises(CheckpointError) as raised:
        assemble_gem(**arguments | {key: folder}, output=tmp_path / "gem")
    message = str(raised.value)
    assert named.rsplit("layers.", 1)[-1] in message
    assert not (tmp_path / "gem" / "config.json").exists()


@pytest.mark.parametrize("part", ["ecg_encoder", "vision_tower", "language_model"])
def test_missing_parts_are_named(parts, tmp_path, part):
    arguments = {"ecg_encoder": parts["coca"], "vision_tower": parts["clip"], "language_model": parts["llama"]}
    absent = tmp_path / "absent"
    with pytest.raises(CheckpointError, match="absent"):
        assemble_gem(**arguments | {part: absent}, output=tmp_path / "gem")


def test_original_checkpoint_damage(tmp_path):
    source = shared_path("fixtures/original/F1/checkpoint/llava-gem-F1")

    def damaged(name: str, change) -> Path:
        folder = Path(shutil.copytree(source, tmp_path / name, copy_function=shutil.copyfile))
        folder.chmod(0o755)
        change(folder / "model.safetensors")
        return folder

    def rewrite(change):
        def apply(file: Path):
            weights = load_file(file)
            change(weights)
            save_file(weights, file)

        return apply

    huge_header = struct.pack("<Q", 1 << 40) + b"{}"
    cases = [
        (lambda file: file.write_bytes(file.read_bytes()[:-1000]), r"model\.safetensors: not a readable"),
        (lambda file: file.write_bytes(huge_header), r"model\.safetensors: not a readable"),
        (lambda file: file.unlink(), "no model weights"),
        (rewrite(lambda w: w.pop("model.norm.weight")), r"model\.language_model\.norm\.weight"),
        (rewrite(lambda w: w.pop("model.mm_projector.2.bias")), r"multi_modal_projector\.linear_2\.bias"),
        (rewrite(lambda w: w.update({"model.gate.weight": torch.ones(1)})), r"model\.gate\.weight"),
        (rewrite(lambda w: w.update({"model.norm.weight": torch.ones(5)})), r"language_model\.norm\.weight"),
    ]
    tower = shared_path("fixtures/original/F1/clip_vit_tiny")
    for number, (change, message) in enumerate(cases):
        folder = damaged(f"case{number}", change)
        with pytest.raises(CheckpointError, match=message):
            convert_original_checkpoint(folder, tmp_path / f"gem{number}", vision_tower=tower)
        assert not (tmp_path / f"gem{number}" / "config.json").exists()
