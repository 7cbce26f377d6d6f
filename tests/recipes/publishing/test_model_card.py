# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Cards state only what was measured; the Hub's own parser reads their metadata."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

import modeling_gem
from recipes.dataset.card import dataset_card
from recipes.embedded.answer_scores import score
from recipes.publishing.model_card import Energy, Training, model_card, trainer_stages
from recipes.scores import ScoreRow, ScoreTable, evaluation_tables, ptbxl_scores

CHECKPOINT = modeling_gem.default_checkpoint()
ANSWERS = (
    "Sinus rhythm, at 70 bpm. PR 160 ms, QRS 90 ms, QT 400 ms, QTc 420 ms. The QRS axis is 30 degrees, normal. Impression: normal ECG.",
    "Sinus rhythm, at 80 bpm. PR 150 ms, QRS 100 ms, QT 380 ms, QTc 430 ms. The QRS axis is 60 degrees, normal. Impression: normal ECG.",
)


def report():
    """As `recipes.embedded.scores` writes it: its own scores of two answers."""
    scores = {modality: score(list(ANSWERS), list(ANSWERS[::-1])) for modality in ("both", "signal")}
    return {"fold": 9, "records": 2, "scores": scores}


def yaml_block(text):
    return yaml.safe_load(text.split("---")[1])


def test_the_table_and_the_metadata_hold_the_same_measured_values():
    table = ptbxl_scores(report())
    card = model_card(CHECKPOINT, name="gem-test", datasets=["PTB-XL"], tables=[table])
    results = {result.metric_name: result for result in ModelCard(card.content).data.eval_results}
    heart_rate = results["heart rate (bpm), MAE (both)"]
    assert heart_rate.metric_value == 10 and heart_rate.metric_type == "mae" and heart_rate.dataset_name == "PTB-XL"
    assert "| heart rate (bpm), MAE | 10 | 10 | 5 |" in card.text and "fold 9, 2 records" in card.text
    assert not any("blind" in name for name in results)
    assert yaml_block(card.content)["model-index"][0]["name"] == "gem-test"


def test_tables_of_an_evaluation_report_keep_its_words_and_leave_baselines_out_of_the_results():
    row = {"label": "precision", "metric": "precision", "measured": 0.8, "answers of other records": 0.5}
    table = {"title": "Claims", "dataset": "PTB-XL", "split": "fold 9", "records": 2, "rows": [row]}
    report = {"tables": [table], "notes": ["How it is counted."], "command": "gem eval grounding here"}
    (found,) = evaluation_tables(report)
    assert found.columns == ["measured", "answers of other records"] and found.note == "How it is counted."
    assert [result.metric_value for result in found.eval_results()] == [0.8] and found.command.endswith("here")
    assert evaluation_tables(report, "gem eval grounding PTBXL")[0].command.endswith("PTBXL")
    assert evaluation_tables({**report, "tables": []}) == []


def test_a_table_comes_back_from_a_report_with_all_its_columns():
    rows = [ScoreRow("a", "mae", {"both": 1.25}), ScoreRow("b", "f1", {"both": 0.5, "signal": 0.25})]
    table = ScoreTable("t", "D", "test", 3, ["both", "signal"], rows)
    (found,) = evaluation_tables({"tables": [table.to_dict()], "notes": [], "command": "gem eval"})
    assert (
        found.markdown()
        == table.markdown()
        == "| | both | signal |\n|---|---|---|\n| a | 1.25 |  |\n| b | 0.5 | 0.25 |"
    )
    assert found.eval_results() == table.eval_results()


def test_what_is_not_given_is_not_there():
    card = model_card(CHECKPOINT)
    for heading in ("Measured", "How it was made", "Energy", "Bias", "Data and agreements"):
        assert heading not in card.text
    assert "None" not in card.text and "nan" not in card.text and "model-index" not in card.content
    metadata = yaml_block(card.content)
    assert metadata["license"] == "apache-2.0" and metadata["pipeline_tag"] == "image-text-to-text"
    assert metadata["library_name"] == "transformers" and "base_model" not in metadata and "datasets" not in metadata


def test_a_value_that_was_not_measured_is_an_empty_cell():
    rows = [ScoreRow("a", "mae", {"both": float("nan"), "signal": 1.0}), ScoreRow("b", "f1", {"both": 0.5})]
    table = ScoreTable("t", "D", "test", 3, ["both", "signal"], rows)
    card = model_card(CHECKPOINT, tables=[table])
    assert "| a |  | 1 |" in card.text and "| b | 0.5 |  |" in card.text
    assert {r.metric_name for r in card.data.eval_results} == {"a (signal)", "b (both)"}


