# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Readability of the pages: no sentence of more than 40 words, and none of this project's former private phrases."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LISTS = ("licenses.md", "samples.md")  # made by programs
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
PAGES += [path for place in ("docs", "docs/tutorials") for path in sorted((ROOT / place).glob("*.md"))]
PAGES = [path for path in PAGES if path.name not in LISTS]
SOURCES = [path for package in ("modeling_gem", "processing", "recipes") for path in (ROOT / package).rglob("*.py")]
MAX_WORDS = 40
SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Examples:", "Example:")
PRIVATE = re.compile(r"not to be had|stands? twice|fell out|of no account|at no door|without a word|as heavy as")


def sentences(text: str) -> list[str]:
    """The sentences of a Markdown page; each table cell and each list item is one at least. Code blocks are left out."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^```.*?^```", "\n\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`\n]*`", "code", text)
    parts = []
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.)\s?)|\|", text):
        parts += re.split(r"(?<=[.!?:;])\s+", " ".join(paragraph.split()))
    return [part for part in parts if part]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_sentence_is_long(page):
    long = [part for part in sentences(page.read_text(encoding="utf-8")) if len(part.split()) > MAX_WORDS]
    assert long == []


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_private_phrase(path):
    assert PRIVATE.findall(path.read_text(encoding="utf-8")) == []


def without_summary(source: str) -> list[str]:
    """Public functions and classes whose docstring begins with a section."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    texts = {node.name: ast.get_docstring(node) or "" for node in nodes if not node.name.startswith("_")}
    return [name for name, text in texts.items() if text.startswith(SECTIONS)]


def test_every_docstring_has_a_summary():
    found = {path.relative_to(ROOT).as_posix(): without_summary(path.read_text("utf-8")) for path in SOURCES}
    assert {path: names for path, names in found.items() if names} == {}
    assert without_summary('def f():\n    """\n    Args:\n        x: y\n    """') == ["f"]


def test_a_long_sentence_is_seen():
    text = f"# Title\n\nShort one. {'word ' * 41}end.\n\n```bash\n{'code ' * 50}\n```\n| {'cell ' * 41} | b |\n"
    assert [len(part.split()) for part in sentences(text) if len(part.split()) > MAX_WORDS] == [42, 41]
