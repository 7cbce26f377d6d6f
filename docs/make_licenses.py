# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes docs/licenses.md: the licences of all that gem-ecg depends on, as the installed packages state them.

python docs/make_licenses.py
"""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licenses.md"
OWN = "gem-ecg"
# What metadata leave out: the licence of the project where it is not installed, and what binary wheels bring beside it.
READ = {
    "axe-playwright-python": "MIT",
    "bitsandbytes": "MIT",
    "deepspeed": "Apache-2.0",
    "pillow-heif": "BSD-3-Clause; its wheels GPL-2.0 (libx265) and LGPL-3.0 (libheif, libde265)",
    "soundfile": "BSD-3-Clause; its wheels LGPL-2.1 (libsndfile)",
}
ABSENT = "not installed where this list was made; see the project"
HEAD = """# Licences of the dependencies

gem-ecg is under the Apache License 2.0. What it depends on, as the installed packages state it (`make licenses`, which
`tests/test_licenses.py` holds against `pyproject.toml`). gem-ecg contains none of their code; whoever passes on an image or a bundle
with these packages in it has to keep their licences: mind the wheels of `pillow-heif` (extra `pages`), which are under the GPL. Models and data have terms of their own: see their cards.

| package | licence | needed by |
|---|---|---|
"""


def direct_requirements() -> dict[str, list[str]]:
    """Package -> who needs it: `gem-ecg` itself, or extras by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {OWN: project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, list[str]] = {}
    for group, lines in groups.items():
        for requirement in map(Requirement, lines):
            name = canonicalize_name(requirement.name)
            if name != OWN:
                found.setdefault(name, []).append(OWN if group == OWN else f"[{group}]")
    return found


def rows() -> dict[str, tuple[str, str]]:
    """Package -> (licence, who needs it), for all that are installed, those that others bring included."""
    needed = direct_requirements()
    found: dict[str, tuple[str, str]] = {}
    waiting = [(name, ", ".join(by)) for name, by in needed.items()]
    while waiting:
        name, by = waiting.pop(0)
        if name in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            if name in needed:
                found[name] = (READ.get(name, ABSENT), by)
            continue
        found[name] = (licence_of(package), by)
        waiting += [(brought, name) for brought in _brought(package)]
    return dict(sorted(found.items()))


def licence_of(package: Distribution) -> str:
    """The SPDX expression, else the short text, else the classifiers of the package's metadata."""
    metadata = package.metadata
    name = canonicalize_name(metadata["Name"])
    if name in READ:
        return READ[name]
    stated = metadata.get("License-Expression") or metadata.get("License") or ""
    classified = [
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")
    ]
    if stated and len(stated) < 60 and stated.upper() != "UNKNOWN":
        return stated.strip()
    return "; ".join(classified) or _first_line(stated)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].strip() if text.strip() else "not stated"


def _brought(package: Distribution) -> Iterator[str]:
    for line in package.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def page() -> str:
    """The page's text."""
    table = "".join(f"| {name} | {licence} | {by} |\n" for name, (licence, by) in rows().items())
    return HEAD + re.sub(r"(?<=\w)\|(?=\w)", "/", table)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
