# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The recipe: settings, LoRA and merging, resuming, samples and trackers during training, errors before the first step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset, DatasetDict
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor
from transformers.quantizers.quantizers_utils import should_convert_module
from trl import ModelConfig, SFTConfig, TrlParser
from typer.testing import CliRunner

from processing.errors_gem import CheckpointError, GemError, TrainingError
from recipes.cli import app
from recipes.embedded.sft_cached import CachedArguments
from recipes.training import sft
from recipes.training.adapter import merge_adapter
from recipes.training.checkpoints import checkpoint_to_resume, last_checkpoint
from recipes.training.collator import GemDataCollator
from recipes.training.trainer import GemSFTTrainer
from tests.helpers.tiny_gem import tiny_config, tiny_model, tiny_processor
from tests.recipes.training.test_checks import FEATURES, row

CONFIGS = Path(sft.__file__).parents[1] / "configs"
ON_CPU = ["--bf16", "false", "--use_cpu", "true", "--gradient_checkpointing", "false", "--report_to", "none"]
LORA = ["--use_peft", "true", "--lora_r", "4", "--lora_dropout", "0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sft")
    config = tiny_config()
    tiny_model(config).save_pretrained(folder / "start")
    tiny_processor(config).save_pretrained(folder / "start")
    rows = [row(i, answer="Sinus rhythm." if i % 2 else "QRS duration. " * 4) for i in range(12)]
    splits = {"train": rows[:8], "validation": rows[8:]}
    DatasetDict({k: Dataset.from_list(v, features=FEATURES) for k, v in splits.items()}).save_to_disk(folder / "data")
    return folder


def arguments(folder: Path, output: Path, *more: str) -> list[str]:
    settings = ["--model_name_or_path", str(folder / "start"), "--dataset", str(folder / "data")]
    batch = ["--per_device_train_batch_size", "4", "--logging_steps", "1", "--learning_rate", "0.005"]
    return [*settings, "--output_dir", str(output), *batch, *ON_CPU, *more]


@pytest.fixture(scope="module")
def adapter(folder):
    """Two steps of LoRA in bfloat16 from the command line, with all optional parts of training."""
    config = folder / "config.yaml"
    config.write_text("max_steps: 1000\neval_strategy: steps\neval_steps: 2\n")
    extras = ["--generated_samples", "2", "--generated_tokens", "5", "--train_sampling_strategy", "group_by_length"]
    more = [*LORA, "--max_steps", "2", *extras, "--report_to", "tensorboard", "--both", "0.5", "--signal", "0.5"]
    more += ["--bf16", "true", "--gradient_checkpointing", "true", "--dataloader_num_workers", "2"]
    command = ["train", str(config), *arguments(folder, folder / "adapter", *more)]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder / "adapter"


def test_lora_trains_the_language_model_and_the_projectors_alone(adapter):
    names = set(load_file(adapter / "adapter_model.safetensors"))
    assert not any("tower" in name for name in names)
    for part in ("language_model.layers.1.mlp.up_proj.lora_B", "language_model.layers.0.self_attn.q_proj.lora_A"):
        assert any(part in name for name in names), part
    start = load_file(adapter.parent / "start" / "model.safetensors")
    saved = load_file(adapter / "adapter_model.safetensors")
    for part in ("ecg_projector.linear_1.weight", "multi_modal_projector.linear_1.weight"):
        trained = next(value for name, value in saved.items() if name.endswith(part))
        assert not torch.equal(trained, start[f"model.{part}"])


def test_merged_equals_adapter(adapter, tmp_path):
    command = ["merge", str(adapter), str(tmp_path / "merged")]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0 and "parameters" in result.output
    batch = GemDataCollator(tiny_processor(), assistant_only_loss=True)([row(0), row(1)])
    base = AutoModelForImageTextToText.from_pretrained(adapter.parent / "start", dtype=torch.float32)
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged").eval()
    with torch.no_grad():
        plain = base(**batch).logits
        expected = PeftModel.from_pretrained(base, adapter).eval()(**batch).logits
        actual = merged(**batch).logits
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
    assert (plain - expected).abs().max() > 1e-3
    assert type(AutoModel.from_pretrained(tmp_path / "merged")).__name__ == "GemModel"
    assert AutoProcessor.from_pretrained(tmp_path / "merged").chat_template == tiny_processor().chat_template


