# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Recognises files that are not ECGs, or whose format has no public specification, and refuses them with a precise message."""

import re

from .ecg_picture_files import is_picture_data
from .errors_gem import EcgFormatError

_HTML = re.compile(rb"<(?:!doctype\s{1,9}html|html)\b", re.IGNORECASE)
_ANSWER = re.compile(
    rb"\s*(\{\s*\"(error|message|detail)\"|(\d{3}:? )?(not found|access denied|forbidden)\b)", re.IGNORECASE
)
_CARDIOSOFT = re.compile(rb"<CardiologyXML\b")
# The header of Contec's ECG90A: the case's number, then a date, each ended by zeros.
_CONTEC = re.compile(rb"[\x20-\x7e]{0,8}\0{2,10}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\0")
_JSON = re.compile(rb"\s{0,99}(?:\{\s{0,99}[\"}]|\[\s{0,99}[\[{\"]|\[\s{0,99}-?\d{1,20}(?:\.\d{1,20})?\s{0,9},)")
_FETCH = "the download went wrong, fetch the file again"
_EXPORT = "export the recording from the device's own software as DICOM, SCP-ECG, EDF, HL7 aECG or CSV"
# What a file begins with, what it is, and what helps.
_BEGINNINGS = (
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, not the file itself",
        "run `git lfs pull` where it was cloned",
    ),
    (b"/annex/objects/", "a pointer of git-annex, not the file itself", "run `git annex get` where it was cloned"),
    (b"%PDF", "a PDF, not a signal", "give it to the model as a page picture (`load_page_picture`)"),
    (b"ALIVE", "a recording of AliveCor's Kardia (.atc)", _EXPORT),
    (b"ANN  1.0", "ISHNE annotations without the ECG", "name the .ecg file beside it"),
    (b"@ MFR ", "an MFER recording", _EXPORT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", "save its table as CSV"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"{\\rtf", "a text document (RTF)", "save its table as CSV"),
)
# Formats of devices without a public specification and without a mark inside, by the file's suffix.
_SUFFIXES = {".atc": "AliveCor's Kardia"}
_ZIPPED = (
    (b"xl/workbook", "an Excel workbook", "save its sheet as CSV"),
    (b"word/document", "a Word document", "save its table as CSV"),
)


def refuse_other_files(data: bytes, name: str, suffix: str) -> None:
    """Refuses what is known to be no ECG that can be read.

    Raises:
        EcgFormatError: a picture, a PDF, a web page, a pointer instead of a file, an archive, an Office document, or a
            device's format that has no public specification; the message says which and what helps.
    """
    found = what_else(data, suffix)
    if found is not None:
        what, cure = found
        raise EcgFormatError(f"{name}: {what}; {cure}.")


def what_else(data: bytes, suffix: str = "") -> tuple[str, str] | None:
    """What a file is, and what helps, if it is known to be no ECG that can be read; `suffix` is that of its name."""
    for beginning, what, cure in _BEGINNINGS:
        if data.startswith(beginning):
            return what, cure
    if is_picture_data(data[:64]):
        return "a picture, not a signal", (
            "digitise it (`digitize_ecg`), or give it to the model as a page picture (`load_page_picture`)"
        )
    if data.startswith(b"PK\x03\x04") and b".npy" not in data:
        zipped = ((what, cure) for mark, what, cure in _ZIPPED if mark in data)
        return next(zipped, ("a ZIP archive", "unpack it and name one record"))
    if data[257:262] == b"ustar":
        return "a tar archive", "unpack it and name one record"
    if _ANSWER.match(data[:64]):
        return "the answer of a server, not an ECG", _FETCH
    if _HTML.search(data[:1024]):
        return "a web page, not an ECG", _FETCH
    if _JSON.match(data.removeprefix(b"\xef\xbb\xbf")[:512]):
        return (
            "a JSON file",
            "read it with `json.load` and pass a dict of lead -> samples with 'sampling_rate' and 'unit'",
        )
    if _CARDIOSOFT.search(data[:4096]):
        return "an XML of GE CardioSoft, which has no public specification", _EXPORT
    if _CONTEC.match(data[:64]):
        return "a recording of Contec, whose format has no public specification", _EXPORT
    if suffix in _SUFFIXES:
        return f"a recording of {_SUFFIXES[suffix]}, whose format has no public specification", _EXPORT
    if re.fullmatch(rb"[\0\s]*", data):
        return "a file of blanks or zeros only", _FETCH
    return None


__all__ = ["refuse_other_files", "what_else"]
