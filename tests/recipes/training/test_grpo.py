# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""GRPO on a GEM: ECGs and pictures are used in generation and in scoring, whatever the prompt's text holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig

from processing.errors_gem import PlaceholderError, TrainingError
from recipes.training.claim_credit import Part
from recipes.training.grpo import build_trainer, parse
from recipes.training.grpo_trainer import GemGRPOTrainer
from recipes.training.prompts import as_prompt
from recipes.training.sft import PROJECTORS, language_model_linears
from recipes.training.towers import freeze_towers
from tests.helpers.tiny_gem import picture, signal, tiny_model, tiny_processor

ROOT = Path(__file__).resolve().parents[3]


def by_turn(completions, **_):
    """A reward that differs within each group, for any text."""
    return [float(number % 4) for number in range(len(completions))]


def row(number: int, **changes) -> dict:
    messages = [
        {"role": "user", "content": "Interpret this ECG."},
        {"role": "assistant", "content": "Sinus rhythm. QRS duration."},
    ]
    plain = {"id": str(number), "ecg": signal(number), "sampling_rate": 500.0, "images": [picture(number)]}
    return {**plain, "messages": messages, **changes}


def rows() -> list[dict]:
    """Both modalities, each alone, and two ECGs compared."""
    two = {"ecg": [signal(7), signal(8)], "images": []}
    return [row(0), row(1, images=[]), row(2, ecg=None), row(3, **two), row(4), row(5)]


def dataset(examples: list[dict]) -> Dataset:
    """A list of rows; a table could not hold different numbers of ECGs."""
    return Dataset.from_dict({"number": list(range(len(examples)))}).with_transform(
        lambda batch: {name: [examples[number][name] for number in batch["number"]] for name in examples[0]}
    )


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    tiny_model().save_pretrained(folder)
    return folder


def trainer(
    start, output, reward=by_turn, data=None, model=None, peft_config=None, mix=None, claim_credit=0.0,
    kind=GemGRPOTrainer, **settings,
):  # fmt: skip
    arguments = GRPOConfig(
        output_dir=str(output),
        **{
            "per_device_train_batch_size": 4,
            "num_generations": 4,
            "gradient_accumulation_steps": 2,
            "max_completion_length": 8,
            "max_steps": 2,
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "report_to": [],
            "save_strategy": "no",
            "use_cpu": True,
            "bf16": False,
            "disable_tqdm": True,
        }
        | settings,
    )
    model = model or AutoModelForImageTextToText.from_pretrained(start, dtype="float32")
    return kind(
        model,
        reward,
        arguments,
        modality_mix=mix,
        claim_credit=claim_credit,
        train_dataset=dataset(data or rows()),
        processing_class=tiny_processor(),
        peft_config=peft_config,
    )


def towers_run(model) -> dict[str, list[int]]:
    """Fills up with the number of ECGs and pictures of every call."""
    seen: dict[str, list[int]] = {"ecg": [], "image": []}
    model.model.ecg_tower.register_forward_hook(lambda _, args, out: seen["ecg"].append(len(out[0])))
    model.model.vision_tower.register_forward_hook(lambda _, args, out: seen["image"].append(len(out[0])))
    return seen


def test_shared_prompts_train_the_same_weights(start, tmp_path):
    trained, untrained = [], AutoModelForImageTextToText.from_pretrained(start, dtype="float32")
    for checkpointing in (False, True):
        read = []
        settings = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "beta": 0.1}
        settings |= {"optim": "sgd", "learning_rate": 0.1}  # Adam makes steps of gradients that are rounding errors
        gem = trainer(start, tmp_path, gradient_checkpointing=checkpointing, **settings)
        gem.model.model.ecg_tower.register_forward_hook(
            lambda module, args, output, read=read: read.append(len(args[0])) if torch.is_grad_enabled() else None
        )
        gem.train()
        trained.append((dict(gem.model.named_parameters()), read))
    (shared, few), (separate, many) = trained
    assert 0 < 4 * sum(few) == sum(many)
    for name, weights in separate.items():
        torch.testing.assert_close(shared[name], weights, rtol=0, atol=1e-6)
    assert any(
        (weights != first).any() for weights, first in zip(shared.values(), untrained.parameters(), strict=True)
    )


