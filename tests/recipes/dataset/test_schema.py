# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The stored signal and the data set's rows: exact, readable without gem-ecg, fast with it, ready for the trainer."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_dataset
from PIL import Image
from trl import SFTConfig

from processing.ecg_record import STANDARD_LEADS, EcgRecord
from recipes.dataset.build import build_dataset
from recipes.dataset.schema import (
    GAP,
    PageStyleChoice,
    columns,
    decode,
    decode_table,
    schema,
    stream,
    to_counts,
    to_millivolts,
    with_transform,
)
from recipes.dataset.settings import settings_from
from recipes.training.checks import with_lengths
from recipes.training.collator import GemDataCollator
from recipes.training.sft import GemScriptArguments, load_splits
from recipes.training.trainer import GemSFTTrainer
from tests.helpers.shared_data import shared_path
from tests.helpers.source_trees import conversation_files, ptbxl_tree, simulated_microvolts
from tests.helpers.tiny_gem import tiny_model, tiny_processor


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Six PTB-XL records with answers, and three questions about one or two of them."""
    folder = tmp_path_factory.mktemp("schema")
    ptbxl_tree(folder / "ptbxl")
    qa = conversation_files(folder)["qa"]
    settings = settings_from(
        {
            "output": str(folder / "out"),
            "sources": [
                {"format": "ptb-xl", "path": str(folder / "ptbxl")},
                {"format": "ecg-qa", "path": str(qa), "ptbxl": str(folder / "ptbxl")},
            ],
            "shard_size": 4,
        }
    )
    build_dataset(settings)
    return folder / "out"


@pytest.mark.parametrize("gain", [1000.0, 200.0, 204.8, 4.88**-1 * 1000, 3277.0])
def test_any_recorders_counts_come_back_exactly(gain):
    counts = np.random.default_rng(0).integers(-3000, 3000, (12, 5000)).astype(np.int16)
    counts[0, 7] = counts[0, 8] + 1
    signal = (counts / gain).astype(np.float32)
    stored, gains, exact = to_counts(signal)
    assert exact
    np.testing.assert_allclose(to_millivolts(stored, gains), signal, rtol=3e-7, atol=1e-7)


def test_gaps_flat_leads_and_arbitrary_floats():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(3, 1000)).astype(np.float32)
    signal[1], signal[2, 100:200] = 0, np.nan
    counts, gains, exact = to_counts(signal)
    assert not exact and (counts[2, 100:200] == GAP).all()
    restored = to_millivolts(counts, gains)
    assert np.isnan(restored[2, 100:200]).all() and not np.isnan(restored[:2]).any()
    assert np.nanmax(np.abs(restored - signal)) <= 1 / 8000
    tall, tall_gain, _ = to_counts(100 * signal)
    assert np.nanmax(np.abs(to_millivolts(tall, tall_gain) - 100 * signal)) < 0.01


def test_real_records_are_stored_exactly():
    from processing.ecg_readers import load_ecg

    for folder in ("cpsc2018", "chapman", "ningbo", "g12ec", "ptb"):
        for path in shared_path(f"data/loaders/{folder}").glob("*.hea"):
            signal = load_ecg(path).signal
            counts, gains, exact = to_counts(signal)
            assert exact
            np.testing.assert_array_equal(to_millivolts(counts, gains), signal)


def test_plain_load_dataset_decodes_without_the_package(built, tmp_path):
    code = f"""
