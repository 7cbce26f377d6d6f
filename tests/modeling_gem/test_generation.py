# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Every way to generate gives the text of plain greedy decoding, and none loses an ECG."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
import torch
import transformers
from transformers import (
    ContinuousBatchingConfig,
    DynamicCache,
    GenerationConfig,
    GenerationMixin,
    LlamaForCausalLM,
    Qwen3Config,
    StaticCache,
)

import modeling_gem
from modeling_gem import GemForConditionalGeneration, GemProcessor
from tests.helpers.tiny_gem import chat, signal, tiny_config, tiny_model, tiny_processor, tiny_text_config

NEW_TOKENS = 12
# The name of the cache among the arguments of `generate`: "cache" from Transformers 5.24 on.
CACHE_NAMES = ["past_key_values"] + (
    ["cache"] if "cache" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters else []
)


@dataclass
class Case:
    model: GemForConditionalGeneration
    inputs: dict[str, torch.Tensor]
    greedy: torch.Tensor

    @property
    def length(self) -> int:
        return self.inputs["input_ids"].shape[1]

    def generate(self, **arguments) -> torch.Tensor:
        inputs = {name: arguments.pop(name, value) for name, value in self.inputs.items()}
        settings = {"max_new_tokens": NEW_TOKENS, "do_sample": False} | arguments
        return self.model.generate(**inputs, **settings)


def embedded() -> tuple[GemForConditionalGeneration, GemProcessor]:
    folder = modeling_gem.default_checkpoint()
    # Its own bfloat16 makes ties, which batches of other sizes break in another way.
    model = GemForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    return model, GemProcessor.from_pretrained(folder)


def random_llama() -> tuple[GemForConditionalGeneration, GemProcessor]:
    config = tiny_config()
    return tiny_model(config), tiny_processor(config)


def random_qwen3() -> tuple[GemForConditionalGeneration, GemProcessor]:
    text = Qwen3Config(**tiny_text_config().to_diff_dict() | {"model_type": "qwen3", "head_dim": 16})
    config = tiny_config(text)
    return tiny_model(config), tiny_processor(config)


MODELS = {"embedded": embedded, "llama": random_llama, "qwen3": random_qwen3}


@cache
def make_case(name: str) -> Case:
    model, processor = MODELS[name]()
    samples = 5000 if name == "embedded" else 500
    # The page: drawn by the processor, as users have it, or a small one that the small models take.
    page = [{"type": "image"}] if name == "embedded" else chat(0, ecg=False)[0]["content"][:1]
    ecg = {"type": "ecg", "ecg": signal(0, samples), "sampling_rate": 500}
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": [ecg, *page, {"type": "text", "text": "Interpret this ECG."}]}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask", "ecg_values", "pixel_values")}
    return Case(model, inputs, model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False))


@pytest.fixture(params=MODELS)
def case(request) -> Case:
    return make_case(request.param)


def static_cache(case: Case) -> StaticCache:
    return StaticCache(config=case.model.config.get_text_config(), max_cache_len=case.length + NEW_TOKENS)


