# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Trains the tiny GEM on 1 or 2 processes in each way; run by tests/recipes/training/test_distributed.py through torchrun.

python -m tests.helpers.distributed_training OUTPUT
"""

import os
import sys
from pathlib import Path

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from peft import LoraConfig
from safetensors.torch import save_file
from trl import SFTConfig

from recipes.training.collator import GemDataCollator
from recipes.training.sft import PROJECTORS, language_model_linears
from recipes.training.trainer import GemSFTTrainer, freeze_towers
from tests.helpers.tiny_gem import picture, signal, tiny_model, tiny_processor

STEPS = 4
GLOBAL_BATCH = 4
WORLD = int(os.environ.get("WORLD_SIZE", 1))
RANK = int(os.environ.get("RANK", 0))
ANSWERS = ("Sinus rhythm.", "QRS duration. " * 6, "PR interval, PR interval.", "Sinus rhythm, QRS duration.")


def example(number: int) -> dict:
    """Two processes take samples 0, 1 and 2, 3 of each step: one of them sees no picture or no ECG, or has none at all,
    and their answers differ in length."""
    step, place = divmod(number, GLOBAL_BATCH)
    has_ecg, has_image = [
        ((True, False), (False, True)),
        ((True, True), (False, False)),
        ((False, True), (True, False)),
    ][step % 3][place // 2]
    return {
        "id": str(number),
        "ecg": signal(number).tolist() if has_ecg else None,
        "sampling_rate": 500.0,
        "images": [picture(number)] if has_image else [],
        "messages": [
            {"role": "user", "content": "Interpret this ECG."},
            {"role": "assistant", "content": ANSWERS[number % 4]},
        ],
    }


def collator() -> GemDataCollator:
    return GemDataCollator(tiny_processor(), assistant_only_loss=True, image_only=True)


class Examples(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return STEPS * GLOBAL_BATCH

    def __getitem__(self, index: int) -> dict:
        return example(index)


def train_with_trainer(output: Path, lora: bool) -> None:
    from datasets import Dataset, Features, Image, List, Value

    features = Features(
        {
            "id": Value("string"),
            "ecg": List(List(Value("float32"))),
            "sampling_rate": Value("float32"),
            "images": List(Image()),
            "messages": List({"role": Value("string"), "content": Value("string")}),
        }
    )
    model = tiny_model()
    freeze_towers(model)
    adapter = LoraConfig(
        r=4, target_modules=language_model_linears(model), modules_to_save=PROJECTORS, task_type="CAUSAL_LM"
    )
    arguments = SFTConfig(
        output_dir=str(output / "run"),
        max_steps=STEPS,
        per_device_train_batch_size=GLOBAL_BATCH // 2 if lora else GLOBAL_BATCH // WORLD,
        gradient_accumulation_steps=2 // WORLD if lora else 1,
        learning_rate=0.02,
        lr_scheduler_type="constant",
        optim="sgd",
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=True,
        ddp_find_unused_parameters=False,
        assistant_only_loss=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = GemSFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([example(i) for i in range(STEPS * GLOBAL_BATCH)], features=features),
        processing_class=tiny_processor(),
        data_collator=collator(),
        peft_config=adapter if lora else None,
    )
    assert trainer.accelerator.num_processes == WORLD
    trainer.train()
    losses = torch.tensor([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    if RANK == 0:
        save(trainer.model.state_dict(), output, losses)


def train_with_fsdp2(output: Path) -> None:
    """accelerate's own wrap, as `accelerate launch` with fsdp2.yaml does it on GPUs; with one process, plain training.
    Then an evaluation, which has to gather the weights of absent towers too."""
    accelerator = Accelerator(cpu=True)
    model = tiny_model()
    freeze_towers(model)
    model.train()
    model.gradient_checkpointing_enable()
    if WORLD > 1:
        accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            reshard_after_forward=True,
            cpu_ram_efficient_loading=False,
            state_dict_type="FULL_STATE_DICT",
        )
        model = fsdp2_prepare_model(accelerator, model)
    collate, losses = collator(), []
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.02)
    share = GLOBAL_BATCH // WORLD
    for step in [*range(STEPS), *range(STEPS)]:
        first = step * GLOBAL_BATCH + RANK * share
        batch = collate([example(i) for i in range(first, first + share)])
        tokens = accelerator.reduce((batch["labels"][:, 1:] != -100).sum(), "sum")
        if len(losses) >= STEPS:
            model.eval()
            with torch.no_grad():
                losses.append(model(**batch, num_items_in_batch=tokens).loss)
            continue
        # FSDP2 averages gradients over the processes, the loss is a sum over all tokens.
        loss = model(**batch, num_items_in_batch=tokens).loss
        (loss * WORLD).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    total = accelerator.reduce(torch.stack(losses), "sum").detach()
    weights = {k: v.full_tensor() if hasattr(v, "full_tensor") else v for k, v in model.state_dict().items()}
    if RANK == 0:
        save(weights, output, total)
        model.save_pretrained(output / "model", state_dict={k: v.clone() for k, v in weights.items()})
    accelerator.wait_for_everyone()


def save(weights: dict, output: Path, losses: torch.Tensor) -> None:
    output.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().clone().contiguous() for name, value in weights.items()}
    save_file({**tensors, "losses": losses.float()}, output / "result.safetensors")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    train_with_trainer(folder / "ddp", lora=False)
    train_with_trainer(folder / "ddp_lora", lora=True)
    train_with_fsdp2(folder / "fsdp2")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
