# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""TRL trains a GEM: with its ECGs, on the answers alone, and not on the towers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Array2D, Dataset, DatasetDict, Features, Image, List, Value
from transformers import AutoModelForImageTextToText
from trl import SFTConfig
from trl.trainer.utils import add_fused_lm_head

from processing.errors_gem import GemError, PlaceholderError, TrainingError
from recipes.training.collator import GemDataCollator
from recipes.training.towers import freeze_towers
from recipes.training.trainer import GemSFTTrainer, score_answers_only
from tests.helpers.tiny_gem import picture, signal, tiny_config, tiny_model, tiny_processor

FEATURES = Features(
    {
        "ecg": Array2D((12, 500), "float32"),
        "sampling_rate": Value("float32"),
        "image": Image(),
        "messages": List({"role": Value("string"), "content": Value("string")}),
    }
)


def example(seed: int = 0, answer: str = "Sinus rhythm.") -> dict:
    messages = [{"role": "user", "content": "Interpret this ECG."}, {"role": "assistant", "content": answer}]
    return {"ecg": signal(seed), "sampling_rate": 500.0, "image": picture(seed), "messages": messages}


def data(count: int) -> Dataset:
    rows = [example(i, "Sinus rhythm." if i % 2 else "QRS duration.") for i in range(count)]
    return Dataset.from_list(rows, features=FEATURES).with_format("numpy", columns=["ecg"], output_all_columns=True)


def collator(**settings) -> GemDataCollator:
    return GemDataCollator(tiny_processor(), assistant_only_loss=True, **settings)


def test_batches_hold_every_modality_and_supervise_the_answers():
    processor = tiny_processor()
    batch = collator()([example(0), example(1, "Long answer. QRS duration.")])
    assert batch["ecg_values"].shape == (2, 12, 500) and batch["pixel_values"].shape == (2, 3, 28, 28)
    for row, answer in zip(batch["labels"], ("Sinus rhythm.", "Long answer. QRS duration."), strict=True):
        assert processor.tokenizer.decode(row[row != -100]) == answer + "</s>"


