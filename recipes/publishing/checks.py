# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Checks for content that must not leave the machine: patients' identities and credentialed data."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from processing.errors_gem import PublishError
from recipes.sources.source_record import is_credentialed

from .allowed import TEXT_SUFFIXES, TOKENIZER_FILES

# Each is a run of words inside a column's name, whatever its spelling: `PatientName`, `patient_name`, `ecg.patient-name`.
PHI_WORDS = tuple(
    tuple(words.split())
    for words in (
        "patient name", "first name", "last name", "given name", "family name", "middle name", "maiden name", "full name",
        "surname", "firstname", "lastname", "fullname", "birth date", "date of birth", "birthdate", "birthday", "birth time",
        "dateof birth", "dob", "mrn", "medical record number", "patient id", "patientid", "insurance number", "ssn",
        "social security", "address", "street", "phone", "telephone", "phone number", "fax", "email", "e mail",
        "zip code", "zipcode", "postal code", "postcode", "physician name", "referring physician", "technician name",
        "operator name", "account number", "passport", "pat name", "pat nm", "pat id", "referrer", "referred by", "attending",
        # German, Dutch, Swedish, Danish and Norwegian
        "patientenname", "patienten name", "name des patienten", "vorname", "nachname", "familienname", "geburtsdatum", "geburtstag", "geburtsname",
        "versichertennummer", "adresse", "anschrift", "strasse", "plz", "telefon", "achternaam", "voornaam", "geboortedatum", "bsn",
        "burgerservicenummer", "personnummer", "efternamn", "fornamn", "fodelsedatum", "fodelsedato", "fodselsdato", "fornavn", "etternavn",
        "efternavn",
        # French, Spanish, Portuguese and Italian
        "nom du patient", "nom patient", "prenom", "nom de famille", "date de naissance", "numero de securite sociale", "nombre del paciente",
        "apellido", "apellidos", "fecha de nacimiento", "fecha nacimiento", "direccion", "telefono", "nome do paciente", "sobrenome",
        "data de nascimento", "data nascimento", "cpf", "endereco", "cognome", "data di nascita", "codice fiscale", "indirizzo",
    )
)  # fmt: skip
# Words that say little inside a name and all as the whole of it.
PHI_COLUMNS = {"name", "names", "pid", "nom", "nome", "nombre", "naam", "namn", "navn", "patient", "patients"}
# Keys and elements of DICOM, MUSE, Sierra, aECG and JSON headers that name a patient, inside text values.
PHI_IN_TEXT = (
    r"PatientName|PatientID|PatientBirth|PatientAddress|PatientLastName|PatientFirstName|DateofBirth|"
    r"subjectDemographicPerson|<birthTime|<lastname|\(0010,00[1-3]0\)|"
    r"^\s*<?(patient|patienten)[ _]?(name|id|nummer)>?\s*[:=>]|"
    r'"(patient_?name|first_?name|last_?name|surname|birth_?date|date_of_birth|dob|mrn|patient_?id)"\s*:'
)
# 64 bits or more in hexadecimal: no number of a patient is as long.
_HASH = r"^[0-9a-f]{16,64}$"
_SEARCHED = TEXT_SUFFIXES - {".py"}
CREDENTIALED_HELP = (
    "data of MIMIC and eICU may be under a PhysioNet data use agreement, which forbids to pass it on. If the agreement of this "
    "data allows it (or the repository is private and shared with signatories only), repeat with --allow-credentialed."
)


def check_table(file: Path) -> None:
    """
    Column names, nested ones too, and the text inside one Parquet file.

    Raises:
        PublishError: A column is named like an identity, or a text column holds a device's header.
    """
    parquet = pq.ParquetFile(file)
    for name in column_names(parquet.schema_arrow):
        if not _holds_hashes(parquet, name):
            _check_name(file, name)
    texts = [field.name for field in parquet.schema_arrow if _holds_text(field.type)]
    for batch in parquet.iter_batches(columns=texts, batch_size=1024) if texts else ():
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for strings in _strings(column):
                found = strings.filter(pc.match_substring_regex(strings, PHI_IN_TEXT, ignore_case=True))
                if len(found):
                    _refuse_header(f"{file}: the text of column `{name}`", found[0].as_py())


def _holds_hashes(parquet: pq.ParquetFile, column: str) -> bool:
    """Whether a column of texts holds hashes alone, such as `patient` of `gem build-dataset`."""
    if column not in parquet.schema_arrow.names or not pa.types.is_string(parquet.schema_arrow.field(column).type):
        return False
    values = parquet.read(columns=[column])[column].drop_null()
    return len(values) > 0 and bool(pc.all(pc.match_substring_regex(values, _HASH)).as_py())


def check_text_file(file: Path) -> None:
    """
    The same for CSV, TSV, JSON, JSON Lines, Markdown, YAML, HTML and plain text, of models and Spaces too.

    Raises:
        PublishError: A column or key is named like an identity, or the text holds a device's header.
    """
    suffix = file.suffix.lower()
    if suffix not in _SEARCHED or file.name in TOKENIZER_FILES:
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
    """Names the field, but never its content."""
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
    plain = unicodedata.normalize("NFKD", spaced.replace("ß", "ss").replace("ø", "o").replace("Ø", "O"))
    words = tuple(re.sub(r"[^a-z0-9]+", " ", plain.encode("ascii", "ignore").decode().lower()).split())
    if words[-1:] == ("hash",):
        return False
    if len(words) == 1 and words[0] in PHI_COLUMNS:
        return True
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
    """Places that show credentialed data: the tables' `source` column, the card's metadata, the card's text."""
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
    """Checks that the user consents to the publication of credentialed data.

    Raises:
        PublishError: Credentialed data is about to be published without consent of the user.
    """
    if found and not allowed:
        raise PublishError(f"{', '.join(found)}: {CREDENTIALED_HELP}")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


__all__ = [
    "check_credentials",
    "check_table",
    "check_text_file",
    "column_names",
    "credentialed_sources",
    "is_identity",
]
