# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The linear probe of a tower finds only what is in the features, uses its folds only, and reports what it cannot use."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

import modeling_gem
from modeling_gem import GemEcgConfig, GemEcgModel, GemError
from processing.errors_gem import EvaluationError
from recipes.cli import app
from recipes.embedded.records import simulated_items
from recipes.evaluation.probe import Features, _aucs, load_tower, probe, probe_report, random_tower, token_means
from recipes.sources.statements import SUPERCLASSES
from tests.helpers.source_trees import ptbxl_tree


def features(strength: float, records: int = 900, seed: int = 0) -> Features:
    """Random labels, and ten random columns of which five hold the labels, `strength` times as large as the noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=(records, len(SUPERCLASSES)))
    values = rng.normal(size=(records, 10))
    values[:, : labels.shape[1]] += strength * labels
    return Features([str(i) for i in range(records)], values, labels, np.arange(records) % 10 + 1)


def test_what_is_in_the_features_is_found():
    found = probe(features(8.0))
    assert min(found.auc.values()) > 0.99
    assert set(found.auc) == {*SUPERCLASSES, "macro"}
    labels, scores = np.eye(5, dtype=int)[np.arange(50) % 5], np.random.default_rng(0).normal(size=(50, 5)).round(1)
    assert _aucs(labels, scores)[-1] == pytest.approx(roc_auc_score(labels, scores))
    assert found.auc["macro"] == pytest.approx(np.mean([found.auc[name] for name in SUPERCLASSES]))


def test_what_is_not_there_is_not_found():
    """At chance, within four standard errors of the mean of five AUCs of 90 records; the interval holds one half."""
    found = probe(features(0.0))
    assert abs(found.auc["macro"] - 0.5) < 4 * 0.06 / np.sqrt(5)
    low, high = found.intervals["macro"]
    assert low < 0.5 < high


def test_the_tenth_fold_changes_nothing():
    whole = features(1.0)
    spoilt = dataclasses.replace(whole, values=np.where((whole.folds == 10)[:, None], 1e6, whole.values))
    assert probe(spoilt) == probe(whole)


def test_a_fold_that_says_nothing_is_named():
    given = features(1.0)
    given.labels[given.folds == 8, 2] = 0
    with pytest.raises(EvaluationError, match=r"Fold 8 needs records with and without each of"):
        probe(given)


def test_towers_of_gems_and_saved_ones_give_the_same_tokens(tmp_path):
    source = str(modeling_gem.default_checkpoint())
    tower, extractor = load_tower(source)
    tower.save_pretrained(tmp_path)
    alone, _ = load_tower(str(tmp_path))
    items = [dataclasses.replace(item, fold=number % 9 + 1) for number, item in enumerate(simulated_items(4, seed=0))]
    flat = items[2].record.changed("flat", signal=np.zeros_like(items[2].record.signal))
    items[2] = dataclasses.replace(items[2], record=flat)
    (one, other, chance), problems = token_means(
        [tower, alone, random_tower(tower, 0)], extractor, items, batch_size=2
    )
    assert np.array_equal(one.values, other.values) and one.values.shape == (3, tower.config.hidden_size)
    assert not np.allclose(one.values, chance.values, atol=0.1)
    assert one.folds.tolist() == [1, 2, 4] and one.ids == [items[i].record.record_id for i in (0, 1, 3)]
    assert len(problems) == 1 and items[2].record.record_id in problems[0]
    tokens = tower(extractor(items[3].record, return_tensors="pt")["ecg_values"]).last_hidden_state
    assert np.allclose(one.values[2], tokens[0].mean(dim=0).detach().numpy(), atol=1e-5)


def test_the_random_twin_follows_its_seed():
    tower = GemEcgModel(GemEcgConfig(hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1))
    one, again, other = (random_tower(tower, seed).layers[0].mlp.fc1.weight for seed in (1, 1, 2))
    assert (one == again).all() and not (one == other).any()


def test_the_report_shows_both_and_counts_the_tower_alone_as_result():
    given, folds = features(3.0), features(3.0).folds
    report = probe_report(probe(given), probe(features(0.0)), given, ["left out: x"], "")
    table = report.tables[0]
    assert table.records == int((folds == 9).sum())
    assert [result.metric_value for result in table.eval_results()] == [
        round(row.values["tower"], 4) for row in table.rows
    ]


def test_too_few_data_end_in_one_line(tmp_path):
    ptbxl_tree(tmp_path / "ptbxl", folds=(1, 2, 8, 9, 10, 3))
    run = CliRunner().invoke(app, ["eval", "probe", str(tmp_path / "ptbxl"), "-o", str(tmp_path / "out")])
    assert isinstance(run.exception, GemError) and "with and without each of NORM" in str(run.exception)