@pytest.mark.parametrize("checkpointing", [False, True], ids=["prompts shared", "row by row"])
def test_answers_are_scored_with_all_that_their_prompt_shows(start, tmp_path, checkpointing):
    """The loss uses the probabilities of a plain forward pass over each row by itself."""
    settings = {"steps_per_generation": 6, "gradient_accumulation_steps": 6, "gradient_checkpointing": checkpointing}
    gem = trainer(start, tmp_path, temperature=0.7, **settings)
    gem.model.train()
    examples = [example for example in gem.train_dataset for _ in range(4)]
    batch = gem._generate_and_score_completions(examples)
    gem._media = batch["media"]
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    kept = batch["completion_ids"].shape[1]
    with torch.no_grad():
        scored, *_ = gem._get_per_token_logps_and_entropies(gem.model, ids, mask, kept, batch_size=5)
        for index, example in enumerate(examples):
            alone = gem.processing_class.apply_chat_template(
                as_prompt(gem.collator, example)["prompt"],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
            answer = batch["completion_ids"][index][batch["completion_mask"][index].bool()]
            alone["input_ids"] = torch.cat([alone["input_ids"], answer[None]], dim=1)
            alone.pop("attention_mask")
            logits = gem.model(**{k: v for k, v in alone.items() if k != "mm_token_type_ids"}).logits[0] / 0.7
            expected = logits[-len(answer) - 1 : -1].log_softmax(-1).gather(1, answer[:, None])[:, 0]
            torch.testing.assert_close(scored[index, : len(answer)], expected, rtol=0, atol=1e-4)


def test_shared_prompts_give_the_same_answers(start, tmp_path):
    """Greedy answers to prompts of different length and modalities, which are padded."""
    answers, seen = [], []
    for checkpointing in (False, True):
        gem = trainer(start, tmp_path, gradient_checkpointing=checkpointing, top_k=1)
        seen.append(towers_run(gem.model))
        examples = [example for example in gem.train_dataset for _ in range(4)]
        answers.append(gem._generate_and_score_completions(examples)["completion_ids"])
    assert torch.equal(*answers) and len(answers[0].unique(dim=0)) > 1
    for name in ("ecg", "image"):
        assert 4 * sum(seen[0][name]) == sum(seen[1][name]) > 0


def test_a_trained_model_draws_pages_as_before(start, tmp_path):
    gem = trainer(start, tmp_path, max_steps=1, save_strategy="steps", save_steps=1)
    gem.train()
    gem.save_model(str(tmp_path))
    gem.processing_class.save_pretrained(tmp_path / "by hand")
    for folder in (tmp_path, tmp_path / "checkpoint-1", tmp_path / "by hand"):
        assert AutoProcessor.from_pretrained(folder).draw_page
    assert not gem.processing_class.draw_page


@pytest.mark.parametrize("mix", [{"both": 1.0}, {"signal": 1.0}, {"image": 1.0}])
def test_all_answers_to_a_prompt_see_the_same_modality(start, tmp_path, mix):
    model = AutoModelForImageTextToText.from_pretrained(start, dtype="float32")
    seen = towers_run(model)
    data = [row(number) for number in range(4)]
    trainer(start, tmp_path, data=data, model=model, mix=mix).train()
    shown = {name for name, counts in seen.items() if any(count % 4 == 0 and count for count in counts)}
    assert shown == ({"ecg", "image"} if "both" in mix else {"ecg"} if "signal" in mix else {"image"})


def test_two_questions_about_one_record_keep_their_own_answers(start, tmp_path):
    asked = [{"role": "user", "content": "Duration."}, {"role": "assistant", "content": "QRS duration."}]
    gem = trainer(start, tmp_path, data=[row(0), row(0, messages=asked)])
    gem.model.train()
    prepared = gem._prepared([example for example in gem.train_dataset for _ in range(2)])
    assert [one["reference"] for one in prepared] == ["Sinus rhythm. QRS duration."] * 2 + ["QRS duration."] * 2
    assert prepared[0] is prepared[1]


@pytest.mark.parametrize("lora", [False, True])
def test_the_divergence_from_the_start_is_measured(start, tmp_path, lora):
    model = AutoModelForImageTextToText.from_pretrained(start, dtype="float32")
    adapter = None
    if lora:
        freeze_towers(model)
        adapter = LoraConfig(
            r=4, target_modules=language_model_linears(model), modules_to_save=PROJECTORS, task_type="CAUSAL_LM"
        )
    gem = trainer(start, tmp_path, model=model, peft_config=adapter, beta=0.05, max_steps=3)
    gem.train()
    divergence = [entry["kl"] for entry in gem.state.log_history if "kl" in entry]
    assert divergence[0] == pytest.approx(0, abs=1e-6) and divergence[-1] > 1e-5


def test_rows_of_a_published_file_show_a_page_where_its_pictures_are_not_here(start, tmp_path):
    published = tmp_path / "set.json"
    turns = [{"from": "human", "value": "<image>\nInterpret this ECG."}, {"from": "gpt", "value": "Sinus rhythm."}]
    names = ("normal", "atrial_flutter")
    rows_there = [
        {"id": name, "ecg": f"samples/{name}", "image": f"{name}.png", "conversations": turns} for name in names
    ]
    published.write_text(json.dumps(rows_there))
    tiny_processor().save_pretrained(start)
    given = f"--dataset {published} --ecg_files samples={ROOT / 'processing/samples'} --report_rows 0".split()
    given += ["--model_name_or_path", str(start), "--output_dir", str(tmp_path / "out"), "--report_to", "none"]
    given += ["--rewards", "labels", "form", "--num_generations", "4", "--per_device_train_batch_size", "4"]
    given += ["--max_steps", "1", "--max_completion_length", "4", "--use_cpu", "true", "--bf16", "false"]
    gem = build_trainer(*parse(given))
    seen = towers_run(gem.model)
    gem.train()
    assert seen["ecg"] and seen["image"] == seen["ecg"]


def test_rewards_see_the_record_and_the_answer_that_the_model_does_not(start, tmp_path):
    given = []

    def reward(completions, prompts, record, reference, **_):
        given.extend(zip(prompts, record, reference, strict=True))
        return by_turn(completions)

    trainer(start, tmp_path, reward=reward, mix={"image": 1.0}, data=[row(0), row(1)]).train()
    for prompt, record, reference in given:
        assert reference == "Sinus rhythm. QRS duration." and record.signal.shape == (12, 500)
        assert [message["role"] for message in prompt] == ["user"]
        assert {block["type"] for block in prompt[0]["content"]} == {"image", "text"}


def test_claims_get_credit_of_their_own(start, tmp_path, monkeypatch):
    """Of an answer's first claim, here; advantages are one number per token then, and training goes on with them."""
    monkeypatch.setattr(
        "recipes.training.claim_credit.judged_parts",
        lambda text, record: [Part(0, 1, "first letter", text[:1] < "n")],
    )
    gem = trainer(start, tmp_path, claim_credit=2.0, per_device_train_batch_size=8)
    gem.model.train()
    batch = gem._generate_and_score_completions([row(number // 4) for number in range(8)])
    whole, first = batch["advantages"][:, -1:], batch["advantages"][:, :1]
    assert batch["advantages"].shape == batch["completion_ids"].shape
    assert (batch["advantages"][:, 1:] == whole).all() and (first != whole).any()
    assert torch.allclose((first - whole).view(2, 4).sum(dim=1), torch.zeros(2), atol=1e-6)
    gem.train()
    assert any(entry.get("claim_credit", 0) > 0 for entry in gem.state.log_history)


def test_what_would_lose_the_ecg_or_teach_nothing_is_named(start, tmp_path):
    for setting in ("use_transformers_continuous_batching", "use_liger_kernel"):
        with pytest.raises(TrainingError, match="without ECGs"):
            trainer(start, tmp_path, **{setting: True})
    with pytest.raises(PlaceholderError, match=r"'9'.*no ECG and no picture"):
        trainer(start, tmp_path, data=[row(9, ecg=None, images=[]) for _ in range(2)]).train()
    with pytest.raises(TrainingError, match="None or NaN"):
        trainer(start, tmp_path, reward=lambda completions, **_: [None] * len(completions)).train()
    with pytest.raises(TrainingError, match="infinite"):
        trainer(start, tmp_path, reward=lambda completions, **_: [float("inf")] * len(completions)).train()
    with pytest.raises(TrainingError, match="cannot be called"):
        trainer(start, tmp_path, reward=lambda completions: [0.0])


def test_settings_are_checked_before_the_first_step(tmp_path):
    given = ["--dataset", "data", "--output_dir", str(tmp_path), "--use_cpu", "true", "--bf16", "false"]
    script, training, _ = parse([*given, "--rewards", "precision", "recall", "--reward_weights", "1", "0.5"])
    assert script.rewards == ["precision", "recall"] and training.reward_weights == [1.0, 0.5]
    with pytest.raises(TrainingError, match="`rewards` are some of"):
        parse([*given, "--rewards", "truth"])
    with pytest.raises(TrainingError, match="3 numbers for the 2 rewards"):
        parse([*given, "--rewards", "precision", "recall", "--reward_weights", "1", "1", "1"])


def test_two_processes_train_as_one(start, tmp_path):
    for processes in (1, 2):
        launcher = ["torch.distributed.run", "--nproc_per_node", "2", "--standalone", "-m"] if processes == 2 else []
        command = [*launcher, "tests.helpers.grpo_training", str(start), str(tmp_path / str(processes)), "0.05"]
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", *command],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, result.stderr[-3000:]
    alone, together = (load_file(tmp_path / str(n) / "model.safetensors") for n in (1, 2))
    before = load_file(start / "model.safetensors")
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=0, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")
    assert (alone["lm_head.weight"] - before["lm_head.weight"]).abs().max() > 1e-3


@pytest.mark.parametrize("sees", [False, True])
def test_training_without_a_single_ecg_is_said_once(start, sees, monkeypatch):
    said = []
    monkeypatch.setattr("modeling_gem.modeling_gem.logger.warning", said.append)
    model = AutoModelForImageTextToText.from_pretrained(start, dtype="float32").train()
    inputs = tiny_processor().apply_chat_template(
        row(0)["messages"][:1], tokenize=True, return_dict=True, return_tensors="pt"
    )
    if sees:
        block = {"type": "ecg", "ecg": signal(0), "sampling_rate": 500.0}
        chat = [{"role": "user", "content": [block, {"type": "text", "text": "Interpret this ECG."}]}]
        model(**tiny_processor().apply_chat_template(chat, tokenize=True, return_dict=True, return_tensors="pt"))
    with torch.no_grad():
        for _ in range(30):
            model(**inputs)
    assert not said, "generation and scoring are no training"
    for _ in range(50):
        model(**inputs)
    assert len(said) == (0 if sees else 1) and all("GemGRPOTrainer" in message for message in said)
