# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The files that make a folder of Parquet a published data set: README with its YAML, and the SHA-256 of every file."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, DatasetCardData

from recipes.scores import TASK
from recipes.sources import PUBLISHERS
from recipes.sources.terms import DATA_TERMS, TAGS, TEMPLATES, Terms, citations, dataset_id, terms_of

from .report import PLOTS, REJECTS, REPORT_JSON, REPORT_MARKDOWN, BuildStatistics, Summarised
from .schema import SPLITS, columns, schema
from .settings import BuildSettings
from .shards import ShardNote, atomic_file


def dataset_card(
    folder: str | Path,
    *,
    name: str | None = None,
    repo: str = "",
    summary: str = "",
    sources: Iterable[str] = (),
    licence: str | None = None,
    meanings: Mapping[str, str] | None = None,
    building: Iterable[str] = (),
    statistics: Mapping[str, Any] | None = None,
    limits: Iterable[str] = (),
    language: Iterable[str] = ("en",),
) -> DatasetCard:
    """
    The card of a folder of Parquet files named `SPLIT-*.parquet` or `data/SPLIT-*.parquet`. Splits, rows, sizes, columns and
    sources are counted in the files.

    Args:
        folder: The Parquet files.
        name: Title; the folder's name if not given.
        repo: Hub id, for the example.
        summary: One or two sentences.
        sources: Names of the data it was made from; those in the `source` column are added.
        licence: The Hub's identifier. If not given, that of the sources where all agree, else `other`.
        meanings: What a column holds, by its name.
        building: How it was made, one sentence per stage.
        statistics: What the build counted.
        limits: More items for the list.
        language: Of the texts, ISO 639-1.
    """
    import pyarrow.parquet as pq

    folder = Path(folder)
    splits = _splits(folder)
    counted = _sources(path for split in splits for path in split.paths)
    names = [*counted, *sources]
    terms = terms_of(names, DATA_TERMS)
    unknown = [name for name in names if not any(item.covers(name) for item in DATA_TERMS)]
    rows = sum(split.rows for split in splits)
    schema = pq.read_schema(splits[0].paths[0]) if splits else None
    metadata = DatasetCardData(
        pretty_name=name or folder.name,
        license=licence or ("other" if unknown else _common_licence(terms)),
        language=list(language),
        task_categories=[TASK],
        tags=TAGS[:5],
        size_categories=[size_category(rows)],
        source_datasets=sorted({dataset_id(source) for source in names}) or None,
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split.name, "path": split.pattern} for split in splits],
            }
        ],
    )
    return DatasetCard.from_template(
        metadata,
        template_path=str(TEMPLATES / "dataset_card.md"),
        name=name or folder.name,
        repo=repo,
        summary=summary,
        splits=splits,
        sources=counted,
        columns={column.name: str(column.type) for column in schema} if schema is not None else {},
        has_gain=schema is not None and {"signal", "gain"} <= set(schema.names),
        meanings=meanings or {},
        building=list(building),
        statistics=statistics or {},
        limits=[
            "Texts written by a template or a language model repeat its habits and its errors.",
            *(item.bias for item in terms if item.bias),
            *limits,
        ],
        agreements=[item.agreement for item in terms]
        + [f"{name}: its terms are not known to gem-ecg; look them up where it is published." for name in unknown],
        citation=citations(terms),
    )


@dataclass
class Split:
    """The files of one split."""

    name: str
    pattern: str
    paths: list[Path] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0

    @property
    def files(self) -> int:
        return len(self.paths)


def _splits(folder: Path) -> list[Split]:
    import pyarrow.parquet as pq

    splits: dict[str, Split] = {}
    for path in sorted(folder.rglob("*.parquet")):
        name = path.stem.split("-")[0]
        parent = path.parent.relative_to(folder).as_posix()
        pattern = f"{name}-*.parquet" if parent == "." else f"{parent}/{name}-*.parquet"
        split = splits.setdefault(
            name, Split(name, pattern if "-" in path.stem else path.relative_to(folder).as_posix())
        )
        split.paths.append(path)
        split.rows += pq.read_metadata(path).num_rows
        split.bytes += path.stat().st_size
    order = {"train": 0, "validation": 1, "test": 2}
    return sorted(splits.values(), key=lambda split: (order.get(split.name, 3), split.name))


