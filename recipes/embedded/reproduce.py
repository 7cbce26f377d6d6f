# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Makes the embedded model from PTB-XL alone, step by step; a step whose result is there already is left out.

python -m recipes.embedded.reproduce --ptbxl PTBXL --output outputs
"""

import os
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from recipes.console import run_command

CONFIG = Path(__file__).parents[1] / "configs" / "sft_tiny.yaml"
# glibc gives the memory of a training step back to the system and asks for it again in the next; what is kept costs no time.
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
}


class Part(NamedTuple):
    """A part of the language model's training: its data, and where it differs from the configuration."""

    data: str
    finding_weight: float = 1
    more: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """The arguments of this part of the training."""
        return [*self.more, *(["--finding_weight", f"{self.finding_weight:g}"] if self.finding_weight != 1 else [])]


GOING_ON = ("--whiten", "false", "--learning_rate", "5e-4", "--max_steps")
# Each goes on with the model of the one before.
PARTS = [
    Part("tiny_data"),
    Part("tiny_labels", more=(*GOING_ON, "1000")),
    Part("tiny_labels", 6, (*GOING_ON, "400")),
    Part("tiny_labels", 6, (*GOING_ON, "400", "--seed", "1")),
]


def part_folders(output: Path) -> list[Path]:
    """Where the model of each of `PARTS` is."""
    return [output / f"tiny_sft_{number}" for number in range(1, len(PARTS) + 1)]


def steps(ptbxl: Path, output: Path) -> list[tuple[Path, list[str]]]:
    """What each step leaves behind when it is complete, and the module and arguments that make it."""
    towers = ["--ecg-tower", f"{output}/ecg_tower", "--vision-tower", f"{output}/vision_tower"]
    source, data, labels = ["--ptbxl", str(ptbxl)], f"{output}/tiny_data", f"{output}/tiny_labels"
    pretrain = ["recipes.embedded.towers", "--data", str(ptbxl), "--tower"]
    tiny = "recipes.embedded.tiny"
    parts = [str(folder) for folder in part_folders(output)]
    last = list(chain.from_iterable(("--parts", part) for part in parts))
    scores, soft = f"{output}/scores.json", f"{output}/soft_statements.json"
    grounding = f"{output}/grounding"
    finished = ["--grounding", grounding, "--data", data, "--output", f"{output}/gem-ecg-tiny"]
    ecg = ["--epochs", "24", "--simulated", "1200", "--soft", soft, "--output", f"{output}/ecg_tower"]
    return [
        (
            output / "soft_statements.json",
            ["recipes.embedded.second_opinions", "--data", str(ptbxl), "--output", soft],
        ),
        (output / "ecg_tower" / "pretraining.json", [*pretrain, "ecg", *ecg]),
        (
            output / "vision_tower" / "pretraining.json",
            [*pretrain, "vision", "--epochs", "14", "--output", f"{output}/vision_tower"],
        ),
        (
            output / "tiny_labels" / "dataset_dict.json",
            [tiny, "data", *source, "--output", data, "--text-only", "--soft", soft, "--labels", labels],
        ),
        (
            output / "tiny_start" / "processor_config.json",
            [tiny, "assemble", *towers, "--data", data, "--soft", soft, "--output", f"{output}/tiny_start"],
        ),
        (
            output / "tiny_states" / "ids.json",
            [tiny, "states", *source, "--model", f"{output}/tiny_start", "--output", f"{output}/tiny_states"],
        ),
        *lessons(output),
        (output / "scores.json", ["recipes.embedded.scores", *source, "--model", parts[-1], "--output", scores]),
        (
            output / "grounding" / "report.json",
            ["recipes.cli", "eval", "grounding", str(ptbxl), "--model", parts[-1], "-o", grounding],
        ),
        (
            output / "gem-ecg-tiny" / "README.md",
            [tiny, "finish", *last, "--scores", scores, *towers, *finished],
        ),
    ]


def lessons(output: Path) -> list[tuple[Path, list[str]]]:
    """Those of `steps` in which the language model learns."""
    found, before = [], output / "tiny_start"
    for part, after in zip(PARTS, part_folders(output), strict=True):
        learn = [
            "recipes.embedded.sft_cached",
            "--config",
            str(CONFIG),
            "--states",
            f"{output}/tiny_states",
            *part.arguments,
        ]
        places = [
            "--model_name_or_path",
            f"{before}",
            "--dataset",
            f"{output}/{part.data}",
            "--output_dir",
            f"{after}",
        ]
        found.append((after / "training_log.json", [*learn, *places]))
        before = after
    return found


def main(
    ptbxl: Annotated[Path, typer.Option(help="PTB-XL: its folder as published, or Parquet files.")],
    output: Annotated[Path, typer.Option(help="Folder for what each step leaves behind.")] = Path("outputs"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the commands that are left.")] = False,
) -> None:
    """Make the embedded model from PTB-XL alone; a step whose result is there already is left out.

    Example: python -m recipes.embedded.reproduce --ptbxl PTBXL --output outputs
    """
    for result, (module, *rest) in steps(ptbxl, output):
        if result.exists():
            print(f"done: {result}")
            continue
        print(f"python -m {module} {' '.join(rest)}", flush=True)
        if not dry_run:
            start = time.monotonic()
            made = subprocess.run([sys.executable, "-m", module, *rest], env=KEEP_MEMORY | os.environ)
            if made.returncode:
                sys.exit(f"stopped: {result} was not made; the same command goes on from there.")
            print(f"made in {(time.monotonic() - start) / 60:.0f} min: {result}", flush=True)


if __name__ == "__main__":
    run_command(main)
