# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`import modeling_gem` is the public API: it is cheap to import and complete, and each name is defined once."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import modeling_gem

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("matplotlib", "pandas", "scipy.signal", "wfdb")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LAZY = [(module, name) for module, names in modeling_gem.LOADED_AT_FIRST_USE.items() for name in names]

OPEN = """
import json, sys
import transformers.generation.candidate_generator  # below 5.21 this loads scikit-learn, and that loads pandas
brought = set(sys.modules)
import modeling_gem
loaded = sorted(set(sys.modules) - brought)
resolved = {name: getattr(modeling_gem, name).__class__.__name__ for name in modeling_gem.__all__}
print(json.dumps([loaded, resolved, dir(modeling_gem)]))
"""


@pytest.fixture(scope="module")
def opened() -> tuple[set[str], dict[str, str], list[str]]:
    """From a new process: the modules that the import loads, the kinds of its names, and what `dir` lists."""
    run = subprocess.run([sys.executable, "-c", OPEN], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, resolved, listed = json.loads(run.stdout)
    return set(loaded), resolved, listed


@pytest.mark.parametrize("module", HEAVY)
def test_importing_loads_no_heavy_library(opened, module):
    assert module not in opened[0]


def test_lazy_modules_are_not_loaded_by_the_import(opened):
    assert not opened[0] & set(modeling_gem.LOADED_AT_FIRST_USE)


def test_every_name_resolves_and_is_listed(opened):
    _, resolved, listed = opened
    assert resolved["load_ecg"] == "function" and resolved["EcgFeatures"] == "type"
    assert set(resolved) == set(modeling_gem.__all__) <= set(listed)


def test_no_name_is_defined_twice():
    assert len(modeling_gem.__all__) == len(set(modeling_gem.__all__))
    lazy = [name for _, name in LAZY]
    assert len(lazy) == len(set(lazy)) and set(lazy) <= set(modeling_gem.__all__)


@pytest.mark.parametrize(("module", "name"), LAZY)
def test_a_name_is_the_one_that_its_module_exports(module, name):
    __import__(module)
    assert name in sys.modules[module].__all__
    assert getattr(modeling_gem, name) is getattr(sys.modules[module], name)


def test_editors_see_the_same_names():
    tree = ast.parse(Path(modeling_gem.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = [(node.module, alias.name) for node in block.body for alias in node.names]
    assert sorted(seen) == sorted(LAZY)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="'modeling_gem' has no attribute 'extract_feature'"):
        modeling_gem.extract_feature  # noqa: B018


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_import_from_the_public_packages(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        assert not re.findall(r"^(?:from|import) (processing\S*|modeling_gem\.\S+)", block, re.MULTILINE)
