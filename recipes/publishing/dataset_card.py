# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The card of a folder of Parquet files: what is in it is counted, how it was made is told by the caller."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData

from recipes.scores import TASK

from .terms import DATA_TERMS, TAGS, TEMPLATES, Terms, citations, dataset_id, terms_of


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
        + [f"{name}: its terms are not known here; look them up where it is published." for name in unknown],
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


__all__ = ["dataset_card"]
