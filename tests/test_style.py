# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Readability of the pages: no long sentence in the README and the tutorials, none of the private words anywhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EASY = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "quickstart_8gpu.md"]
EASY += sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PAGES = [*EASY, *sorted(path for path in (ROOT / "docs").glob("*.md") if path not in EASY)]
MAX_WORDS = 40
PRIVATE = ("is not to be had", "stands twice", "fell out", "at no door", "by hand on")


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


@pytest.mark.parametrize("page", EASY, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_sentence_is_long(page):
    long = [part for part in sentences(page.read_text(encoding="utf-8")) if len(part.split()) > MAX_WORDS]
    assert long == []


def test_a_long_sentence_is_seen():
    text = f"# Title\n\nShort one. {'word ' * 41}end.\n\n```bash\n{'code ' * 50}\n```\n| {'cell ' * 41} | b |\n"
    assert [len(part.split()) for part in sentences(text) if len(part.split()) > MAX_WORDS] == [42, 41]
