# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The parts of `gpu_check.py`: each runs cases on the GPU, or with tiny shapes on a CPU, and writes a row for each."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from modeling_gem import GemForConditionalGeneration

ROOT = Path(__file__).resolve().parents[1]
Figures = dict[str, Any]
# Largest difference of a logit, in standard deviations of the logits. On a CPU float32 is off by 3e-6 and bfloat16 by 0.06; a token
# that sees the wrong ones, or is at the wrong place, by 1 and more.
LIMITS = {"float32": 1e-3, "bfloat16": 0.2}
ATTENTION = ("eager", "sdpa", "flash_attention_2", "flex_attention")
ANSWER_TOKENS = 16
STEPS = 4  # of training; the first is not timed
H100_FLOPS = 989e12  # bfloat16, dense: NVIDIA's data sheet of the H100 SXM


class Rows:
    """Runs the cases of a part and writes one JSON line for each, at once: a part that is killed keeps what it had."""

    def __init__(self, part: str, file: Path, dry_run: bool) -> None:
        self.part, self.file, self.dry_run = part, file, dry_run

    @property
    def device(self) -> str:
        return "cpu" if self.dry_run else "cuda"

    def case(self, name: str, check: Callable[[], Figures]) -> None:
        started = time.perf_counter()
        try:
            row = {"result": "ok", **check()}
        except ModuleNotFoundError as error:
            row = {"result": "not run", "note": f"{error.name} is not installed"}
        except Exception as error:  # whatever a driver, kernel or library raises is what this is about
            reason = str(error).strip().splitlines() or [""]
            row = {"result": "FAILED", "note": f"{type(error).__name__}: {reason[0][:160]}"}
        row = {"part": self.part, "case": name, **row, "seconds": round(time.perf_counter() - started, 2)}
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.free()

    def free(self) -> None:
        import gc

        import torch

        gc.collect()
        if not self.dry_run:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_gb(self) -> float | None:
        import torch

        return None if self.dry_run else round(torch.cuda.max_memory_allocated() / 1e9, 2)


@contextmanager
def seconds_of(rows: Rows) -> Iterator[list[float]]:
    """Seconds of what is inside, until the device is done with it."""
    import torch

    def now() -> float:
        if not rows.dry_run:
            torch.cuda.synchronize()
        return time.perf_counter()

    taken: list[float] = []
    started = now()
    yield taken
    taken.append(now() - started)


def parity(rows: Rows) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from modeling_gem import default_checkpoint
    from processing.simulator.simulator import simulate_ecg

    source = default_checkpoint()
    processor = AutoProcessor.from_pretrained(source)
    inputs = processor.apply_chat_template(
        processor.build_conversation(simulate_ecg(seed=1).record, question="Interpret this ECG."),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )

    def run(device: str, dtype: str, attention: str, compiled: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        model = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype, attn_implementation=attention)
        model = model.to(device).eval()
        there = {
            k: v.to(device, getattr(torch, dtype)) if v.is_floating_point() else v.to(device)
            for k, v in inputs.items()
        }
        with torch.no_grad():
            ids = None if compiled else model.generate(**there, max_new_tokens=ANSWER_TOKENS, do_sample=False).cpu()
            # Without a compiler behind it the dry run still shows that the graph is one piece.
            forward = (
                torch.compile(model, fullgraph=True, backend="eager" if rows.dry_run else "inductor")
                if compiled
                else model
            )
            return forward(**there, use_cache=False).logits.float().cpu(), ids

    reference, text = run("cpu", "float32", "eager")

    def compare(dtype: str, attention: str, compiled: bool) -> Figures:
        if attention == "flash_attention_2":
            import flash_attn  # noqa: F401 (Transformers would look for its kernels on the Hub)
        logits, ids = run(rows.device, dtype, attention, compiled)
        difference = float((logits - reference).abs().max() / reference.std())
        if not difference <= LIMITS[dtype]:
            raise ArithmeticError(
                f"logits are off by {difference:.2g} standard deviations, allowed are {LIMITS[dtype]}"
            )
        figures: Figures = {"off_by_std": float(f"{difference:.2g}")}
        return figures if ids is None else figures | {"same_text": bool(torch.equal(ids, text))}

    for dtype in LIMITS:
        for attention in ATTENTION:
            if dtype == "float32" and attention == "flash_attention_2":
                continue  # it computes in 16 bit alone
            if rows.dry_run and attention == "flex_attention":
                continue  # compiled kernels alone
            rows.case(
                f"{dtype} {attention}", lambda dtype=dtype, attention=attention: compare(dtype, attention, False)
            )
        rows.case(f"{dtype} sdpa, compiled", lambda dtype=dtype: compare(dtype, "sdpa", True))


