# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`interpret` and `check_answer`: how an answer's claims are handled, for any model and any engine."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modeling_gem import (
    EcgFeatures,
    GemError,
    GemPipeline,
    check_answer,
    default_checkpoint,
    extract_features,
    interpret,
    load_ecg,
    render_ecg,
)
from modeling_gem.interpretation import check_chat, check_conversation, load_interpreter
from modeling_gem.model_strength import UNKNOWN, model_strength
from modeling_gem.sampling import sample_answers
from processing.grounding.cut_off import CutOff
from processing.simulator.simulator import simulate_ecg

SAMPLE = "processing/samples/atrial_fibrillation.hea"
SAMPLES = Path("processing/samples")
HARD = "processing/samples/ventricular_tachycardia.hea"  # every answer of the embedded model has something wrong
WRONG, RIGHT = "Sinus rhythm, 111 bpm.", "Sinus rhythm, 72 bpm."


@pytest.fixture(scope="module")
def gem() -> GemPipeline:
    return load_interpreter()


@pytest.fixture(scope="module")
def features() -> EcgFeatures:
    return extract_features(simulate_ecg(heart_rate=72, seed=1).record)


def test_an_answer_is_flagged_and_never_altered(gem):
    plain = interpret(SAMPLE, model=gem, modality="signal", grounding="off")
    found = interpret(SAMPLE, model=gem, modality="signal")
    assert found.text == plain.text and (plain.claims, plain.spans, plain.report) == ((), (), None)
    assert len(found.claims) > 5 and found.features is not None and found.record is not None
    values = json.loads(json.dumps(found.to_dict()))
    assert values["text"] == found.text and len(values["claims"]) == len(found.claims)
    assert "claims" not in plain.to_dict() and plain.to_dict()["grounding"] == "off"


@pytest.mark.parametrize("grounding", ["off", "flag"])
def test_words_of_a_question_that_were_not_taught_are_named(gem, grounding):
    asked = {"question": "Is there a zigzag?", "modality": "signal", "grounding": grounding}
    found = interpret(SAMPLE, model=gem, **asked)
    assert "not taught 'zigzag'" in str(found.question_doubt) and "question_doubt" in found.to_dict()
    assert gem(SAMPLE, **asked)["question_doubt"] == found.question_doubt
    usual = gem(SAMPLE, question="What is the rhythm?", modality="signal", grounding=grounding)
    assert "question_doubt" not in usual


def test_a_chat_without_an_ecg_is_no_picture(gem):
    chat = [{"role": "user", "content": "Interpret this ECG."}]
    with pytest.raises(GemError, match="holds no ECG"):
        interpret(chat, model=gem)
    for check in (check_chat, partial(check_conversation, gem)):
        with pytest.raises(GemError, match="holds no ECG and no picture"):
            check(chat, "Sinus rhythm.")


def test_a_picture_alone_is_not_checked_and_a_signal_without_ecg_is_declined(gem):
    page = interpret(SAMPLE, model=gem).page
    found = interpret(page, model=gem, modality="image")
    assert found.text and found.verdicts == "picture only: not checked" and "claims" not in found.to_dict()
    seen_as_picture = interpret(SAMPLE, model=gem, modality="image")
    assert seen_as_picture.report is not None, "the waveform is there, whatever the model saw"
    flat = interpret(np.zeros((12, 5000), np.float32), model="no/such/model", sampling_rate=500)
    assert not flat.text and "flat" in flat.declined and flat.to_dict()["declined"] == flat.declined
    white = interpret(Image.new("RGB", (400, 300), "white"), model="no/such/model")
    assert not white.text and "no ECG page" in white.declined
    with pytest.raises(GemError, match="'correct'"):
        interpret(SAMPLE, model=gem, grounding="best")


@pytest.mark.parametrize("layout", ["3x4", "3x4+1", "6x2"])
def test_a_landscape_page_alone_is_not_called_something_else(gem, layout):
    pages = [render_ecg(load_ecg(sample), layout=layout, dpi=150).to_pil() for sample in sorted(SAMPLES.glob("*.hea"))]
    answers = [interpret(page, model=gem, modality="image", digitize=False).text for page in pages]
    assert sum("no ECG" in answer for answer in answers) <= len(pages) // 10


