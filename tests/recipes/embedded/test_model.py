# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the embedded model learns from and how it is scored."""

import importlib
import json
import re
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import save_model
from transformers import CLIPVisionModel

from processing.ecg_features import extract_features
from processing.ecg_page import render_ecg
from processing.ecg_record import STANDARD_LEADS
from processing.processing_gem import GemProcessor
from processing.simulator.simulator import simulate_ecg
from recipes.embedded import reproduce, scores, towers
from recipes.embedded.answer_scores import likelihood_auc, score, superclasses
from recipes.embedded.corpus import Corpus, recorded_versions, write_corpus
from recipes.embedded.recorded_again import recorded_again, whole_beats
from recipes.embedded.records import simulated_items
from recipes.embedded.targets import (
    DISTANCE_SCALE_S,
    EXTREME_SCALE_MV,
    RR_MEAN_S,
    RR_SD_S,
    TOKEN_TARGETS,
    beat_marks,
    beat_targets,
    lead_extremes,
    measured_at,
    measurement_targets,
    read_round,
    rr_around,
    trace_targets,
)
from recipes.embedded.tower_data import (
    PAGE_MEAN,
    PAGE_STD,
    PageAugmentation,
    Pages,
    SignalAugmentation,
    Signals,
    as_columns,
    drawn_page,
    low_passed,
)
from recipes.embedded.towers import TowerWithHeads, build_tower, load_start, other_picture
from recipes.embedded.vocabulary import train_tokenizer
from recipes.models import TINY, model_source
from recipes.sources.ptbxl import PtbxlItem
from recipes.sources.statements import STATEMENTS
from recipes.teachers.grounded_answer import CLASS_NAMES, grounded_answer