def with_embeddings(case: Case) -> torch.Tensor:
    inputs = dict(case.inputs)
    embeds = case.model.get_input_embeddings()(inputs.pop("input_ids"))
    new = case.model.generate(inputs_embeds=embeds, **inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
    return torch.cat([case.inputs["input_ids"], new], dim=1)


def with_encoded(case: Case) -> torch.Tensor:
    encoded = {
        "ecg": case.model.get_ecg_features(case.inputs["ecg_values"]),
        "image": case.model.get_image_features(case.inputs["pixel_values"]),
    }
    return case.generate(ecg_values=None, pixel_values=None, mm_encoder_outputs=encoded)


def with_text_model_as_assistant(case: Case) -> torch.Tensor:
    """Assisted decoding: a text-only language model writes the drafts."""
    torch.manual_seed(3)
    draft = LlamaForCausalLM(tiny_text_config(case.model.config.text_config.vocab_size)).eval()
    draft.generation_config.eos_token_id = None
    return case.generate(assistant_model=draft)


CONTRACTS: dict[str, Callable[[Case], torch.Tensor]] = {
    "no cache": lambda case: case.generate(use_cache=False),
    "static cache": lambda case: case.generate(cache_implementation="static", disable_compile=True),
    "own static cache": lambda case: case.generate(past_key_values=static_cache(case), disable_compile=True),
    "assisted by itself": lambda case: case.generate(assistant_model=case.model),
    "assisted by a text model": with_text_model_as_assistant,
    "prompt lookup": lambda case: case.generate(prompt_lookup_num_tokens=5, max_matching_ngram_size=1),
    "embeddings": with_embeddings,
    "encoded before": with_encoded,
    "sampled from the first": lambda case: case.generate(do_sample=True, top_k=1),
}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_way_gives_the_greedy_text(case, contract):
    assert torch.equal(CONTRACTS[contract](case), case.greedy)


@pytest.mark.parametrize("name", CACHE_NAMES)
def test_a_given_cache_is_used(case, name):
    cache = DynamicCache(config=case.model.config.get_text_config())
    assert torch.equal(case.generate(**{name: cache}), case.greedy)
    assert cache.get_seq_length() == case.length + NEW_TOKENS - 1


def next_turn(case: Case, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    ids = torch.cat([ids, case.greedy[:, -4:]], dim=1)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize("name", CACHE_NAMES)
@pytest.mark.parametrize("whole", [True, False], ids=["with the first turn's ECG", "without it"])
def test_a_chat_continues_on_its_cache(case, name, whole):
    cache = DynamicCache(config=case.model.config.get_text_config())
    first = case.generate(**{name: cache})
    turn = next_turn(case, first)
    expected = case.generate(**turn)
    left_out = {} if whole else {"ecg_values": None, "pixel_values": None}
    seen = cache.get_seq_length()
    assert torch.equal(case.generate(**turn, **left_out, **{name: cache}), expected)
    assert cache.get_seq_length() == expected.shape[1] - 1 > seen


@pytest.mark.parametrize("whole", [True, False], ids=["all ECGs given", "the new one given"])
def test_a_second_ecg_joins_a_chat_on_its_cache(case, whole):
    cache = DynamicCache(config=case.model.config.get_text_config())
    turn = next_turn(case, case.generate(past_key_values=cache))
    is_ecg = case.inputs["input_ids"][0] == case.model.config.ecg_token_id
    turn["input_ids"] = torch.cat(
        [turn["input_ids"], case.inputs["input_ids"][:, is_ecg], turn["input_ids"][:, -2:]], 1
    )
    turn["attention_mask"] = torch.ones_like(turn["input_ids"])
    both = torch.cat([case.inputs["ecg_values"], case.inputs["ecg_values"].flip(-1)])
    given = {"ecg_values": both} if whole else {"ecg_values": both[1:], "pixel_values": None}
    logits = [
        torch.stack(case.generate(**turn, **arguments, output_logits=True, return_dict_in_generate=True).logits)
        for arguments in ({"ecg_values": both}, given | {"past_key_values": cache}, {"ecg_values": both.flip(0)})
    ]
    torch.testing.assert_close(logits[1], logits[0], atol=1e-3, rtol=1e-3)
    assert (logits[2][0] - logits[0][0]).abs().max() > 1e-2, "the order of the ECGs must matter"


@pytest.mark.parametrize("size", [7, 64])
def test_a_prompt_in_chunks(case, size):
    if not chunks_keep_their_ecgs():
        with pytest.raises(ValueError, match=r"prefill_chunk_size.*5\.23"):
            case.generate(prefill_chunk_size=size)
        return
    assert torch.equal(case.generate(prefill_chunk_size=size), case.greedy)
    cache = DynamicCache(config=case.model.config.get_text_config())
    turn = next_turn(case, case.generate(past_key_values=cache))
    assert torch.equal(case.generate(**turn, past_key_values=cache, prefill_chunk_size=size), case.generate(**turn))


def chunks_keep_their_ecgs() -> bool:
    return tuple(map(int, transformers.__version__.split(".")[:2])) >= (5, 23)


@pytest.mark.parametrize(("backend", "library"), [("quanto", "optimum.quanto"), ("hqq", "hqq")])
def test_quantized_caches_work_or_name_their_library(backend, library):
    case = make_case("embedded")  # its prompt is longer than what such a cache leaves in full precision
    arguments = {"cache_implementation": "quantized", "cache_config": {"backend": backend, "nbits": 4}}
    try:
        importlib.import_module(library)
    except ImportError:
        with pytest.raises(ImportError, match=f"(?i){backend}"):
            case.generate(**arguments)
    else:
        assert torch.equal(case.generate(**arguments), case.greedy)


def test_beam_search_is_no_worse_than_greedy_for_ids_embeddings_and_without_cache(case):
    beams = case.generate(num_beams=3)
    assert log_likelihood(case, beams) >= log_likelihood(case, case.greedy) - 1e-4
    inputs = dict(case.inputs)
    embeds = case.model.get_input_embeddings()(inputs.pop("input_ids"))
    new = case.model.generate(inputs_embeds=embeds, **inputs, max_new_tokens=NEW_TOKENS, do_sample=False, num_beams=3)
    assert torch.equal(new, beams[:, case.length :])
    assert torch.equal(case.generate(num_beams=3, use_cache=False), beams)


@torch.no_grad()
def log_likelihood(case: Case, ids: torch.Tensor) -> float:
    """Of what was generated, under the scores that `generate` chooses from."""
    inputs = case.inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    logits = case.model(**inputs).logits[0, case.length - 1 : -1]
    logits[:, case.model.generation_config.suppress_tokens] = -torch.inf
    return float(logits.log_softmax(-1).gather(-1, ids[0, case.length :, None]).sum())


def test_every_returned_sequence_has_seen_the_ecg(case):
    returned = case.generate(do_sample=True, top_k=1, num_return_sequences=3)
    assert torch.equal(returned, case.greedy.expand(3, -1))


@torch.no_grad()
def test_classifier_free_guidance_is_that_of_its_formula(case):
    """Scores are `unconditional + scale * (conditional - unconditional)`; the second prompt is the last token alone."""
    scale, ids, alone = 1.5, case.inputs["input_ids"], case.inputs["input_ids"][:, -1:]
    for _ in range(4):
        inputs = case.inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        conditional = case.model(**inputs).logits[:, -1].log_softmax(-1)
        unconditional = case.model(input_ids=alone).logits[:, -1].log_softmax(-1)
        scores = unconditional + scale * (conditional - unconditional)
        scores[:, case.model.generation_config.suppress_tokens] = -torch.inf
        token = scores.argmax(-1, keepdim=True)
        ids, alone = torch.cat([ids, token], 1), torch.cat([alone, token], 1)
    assert torch.equal(case.generate(guidance_scale=scale, max_new_tokens=4), ids)


def test_sharded_models_run_their_towers_within_the_pass(case, monkeypatch):
    """FSDP2 and ZeRO-3 gather the weights there. What needs the towers earlier is refused."""
    monkeypatch.setattr("modeling_gem.generation_gem.is_sharded", lambda module: True)
    assert torch.equal(case.generate(), case.greedy)
    with pytest.raises(ValueError, match="repeat the rows"):
        case.generate(num_beams=2)
    with pytest.raises(ValueError, match="input gives 0"):
        case.generate(ecg_values=None)


def test_continuous_batching_is_for_text_alone():
    case = make_case("llama")
    settings = GenerationConfig(max_new_tokens=6, do_sample=False, eos_token_id=-1, pad_token_id=0)
    prompts = [[5, 6, 7, 8], [9, 10, 11]]
    # Left alone, it takes most of the machine's memory for its cache.
    small = ContinuousBatchingConfig(num_blocks=16, max_batch_tokens=64)
    outputs = case.model.generate_batch(prompts, settings, continuous_batching_config=small)
    for prompt, output in zip(prompts, outputs.values(), strict=True):
        alone = case.model.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False)
        assert output.generated_tokens == alone[0, len(prompt) :].tolist()
    with pytest.raises(ValueError, match="Continuous batching"):
        case.model.generate_batch(inputs=[*prompts, case.inputs["input_ids"][0].tolist()], generation_config=settings)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_beams": 2},
        {"use_cache": False},
        {"prompt_lookup_num_tokens": 3},
        {"assistant_model": "itself"},
        {"past_key_values": "empty"},
    ],
    ids=lambda arguments: next(iter(arguments), "plain"),
)
@pytest.mark.parametrize(("lost", "modality"), [("ecg_values", "ecg"), ("pixel_values", "image")])
def test_no_way_loses_an_input(case, lost, modality, arguments):
    arguments = dict(arguments)
    if "assistant_model" in arguments:
        arguments["assistant_model"] = case.model
    if "past_key_values" in arguments:
        arguments["past_key_values"] = DynamicCache(config=case.model.config.get_text_config())
    with pytest.raises(ValueError, match=rf"{modality} placeholder tokens .* input gives 0"):
        case.generate(**{lost: None}, **arguments)