def _sources(paths: Iterable[Path]) -> dict[str, int]:
    import pyarrow.parquet as pq

    counts: dict[str, int] = {}
    for path in paths:
        if "source" in pq.read_schema(path).names:
            for entry in pq.read_table(path, columns=["source"])["source"].value_counts().to_pylist():
                counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    return dict(sorted(counts.items()))


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    bounds = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")]
    return next((word for bound, word in bounds if rows < bound), "10M<n<100M")


def _common_licence(terms: list[Terms]) -> str:
    licences = {item.licence for item in terms}
    only = licences.pop() if len(licences) == 1 else None
    return only or "other"


README, CHECKSUMS = "README.md", "SHA256SUMS"
OWN_FILES = (README, CHECKSUMS, REPORT_JSON, REPORT_MARKDOWN, REJECTS)
# The configuration of all sources together, where there are several.
ALL = "all"


def write_card(notes: Sequence[ShardNote], statistics: BuildStatistics, settings: BuildSettings) -> None:
    """
    Writes `README.md` and, last, `SHA256SUMS`. The folder can then be uploaded as it is.

    Args:
        notes: of the shards that have rows.
        statistics: as returned by `write_report`.
        settings: of the build.
    """
    folder = settings.folder
    meant = columns(settings.page.embed, settings.several_ecgs)
    card = dataset_card(
        folder,
        name=settings.card.title,
        repo=settings.card.repo,
        sources=[PUBLISHERS[source.format] for source in settings.sources if source.format in PUBLISHERS],
        summary=settings.card.text or _summary(statistics),
        licence=settings.card.license if settings.card.license != "other" else None,
        meanings={name: meaning for name, (_, meaning) in meant.items()},
        building=_stages(settings),
        statistics=_shown(statistics),
        limits=_limits(statistics),
        language=settings.card.language,
    )
    configs = splits_of_configs(notes)
    card.data["configs"] = [_config(name, splits, name == default_config(configs)) for name, splits in configs.items()]
    _infos(configs, schema(settings.page.embed, settings.several_ecgs)).to_dataset_card_data(card.data)
    with atomic_file(folder / README) as file:
        file.write(f"{card.content.rstrip()}\n\n{_plots()}".encode())
    _write_checksums(folder, notes)


@dataclass
class SplitSize:
    """Rows of a split, and bytes of its files."""

    rows: int = 0
    bytes: int = 0


def splits_of_configs(notes: Sequence[ShardNote]) -> dict[str, dict[str, SplitSize]]:
    """Configuration -> split -> its size; with `ALL` first where there are several sources."""
    configs: dict[str, dict[str, SplitSize]] = {}
    for note in notes:
        _, config, name = note.file.split("/")
        for owner in (config, ALL):
            split = configs.setdefault(owner, {}).setdefault(name.split("-")[0], SplitSize())
            split.rows += note.rows
            split.bytes += note.bytes
    everything = configs.pop(ALL)
    ordered: dict[str, dict[str, SplitSize]] = {
        name: {s: splits[s] for s in SPLITS if s in splits} for name, splits in configs.items()
    }
    if len(ordered) > 1:
        ordered = {ALL: {s: everything[s] for s in SPLITS if s in everything}, **ordered}
    return ordered


def default_config(configs: Iterable[str]) -> str:
    return next(iter(configs))


def pattern(config: str, split: str) -> str:
    return f"data/{'*' if config == ALL else config}/{split}-*.parquet"


def _config(name: str, splits: Iterable[str], default: bool) -> dict[str, Any]:
    files = [{"split": split, "path": pattern(name, split)} for split in splits]
    return {"config_name": name, "data_files": files} | ({"default": True} if default else {})


