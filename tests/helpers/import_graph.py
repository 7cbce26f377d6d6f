# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Who imports whom, read from the source with `ast`: nothing is imported, so any revision's tree can be read."""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

# Top to bottom, as the house stands: a room imports itself and rooms on lower floors, never its neighbours.
FLOORS = (
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
    ("processing.claims", "processing.simulator", "processing.untrusted", "processing.photo"),
    ("processing",),  # files flat in it: what travels with a published model
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PACKAGES = ("modeling_gem", "processing", "recipes", "hub_cards")


class Import(NamedTuple):
    """One import of a module of ours by another, at a line of the importing file."""

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


def room_of(module: str, modules: Mapping[str, Path]) -> str:
    """The folder that a module is in, at most two deep. `modeling_gem` is one room."""
    folder = module if modules[module].name == "__init__.py" else module.rpartition(".")[0]
    parts = folder.split(".")
    return ".".join(parts[: 1 if parts[0] == "modeling_gem" else 2])


def read_imports(modules: Mapping[str, Path]) -> list[Import]:
    """Every import between `modules`, those inside functions too; what stands under `if TYPE_CHECKING` does not count."""
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


def circles(imports: Collection[Import]) -> list[tuple[str, ...]]:
    """The groups of modules that reach each other by imports."""
    direct: dict[str, set[str]] = {}
    for edge in imports:
        direct.setdefault(edge.source, set()).add(edge.target)
    reached = {module: _reached(module, direct) for module in direct}
    groups = {tuple(sorted(m for m in reached[x] if x in reached.get(m, ()))) for x in direct if x in reached[x]}
    return sorted(groups)


def upward(imports: Collection[Import], modules: Mapping[str, Path]) -> list[Import]:
    """The imports that leave a room for one that is not on a lower floor."""
    rooms = {module: room_of(module, modules) for module in modules}
    return [
        edge
        for edge in imports
        if rooms[edge.source] != rooms[edge.target]
        and FLOOR.get(rooms[edge.source], -1) >= FLOOR.get(rooms[edge.target], -1)
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
    """What a module imports, and what those import."""
    seen: set[str] = set()
    ahead = [module]
    while ahead:
        new = direct.get(ahead.pop(), set()) - seen
        seen |= new
        ahead += new
    return seen
