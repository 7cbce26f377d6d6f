# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Faulty training data is reported before the first step, with the sample's number."""

import numpy as np
import pytest
from datasets import Array2D, Dataset, Features, Image, List, Value
from transformers import CLIPVisionConfig

from modeling_gem import GemEcgConfig
from processing.errors_gem import CheckpointError, PlaceholderError, TrainingError
from recipes.training.checks import check_columns, check_first_batch, check_messages, check_vocabulary, with_lengths
from recipes.training.collator import GemDataCollator
from tests.helpers.tiny_gem import picture, signal, tiny_config, tiny_model, tiny_processor, tiny_text_config

FEATURES = Features(
    {
        "id": Value("string"),
        "ecg": Array2D((12, 500), "float32"),
        "sampling_rate": Value("float32"),
        "image": Image(),
        "messages": List({"role": Value("string"), "content": Value("string")}),
    }
)


def row(number: int = 0, question: str = "Interpret this ECG.", answer: str = "Sinus rhythm.", **changes) -> dict:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    values = {"id": f"rec{number}", "ecg": signal(number), "sampling_rate": 500.0, "image": picture(number)}
    return {**values, "messages": messages, **changes}


def dataset(*rows: dict) -> Dataset:
    return Dataset.from_list(list(rows), features=FEATURES)


def test_good_data_passes():
    data, processor = dataset(row(0), row(1, question="<ecg><image>\nWhat is the rhythm?")), tiny_processor()
    check_columns(data, "data")
    check_messages(data, "data", processor)
    check_first_batch(data, GemDataCollator(processor, assistant_only_loss=True))
    check_vocabulary(tiny_model(), processor)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (dataset(row()).remove_columns("ecg"), "without signals: no column `ecg`.*'image'"),
        (dataset(row(ecg=None), row(ecg=None)), "without signals: the column `ecg` is empty"),
        (dataset(row(), row(ecg=None)), "1 of 2 rows have no ECG.*image_only"),
        (dataset(row()).rename_column("messages", "conversations"), "no column `messages`.*'conversations'"),
    ],
)
def test_data_sets_of_another_shape(data, message):
    with pytest.raises(TrainingError, match=message):
        check_columns(data, "data[train]")


def test_pictures_alone_and_signals_inside_the_messages():
    check_columns(dataset(row()).remove_columns("ecg"), "data", image_only=True)
    check_columns(dataset(row(), row(ecg=None)), "data", image_only=True)
    block = {"role": "user", "content": [{"type": "ecg", "path": "rec.hea"}]}
    check_columns(Dataset.from_list([{"messages": [block]}]), "data")


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (
            row(7, question="<ecg> <ecg> Compare."),
            PlaceholderError,
            "row 1: Sample 'rec7': .*more ECG blocks than the 1",
        ),
        (row(7, question="<image><image> Read."), PlaceholderError, "'rec7': .*2 picture block.* 1 picture"),
        (row(7, ecg=None, question="<ecg> Read."), PlaceholderError, "'rec7': .*more ECG blocks than the 0"),
        (row(7, answer="  "), TrainingError, "row 1: Sample 'rec7' has no answer to learn from"),
        (row(7, messages=[{"role": "assistant", "content": "Yes."}]), TrainingError, "'rec7' has no user turn"),
        (row(7, messages=[{"role": "user", "content": "Yes?"}]), TrainingError, "'rec7' has no answer"),
    ],
)
def test_samples_that_cannot_be_learned_from(bad, error, message):
    with pytest.raises(error, match=message):
        check_messages(dataset(row(), bad), "data[train]", tiny_processor())


def test_written_placeholders_of_a_record_that_cannot_be_read_are_left_to_training(caplog):
    absent = row(7, question="<ecg><image> Read.", ecg="no_such_record.hea")
    data = Dataset.from_list([absent], features=Features(FEATURES | {"ecg": Value("string")}))
    with caplog.at_level("WARNING", logger="recipes.training.checks"):
        check_messages(data, "data", tiny_processor())
    assert "data, row 0: Sample 'rec7'" in caplog.text and "no_such_record" in caplog.text


def test_a_template_without_generation_marks_masks_everything():
    processor = tiny_processor()
    processor.chat_template = processor.chat_template.replace("{%- generation -%}", "").replace(
        "{%- endgeneration -%}", ""
    )
    with pytest.raises(PlaceholderError, match=r"'rec0': no token is left to train on.*generation"):
        check_first_batch(dataset(row()), GemDataCollator(processor, assistant_only_loss=True))
    with pytest.raises(TrainingError, match="empty"):
        check_first_batch([], GemDataCollator(tiny_processor(), assistant_only_loss=True))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (tiny_config(tiny_text_config(200)), r"another vocabulary: \d+ of its tokens.*200 rows"),
        (tiny_config(ecg_token_id=301, image_token_id=300), "ecg placeholders as token 300, the model expects 301"),
        (
            tiny_config(
                ecg_config=GemEcgConfig(
                    hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2, seq_length=1000
                )
            ),
            "gives an ECG 11 tokens, the model 21",
        ),
    ],
)
def test_parts_of_different_checkpoints(config, message):
    with pytest.raises(CheckpointError, match=message):
        check_vocabulary(tiny_model(config), tiny_processor())


def test_placeholders_may_lie_outside_of_the_embedding():
    check_vocabulary(tiny_model(tiny_config(tiny_text_config(300))), tiny_processor())


def test_lengths_count_media_tokens():
    rows = [
        row(0),
        row(1, answer="Sinus rhythm, PR interval, QRS duration. " * 3),
        row(2, ecg=None),
        row(3, image=None),
        row(4, question="<image><ecg>What?"),
    ]
    processor = tiny_processor()
    data = with_lengths(dataset(*rows).with_format("numpy", columns=["ecg"], output_all_columns=True), processor)
    collate = GemDataCollator(processor, assistant_only_loss=True, image_only=True)
    expected = [collate([example])["input_ids"].shape[1] for example in rows]
    assert list(data["length"]) == expected and len(set(expected)) == 5


def test_lengths_with_tiles():
    vision = CLIPVisionConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = tiny_config(vision_config=vision, image_grid_pinpoints=[[56, 28], [28, 56]])
    processor = tiny_processor(config)
    processor.image_processor.image_aspect_ratio = "anyres"
    processor.image_processor.image_grid_pinpoints = config.image_grid_pinpoints
    data = with_lengths(dataset(row(0)), processor)
    batch = GemDataCollator(processor, assistant_only_loss=True)([row(0)])
    assert batch["pixel_values"].dim() == 5
    assert data["length"][0] == batch["input_ids"].shape[1]
    assert np.ndim(data[0]["ecg"]) == 2


def test_lengths_of_pictures_that_are_paths(tmp_path):
    picture(0).save(tmp_path / "page.png")
    rows = [{k: v for k, v in row(0).items() if k != "image"} | {"images": [str(tmp_path / "page.png")]}]
    features = Features({k: v for k, v in FEATURES.items() if k != "image"} | {"images": List(Value("string"))})
    lengths = with_lengths(Dataset.from_list(rows, features=features), tiny_processor())["length"][:]
    assert lengths == with_lengths(dataset(row(0)), tiny_processor())["length"][:]
