# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Every internal link of the pages at the top, of docs/ and of the cards leads to a file, and to a heading where it names one."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("hub_cards/**/*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|<(?:img|a)[^>]+(?:src|href)=\"([^\"]+)\"")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text: str) -> set[str]:
    """Heading anchors as GitHub makes them: lower case, punctuation gone, spaces to dashes, repeats numbered."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#+ +(.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.M):
        plain = (
            re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower().replace(" ", "-")
        )
        names.add(plain if plain not in found else f"{plain}-{found[plain]}")
        found[plain] = found.get(plain, 0) + 1
    return names


def broken_links(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    broken = []
    for groups in LINK.findall(without_code(text)):
        target = groups[0] or groups[1]
        if re.match(r"[a-z]+:", target) or "{{" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        outside = not file.is_relative_to(ROOT)
        if outside or not file.exists():
            broken.append(f"{target}: no such file in the project")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
            broken.append(f"{target}: no such heading")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page):
    assert broken_links(page) == []


def test_broken_links_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_links.ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# A heading: `code` & more\n## A heading: `code` & more\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#a-heading-code--more-1) [c](https://example.org) `[d](nowhere.md)`\n"
        "```\n[e](nowhere.md)\n```\n[f](missing.md) ![g](missing.png) [h](other.md#nothing) [i](#nothing) [j](../../x)\n"
    )
    assert [line.split(":")[0] for line in broken_links(page)] == [
        "missing.md", "missing.png", "other.md#nothing", "#nothing", "../../x",
    ]  # fmt: skip
