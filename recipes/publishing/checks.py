# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What must not leave the machine: pickles, patients' identities, raw device files, credentialed data."""

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from processing.errors_gem import PublishError
from recipes.sources.source_record import is_credentialed

PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
# Files of devices and archives carry the patient in their headers (or file names); what is published is Parquet.
RAW_RECORD_SUFFIXES = {
    ".dcm",
    ".dicom",
    ".xml",
    ".scp",
    ".ecg",
    ".edf",
    ".hea",
    ".dat",
    ".mat",
    ".h5",
    ".hdf5",
    ".zip",
}
TEXT_SUFFIXES = {".csv", ".tsv", ".json", ".jsonl", ".txt", ".md"}
# Each is a run of words inside a column's name, whatever its spelling: `PatientName`, `patient_name`, `ecg.patient-name`.
PHI_WORDS = tuple(
    tuple(words.split())
    for words in (
        "patient name", "first name", "last name", "given name", "family name", "middle name", "maiden name", "full name",
        "surname", "firstname", "lastname", "fullname", "birth date", "date of birth", "birthdate", "birthday", "birth time",
        "dateof birth", "dob", "mrn", "medical record number", "patient id", "patientid", "insurance number", "ssn",
        "social security", "address", "street", "phone", "telephone", "phone number", "fax", "email", "e mail",
        "zip code", "zipcode", "postal code", "postcode", "physician name", "referring physician", "technician name",
        "operator name", "account number", "passport",
    )
)  # fmt: skip
# Keys and elements of DICOM, MUSE, Sierra, aECG and JSON headers that name a patient, inside text values.
PHI_IN_TEXT = (
    r"PatientName|PatientID|PatientBirth|PatientAddress|PatientLastName|PatientFirstName|DateofBirth|"
    r"subjectDemographicPerson|<birthTime|<lastname|\(0010,00[1-3]0\)|"
    r'"(patient_?name|first_?name|last_?name|surname|birth_?date|date_of_birth|dob|mrn|patient_?id)"\s*:'
)
CREDENTIALED_HELP = (
    "data of MIMIC and eICU may be under a PhysioNet data use agreement, which forbids to pass it on. If the agreement of this "
    "data allows it (or the repository is private and shared with signatories only), repeat with --allow-credentialed."
)


def check_no_pickles(files: Iterable[Path]) -> None:
    """
    Raises:
        PublishError: A file is a pickle, by its name or by its content, or an array file with objects inside.
    """
    for file in files:
        if file.suffix.lower() in PICKLE_SUFFIXES or _holds_pickle(file):
            raise PublishError(
                f"{file}: a pickle, which may run code on the machine of whoever opens it, is never published. Save weights "
                "as safetensors (`gem convert` reads legacy ones), arrays as Parquet or NPY of numbers; else delete it."
            )


def _holds_pickle(file: Path) -> bool:
    with file.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(b"\x80") and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    if head.startswith(b"\x93NUMPY"):
        return _npy_of_objects(head)
    if head.startswith(b"PK") and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for entry in archive.namelist():
                if Path(entry).suffix.lower() in PICKLE_SUFFIXES:
                    return True
                if entry.endswith(".npy") and _npy_of_objects(archive.open(entry).read(4096)):
                    return True
    return False


def _npy_of_objects(head: bytes) -> bool:
    """Whether the `descr` in an NPY header names objects (`|O`)."""
    return b"|O" in head.split(b"\n", 1)[0]


def check_no_raw_records(files: Iterable[Path]) -> None:
    """
    Raises:
        PublishError: A data set holds files of devices, whose headers name the patient.
    """
    for file in files:
        if file.suffix.lower() in RAW_RECORD_SUFFIXES:
            raise PublishError(
                f"{file}: device files and archives carry names and dates in their headers and are not published. Turn the "
                "records into Parquet columns (docs/publishing.md)."
            )


def check_table(file: Path) -> None:
    """
    Column names, nested ones too, and the text inside one Parquet file.

    Raises:
        PublishError: A column is named like an identity, or a text column holds a device's header.
    """
    parquet = pq.ParquetFile(file)
    for name in column_names(parquet.schema_arrow):
        _check_name(file, name)
    texts = [field.name for field in parquet.schema_arrow if _holds_text(field.type)]
    for batch in parquet.iter_batches(columns=texts, batch_size=1024) if texts else ():
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for strings in _strings(column):
                found = strings.filter(pc.match_substring_regex(strings, PHI_IN_TEXT, ignore_case=True))
                if len(found):
                    _refuse_header(f"{file}: the text of column `{name}`", found[0].as_py())


