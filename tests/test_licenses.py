# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""docs/licenses.md lists every dependency of pyproject.toml, with the licence that the installed package states."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = runpy.run_path(str(ROOT / "docs" / "make_licenses.py"))
ROW = re.compile(r"^\| (\S+) \| (.+) \| (.+) \|$", re.MULTILINE)


def listed() -> dict[str, tuple[str, str]]:
    text = (ROOT / "docs" / "licenses.md").read_text(encoding="utf-8")
    return {name: (licence, by) for name, licence, by in ROW.findall(text) if name != "package"}


def test_every_dependency_is_listed():
    wanted = {name: ", ".join(by) for name, by in MADE["direct_requirements"]().items()}
    found = {name: by for name, (_, by) in listed().items() if name in wanted}
    assert found == wanted, "run `make licenses`"


def test_licences_are_those_of_the_installed_packages():
    page, absent = listed(), MADE["ABSENT"]
    installed = {name: licence for name, (licence, _) in MADE["rows"]().items() if licence != absent}
    differing = {
        name: licence for name, licence in installed.items() if name in page and page[name][0] not in (licence, absent)
    }
    assert not differing, "run `make licenses`"
    assert not {name for name, (licence, _) in page.items() if licence == "not stated"}
