# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The model by itself: inputs, outputs, and that no modality or weight gets lost on the way."""

import copy
import json

import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM

import modeling_gem
from modeling_gem import GemConfig, GemEcgConfig, GemEcgModel, GemForConditionalGeneration, GemModel
from tests.helpers.tiny_gem import chat, signal, tiny_config, tiny_model, tiny_processor, tiny_text_config

ECG, IMAGE, PAD = 300, 301, 0
ECG_TOKENS, IMAGE_TOKENS = 11, 4


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def processor():
    return tiny_processor(draw_page=False)


def rows(*specs: str) -> dict[str, torch.Tensor]:
    """A left-padded batch; each spec names what a row holds, in order: e(cg), i(mage), t(ext)."""
    pieces = {"e": [ECG] * ECG_TOKENS, "i": [IMAGE] * IMAGE_TOKENS, "t": [40, 41, 42]}
    ids = [[1, *(token for letter in spec for token in pieces[letter])] for spec in specs]
    width = max(map(len, ids))
    padded = torch.tensor([[PAD] * (width - len(row)) + row for row in ids])
    text = "".join(specs)
    batch = {"input_ids": padded, "attention_mask": (padded != PAD).long()}
    torch.manual_seed(1)
    if "e" in text:
        batch["ecg_values"] = torch.randn(text.count("e"), 12, 500)
    if "i" in text:
        batch["pixel_values"] = torch.randn(text.count("i"), 3, 28, 28)
    return batch


def greedy(model, batch, **kwargs):
    new = model.generate(**batch, max_new_tokens=6, do_sample=False, **kwargs)
    return new[:, batch["input_ids"].shape[1] :]


def test_ecg_tower_shapes_and_lengths():
    for leads, samples, patch in ((12, 5000, 50), (8, 2500, 25), (1, 1000, 100)):
        config = GemEcgConfig(
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_leads=leads,
            seq_length=samples,
            patch_size=patch,
            projection_dim=7,
        )
        outputs = GemEcgModel(config)(
            torch.randn(2, leads, samples), output_hidden_states=True, output_attentions=False
        )
        assert outputs.last_hidden_state.shape == (2, samples // patch + 1, 64)
        assert outputs.pooler_output.shape == (2, 7)
        assert len(outputs.hidden_states) == 2 and torch.equal(outputs.hidden_states[-1], outputs.last_hidden_state)


def test_published_tower_is_the_default_config():
    with torch.device("meta"):
        tower = GemEcgModel(GemEcgConfig(projection_dim=512))
    assert (
        sum(parameter.numel() for parameter in tower.parameters()) == 85_989_888
    )  # ECG-CoCa, measured on the original
    assert tower.config.num_tokens == 101


STEM = {"stem_channels": [4, 6, 8], "stem_strides": [5, 2, 1], "stem_kernel_size": 5}


def stem_tower(**changes) -> GemEcgModel:
    torch.manual_seed(0)
    small = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    return GemEcgModel(GemEcgConfig(**small, seq_length=1000, **changes)).eval()


def test_a_tower_without_a_stem_has_the_weights_that_it_always_had():
    assert not any("stem" in name for name in stem_tower().state_dict())
    assert stem_tower().embeddings.patch_embedding.weight.shape == (64, 12, 50)


@pytest.mark.parametrize("patch_size", [50, 100])
def test_a_stem_stands_in_front_of_the_same_patches(patch_size, tmp_path):
    tower = stem_tower(patch_size=patch_size, **STEM)
    ecgs = torch.randn(3, 12, 1000)
    with torch.inference_mode():
        states = tower(ecgs).last_hidden_state
        alone = tower(ecgs[1:2]).last_hidden_state
    assert states.shape == (3, 1000 // patch_size + 1, 64) and tower.config.num_tokens == states.shape[1]
    torch.testing.assert_close(alone, states[1:2], atol=1e-5, rtol=1e-4)
    tower.save_pretrained(tmp_path)
    with torch.inference_mode():
        torch.testing.assert_close(GemEcgModel.from_pretrained(tmp_path)(ecgs).last_hidden_state, states)


def test_a_gem_reads_its_ecg_through_a_stem():
    settings = tiny_config().ecg_config.to_dict() | STEM
    model = tiny_model(tiny_config(ecg_config=settings))
    batch = rows("et")
    with torch.inference_mode():
        first, second = (model(**batch | {"ecg_values": batch["ecg_values"] * scale}).logits for scale in (1, 2))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 100, "num_attention_heads": 3}, "num_attention_heads"),
        ({"seq_length": 5001}, "patch_size"),
        ({"stem_channels": [8, 8], "stem_strides": [5]}, "same number"),
        ({"stem_channels": [8], "stem_strides": [4]}, "product of `stem_strides`"),
        ({"stem_channels": [8], "stem_strides": [5], "stem_kernel_size": 4}, "odd"),
    ],
)
def test_impossible_tower_is_refused(changes, message):
    with pytest.raises(Exception, match=message):
        GemEcgConfig(**changes)