@torch.no_grad()
def test_features_are_left_out_on_purpose_only(case):
    """`None` for a modality says that its placeholders stay without features; beams keep it."""
    left_out = {"ecg_values": None, "pixel_values": None, "mm_encoder_outputs": {"ecg": None, "image": None}}
    one = case.generate(**left_out)
    scores = case.model(**case.inputs | left_out).logits[0, -1]
    scores[case.model.generation_config.suppress_tokens] = -torch.inf
    assert one[0, case.length] == scores.argmax()
    assert case.generate(**left_out, do_sample=True, top_k=1, num_return_sequences=2).tolist() == one.tolist() * 2


def test_embeddings_lose_no_input(case):
    inputs = {name: value for name, value in case.inputs.items() if name != "ecg_values"}
    inputs["inputs_embeds"] = case.model.get_input_embeddings()(inputs.pop("input_ids"))
    for call in (case.model, case.model.generate):
        with pytest.raises(ValueError, match=r"ecg placeholder tokens .* input gives 0"):
            call(**inputs)


def test_placeholders_without_an_embedding_are_named():
    model = tiny_model(tiny_config(tiny_text_config(vocab_size=300)))
    embeds = model.get_input_embeddings()(torch.tensor([[1, 5, 6]]))
    with pytest.raises(ValueError, match=r"ecg placeholder \(id 300\) lies outside .*resize_token_embeddings"):
        model(inputs_embeds=embeds, ecg_values=torch.zeros(1, 12, 500))
    assert model(inputs_embeds=embeds).logits.shape == (1, 3, 300)


def test_embeddings_with_ecgs_give_the_logits_of_ids(case):
    inputs = dict(case.inputs)
    expected = case.model(**inputs).logits
    embeds = case.model.get_input_embeddings()(inputs.pop("input_ids"))
    assert torch.equal(case.model(inputs_embeds=embeds, **inputs).logits, expected)


def test_what_the_towers_gave_is_returned(case):
    outputs = case.model(**case.inputs, output_hidden_states=True)
    tokens = {"ecg": case.model.config.ecg_token_id, "image": case.model.config.image_token_id}
    for modality, token in tokens.items():
        encoded = getattr(outputs, f"{modality}_outputs")
        assert sum(map(len, encoded.pooler_output)) == (case.inputs["input_ids"] == token).sum()
        depth = getattr(case.model.config, "ecg_config" if modality == "ecg" else "vision_config").num_hidden_layers
        assert len(encoded.hidden_states) == depth + 1
    assert case.model(input_ids=torch.tensor([[1]])).ecg_outputs is None
