# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Transformers' own test suites of the installed version, from its source distribution.

The wheel holds no tests. The source distribution holds the common suites (`tests/test_*_common.py`), but neither the suites of
generation and export, on which they are built, nor `config_common_kwargs`: empty stand-ins take their places here, so what
they test is not tested. The tests of generation are our own, `tests/modeling_gem/test_generation.py`. One noisy picture stands
for those that the suites would take from the internet.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
import transformers
from filelock import FileLock
from PIL import Image

# The name under which the suites are imported; they import each other with relative names.
PACKAGE = "transformers_tests"
STAND_INS = {
    "../fetch_hub_objects_for_ci.py": """
from pathlib import Path

def url_to_local_path(url):
    return str(Path(__file__).with_name("picture.png" if url.endswith((".png", ".jpg", ".jpeg")) else "not here"))
""",
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "utils/test_configuration_utils.py": "config_common_kwargs = {}\n",
}


def add_suites_to_path() -> Path:
    """Downloads and unpacks the suites once per version, and makes `transformers_tests` importable. Returns their folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gem-ecg"
    folder = cache / f"transformers-{transformers.__version__}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "transformers-tests.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as partial:
                _unpack(_download(Path(partial)), Path(partial) / "whole" / PACKAGE)
                (Path(partial) / "whole").rename(folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder / PACKAGE


def _download(folder: Path) -> Path:
    """The source distribution of the installed Transformers."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(folder), f"transformers=={transformers.__version__}"]
    if subprocess.run(command, check=False, timeout=600).returncode:
        reason = f"the source distribution of Transformers {transformers.__version__} cannot be downloaded"
        if os.environ.get("CI"):
            raise RuntimeError(reason)
        pytest.skip(reason, allow_module_level=True)
    return next(folder.glob("transformers-*.tar.gz"))


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as files:
        tests = [member for member in files.getmembers() if member.name.split("/")[1:2] == ["tests"]]
        files.extractall(archive.parent, members=tests, filter="data")
    target.parent.mkdir()
    shutil.move(archive.parent / archive.name.removesuffix(".tar.gz") / "tests", target)
    for name, text in STAND_INS.items():
        if not (target / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)
    Image.effect_noise((320, 240), 80).convert("RGB").save(target.parent / "picture.png")
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        (folder / "__init__.py").touch()
