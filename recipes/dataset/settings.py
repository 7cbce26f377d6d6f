# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Settings of `gem build-dataset`, from a YAML file that is checked key by key."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, field_validator, model_validator

from processing.errors_gem import BuildError
from recipes.settings import Settings
from recipes.sources import IMPORTERS, SEVERAL_ECGS

from .schema import SPLITS, PageStyleChoice

# Raised when the same settings give other bytes than before.
FORMAT_VERSION = 3
# Change where or how fast a data set is built, but not what it holds.
NOT_CONTENT = ("output", "workers", "untrusted")
# Keys of `teacher` that are about asking it; the others are `build_teacher`'s.
TEACH_OPTIONS = ("checks", "attempts", "allow_credentialed_remote")


PathText = Annotated[str, BeforeValidator(lambda path: str(path) if isinstance(path, Path) else path)]
AtLeastOne = Annotated[int, Field(ge=1)]


class SourceSettings(Settings):
    """One source: `format` (a key of `IMPORTERS`), `path`, and the importer's own `options`: every key of other names.

    Args:
        name: configuration of the data set; default: the format.
        limit: use only this many records, for trials.
    """

    format: str
    path: PathText
    name: str
    limit: AtLeastOne | None = None
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _sorted(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not {"format", "path"} <= set(values):
            raise ValueError(f"needs `format` and `path`, got {values!r}")
        own = {key: value for key, value in values.items() if key in ("format", "path", "name", "limit")}
        others = {key: value for key, value in values.items() if key not in own}
        return {"name": values["format"], **own, "options": others}

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in IMPORTERS:
            raise ValueError(f"{name!r} is unknown; known are {', '.join(IMPORTERS)}")
        return name


class SplitSettings(Settings):
    """How patients are split.

    Args:
        method: `official` (the publishers' split where there is one, else by hash) or `hash`.
        fractions: split -> share of the patients, for the hash.
        salt: another salt gives other splits.
    """

    method: Literal["official", "hash"] = "official"
    fractions: dict[str, NonNegativeFloat] = {"train": 0.8, "validation": 0.1, "test": 0.1}
    salt: str = "gem-ecg"

    @field_validator("fractions")
    @classmethod
    def _whole(cls, fractions: dict[str, float]) -> dict[str, float]:
        if not set(fractions) <= set(SPLITS):
            raise ValueError(f"are of {list(SPLITS)}, got {list(fractions)}")
        if abs(sum(fractions.values()) - 1) > 1e-9:
            raise ValueError(f"must add up to 1, got {fractions}")
        return fractions


class PageSettings(Settings):
    """Pictures: `embed` stores them as PNG; otherwise they are drawn when rows are read."""

    embed: bool = False
    layout: str = "square_12x1"
    size: AtLeastOne = 336

    @property
    def style(self) -> PageStyleChoice:
        """The page's layout and size, as the collator takes them."""
        return PageStyleChoice(self.layout, self.size)


class CardSettings(Settings):
    """Words for the data set's card; `repo`: the Hub id under which it will be published, for the card's example."""

    title: str = "ECG instruction data"
    repo: str = ""
    license: str = "other"
    language: tuple[str, ...] = ("en",)
    text: str = ""


class BuildSettings(Settings):
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
        untrusted: read each file in a process with limits (`load_untrusted`); what exceeds them is rejected.
    """

    output: PathText
    sources: tuple[SourceSettings, ...]
    split: SplitSettings = SplitSettings()
    page: PageSettings = PageSettings()
    card: CardSettings = CardSettings()
    teacher: dict[str, Any] = {"kind": "template"}
    sampling_rate: PositiveFloat | None = None
    shard_size: AtLeastOne = 500
    workers: AtLeastOne = 1
    untrusted: bool = False

    @field_validator("sources", mode="before")
    @classmethod
    def _some(cls, sources: Any) -> Any:
        if not isinstance(sources, (list, tuple)) or not sources:
            raise ValueError("must be a list of at least one source with `format` and `path`")
        return sources

    @field_validator("teacher")
    @classmethod
    def _of_a_kind(cls, teacher: dict[str, Any]) -> dict[str, Any]:
        if "kind" not in teacher:
            raise ValueError("needs a `kind`")
        return teacher

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError(f"two sources have one name in {names}; give each its own `name`")
        if "all" in names:
            raise ValueError("no source may be named 'all': that is the configuration of all sources together")
        if any(set(name) & set("/ *?[]") for name in names):
            raise ValueError(f"names are parts of paths: no slash, space or wildcard in {names}")
        return self

    @property
    def folder(self) -> Path:
        """Where the data set is written."""
        return Path(self.output)

    @property
    def several_ecgs(self) -> bool:
        """Whether a source asks about more than one ECG at a time."""
        return any(source.format in SEVERAL_ECGS for source in self.sources)

    def with_images(self, embed: bool = True) -> "BuildSettings":
        """The same with pictures embedded, or without."""
        return self.model_copy(update={"page": self.page.model_copy(update={"embed": embed})})

    def with_teacher_engine(self, engine: str) -> "BuildSettings":
        """The same with the teacher's language model on another engine.

        Raises:
            BuildError: the teacher has no model of its own.
        """
        if (kind := self.teacher["kind"]) != "local":
            raise BuildError(f"A teacher of the kind {kind!r} does not run on an engine; use `kind: local`.")
        local = {**(self.teacher.get("local") or {}), "engine": engine}
        return self.model_copy(update={"teacher": {**self.teacher, "local": local}})

    def content(self) -> dict[str, Any]:
        """What decides the data set's bytes, as plain values."""
        return {"format_version": FORMAT_VERSION, "gem_ecg": _version()} | self.model_dump(exclude=set(NOT_CONTENT))


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
    return BuildSettings.read(loaded, where, BuildError)


__all__ = ["BuildSettings", "PageSettings", "SourceSettings", "SplitSettings", "read_settings", "settings_from"]
