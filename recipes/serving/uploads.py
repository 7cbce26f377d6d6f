# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files as they were sent -> ECGs and pictures, read in a process of its own with limits."""

import io
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from processing.ecg_check import check_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError
from processing.untrusted.reading import ReadBudget, load_untrusted, load_untrusted_picture
from recipes.record_options import RecordOptions

from .wire import MAX_FILE_BYTES, SentFile, WireError, plain_name

MAX_SECONDS = 60.0
MAX_RATE = 1000.0  # Hz; no measurement needs more
MAX_VALUES = 1_000_000  # leads times samples: sixteen leads of a minute at 1 kHz
# The limits of memory and CPU time end a reading that asks for too much. On a busy server one that is in order waits for its turn.
BUDGET = ReadBudget(wall_seconds=30.0)
MAX_SIDE_PX = 2000  # no image tower sees more
_MAX_MEMBERS = 8  # files of a WFDB record: a header, samples, and what annotates them
_MAX_DIRECTORY = 2**16  # bytes of a ZIP's table of contents
_ZIP, _ZIP_END, _ZIP64_END = b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x07"
# What a record's history says where the sender and the file differ.
_TWO = re.compile(r"(sampling rate|unit) .* given by the caller, the file says .*")


class _SentOptions(RecordOptions):
    """What a sender says, with the meaning that the options of the command line have; read with limits."""

    def read(self, path: Path, **said: Any) -> EcgRecord:
        return load_untrusted(path, budget=BUDGET, max_rate=MAX_RATE, max_values=MAX_VALUES, **said)


def read_ecg(file: SentFile) -> EcgRecord:
    """
    The ECG in a file that was sent; several files of one WFDB record come as a ZIP.

    Raises:
        WireError: the sender and the file state two sampling rates or two units.
        ReadBudgetError: reading takes more time or memory than it may.
        EcgQualityError: what was read can be no ECG.
        GemError: see `load_ecg`; or the record is longer than a minute.
    """
    with _on_disk(file) as path:
        record = _options(file.options).load(path)
    if contradiction := next(filter(_TWO.match, record.history), ""):
        raise WireError(
            f"{file.name}: {contradiction}. Leave the parameter out, or correct the file.", code="two_values"
        )
    if record.duration > MAX_SECONDS:
        raise EcgFormatError(
            f"{file.name}: {record.duration:.0f} s; up to {MAX_SECONDS:.0f} s are taken here, choose them with `start` and "
            "`seconds`."
        )
    return check_ecg(record)


def read_picture(file: SentFile, max_side: int = MAX_SIDE_PX) -> Image.Image:
    """
    The page in a picture or document that was sent, with sides of `max_side` pixels at most.

    Raises:
        ReadBudgetError: see `read_ecg`.
        EcgQualityError: it shows no ECG page.
        GemError: it is not a picture, or too large.
    """
    source = file.path if file.path is not None else file.data
    index = file.options.get("index")
    return load_untrusted_picture(source, index, must_show_ecg=True, max_side=max_side, budget=BUDGET)


def _options(said: Mapping[str, Any]) -> RecordOptions:
    lists = {name: ",".join(map(str, said[name])) for name in ("leads", "gain") if name in said}
    return _SentOptions(**{**said, **lists})


@contextmanager
def _on_disk(file: SentFile) -> Iterator[Path]:
    """The file, or the header of a record of several, in a folder that only this user can enter and that is gone afterwards."""
    if file.path is not None:
        yield Path(file.path)
        return
    with tempfile.TemporaryDirectory(prefix="gem-upload-") as folder:
        if file.data.startswith(_ZIP) and (header := _unpacked(file, Path(folder))) is not None:
            yield header
            return
        path = Path(folder) / plain_name(file.name)
        path.write_bytes(file.data)
        yield path


def _unpacked(file: SentFile, folder: Path) -> Path | None:
    """The header of the WFDB record in a ZIP, unpacked beside its other files; `None` where the ZIP is an NPZ.

    Raises:
        EcgFormatError: damaged, too many or too large files, not exactly one header.
    """
    _check_directory(file)
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            names = [Path(info.filename).name for info in members]
            if members and all(name.endswith(".npy") for name in names):
                return None
            headers = [name for name in names if name.endswith(".hea")]
            if len(headers) != 1 or len(members) > _MAX_MEMBERS or len(set(names)) < len(names):
                raise EcgFormatError(
                    f"{file.name}: a ZIP holds the files of one WFDB record, one .hea and its .dat; this one holds {names[:9]}."
                )
            if sum(info.file_size for info in members) > MAX_FILE_BYTES:
                raise EcgFormatError(
                    f"{file.name}: unpacked it has more than {MAX_FILE_BYTES:,} bytes; send the ECG alone."
                )
            for info, name in zip(members, names, strict=True):
                with archive.open(info) as member:
                    (folder / name).write_bytes(member.read(MAX_FILE_BYTES))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise EcgFormatError(
            f"{file.name}: the ZIP cannot be unpacked ({error}); pack it again, without a password."
        ) from error
    return folder / headers[0]


def _check_directory(file: SentFile) -> None:
    """Python reads all of a ZIP's table of contents, which may name millions of files, before one can look at it."""
    end = file.data.rfind(_ZIP_END)
    size = int.from_bytes(file.data[end + 12 : end + 16], "little")
    if end < 0 or size > _MAX_DIRECTORY or _ZIP64_END in file.data[max(end - 20, 0) : end]:
        raise EcgFormatError(f"{file.name}: the ZIP is cut off or holds far too many files; pack the ECG alone.")


__all__ = ["read_ecg", "read_picture"]
