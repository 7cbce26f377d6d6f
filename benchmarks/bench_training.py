# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The overhead of training a GEM: a step compared with its towers and language model alone, the loader compared with the step,
memory with and without gradient checkpointing, a step of GRPO with prompts that are read once for all their answers compared with one
that reads them anew for each, and a table of memory and throughput by formula.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/bench_training.py
    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/bench_training.py step --model outputs/small_start --batch 2
    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/bench_training.py grpo --rounds 3
    python benchmarks/bench_training.py table

Times are CPU seconds of one thread; the runs take turns, and the minimum of several rounds is reported. Data: simulated ECGs with
drawn pages. Memory is the peak resident set of a separate process, minus that of the model and its optimizer.
"""

import argparse
import functools
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import Array2D, Dataset, Features, Image, List, Value
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, SFTConfig

from modeling_gem import default_checkpoint
from processing.ecg_page import render_ecg
from processing.simulator.simulator import simulate_ecg
from recipes.training.collator import GemDataCollator
from recipes.training.grounding_rewards import form_reward
from recipes.training.grpo_trainer import GemGRPOTrainer
from recipes.training.towers import freeze_towers
from recipes.training.trainer import GemSFTTrainer

PARTS = ("step", "loader", "memory", "grpo", "table")
PROMPTS, ANSWERS = 6, 8  # of a step of GRPO
ANSWER = (
    "Sinus rhythm at 72 bpm. PR interval 160 ms, QRS duration 92 ms, QT interval 400 ms. Normal axis. In lead V2 the ST "
    "segment is at the baseline, in lead II every QRS follows a P wave. No sign of infarction, hypertrophy or block."
)
FEATURES = Features(
    {
        "ecg": Array2D((12, 5000), "float32"),
        "sampling_rate": Value("float32"),
        "image": Image(),
        "messages": List({"role": Value("string"), "content": Value("string")}),
    }
)


def samples(count: int, edge: int) -> Iterator[dict[str, Any]]:
    for seed in range(count):
        record = simulate_ecg(seed=seed).record
        yield {
            "ecg": record.signal,
            "sampling_rate": record.sampling_rate,
            "image": render_ecg(record, layout="square_12x1", size=(edge, edge)).to_pil(),
            "messages": [
                {"role": "user", "content": "Interpret this ECG."},
                {"role": "assistant", "content": ANSWER},
            ],
        }


def dataset(count: int, edge: int = 336) -> Dataset:
    data = Dataset.from_list(list(samples(count, edge)), features=FEATURES)
    return data.with_format("numpy", columns=["ecg"], output_all_columns=True)


def least_seconds(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    best = dict.fromkeys(runs, float("inf"))
    for name, run in itertools.chain(*[list(runs.items())[:: 1 if i % 2 else -1] for i in range(rounds + 1)]):
        started = time.process_time()
        run()
        best[name] = min(best[name], time.process_time() - started)
    return best


def gem_trainer(source: str, data: Dataset, batch: int, folder: str) -> GemSFTTrainer:
    model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.float32)
    freeze_towers(model)
    processor = AutoProcessor.from_pretrained(source)
    return GemSFTTrainer(
        model=model,
        args=training_arguments(folder, batch),
        train_dataset=data,
        processing_class=processor,
        data_collator=GemDataCollator(processor, assistant_only_loss=True),
    )


def training_arguments(folder: str, batch: int) -> SFTConfig:
    return SFTConfig(
        output_dir=folder,
        per_device_train_batch_size=batch,
        max_steps=1000,
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        report_to="none",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def bench_step(source: str, batch_size: int, rounds: int) -> None:
    """Forward, loss, backward, AdamW: GEM in its trainer; GEM without trainer; the same towers and a text-only language
    model of the same weights on as many tokens, which is what cannot be saved."""
    with tempfile.TemporaryDirectory() as folder:
        data = dataset(batch_size)
        trainer = gem_trainer(source, data, batch_size, folder)
        model = trainer.model.train()
        trainer.create_optimizer()
        batch = trainer.data_collator([data[i] for i in range(batch_size)])
        text = AutoModelForCausalLM.from_config(model.config.text_config, dtype=torch.float32).train()
        text_optimizer = torch.optim.AdamW(text.parameters(), lr=1e-5)
        text_ids = batch["input_ids"].clamp(max=text.config.vocab_size - 1)

        def in_trainer() -> None:
            trainer.training_step(model, dict(batch), torch.tensor(1.0))
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()

        def without_trainer() -> None:
            model(**batch).loss.backward()
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()

        def bare() -> None:
            with torch.no_grad():
                model.model.ecg_tower(batch["ecg_values"])
                model.model.vision_tower(batch["pixel_values"])
            text(input_ids=text_ids, attention_mask=batch["attention_mask"], labels=batch["labels"]).loss.backward()
            text_optimizer.step()
            text_optimizer.zero_grad()

        seconds = least_seconds({"in trainer": in_trainer, "GEM alone": without_trainer, "parts bare": bare}, rounds)
    tokens = int(batch["attention_mask"].sum())
    print(f"step of {batch_size} samples, {tokens} tokens ({source}):")
    for name, value in seconds.items():
        rates = f"{tokens / value:8.0f} tokens/s {batch_size / value:7.2f} samples/s"
        print(f"  {name:12s} {1000 * value:8.0f} CPU ms {rates}  x {value / seconds['parts bare']:.3f} of the parts")


def bench_loader(source: str, batch_size: int, rounds: int) -> None:
    """CPU time per sample to build batches, against that of a step; 2 workers on cores of their own give twice the rate."""
    with tempfile.TemporaryDirectory() as folder:
        data = dataset(batch_size)
        trainer = gem_trainer(source, data, batch_size, folder)
        model, collator = trainer.model.train(), trainer.data_collator
        batch = collator([data[i] for i in range(batch_size)])

        def step() -> None:
            model(**batch).loss.backward()
            model.zero_grad()

        runs = {"loader": lambda: collator([data[i] for i in range(batch_size)]), "step": step}
        seconds = least_seconds(runs, rounds)
    per_sample = {name: 1000 * value / batch_size for name, value in seconds.items()}
    print(
        f"loader {per_sample['loader']:.1f} CPU ms per sample, step {per_sample['step']:.1f}: "
        f"2 workers load {2 * per_sample['step'] / per_sample['loader']:.1f} times as fast as one core trains"
    )


def bench_memory(source: str, batch_size: int) -> None:
    print(f"peak memory of a step of {batch_size} samples above model and optimizer ({source}):")
    for checkpointing in (False, True):
        command = [sys.executable, "-W", "ignore", __file__, "_memory", "--model", source, "--batch", str(batch_size)]
        command += ["--checkpointing"] * checkpointing
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"  {'with' if checkpointing else 'without'} gradient checkpointing: {float(result.stdout):.0f} MB")


def measure_memory(source: str, batch_size: int, checkpointing: bool) -> None:
    data = dataset(batch_size)
    model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.float32).train()
    freeze_towers(model)
    if checkpointing:
        model.gradient_checkpointing_enable()
    collator = GemDataCollator(AutoProcessor.from_pretrained(source), assistant_only_loss=True)
    batch = collator([data[i] for i in range(batch_size)])
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    torch.optim.AdamW([p for p in model.parameters() if p.requires_grad]).step()
    # Loading peaked higher than it holds: 5 sets the kernel's high-water mark back to what is resident (Linux).
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_megabytes()
    # Labels of the answers alone, as TRL's fused head: full logits would hide what the blocks need.
    hidden = model.model(**{key: value for key, value in batch.items() if key != "labels"}, use_cache=False)
    hidden.last_hidden_state.float().square().mean().backward()
    print(peak_megabytes() - before)


class RowByRow(GemGRPOTrainer):
    """Every answer is written and scored behind a prompt of its own, as in TRL."""

    _shares_prompts = False


def bench_grpo(source: str, rounds: int) -> None:
    """A step of `PROMPTS` prompts with signal and page, `ANSWERS` answers each."""
    data = dataset(PROMPTS)
    rows = [row for row in data for _ in range(ANSWERS)]

    def step(trainer: GemGRPOTrainer) -> None:
        torch.manual_seed(0)  # the same answers in all runs
        loss = trainer._compute_loss(trainer.model, trainer._generate_and_score_completions(rows))
        loss.backward()
        trainer.model.zero_grad()

    runs = {}
    for kind in (GemGRPOTrainer, RowByRow):
        model = AutoModelForImageTextToText.from_pretrained(source, dtype="float32")
        freeze_towers(model)
        with tempfile.TemporaryDirectory() as folder:
            trainer = kind(
                model, [form_reward], grpo_arguments(folder), train_dataset=data, processing_class=AutoProcessor.from_pretrained(source)
            )  # fmt: skip
        trainer.current_gradient_accumulation_steps = 1  # as Transformers' loop sets it
        trainer.model.train()
        runs[kind.__name__] = functools.partial(step, trainer)
    seconds = least_seconds(runs, rounds)
    shared, alone = seconds[GemGRPOTrainer.__name__], seconds[RowByRow.__name__]
    print(
        f"GRPO, {PROMPTS} prompts x {ANSWERS} answers: {shared:.1f} s, row by row {alone:.1f} s, {alone / shared:.2f} x"
    )


def grpo_arguments(folder: str) -> GRPOConfig:
    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=PROMPTS * ANSWERS,
        num_generations=ANSWERS,
        max_completion_length=128,
        temperature=0.9,
        beta=0.02,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
    )


def peak_megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


# A 7B GEM by formula. LLaMA-7B body and head, CLIP ViT-L/14-336 and ECG-CoCa (frozen), both projectors.
LANGUAGE, TOWERS, PROJECTORS, LORA = 6.74e9, 0.39e9, 0.022e9, 0.16e9
LAYERS, WIDTH, TOKENS = 32, 4096, 1000
PEAK_FLOPS, UTILISATION, GB = 312e12, 0.4, 1e9


def memory_rows(
    devices: int, per_device_batch: int, length: int, peak_flops: float = PEAK_FLOPS
) -> Iterator[tuple[str, str, float, float]]:
    """Method, sharding, GB per GPU, samples per second on all GPUs. Bytes per trained parameter: 4 weight, 4 gradient,
    8 Adam (bf16 autocast); a bf16 working copy where the library keeps one. Activations: checkpoints of every block
    (2 bytes x width per token) and one block in full (34 bytes x width per token, flash attention)."""
    activations = per_device_batch * length * WIDTH * (2 * LAYERS + 34) / GB
    trained, frozen = LANGUAGE + PROJECTORS, TOWERS
    full = {
        "DDP": 16 * trained + 2 * trained + 2 * frozen,
        "ZeRO-2": 2 * trained + 2 * frozen + (2 + 12) * trained / devices,
        "ZeRO-3": 2 * frozen / devices + 16 * trained / devices + 2 * trained / LAYERS * 2,
        "FSDP2": 2 * frozen / devices + 16 * trained / devices + 2 * trained / LAYERS * 2,
    }
    adapter = LORA + PROJECTORS
    lora = {
        "DDP": 2 * (LANGUAGE + frozen) + 16 * adapter,
        "FSDP2": (2 * (LANGUAGE + frozen) + 16 * adapter) / devices + 2 * LANGUAGE / LAYERS * 2,
    }
    qlora = {"DDP": 0.53 * LANGUAGE + 2 * frozen + 14 * adapter}
    # Operations per token and parameter: forward 2, again 2 (checkpointing), backward 2 through and 2 into the weights.
    for method, sharded, operations in (("full", full, 8), ("LoRA", lora, 6), ("QLoRA", qlora, 6)):
        slower = 1.3 if method == "QLoRA" else 1.0  # weights are unpacked in every pass
        rate = devices * peak_flops * UTILISATION / (operations * LANGUAGE * TOKENS * slower)
        for name, weights in sharded.items():
            yield method, name, weights / GB + activations, rate


def print_table(devices: int = 8, per_device_batch: int = 4, length: int = 1000) -> None:
    print("| trained | sharding | GB per GPU | samples/s on 8 GPUs | hours for 1 M samples |")
    print("|---|---|---|---|---|")
    for method, sharding, memory, rate in memory_rows(devices, per_device_batch, length):
        print(f"| {method} | {sharding} | {memory:.0f} | {rate:.0f} | {1e6 / rate / 3600:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--model", default=str(default_checkpoint()))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checkpointing", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.parts == ["_memory"]:
        measure_memory(arguments.model, arguments.batch, arguments.checkpointing)
        return
    for part in arguments.parts or PARTS:
        if part == "step":
            bench_step(arguments.model, arguments.batch, arguments.rounds)
        elif part == "loader":
            bench_loader(arguments.model, arguments.batch, arguments.rounds)
        elif part == "memory":
            bench_memory(arguments.model, arguments.batch)
        elif part == "grpo":
            bench_grpo(arguments.model, arguments.rounds)
        elif part == "table":
            print_table()
        else:
            parser.error(f"no part {part!r}; there are {', '.join(PARTS)}")


if __name__ == "__main__":
    main()