def check_text_file(file: Path) -> None:
    """
    The same for CSV, TSV, JSON, JSON Lines, Markdown and plain text beside the tables.

    Raises:
        PublishError: A column or key is named like an identity, or the text holds a device's header.
    """
    suffix = file.suffix.lower()
    if suffix not in TEXT_SUFFIXES:
        return
    with file.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream):
            if number == 0 and suffix in (".csv", ".tsv"):
                for name in re.split(r"[,;\t]", line):
                    _check_name(file, name.strip().strip('"'))
            if re.search(PHI_IN_TEXT, line, re.IGNORECASE):
                _refuse_header(f"{file}: line {number + 1}", line)


def _check_name(file: Path, name: str) -> None:
    if is_identity(name):
        raise PublishError(
            f"{file}: the column `{name}` is named like a patient's identity. Drop it, or replace it by a salted hash "
            "under another name (`patient_id_hash`)."
        )


def _refuse_header(where: str, text: str) -> None:
    """Names the field that gave it away and never what stands in it."""
    field = re.search(PHI_IN_TEXT, text, re.IGNORECASE)
    raise PublishError(
        f"{where} holds a device's header with {field.group(0) if field else ''!r} in it. Drop it, or keep only the fields "
        "you need."
    )


def _holds_text(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _holds_text(kind.storage_type)
    if pa.types.is_struct(kind):
        return any(_holds_text(field.type) for field in kind)
    if hasattr(kind, "value_type"):
        return _holds_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _strings(column: pa.Array) -> Iterator[pa.Array]:
    """The text inside a column, however it is nested."""
    kind = column.type
    if not _holds_text(kind):
        return
    if isinstance(kind, pa.BaseExtensionType):
        yield from _strings(column.storage)
    elif pa.types.is_struct(kind):
        for part in column.flatten():
            yield from _strings(part)
    elif pa.types.is_dictionary(kind):
        yield from _strings(column.dictionary)
    elif hasattr(kind, "value_type"):
        yield from _strings(column.flatten())
    else:
        yield column


def is_identity(name: str) -> bool:
    """Whether a column's name says that it identifies a person."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = tuple(re.sub(r"[^a-z0-9]+", " ", spaced.lower()).split())
    if words[-1:] == ("hash",):
        return False
    return any(words[i : i + len(phi)] == phi for phi in PHI_WORDS for i in range(len(words)))


def column_names(schema: pa.Schema) -> Iterator[str]:
    """Dotted names of all columns and of the fields nested inside them."""

    def nested(name: str, kind: pa.DataType) -> Iterator[str]:
        if pa.types.is_struct(kind):
            for field in kind:
                yield f"{name}.{field.name}"
                yield from nested(f"{name}.{field.name}", field.type)
        elif isinstance(kind, pa.BaseExtensionType):
            yield from nested(name, kind.storage_type)
        elif hasattr(kind, "value_type") and not pa.types.is_dictionary(kind):
            yield from nested(name, kind.value_type)

    for field in schema:
        yield field.name
        yield from nested(field.name, field.type)


def credentialed_sources(files: Iterable[Path], metadata: dict[str, Any], card: str) -> list[str]:
    """Where credentialed data shows: values of the tables' `source` column, the card's metadata, the card's text."""
    found = set()
    for file in files:
        if file.suffix == ".parquet" and "source" in pq.read_schema(file).names:
            values = pc.unique(pq.read_table(file, columns=["source"])["source"]).to_pylist()
            found |= {f"source {value!r}" for value in values if is_credentialed(str(value))}
    for key in ("datasets", "source_datasets"):
        found |= {f"{key}: {value}" for value in _listed(metadata.get(key)) if is_credentialed(str(value))}
    if is_credentialed(card):
        found.add("the card's text")
    return sorted(found)


def check_credentials(found: list[str], allowed: bool) -> None:
    """
    Raises:
        PublishError: Credentialed data is about to be published without a word from the user.
    """
    if found and not allowed:
        raise PublishError(f"{', '.join(found)}: {CREDENTIALED_HELP}")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


__all__ = [
    "check_credentials",
    "check_no_pickles",
    "check_no_raw_records",
    "check_table",
    "check_text_file",
    "column_names",
    "credentialed_sources",
    "is_identity",
]
