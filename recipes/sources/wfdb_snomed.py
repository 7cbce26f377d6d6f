# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""WFDB records with SNOMED CT codes in their headers, as the PhysioNet/CinC Challenges 2020 and 2021 publish them.

CPSC2018, CPSC-Extra, G12EC, Chapman-Shaoxing and Ningbo (together CSN), PTB; none of them publishes patient numbers.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from processing.ecg_raw import parsed_age, parsed_sex
from processing.ecg_readers_wfdb import SNOMED_CODE
from processing.errors_gem import EcgFormatError

from .source_record import EcgFile, SourceRecord, stated_age
from .statements import labels_report

_COMMENT = re.compile(r"^#\s*(Age|Sex|Dx)\s*:\s*(.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_MAX_HEADER_BYTES = 1_000_000


def import_challenge(source: str) -> Callable[..., Iterator[SourceRecord]]:
    """The importer of a challenge's data base; `source` becomes the records' source."""

    def import_records(path: str) -> Iterator[SourceRecord]:
        folder = Path(path)
        headers = sorted(folder.rglob("*.hea"))
        if not headers:
            raise EcgFormatError(f"{folder}: no WFDB header (.hea) in this folder or below.")
        for header in headers:
            yield _record(header, source)

    import_records.__doc__ = f"The WFDB records of {source} under `path`, sub-folders included."
    return import_records


def _record(header: Path, source: str) -> SourceRecord:
    with header.open("rb") as file:
        text = file.read(_MAX_HEADER_BYTES).decode("ascii", errors="ignore")
    stated = {key.lower(): value for key, value in _COMMENT.findall(text)}
    codes = [code for code in map(str.strip, stated.get("dx", "").split(",")) if SNOMED_CODE.fullmatch(code)]
    name = f"{source}/{header.stem}"
    return SourceRecord(
        id=name,
        source=source,
        ecgs=(EcgFile(str(header), {"record_id": name}),),
        report=labels_report(codes, "snomed"),
        report_kind="labels" if codes else "none",
        labels=dict.fromkeys(codes, 100.0),
        label_system="snomed",
        sex=parsed_sex(stated.get("sex", "")),
        age=stated_age(parsed_age(stated.get("age", ""))),
    )


__all__ = ["import_challenge"]
