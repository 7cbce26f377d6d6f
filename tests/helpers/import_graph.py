# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Which module imports which, read from the source with `ast`: nothing is imported, so any revision can be read."""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

# From top to bottom: a folder imports itself and folders of lower layers, never others of its own layer.
LAYERS = (
    ("recipes.cli",),
    ("recipes.embedded",),  # the embedded model is saved with its card
    ("recipes.publishing",),
    ("recipes.evaluation", "recipes.training"),
    ("recipes.dataset",),
    ("hub_cards.space",),  # serves a model with `recipes.serving`, and compares diagnoses
    ("recipes.teachers",),
    ("recipes.chat", "recipes.sources"),
    ("hub_cards",),  # flat in it: cards, which are templates
    ("recipes.serving",),
    ("recipes",),  # files flat in it: console, files, models, record_options, scores, settings
    ("modeling_gem",),
    ("processing.evidence",),
    ("processing.grounding", "processing.guider"),
    ("processing.claims", "processing.simulator", "processing.untrusted", "processing.photo", "processing.folders"),
    ("processing",),  # files flat in it: what travels with a published model
)
LAYER = {folder: number for number, folders in enumerate(LAYERS) for folder in folders}
PACKAGES = ("modeling_gem", "processing", "recipes", "hub_cards")


class Import(NamedTuple):
    """An import of one of our modules by another, with the line in the importing file."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def find_modules(root: Path, packages: Collection[str] = PACKAGES) -> dict[str, Path]:
    """Dotted name -> file, of all modules of `packages` below `root`."""
    return {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for package in packages
        for file in sorted((root / package).rglob("*.py"))
    }


def folder_of(module: str, modules: Mapping[str, Path]) -> str:
    """The folder of a module, at most two deep. `modeling_gem` counts as one."""
    folder = module if modules[module].name == "__init__.py" else module.rpartition(".")[0]
    parts = folder.split(".")
    return ".".join(parts[: 1 if parts[0] == "modeling_gem" else 2])


def read_imports(modules: Mapping[str, Path]) -> list[Import]:
    """Every import between `modules`, also inside functions, but not under `if TYPE_CHECKING`."""
    found = set()
    for name, file in modules.items():
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for node in _run(ast.parse(file.read_text(encoding="utf-8"))):
            for target in _targets(node, package):
                while target and target not in modules:
                    target = target.rpartition(".")[0]
                if target and target != name:
                    found.add(Import(name, target, node.lineno))
    return sorted(found)


def cycles(imports: Collection[Import]) -> list[tuple[str, ...]]:
    """The groups of modules that reach each other by imports."""
    direct: dict[str, set[str]] = {}
    for edge in imports:
        direct.setdefault(edge.source, set()).add(edge.target)
    reached = {module: _reached(module, direct) for module in direct}
    groups = {tuple(sorted(m for m in reached[x] if x in reached.get(m, ()))) for x in direct if x in reached[x]}
    return sorted(groups)


def upward(imports: Collection[Import], modules: Mapping[str, Path]) -> list[Import]:
    """The imports from one folder into another that is not on a lower layer."""
    folders = {module: folder_of(module, modules) for module in modules}
    return [
        edge
        for edge in imports
        if folders[edge.source] != folders[edge.target]
        and LAYER.get(folders[edge.source], -1) >= LAYER.get(folders[edge.target], -1)
    ]


def _run(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that run, at module level or in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from _run(ast.Module(child.orelse, []))
        else:
            yield from _run(child)


def _targets(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    """The dotted names that an import may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    start = ".".join([*base, *([node.module] if node.module else [])])
    return [f"{start}.{alias.name}" for alias in node.names]


def _reached(module: str, direct: Mapping[str, set[str]]) -> set[str]:
    """The modules that a module imports, directly or through others."""
    seen: set[str] = set()
    ahead = [module]
    while ahead:
        new = direct.get(ahead.pop(), set()) - seen
        seen |= new
        ahead += new
    return seen
