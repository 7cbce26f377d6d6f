# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Environments with gem-ecg's requirements, those of some extras and nothing else, made without installing anything again."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _needed(lines: Iterable[str], extras: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        requirement = Requirement(line)
        environments = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(each) for each in environments):
            yield requirement


def required(extras: Iterable[str] = ()) -> set[str]:
    """The names of all distributions that `pip install gem-ecg[EXTRAS]` brings, as far as they are installed here."""
    waiting = [Requirement(line) for line in PROJECT["dependencies"]]
    waiting += [Requirement(line) for extra in extras for line in EXTRAS[extra]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        if key[0] == "gem-ecg":
            waiting += [Requirement(line) for extra in requirement.extras for line in EXTRAS[extra]]
            continue
        try:
            waiting += _needed(metadata.requires(requirement.name) or (), requirement.extras)
        except metadata.PackageNotFoundError:
            continue  # for other systems, or not in this environment
    return {name for name, _ in seen} - {"gem-ecg"}


def modules_of(distributions: Iterable[str]) -> set[str]:
    """Their top-level module names."""
    wanted = set(distributions)
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if wanted & {_name(owner) for owner in owners}
    }


def bare_environment(
    folder: Path, extras: Iterable[str] = (), wheel: Path | None = None, project: bool = True
) -> Path:
    """A virtual environment whose packages are links to this one's. Returns its Python.

    gem-ecg itself is the checkout, or is installed from `wheel`; without `project` it is not there.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    owners = metadata.packages_distributions()
    for name in required(extras):
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for file in distribution.files or ():
            if file.parts[0] == ".." or file.suffix == ".pyc":
                continue
            # Folders that several distributions share, such as `google`, are made of their parts.
            is_shared = len(set(owners.get(file.parts[0], ()))) > 1
            place = Path(*file.parts[: 2 if is_shared else 1])
            link = site / place
            if not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path(str(distribution.locate_file(place))))
    python = folder / "bin" / "python"
    if wheel is not None:
        install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
        subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    elif project:
        (site / "gem_ecg.pth").write_text(f"{ROOT}\n")
    return python