def batch(rows: Rows) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from modeling_gem import default_checkpoint
    from processing.simulator.simulator import simulate_ecg

    source = default_checkpoint()
    processor = AutoProcessor.from_pretrained(source)
    asked = [
        ("both", "Interpret this ECG."),
        ("signal", "What is the heart rate?"),
        ("image", "Normal?"),
        ("both", "Axis?"),
    ]
    chats = [
        processor.build_conversation(simulate_ecg(seed=seed).record, question=question, modality=modality)
        for seed, (modality, question) in enumerate(asked)
    ]

    def compare(dtype: str) -> Figures:
        kind = getattr(torch, dtype)
        model = AutoModelForImageTextToText.from_pretrained(source, dtype=kind, attn_implementation="sdpa")
        model = model.to(rows.device).eval()

        def answer(these: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
            inputs = processor.apply_chat_template(
                these,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
            )
            inputs = {
                k: v.to(rows.device, kind) if v.is_floating_point() else v.to(rows.device) for k, v in inputs.items()
            }
            with torch.no_grad():
                logits = model(**inputs, logits_to_keep=1).logits[:, -1].float().cpu()
                ids = model.generate(
                    **inputs, max_new_tokens=ANSWER_TOKENS, min_new_tokens=ANSWER_TOKENS, do_sample=False
                )
            return logits, ids[:, inputs["input_ids"].shape[1] :].cpu()

        together, alone = answer(chats), [answer([chat]) for chat in chats]
        expected = torch.cat([logits for logits, _ in alone])
        difference = float((together[0] - expected).abs().max() / expected.std())
        same = sum(torch.equal(row, ids[0]) for row, (_, ids) in zip(together[1], alone, strict=True))
        if not difference <= LIMITS[dtype]:
            raise ArithmeticError(
                f"logits are off by {difference:.2g} standard deviations, allowed are {LIMITS[dtype]}"
            )
        return {"off_by_std": float(f"{difference:.2g}"), "same_text": f"{same} of {len(chats)}"}

    for dtype in LIMITS:
        rows.case(f"{dtype}, 4 rows", lambda dtype=dtype: compare(dtype))


def random_model(rows: Rows) -> "GemForConditionalGeneration":
    """7B by the defaults of its parts' configurations, in bfloat16, made on the device."""
    import torch

    from modeling_gem import GemConfig, GemForConditionalGeneration
    from tests.helpers.tiny_gem import tiny_config

    with torch.device(rows.device):
        return GemForConditionalGeneration._from_config(
            tiny_config() if rows.dry_run else GemConfig(), dtype=torch.bfloat16
        )


def random_batch(rows: Rows, model: "GemForConditionalGeneration", count: int) -> dict[str, "torch.Tensor"]:
    """Samples of 1,000 tokens: an ECG, a picture, a question; the last 300 are the answer. 64 and 20 in the dry run."""
    import torch

    config = model.config
    length, answer = (64, 20) if rows.dry_run else (1000, 300)
    side, patch = config.vision_config.image_size, config.vision_config.patch_size
    ecg, image = config.ecg_config.num_tokens, (side // patch) ** 2
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, config.text_config.vocab_size - 2, (count, length), generator=generator)
    ids[:, 1 : 1 + ecg] = config.ecg_token_id
    ids[:, 1 + ecg : 1 + ecg + image] = config.image_token_id
    labels = ids.clone()
    labels[:, :-answer] = -100
    signal = torch.randn(count, 12, config.ecg_config.seq_length, generator=generator)
    pixels = torch.randn(count, 3, side, side, generator=generator)
    tensors = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    return tensors | {"ecg_values": signal.bfloat16(), "pixel_values": pixels.bfloat16()}


def large(rows: Rows) -> None:
    import torch

    built: list[GemForConditionalGeneration] = []

    def build() -> Figures:
        with seconds_of(rows) as taken:
            built.append(random_model(rows).eval())
        size = sum(parameter.numel() for parameter in built[0].parameters())
        return {"parameters": f"{size / 1e9:.2f} G", "build_s": round(taken[0], 1), "peak_gb": rows.peak_gb()}

    def inputs(count: int) -> dict[str, torch.Tensor]:
        return {
            key: value.to(rows.device) for key, value in random_batch(rows, built[0], count).items() if key != "labels"
        }

    def forward() -> Figures:
        given = inputs(4)
        with torch.no_grad():
            built[0](**given, logits_to_keep=1)
            with seconds_of(rows) as taken:
                logits = built[0](**given, logits_to_keep=1).logits
        if not bool(torch.isfinite(logits).all()):
            raise ArithmeticError("logits are not finite")
        return {"tokens_per_s": round(given["input_ids"].numel() / taken[0]), "peak_gb": rows.peak_gb()}

    def generate(count: int) -> Figures:
        given, new = inputs(count), 4 if rows.dry_run else 64
        with torch.no_grad(), seconds_of(rows) as taken:
            ids = built[0].generate(**given, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
        if ids.shape != (count, given["input_ids"].shape[1] + new):
            raise ArithmeticError(f"generated {tuple(ids.shape)}")
        return {"tokens_per_s": round(count * new / taken[0], 1), "peak_gb": rows.peak_gb()}

    rows.case("build", build)
    rows.case("forward, 4 samples", forward)
    rows.case("generate, 1 row", lambda: generate(1))
    rows.case("generate, 8 rows", lambda: generate(8))
    rows.case("LoRA, 4 samples a step", lambda: lora_steps(rows, built.pop(), "LoRA"))


def lora_steps(rows: Rows, model: "GemForConditionalGeneration", method: str) -> Figures:
    """Steps of `GemSFTTrainer` as `sft_lora.yaml` and `sft_qlora.yaml` take them, beside the formulas of docs/training.md."""
    import torch
    from bench_training import memory_rows
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import ModelConfig, SFTConfig

    from recipes.training.sft import adapter_config
    from recipes.training.towers import freeze_towers
    from recipes.training.trainer import GemSFTTrainer, keep_trained_in_float32
    from tests.helpers.tiny_gem import tiny_processor

    count = 4
    fixed = random_batch(rows, model, count)

    class StepTimes(TrainerCallback):
        ends: list[float] = []

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if not rows.dry_run:
                torch.cuda.synchronize()
            self.ends.append(time.perf_counter())

    freeze_towers(model)
    settings = ModelConfig(use_peft=True, lora_r=64, lora_alpha=128, lora_dropout=0.05)
    with tempfile.TemporaryDirectory() as folder:
        trainer = GemSFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=folder,
                max_steps=STEPS,
                per_device_train_batch_size=count,
                bf16=True,
                use_cpu=rows.dry_run,
                gradient_checkpointing=True,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            train_dataset=Dataset.from_list([{"messages": []}] * count * STEPS),
            processing_class=tiny_processor(),
            peft_config=adapter_config(model, settings),
            data_collator=lambda examples: dict(fixed),
            callbacks=[timer := StepTimes()],
        )
        keep_trained_in_float32(trainer.model)
        trainer.train()
    step = (timer.ends[-1] - timer.ends[0]) / (STEPS - 1)
    length = fixed["input_ids"].shape[1]
    figures = {
        "samples_per_s": round(count / step, 2),
        "tokens_per_s": round(count * length / step),
        "peak_gb": rows.peak_gb(),
    }
    if rows.dry_run:
        return figures
    estimates = memory_rows(1, count, length, H100_FLOPS)
    memory, rate = next(row[2:] for row in estimates if row[:2] == (method, "DDP"))
    return figures | {"formula_gb": round(memory, 1), "formula_samples_per_s": round(rate, 2)}


def qlora(rows: Rows) -> None:
    def steps() -> Figures:
        model = random_model(rows)
        quantise(model.model.language_model)
        model.is_loaded_in_4bit = True  # as `from_pretrained` marks it, which needs a checkpoint of 14 GB on the disk
        return lora_steps(rows, model, "QLoRA")

    rows.case("QLoRA, 4 samples a step", steps)


def quantise(language_model: "torch.nn.Module") -> None:
    """Every linear layer in NF4 with quantised scales, as `sft_qlora.yaml` asks for."""
    import bitsandbytes
    import torch

    for parent in list(language_model.modules()):
        for name, layer in parent.named_children():
            if type(layer) is torch.nn.Linear:
                device, weight = layer.weight.device, layer.weight.data
                packed = bitsandbytes.nn.Linear4bit(
                    layer.in_features,
                    layer.out_features,
                    bias=False,
                    compute_dtype=torch.bfloat16,
                    quant_type="nf4",
                    device="meta",
                )
                packed.weight = bitsandbytes.nn.Params4bit(
                    weight, requires_grad=False, compress_statistics=True, quant_type="nf4", module=packed
                ).to(device)
                setattr(parent, name, packed)


def launch(rows: Rows) -> None:
    from tests.helpers.distributed_training import Result, command, write_inputs

    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder)
        write_inputs(inputs)
        results: dict[str | None, Result] = {}
        precision = ["--bf16", "false" if rows.dry_run else "true"]

        def train(sharding: str | None) -> Figures:
            if sharding in ("zero2", "zero3"):
                import deepspeed  # noqa: F401
            output = inputs / str(sharding)
            line = command(inputs, output, sharding, precision, processes=1, on_cpu=rows.dry_run)
            done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)
            if done.returncode:
                raise RuntimeError(last_error(done.stderr))
            results[sharding] = Result.of(output)
            if sharding is None:
                return {"last_loss": round(float(results[None].steps[-1, 0]), 4)}
            off = float((results[sharding].steps - results[None].steps)[:, 0].abs().max())
            # With bfloat16 they round at other places.
            if not off <= (1e-4 if rows.dry_run else 0.05):
                raise ArithmeticError(f"losses are off by {off:.2g}")
            return {"losses_off_by": float(f"{off:.2g}")}

        rows.case("no launcher", lambda: train(None))
        for sharding in ("ddp", "fsdp2", "zero2", "zero3"):
            rows.case(f"{sharding}, 1 process", lambda sharding=sharding: train(sharding))


def last_error(text: str) -> str:
    """The line that says what went wrong; launchers print a summary of theirs after it."""
    lines = [line.strip() for line in text.splitlines() if "Error" in line and "ChildFailedError" not in line]
    return lines[0][:300] if lines else "ended without a message"


def environment() -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