def _infos(configs: Mapping[str, Mapping[str, SplitSize]], features: Features) -> DatasetInfosDict:
    infos = DatasetInfosDict()
    for name, splits in configs.items():
        size = sum(split.bytes for split in splits.values())
        infos[name] = DatasetInfo(
            features=features,
            config_name=name,
            splits=SplitDict(
                {
                    split: SplitInfo(name=split, num_bytes=found.bytes, num_examples=found.rows)
                    for split, found in splits.items()
                }
            ),
            download_size=size,
            dataset_size=size,
        )
    return infos


def _summary(statistics: BuildStatistics) -> str:
    sources = ", ".join(statistics["rows_by_source"])
    return (
        f"{statistics['rows']:,} twelve-lead ECGs of {statistics['patients']:,} patients ({sources}) with signals as integers, "
        "measurements of every beat, reports, labels and conversations about them, split by patient."
    )


def _stages(settings: BuildSettings) -> list[str]:
    formats = ", ".join(dict.fromkeys(source.format for source in settings.sources))
    page = (
        f"Pages drawn as `{settings.page.layout}` at {settings.page.size} px."
        if settings.page.embed
        else "No pictures inside: pages are drawn from the signal when rows are read."
    )
    teacher = settings.teacher["kind"]
    return [
        f"Records of {formats} read with gem-ecg; leads in standard order"
        + ("." if settings.sampling_rate is None else f", resampled to {settings.sampling_rate:g} Hz."),
        "Fourteen sequences per lead and beat, and measures of the whole record, by `processing/ecg_features.py`.",
        page,
        "No new answers written." if teacher == "none" else f"Answers by the {teacher} teacher from measurements, report and labels, and checked against them.",
        "Splits by patient: "
        + ("the publishers' where there are any, else " if settings.split.method == "official" else "")
        + "a hash of the patient's number.",
    ]  # fmt: skip


def _shown(statistics: BuildStatistics) -> dict[str, str]:
    """The statistics that a reader of a card needs; all of them are in report.json."""
    shown = {
        "rows": f"{statistics['rows']:,}",
        "patients": f"{statistics['patients']:,}",
        "records rejected (rejects.jsonl says why)": f"{statistics['rejected']:,}",
        "bytes per row": f"{statistics['bytes_per_row']:,}",
        "sampling rates": _words(statistics["sampling_rates"]),
        "sex": _words(statistics["sex"]),
        "answers by": _words(statistics["teachers"]),
        "most frequent labels": _words(dict(list(statistics["labels"].items())[:8])),
    }
    units: dict[Summarised, str] = {
        "age": "years",
        "heart_rate": "/min",
        "qrs_duration": "ms",
        "answer_words": "words",
    }
    for name, unit in units.items():
        found = statistics[name]
        if found["count"]:
            values = f"{found['median']:g} ({found['5 %']:g} to {found['95 %']:g}) {unit}"
            shown[f"{name.replace('_', ' ')}, median (5 to 95 %)"] = values
    return {key: value for key, value in shown.items() if value}


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _limits(statistics: BuildStatistics) -> list[str]:
    limits = ["Measurements are those of a program; where a wave is not seen there is no value."]
    if statistics["rows_without_heartbeats"]:
        limits.append(f"In {statistics['rows_without_heartbeats']:,} rows no heartbeat was found.")
    return limits


def _plots() -> str:
    return "\n".join(["## Distributions", "", *(f"![{n.replace('_', ' ')}](plots/{n}.png)" for n in PLOTS), ""])


def _write_checksums(folder: Path, notes: Sequence[ShardNote]) -> None:
    """`sha256sum --check SHA256SUMS` verifies a copy; shards were summed when they were written."""
    sums = {note.file: note.sha256 for note in notes}
    names = [name for name in OWN_FILES if name != CHECKSUMS] + [f"plots/{name}.png" for name in PLOTS]
    sums |= {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    with atomic_file(folder / CHECKSUMS) as file:
        file.write("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode())


__all__ = ["CHECKSUMS", "OWN_FILES", "README", "dataset_card", "write_card"]
