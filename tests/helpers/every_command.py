# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Runs every command of `gem` in this process and prints how each ended, as JSON; for environments that lack libraries.

python -m tests.helpers.every_command FOLDER MODULE,MODULE,...    (those that cannot be imported)
"""

import contextlib
import importlib.abc
import io
import json
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SET = ["tests/fixtures/evaluation/grounding.json", "--files", "samples=processing/samples", "--limit", "1"]
SAMPLE = "processing/samples/normal.hea"
# What needs no extra comes first and must work everywhere; `demo` and `serve` serve until they are stopped, so they are only started where they cannot.
COMMANDS = {
    "inspect": ["inspect", SAMPLE],
    "features": ["features", SAMPLE],
    "render": ["render", SAMPLE, "{out}/page.png"],
    "interpret": ["interpret", SAMPLE, "--max-new-tokens", "4"],
    "check": ["check", SAMPLE, "--text", "{out}/text.txt"],
    "info": ["info"],
    "convert": ["convert", "{out}/nowhere", "{out}/gem"],
    "train": ["train", "recipes/configs/sft_lora.yaml", "--dataset", "{out}/nowhere"],
    "merge": ["merge", "{out}/nowhere", "{out}/merged"],
    "build-dataset": ["build-dataset", "recipes/configs/build_samples.yaml", "--output", "{out}/data"],
    "build-dataset ray": ["build-dataset", "recipes/configs/build_samples.yaml", "--output", "{out}/ray", "--engine", "ray"],
    "build-preferences": ["build-preferences", "{out}/nowhere", "--output", "{out}/pairs"],
    "eval ecgbench": ["eval", "ecgbench", "ptb-test", "tests/fixtures/evaluation/ptb-test.json", "-o", "{out}/bench",
                      "--answers", "tests/fixtures/evaluation/ptb-answers.jsonl"],
    "eval grounding": ["eval", "grounding", *SET, "-o", "{out}/grounding", "--model", "tiny", "--max-new-tokens", "4"],
    "eval judge": ["eval", "grounding", *SET, "-o", "{out}/judged", "--answers", "{out}/grounding/answers.jsonl",
                   "--judge", "j", "--judge-engine", "http://127.0.0.1:9/v1"],
    "eval consistency": ["eval", "consistency", *SET, "-o", "{out}/consistency", "--model", "tiny", "--max-new-tokens", "4"],
    "eval review-export": ["eval", "review-export", *SET, "-o", "{out}/review", "--answers", "a={out}/grounding/answers.jsonl"],
    "eval review-import": ["eval", "review-import", "{out}/review", "{out}/nowhere.xlsx"],
    "eval ptbxl": ["eval", "ptbxl", "--ptbxl", "{out}/nowhere", "--output", "{out}/scores.json"],
    "eval reasoning": ["eval", "reasoning", "{out}/nowhere", "-o", "{out}/reasoning", "--files", "ptbxl={out}/nowhere"],
    "eval measurements": ["eval", "measurements", "{out}/nowhere", "-o", "{out}/measurements"],
    "eval ecg-qa": ["eval", "ecg-qa", "{out}/nowhere", "-o", "{out}/ecg_qa", "--ptbxl", "{out}/nowhere"],
    "eval photos": ["eval", "photos", "{out}/nowhere", "-o", "{out}/photos"],
    "eval probe": ["eval", "probe", "{out}/nowhere", "-o", "{out}/probe"],
    "publish model": ["publish", "model", "modeling_gem/checkpoints/gem-ecg-tiny", "me/model", "--dry-run"],
    "publish dataset": ["publish", "dataset", "{out}", "me/data", "--dry-run"],
    "publish space": ["publish", "space", "hub_cards/space", "me/space", "--dry-run"],
    "demo": ["demo"],
    "serve": ["serve"],
}  # fmt: skip


class Absent(importlib.abc.MetaPathFinder):
    """Hides libraries from `import`, as if they were not installed."""

    def __init__(self, modules: set[str]) -> None:
        self.modules = modules

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def run(arguments: list[str]) -> tuple[int, str]:
    """Exit code and the end of stderr: the traceback if there is one (code 1)."""
    from recipes.cli import main

    said = io.StringIO()
    sys.argv = ["gem", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            code = 1
            traceback.print_exc()
    return code, said.getvalue()[-2000:]


def main() -> None:
    folder, absent = Path(sys.argv[1]), set(filter(None, sys.argv[2].split(",")))
    wanted = sys.argv[3].split(",") if len(sys.argv) > 3 else list(COMMANDS)
    if absent:
        sys.meta_path.insert(0, Absent(absent))
    (folder / "text.txt").write_text("Sinus rhythm.")
    from recipes import console

    ended = {}
    for name in wanted:
        given = [word.format(out=folder) for word in COMMANDS[name]]
        output = io.StringIO()
        console.errors.file, console.console.file = output, io.StringIO()
        code, said = run(given)
        ended[name] = {"code": code, "said": output.getvalue()[-2000:] + said}
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
