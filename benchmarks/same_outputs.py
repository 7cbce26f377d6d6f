# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Compares the outputs of two states of the code byte by byte, to show that a refactoring changes nothing.

    python benchmarks/same_outputs.py --rev 070539a   # the outputs of a revision against those of the working tree

Compared: `gem interpret --json` and `gem features --json` of every sample, `gem features` of the folder, the data set of
`recipes/configs/build_samples.yaml`, and a converted checkpoint of the original layout. Times (seconds, dates) and the code that is
copied with a checkpoint are left out.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GEM = "import sys; sys.argv[0] = 'gem'; from recipes.cli import main; main()"
CHECKPOINT = "tests/fixtures/original_f1/checkpoint/llava-gem-F1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rev", default="HEAD~1", help="Git revision to compare the working tree with.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", tree, arguments.rev], cwd=ROOT, check=True)
        try:
            before = digests(tree, Path(scratch) / "before")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
        after = digests(ROOT, Path(scratch) / "after")
    for name in sorted({*before, *after}):
        same = before.get(name) == after.get(name)
        print(f"{'same     ' if same else 'DIFFERENT'} {name}")
    sys.exit(before != after)


def digests(tree: Path, out: Path) -> dict[str, str]:
    """SHA-256 of every output that the code in `tree` writes, by its name."""
    out.mkdir()
    found = {}
    for sample in sorted((tree / "processing/samples").glob("*.hea")):
        name = sample.stem
        answer = json.loads(gem(tree, "interpret", f"processing/samples/{sample.name}", "--json"))
        found[f"interpret {name}"] = digest(json.dumps({**answer, "seconds": 0}).encode())
        found[f"features {name}"] = digest(
            gem(tree, "features", f"processing/samples/{sample.name}", "--json").encode()
        )
    gem(tree, "features", "processing/samples", "--output", str(out / "features.jsonl"))
    gem(tree, "build-dataset", "recipes/configs/build_samples.yaml", "--output", str(out / "dataset"))
    gem(tree, "convert", CHECKPOINT, str(out / "converted"), "--remote-code")
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.suffix not in (".py", ".spent") and path.name not in ("lock", "SHA256SUMS"):
            found[str(path.relative_to(out))] = digest(without_times(path, out))
    return found


def gem(tree: Path, *arguments: str) -> str:
    """What a `gem` command prints, run from the code in `tree`."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-c", GEM, *arguments]
    return subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def without_times(path: Path, out: Path) -> bytes:
    """The bytes of a file; of JSON those without the values that differ from run to run (times, the output folder)."""
    if path.suffix != ".json":
        return path.read_bytes()
    timeless = {"seconds", "created", "finished", "started", "date", "wall_s"}

    def cleaned(value):
        if isinstance(value, dict):
            return {key: cleaned(item) for key, item in value.items() if key not in timeless}
        if isinstance(value, list):
            return [cleaned(item) for item in value]
        return value.replace(str(out), "") if isinstance(value, str) else value

    return json.dumps(cleaned(json.loads(path.read_text()))).encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