def test_wrong_ecg_shape_says_what_is_expected(model):
    batch = rows("et") | {"ecg_values": torch.randn(1, 8, 500)}
    with pytest.raises(ValueError, match=r"12 leads, 500 samples"):
        model(**batch)


def test_every_modality_changes_the_logits(model):
    batch = rows("eit")
    logits = model(**batch).logits
    for name in ("ecg_values", "pixel_values"):
        other = model(**batch | {name: batch[name] + 1}).logits
        assert (other[0, -1] - logits[0, -1]).abs().max() > 1e-3, name


def test_placeholders_take_the_projected_features_in_order(model):
    batch = rows("eit")
    outputs = model(**batch)
    ecg = model.get_ecg_features(batch["ecg_values"]).pooler_output[0]
    image = model.get_image_features(batch["pixel_values"]).pooler_output[0]
    assert torch.equal(outputs.ecg_outputs.pooler_output[0], ecg) and ecg.shape == (ECG_TOKENS, 32)
    assert torch.equal(outputs.image_outputs.pooler_output[0], image) and image.shape == (IMAGE_TOKENS, 32)
    embeds = model.get_input_embeddings()(batch["input_ids"].clamp(max=299))
    embeds[0, 1:12], embeds[0, 12:16] = ecg, image
    torch.testing.assert_close(model(inputs_embeds=embeds).logits, outputs.logits)


@pytest.mark.parametrize(
    ("spec", "drop", "message"),
    [("et", "ecg_values", "11 ecg placeholder"), ("it", "pixel_values", "4 image placeholder")],
)
def test_placeholders_without_their_input_raise(model, spec, drop, message):
    batch = rows(spec)
    del batch[drop]
    with pytest.raises(ValueError, match=message):
        model(**batch)


def test_input_without_placeholders_raises(model):
    batch = rows("t") | {"ecg_values": torch.randn(1, 12, 500)}
    with pytest.raises(ValueError, match="0 ecg placeholder tokens"):
        model(**batch)
    with pytest.raises(ValueError, match="0 ecg placeholder tokens"):
        model(inputs_embeds=torch.randn(1, 12, 32), ecg_values=torch.randn(1, 12, 500))


def test_mixed_left_padded_batch_equals_one_by_one(model):
    specs = ("eit", "et", "it", "t", "eet", "iteit")
    batch = rows(*specs)
    together = greedy(model, batch)
    ecg, image = 0, 0
    for i, spec in enumerate(specs):
        single = rows(spec)
        if "e" in spec:
            single["ecg_values"] = batch["ecg_values"][ecg : ecg + spec.count("e")]
        if "i" in spec:
            single["pixel_values"] = batch["pixel_values"][image : image + spec.count("i")]
        ecg, image = ecg + spec.count("e"), image + spec.count("i")
        assert torch.equal(greedy(model, single)[0], together[i]), spec


def test_caches_agree(model):
    batch = rows("eit", "et")
    expected = greedy(model, batch)
    assert torch.equal(greedy(model, batch, use_cache=False), expected)
    assert torch.equal(greedy(model, batch, cache_implementation="static", disable_compile=True), expected)


def test_beams_keep_each_rows_ecgs_together(model):
    batch = rows("eet", "et", "eit")
    together = greedy(model, batch, num_beams=3)
    for i, (spec, ecgs) in enumerate((("eet", slice(0, 2)), ("et", slice(2, 3)))):
        single = rows(spec) | {"ecg_values": batch["ecg_values"][ecgs]}
        assert torch.equal(greedy(model, single, num_beams=3)[0], together[i])


