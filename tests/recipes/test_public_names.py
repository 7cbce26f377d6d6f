# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The public names of `recipes`: importing it loads none of them, the list is complete, and it holds what the pages import."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import recipes

ROOT = Path(__file__).resolve().parents[2]
OFFERED = [(module, name) for module, names in recipes.LOADED_AT_FIRST_USE.items() for name in names]
# Modules that launchers name, imported as modules.
LAUNCHED = {"recipes.training"}


def test_the_import_loads_no_library():
    code = (
        "import sys, recipes; print([m for m in sys.modules if m.split('.')[0] in ('torch', 'transformers', 'numpy')])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(("module", "name"), OFFERED)
def test_every_name_is_that_of_its_module(module, name):
    assert getattr(recipes, name) is getattr(sys.modules[module], name)
    assert name in dir(recipes)


def test_each_name_is_offered_once():
    names = [name for _, name in OFFERED]
    assert sorted(names) == sorted(set(names)) == sorted(recipes.__all__)
    with pytest.raises(AttributeError, match="no attribute 'croissant'"):
        recipes.croissant  # noqa: B018


def test_pages_import_from_the_public_packages_only():
    blocks = (
        (page, block)
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    )
    found = {
        (page.name, module)
        for page, block in blocks
        for module in re.findall(r"^(?:from|import) ((?:processing|modeling_gem|recipes)[\w.]*)", block, re.MULTILINE)
    }
    assert {entry for entry in found if entry[1] not in {"modeling_gem", "recipes", *LAUNCHED}} == set()
