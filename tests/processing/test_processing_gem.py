# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Prompts, ECGs and pictures -> model inputs: every placeholder has its input, every input its placeholder."""

import base64
import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from transformers import AutoProcessor

from modeling_gem import EcgRecord, GemProcessor
from processing.ecg_page import render_ecg
from processing.ecg_photo import PAGE_MARK
from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import GemError, PlaceholderError
from processing.simulator.simulator import simulate_ecg
from tests.helpers.tiny_gem import chat, page, picture, signal, tiny_processor


@pytest.fixture(scope="module")
def processor():
    return tiny_processor()


def record(seed: int = 0) -> EcgRecord:
    return EcgRecord(signal(seed), STANDARD_LEADS, 500, record_id=f"simulated-{seed}")


def tokens(processor, ids) -> tuple[int, int]:
    ids = np.asarray(ids)
    return int((ids == processor.ecg_token_id).sum()), int((ids == processor.image_token_id).sum())


def template(processor, conversation, **kwargs):
    settings = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return processor.apply_chat_template(conversation, **settings | kwargs)


def test_placeholders_expand_to_the_towers_tokens(processor):
    inputs = processor(text="<ecg><image>\nWhat is this?", ecgs=record(), images=page(), return_tensors="pt")
    assert tokens(processor, inputs["input_ids"]) == (11, 4)
    assert set(inputs) == {"input_ids", "attention_mask", "ecg_values", "pixel_values"}
    assert inputs["ecg_values"].shape == (1, 12, 500) and inputs["pixel_values"].shape == (1, 3, 28, 28)


@pytest.mark.parametrize(
    ("modality", "blocks"),
    [("both", ["ecg", "image", "text"]), ("signal", ["ecg", "text"]), ("image", ["image", "text"])],
)
def test_a_conversation_shows_the_modality_that_is_asked_for(processor, modality, blocks):
    sources = {
        "record": record(),
        "array": {"ecg": signal(), "sampling_rate": 500},
        "of its own": {"ecg": record(), "modality": modality},
    }
    for name, source in sources.items():
        asked = {} if name == "of its own" else {"modality": modality}
        (turn,) = processor.build_conversation(source, question="Rate?", **asked)
        assert [block["type"] for block in turn["content"]] == blocks, name
        assert turn["content"][-1]["text"] == "Rate?"


def test_types_of_tokens_are_text_picture_and_ecg(processor):
    """0, 1 and 4: Transformers keeps 2 and 3 for video and audio."""
    text = ["<ecg><image>\nWhat is this?", "<ecg>", "Hello."]
    inputs = processor(text=text, ecgs=[record(1), record(2)], images=page(), return_mm_token_type_ids=True)
    assert [len(row) for row in inputs["mm_token_type_ids"]] == [len(row) for row in inputs["input_ids"]]
    for ids, types in zip(inputs["input_ids"], inputs["mm_token_type_ids"], strict=True):
        expected = {processor.ecg_token_id: 4, processor.image_token_id: 1}
        assert types == [expected.get(token, 0) for token in ids]
    assert [row.count(4) for row in inputs["mm_token_type_ids"]] == [11, 11, 0]


def test_several_ecgs_and_pictures_stay_in_order(processor):
    text = ["<ecg><ecg>\nCompare.", "<image>\nRead.", "Hello."]
    inputs = processor(text=text, ecgs=[record(1), record(2)], images=page(3), padding=True, return_tensors="pt")
    assert [tokens(processor, row) for row in inputs["input_ids"]] == [(22, 0), (0, 4), (0, 0)]
    assert np.array_equal(inputs["ecg_values"].numpy(), [signal(1), signal(2)])
    assert inputs["attention_mask"][0].all() and not inputs["attention_mask"][2, 0]  # left padding


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"text": "<ecg><ecg>", "ecgs": [record()]}, r"2 <ecg> placeholder\(s\), but 1 ECG"),
        ({"text": "<ecg>"}, r"1 <ecg> placeholder\(s\), but 0 ECG"),
        ({"text": "<ecg>\n<image>", "images": [page()]}, r"1 <ecg> placeholder\(s\), but 0 ECG"),
        ({"text": "no placeholder", "ecgs": [record()]}, r"0 <ecg> placeholder\(s\), but 1 ECG"),
        ({"text": "<image><image>", "images": [page()]}, r"2 <image> placeholder\(s\), but 1 picture"),
        ({"text": ["<ecg>", "<ecg><image>"], "ecgs": [record()] * 2}, r"per prompt: \[0, 1\]"),
        ({"ecgs": [record()]}, "give `text`"),
        ({"text": "<ecg>", "ecgs": [record()], "truncation": True, "max_length": 5}, "truncation"),
    ],
)
def test_mismatches_raise(processor, kwargs, message):
    with pytest.raises(ValueError, match=message) as raised:
        processor(**kwargs)
    if "truncation" not in message:
        assert isinstance(raised.value, PlaceholderError)