def test_several_rounds_and_written_placeholders():
    rounds = {
        "ecg": [signal(1), signal(2)],
        "sampling_rate": 500.0,
        "images": [],
        "messages": [
            {"role": "user", "content": [{"type": "ecg", "text": None}, {"type": "text", "text": "First?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "One."}]},
            {"role": "user", "content": [{"type": "text", "text": "And?"}, {"type": "ecg", "text": None}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Two."}]},
        ],
    }
    batch = collator()([rounds])
    assert np.array_equal(batch["ecg_values"].numpy(), [signal(1), signal(2)])
    supervised = batch["labels"][0][batch["labels"][0] != -100]
    assert tiny_processor().tokenizer.decode(supervised) == "One.</s>Two.</s>"


@pytest.mark.parametrize(
    ("mix", "ecgs", "pictures"),
    [({"signal": 1.0}, 4, 0), ({"image": 1.0}, 0, 4), ({"both": 1.0}, 4, 4)],
)
def test_modality_mix(mix, ecgs, pictures):
    batch = collator(modality_mix=mix)([example(i) for i in range(4)])
    assert len(batch.get("ecg_values", ())) == ecgs and len(batch.get("pixel_values", ())) == pictures


@pytest.mark.parametrize(("mix", "shown"), [("signal", (1, 0)), ("image", (0, 1)), ("both", (1, 1))])
def test_modality_mix_of_blocks_that_bring_their_own(mix, shown, tmp_path):
    picture(0).save(tmp_path / "page.png")
    blocks = [{"type": "ecg", "ecg": signal(0), "sampling_rate": 500.0}]
    blocks += [{"type": "image", "path": str(tmp_path / "page.png")}, {"type": "text", "text": "Rhythm?"}]
    messages = [{"role": "user", "content": blocks}, {"role": "assistant", "content": "Sinus rhythm."}]
    batch = collator(modality_mix={mix: 1.0})([{"messages": messages}])
    assert (len(batch.get("ecg_values", ())), len(batch.get("pixel_values", ()))) == shown
    given = collator(modality_mix={mix: 1.0})(
        [example(0) | {"messages": [{"role": "user", "content": "Rhythm?"}, messages[1]]}]
    )
    assert torch.equal(batch["input_ids"], given["input_ids"])


def test_mixed_batches_keep_every_sample():
    torch.manual_seed(0)
    batch = collator(modality_mix={"both": 1, "signal": 1, "image": 1})([example(i) for i in range(12)])
    assert len(batch["input_ids"]) == 12
    assert 4 <= len(batch["ecg_values"]) < 12 and 4 <= len(batch["pixel_values"]) < 12


@pytest.mark.parametrize(
    ("change", "settings", "error", "message"),
    [
        ({"ecg": None}, {}, PlaceholderError, "No example of the batch holds an ECG"),
        ({}, {"max_length": 18}, PlaceholderError, "no token is left to train on"),
        (
            {"messages": [{"role": "user", "content": [{"type": "ecg"}, {"type": "ecg"}]}]},
            {},
            PlaceholderError,
            "more ECG blocks",
        ),
        (
            {"ecg": [signal(0), signal(1)], "messages": [{"role": "user", "content": [{"type": "ecg"}]}]},
            {},
            PlaceholderError,
            "no ECG block",
        ),
        ({}, {"modality_mix": {"sound": 1}}, GemError, "modality_mix"),
    ],
)
def test_what_would_train_on_nothing_raises(change, settings, error, message):
    with pytest.raises(error, match=message):
        collator(**settings)([{**example(), **change}])


def test_pictures_alone_need_to_be_asked_for():
    batch = collator(image_only=True)([{**example(), "ecg": None}])
    assert "ecg_values" not in batch and len(batch["pixel_values"]) == 1


def trainer(folder: Path, model, **settings) -> GemSFTTrainer:
    arguments = SFTConfig(
        output_dir=str(folder),
        max_steps=8,
        per_device_train_batch_size=4,
        learning_rate=5e-3,
        logging_steps=1,
        save_steps=4,
        report_to="none",
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        assistant_only_loss=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        seed=0,
        **settings,
    )
    processor = tiny_processor()
    return GemSFTTrainer(
        model=model,
        args=arguments,
        train_dataset=data(16),
        processing_class=processor,
        data_collator=GemDataCollator(processor, assistant_only_loss=True),
    )


def test_sft_learns_and_leaves_the_towers_alone(tmp_path):
    model = tiny_model()
    freeze_towers(model)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    run = trainer(tmp_path, model)
    run.train()
    losses = [entry["loss"] for entry in run.state.log_history if "loss" in entry]
    assert losses[-1] < 0.7 * losses[0]
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert not any("tower" in name for name in changed)
    for part in ("ecg_projector", "multi_modal_projector", "language_model", "lm_head"):
        assert any(part in name for name in changed), part


def test_training_resumes_to_the_same_weights(tmp_path):
    model = tiny_model()
    freeze_towers(model)
    trainer(tmp_path, model).train()
    expected = model.lm_head.weight.detach().clone()
    again = tiny_model()
    freeze_towers(again)
    trainer(tmp_path, again).train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    torch.testing.assert_close(again.lm_head.weight.detach(), expected, rtol=1e-4, atol=1e-6)


def test_the_recipe_runs_from_its_config(tmp_path):
    config = tiny_config()
    tiny_model(config).save_pretrained(tmp_path / "start")
    tiny_processor(config).save_pretrained(tmp_path / "start")
    rows = [example(i) for i in range(8)]
    splits = {name: Dataset.from_list(rows, features=FEATURES) for name in ("train", "validation")}
    DatasetDict(splits).save_to_disk(tmp_path / "data")
    settings = {
        "model_name_or_path": tmp_path / "start",
        "dataset": tmp_path / "data",
        "output_dir": tmp_path / "out",
        "both": 0.5,
        "signal": 0.25,
        "image": 0.25,
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "bf16": "false",
        "use_cpu": "true",
        "gradient_checkpointing": "false",
        "report_to": "none",
    }
    (tmp_path / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "recipes.training.sft", "--config", str(tmp_path / "config.yaml")],
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    trained = AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    start = tiny_model(config)
    assert not torch.equal(trained.lm_head.weight, start.lm_head.weight)
    assert torch.equal(
        trained.model.ecg_tower.embeddings.class_embedding, start.model.ecg_tower.embeddings.class_embedding
    )


def named(number: int = 0, answer: str = "Sinus rhythm.", **changes) -> dict:
    return {**example(number, answer), "id": f"rec{number}", **changes}


def test_max_length_cuts_answers_and_never_placeholders():
    long = named(1, "QRS duration. " * 20)
    whole = collator()([named(0), long])
    prompt = int((whole["labels"][1] == -100).nonzero()[-1]) + 1 if (whole["labels"][1] == -100).any() else 0
    limit = prompt + 8
    cut = collator(max_length=limit)([named(0), long])
    assert cut["input_ids"].shape[1] == limit
    for key in ("input_ids", "attention_mask", "labels"):
        assert torch.equal(cut[key], whole[key][:, :limit])
    assert torch.equal(cut["ecg_values"], whole["ecg_values"])
    media = (whole["input_ids"][1] >= 300).nonzero()
    for inside in (int(media[0]) + 1, int(media[-1])):  # within the ECG's run, before the picture's last token
        with pytest.raises(PlaceholderError, match=r"'rec\d'.*reaches beyond `max_length`"):
            collator(max_length=inside)([named(0), long])
    with pytest.raises(PlaceholderError, match=r"'rec1': no token is left to train on.*cut the whole answer off"):
        collator(max_length=prompt)([long])


def test_unreadable_records_are_reported_and_left_out(caplog):
    flat = named(7, ecg=np.full((12, 500), np.nan, dtype=np.float32))
    with caplog.at_level("WARNING", logger="recipes.training.collator"):
        batch = collator()([named(0), flat, named(1)])
    assert len(batch["input_ids"]) == len(batch["ecg_values"]) == 2
    assert torch.equal(batch["ecg_values"], collator()([named(0), named(1)])["ecg_values"])
    assert "'rec7' is left out of its batch" in caplog.text
    collate = collator()
    with pytest.raises(GemError):
        collate([flat])
    collate([named(0)])
    alone = collate([flat])
    assert (alone["labels"] == -100).all() and len(alone["ecg_values"]) == 1


def test_modality_draws_depend_on_sample_and_epoch_alone():
    def kept(collate: GemDataCollator, numbers: list[int]) -> dict[int, tuple[bool, bool]]:
        batches = {n: collate([named(n)]) for n in numbers}
        return {n: ("ecg_values" in batch, "pixel_values" in batch) for n, batch in batches.items()}

    mix = {"both": 0.4, "signal": 0.3, "image": 0.3}
    numbers = list(range(40))
    first = kept(collator(modality_mix=mix), numbers)
    assert kept(collator(modality_mix=mix), numbers[::-1]) == first
    assert 5 <= sum(value == (True, True) for value in first.values()) <= 28
    later = collator(modality_mix=mix)
    later.epoch.fill_(1)
    assert kept(later, numbers) != first
    assert kept(collator(modality_mix=mix, mix_seed=1), numbers) != first


def test_placeholders_written_into_the_text():
    question = {"role": "user", "content": "<image>\nWhat is the rhythm?"}
    plain = {"role": "user", "content": "What is the rhythm?"}
    answer = {"role": "assistant", "content": "Sinus rhythm."}
    written, given = (collator()([named(0, messages=[q, answer])]) for q in (question, plain))
    assert torch.equal(written["input_ids"], given["input_ids"])


def test_six_steps_equal_three_and_three_more(tmp_path):
    def losses(folder: Path, resume: str | None) -> list[float]:
        model = tiny_model()
        freeze_towers(model)
        run = trainer(folder, model)
        run.args.max_steps, run.args.save_steps = 6, 3
        run.state.save_steps = 3
        run.data_collator = collator(modality_mix={"both": 1, "signal": 1, "image": 1})
        run.train(resume_from_checkpoint=resume)
        return [entry["loss"] for entry in run.state.log_history if "loss" in entry]

    expected = losses(tmp_path / "a", None)
    assert (tmp_path / "a" / "checkpoint-3").is_dir()
    resumed = losses(tmp_path / "b", str(tmp_path / "a" / "checkpoint-3"))
    assert len(expected) == 6 and resumed == expected


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_a_loss_that_is_no_number_stops_before_the_weights(tmp_path, broken):
    model = tiny_model()
    freeze_towers(model)
    run = trainer(tmp_path, model)
    run.args.save_steps = 2
    calls = []

    def poison(gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float("nan")

    original = run.compute_loss

    def compute_loss(*args, **kwargs):
        loss = original(*args, **kwargs)
        calls.append(float(loss.detach()))
        if len(calls) < 4:
            return loss
        if broken == "loss":
            return loss * float("nan")
        loss.register_hook(poison)
        return loss

    run.compute_loss = compute_loss
    with pytest.raises(TrainingError, match=rf"The {broken} at step 4 is nan.*checkpoint-2 is unchanged"):
        run.train()
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-2"]


def test_gradient_checkpointing_changes_no_gradient():
    batch = collator()([named(0), named(1, "QRS duration.")])
    gradients = []
    for checkpointed in (False, True):
        model = tiny_model().train()
        freeze_towers(model)
        if checkpointed:
            model.gradient_checkpointing_enable()
        model(**batch).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("total", [None, 100], ids=["mean", "num_items_in_batch"])
def test_scoring_the_answers_alone_changes_neither_losses_nor_gradients(total):
    batch = collator()([example(0), example(1, "QRS duration, PR interval.")])
    found = []
    for answers_only in (False, True):
        model = tiny_model().float()
        add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
        scored = []
        model.lm_head.register_forward_hook(
            lambda head, shown, logits, into=scored: into.append(logits.shape[:-1].numel())
        )
        if answers_only:
            score_answers_only(model)
        summed = {} if total is None else {"num_items_in_batch": total}
        outputs = model(**batch, fused_lm_head=True, **summed)
        outputs.loss.backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        found.append((outputs, gradients, model(**batch).loss))
    (trl, trl_gradients, plain), (ours, gradients, still_plain) = found
    assert scored == [(batch["labels"] != -100).sum(), batch["labels"].numel()]
    for name in ("loss", "log_probs", "entropy", "is_top1", "label_mask"):
        torch.testing.assert_close(getattr(ours, name), getattr(trl, name), msg=name)
    assert ours.log_probs.count_nonzero() and gradients.keys() == trl_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, trl_gradients[name], msg=name)
    torch.testing.assert_close(plain, still_plain)


def test_a_batch_without_an_answer_scores_nothing():
    batch = collator()([example()])
    batch["labels"].fill_(-100)
    model = tiny_model().float()
    add_fused_lm_head(model)
    score_answers_only(model)
    loss = model(**batch, fused_lm_head=True).loss
    loss.backward()
    assert loss == 0