@pytest.mark.parametrize(
    "search",
    [
        {"num_beams": 2, "num_return_sequences": 2},
        {"do_sample": True, "num_return_sequences": 3},
        {"num_beams": 2, "do_sample": True, "num_return_sequences": 2},
    ],
)
def test_every_beam_and_sample_of_a_row_sees_its_ecgs_in_their_order(model, search):
    """The first scores of all copies of a row are those of the row itself: its ECGs are A, B, A, B and not A, A, B, B."""
    batch = rows("eet", "et", "ete")
    with torch.no_grad():
        expected = model(**batch).logits[:, -1]
        swapped = model(**batch | {"ecg_values": batch["ecg_values"][[1, 0, 2, 4, 3]]}).logits[:, -1]
    assert (expected - swapped)[[0, 2]].abs().amax(dim=1).min() > 1e-3, "the order of the ECGs must matter"
    settings = {"do_sample": False, **search}
    output = model.generate(**batch, max_new_tokens=2, output_logits=True, return_dict_in_generate=True, **settings)
    copies = len(output.logits[0]) // len(expected)
    assert copies == search["num_return_sequences"] == len(output.sequences) // len(expected)
    torch.testing.assert_close(output.logits[0], expected.repeat_interleave(copies, dim=0), rtol=1e-4, atol=1e-4)


def test_processors_that_look_tokens_up_accept_placeholders_outside_of_the_table():
    config = tiny_config(tiny_text_config(vocab_size=299))
    outside = tiny_model(config)
    batch = rows("eit", "et")
    assert greedy(outside, batch, repetition_penalty=1.3, no_repeat_ngram_size=2).max() < 299


def test_placeholders_are_never_generated(model):
    assert not torch.isin(greedy(model, rows("eit", "t")), torch.tensor([ECG, IMAGE])).any()


def test_logits_to_keep(model):
    batch = rows("eit")
    full = model(**batch).logits
    torch.testing.assert_close(model(**batch, logits_to_keep=2).logits, full[:, -2:])
    torch.testing.assert_close(model(**batch, logits_to_keep=torch.tensor([3])).logits, full[:, 3:4])
    batch = rows("t", "t")
    full = model(**batch).logits
    positions = torch.tensor([[3, 0], [1, 2]])
    chosen = model(**batch, logits_to_keep=positions).logits
    torch.testing.assert_close(chosen, torch.stack([full[0, [3, 0]], full[1, [1, 2]]]))
    mask = torch.zeros(full.shape[:2], dtype=torch.bool)
    mask[0, 3] = mask[1, :2] = True
    chosen = model(**batch, logits_to_keep=mask).logits
    torch.testing.assert_close(chosen, torch.cat([full[0, 3:4], full[1, :2]]))


def test_picture_features_are_the_hidden_state_that_the_config_names(model):
    config, pixels = model.config, rows("i")["pixel_values"]
    states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    # The tower keeps no block behind the one that is read, so the state before last of three blocks is its last.
    assert config.vision_feature_layer == -1 and config.vision_config.num_hidden_layers == 2 and len(states) == 3
    expected = model.model.multi_modal_projector(states[2][:, 1:])
    torch.testing.assert_close(torch.stack(model.get_image_features(pixels).pooler_output), expected)


def test_the_saved_config_does_not_depend_on_the_version_of_transformers(tmp_path):
    """The embedded model's was written under 5.23."""
    folder = modeling_gem.default_checkpoint()
    GemConfig.from_pretrained(folder).save_pretrained(tmp_path)
    written, saved = (json.loads((path / "config.json").read_text()) for path in (folder, tmp_path))
    assert written.pop("transformers_version") and saved.pop("transformers_version")
    assert saved == written


def test_nested_configs_are_made_of_nothing_dicts_and_configs():
    config = GemConfig()
    assert (config.vision_config.model_type, config.vision_config.image_size) == ("clip_vision_model", 336)
    assert (type(config.ecg_config), config.text_config.model_type) == (GemEcgConfig, "llama")
    config = GemConfig(
        vision_config={"model_type": "siglip_vision_model", "hidden_size": 48},
        ecg_config={"hidden_size": 64, "num_attention_heads": 2},
        text_config=config.text_config,
    )
    assert (config.vision_config.model_type, config.vision_config.hidden_size) == ("siglip_vision_model", 48)
    assert (config.ecg_config.hidden_size, config.ecg_config.num_leads) == (64, 12)
    assert GemConfig(vision_config={"hidden_size": 96}).vision_config.model_type == "clip_vision_model"
    with pytest.raises(ValueError, match="no_such_model"):
        GemConfig(text_config={"model_type": "no_such_model"})


def test_loss_is_that_of_shifted_labels_and_respects_num_items(model):
    batch = rows("eit")
    labels = batch["input_ids"].clone()
    labels[:, :-3] = -100
    outputs = model(**batch, labels=labels)
    expected = nn.functional.cross_entropy(outputs.logits[0, -4:-1], labels[0, -3:])
    torch.testing.assert_close(outputs.loss, expected)
    halved = model(**batch, labels=labels, num_items_in_batch=torch.tensor(6)).loss
    torch.testing.assert_close(halved, expected / 2)


