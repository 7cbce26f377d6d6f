# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the embedded model learns from and how it is scored."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch.utils.data import Subset
from transformers import AutoProcessor, Trainer

import modeling_gem
from modeling_gem import GemForConditionalGeneration
from processing.ecg_features import extract_features
from processing.simulator.simulator import simulate_ecg
from recipes.embedded.records import recorded_again, simulated_items, whole_beats
from recipes.embedded.reproduce import steps
from recipes.embedded.scores import class_likelihoods, likelihood_auc, score, superclasses
from recipes.embedded.second_opinions import ResidualTower, out_of_fold
from recipes.embedded.tiny import train_tokenizer
from recipes.embedded.towers import (
    DISTANCE_SCALE_S,
    EXTREME_SCALE_MV,
    RR_MEAN_S,
    RR_SD_S,
    Recordings,
    SignalAugmentation,
    TowerWithHeads,
    beat_marks,
    beat_targets,
    lead_extremes,
    measured_at,
    measurement_targets,
    read_round,
    rr_around,
    statement_targets,
)
from recipes.sources.ptbxl import PtbxlItem
from recipes.sources.statements import STATEMENTS
from recipes.teachers.grounded_answer import CLASS_NAMES, grounded_answer


@pytest.fixture(scope="module")
def features():
    return extract_features(simulate_ecg(heart_rate=60, seed=3).record)


def targets_of(features, start: float = 0.0, pace: float = 1.0) -> np.ndarray:
    marks, rr = torch.from_numpy(beat_marks(features))[None], torch.from_numpy(rr_around(features))[None]
    return beat_targets(marks, rr, torch.tensor([start]), torch.tensor([pace]))[0].numpy()


def test_beat_targets_are_distances_to_the_nearest_waves(features):
    targets = targets_of(features)
    onsets = features.beat_waves["QRS"][:, 0]
    for token in (10, 47, 83):
        centre = (token + 0.5) * 0.1
        nearest = onsets[np.abs(onsets - centre).argmin()] - centre
        assert targets[token, 1] == pytest.approx(nearest / DISTANCE_SCALE_S, abs=1e-4)
    assert np.nanmedian(targets[:, -1]) * RR_SD_S + RR_MEAN_S == pytest.approx(1.0, abs=0.05)


def test_targets_follow_a_signal_read_from_elsewhere_at_another_pace(features):
    signal = torch.from_numpy(simulate_ecg(heart_rate=60, seed=3).record.signal)[None]
    start, pace = torch.tensor([1025.0]), torch.tensor([1.06])
    anew = extract_features(read_round(signal, start, pace)[0].numpy(), 500)
    difference = np.abs(targets_of(features, 1025 / 500, 1.06) - targets_of(anew))[5:-5]
    assert (np.nanmedian(difference, axis=0) < 0.02).all()

    before, after = (torch.from_numpy(measurement_targets(f))[None] for f in (features, anew))
    expected = measured_at(before, pace)
    assert (expected - after)[0, :5].abs().max() < 0.2 < (before - after)[0, :5].abs().max()
    torch.testing.assert_close(measured_at(before, torch.ones(1)), before)


def test_tokens_tell_the_voltages_under_them_whatever_is_disturbed():
    record = simulate_ecg(heart_rate=60, seed=3).record
    extremes = lead_extremes(torch.from_numpy(record.signal)[None])[0] * EXTREME_SCALE_MV
    piece = record.signal[:, 47 * 50 : 48 * 50]
    np.testing.assert_allclose(extremes[47], np.concatenate([piece.min(axis=1), piece.max(axis=1)]), atol=1e-6)

    row = Recordings(simulated_items(1, seed=0), "ecg")[0]
    torch.manual_seed(0)
    batch = SignalAugmentation(training=True)([row] * 16)
    missing = (batch["values"] == 0).all(dim=2)
    assert missing.any()
    assert batch["extremes"][:, :, :12].transpose(1, 2)[missing].abs().amax(dim=-1).min() > 0


