# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts by what the towers see: read from kept states, and taught to the language model as probabilities."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn.functional import log_softmax

from processing.errors_gem import GemError, TrainingError
from recipes.embedded import sft_cached, tower_verdicts
from recipes.embedded.states import TowerStates
from recipes.embedded.tower_verdicts import TowerVerdicts
from recipes.sources.statements import superclasses_of
from recipes.teachers.grounded_answer import CLASS_NAMES, VERDICTS
from tests.helpers.finding_trainer import finding_trainer
from tests.helpers.tiny_gem import tiny_config, tiny_model, tiny_processor, tiny_text_config

CODES = {"NORM": "NORM", "MI": "IMI", "STTC": "NDT", "CD": "CLBBB", "HYP": "LVH"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """240 labelled records, one of fold 8 and one simulated; each class lies in one direction of the signal's states."""
    folder = tmp_path_factory.mktemp("verdicts")
    rng = np.random.default_rng(0)
    ids = [f"ptb-xl/{number:05}" for number in range(242)]
    chosen = rng.integers(0, len(CODES), len(ids))
    rows = [
        {"id": name, "codes": {list(CODES.values())[number]: 100.0}, "fold": 1 + place % 7, "rate": 500.0}
        for place, (name, number) in enumerate(zip(ids, chosen, strict=True))
    ]
    rows[-2]["fold"], rows[-1]["fold"] = 8, 0
    (folder / "records").mkdir()
    (folder / "records" / "rows.json").write_text(json.dumps(rows))
    signal, picture = rng.normal(size=(2, len(ids), 3, 8)).astype(np.float16)
    signal[np.arange(len(ids)), :, chosen] += 2
    TowerStates(ids, signal, picture).save(folder / "states")
    tower_verdicts.main([folder / "records"], folder / "states", folder / "verdicts")
    return folder


def test_every_labelled_record_has_likelihoods_by_what_is_shown(folder):
    verdicts = TowerVerdicts.load(folder / "verdicts")
    rows = json.loads((folder / "records" / "rows.json").read_text())
    assert len(verdicts.ids) == 240 and verdicts.of(rows[-1]["id"], "both") is None
    assert verdicts.of(rows[-2]["id"], "signal") is None, "fold 8 chooses; nothing is learned from it"
    truth = np.array([[code in superclasses_of(row["codes"]) for code in CLASS_NAMES] for row in rows[:-2]])
    ranked = {name: roc_auc_score(truth, values) for name, values in verdicts.likelihoods.items()}
    assert ranked["signal"] > 0.95 and ranked["both"] > 0.95 and ranked["image"] < 0.9
    assert all(((values >= 0) & (values <= 1)).all() for values in verdicts.likelihoods.values())


def test_missing_verdicts_and_foreign_states_are_named(folder, tmp_path):
    with pytest.raises(GemError, match="tower_verdicts"):
        TowerVerdicts.load(tmp_path)
    with pytest.raises(GemError, match="same records"):
        tower_verdicts.tower_verdicts([{"id": "other", "codes": {}, "fold": 1}], TowerStates.load(folder / "states"))
    with pytest.raises(GemError, match="no corpus"):
        tower_verdicts.main([tmp_path], folder / "states", tmp_path)


def test_verdicts_that_are_no_tokens_of_their_own_are_refused(folder):
    verdicts = TowerVerdicts.load(folder / "verdicts")
    with pytest.raises(TrainingError, match="not a token of its own"):
        sft_cached.VerdictCollator(
            tiny_processor(), TowerStates.load(folder / "states"), {"signal": 1.0}, verdicts=verdicts
        )


@pytest.fixture
def taught(tmp_path):
    """A trainer with a collator of verdicts, and two answers: one with five verdicts, one with a single one."""
    processor = tiny_processor()
    processor.tokenizer.add_tokens(list(VERDICTS))
    model = tiny_model(tiny_config(tiny_text_config(vocab_size=304))).float()
    tokens = {"ecg": processor.num_ecg_tokens, "image": processor.num_image_tokens}
    widths = {"ecg": model.config.ecg_config.hidden_size, "image": model.config.vision_config.hidden_size}
    states = TowerStates(
        ["a", "b"], *(np.ones((2, tokens[name], widths[name]), np.float16) for name in ("ecg", "image"))
    )
    likelihoods = np.array([[0.9, 0.2, 0.6, 0.01, 0.5]] * 2, np.float32)
    verdicts = TowerVerdicts(["a", "b"], dict.fromkeys(("both", "signal", "image"), likelihoods))
    collate = sft_cached.VerdictCollator(processor, states, {"signal": 1.0}, verdicts=verdicts)
    trainer = finding_trainer(model, processor, collate, tmp_path, finding_weight=1.0)
    five = "Sinus rhythm" + VERDICTS[1] + VERDICTS[0] * 3 + VERDICTS[1] + "."
    examples = [
        {"id": name, "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]}
        for name, answer in (("a", five), ("b", "Infarction" + VERDICTS[1]))
    ]
    return trainer, collate(examples), likelihoods


def test_only_whole_verdicts_are_likelihoods(taught):
    _, batch, likelihoods = taught
    said = batch["likely"].isfinite()
    assert said.sum(dim=1).tolist() == [5, 0]
    np.testing.assert_allclose(batch["likely"][0][said[0]], likelihoods[0])
    assert torch.isin(
        batch["labels"][said], torch.tensor(taught[0].processing_class.tokenizer.convert_tokens_to_ids(list(VERDICTS)))
    ).all()


def test_the_loss_is_the_cross_entropy_with_the_likelihood(taught):
    trainer, batch, likelihoods = taught
    with torch.no_grad(), sft_cached.cached_towers(trainer.model):
        loss = trainer.compute_loss(trainer.model, dict(batch))
        given = {name: value for name, value in batch.items() if name != "likely"}
        logits = trainer.model(**given).logits[:, :-1]
        hard = trainer.compute_loss(trainer.model, dict(given))
    labels = batch["labels"][:, 1:]
    surprise = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    torch.testing.assert_close(hard, surprise.sum() / (labels != -100).sum())
    likely = batch["likely"][:, 1:]
    places = likely.isfinite()
    unlikely_id, likely_id = trainer.processing_class.tokenizer.convert_tokens_to_ids(list(VERDICTS))
    said = log_softmax(logits[places], dim=-1)
    share = torch.from_numpy(likelihoods[0])
    stated = labels[places] == likely_id
    own = torch.where(stated, said[:, likely_id], said[:, unlikely_id])
    other = torch.log1p(-own.exp())  # one of two words: what is not said has the rest
    expected = -torch.where(stated, share * own + (1 - share) * other, (1 - share) * own + share * other)
    torch.testing.assert_close(loss, (surprise[~places].sum() + expected.sum()) / (labels != -100).sum())