def test_encoder_outputs_given_beforehand(model):
    batch = rows("eit")
    encoded = {
        "ecg": model.get_ecg_features(batch.pop("ecg_values")),
        "image": model.get_image_features(batch.pop("pixel_values")),
    }
    torch.testing.assert_close(model(**batch, mm_encoder_outputs=encoded).logits, model(**rows("eit")).logits)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_attention_implementations_agree(model, implementation):
    other = copy.deepcopy(model)
    other.set_attn_implementation(implementation)
    assert other.model.ecg_tower.config._attn_implementation == implementation
    batch = rows("eit", "et")
    seen = batch["attention_mask"].bool()  # what fully masked padding attends to is up to the implementation
    torch.testing.assert_close(other(**batch).logits[seen], model(**batch).logits[seen], atol=1e-4, rtol=1e-4)


def test_ecg_tower_gives_attentions(model):
    tower = copy.deepcopy(model.model.ecg_tower)
    tower.set_attn_implementation("eager")
    attentions = tower(torch.randn(2, 12, 500), output_attentions=True).attentions
    assert len(attentions) == 2 and attentions[0].shape == (2, 2, 11, 11)
    torch.testing.assert_close(attentions[0].sum(-1), torch.ones(2, 2, 11))


def test_gradient_checkpointing_gives_the_same_gradients():
    gradients = []
    for checkpointing in (False, True):
        trained = tiny_model().train()
        if checkpointing:
            trained.gradient_checkpointing_enable()
            assert trained.model.ecg_tower.layers[0].gradient_checkpointing
        batch = rows("eit")
        trained(**batch, labels=batch["input_ids"].clamp(max=299)).loss.backward()
        gradients.append({name: p.grad for name, p in trained.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and any("ecg_tower" in name for name in gradients[0])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_compiles_without_graph_breaks():
    compiled = torch.compile(tiny_model(), fullgraph=True, backend="aot_eager")
    batch = rows("eit", "eit")
    torch.testing.assert_close(compiled(**batch).logits, tiny_model()(**batch).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_takes_float32_inputs(model, dtype):
    half = copy.deepcopy(model).to(dtype)
    logits = half(**rows("eit")).logits
    assert logits.dtype == dtype and logits.isfinite().all()


def test_image_tower_stops_at_the_layer_that_is_used(model):
    """And its config says so: of three blocks, the tiny GEM reads the second."""
    given = tiny_config()
    vision_config = given.vision_config
    tower = GemForConditionalGeneration(given).model.vision_tower
    assert vision_config.num_hidden_layers == 3, "the caller's config may serve another model"
    assert tower.config.num_hidden_layers == given.vision_config.num_hidden_layers == len(tower.encoder.layers) == 2
    again = GemForConditionalGeneration(given)
    assert len(again.model.vision_tower.encoder.layers) == 2 and given.vision_feature_layer == -1
    last = GemForConditionalGeneration(tiny_config(vision_feature_layer=-1))
    assert len(last.model.vision_tower.encoder.layers) == 3
    with pytest.raises(ValueError, match="vision_feature_layer=5"):
        GemForConditionalGeneration(tiny_config(vision_feature_layer=5))


def test_tied_embeddings_stay_tied_through_resizing(tmp_path):
    tied = tiny_model(tiny_config(tiny_text_config(tie_word_embeddings=True)))
    assert tied.config.tie_word_embeddings
    tied.resize_token_embeddings(320)
    assert tied.lm_head.weight is tied.get_input_embeddings().weight
    assert tied.config.text_config.vocab_size == 320 and tied(**rows("eit")).logits.shape[-1] == 320
    tied.save_pretrained(tmp_path)
    again = GemForConditionalGeneration.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.get_input_embeddings().weight
    torch.testing.assert_close(again(**rows("eit")).logits, tied(**rows("eit")).logits)


def test_auto_classes_and_sharded_round_trip(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2 and not list(tmp_path.glob("*.bin"))
    expected = model(**rows("eit")).logits
    for auto in (AutoModelForMultimodalLM, AutoModelForImageTextToText):
        again = auto.from_pretrained(tmp_path)
        assert type(again) is GemForConditionalGeneration and torch.equal(again(**rows("eit")).logits, expected)
    body = AutoModel.from_pretrained(tmp_path)
    assert type(body) is GemModel
    torch.testing.assert_close(model.lm_head(body(**rows("eit")).last_hidden_state), expected)
    assert AutoModelForMultimodalLM.from_pretrained(tmp_path, device_map="cpu", dtype="auto").dtype == torch.float32
    assert GemConfig.from_pretrained(tmp_path).to_dict() == model.config.to_dict()


def test_missing_and_unexpected_weights_raise_by_name(model, tmp_path):
    state = model.state_dict()
    broken = {key: value for key, value in state.items() if "ecg_projector.linear_1.bias" not in key}
    broken["model.surplus.weight"] = torch.zeros(2)
    model.save_pretrained(tmp_path, state_dict=broken)
    with pytest.raises(
        ValueError, match=r"ecg_projector\.linear_1\.bias.*surplus|surplus.*ecg_projector\.linear_1\.bias"
    ):
        GemForConditionalGeneration.from_pretrained(tmp_path)
    assert GemForConditionalGeneration.from_pretrained(tmp_path, strict=False) is not None
    _, info = GemForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert info["missing_keys"] == {"model.ecg_projector.linear_1.bias"}
    with pytest.raises(ValueError, match="do not fit"):
        GemForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True, strict=True)


def test_a_leftover_of_the_head_raises(model, tmp_path):
    model.save_pretrained(tmp_path, state_dict=model.state_dict() | {"lm_head.bias": torch.zeros(302)})
    with pytest.raises(ValueError, match=r"unexpected \(lm_head\.bias"):
        GemForConditionalGeneration.from_pretrained(tmp_path)


def test_checkpoints_whose_config_names_the_whole_tower_still_load(model, tmp_path):
    """Such as those that were saved before the config counted the present blocks only."""
    model.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    config["vision_config"]["num_hidden_layers"], config["vision_feature_layer"] = 3, -2
    file.write_text(json.dumps(config))
    old = GemForConditionalGeneration.from_pretrained(tmp_path)
    assert torch.equal(old(**rows("eit")).logits, model(**rows("eit")).logits)
    old.save_pretrained(tmp_path)
    assert GemConfig.from_pretrained(tmp_path).vision_config.num_hidden_layers == 2


def test_mismatched_weights_pass_with_consent(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = GemConfig.from_pretrained(tmp_path)
    config.text_config.vocab_size = 310
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        GemForConditionalGeneration.from_pretrained(tmp_path, config=config)
    loaded = GemForConditionalGeneration.from_pretrained(tmp_path, config=config, ignore_mismatched_sizes=True)
    assert loaded.get_input_embeddings().weight.shape == (310, 32) and loaded.lm_head.weight.isfinite().all()
    assert torch.equal(loaded.model.ecg_projector.linear_1.weight, model.model.ecg_projector.linear_1.weight)
    broken = {key: value for key, value in model.state_dict().items() if "ecg_projector" not in key}
    model.save_pretrained(tmp_path, state_dict=broken)
    with pytest.raises(ValueError, match=r"missing .*ecg_projector"):
        GemForConditionalGeneration.from_pretrained(tmp_path, config=config, ignore_mismatched_sizes=True)


def test_weights_of_another_shape_raise(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = GemConfig.from_pretrained(tmp_path)
    config.ecg_projector_type = "mlp2x_gelu"
    with pytest.raises(ValueError, match=r"ecg_projector\.linear_2"):
        GemForConditionalGeneration.from_pretrained(tmp_path, config=config)


def test_no_split_modules_exist_in_the_model(model):
    names = {type(module).__name__ for module in model.modules()}
    assert {"GemEcgEncoderLayer", "CLIPEncoderLayer", "LlamaDecoderLayer"} <= set(model._no_split_modules) <= names


def test_new_parameters_are_initialised():
    fresh = GemForConditionalGeneration(tiny_config())
    embeddings = fresh.model.ecg_tower.embeddings
    assert 0.01 < embeddings.position_embedding.std() < 0.03
    assert embeddings.class_embedding.isfinite().all() and embeddings.class_embedding.std() < 0.05


def test_both_placeholders_must_differ():
    with pytest.raises(Exception, match="must differ"):
        tiny_config(ecg_token_id=5, image_token_id=5)


def test_processor_and_model_agree(model, processor):
    inputs = processor.apply_chat_template(
        [chat(0), chat(1, image=False), chat(2, ecg=False)],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )
    assert inputs["ecg_values"].shape == (2, 12, 500) and inputs["pixel_values"].shape == (2, 3, 28, 28)
    assert greedy(model, inputs).shape == (3, 6)
    assert (inputs["ecg_values"][0].numpy() == signal(0)).all()