def test_a_page_is_drawn_where_a_picture_is_missing(processor):
    inputs = processor(text="<ecg><image>", ecgs=record(), return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 28, 28) and inputs["pixel_values"].std() > 0
    drawn = processor(text="<image>", images=processor.page(record()), return_tensors="pt")["pixel_values"]
    assert torch.equal(inputs["pixel_values"], drawn)


def test_chats_draw_pages_unless_told_not_to(processor):
    with_page = template(processor, chat(image=False))
    assert tokens(processor, with_page["input_ids"]) == (11, 4) and "pixel_values" in with_page
    signal_only = template(processor, chat(image=False), draw_page=False)
    assert tokens(processor, signal_only["input_ids"]) == (11, 0) and "pixel_values" not in signal_only
    image_only = template(processor, chat(ecg=False))
    assert tokens(processor, image_only["input_ids"]) == (0, 4) and "ecg_values" not in image_only
    text = template(processor, chat(ecg=False, image=False))
    assert set(text) == {"input_ids", "attention_mask"}


def test_chat_inputs_may_be_paths_records_and_arrays(processor, tmp_path):
    np.save(tmp_path / "record.npy", signal(4))
    blocks = [
        {"type": "ecg", "path": str(tmp_path / "record.npy"), "sampling_rate": 500},
        {"type": "ecg", "ecg": record(4)},
        {"type": "ecg", "ecg": signal(4), "sampling_rate": 500},
        {"type": "ecg", "ecg": (signal(4) * 1000).round().astype(np.int16), "sampling_rate": 500, "unit": "uV"},
    ]
    for block in blocks:
        conversation = [{"role": "user", "content": [block, {"type": "text", "text": "?"}]}]
        np.testing.assert_allclose(template(processor, conversation)["ecg_values"][0], signal(4), atol=1e-3)
    with pytest.raises(PlaceholderError, match="needs its ECG"):
        template(processor, [{"role": "user", "content": [{"type": "ecg"}]}])
    with pytest.raises(PlaceholderError, match="no ECG before it"):
        template(processor, [{"role": "user", "content": [{"type": "image"}]}])


def test_loose_arguments_beside_processor_kwargs_do_not_lose_the_ecg(processor):
    expected = template(processor, [chat(0), chat(1, image=False)], processor_kwargs={"padding": True})
    loose = template(processor, [chat(0), chat(1, image=False)], padding=True, unknown_to_the_template=True)
    assert expected.keys() == loose.keys() and all(torch.equal(expected[key], loose[key]) for key in expected)


@dataclass
class Message:
    role: str
    content: list


class PydanticMessage:
    def __init__(self, message: dict):
        self.message = message

    def model_dump(self, exclude_none: bool = False) -> dict:
        return self.message if exclude_none else self.message | {"tool_calls": None}


@pytest.mark.parametrize("make", [lambda message: Message(**message), PydanticMessage], ids=["dataclass", "pydantic"])
def test_messages_may_be_objects(processor, make):
    conversation = chat(3)
    expected = template(processor, conversation)
    output = template(processor, [make(message) for message in conversation])
    assert expected.keys() == output.keys() and all(torch.equal(expected[key], output[key]) for key in expected)


def test_a_record_in_a_chat_is_read_as_it_is(processor, monkeypatch):
    seen, given = [], record(4)
    read = processor.feature_extractor.prepare
    monkeypatch.setattr(processor.feature_extractor, "prepare", lambda ecg: seen.append(ecg) or read(ecg))
    template(processor, [{"role": "user", "content": [{"type": "ecg", "ecg": given}, {"type": "text", "text": "?"}]}])
    assert len(seen) == 1 and seen[0] is given