def test_what_cannot_be_merged(adapter, tmp_path):
    with pytest.raises(CheckpointError, match="no adapter_config"):
        merge_adapter(adapter.parent / "start", tmp_path / "out")
    with pytest.raises(CheckpointError, match="not empty"):
        merge_adapter(adapter, adapter.parent / "data")
    with pytest.raises(CheckpointError, match="--base"):
        merge_adapter(adapter, tmp_path / "out", base=tmp_path / "moved")
    assert not (tmp_path / "out").exists()


def test_samples_of_every_evaluation(adapter):
    lines = (adapter / "samples" / "step-00000002" / "samples.jsonl").read_text().splitlines()
    samples = [json.loads(line) for line in lines]
    assert [sample["id"] for sample in samples] == ["rec8", "rec9"]
    assert samples[0]["reference"] == row(0, answer="QRS duration. " * 4)["messages"][1]["content"]
    assert samples[0]["question"] == "Interpret this ECG." and isinstance(samples[0]["generated"], str)
    for sample in samples:
        assert Image.open(adapter / "samples" / "step-00000002" / sample["picture"]).size == (120, 90)


def test_tensorboard_gets_losses_and_samples(adapter):
    events = EventAccumulator(str(next(adapter.rglob("events.out.tfevents*")).parent), size_guidance={"tensors": 0})
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "eval/loss"} <= set(tags["scalars"])
    assert {"samples/0", "samples/1"} <= set(tags["images"])
    assert any(tag.startswith("samples/0") for tag in tags["tensors"])


RESUMABLE = ["--save_steps", "1", "--warmup_steps", "0", "--lr_scheduler_type", "constant"]


def losses(trainer: GemSFTTrainer) -> list[tuple[int, float]]:
    return [(entry["step"], entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]


def test_resuming_from_the_newest_complete_checkpoint_or_from_none(folder, tmp_path):
    more = [*RESUMABLE, "--resume_from_checkpoint", "true"]
    first = sft.main(arguments(folder, tmp_path, *more, "--max_steps", "1"))
    (tmp_path / "checkpoint-9").mkdir()  # cut off while it was written
    # Another seed would begin with other samples: the first step is that of the first run.
    trainer = sft.main(arguments(folder, tmp_path, *more, "--max_steps", "2", "--seed", "5"))
    assert losses(trainer)[:1] == losses(first) and len(losses(trainer)) == 2
    assert (tmp_path / "checkpoint-2").is_dir() and (tmp_path / "processor_config.json").is_file()


def test_what_resume_from_checkpoint_may_say(folder, tmp_path):
    def resumed(value: str) -> str | None:
        return checkpoint_to_resume(sft.parse(arguments(folder, tmp_path, "--resume_from_checkpoint", value))[1])

    assert resumed("true") is resumed("false") is None
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-3" / "trainer_state.json").write_text("{}")
    assert resumed("true") == resumed(str(tmp_path / "checkpoint-3")) == str(tmp_path / "checkpoint-3")
    with pytest.raises(TrainingError, match="no complete checkpoint there"):
        resumed(str(tmp_path / "checkpoint-4"))
    for step in (90, 100):  # by number, not by name
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert resumed("true") == str(tmp_path / "checkpoint-100")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_damaged_checkpoint_is_left_out_for_an_older_one(folder, tmp_path):
    """Every file that training writes, cut in half as a full disk leaves it."""
    sft.main(arguments(folder, tmp_path, *RESUMABLE, "--max_steps", "2"))
    older, newest = (tmp_path / f"checkpoint-{step}" for step in (1, 2))
    assert last_checkpoint(tmp_path) == str(newest)
    files = [path for path in newest.rglob("*") if path.suffix in (".safetensors", ".pt", ".pth", ".json")]
    assert {path.suffix for path in files} == {".safetensors", ".pt", ".pth", ".json"}
    for file in files:
        whole = file.read_bytes()
        cut(file)
        assert last_checkpoint(tmp_path) == str(older), file.name
        file.write_bytes(whole)
    assert last_checkpoint(tmp_path) == str(newest)
    cut(newest / "optimizer.pt")
    with pytest.raises(TrainingError, match=r"optimizer\.pt is cut off"):
        checkpoint_to_resume(sft.parse(arguments(folder, tmp_path, "--resume_from_checkpoint", str(newest)))[1])
    more = [*RESUMABLE, "--resume_from_checkpoint", "true"]
    assert [step for step, _ in losses(sft.main(arguments(folder, tmp_path, *more, "--max_steps", "2")))] == [1, 2]


def built(folder, tmp_path, *more):
    """The trainer as the command line makes it, and its first batch."""
    trainer = sft.build_trainer(*sft.parse(arguments(folder, tmp_path, "--max_steps", "1", *more)))
    return trainer, next(iter(trainer.get_train_dataloader()))


def test_the_trainer_supervises_answers_alone(folder, tmp_path):
    trainer, batch = built(folder, tmp_path)
    tokenizer = trainer.processing_class.tokenizer
    answers = {row["messages"][1]["content"] + "</s>" for row in trainer.train_dataset}
    learned = [tokenizer.decode(labels[labels != -100]) for labels in batch["labels"]]
    assert len(learned) == 4 and set(learned) <= answers and len(set(learned)) == 2
    questions = [
        tokenizer.decode(ids[labels == -100]) for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True)
    ]
    assert all("Interpret this ECG." in question and "<ecg>" in question for question in questions)