def test_a_record_recorded_again_is_the_same_heart_at_another_pace():
    item = PtbxlItem(simulate_ecg(heart_rate=70, qrs_duration=90, seed=5).record, {"SR": 0.0, "NORM": 100.0}, fold=1)
    before = extract_features(item.record)
    for version in range(1, 4):
        again = recorded_again(item, whole_beats(item.record), str(version), np.random.default_rng(version))
        assert again.codes == item.codes and again.record.record_id.endswith(f"#{version}")
        pace = float(re.search(r"at ([\d.]+) times", again.record.history[-1]).group(1))
        after = extract_features(again.record)
        assert after.heart_rate == pytest.approx(before.heart_rate * pace, rel=0.02)
        assert after.qt_interval == pytest.approx(before.qt_interval / pace, abs=14)


def test_simulated_items_are_the_same_again_and_have_words_for_their_rhythm():
    first, second = (list(simulated_items(40, seed=2)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.record.record_id == other.record.record_id and np.array_equal(
            one.record.signal, other.record.signal
        )
        assert one.rhythm or one.codes.keys() & STATEMENTS.keys()
    assert len({tuple(item.codes) for item in first}) > 15
    names, others = ({item.record.record_id for item in simulated_items(40, seed=seed)} for seed in (2, 3))
    assert not names & others


def test_tokens_grow_across_words_but_not_across_leads_digits_and_verdicts(features):
    texts = [grounded_answer(features, {"NORM": 100.0}).full_text()] * 30
    tokenizer = train_tokenizer(texts, vocab_size=1024)
    text = f"Interpret this ECG.\n{texts[0]}"
    ids = tokenizer(text).input_ids
    pieces = [tokenizer.decode(token) for token in ids]
    assert "".join(pieces) == text and len(ids) < 110
    assert (
        " Conduction disturbance:" in "".join(pieces)
        and pieces.count(" no") == text.count(" no ") + text.count(" no.")
        and pieces.count(" yes") == 1
    )
    assert not any(len(piece) > 1 and any(sign in "0123456789\n" for sign in piece) for piece in pieces)


def test_answers_state_every_superclass(features):
    text = grounded_answer(features, {"IMI": 100.0, "LVH": 0.0, "SR": 0.0}).full_text()
    assert superclasses(text) == {"MI"}
    assert all(f" {name}: " in text for name in CLASS_NAMES.values())


def test_perfect_and_wrong_answers_are_told_apart(features):
    codes: tuple[dict[str, float], ...] = ({"NORM": 100}, {"IMI": 100, "LAFB": 100}, {"NDT": 100, "LVH": 100})
    references = [grounded_answer(features, c).full_text() for c in codes]
    perfect = score(references, references)
    assert perfect["superclass macro F1"]["score"] == perfect["superclass hard-label macro AUC"]["score"] == 1
    assert perfect["heart rate (bpm)"]["MAE"] == 0 and perfect["stated numbers within tolerance"]["score"] == 1
    wrong = score([text.replace(" bpm", "0 bpm") for text in references[::-1]], references)
    assert wrong["superclass macro F1"]["score"] < 0.5
    assert wrong["heart rate (bpm)"]["MAE"] > 100 and wrong["stated numbers within tolerance"]["score"] < 1


def test_likelihoods_of_the_embedded_model_are_read_where_it_says_yes_or_no(features):
    source = modeling_gem.default_checkpoint()
    processor = AutoProcessor.from_pretrained(source)
    model = GemForConditionalGeneration.from_pretrained(source, dtype=torch.float32).eval()
    answer = grounded_answer(features, {"NORM": 100.0}).full_text()
    records = [simulate_ecg(heart_rate=rate, seed=rate).record for rate in (60, 90)]
    chats = [processor.build_conversation(record, modality="signal") for record in records]
    likelihoods = class_likelihoods(model, processor, chats, [answer, "No such line."])
    assert likelihoods.shape == (2, 5) and (likelihoods[1] == 0.5).all()

    # By hand: the first line is decided before any other, the second behind both ways to decide the first.
    def yes_behind(text: str) -> float:
        begun = [*chats[0], {"role": "assistant", "content": [{"type": "text", "text": text}]}]
        inputs = processor.apply_chat_template(
            begun, tokenize=True, return_dict=True, return_tensors="pt", draw_page=False, continue_final_message=True
        )
        with torch.inference_mode():
            logits = model(**inputs).logits[0, -1]
        yes, no = (processor.tokenizer.encode(word, add_special_tokens=False)[0] for word in (" yes", " no"))
        return float(torch.sigmoid(logits[yes] - logits[no]))

    first = answer.partition(" Normal:")[0] + " Normal:"
    normal = yes_behind(first)
    infarct = normal * yes_behind(f"{first} yes. Infarction:") + (1 - normal) * yes_behind(f"{first} no. Infarction:")
    # But for what the model finds likely beside yes and no.
    assert likelihoods[0, :2] == pytest.approx([normal, infarct], abs=0.01)


def test_likelihoods_of_other_networks_are_half_of_what_a_tower_is_taught():
    items = list(simulated_items(2, seed=0))
    own = np.stack([statement_targets(item) for item in items])
    likelihoods = {items[0].record.record_id: [0.5] * own.shape[1]}
    taught = Recordings(items, "ecg", likelihoods=likelihoods).columns["labels"]
    np.testing.assert_allclose(taught[0], own[0] / 2 + 0.25)
    np.testing.assert_array_equal(taught[1], own[1])


def test_a_residual_network_stands_where_a_tower_stands():
    batch = Recordings(simulated_items(2, seed=0), "ecg")
    count = {name: rows.shape[1] for name, rows in batch.columns.items()}
    network = TowerWithHeads(ResidualTower(), count["labels"], count["measured"], has_summary=False)
    outputs = network(**SignalAugmentation(training=True)([batch[0], batch[1]]))
    outputs["loss"].backward()
    assert outputs["logits"].shape == (2, count["labels"]) and outputs["measurements"].shape == (2, count["measured"])


def test_every_record_is_judged_by_the_network_that_did_not_see_it(tmp_path, monkeypatch):
    """Four networks of one step each; what stands for a record of a group comes from this group's network."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    train = Recordings(simulated_items(8, seed=0), "ecg")
    folds = np.arange(8)
    seen, seeds = [], []
    predict = Trainer.predict

    def remember(trainer, dataset, *arguments, **named):
        if isinstance(dataset, Subset):
            seen.append((set(trainer.train_dataset.indices), set(dataset.indices)))
            seeds.append(trainer.args.seed)
        return predict(trainer, dataset, *arguments, **named)

    monkeypatch.setattr(Trainer, "predict", remember)
    logits = out_of_fold(train, folds, train, 1, tmp_path / "soft.json", seed=10)
    assert seeds == [10, 11, 12, 13]
    assert [unseen for _, unseen in seen] == [{0, 4}, {1, 5}, {2, 6}, {3, 7}]
    assert all(not learned & unseen and len(learned) == 6 for learned, unseen in seen)
    assert (logits["train"] != 0).all() and logits["validation"].shape == logits["train"].shape


def test_auc_of_a_class_that_nobody_has_is_unknown(features):
    references = [grounded_answer(features, {code: 100.0}).full_text() for code in ("NORM", "IMI", "NDT")]
    likelihoods = np.full((3, 5), 0.5)
    likelihoods[:, 0] = (0.9, 0.2, 0.1)
    auc = likelihood_auc(likelihoods, references)
    assert auc["NORM"] == 1 and auc["MI"] == 0.5 and np.isnan(auc["HYP"])


def test_reproduction_names_every_step_that_is_left(tmp_path):
    (tmp_path / "ecg_tower").mkdir()
    (tmp_path / "ecg_tower" / "pretraining.json").write_text("{}")
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "recipes.embedded.reproduce",
            "--ptbxl",
            "PTBXL",
            "--output",
            str(tmp_path),
            "--dry-run",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    lines = result.stdout.splitlines()
    assert lines[1].startswith("done: ") and len(lines) == 13
    assert "--tower vision" in lines[2] and result.stdout.count("recipes.embedded.sft_cached") == 4


@pytest.mark.parametrize(
    ("module", "steps_of_it"), [("second_opinions", 1), ("towers", 2), ("tiny", 4), ("scores", 1)]
)
def test_every_step_is_told_in_options_that_its_program_has(tmp_path, module, steps_of_it):
    program = importlib.import_module(f"recipes.embedded.{module}")
    app = getattr(program, "app", None)
    if app is None:
        app = typer.Typer()
        app.command()(program.main)
    command = typer.main.get_command(app)
    given = [rest for _, (name, *rest) in steps(Path("PTBXL"), tmp_path) if name == program.__name__]
    assert len(given) == steps_of_it
    for arguments in given:
        told = command
        if hasattr(command, "commands"):
            told, arguments = command.commands[arguments[0]], arguments[1:]
        assert told.make_context(module, list(arguments)).params["output"].is_relative_to(tmp_path)
