# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Importers of published ECG data sets, by name: tables and file lists -> `SourceRecord`s, ECGs not yet read."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from processing.ecg_identity import without_persons
from processing.errors_gem import EcgFormatError

from .code15 import import_code15
from .ecg_qa import KIND as ECG_QA
from .ecg_qa import PUBLISHER as ECG_QA_PUBLISHER
from .ecg_qa import import_ecg_qa
from .folder import import_folder
from .llava_sets import PUBLISHERS as LLAVA_PUBLISHERS
from .llava_sets import import_ecg_grounding, import_ecg_instruct, import_ecg_r1, import_ecgbench
from .ludb import import_ludb
from .mimic import import_mimic
from .ptbxl import import_ptbxl
from .source_record import EcgFile, Rejection, SourceRecord
from .sph import import_sph
from .wfdb_snomed import import_challenge

Importer = Callable[..., Iterator[SourceRecord | Rejection]]

IMPORTERS: dict[str, Importer] = {
    "ptb-xl": import_ptbxl,
    "mimic-iv-ecg": import_mimic,
    "code-15": import_code15,
    "sph": import_sph,
    "ludb": import_ludb,
    **{
        name: import_challenge(name) for name in ("cpsc2018", "cpsc-extra", "csn", "chapman", "ningbo", "g12ec", "ptb")
    },
    "folder": import_folder,
    "ecg-grounding": import_ecg_grounding,
    "ecg-instruct": import_ecg_instruct,
    "ecg-bench": import_ecgbench,
    "ecg-r1": import_ecg_r1,
    ECG_QA: import_ecg_qa,
}
# Values of a row's `source` for published databases; other records are the user's own.
PUBLISHED_SOURCES = frozenset(IMPORTERS) - {"folder"}
# Sets whose rows may hold several ECGs.
SEVERAL_ECGS = (ECG_QA,)
# Format -> who publishes its conversations.
PUBLISHERS = {**LLAVA_PUBLISHERS, ECG_QA: ECG_QA_PUBLISHER}


def import_source(format: str, path: str, **options: Any) -> Iterator[SourceRecord | Rejection]:
    """The records of a source, in the order of its own tables; missing ones come as a `Rejection`. Statements of a report that name a
    person are removed (`without_persons`) before a teacher sees them.

    Args:
        format: a key of `IMPORTERS`.
        path: folder or file of the source.
        options: of the importer.

    Raises:
        EcgFormatError: unknown format or option, or the source lacks its table.

    Examples:
        >>> record = next(import_source("folder", "processing/samples"))
        >>> record.id, record.ecgs[0].load().leads[:3]
        ('own/atrial_fibrillation', ('I', 'II', 'III'))
    """
    if format not in IMPORTERS:
        raise EcgFormatError(f"source format {format!r} is unknown; known are {', '.join(IMPORTERS)}.")
    accepted = inspect.signature(IMPORTERS[format]).parameters
    unknown = sorted(set(options) - set(accepted))
    if unknown:
        others = [name for name in accepted if name != "path"]
        raise EcgFormatError(f"source {format}: unknown option(s) {unknown}; it has {others or 'none'}.")
    required = [n for n, p in accepted.items() if p.default is p.empty and n != "path" and n not in options]
    if required:
        raise EcgFormatError(f"source {format}: the option(s) {required} must be given.")
    return map(_without_persons, IMPORTERS[format](path, **options))


def _without_persons(item: SourceRecord | Rejection) -> SourceRecord | Rejection:
    return item if isinstance(item, Rejection) else replace(item, report=without_persons(item.report))


__all__ = [
    "IMPORTERS",
    "PUBLISHED_SOURCES",
    "PUBLISHERS",
    "SEVERAL_ECGS",
    "EcgFile",
    "Rejection",
    "SourceRecord",
    "import_source",
]