@pytest.fixture(scope="module")
def features():
    return extract_features(simulate_ecg(heart_rate=60, seed=3).record)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Three simulated ECGs, the first of which plays a record of fold 1."""
    folder = tmp_path_factory.mktemp("corpus") / "records"
    write_corpus(simulated_items(3, seed=0), folder, processes=1)
    found = Corpus.load(folder)
    found.rows[0]["fold"] = 1
    return found


def targets_of(features, start: float = 0.0, pace: float = 1.0) -> np.ndarray:
    marks, rr = torch.from_numpy(beat_marks(features))[None], torch.from_numpy(rr_around(features))[None]
    return beat_targets(marks, rr, torch.tensor([start]), torch.tensor([pace]), 100)[0].numpy()


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


def test_tokens_tell_the_voltages_under_them_whatever_is_disturbed(corpus):
    record = simulate_ecg(heart_rate=60, seed=3).record
    extremes = lead_extremes(torch.from_numpy(record.signal)[None], 100)[0] * EXTREME_SCALE_MV
    piece = record.signal[:, 47 * 50 : 48 * 50]
    np.testing.assert_allclose(extremes[47], np.concatenate([piece.min(axis=1), piece.max(axis=1)]), atol=1e-6)

    row = Signals(corpus)[0]
    torch.manual_seed(0)
    batch = SignalAugmentation(training=True, tokens=50)([row] * 16)
    assert batch["extremes"].shape[1] == batch["beats"].shape[1] == 50
    missing = (batch["values"] == 0).all(dim=2)
    assert missing.any()
    assert batch["extremes"][:, :, :12].transpose(1, 2)[missing].abs().amax(dim=-1).min() > 0


def test_a_record_recorded_again_is_the_same_heart_at_another_pace():
    item = PtbxlItem(simulate_ecg(heart_rate=70, qrs_duration=90, seed=5).record, {"SR": 0.0, "NORM": 100.0}, fold=1)
    before = extract_features(item.record)
    for version in range(1, 4):
        again = recorded_again(item, whole_beats(item.record, before), str(version), np.random.default_rng(version))
        assert again.codes == item.codes and again.record.record_id.endswith(f"#{version}")
        pace = float(re.search(r"at ([\d.]+) times", again.record.history[-1]).group(1))
        after = extract_features(again.record)
        assert after.heart_rate == pytest.approx(before.heart_rate * pace, rel=0.02)
        assert after.qt_interval == pytest.approx(before.qt_interval / pace, abs=14)
        # Only of limb leads that add up is an axis measured.
        assert after.qrs_axis == pytest.approx(before.qrs_axis, abs=5)


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


def test_a_corpus_is_read_back_and_recorded_again(corpus, tmp_path):
    item = corpus.item(0)
    assert np.array_equal(np.rint(item.record.signal * 1000), corpus.signals[0])
    assert corpus.features[0].heart_rate == pytest.approx(extract_features(item.record).heart_rate, rel=0.01)
    again, other = (list(recorded_versions(corpus, 2, seed)) for seed in (0, 0))
    assert [one.record.record_id for one in again] == [f"{corpus.rows[0]['id']}#0-{version}" for version in (1, 2)]
    assert all(np.array_equal(one.record.signal, two.record.signal) for one, two in zip(again, other, strict=True))
    write_corpus(again, tmp_path / "again", processes=1)
    both = Corpus.load(tmp_path / "again", tmp_path / "again")
    assert len(both) == 4 and len(both.where(lambda row: row["id"].endswith("#0-1"))) == 2


def test_half_of_all_signals_lose_what_records_kept_at_100_hz_lack():
    time = torch.arange(5000) / 500
    slow, fast = (torch.sin(2 * torch.pi * hertz * time).expand(1, 12, -1) for hertz in (20, 80))
    torch.testing.assert_close(low_passed(slow + fast), slow, atol=1e-2, rtol=0)


@pytest.mark.parametrize("layout", ["square_12x1", "3x4", "3x4+1"])
def test_a_page_is_told_where_its_traces_stand(layout):
    record = simulate_ecg(heart_rate=60, seed=3).record
    page = render_ecg(record, layout=layout, size=(672, 672))
    targets = trace_targets(record, page)
    assert targets.shape == (12, 12, 14, 2)
    flat = targets.transpose(0, 2, 1, 3).reshape(-1, 12, 2)
    for lead in ("I", "V1"):
        row = record.leads.index(lead)
        panel = page.panels_of(lead)[-1]
        left, right = (float(page.to_px(lead, time, panel=panel)[0]) / 4 for time in (panel.start, panel.stop))
        seen = np.flatnonzero(np.isfinite(flat[:, row, 0]))
        assert left - 0.01 <= seen[0] < left + 2 and right - 2 < seen[-1] + 1 <= right + 0.01
        middle = int(seen[len(seen) // 3])
        start, stop = (
            panel.start + (edge - left) / (right - left) * (panel.stop - panel.start) for edge in (middle, middle + 1)
        )
        piece = record.signal[row, round(start * 500) : round(stop * 500)]
        assert flat[middle, row] * 0.3 == pytest.approx([piece.mean(), np.ptp(piece)], abs=0.02)


@pytest.mark.parametrize("shape", ["stem", "patches", "residual"])
def test_every_shape_of_the_signal_tower_is_taught(corpus, shape):
    tower = build_tower("ecg", shape)
    rows = Signals(corpus)
    targets = {} if shape == "residual" else TOKEN_TARGETS
    network = TowerWithHeads(
        tower, len(rows[0]["labels"]), len(rows[0]["measured"]), (), targets, has_summary=shape != "residual"
    )
    outputs = network(**SignalAugmentation(True, tower.config.num_patches)([rows[0], rows[1]]))
    outputs["loss"].backward()
    assert outputs["logits"].shape == (2, len(rows[0]["labels"]))
    assert all(p.grad is not None for name, p in network.named_parameters() if "post_layernorm" not in name)


def same_pages(one, two):
    return [np.array_equal(one[number]["values"], two[number]["values"]) for number in range(len(one))]


def test_pages_of_one_seed_are_the_same_and_those_of_another_are_not(corpus):
    photos = partial(Pages, corpus, photographed=1.0, size=112)
    assert all(same_pages(photos(seed=3), photos(seed=3)))
    assert not any(same_pages(photos(seed=3), photos(seed=4)))


def test_a_kept_page_is_shown_again_and_then_drawn_anew(corpus, tmp_path):
    drawn = []
    kept = Pages(corpus, photographed=1.0, size=112, uses=3, folder=tmp_path)
    draw, kept._drawn = kept._drawn, lambda *which: drawn.append(which) or draw(*which)
    seen = []
    for epoch in range(6):
        kept.set_epoch(epoch)
        seen.append([kept[number] for number in range(len(kept))])
        assert len(drawn) == len(set(drawn)), "no version of a page is drawn twice"
    assert len(kept) < len(drawn) <= 3 * len(kept)
    for number in range(len(kept)):
        changed = [not np.array_equal(one[number]["values"], two[number]["values"]) for one, two in pairwise(seen)]
        assert changed == [(epoch + 1 + number % 3) % 3 == 0 for epoch in range(5)]
    for number, example in enumerate(seen[-1]):
        assert (example["labels"] == kept.columns["labels"][number]).all()
        np.testing.assert_array_equal(example["traces"], draw(number, (5 + number % 3) // 3)["traces"])


def test_kept_pages_outlive_a_break_unless_it_came_while_one_was_written(corpus, tmp_path):
    before = Pages(corpus, size=112, uses=2, folder=tmp_path)
    shown = before[1]["values"], before[2]["values"]
    before.kept.versions[2] = -1  # what a process that ends in the midst of it leaves
    before.kept.arrays["values"][2] = 7
    after = Pages(corpus, size=112, uses=2, folder=tmp_path)
    assert after.kept.versions[1] == 0
    assert np.array_equal(after[1]["values"], shown[0]) and np.array_equal(after[2]["values"], shown[1])


def test_pages_that_were_kept_for_other_settings_are_drawn_anew(corpus, tmp_path):
    folder = tmp_path / "pages"
    first = Pages(corpus, photographed=1.0, size=112, uses=2, folder=folder)
    shown = first[1]["values"]
    for changed in ({"size": 140}, {"seed": 5}, {"photographed": 0.0}, {"layout": "3x4"}):
        settings = {"photographed": 1.0, "size": 112, "uses": 2} | changed
        again = Pages(corpus, folder=folder, **settings)
        assert np.array_equal(again[1]["values"], Pages(corpus, **settings)[1]["values"])
        assert not np.array_equal(again[1]["values"], shown)
    (folder / "notes.txt").write_text("mine")
    again.kept.delete()
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_patches_as_one_product_are_a_convolution():
    tower = build_tower("vision")
    pixels = torch.randn(2, 3, 336, 336)
    expected = torch.nn.functional.conv2d(pixels, tower.embeddings.patch_embedding.weight, stride=28)
    torch.testing.assert_close(tower.embeddings.patch_embedding(pixels), expected, atol=1e-4, rtol=1e-4)
    assert tower.state_dict().keys() == CLIPVisionModel(tower.config).state_dict().keys()


def test_pictures_of_something_else_teach_that_they_are_none(corpus):
    drawn = []
    pages = Pages(corpus, others=2, other=lambda number: drawn.append(number) or other_picture(corpus, number))
    assert len(pages) == len(corpus) + 2
    torch.manual_seed(0)
    ecg, picture = pages[0], pages[len(corpus)]
    assert {name: (value.shape, value.dtype) for name, value in ecg.items()} == {
        name: (value.shape, value.dtype) for name, value in picture.items()
    }
    assert ecg["labels"][-1] == 0 and picture["labels"].tolist() == [0] * (len(picture["labels"]) - 1) + [1]
    assert np.isnan(picture["measured"]).all() and np.isnan(picture["traces"]).all() and len(drawn) == 1

    network = TowerWithHeads(
        build_tower("vision"), len(ecg["labels"]), len(ecg["measured"]), ecg["traces"].shape, teacher_width=5
    )
    taught = {"taught": np.zeros(5, np.float32)}
    loss = network(**PageAugmentation(True)([ecg | taught, picture | taught]))["loss"]
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in network.teacher.parameters())


def test_pages_that_people_hold_are_shown_as_the_image_processor_shows_them(corpus):
    record = corpus.item(0).record
    show = GemProcessor.from_pretrained(model_source(TINY)).image_processor
    shapes = set()
    for seed in range(12):
        page, pixels = drawn_page(record, np.random.default_rng(seed), "3x4", 0.0)
        shapes.add(page.pixels.shape[:2])
        assert pixels.shape == (336, 336, 3)
        seen = show(page.to_pil(), return_tensors="pt")["pixel_values"][0].permute(1, 2, 0)
        seen = 255 * (seen * torch.tensor(PAGE_STD) + torch.tensor(PAGE_MEAN))
        assert np.abs(pixels - seen.numpy()).max() <= 1
    assert shapes == {(336, 336), (475, 672)}


def test_columns_show_every_lead_for_a_part_of_the_time():
    signal = np.ones((12, 5000), np.float32)
    shares = set()
    for seed in range(12):
        shown = as_columns(signal, np.random.default_rng(seed))
        assert shown[0, 0] == shown[11, -1] == 1 and shown.any(axis=0).all()
        shares.add((shown[0].mean().round(2), shown[1].mean().round(2)))
    assert shares == {(0.25, 0.25), (0.25, 1), (0.5, 0.5), (0.5, 1)}


def test_a_tower_goes_on_from_a_tower_or_a_whole_run(tmp_path):
    shape = {"num_statements": 3, "num_measurements": 2}
    first, second = (TowerWithHeads(build_tower("vision"), **shape) for _ in range(2))
    with pytest.raises(typer.BadParameter, match="neither"):
        load_start(second, tmp_path)
    first.tower.save_pretrained(tmp_path)
    heads = second.statements.weight.clone()
    load_start(second, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(first.tower.parameters(), second.tower.parameters(), strict=True))
    assert torch.equal(heads, second.statements.weight)
    checkpoint = tmp_path / "trainer" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    save_model(first, checkpoint / "model.safetensors")
    (checkpoint / "trainer_state.json").write_text("{}")
    taught = TowerWithHeads(build_tower("vision"), **shape, teacher_width=4)
    load_start(taught, tmp_path)
    assert torch.equal(first.statements.weight, taught.statements.weight)


def test_tokens_grow_across_words_but_not_across_leads_digits_and_verdicts(features):
    texts = [grounded_answer(features, {"NORM": 100.0, "SR": 0.0}).full_text()] * 30
    tokenizer = train_tokenizer(texts, vocab_size=1024)
    text = f"Interpret this ECG.\n{texts[0]}"
    ids = tokenizer(text).input_ids
    pieces = [tokenizer.decode(token) for token in ids]
    assert "".join(pieces) == text and len(ids) < 110
    assert pieces.count(" unlikely") == 4 and pieces.count(" likely") == 1
    others = [piece for piece in pieces if len(piece) > 1 and piece.strip() not in STANDARD_LEADS]
    assert not any(sign in piece for piece in others for sign in "0123456789\n")


def test_answers_judge_every_superclass(features):
    text = grounded_answer(features, {"IMI": 100.0, "LVH": 0.0, "SR": 0.0}).full_text()
    assert superclasses(text) == {"MI"}
    assert all(f"{name} is " in text.replace("A normal", "a normal") for name in CLASS_NAMES.values())
    assert superclasses("Impression: inferior myocardial infarction; left ventricular hypertrophy.") == {"MI", "HYP"}


def test_perfect_and_wrong_answers_are_told_apart(features):
    codes: tuple[dict[str, float], ...] = (
        {"SR": 0, "NORM": 100},
        {"AFIB": 0, "IMI": 100, "LAFB": 100},
        {"SR": 0, "NDT": 100, "LVH": 100},
    )
    references = [grounded_answer(features, c).full_text() for c in codes]
    perfect = score(references, references)
    assert perfect["superclass macro F1"]["score"] == perfect["superclass hard-label macro AUC"]["score"] == 1
    assert perfect["heart rate (bpm)"]["MAE"] == 0 and perfect["stated numbers within tolerance"]["score"] == 1
    for name in ("sensitivity", "specificity"):
        assert perfect[f"atrial fibrillation, {name}"]["score"] == 1
    wrong = score([text.replace(" bpm", "0 bpm") for text in references[::-1]], references)
    assert wrong["superclass macro F1"]["score"] < 0.5
    assert wrong["heart rate (bpm)"]["MAE"] > 100 and wrong["stated numbers within tolerance"]["score"] < 1


def test_likelihoods_are_shares_of_all_ways_to_judge(features, monkeypatch):
    answer = grounded_answer(features, {"NORM": 100.0, "SR": 0.0}).full_text()
    asked = []

    def independent(model, processor, chats, texts, batch_size, answer_prefix):
        """As of a model that finds the classes likely to .9, .2, .3, .4 and .05, whatever it said before."""
        asked.extend(answer_prefix)
        odds = np.array([0.9, 0.2, 0.3, 0.4, 0.05])
        said = np.array([[" is likely" in part for part in text.split(",")] for text in texts])
        return np.log(np.where(said, odds, 1 - odds)).sum(axis=1)[None].repeat(len(chats), axis=0)

    monkeypatch.setattr(scores, "label_log_likelihoods", independent)
    interpret = SimpleNamespace(
        model=None, processor=SimpleNamespace(build_conversation=lambda record, modality: record)
    )
    likelihoods = scores.class_likelihoods(interpret, ["first", "second"], [answer, "No such words."], "both", 2)
    assert likelihoods[0] == pytest.approx([0.9, 0.2, 0.3, 0.4, 0.05]) and (likelihoods[1] == 0.5).all()
    assert len(asked) == 1 and asked[0].endswith(". A normal ECG") and answer.startswith(asked[0])


def test_auc_of_a_class_that_nobody_has_is_unknown(features):
    references = [grounded_answer(features, {code: 100.0}).full_text() for code in ("NORM", "IMI", "NDT")]
    likelihoods = np.full((3, 5), 0.5)
    likelihoods[:, 0] = (0.9, 0.2, 0.1)
    auc = likelihood_auc(likelihoods, references)
    assert auc["NORM"] == 1 and auc["MI"] == 0.5 and np.isnan(auc["HYP"])


def folders(tmp_path: Path, trial: bool = False) -> dict[str, Path]:
    return {stage.name: folder for stage, folder, _ in reproduce.planned([tmp_path], tmp_path / "out", trial)}


def test_a_stage_goes_by_its_inputs(tmp_path, monkeypatch):
    before = folders(tmp_path)
    assert before == folders(tmp_path) and list(before) == [stage.name for stage in reproduce.STAGES]
    assert not set(before.values()) & set(folders(tmp_path, trial=True).values()) - {before["start"]}

    def changed() -> set[str]:
        return {name for name, folder in folders(tmp_path).items() if folder != before[name]}

    (tmp_path / "more.parquet").write_bytes(b"12")
    assert changed() == set(before)  # other records change everything
    (tmp_path / "more.parquet").unlink()
    code_of = reproduce.code_of
    monkeypatch.setattr(
        reproduce,
        "code_of",
        lambda patterns: code_of(patterns) + ("changed" if patterns == reproduce.TEACHING else ""),
    )
    assert changed() == {"sft_read", "sft_talk", "sft_asked", "sft_seen", "gem-ecg-tiny", "grpo", "gem-ecg-tiny-grpo"}


def test_a_tower_that_was_stopped_goes_on_with_its_schedule(tmp_path):
    records = [simulate_ecg(heart_rate=60 + number, seed=number).record for number in range(6)]
    write_corpus(
        [PtbxlItem(record, {"NORM": 100.0}, 8 if number > 3 else 1) for number, record in enumerate(records)],
        tmp_path / "records",
        processes=1,
    )
    told = {"records": [tmp_path / "records"], "tower": "ecg", "epochs": 2, "batch_size": 2, "threads": 1}
    towers.main(output=tmp_path / "begun", stop_after=1, **told)
    towers.main(output=tmp_path / "rest", resume_from=tmp_path / "begun", **told)
    states = [
        json.loads((tmp_path / name / "trainer" / f"checkpoint-{steps}" / "trainer_state.json").read_text())
        for name, steps in (("begun", 2), ("rest", 4))
    ]
    with pytest.raises(typer.BadParameter, match="no complete checkpoint"):
        towers.main(output=tmp_path / "more", resume_from=tmp_path, **told)
    assert [state["epoch"] for state in states] == [1, 2] and {state["max_steps"] for state in states} == {4}


def test_a_stage_needs_the_stages_before_it_alone(tmp_path):
    made: set[str] = set()
    for stage, folder, arguments in reproduce.planned([tmp_path], tmp_path / "out"):
        named = {part for part in arguments if part.startswith(str(tmp_path / "out"))}
        assert named <= made | {str(folder)} and str(folder) in named and 0 < stage.minutes <= 45
        made.add(str(folder))
    minutes = {stage.name: stage.minutes for stage in reproduce.STAGES}
    assert sum(list(minutes.values())[: list(minutes).index("gem-ecg-tiny") + 1]) <= 150


@pytest.mark.parametrize("stage", [stage.name for stage in reproduce.STAGES])
@pytest.mark.parametrize("trial", [False, True])
def test_every_stage_is_told_in_options_that_its_program_has(tmp_path, stage, trial):
    plan = {one.name: arguments for one, _, arguments in reproduce.planned([tmp_path], tmp_path / "out", trial)}
    module, *arguments = plan[stage]
    program = importlib.import_module(module)
    if hasattr(program, "parse"):
        _, training, _ = program.parse(arguments)
        assert Path(training.output_dir).parent == tmp_path / "out"
    elif hasattr(program, "CachedArguments"):
        _, training = program.parse_settings(
            program.TrlParser((program.CachedArguments, program.SFTConfig)), arguments
        )
        assert Path(training.output_dir).parent == tmp_path / "out"
    else:
        app = getattr(program, "app", None)
        if app is None:
            app = typer.Typer()
            app.command()(program.main)
        command = typer.main.get_command(app)
        if hasattr(command, "commands"):
            command, arguments = command.commands[arguments[0]], arguments[1:]
        assert command.make_context(module, arguments).params["output"].parent == tmp_path / "out"
