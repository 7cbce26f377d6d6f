# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What `gem build-dataset` is told: a YAML file, checked key by key."""

import dataclasses
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from processing.errors_gem import BuildError
from recipes.sources import IMPORTERS, SEVERAL_ECGS

from .schema import SPLITS, PageStyleChoice

# Raised when the same settings give other bytes than before.
FORMAT_VERSION = 2
# Change where or how fast a data set is built, but not what it holds.
NOT_CONTENT = ("output", "workers")
# Keys of `teacher` that are about asking it; the others are `build_teacher`'s.
TEACH_OPTIONS = ("checks", "attempts", "allow_credentialed_remote")


@dataclass(frozen=True)
class SourceSettings:
    """One source: `format` (a key of `IMPORTERS`), `path`, and the importer's own `options`.

    Args:
        name: configuration of the data set; default: the format.
        limit: first so many records, to try things.
    """

    format: str
    path: str
    name: str
    limit: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitSettings:
    """How patients are split.

    Args:
        method: `official` (the publishers' split where there is one, else by hash) or `hash`.
        fractions: split -> share of the patients, for the hash.
        salt: other assignments.
    """

    method: str = "official"
    fractions: dict[str, float] = field(default_factory=lambda: {"train": 0.8, "validation": 0.1, "test": 0.1})
    salt: str = "gem-ecg"


@dataclass(frozen=True)
class PageSettings:
    """Pictures: `embed` stores them as PNG; otherwise they are drawn when rows are read."""

    embed: bool = False
    layout: str = "square_12x1"
    size: int = 336

    @property
    def style(self) -> PageStyleChoice:
        return PageStyleChoice(self.layout, self.size)


@dataclass(frozen=True)
class CardSettings:
    """Words for the data set's card; `repo`: the Hub id under which it will be published, for the card's example."""

    title: str = "ECG instruction data"
    repo: str = ""
    license: str = "other"
    language: tuple[str, ...] = ("en",)
    text: str = ""


@dataclass(frozen=True)
class BuildSettings:
    """Everything that decides what is built.

    Args:
        output: folder to write.
        sources: where the records come from.
        teacher: settings of `build_teacher`, with `checks` (of `CheckSettings`), `attempts` and
            `allow_credentialed_remote`; `{"kind": "template"}` writes answers from features and labels, offline;
            `{"kind": "none"}` leaves rows without a conversation unanswered.
        sampling_rate: Hz to resample to; by default signals stay as recorded.
        shard_size: records per Parquet file.
        workers: processes.
    """

    output: str
    sources: tuple[SourceSettings, ...]
    split: SplitSettings = field(default_factory=SplitSettings)
    page: PageSettings = field(default_factory=PageSettings)
    card: CardSettings = field(default_factory=CardSettings)
    teacher: dict[str, Any] = field(default_factory=lambda: {"kind": "template"})
    sampling_rate: float | None = None
    shard_size: int = 500
    workers: int = 1

    @property
    def folder(self) -> Path:
        return Path(self.output)

    @property
    def several_ecgs(self) -> bool:
        return any(source.format in SEVERAL_ECGS for source in self.sources)

    def with_images(self) -> "BuildSettings":
        """The same with pictures embedded."""
        return dataclasses.replace(self, page=dataclasses.replace(self.page, embed=True))

    def content(self) -> dict[str, Any]:
        """What decides the data set's bytes, as plain values."""
        plain = dataclasses.asdict(self)
        return {"format_version": FORMAT_VERSION, "gem_ecg": _version()} | {
            k: v for k, v in plain.items() if k not in NOT_CONTENT
        }


def _version() -> str:
    """Of gem-ecg: another one may measure and word otherwise."""
    try:
        return version("gem-ecg")
    except PackageNotFoundError:
        return "not installed"


def read_settings(path: str | Path, **changes: Any) -> BuildSettings:
    """
    The settings in a YAML file; `changes` that are not `None` replace its values.

    Raises:
        BuildError: not YAML, an unknown or missing key, or a value out of bounds; the message names the key.
    """
    import yaml

    path = Path(path)
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror}).") from error
    except yaml.YAMLError as error:
        raise BuildError(f"{path}: not YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(loaded, dict):
        raise BuildError(f"{path}: expected keys and values, such as `output` and `sources`.")
    return settings_from(loaded | {k: v for k, v in changes.items() if v is not None}, str(path))


def settings_from(loaded: dict[str, Any], where: str = "settings") -> BuildSettings:
    """`BuildSettings` of plain values; see `read_settings`."""
    values = dict(loaded)
    sources = values.get("sources")
    if not isinstance(sources, list) or not sources:
        raise BuildError(f"{where}: `sources` must be a list of at least one source with `format` and `path`.")
    values["sources"] = tuple(_source(source, f"{where}, sources") for source in sources)
    for name, kind in (("split", SplitSettings), ("page", PageSettings), ("card", CardSettings)):
        if name in values:
            values[name] = _filled(kind, values[name], f"{where}, {name}")
    settings = _filled(BuildSettings, values, where)
    _check(settings, where)
    return settings


def _source(values: Any, where: str) -> SourceSettings:
    if not isinstance(values, dict) or not {"format", "path"} <= set(values):
        raise BuildError(f"{where}: each source needs `format` and `path`, got {values!r}.")
    if values["format"] not in IMPORTERS:
        raise BuildError(f"{where}: format {values['format']!r} is unknown; known are {', '.join(IMPORTERS)}.")
    own = {key: value for key, value in values.items() if key in ("format", "path", "name", "limit")}
    options = {key: value for key, value in values.items() if key not in own}
    return SourceSettings(**{"name": values["format"]} | own | {"path": str(own["path"])}, options=options)


def _filled(kind: Any, values: Any, where: str) -> Any:
    known = [f.name for f in dataclasses.fields(kind)]
    if not isinstance(values, dict):
        raise BuildError(f"{where}: expected keys {known}, got {values!r}.")
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise BuildError(f"{where}: unknown key(s) {unknown}; known are {known}.")
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    except TypeError as error:
        raise BuildError(f"{where}: {error}.") from error


def _check(settings: BuildSettings, where: str) -> None:
    names = [source.name for source in settings.sources]
    fractions = settings.split.fractions
    for wrong, message in (
        (len(set(names)) < len(names), f"two sources have one name in {names}; give each its own `name`"),
        ("all" in names, "no source may be named 'all': that is the configuration of all sources together"),
        (
            any(set(name) & set("/ *?[]") for name in names),
            f"names are parts of paths: no slash, space or wildcard in {names}",
        ),
        (settings.split.method not in ("official", "hash"), "split.method is official or hash"),
        (not set(fractions) <= set(SPLITS), f"split.fractions are of {list(SPLITS)}"),
        (abs(sum(fractions.values()) - 1) > 1e-9 or min(fractions.values()) < 0, "split.fractions must add up to 1"),
        (settings.shard_size < 1, "shard_size must be at least 1"),
        (settings.workers < 1, "workers must be at least 1"),
        ("kind" not in settings.teacher, "teacher needs a `kind`"),
    ):
        if wrong:
            raise BuildError(f"{where}: {message}.")


__all__ = ["BuildSettings", "PageSettings", "SourceSettings", "SplitSettings", "read_settings", "settings_from"]