def test_ecg_kwargs_may_be_grouped_or_loose(processor):
    halved = signal(4)[:, ::2]
    grouped = processor(text="<ecg>", ecgs=halved, ecg_kwargs={"sampling_rate": 250}, return_tensors="pt")
    loose = processor(text="<ecg>", ecgs=halved, sampling_rate=250, return_tensors="pt")
    assert torch.equal(grouped["ecg_values"], loose["ecg_values"])
    with pytest.raises(TypeError, match="samplingrate"):
        processor(text="<ecg>", ecgs=halved, ecg_kwargs={"samplingrate": 250})


def test_text_offsets_and_token_types_on_request(processor):
    names = {"return_mm_token_type_ids": True, "return_text_replacement_offsets": True}
    output = processor(text=["<ecg><image>\nRate?"], ecgs=record(), images=page(), **names)
    assert [offset["type"] for offset in output["text_replacement_offsets"][0]] == ["ecg", "image"]
    types = np.asarray(output["mm_token_type_ids"][0])
    assert ((types == 4).sum(), (types == 1).sum()) == tokens(processor, output["input_ids"])


def test_the_users_conversation_is_not_changed(processor):
    conversation = chat(image=False)
    template(processor, conversation)
    assert [block["type"] for block in conversation[0]["content"]] == ["ecg", "text"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_assistant_mask_covers_the_answers_alone(processor, side):
    conversations = [chat(0, answer="Sinus rhythm."), chat(1, image=False, answer="Long QRS, seen in V1.")]
    output = template(
        processor,
        conversations,
        add_generation_prompt=False,
        return_assistant_tokens_mask=True,
        processor_kwargs={"padding": True, "padding_side": side},
    )
    for row, mask, conversation in zip(output["input_ids"], output["assistant_masks"], conversations, strict=True):
        kept = [int(token) for token, keep in zip(row, mask, strict=True) if keep]
        assert processor.tokenizer.decode(kept) == conversation[-1]["content"] + "</s>"


def test_save_and_load(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path)
    assert type(again) is GemProcessor and again.to_dict() == processor.to_dict()
    expected, loaded = template(processor, chat()), template(again, chat())
    assert expected.keys() == loaded.keys() and all(torch.equal(expected[key], loaded[key]) for key in expected)


def test_build_conversation_takes_whatever_an_ecg_comes_as(processor, tmp_path):
    page().save(tmp_path / "page.png")
    np.save(tmp_path / "record.npy", signal())
    kinds = {
        "record": (record(), {}, ["ecg", "image", "text"]),
        "array": (signal(), {"sampling_rate": 500}, ["ecg", "image", "text"]),
        "file": (tmp_path / "record.npy", {"sampling_rate": 500}, ["ecg", "image", "text"]),
        "picture file": (str(tmp_path / "page.png"), {}, ["image", "text"]),
        "picture": (page(), {}, ["image", "text"]),
        "row": ({"ecg": signal(), "sampling_rate": 500, "question": "Rate?"}, {}, ["ecg", "image", "text"]),
        "signal only": (record(), {"modality": "signal"}, ["ecg", "text"]),
        "image only": (record(), {"modality": "image"}, ["image", "text"]),
    }
    for name, (source, options, expected) in kinds.items():
        assert processor.is_one_input(source), name
        conversation = processor.build_conversation(source, **options)
        assert [block["type"] for block in conversation[0]["content"]] == expected, name
    assert not processor.is_one_input([record(), record()])
    assert isinstance(processor.picture(processor.build_conversation(record())), Image.Image)
    with pytest.raises(PlaceholderError, match="a picture has no signal"):
        processor.build_conversation(page(), modality="signal")
    with pytest.raises(GemError, match="modality"):
        processor.build_conversation(record(), modality="sound")


def test_a_signal_only_chat_stays_one_in_every_turn(processor):
    chat = processor.build_conversation(record(), modality="signal")
    inputs = template(processor, chat)
    assert "pixel_values" not in inputs and "ecg_values" in inputs
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Sinus rhythm."}]}
    again = processor.build_conversation(
        [*chat, answer, {"role": "user", "content": [{"type": "text", "text": "Rate?"}]}]
    )
    assert "pixel_values" not in template(processor, again)
    assert "pixel_values" in template(processor, processor.build_conversation(record()))


def test_a_picture_without_an_ecg_page_is_refused(processor, tmp_path):
    white = Image.new("RGB", (800, 600), "white")
    white.save(tmp_path / "white.png")
    block = {"type": "image", "image": white}
    for source in (white, tmp_path / "white.png", [{"role": "user", "content": [block]}]):
        with pytest.raises(GemError, match="shows no ECG page"):
            processor.build_conversation(source)
    with pytest.raises(GemError, match=r"white\.png: .*no ECG page"):
        processor.build_conversation(record(), image=tmp_path / "white.png")
    shown = processor.build_conversation(processor.page(simulate_ecg(heart_rate=70, seed=1).record), modality="image")
    assert isinstance(processor.picture(shown), Image.Image)


def test_pictures_are_judged_by_every_entry_point_unless_known_to_be_pages(processor, tmp_path):
    white = Image.new("RGB", (800, 600), "white")
    white.save(tmp_path / "white.png", pnginfo=claimed_page())
    page().save(tmp_path / "page.png")
    for given in (white, np.asarray(white), np.asarray(white).transpose(2, 0, 1) / 255, picture(0, 300, 400)):
        with pytest.raises(GemError, match="shows no ECG page"):
            processor(text="<image>", images=given)
    with pytest.raises(GemError, match="too few to tell"):
        processor(text="<image>", images=picture(0, 120, 300))
    url = f"data:image/png;base64,{base64.b64encode((tmp_path / 'white.png').read_bytes()).decode()}"
    for key, value in (("url", url), ("path", str(tmp_path / "white.png")), ("image", white)):
        block = {"type": "image", key: value}
        with pytest.raises(GemError, match="shows no ECG page"):
            template(processor, [{"role": "user", "content": [block, {"type": "text", "text": "?"}]}])
    small = page().resize((28, 28))  # drawn from a record, which its copies know
    unmarked = np.asarray(page())
    for given in (small, unmarked, Image.open(tmp_path / "page.png")):
        assert "pixel_values" in processor(text="<image>", images=given)
    trusting = copy.copy(processor)
    trusting.judge_pictures = False
    assert "pixel_values" in trusting(text="<image>", images=white)


def claimed_page() -> PngInfo:
    """Metadata with which a file could claim to be a page, if that were accepted."""
    claim = PngInfo()
    claim.add_text(PAGE_MARK, "True")
    return claim


def test_noise_is_refused_and_a_noisy_ecg_is_not(processor):
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.3, size=(12, 5000)).astype(np.float32)
    for read in (
        lambda: processor(text="<ecg>", ecgs=noise, sampling_rate=500),
        lambda: processor.build_conversation(noise, sampling_rate=500),
    ):
        with pytest.raises(GemError, match="noise"):
            read()
    under = signal(1, samples=5000) + rng.normal(scale=0.3, size=(12, 5000)).astype(np.float32)
    assert "ecg_values" in processor(text="<ecg>", ecgs=under, sampling_rate=500)


