# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The release, as `make release` makes it: the wheel is built, checked, installed where there is no checkout, and used there."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.bare_environment import PROJECT, bare_environment
from tests.helpers.page_blocks import python_blocks

pytestmark = pytest.mark.release
ROOT = Path(__file__).resolve().parents[1]
MAX_WHEEL_MB = 45  # PyPI takes 100; the embedded model may have 40
LOAD_WITHOUT_GEM = """
import importlib.util, sys
assert all(importlib.util.find_spec(name) is None for name in ("modeling_gem", "processing", "recipes"))
from transformers import pipeline
interpret = pipeline(model=sys.argv[1], trust_remote_code=True, dtype="float32")
print(interpret(sys.argv[2], max_new_tokens=20)["generated_text"])
"""


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in `folder`, without environment variables that lead back to the checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GEM_SHARED")}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution as PyPI's users would build it, and checked by twine."""
    folder = tmp_path_factory.mktemp("dist")
    for command in (["build", "--outdir", str(folder), str(ROOT)], ["twine", "check", "--strict", f"{folder}/*"]):
        done = run(sys.executable, "-m", *command, folder=folder)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The Python of an environment with the wheel and its requirements, without extras."""
    return bare_environment(tmp_path_factory.mktemp("bare") / "environment", wheel=wheel)


@pytest.fixture(scope="module")
def samples(python):
    """The sample ECGs of the installed wheel."""
    (folder,) = python.parents[1].glob("lib/python*/site-packages/processing/samples")
    return folder


def test_the_wheel_holds_the_package_alone_and_is_small(wheel):
    version = PROJECT["version"]
    size = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {size:.1f} MB")
    assert wheel.name == f"gem_ecg-{version}-py3-none-any.whl" and size < MAX_WHEEL_MB
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"modeling_gem", "processing", "recipes", "hub_cards", f"gem_ecg-{version}.dist-info"}
    assert version in (ROOT / "CITATION.cff").read_text() and f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_gem_interprets_outside_of_the_checkout(python, samples, tmp_path):
    done = run(python.with_name("gem"), "interpret", samples / "normal.hea", folder=tmp_path)
    assert done.returncode == 0 and "claims: " in done.stdout, done.stderr
    assert run(python.with_name("gem"), "--version", folder=tmp_path).stdout.split()[-1] == PROJECT["version"]


@pytest.mark.parametrize(
    "number", [n for n, block in enumerate(python_blocks(ROOT / "README.md")) if "my_" not in block]
)
def test_the_examples_of_the_readme_run_there(number, python, samples, tmp_path):
    code = python_blocks(ROOT / "README.md")[number].replace("processing/samples", str(samples))
    done = run(python, "-W", "ignore", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_its_remote_code_runs_where_gem_ecg_is_not_installed(python, samples, tmp_path):
    add = (
        "import shutil, modeling_gem; from recipes.publishing.remote_code import add_remote_code; "
        "shutil.copytree(modeling_gem.default_checkpoint(), 'published'); add_remote_code('published')"
    )
    done = run(python, "-W", "ignore", "-c", add, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    stranger = bare_environment(tmp_path / "stranger", project=False)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    loaded = run(
        stranger, "-W", "ignore", "-c", LOAD_WITHOUT_GEM, tmp_path / "published", samples / "normal.hea", folder=folder
    )
    assert loaded.returncode == 0 and loaded.stdout.strip(), loaded.stderr[-2000:]


def test_a_file_of_the_same_name_is_named(python, tmp_path):
    (tmp_path / "processing.py").write_text("MINE = True\n")
    refused = run(python, "-c", "import modeling_gem", folder=tmp_path)
    assert refused.returncode == 1
    last = refused.stderr.strip().splitlines()[-1]
    assert re.match(r"ImportError: .*processing\.py is imported as `processing` instead of gem-ecg's", last), last
    assert "python -P" in last
    assert run(python, "-P", "-c", "import modeling_gem", folder=tmp_path).returncode == 0
