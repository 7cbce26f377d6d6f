# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Values that modules pass to each other have classes, and the parameters are annotated with them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = {"client", "features", "interpret", "judge", "model", "network", "pipeline", "plan", "processor"}
NAMED |= {"record", "report", "settings", "teacher", "tokenizer"}


def untyped(source: str) -> list[str]:
    """Arguments and attributes of the named kinds that are `Any`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg):
            name, annotation = node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, annotation = node.target.id, node.annotation
        else:
            continue
        if name in NAMED and isinstance(annotation, ast.Name) and annotation.id == "Any":
            found.append(f"{node.lineno}: {name}")
    return found


@pytest.mark.parametrize("package", ["modeling_gem", "processing", "recipes", "hub_cards"])
def test_nothing_of_ours_is_any(package):
    found = {path.relative_to(ROOT).as_posix(): untyped(path.read_text()) for path in ROOT.glob(f"{package}/**/*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_any_is_seen():
    assert untyped("def f(model: Any, x: Any, *, record: 'EcgRecord'): ...") == ["1: model"]
    assert untyped("class C:\n    processor: Any = None\n    y: Any") == ["2: processor"]