import sys
from datasets import load_dataset
import numpy as np
data = load_dataset({str(built)!r}, "ptb-xl")
assert {{name: len(split) for name, split in data.items()}} == {{"train": 4, "validation": 1, "test": 1}}
row = data["train"][0]
millivolts = np.array(row["signal"]) / np.array(row["gain"])[:, None]
assert millivolts.shape == (12, 5000) and row["sampling_rate"] == 500 and row["leads"][5] == "aVF"
assert row["features"]["II"]["Heart Rate"] and row["features"]["record"]["heart_rate"]
assert row["messages"][0]["role"] == "user" and row["labels"][0]["text"] == "normal ECG"
first = next(iter(load_dataset({str(built)!r}, "ptb-xl", split="train", streaming=True)))
assert first["signal"] == row["signal"]
assert len(load_dataset({str(built)!r}, split="train")) == 6
assert not any(name.split(".")[0] in ("processing", "recipes", "modeling_gem") for name in sys.modules)
np.save({str(tmp_path / "mv.npy")!r}, millivolts)
"""
    environment = {"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "mv.npy"), simulated_microvolts(1, 65) / 1000, atol=1e-6)


def test_decode_is_the_same_from_every_format(built):
    data = load_dataset(str(built), "all", split="train")
    assert data.features == schema(several_ecgs=True) and set(columns(several_ecgs=True)) == set(data.column_names)
    plain = [decode(row) for row in data]
    fast = [record for record, _ in stream(data, batch_size=4)]
    streamed = [record for record, _ in stream(load_dataset(str(built), "all", split="train", streaming=True))]
    sliced = decode_table(data.with_format("arrow")[2:5])
    picked = decode_table(data.select([5, 1]).with_format("arrow")[:])
    assert len(plain) == len(fast) == len(streamed) == 6
    for one, two, three in zip(plain, fast, streamed, strict=True):
        assert one.record_id == two.record_id == three.record_id
        np.testing.assert_array_equal(one.signal, two.signal)
        np.testing.assert_array_equal(one.signal, three.signal)
    np.testing.assert_array_equal(decode(sliced[2]).signal, plain[4].signal)
    np.testing.assert_array_equal(decode(picked[0]).signal, plain[5].signal)
    assert plain[0].leads == STANDARD_LEADS and plain[0].labels == {"NORM": 100.0, "SR": 0.0}


def test_leads_of_any_number_and_length_side_by_side(tmp_path):
    from recipes.dataset.shards import to_table

    records = [EcgRecord(np.full((leads, samples), 0.001 * leads), STANDARD_LEADS[:leads], 500.0) for leads, samples in ((12, 700), (3, 900), (8, 600))]  # fmt: skip
    features = schema()
    rows = []
    for record in records:
        counts, gains, _ = to_counts(record.signal)
        rows.append(dict.fromkeys(features) | {"signal": counts, "gain": gains.tolist(), "sampling_rate": 500.0, "leads": list(record.leads)})  # fmt: skip
    back = decode_table(to_table(rows, features))
    for record, row in zip(records, back, strict=True):
        np.testing.assert_array_equal(decode(row).signal, record.signal)


def test_the_page_documents_every_column():
    page = (Path(__file__).resolve().parents[3] / "docs/data.md").read_text()
    for name, (_, meaning) in columns(images=True, several_ecgs=True).items():
        line = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert meaning in line, name


def test_rows_for_training_draw_the_same_page_every_time(built):
    data = load_dataset(str(built), "all", split="train")
    rows = with_transform(data, page=PageStyleChoice(size=168))
    first, again = rows[0], rows[0]
    assert isinstance(first["ecg"], EcgRecord) and first["image"].size == (168, 168)
    assert first["image"].tobytes() == again["image"].tobytes()
    assert "image" not in with_transform(data, images=False)[0]
    pair = with_transform(load_dataset(str(built), "ecg-qa", split="train"), images=False)[1]
    assert [record.num_samples for record in pair["ecg"]] == [5000, 5000]
    streamed = next(iter(with_transform(load_dataset(str(built), "all", split="train", streaming=True))))
    np.testing.assert_array_equal(streamed["ecg"].signal, first["ecg"].signal)
    assert isinstance(streamed["image"], Image.Image)


def test_a_built_data_set_trains_one_step(built, tmp_path):
    splits = load_splits(GemScriptArguments(dataset=str(built)), ["train"])
    processor, model = tiny_processor(), tiny_model()
    before = model.lm_head.weight.detach().clone()
    trainer = GemSFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=2,
            learning_rate=1e-2,
            report_to="none",
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            assistant_only_loss=True,
            max_length=None,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=splits["train"],
        processing_class=processor,
        data_collator=GemDataCollator(processor, assistant_only_loss=True),
    )
    batch = trainer.data_collator([trainer.train_dataset[0], trainer.train_dataset[1]])
    # A row may hold a pair of ECGs.
    assert (
        batch["ecg_values"].shape[1:] == (12, 500)
        and len(batch["ecg_values"]) >= 2
        and len(batch["pixel_values"]) >= 2
    )
    assert trainer.train().training_loss > 0
    assert not torch.equal(model.lm_head.weight, before)


def test_lengths_of_a_built_data_set_are_those_of_its_batches(built, tmp_path):
    processor = tiny_processor()
    split = load_splits(GemScriptArguments(dataset=str(built)), ["train"])["train"]
    measured = with_lengths(split, processor)
    collate = GemDataCollator(processor, assistant_only_loss=True)
    lengths = measured.with_format(None)["length"][:]
    assert lengths == [collate([row])["input_ids"].shape[1] for row in split] and len(set(lengths)) > 1
    arguments = SFTConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        train_sampling_strategy="group_by_length",
        report_to="none",
        bf16=False,
        use_cpu=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
    )
    trainer = GemSFTTrainer(
        model=tiny_model(),
        args=arguments,
        train_dataset=measured,
        processing_class=processor,
        data_collator=collate,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    assert "ecg_values" in batch and batch["input_ids"].shape[1] == max(lengths)
