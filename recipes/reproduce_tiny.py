# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Makes the embedded model from PTB-XL alone, step by step; a step whose result is there already is left out.

python -m recipes.reproduce_tiny --ptbxl PTBXL --output outputs
"""

import argparse
import subprocess
import sys
from pathlib import Path

CONFIG = Path(__file__).parent / "configs" / "sft_tiny.yaml"
# The second part of the training, on labels alone, where it differs from the first.
GOING_ON = ["--whiten", "false", "--learning_rate", "5e-4", "--max_steps", "700"]


def steps(ptbxl: Path, output: Path) -> list[tuple[Path, list[str]]]:
    """What each step leaves behind when it is complete, and the module and arguments that make it."""
    towers = ["--ecg-tower", f"{output}/ecg_tower", "--vision-tower", f"{output}/vision_tower"]
    source, data, labels = ["--ptbxl", str(ptbxl)], f"{output}/tiny_data", f"{output}/tiny_labels"
    pretrain = ["recipes.pretrain_ecg", "--data", str(ptbxl), "--tower"]
    tiny = "recipes.build_tiny_gem"
    first, trained = f"{output}/tiny_first", f"{output}/tiny_sft"
    scores, soft = f"{output}/scores.json", f"{output}/soft_statements.json"
    learn = ["recipes.sft_cached", "--config", str(CONFIG), "--states", f"{output}/tiny_states"]
    grounding = f"{output}/grounding"
    finished = ["--grounding", grounding, "--data", data, "--output", f"{output}/gem-ecg-tiny"]
    ecg = ["--epochs", "18", "--simulated", "1200", "--soft", soft, "--output", f"{output}/ecg_tower"]
    return [
        (output / "soft_statements.json", ["recipes.soft_statements", "--data", str(ptbxl), "--output", soft]),
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
        (
            output / "tiny_first" / "training_log.json",
            [*learn, "--model_name_or_path", f"{output}/tiny_start", "--dataset", data, "--output_dir", first],
        ),
        (
            output / "tiny_sft" / "training_log.json",
            [*learn, *GOING_ON, "--model_name_or_path", first, "--dataset", labels, "--output_dir", trained],
        ),
        (output / "scores.json", ["recipes.evaluate_ptbxl", *source, "--model", trained, "--output", scores]),
        (
            output / "grounding" / "report.json",
            ["recipes.cli", "eval", "grounding", str(ptbxl), "--model", trained, "-o", grounding],
        ),
        (
            output / "gem-ecg-tiny" / "README.md",
            [tiny, "finish", "--first", first, "--trained", trained, "--scores", scores, *towers, *finished],
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptbxl", type=Path, required=True, help="PTB-XL: its folder as published, or Parquet files")
    parser.add_argument("--output", type=Path, default=Path("outputs"))
    parser.add_argument("--dry-run", action="store_true", help="only print the commands that are left")
    arguments = parser.parse_args()
    for result, (module, *rest) in steps(arguments.ptbxl, arguments.output):
        if result.exists():
            print(f"done: {result}")
            continue
        print(f"python -m {module} {' '.join(rest)}", flush=True)
        if not arguments.dry_run:
            subprocess.run([sys.executable, "-m", module, *rest], check=True)


if __name__ == "__main__":
    main()
