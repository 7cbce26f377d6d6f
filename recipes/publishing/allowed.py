# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Checks which files may be published: only known kinds of files, with the content that their names promise."""

import bz2
import fnmatch
import gzip
import io
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from processing.errors_gem import PublishError
from recipes.files import safetensors_damage

TEXT_SUFFIXES = {
    ".csv", ".tsv", ".json", ".jsonl", ".txt", ".md", ".py", ".yaml", ".yml", ".toml", ".jinja", ".j2", ".html", ".css", ".js",
    ".svg", ".cff", ".bib", "",
}  # fmt: skip
# What a file of a suffix begins with.
_MAGIC = {
    ".parquet": (b"PAR1",),
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".webp": (b"RIFF",),
}
_PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"}
_NAMES = {"LICENSE", "LICENCE", "NOTICE", "SHA256SUMS", "Dockerfile", ".gitattributes"}
_TEXTS = {".md", ".txt", ".json", ".yaml", ".yml", ".cff", ".bib"}
ALLOWED: Mapping[str, set[str]] = {
    "model": {".safetensors", ".model", ".tiktoken", ".jinja", ".py"} | _TEXTS | _PICTURES,
    "dataset": {".parquet", ".jsonl", ".csv", ".tsv"} | _TEXTS | _PICTURES,
    "space": {".py", ".toml", ".html", ".css", ".js", ".jinja", ".j2", ".safetensors", ".model", ".csv"} | _TEXTS | _PICTURES,
}  # fmt: skip
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
# Files of devices by their first bytes (offset, bytes, name): their headers name the patient.
_DEVICE_FILES = (
    (128, b"DICM", "a DICOM file"),
    (16, b"SCPECG", "an SCP-ECG file"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"MATLAB 5.0", "a MATLAB file"),
    (0, b"0       ", "an EDF file"),
    (0, b"\xffBIOSEMI", "a BDF file"),
    (0, b"ISHNE", "an ISHNE file"),
    (0, b"%PDF", "a PDF"),
    (257, b"ustar", "a tar archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"BZh", "a bzip2 file"),
    (0, b"\xfd7zXZ", "an xz file"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file"),
)
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))
# Names of keys and credentials; tokenizers have files of their own about tokens.
_SECRET_NAME = re.compile(
    r"(^|[^a-z0-9])(tokens?|secrets?|passwords?|passwd|credentials?|api[_-]?key|id_(rsa|dsa|ecdsa|ed25519)|private[_-]?key)([^a-z0-9]|$)|\.(pem|key|p12|pfx|env)$|netrc$",
    re.IGNORECASE,
)
TOKENIZER_FILES = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
}  # fmt: skip
# Tokens as their issuers write them: Hugging Face, OpenAI and others (sk-), GitHub, Amazon, Google, Slack; private keys.
SECRETS = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}|\bA(?:KIA|SIA)[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{35}|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b[A-Z_]*(?:API_KEY|SECRET|TOKEN|PASSWORD)[\"']?\s*[:=]\s*[\"'][A-Za-z0-9_/+.-]{16,}[\"']"
)
HEAD_BYTES = 4096
MAX_PICKLE_BYTES = 2**24  # of a file, inflated, that are searched for a pickle


def check_allowed(folder: Path, files: Mapping[str, Path], kind: str, include: Sequence[str] = ()) -> None:
    """Checks that all files belong to a model, a data set or a Space.

    Args:
        folder: the folder that is published; no link may point outside of it.
        files: path in the repository -> file.
        kind: `model`, `dataset` or `space`, whose suffixes are in `ALLOWED`.
        include: patterns of further names to allow. Pickles, secrets and links to other folders are never allowed.

    Raises:
        PublishError: files of other kinds, all of them named; a file that holds something else than its name says; a key or
            token; a link that leads out of the folder.
    """
    check_no_pickles(files)
    for name, file in files.items():
        _check_link(folder, name, file)
        check_no_secrets(name, file)
    further = {name for name in files if any(fnmatch.fnmatch(name, pattern) for pattern in include)}
    foreign = [name for name in files if name not in further and not _of_kind(Path(name), kind)]
    if foreign:
        listed = ", ".join(foreign[:20]) + (f" and {len(foreign) - 20} more" if len(foreign) > 20 else "")
        raise PublishError(
            f"{folder}: not what a {kind} is made of: {listed}. Delete what should not be public, or name it with "
            "--include (a pattern such as 'extra/*'; look into each file first)."
        )
    for name, file in files.items():
        if name not in further:
            _check_content(name, file)


def _of_kind(name: Path, kind: str) -> bool:
    return name.name in _NAMES or (name.suffix != "" and name.suffix.lower() in ALLOWED[kind])


def _check_link(folder: Path, name: str, file: Path) -> None:
    if not file.resolve().is_relative_to(folder.resolve()):
        raise PublishError(
            f"{name}: a link to a place outside of {folder}; put a copy of what it should publish there."
        )


def _check_content(name: str, file: Path) -> None:
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        return
    suffix = Path(name).suffix.lower()
    expected = _MAGIC.get(suffix)
    if expected is not None:
        if not head.startswith(expected):
            raise PublishError(
                f"{name}: does not begin as a {suffix} file does; what is it? Save it again, or delete it."
            )
        return
    if suffix == ".safetensors":
        wrong = safetensors_damage(file)
        if wrong:
            raise PublishError(f"{name}: {wrong}; the file is cut or something else. Save the model again.")
        return
    found = device_file(head)
    if found is not None:
        raise PublishError(
            f"{name}: {found}. Files of devices and archives carry names and dates in their headers; turn records into "
            "Parquet columns (docs/publishing.md), or delete it."
        )
    if suffix in TEXT_SUFFIXES and b"\0" in head:
        raise PublishError(f"{name}: binary data under the name of a text; delete it, or give it its own name.")


def device_file(head: bytes) -> str | None:
    """What a file is by its first bytes, if it is one of a device or an archive."""
    named = next((what for offset, magic, what in _DEVICE_FILES if head[offset : offset + len(magic)] == magic), None)
    if named is None and head[:1] == b"\x78" and _inflated(head):
        return "a zlib file"
    return named


def check_no_secrets(name: str, file: Path) -> None:
    """Checks that a file is not a key and contains none.

    Raises:
        PublishError: the file is named like a key or a password, or its text holds one; the message does not repeat it.
    """
    path = Path(name)
    if path.name not in TOKENIZER_FILES and path.suffix.lower() != ".py" and _SECRET_NAME.search(path.name):
        raise PublishError(
            f"{name}: named like a key, a token or a password, and never published. Delete or rename it."
        )
    if path.suffix.lower() not in TEXT_SUFFIXES or path.name in TOKENIZER_FILES:
        return
    with file.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            if SECRETS.search(line):
                raise PublishError(
                    f"{name}: line {number} holds what looks like a key, a token or a password. Delete it, and revoke it if it "
                    "was ever public."
                )


def check_no_pickles(files: Mapping[str, Path]) -> None:
    """Checks that no file is a pickle.

    Raises:
        PublishError: a file is a pickle, by its name or by its content, also inside an archive or compressed, or an array file
            with objects inside.
    """
    for name, file in files.items():
        if Path(name).suffix.lower() in PICKLE_SUFFIXES or _holds_pickle(file):
            raise PublishError(
                f"{file}: a pickle, which may run code on the machine of a user who opens it, is never published. Save weights "
                "as safetensors (`gem convert` reads legacy ones), arrays as Parquet or NPY of numbers; else delete it."
            )


def _holds_pickle(file: Path) -> bool:
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(b"\x93NUMPY"):
        return _npy_of_objects(head)
    if head.startswith(b"PK") and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for entry in archive.namelist():
                if Path(entry).suffix.lower() in PICKLE_SUFFIXES:
                    return True
                if entry.endswith(".npy") and _npy_of_objects(archive.open(entry).read(HEAD_BYTES)):
                    return True
        return False
    opener = next((opener for magic, opener in _OPENERS if head.startswith(magic)), Path.open)
    try:
        with opener(file, "rb") as stream:
            return _is_pickle(stream.read(MAX_PICKLE_BYTES))
    except (OSError, EOFError, lzma.LZMAError):
        return False


def _is_pickle(data: bytes) -> bool:
    """Protocols 2 and later say so in their first bytes; those before are text that the pickle machine reads to its end."""
    if data[:1] == b"\x78" and (inflated := _inflated(data)):
        data = inflated
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    try:
        pickletools.dis(data, out=io.StringIO())
    except Exception:  # whatever it raises: these are not the words of the pickle machine
        return False
    return True


def _inflated(data: bytes) -> bytes:
    """What a zlib stream holds, up to a limit; nothing if it is none."""
    try:
        return zlib.decompressobj().decompress(data, MAX_PICKLE_BYTES)
    except zlib.error:
        return b""


def _npy_of_objects(head: bytes) -> bool:
    """Whether the `descr` in an NPY header names objects (`|O`)."""
    return b"|O" in head.split(b"\n", 1)[0]


__all__ = [
    "ALLOWED",
    "TEXT_SUFFIXES",
    "TOKENIZER_FILES",
    "check_allowed",
    "check_no_pickles",
    "check_no_secrets",
    "device_file",
]