def test_the_requested_page_of_a_document_is_used(processor, tmp_path):
    drawn = render_ecg(simulate_ecg(heart_rate=70, seed=1).record).to_pil()
    path = tmp_path / "report.tiff"
    Image.new("RGB", drawn.size, "white").save(path, save_all=True, append_images=[drawn])
    with pytest.raises(GemError, match=r"2 pages.*index=1"):
        processor.build_conversation(path, modality="image")
    shown = processor.picture(processor.build_conversation(path, modality="image", index=1))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(drawn))
    with pytest.raises(GemError, match="no ECG page"):
        processor.build_conversation(path, modality="image", index=0)


def test_an_ecg_block_takes_the_keywords_of_load_ecg(processor):
    signal = simulate_ecg(heart_rate=70, seed=1).record.signal
    block = {"type": "ecg", "ecg": signal[1:2] * 200, "leads": ["II"], "gain": 200, "sampling_rate": 500, "start": 2}
    chat = [{"role": "user", "content": [{**block, "missing_leads": "mask"}, {"type": "text", "text": "Rate?"}]}]
    loaded = processor.record(processor.build_conversation(chat))
    np.testing.assert_allclose(loaded.lead("II"), signal[1, 1000:], atol=1e-5)
    assert np.isnan(loaded.lead("V1")).all()
    with pytest.raises(GemError, match="missing_leads='mask'"):
        template(processor, [{"role": "user", "content": [block]}])


def test_post_processing_gives_text(processor):
    ids = processor.tokenizer("Sinus rhythm.", add_special_tokens=False)["input_ids"] + [2]
    assert processor.post_process_image_text_to_text([ids]) == ["Sinus rhythm."]