@pytest.mark.parametrize(
    ("more", "ecgs", "pictures"),
    [((), 4, 4), (("--both", "0", "--signal", "1"), 4, 0), (("--both", "0", "--image", "1"), 0, 4)],
)
def test_the_trainer_shows_the_modalities_it_is_told_to(folder, tmp_path, more, ecgs, pictures):
    _, batch = built(folder, tmp_path, *more)
    assert (len(batch.get("ecg_values", ())), len(batch.get("pixel_values", ()))) == (ecgs, pictures)


def test_the_trainer_takes_its_other_settings(folder, tmp_path):
    trainer, batch = built(folder, tmp_path, "--max_length", "40", "--pad_to_multiple_of", "16", "--seed", "7")
    assert batch["input_ids"].shape[1] == 40 and trainer.data_collator.mix_seed == 7 and trainer.eval_dataset is None
    trainer, batch = built(folder, tmp_path, "--pad_to_multiple_of", "16", "--eval_strategy", "epoch")
    assert batch["input_ids"].shape[1] % 16 == 0
    assert [row["id"] for row in trainer.eval_dataset] == ["rec8", "rec9", "rec10", "rec11"]


def test_the_order_of_length_groups_follows_the_seed(folder, tmp_path):
    grouped = ["--train_sampling_strategy", "group_by_length"]
    first, again, other = (built(folder, tmp_path, *grouped, "--seed", seed)[1] for seed in ("1", "1", "2"))
    assert torch.equal(first["ecg_values"], again["ecg_values"])
    assert not torch.equal(first["ecg_values"], other["ecg_values"])


@pytest.mark.parametrize(
    ("setting", "trained"),
    [("none", set()), ("false", set()), ("ecg", {"ecg"}), ("vision", {"vision"}), ("true", {"ecg", "vision"})],
)
def test_towers_are_frozen_unless_told_otherwise(folder, tmp_path, setting, trained):
    trainer, _ = built(folder, tmp_path, "--train_towers", setting)
    found = {name.split(".")[1] for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert found & {"ecg_tower", "vision_tower"} == {f"{name}_tower" for name in trained}
    assert {"ecg_projector", "multi_modal_projector", "language_model"} <= found


def test_each_tower_learns_at_its_own_rate(folder, tmp_path):
    rates = ["--ecg_tower_learning_rate", "0.001", "--vision_tower_learning_rate", "0"]
    steps = ["--max_steps", "2", "--lr_scheduler_type", "constant", "--weight_decay", "0.1", "--save_strategy", "no"]
    before = sft.load_model(sft.parse(arguments(folder, tmp_path))[2]).state_dict()
    trainer = sft.main(arguments(folder, tmp_path, "--train_towers", "both", *rates, *steps))
    owner = {id(weight): name.split(".")[1] for name, weight in trainer.model.named_parameters()}
    seen: dict[str, set[float]] = {}
    for group in trainer.optimizer.param_groups:
        for weight in group["params"]:
            seen.setdefault(owner.pop(id(weight)), set()).add(group["lr"])
    assert seen.pop("ecg_tower") == {0.001} and seen.pop("vision_tower") == {0.0}
    assert set().union(*seen.values()) == {0.005}
    assert owner == {}, "every weight is in one group"
    moved = {
        name.split(".")[1]
        for name, weight in trainer.model.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    assert "ecg_tower" in moved and "vision_tower" not in moved


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--train_towers", "left"], "none, ecg, vision or both; got 'left'"),
        (["--train_towers", "ecg", "--vision_tower_learning_rate", "1e-5"], "freezes that tower"),
        (["--train_towers", "ecg", *LORA], "`train_towers` trains whole towers"),
    ],
)
def test_settings_of_towers_that_cannot_be(folder, tmp_path, settings, message):
    with pytest.raises(TrainingError, match=message):
        sft.parse(arguments(folder, tmp_path, *settings))


