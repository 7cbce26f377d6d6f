# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The ECGs of a folder: one path per record, and what is left out with the reason. Only the beginnings of files are read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from processing.ecg_packed import unpacked_head, unpacked_path
from processing.ecg_picture_files import PICTURE_SUFFIXES, is_picture_data
from processing.ecg_readers_devices import is_scp
from processing.ecg_readers_dicom import is_dicom
from processing.ecg_readers_edf import is_edf
from processing.ecg_readers_ishne import is_ishne
from processing.errors_gem import EcgFormatError

from .glance import why_no_ecg_table

# Files that are records by their names.
ECG_SUFFIXES = (
    ".hea", ".mat", ".npy", ".npz", ".h5", ".hdf5", ".edf", ".bdf", ".dcm", ".scp", ".xml", ".ecg",
)  # fmt: skip
# Tables that are records unless they hold something else, and texts that may be tables.
TABLE_SUFFIXES, TEXT_SUFFIXES = (".csv", ".tsv"), (".txt", ".asc", "")
# Lists and notes of published data sets, without their suffixes.
LISTS = frozenset(
    [
        "records", "annotators", "sha256sums", "md5sums", "checksums", "license", "licence", "readme", "changelog", "reference",
        "ptbxl_database", "scp_statements", "ludb", "exams", "machine_measurements", "record_list", "waveform_note_links", "metadata",
        "conditionnames_snomed-ct", "dx_map",
    ]
)  # fmt: skip
HEAD_BYTES = 2**15
SHOWN = 3  # names for one reason
LIST, NO_ECG = "a list or notes of a data set", "no ECG by its name and its beginning"
PICTURE = "a picture; name it alone"
BESIDE = "a WFDB record of the same name lies beside it"
PARQUET = "a Parquet file; a data set needs a folder of its own"
NO_HEADER = "a WFDB signal file without its header"
OWN_REASONS = {".dat": NO_HEADER, ".parquet": PARQUET}
_BY_CONTENT = (is_dicom, is_edf, is_ishne, is_scp)


@dataclass(frozen=True)
class EcgFolder:
    """The files of a folder.

    Attributes:
        records: one path per ECG, sorted; a WFDB record is its `.hea`.
        left_out: path -> why it is no record of its own. Files of WFDB records are not in it.
    """

    records: tuple[Path, ...] = ()
    left_out: Mapping[Path, str] = field(default_factory=dict)

    def left_out_in(self, folder: Path) -> dict[str, str]:
        """`left_out` with the paths in the folder."""
        return {path.relative_to(folder).as_posix(): reason for path, reason in self.left_out.items()}


def list_ecg_files(folder: str | Path, pictures: bool = False) -> list[Path]:
    """The records of `ecg_folder`."""
    return list(ecg_folder(folder, pictures).records)


def ecg_folder(folder: str | Path, pictures: bool = False) -> EcgFolder:
    """The ECGs under a folder, and what is left out.

    Of a multi-segment WFDB record only the master header is listed. Beside a WFDB record no other file of its name is one. A text is a
    record if its beginning is a table that names a lead or a sampling rate, or numbers that run like a signal; lists of data sets
    (`RECORDS`, `ptbxl_database.csv`) are not. Hidden files and folders are not looked at.

    Args:
        folder: the folder.
        pictures: whether pictures are records too.

    Raises:
        EcgFormatError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EcgFormatError(f"{folder}: there is no such folder.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not is_hidden(path.relative_to(folder)))
    headers = {path.with_suffix("") for path in files if path.suffix == ".hea"}
    segments: set[Path] = set()
    signals: set[Path] = set()
    for header in (path for path in files if path.suffix == ".hea"):
        of_segments, of_signals = named_in_header(header)
        segments.update(header.with_name(name) for name in of_segments)
        signals.update(header.with_name(name) for name in of_signals)
    records, left_out = [], {}
    for path in files:
        if path.suffix == ".hea":
            if path.with_suffix("") not in segments:
                records.append(path)
        elif path in signals or (unpacked_path(path).with_suffix("") in headers and not _is_another_form(path)):
            continue  # samples, annotations and notes of a WFDB record
        elif reason := _why_not(path, headers, pictures):
            left_out[path] = reason
        else:
            records.append(path)
    return EcgFolder(tuple(records), left_out)


def left_out_in_words(left_out: Mapping[str, str]) -> str:
    """One line about the files that were left out, by reason; empty if there are none.

    Examples:
        >>> left_out_in_words({"RECORDS": "a list", "LICENSE.txt": "a list", "a.png": "a picture"})
        'left out: 3 files (RECORDS, LICENSE.txt: a list; a.png: a picture)'
    """
    if not left_out:
        return ""
    reasons: dict[str, list[str]] = {}
    for path, reason in left_out.items():
        reasons.setdefault(reason, []).append(path)
    told = "; ".join(f"{_some(names)}: {reason}" for reason, names in reasons.items())
    return f"left out: {len(left_out):,} file{'s' * (len(left_out) > 1)} ({told})"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN:,} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def is_hidden(path: Path) -> bool:
    """Whether a path in a folder is of a hidden file, or lies in a hidden folder."""
    return any(part.startswith(".") for part in path.parts)


def named_in_header(header: Path) -> tuple[set[str], set[str]]:
    """The segments and the signal files that a WFDB header names; none of a broken one."""
    with header.open("rb") as file:
        lines = file.read(2**20).decode("ascii", errors="ignore").splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if not rows:
        return set(), set()
    names = {row[0] for row in rows[1:] if row[0] != "~" and "/" not in row[0]}
    return (names, set()) if "/" in rows[0][0] else (set(), names)


def _is_another_form(path: Path) -> bool:
    """Whether a file beside a WFDB record of the same name is no part of that record: an export of it, its page, or its report."""
    suffix = unpacked_path(path).suffix.lower()
    return suffix in (*ECG_SUFFIXES, *TABLE_SUFFIXES, *TEXT_SUFFIXES, *PICTURE_SUFFIXES) and suffix != ".mat"


def _why_not(path: Path, headers: set[Path], pictures: bool) -> str:
    """Why a file is no record; empty if it is one."""
    bare = unpacked_path(path)
    suffix = bare.suffix.lower()
    if bare.with_suffix("") in headers:
        return BESIDE
    if suffix in ECG_SUFFIXES:
        return ""
    if suffix in OWN_REASONS:
        return OWN_REASONS[suffix]
    if re.sub(r"[-_. ]?\d*$", "", bare.stem.lower()) in LISTS and suffix in (*TABLE_SUFFIXES, *TEXT_SUFFIXES):
        return LIST
    head = unpacked_head(path, HEAD_BYTES)
    if is_picture_data(head[:16]):
        return "" if pictures else PICTURE
    if any(matches(head) for matches in _BY_CONTENT):
        return ""
    if suffix in TABLE_SUFFIXES:
        return why_no_ecg_table(head, path.name, len(head) == HEAD_BYTES) or ""
    if suffix in TEXT_SUFFIXES:
        reason = why_no_ecg_table(head, path.name, len(head) == HEAD_BYTES)
        return NO_ECG if reason is None else reason
    return NO_ECG


__all__ = [
    "ECG_SUFFIXES",
    "TABLE_SUFFIXES",
    "EcgFolder",
    "ecg_folder",
    "is_hidden",
    "left_out_in_words",
    "list_ecg_files",
    "named_in_header",
]
