# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Figures on the structure of the code: files, folders and imports, of one or several revisions side by side.

    python -m benchmarks.structure                                  the working tree
    python -m benchmarks.structure --rev 070539a --rev HEAD --folders

Folders, imports between them ("arrows") and cycles are read from the source with `ast` (`tests/helpers/import_graph.py`). The code of a published model is counted by running `add_remote_code` of that revision on an empty model folder.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path

from tests.helpers.import_graph import Import, cycles, find_modules, folder_of, read_imports

ROOT = Path(__file__).resolve().parents[1]
PUBLISH = """
import importlib, sys
importlib.import_module(sys.argv[1]).add_remote_code(sys.argv[2])
"""


def structure(tree: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Figures by name, and files by folder, of the source tree of one revision."""
    modules = find_modules(tree)
    imports = read_imports(modules)
    folders = {module: folder_of(module, modules) for module in modules}
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in modules.items()}
    across = [Import(folders[edge.source], folders[edge.target], 0) for edge in imports]
    arrows = {arrow for arrow in across if arrow.source != arrow.target}
    files = Counter(folders[module] for module, path in modules.items() if path.name != "__init__.py")
    longest = max(lines, key=lambda module: lines[module])
    count, size = remote_code(tree, modules)
    figures = {
        "files": f"{len(modules):,}",
        "lines": f"{sum(lines.values()):,}",
        "longest file": f"{lines[longest]:,} ({longest})",
        "folders": str(len(files)),
        "files in the largest folder": "{1} ({0})".format(*files.most_common(1)[0]),
        "arrows between folders": str(len(arrows)),
        "imports across folders": str(sum(edge.source != edge.target for edge in across)),
        "cycles of folders": _shown(cycles(arrows)),
        "cycles of modules": _shown(cycles(imports)),
        "code files in a published model": str(count),
        "their bytes": f"{size:,}",
    }
    return figures, dict(sorted(files.items()))


def remote_code(tree: Path, modules: dict[str, Path]) -> tuple[int, int]:
    """Number and bytes of the code files that a model published from `tree` carries."""
    (publisher,) = (name for name, path in modules.items() if "\ndef add_remote_code(" in path.read_text())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text("{}")
        parts = {"feature_extractor": {}, "image_processor": {}}
        (Path(folder) / "processor_config.json").write_text(json.dumps(parts))
        # With `-c`, Python looks for modules in the working directory before the installed packages.
        subprocess.run([sys.executable, "-c", PUBLISH, publisher, folder], cwd=tree, check=True)
        sizes = [path.stat().st_size for path in Path(folder).glob("*.py")]
    return len(sizes), sum(sizes)


def _shown(groups: list[tuple[str, ...]]) -> str:
    return "; ".join([str(len(groups)), *(", ".join(group) for group in groups)])


def checkout(revision: str, folder: Path) -> Path:
    """The tree of a revision, written to `folder`."""
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description="The structure of the code in figures.")
    parser.add_argument("--rev", action="append", default=[], help="a git revision; repeat it to compare")
    parser.add_argument("--folders", action="store_true", help="list the files of each folder, too")
    arguments = parser.parse_args()
    columns: dict[str, tuple[dict[str, str], dict[str, int]]] = {}
    for revision in arguments.rev:
        with tempfile.TemporaryDirectory() as folder:
            columns[revision] = structure(checkout(revision, Path(folder)))
    if not columns:
        columns["working tree"] = structure(ROOT)
    print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name in next(iter(columns.values()))[0]:
        print(f"| {name} | {' | '.join(figures[name] for figures, _ in columns.values())} |")
    if arguments.folders:
        for folder in sorted({folder for _, files in columns.values() for folder in files}):
            print(f"| files in {folder} | {' | '.join(str(files.get(folder, '')) for _, files in columns.values())} |")


if __name__ == "__main__":
    main()
