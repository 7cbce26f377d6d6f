# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Imports between packages: flat modules of `processing/` travel with a published model, and imports go down only."""

import ast
from pathlib import Path

import pytest
from PIL import Image

from docs.make_architecture import described, imports, reduced
from recipes.publishing.remote_code import remote_code_files
from tests.helpers.import_graph import LAYER, PACKAGES, cycles, find_modules, folder_of, read_imports, upward

ROOT = Path(__file__).resolve().parents[1]
MODULES = find_modules(ROOT)
IMPORTS = read_imports(MODULES)
FOLDERS = sorted({folder_of(module, MODULES) for module in MODULES})


def test_flat_files_of_processing_are_those_that_travel():
    flat = {path.name for path in (ROOT / "processing").glob("*.py")} - {"__init__.py"}
    travelling = {path.name for path in remote_code_files() if path.parent.name == "processing"}
    assert sorted(flat - travelling) == [], "no file of the processor imports these: move them to a subfolder"


def test_travelling_files_import_no_package():
    """Transformers follows `from .x import y` between files of one folder, and no other import of ours."""
    for path in remote_code_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1 and node.module and "." not in node.module, f"{path.name}:{node.lineno}"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert not {str(name).split(".")[0] for name in names} & set(PACKAGES), f"{path.name}:{node.lineno}"


def test_every_folder_has_its_layer():
    assert set(FOLDERS) <= set(LAYER)


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_go_down(folder):
    wrong = [str(edge) for edge in upward(IMPORTS, MODULES) if folder_of(edge.source, MODULES) == folder]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_imports_itself_through_others(package):
    assert [cycle for cycle in cycles(IMPORTS) if cycle[0].split(".")[0] == package] == []


def test_picture_of_the_architecture_is_current():
    drawn = Image.open(ROOT / "docs/architecture.png").text["Description"]
    assert drawn == described(reduced(imports())), "run `python -m docs.make_architecture`"


def test_nobody_imports_the_benchmarks():
    modules = find_modules(ROOT, (*PACKAGES, "tests", "benchmarks"))
    outside = [edge for edge in read_imports(modules) if not edge.source.startswith("benchmarks")]
    assert [str(edge) for edge in outside if edge.target.startswith("benchmarks")] == []
    inside = [edge for edge in outside if not edge.source.startswith("tests")]
    assert [str(edge) for edge in inside if edge.target.startswith("tests")] == []


def build(root: Path, files: dict[str, str]) -> dict[str, Path]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return find_modules(root)


@pytest.mark.parametrize(
    ("file", "text", "wrong"),
    [
        ("processing/claims/a.py", "from ..flat import x", False),
        ("processing/claims/a.py", "from processing.grounding.b import y", True),
        ("processing/claims/a.py", "def f():\n    import processing.grounding.b", True),
        ("processing/claims/a.py", "if TYPE_CHECKING:\n    from ..grounding.b import y", False),
        ("processing/claims/a.py", "if TYPE_CHECKING:\n    pass\nelse:\n    from ..grounding.b import y", True),
        ("processing/simulator/s.py", "from ..claims import c", True),
        ("processing/flat.py", "from .claims import c", True),
        (
            "processing/flat.py",
            "try:\n    from . import other\nexcept ImportError:\n    from .claims.c import z",
            True,
        ),
        ("modeling_gem/m.py", "import recipes", True),
        ("recipes/chat/a.py", "from recipes.files import x", False),
        ("recipes/chat/a.py", "from ..sources import s", True),
        ("recipes/files.py", "from recipes.cli import main", True),
    ],
)
def test_an_import_in_the_wrong_direction_is_found(tmp_path, file, text, wrong):
    names = ["claims/c.py", "grounding/b.py", "simulator/t.py", "flat.py", "other.py"]
    files = {f"processing/{name}": "" for name in names} | {"modeling_gem/__init__.py": ""}
    files |= {f"recipes/{name}": "" for name in ("__init__.py", "files.py", "cli/__init__.py", "sources/s.py")}
    modules = build(tmp_path, files | {"processing/claims/__init__.py": "", file: text})
    found = upward(read_imports(modules), modules)
    assert [edge.source for edge in found] == ([file.removesuffix(".py").replace("/", ".")] if wrong else [])


def test_a_cycle_is_found(tmp_path):
    modules = build(
        tmp_path,
        {
            "processing/a.py": "from .b import x",
            "processing/b.py": "def f():\n    from .c import x",
            "processing/c.py": "from processing import a",
            "processing/d.py": "from .a import x",
        },
    )
    assert cycles(read_imports(modules)) == [("processing.a", "processing.b", "processing.c")]
