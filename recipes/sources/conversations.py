# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Published ECG conversations -> `SourceRecord`s with `messages`, their ECG ids mapped to files on this machine."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processing.errors_gem import EcgFormatError

from .source_record import EcgFile, Message

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
# Where the published rows put the media; ours are placed by the collator.
_PLACEHOLDER = re.compile(r"\s*<(?:image|ecg)>\s*")


@dataclass(frozen=True)
class DataBase:
    """A database whose ECGs are recognised by their paths in published rows.

    Args:
        name: the source.
        pattern: matches the path; groups `study` and, where the path holds it, `patient`.
    """

    name: str
    pattern: re.Pattern[str]


# ECG paths of ECG-Grounding, ECGInstruct and ECG-R1: prefixes as published, or the data base's own folders.
DATA_BASES = (
    DataBase("mimic-iv-ecg", re.compile(r"(?:^|/)p\d{4}/p(?P<patient>\d{8})/s(?P<study>\d+)/")),
    DataBase("ptb-xl", re.compile(r"records(?:500|100)/\d{5}/(?P<study>\d{5})_(?:hr|lr)")),
    DataBase("ptb-xl", re.compile(r"(?:^|/)ptb-?xl(?:[^/]*/)+(?P<study>\d{5})_?(?:hr|lr)?", re.IGNORECASE)),
    DataBase("code-15", re.compile(r"(?:^|/)code15[^/]*/(?:.*/)?(?P<study>\d+)")),
    DataBase("cpsc2018", re.compile(r"(?:^|/)(?P<study>A\d{4})(?:\.|$|-|/)")),
    DataBase("csn", re.compile(r"(?:^|/)(?P<study>JS\d{5})(?:\.|$|-|/)")),
    DataBase("g12ec", re.compile(r"(?:^|/)(?P<study>E\d{5})(?:\.|$|-|/)")),
)


def to_messages(turns: Any, where: str) -> tuple[Message, ...]:
    """LLaVA turns (`from`, `value`), chat messages (`role`, `content`) or question-answer pairs -> messages.

    Media placeholders are taken out. A `value` that is a list (ECGBench's ecgqa-test) is joined by semicolons.

    Raises:
        EcgFormatError: no turns, an unknown role, or an empty turn.
    """
    messages: list[Message] = []
    if turns is None or not len(turns):
        raise EcgFormatError(f"{where}: no conversation in this row.")
    for turn in turns:
        if "question" in turn:
            messages += [_message("user", turn["question"], where), _message("assistant", turn["answer"], where)]
        else:
            messages.append(
                _message(turn.get("from", turn.get("role")), turn.get("value", turn.get("content")), where)
            )
    if not any(message["role"] == "user" for message in messages):
        raise EcgFormatError(f"{where}: the conversation asks nothing (roles {[m['role'] for m in messages]}).")
    return tuple(messages)


def _message(role: Any, text: Any, where: str) -> Message:
    if role not in ROLES:
        raise EcgFormatError(f"{where}: a turn from {role!r}; known are {list(ROLES)}.")
    joined = "; ".join(map(str, text)) if not isinstance(text, str) and isinstance(text, Iterable) else str(text or "")
    clean = _PLACEHOLDER.sub("\n", joined).strip()
    if not clean:
        raise EcgFormatError(f"{where}: an empty turn of {role!r}.")
    return {"role": ROLES[role], "content": clean}


def database_of(path: str) -> tuple[str | None, str | None, str | None]:
    """(source, study, patient) that an ECG's published path tells."""
    for base in DATA_BASES:
        if match := base.pattern.search(path):
            return base.name, match["study"], match.groupdict().get("patient")
    return None, None, None


class FileMap:
    """Published ECG paths -> files here.

    Args:
        files: beginning of a published path (`""` for every other) -> the folder here that replaces it.

    Example: `{"mimic-iv": "/data/mimic-iv-ecg", "ecg_ptbxl_benchmarking": "/data/ptbxl"}`
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = sorted(files.items(), key=lambda item: -len(item[0]))

    def find(self, published: str) -> Path | None:
        """The file (WFDB: its path without suffix will do). Folders between prefix and file may differ: below the
        replacing folder, or its `files` (MIMIC-IV-ECG), the longest end of the published path that exists is taken."""
        for prefix, folder in self.files:
            if published.startswith(prefix):
                rest = Path(published[len(prefix) :].lstrip("/")).parts
                places = (
                    Path(base, *rest[start:]) for start in range(len(rest)) for base in (folder, f"{folder}/files")
                )
                return next((place for place in places if EcgFile(str(place)).exists()), None)
        return None


class Patients:
    """Studies -> patients where an ECG's path does not tell: PTB-XL's table and CODE-15's, if they are given."""

    def __init__(self, tables: Mapping[str, str]) -> None:
        unknown = set(tables) - {"ptb-xl", "code-15"}
        if unknown:
            raise EcgFormatError(f"patients: tables of 'ptb-xl' and 'code-15' are known, got {sorted(unknown)}.")
        self.numbers = {source: dict(_patients(source, path)) for source, path in tables.items()}

    def of(self, source: str, study: str) -> str | None:
        """The number of the patient of a study, if the source's table has it."""
        return self.numbers.get(source, {}).get(str(int(study)) if study.isdigit() else study)


def _patients(source: str, path: str) -> Iterator[tuple[str, str]]:
    import pandas as pd

    if not Path(path).is_file():
        raise EcgFormatError(f"{path}: there is no such table of patients ({source}).")
    key = {"ptb-xl": "ecg_id", "code-15": "exam_id"}[source]
    frame = pd.read_csv(path, usecols=[key, "patient_id"]).dropna()
    for study, patient in zip(frame[key].astype(int), frame["patient_id"].astype(int), strict=True):
        yield str(study), str(patient)


__all__ = ["DATA_BASES", "FileMap", "Patients", "database_of", "to_messages"]
