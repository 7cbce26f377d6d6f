# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Preferences: the checker's pairs, and DPO that sees their ECGs."""

import pytest
import torch
from datasets import Dataset, load_from_disk
from transformers import AutoModelForImageTextToText
from trl import DPOConfig

from processing.errors_gem import TrainingError
from processing.simulator.simulator import simulate_ecg
from recipes.training import preferences
from recipes.training.dpo import GemDPOTrainer, GemPreferenceCollator
from recipes.training.preferences import PreferenceSettings, build_preferences, reward_of
from tests.helpers.tiny_gem import tiny_processor
from tests.recipes.training.test_grpo import dataset, row, towers_run
from tests.recipes.training.test_grpo import start as start  # a fixture

PAIR = {"chosen": "Sinus rhythm. QRS duration.", "rejected": "PR interval."}


def pairs() -> list[dict]:
    return [row(0, **PAIR), row(1, images=[], **PAIR), row(2, ecg=None, **PAIR), row(3, **PAIR)]


def trainer(start, output, **settings) -> GemDPOTrainer:
    arguments = DPOConfig(
        output_dir=str(output),
        **{
            "per_device_train_batch_size": 4,
            "max_steps": 8,
            "learning_rate": 1e-3,
            "logging_steps": 1,
            "report_to": [],
            "save_strategy": "no",
            "use_cpu": True,
            "bf16": False,
            "max_length": None,
        }
        | settings,
    )
    processor = tiny_processor()
    return GemDPOTrainer(
        AutoModelForImageTextToText.from_pretrained(start, dtype="float32"),
        args=arguments,
        train_dataset=dataset(pairs()),
        processing_class=processor,
        data_collator=GemPreferenceCollator(processor, assistant_only_loss=True, image_only=True),
    )


def test_both_answers_stand_behind_the_same_prompt():
    processor = tiny_processor()
    mixed = {"both": 1.0, "signal": 1.0, "image": 1.0}
    batch = GemPreferenceCollator(processor, assistant_only_loss=True, modality_mix=mixed)([*pairs(), row(9, **PAIR)])
    chosen, rejected = (part.tolist() for part in batch["input_ids"].chunk(2))
    masks = batch["completion_mask"].chunk(2)
    for index in range(5):
        for ids, mask, text in zip((chosen, rejected), masks, PAIR.values(), strict=True):
            answer = [token for token, kept in zip(ids[index], mask[index], strict=True) if kept]
            assert processor.tokenizer.decode(answer) == text + "</s>"
        begins = [int(mask[index].argmax()) for mask in masks]
        assert begins[0] == begins[1] and chosen[index][: begins[0]] == rejected[index][: begins[0]]
    ecgs, images = batch["ecg_values"].chunk(2), batch["pixel_values"].chunk(2)
    assert torch.equal(*ecgs) and torch.equal(*images)


def test_the_preferred_answers_become_likelier_by_their_ecgs(start, tmp_path):
    gem = trainer(start, tmp_path)
    seen = towers_run(gem.model)
    gem.train()
    margins = [entry["rewards/margins"] for entry in gem.state.log_history if "rewards/margins" in entry]
    assert margins[0] == pytest.approx(0, abs=1e-5) and margins[-1] > 0.05
    assert all(count in (2 * 3, 1) for count in seen["ecg"]), "three of four rows have an ECG, for both answers"


def test_rows_without_a_pair_are_named():
    with pytest.raises(TrainingError, match="no text `rejected`"):
        GemPreferenceCollator(tiny_processor(), assistant_only_loss=True)([row(0, chosen="Sinus rhythm.")])


@pytest.fixture
def readings(monkeypatch):
    """A model with given answers: the test is about their use."""
    ecg = simulate_ecg(ischemia="inferior_stemi", seed=4)
    written = [
        "Sinus rhythm. ST elevation in II, III and aVF. The heart rate is normal.",
        "Atrial fibrillation. ST elevation in V1. The heart rate is 200 bpm.",
        "Sinus rhythm. No ST elevation.",
        "Sinus rhythm.",
    ]
    processor = tiny_processor()
    ids = [torch.tensor(processor.tokenizer(text).input_ids) for text in written]
    asked = []

    def answers(network, processor, prompts, **settings):
        asked.append(settings)
        processor.feature_extractor([block["ecg"] for block in prompts[0][0]["content"] if block["type"] == "ecg"])
        return ids

    monkeypatch.setattr(preferences, "load_gem", lambda model: (None, processor))
    monkeypatch.setattr(preferences, "answer", answers)
    messages = [{"role": "user", "content": "Read it."}, {"role": "assistant", "content": written[0]}]
    rows = {
        "id": ["a", "broken", "c"],
        "messages": [messages] * 3,
        "ecg": [ecg.record.signal[:, :5000].tolist(), [[0.0] * 20] * 12, ecg.record.signal[:, :5000].tolist()],
        "sampling_rate": [500.0] * 3,
    }
    return Dataset.from_dict(rows), written, asked


def test_the_checker_chooses_the_better_answer(readings, tmp_path):
    split, written, asked = readings
    result = build_preferences(split, tmp_path / "out", PreferenceSettings(answers=4, modality="signal"))
    assert result.pairs == 2 and list(result.failed) == ["Sample 'broken'"]
    made = load_from_disk(tmp_path / "out")["train"]
    assert made["id"][:] == ["a", "c"] and made["chosen"][0] == written[0] and made["rejected"][0] == written[1]
    assert made["chosen_reward"][0] > made["rejected_reward"][0] + 0.5
    assert all(settings["num_return_sequences"] == 4 for settings in asked)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["out"]


def test_an_interrupted_run_goes_on(readings, tmp_path, monkeypatch):
    split, _, asked = readings

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    settings = PreferenceSettings(answers=4, modality="signal")
    with pytest.raises(KeyboardInterrupt):
        build_preferences(split, tmp_path / "out", settings, progress=stop)
    working = tmp_path / "out.pairs.jsonl"
    working.write_text(working.read_text() + '{"row": 2, "cho')  # killed while it wrote
    with pytest.raises(TrainingError, match="other settings"):
        build_preferences(split, tmp_path / "out", PreferenceSettings(answers=4, seed=1))
    before = len(asked)
    assert build_preferences(split, tmp_path / "out", settings).pairs == 2 and len(asked) == before + 1


def test_no_pairs_is_an_error(readings, tmp_path):
    split, *_ = readings
    with pytest.raises(TrainingError, match="No row gave a pair"):
        build_preferences(split, tmp_path / "out", PreferenceSettings(answers=4, modality="signal", margin=5.0))
    with pytest.raises(TrainingError, match="two answers"):
        build_preferences(split, tmp_path / "out", PreferenceSettings(answers=1))


def test_a_reward_without_a_signal_rests_on_what_is_left():
    row_ = {"record": None, "reference": "Sinus rhythm. Normal ECG."}
    assert reward_of("Sinus rhythm. Normal ECG.", row_) > reward_of("Atrial flutter.", row_)