def test_accumulated_batches_train_as_whole_ones(folder, tmp_path):
    """Answers differ in length: a mean of means would not be the mean over all tokens (`num_items_in_batch`)."""
    more = ["--max_steps", "2", "--lr_scheduler_type", "constant", "--warmup_steps", "0"]
    parts = ["--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "4"]
    whole = sft.main(arguments(folder, tmp_path / "whole", *more))
    summed = sft.main(arguments(folder, tmp_path / "parts", *more, *parts))
    assert [step for step, _ in losses(summed)] == [1, 2]
    np.testing.assert_allclose(losses(summed), losses(whole), rtol=1e-4)
    for name, weight in whole.model.named_parameters():
        torch.testing.assert_close(summed.model.get_parameter(name), weight, rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.parametrize("strategy", ["random", "group_by_length"])
def test_resuming_in_the_second_epoch_changes_no_loss(folder, tmp_path, strategy):
    more = [*RESUMABLE, "--save_steps", "3", "--max_steps", "6", "--train_sampling_strategy", strategy]
    whole = sft.main(arguments(folder, tmp_path / "a", *more))
    checkpoint = str(tmp_path / "a" / "checkpoint-3")  # two steps are an epoch
    resumed = sft.main(arguments(folder, tmp_path / "b", *more, "--resume_from_checkpoint", checkpoint))
    assert losses(resumed) == losses(whole) and len(losses(whole)) == 6


@pytest.mark.parametrize("adapters", [[], LORA], ids=["full", "lora"])
def test_a_small_learning_rate_moves_bfloat16_checkpoints(folder, tmp_path, adapters):
    more = [*adapters, "--bf16", "true", "--dtype", "bfloat16", "--learning_rate", "2e-5", "--max_steps", "3"]
    more += ["--eval_strategy", "steps", "--eval_steps", "3", "--generated_samples", "1", "--generated_tokens", "3"]
    trainer = sft.main(arguments(folder, tmp_path, *more))
    dtypes = {(p.requires_grad, p.dtype) for p in trainer.model.parameters()}
    assert dtypes == {(True, torch.float32), (False, torch.bfloat16)}
    start = load_file(folder / "start" / "model.safetensors")["model.multi_modal_projector.linear_2.weight"]
    name = next(n for n, p in trainer.model.named_parameters() if n.endswith("linear_2.weight") and p.requires_grad)
    trained = trainer.model.get_parameter(name).detach()
    assert (trained != start.bfloat16().float()).float().mean() > 0.9


def test_records_that_cannot_be_read_stop_neither_evaluation_nor_samples(folder, tmp_path, caplog):
    good, flat = row(0), row(1, ecg=np.full((12, 500), np.nan, dtype=np.float32))
    splits = {"train": [good, flat], "validation": [flat, row(2)]}
    data = DatasetDict({name: Dataset.from_list(rows, features=FEATURES) for name, rows in splits.items()})
    data.save_to_disk(tmp_path / "data")
    more = ["--dataset", str(tmp_path / "data"), "--max_steps", "2", "--per_device_train_batch_size", "1"]
    more += ["--eval_strategy", "steps", "--eval_steps", "1", "--generated_samples", "1", "--generated_tokens", "3"]
    trainer = sft.main(arguments(folder, tmp_path / "out", *more))
    assert [loss for _, loss in losses(trainer)].count(0) == 1
    samples = (tmp_path / "out" / "samples" / "step-00000002" / "samples.jsonl").read_text()
    assert json.loads(samples)["id"] == "rec2"


def test_a_data_set_of_one_split_is_the_one_to_train_on(folder, tmp_path):
    Dataset.from_list([row(0), row(1)], features=FEATURES).save_to_disk(tmp_path / "data")
    script, *_ = sft.parse(arguments(folder, tmp_path, "--dataset", str(tmp_path / "data")))
    assert len(sft.load_splits(script, ["train"])["train"]) == 2
    with pytest.raises(TrainingError, match=r"no split 'validation', there are \['train'\]"):
        sft.load_splits(script, ["train", "validation"])


def test_rows_without_an_ecg_stay_without_one(folder, tmp_path):
    """NumPy's format would make an ECG of NaN of an empty cell."""
    Dataset.from_list([row(0), row(1, ecg=None)], features=FEATURES).save_to_disk(tmp_path / "data")
    more = ["--dataset", str(tmp_path / "data"), "--image_only", "true"]
    script, *_ = sft.parse(arguments(folder, tmp_path, *more))
    with_one, without = sft.load_splits(script, ["train"])["train"]
    assert np.allclose(with_one["ecg"], row(0)["ecg"]) and without["ecg"] is None and without["image"] is not None


def test_the_chat_template_of_a_file_is_trained_with_and_saved(folder, tmp_path):
    template = tmp_path / "other.jinja"
    template.write_text(tiny_processor().chat_template + "{# other #}")
    more = ["--chat_template_path", str(template), "--max_steps", "1"]
    trainer = sft.build_trainer(*sft.parse(arguments(folder, tmp_path, *more)))
    for processor in (trainer.data_collator.processor, trainer.processing_class):
        assert processor.chat_template == template.read_text()


CACHED = set(CONFIGS.glob("sft_tiny*.yaml"))


@pytest.mark.parametrize("path", sorted(CACHED), ids=lambda path: path.stem)
def test_configs_for_kept_states_name_settings_that_exist(path):
    script, training = TrlParser((CachedArguments, SFTConfig)).parse_args_and_config(["--config", str(path)])
    settings = yaml.safe_load(path.read_text())
    assert (script.dataset, training.max_steps) == (settings["dataset"], settings["max_steps"])


@pytest.mark.parametrize("path", sorted(set(CONFIGS.glob("sft_*.yaml")) - CACHED), ids=lambda path: path.stem)
def test_configs_name_settings_that_exist(path, tmp_path):
    off = ["--bf16", "false", "--tf32", "false", "--use_cpu", "true", "--output_dir", str(tmp_path)]
    _, training, model = sft.parse(["--config", str(path), *off])
    settings = yaml.safe_load(path.read_text())
    assert training.learning_rate == settings["learning_rate"] and training.max_steps == settings.get("max_steps", -1)
    if path.stem == "sft_full":
        assert (training.gradient_accumulation_steps, training.per_device_train_batch_size) == (16, 16)
        assert (training.max_length, training.weight_decay, training.num_train_epochs) == (4096, 0, 1)
    if path.stem == "sft_qlora":
        assert model.load_in_4bit and model.use_peft


@pytest.mark.parametrize("path", sorted((CONFIGS / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_configs_are_such(path):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(path))
    assert config.num_processes == (1 if path.stem == "single" else 8)


def test_global_batch_size(folder, tmp_path):
    _, training, _ = sft.parse(arguments(folder, tmp_path, "--global_batch_size", "32"))
    assert training.gradient_accumulation_steps == 8
    with pytest.raises(TrainingError, match="30 is not a multiple of 4"):
        sft.parse(arguments(folder, tmp_path, "--global_batch_size", "30"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dataset", "./absent"], "absent: no data set"),
        (["--train_split", "training"], "no split 'training', there are"),
        (["--no_such_setting", "1"], "settings cannot be used"),
        ([*LORA, "--load_in_4bit", "true"], "needs a CUDA device"),
        (["--load_in_4bit", "true"], "Quantised weights cannot be trained"),
        (["--max_length", "12"], "Sample 'rec0': the ECG or picture reaches beyond"),
        (["--both", "0"], "modality_mix"),
        (["--assistant_only_loss", "false"], "trained on answers only"),
        (["--chat_template_path", "some/model"], "must be a Jinja file"),
    ],
)
def test_what_stops_before_the_first_step(folder, tmp_path, more, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(GemError, match=message):
        sft.build_trainer(*sft.parse(arguments(folder, tmp_path, "--max_steps", "1", *more)))


def test_qlora_leaves_all_but_the_language_model_alone():
    model = tiny_model()
    linears = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    converted = {name for name in linears if should_convert_module(name, sft.NOT_QUANTISED)}
    assert converted == {name for name in linears if name.startswith("model.language_model.")} != set()


def test_adapters_go_where_they_should():
    import re

    model = tiny_model()
    pattern = sft.adapter_config(model, ModelConfig(use_peft=True)).target_modules
    hits = {name for name, _ in model.named_modules() if re.fullmatch(pattern, name)}
    assert len(hits) == 14 and all(name.startswith("model.language_model.layers.") for name in hits)


def test_model_and_processor_are_of_the_same_revision(tmp_path, monkeypatch):
    asked = []
    for loader in (AutoModelForImageTextToText, AutoProcessor):
        monkeypatch.setattr(
            loader, "from_pretrained", lambda name, **settings: asked.append((name, settings["revision"]))
        )
    monkeypatch.setattr(sft, "check_chat_template", lambda processor, source: None)
    config = ModelConfig(model_name_or_path="my/gem", model_revision="v2")
    sft.load_model(config)
    sft.load_processor(SFTConfig(str(tmp_path), bf16=False, use_cpu=True), config)
    assert asked == [("my/gem", "v2")] * 2