def test_sizes_are_those_of_the_weights():
    model = modeling_gem.GemForConditionalGeneration.from_pretrained(CHECKPOINT)
    parts = {
        "signal tower": model.model.ecg_tower,
        "image tower": model.model.vision_tower,
        "shared projector": model.model.multi_modal_projector,
        "in all": model,
    }
    text = model_card(CHECKPOINT).text
    for name, part in parts.items():
        line = next(line for line in text.splitlines() if line.startswith(f"| {name} "))
        assert f"{sum(p.numel() for p in part.parameters()):,} parameters" in line


def test_terms_come_with_what_the_model_came_from():
    card = model_card(
        CHECKPOINT, base_models=["lmsys/vicuna-7b-v1.5"], datasets=["PTB-XL", "MIMIC-IV-ECG", "own data"]
    )
    metadata = yaml_block(card.content)
    assert metadata["license"] == "llama2" and metadata["base_model"] == ["lmsys/vicuna-7b-v1.5"]
    assert metadata["datasets"] == ["ptb-xl", "mimic-iv-ecg", "own-data"]
    for words in ("Llama 2 Community License", "CC BY 4.0", "credentialed access", "wagner2020ptbxl", "1989"):
        assert words in card.text
    assert yaml_block(model_card(CHECKPOINT, base_models=["vicuna-7b-v1.1"]).content)["license"] == "other"


def test_energy_is_hours_times_watts():
    energy = Energy(hours=2.5, watts=60, hardware="2 CPU cores", grams_per_kwh=400)
    assert energy.kwh == pytest.approx(0.15)
    assert str(energy) == "2.5 h measured x 60 W stated = 0.15 kWh on 2 CPU cores; at 400 g CO2 per kWh 0.06 kg CO2."
    text = model_card(CHECKPOINT, training=Training(["One stage."], energy)).text
    assert "1. One stage." in text and "Energy: 2.5 h measured" in text
    assert "Energy" not in model_card(CHECKPOINT, training=Training(["One stage."])).text


def test_the_trainers_own_record_is_read(tmp_path):
    assert trainer_stages(tmp_path) == ([], None)
    state = {"global_step": 40, "epoch": 2.0, "log_history": [{"loss": 3.0}, {"loss": 1.5}, {"train_runtime": 7200.0}]}
    (tmp_path / "checkpoint-40").mkdir()
    (tmp_path / "checkpoint-40" / "trainer_state.json").write_text(json.dumps(state))
    stages, hours = trainer_stages(tmp_path)
    assert hours == 2 and "40 steps, 2 passes over the data, loss 3 to 1.5" in stages[0]


def test_data_sets_are_counted(tmp_path):
    (tmp_path / "data").mkdir()
    for split, sources in (("train", ["ptbxl", "ptbxl", "ludb"]), ("test", ["ptbxl"])):
        table = pa.table(
            {
                "id": [str(i) for i in range(len(sources))],
                "source": sources,
                "signal": [np.zeros(4, np.int16).tobytes()] * len(sources),
                "gain": [1000.0] * len(sources),
            }
        )
        pq.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    card = dataset_card(
        tmp_path, name="d", repo="me/d", meanings={"gain": "counts per mV"}, statistics={"rejected": 3}
    )
    metadata = yaml_block(card.content)
    assert DatasetCard(card.content).data.pretty_name == "d"
    assert metadata["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "test", "path": "data/test-*.parquet"},
    ]
    assert metadata["size_categories"] == ["n<1K"] and metadata["license"] == "other"  # two licences, no common one
    assert "| train | 3 | 1 |" in card.text and "| ptbxl | 3 |" in card.text and "| ludb | 1 |" in card.text
    assert "counts per mV" in card.text and "| rejected | 3 |" in card.text and "ODC-By" in card.text
    assert "How it was made" not in card.text and "| None" not in card.text
    assert yaml_block(dataset_card(tmp_path, sources=(), licence="cc-by-4.0").content)["license"] == "cc-by-4.0"


@pytest.mark.parametrize("name", ["a: b", "'quoted'", "# heading", "ä\nnew line"])
def test_odd_names_stay_valid_yaml(name):
    card = model_card(CHECKPOINT, name=name, datasets=[name], base_models=[name])
    assert yaml_block(card.content)["base_model"] == [name]
