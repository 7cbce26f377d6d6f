# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What `make docs` adds to the pages of docs/: the README and its neighbours, the API reference, and a table of the benchmarks.

MkDocs calls `on_files` and `on_page_markdown` (`hooks` in mkdocs.yml). Nothing of gem-ecg is imported: the public packages are read as text.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Pages outside of docs/ -> where they stand on the site.
PLACES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changes.md",
    "SECURITY.md": "project/security.md",
    "modeling_gem/checkpoints/gem-ecg-tiny/README.md": "project/model_card.md",
}
PUBLIC_PACKAGES = {
    "modeling_gem": "Records, pages, measurements, claims, simulated ECGs, the model and its processor.",
    "recipes": "What scripts around a model call: data sets, teachers, training, evaluation, publishing.",
}
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def offered(package: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Name and full path of everything in the `__all__` of a package, from its source.

    Args:
        package: its name.
        folder: where it is.
    """
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    homes: dict[str, str] = {}
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module}" if node.level else node.module
            homes |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            names = ast.literal_eval(node.value)
    for name in sorted(names, key=str.lower):
        yield name, homes.get(name, f"{package}.{name}")


def reference(package: str) -> str:
    """The page of the API reference for one public package: a heading, then a directive of mkdocstrings for each name."""
    directives = [f"::: {path}\n" for _, path in offered(package, ROOT / package)]
    return "\n".join(
        [f"# {package}\n", f"{PUBLIC_PACKAGES[package]} Import each name from `{package}`.\n", *directives]
    )


def benchmark_programs() -> str:
    """The page of the programs in benchmarks/: what each measures, by its docstring, and which pages have its figures."""
    rows = []
    for file in sorted((ROOT / "benchmarks").glob("*.py")):
        source = file.read_text(encoding="utf-8")
        if "__main__" in source:
            said = re.split(r": `|[.;]\s", " ".join((ast.get_docstring(ast.parse(source)) or "").split()))[0]
            pages = [
                page
                for page in sorted((ROOT / "docs").glob("*.md"))
                if re.search(rf"benchmarks[./]{file.stem}\b", page.read_text("utf-8"))
            ]
            links = ", ".join(f"[{page.stem}](../{page.name})" for page in pages)
            rows.append(f"| `python -m benchmarks.{file.stem}` | {said.rstrip('.:')} | {links} |")
    head = "# Benchmarks\n\nThese programs print the figures of the pages.\n\n"
    return head + "\n".join(["| program | what it measures | figures |", "|---|---|---|", *rows]) + "\n"


def moved(text: str, source: PurePosixPath, target: PurePosixPath) -> str:
    """The text of a page with its relative links rewritten for its place on the site.

    Args:
        text: Markdown.
        source: path of the page in the checkout.
        target: path of the page on the site.
    """

    def rewrite(match: re.Match[str]) -> str:
        path, hash_mark, anchor = match[2].partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match[0]
        there = normpath(str(source.parent / path))
        if there in PLACES:
            place = PLACES[there]
        elif there.startswith("docs/"):
            place = there.removeprefix("docs/")
        else:
            return match[0]  # the strict build names it
        return f"{match[1]}{relpath(place, str(target.parent))}{hash_mark}{anchor}{match[3]}"

    return LINK.sub(rewrite, text)


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages of `PLACES`, the API reference and the table of benchmarks."""
    from mkdocs.structure.files import File

    for source, place in PLACES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)  # a card's metadata
        content = moved(text, PurePosixPath(source), PurePosixPath(place))
        files.append(File.generated(config, place, content=content))
    for package in PUBLIC_PACKAGES:
        files.append(File.generated(config, f"api/{package}.md", content=reference(package)))
    files.append(File.generated(config, "api/benchmarks.md", content=benchmark_programs()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leads links of docs/ that leave it, such as `../SECURITY.md`, to their pages on the site."""
    place = PurePosixPath(page.file.src_uri)
    if page.file.generated_by:
        return markdown
    return moved(markdown, PurePosixPath("docs") / place, place)
