# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The recipe that trains on kept tower states, from the command line's arguments to the saved model."""

import json

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file, save_file

from processing.errors_gem import TrainingError
from recipes.embedded import sft_cached
from recipes.embedded.states import TowerStates, run_towers
from recipes.teachers.grounded_answer import VERDICTS
from recipes.training.collator import GemDataCollator
from tests.helpers.finding_trainer import finding_trainer
from tests.helpers.tiny_gem import (
    picture,
    signal,
    tiny_config,
    tiny_model,
    tiny_processor,
    tiny_text_config,
)

NAMES = [f"rec{i}" for i in range(8)]
ANSWERS = 2 * ["Sinus rhythm.", "QRS duration.", "Sinus rhythm, PR interval.", "PR interval, QRS duration."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, the states that its towers have for eight records, and their samples."""
    folder = tmp_path_factory.mktemp("cached")
    model, processor = tiny_model().float(), tiny_processor()
    model.save_pretrained(folder / "start")
    processor.save_pretrained(folder / "start")
    rows = [
        {
            "id": name,
            "messages": [{"role": "user", "content": "Interpret this ECG."}, {"role": "assistant", "content": answer}],
            "length": len(answer),
        }
        for name, answer in zip(NAMES, ANSWERS, strict=True)
    ]
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(folder / "data")
    media = [{"ecg": signal(i), "sampling_rate": 500.0, "image": picture(i)} for i in range(len(rows))]
    collate = GemDataCollator(processor, assistant_only_loss=True)
    states = next(run_towers(model, [collate([row | shown for row, shown in zip(rows, media, strict=True)])]))
    TowerStates(NAMES, *(states[name].numpy().astype(np.float16) for name in ("ecg", "image"))).save(folder / "states")
    return folder


def train(folder, output, *more):
    settings = {
        "model_name_or_path": folder / "start",
        "dataset": folder / "data",
        "states": folder / "states",
        "output_dir": output,
        "both": 0.4,
        "signal": 0.3,
        "image": 0.3,
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_steps": 3,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
    }
    given = [str(part) for name, value in settings.items() for part in (f"--{name}", value)]
    sft_cached.main([*given, *more])
    log = json.loads((output / "training_log.json").read_text())
    return [(entry["step"], entry["loss"]) for entry in log if "loss" in entry]


def test_projectors_and_language_model_are_trained_and_towers_kept(folder, tmp_path):
    losses = train(folder, tmp_path, "--whiten", "true", "--save_strategy", "no")
    assert len(losses) == 6
    before, after = (load_file(path / "model.safetensors") for path in (folder / "start", tmp_path))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any("tower" in name for name in changed)
    assert any("ecg_projector" in name for name in changed) and any("language_model" in name for name in changed)
    assert (tmp_path / "processor_config.json").is_file()


def test_a_cpu_without_bfloat16_computes_in_float32(folder, tmp_path, monkeypatch):
    plain = train(folder, tmp_path / "plain", "--save_strategy", "no")
    monkeypatch.setattr(sft_cached, "computes_in_bfloat16", lambda device: False)
    assert train(folder, tmp_path / "asked", "--bf16", "true", "--save_strategy", "no") == plain
    monkeypatch.setattr(sft_cached, "computes_in_bfloat16", lambda device: True)
    mixed = train(folder, tmp_path / "mixed", "--bf16", "true", "--save_strategy", "no")
    assert mixed != plain
    for (_, loss), (_, exact) in zip(mixed, plain, strict=True):
        assert loss == pytest.approx(exact, rel=0.05)


@pytest.mark.skipif(not sft_cached.can_compile(), reason="no C++ compiler, or no headers of Python")
def test_a_compiled_language_model_learns_and_saves_the_same(folder, tmp_path):
    plain, compiled = (
        train(folder, tmp_path / told, "--compiled", told, "--save_strategy", "no") for told in ("false", "true")
    )
    for (_, loss), (_, exact) in zip(compiled, plain, strict=True):
        assert loss == pytest.approx(exact, rel=1e-4)
    saved = [load_file(tmp_path / told / "model.safetensors") for told in ("false", "true")]
    assert saved[0].keys() == saved[1].keys()


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not sft_cached.can_compile()


def test_resuming_in_the_second_epoch_changes_no_loss(folder, tmp_path):
    whole = train(folder, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "checkpoint-3").rename(tmp_path / "b" / "checkpoint-3")  # two steps are an epoch
    (tmp_path / "b" / "checkpoint-5").mkdir()  # cut off while it was written
    resumed = train(folder, tmp_path / "b", "--resume_from_checkpoint", "true")
    assert resumed == whole and len(whole) == 6
    for a, b in zip(*(load_file(tmp_path / run / "model.safetensors").values() for run in "ab"), strict=True):
        torch.testing.assert_close(a, b)


@pytest.fixture(scope="module")
def with_words(folder):
    """The same folder, and in `worded` a model whose last tokens are words."""
    model = tiny_model(tiny_config(tiny_text_config(tie_word_embeddings=True), tie_word_embeddings=True)).float()
    model.save_pretrained(folder / "worded")
    tiny_processor().save_pretrained(folder / "worded")
    torch.manual_seed(0)
    vectors = {"vectors": torch.randn(40, 6).half(), "projection": torch.randn(6, 32)}
    save_file(vectors, folder / "worded" / "word_vectors.safetensors")
    return folder


def test_words_are_learned_together_and_again_after_a_break(with_words, tmp_path):
    worded = ("--model_name_or_path", str(with_words / "worded"), "--words", "true")
    whole = train(with_words, tmp_path / "a", *worded)
    before, after = (
        load_file(path / "word_vectors.safetensors")["projection"] for path in (with_words / "worded", tmp_path / "a")
    )
    assert (before - after).abs().max() > 1e-3
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert not any("parametrizations" in name for name in weights) and "lm_head.weight" not in weights
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "checkpoint-3").rename(tmp_path / "b" / "checkpoint-3")
    assert train(with_words, tmp_path / "b", *worded, "--resume_from_checkpoint", "true") == whole
    for name, weight in load_file(tmp_path / "b" / "model.safetensors").items():
        torch.testing.assert_close(weight, weights[name])


def test_a_verdict_weighs_as_much_as_is_said(tmp_path):
    processor = tiny_processor()
    processor.tokenizer.add_tokens(list(VERDICTS))
    finding_ids = processor.tokenizer.convert_tokens_to_ids(list(VERDICTS))
    model = tiny_model(tiny_config(tiny_text_config(vocab_size=304)))
    answers = ["Sinus rhythm likely", "PR interval unlikely. Sinus rhythm likely"]
    examples = [
        {
            "ecg": signal(i),
            "sampling_rate": 500.0,
            "messages": [{"role": "user", "content": "Interpret."}, {"role": "assistant", "content": answer}],
        }
        for i, answer in enumerate(answers)
    ]
    batch = GemDataCollator(processor, assistant_only_loss=True)(examples)

    def loss(weight: float, first: float = 1.0) -> torch.Tensor:
        trainer = finding_trainer(
            model, processor, lambda rows: batch, tmp_path, finding_weight=weight, first_weight=first
        )
        return trainer.compute_loss(model, dict(batch))

    labels = batch["labels"][:, 1:]
    with torch.no_grad():
        plain = model(**batch)
    surprise = torch.nn.functional.cross_entropy(plain.logits[:, :-1].transpose(1, 2), labels, reduction="none")
    findings = sum(labels == token for token in finding_ids) > 0
    assert findings.sum() == 3
    expected = (surprise.sum() + 5 * surprise[findings].sum()) / ((labels != -100).sum() + 5 * 3)
    torch.testing.assert_close(loss(1.0).detach(), plain.loss)
    torch.testing.assert_close(loss(6.0).detach(), expected)
    begun = torch.zeros_like(findings)
    begun[torch.arange(len(labels)), (labels != -100).int().argmax(dim=1)] = True
    expected = (surprise.sum() + 3 * surprise[begun].sum()) / ((labels != -100).sum() + 3 * len(labels))
    torch.testing.assert_close(loss(1.0, first=4.0).detach(), expected)


@pytest.mark.parametrize(
    ("name", "weight", "said"),
    [("finding", "6", "not a token of its own"), ("finding", "0", "positive"), ("first", "-1", "`first_weight` must")],
)
def test_weights_that_cannot_be_used_are_refused(folder, tmp_path, name, weight, said):
    with pytest.raises(TrainingError, match=said):
        train(folder, tmp_path, f"--{name}_weight", weight)