def test_several_answers_are_the_same_for_the_same_seed_and_leave_random_numbers_alone(gem):
    settings = {"model": gem, "modality": "signal", "grounding": "select", "n": 4}
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first, again, other = (interpret(HARD, seed=seed, **settings) for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    texts = [[tried.text for tried in found.candidates] for found in (first, again, other)]
    assert texts[0] == texts[1] != texts[2] and len(texts[0]) == 4
    assert first.text in texts[0] and texts[0][0] == interpret(HARD, model=gem, modality="signal").text


def test_answers_written_side_by_side_are_those_that_generate_writes(gem):
    """With the likeliest token alone to choose from, every row must give the greedy answer, wherever rows are exchanged."""
    chat = gem.processor.build_conversation(SAMPLE)
    greedy = gem(chat, grounding="off", do_sample=False, max_new_tokens=40)["generated_text"]
    asked = []

    def judge(text: str) -> tuple[float, int]:
        asked.append(text)
        return 0.0, len(asked) % 2  # every other row is thrown away

    assert sample_answers(gem, chat, 3, judge, top_k=1, max_new_tokens=40) == [greedy] * 3
    assert all(greedy.startswith(text.strip()) for text in asked)


def test_the_judge_steers_what_is_written(gem):
    chat = gem.processor.build_conversation(SAMPLE, modality="signal")
    for word, other in (("fibrillation", "flutter"), ("flutter", "fibrillation")):
        texts = sample_answers(
            gem, chat, 8, lambda text, w=other: (-float(w in text), int(w in text)), max_new_tokens=12
        )
        assert sum(word in text for text in texts) > 4, texts


def test_any_engine_gives_more_answers_until_one_has_no_contradiction(features):
    asked = []

    def more(count: int) -> Sequence[str]:
        asked.append(count)
        return [WRONG] * (count - 1) + [RIGHT] if len(asked) == 2 else [WRONG] * count

    found = check_answer(WRONG, features, grounding="select", more=more, n=40)
    assert found.text == RIGHT and asked == [16, 16] and len(found.candidates) == 33
    asked.clear()
    assert check_answer(RIGHT, features, grounding="select", more=more).text == RIGHT and not asked
    assert check_answer(WRONG, features, grounding="select", more=more, n=1).text == WRONG and not asked


def test_what_is_left_is_corrected(features):
    found = check_answer(f"{WRONG} Pericarditis.", features, grounding="correct")
    assert found.text == "Sinus rhythm, [72 bpm]. Pericarditis." and found.report.contradiction_rate == 0
    assert found.marks()["edits"][0]["was"] == "111 bpm" and found.candidates[0].text == f"{WRONG} Pericarditis."


def test_the_strength_of_a_model_is_what_its_card_says(tmp_path):
    assert "rhythm accuracy 0." in model_strength(default_checkpoint(), "signal")
    assert model_strength(default_checkpoint(), "signal") != model_strength(default_checkpoint(), "image")
    assert model_strength(tmp_path) == UNKNOWN
    (tmp_path / "README.md").write_text("---\nlicense: [unclosed\n---\n# A model")
    assert model_strength(tmp_path) == UNKNOWN
    (tmp_path / "README.md").write_text("# A model without front matter")
    assert model_strength(tmp_path) == UNKNOWN


def test_an_answer_that_was_cut_off_says_so_and_its_last_number_claims_nothing(gem):
    sample = str(SAMPLES / "first_degree_av_block.hea")
    asked = {"modality": "signal", "max_new_tokens": 21}
    cut = gem(sample, **asked)
    assert cut["generated_text"].endswith("The QRS axis is 7") and cut["cut_off"] is True
    assert not any(span["verdict"] == "contradicted" for span in cut["spans"]) and cut["claims"]
    found = interpret(sample, model=gem, modality="signal", generation={"max_new_tokens": 21})
    assert found.text == cut["generated_text"] and found.cut_off and found.to_dict()["cut_off"] is True
    assert found.report is not None and found.report.count("contradicted") == 0
    assert check_answer(found.text + ".", found.features).report.count("contradicted") == 1  # as if it were finished
    off = gem(sample, **asked, grounding="off")
    assert off == {"generated_text": cut["generated_text"], "cut_off": True, "grounding": "off"}
    whole = interpret(sample, model=gem, modality="signal")
    assert not whole.cut_off and "cut_off" not in whole.to_dict() and "cut_off" not in gem(sample, modality="signal")


def test_an_answer_that_calls_an_ecg_none_says_so(gem):
    """Three seconds of an ECG are behind zeros one of the model's `one second is too short`."""
    record = load_ecg(SAMPLES / "normal.hea", seconds=3)
    found = interpret(record, model=gem, modality="signal")
    assert "cannot be read as an ECG" in found.text
    said = "The model calls this no ECG; the heartbeat check found one (3 beats at 70 bpm)."
    assert found.denied_ecg == said == found.to_dict()["denied_ecg"] == gem(record, modality="signal")["denied_ecg"]
    whole = interpret(SAMPLE, model=gem, modality="signal")
    assert whole.denied_ecg is None and "denied_ecg" not in whole.to_dict()
    assert check_answer(found.text, None).denied_ecg is None  # nothing contradicts it


def test_of_a_batch_those_are_cut_off_that_had_more_to_say(gem):
    short, long = ("Is the rhythm regular? Answer yes or no.", "Interpret this ECG.")
    chats = [gem.processor.build_conversation(SAMPLE, question, modality="signal") for question in (short, long)]
    found = gem(chats, batch_size=2, modality="signal", max_new_tokens=12, grounding="off")
    assert ["cut_off" in result for result in found] == [False, True]
    alone = gem(chats[0], modality="signal", grounding="off")["generated_text"]
    tokens = len(gem.processor.tokenizer(alone, add_special_tokens=False)["input_ids"])
    exact = [gem(chats[0], modality="signal", max_new_tokens=tokens + more, grounding="off") for more in (0, 1)]
    assert ["cut_off" in result for result in exact] == [True, False]


def test_the_rest_of_a_cut_off_answer_stays_where_claims_are_corrected(features):
    text = CutOff("Sinus rhythm, 111 bpm. The QRS axis is 7")
    found = check_answer(text, features, grounding="correct")
    assert found.text == "Sinus rhythm, [72 bpm]. The QRS axis is 7" and found.cut_off and len(found.edits) == 1
    chosen = check_answer(CutOff(WRONG), features, grounding="select", more=lambda number: [RIGHT], n=2)
    assert chosen.text == RIGHT and not chosen.cut_off
    assert chosen.candidates[0].text == WRONG


def test_sampled_answers_say_whether_they_were_cut_off(gem):
    chat = gem.processor.build_conversation(SAMPLE, modality="signal")
    short = sample_answers(gem, chat, 2, lambda text: (0.0, 0), max_new_tokens=5)
    whole = sample_answers(gem, chat, 2, lambda text: (0.0, 0), max_new_tokens=256)
    assert all(isinstance(text, CutOff) for text in short) and not any(isinstance(text, CutOff) for text in whole)
