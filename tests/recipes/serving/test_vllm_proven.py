# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What the code states about vLLM's versions, tested without vLLM; and that an unused plugin costs nothing."""

import subprocess
import sys
import tomllib
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from processing.errors_gem import GemError
from recipes.serving.vllm.proven import OLDEST, PROVEN, check_version

ROOT = Path(__file__).parents[3]


def test_proven_versions_pass_silently_others_with_a_warning_and_old_ones_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for proven in PROVEN:
            check_version(f"{proven.release}.3+cpu")
    with pytest.warns(UserWarning, match=r"never run in vLLM 9\.1\.0"):
        check_version("9.1.0")
    for old in ("0.11.0", "0.9.2"):
        with pytest.raises(GemError, match=f"too old for GEM.*{OLDEST}"):
            check_version(old)


def test_the_table_of_the_docs_is_the_registry():
    page = (ROOT / "docs/vllm.md").read_text()
    for proven in PROVEN:
        for line in (*proven.ran, *proven.not_run):
            assert f"| {line} |" in page, line
        for fact in (proven.release, proven.transformers, proven.torch):
            assert fact in page


def test_the_entry_point_leads_to_the_plugin():
    (name,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
        "vllm.general_plugins"
    ].values()
    module, _, function = name.partition(":")
    assert callable(getattr(import_module(module), function))


def test_gem_ecg_imports_no_vllm():
    code = "import sys, modeling_gem, recipes.cli.main, recipes.chat.engines, recipes.serving.vllm; assert 'vllm' not in sys.modules"
    code = code.replace("recipes.cli.main", "recipes.cli")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
