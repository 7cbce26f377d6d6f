# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What makes a folder of Parquet a published data set: README with its YAML, and the SHA-256 of every file."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict

from recipes.publishing.dataset_card import dataset_card
from recipes.sources import PUBLISHERS

from .report import PLOTS, REJECTS, REPORT_JSON, REPORT_MARKDOWN
from .schema import SPLITS, columns, schema
from .settings import BuildSettings
from .shards import atomic_file

README, CHECKSUMS = "README.md", "SHA256SUMS"
OWN_FILES = (README, CHECKSUMS, REPORT_JSON, REPORT_MARKDOWN, REJECTS)
# The configuration of all sources together, where there are several.
ALL = "all"


def write_card(notes: Sequence[Mapping[str, Any]], statistics: Mapping[str, Any], settings: BuildSettings) -> None:
    """
    Writes `README.md` and, last, `SHA256SUMS`: a folder that can be uploaded as it is.

    Args:
        notes: of the shards that have rows.
        statistics: what `write_report` found.
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


def splits_of_configs(notes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, int]]]:
    """Configuration -> split -> rows and bytes; with `ALL` first where there are several sources."""
    configs: dict[str, dict[str, dict[str, int]]] = {}
    for note in notes:
        _, config, name = note["file"].split("/")
        for owner in (config, ALL):
            split = configs.setdefault(owner, {}).setdefault(name.split("-")[0], {"rows": 0, "bytes": 0})
            split["rows"] += note["rows"]
            split["bytes"] += note["bytes"]
    everything = configs.pop(ALL)
    ordered = {name: {s: splits[s] for s in SPLITS if s in splits} for name, splits in configs.items()}
    if len(ordered) == 1:
        return ordered
    return {ALL: {s: everything[s] for s in SPLITS if s in everything}} | ordered


def default_config(configs: Mapping[str, Any]) -> str:
    return next(iter(configs))


def pattern(config: str, split: str) -> str:
    return f"data/{'*' if config == ALL else config}/{split}-*.parquet"


def _config(name: str, splits: Mapping[str, Any], default: bool) -> dict[str, Any]:
    files = [{"split": split, "path": pattern(name, split)} for split in splits]
    return {"config_name": name, "data_files": files} | ({"default": True} if default else {})


def _infos(configs: Mapping[str, Mapping[str, Mapping[str, int]]], features: Features) -> DatasetInfosDict:
    infos = DatasetInfosDict()
    for name, splits in configs.items():
        size = sum(split["bytes"] for split in splits.values())
        infos[name] = DatasetInfo(
            features=features,
            config_name=name,
            splits=SplitDict(
                {
                    split: SplitInfo(name=split, num_bytes=counts["bytes"], num_examples=counts["rows"])
                    for split, counts in splits.items()
                }
            ),
            download_size=size,
            dataset_size=size,
        )
    return infos


def _summary(statistics: Mapping[str, Any]) -> str:
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


def _shown(statistics: Mapping[str, Any]) -> dict[str, str]:
    """The statistics that a reader of a card wants; all of them are in report.json."""
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
    for name, unit in (("age", "years"), ("heart_rate", "/min"), ("qrs_duration", "ms"), ("answer_words", "words")):
        found = statistics[name]
        if found["count"]:
            values = f"{found['median']:g} ({found['5 %']:g} to {found['95 %']:g}) {unit}"
            shown[f"{name.replace('_', ' ')}, median (5 to 95 %)"] = values
    return {key: value for key, value in shown.items() if value}


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _limits(statistics: Mapping[str, Any]) -> list[str]:
    limits = ["Measurements are those of a program; where a wave is not seen there is no value."]
    if statistics["rows_without_heartbeats"]:
        limits.append(f"In {statistics['rows_without_heartbeats']:,} rows no heartbeat was found.")
    return limits


def _plots() -> str:
    return "\n".join(["## Distributions", "", *(f"![{n.replace('_', ' ')}](plots/{n}.png)" for n in PLOTS), ""])


def _write_checksums(folder: Path, notes: Sequence[Mapping[str, Any]]) -> None:
    """`sha256sum --check SHA256SUMS` verifies a copy; shards were summed when they were written."""
    sums = {note["file"]: note["sha256"] for note in notes}
    names = [name for name in OWN_FILES if name != CHECKSUMS] + [f"plots/{name}.png" for name in PLOTS]
    sums |= {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    with atomic_file(folder / CHECKSUMS) as file:
        file.write("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode())


__all__ = ["CHECKSUMS", "OWN_FILES", "README", "write_card"]
