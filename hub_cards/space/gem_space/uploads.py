# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Uploaded files -> an ECG in memory, read in a separate process with limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import processing
from modeling_gem.interpretation import from_picture
from processing.ecg_photo import MAX_DIGITIZED_PX
from processing.ecg_readers import is_picture, load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError
from processing.untrusted.reading import load_untrusted, load_untrusted_picture

from .folder import ServerFolder

MAX_UPLOAD_BYTES = 20 * 2**20
MAX_FILES = 4
MAX_SECONDS = 60.0
MAX_RATE = 1000.0  # Hz; no measurement needs more
MAX_VALUES = 1_000_000  # leads times samples: sixteen leads of a minute at 1 kHz
SAMPLES = Path(str(processing.__file__)).parent / "samples"


@dataclass(frozen=True, eq=False)
class Upload:
    """A user's record or picture, and its name as text.

    If the signal of a picture was recovered, both are present, with the recovered traces drawn over the picture; else `undigitized` has
    the reason.
    """

    name: str
    record: EcgRecord | None = None
    picture: Image.Image | None = None
    undigitized: str = ""


def sample_names() -> list[str]:
    """The names of the sample records that come with the package, in alphabetical order."""
    return sorted(path.stem for path in SAMPLES.glob("*.hea"))


def read_sample(name: str) -> Upload:
    """A record that comes with gem-ecg.

    Raises:
        EcgFormatError: there is no sample of this name.
    """
    if name not in sample_names():
        raise EcgFormatError(f"There is no sample of this name; choose one of {', '.join(sample_names())}.")
    return Upload(name, load_ecg(SAMPLES / f"{name}.hea"))


def read_upload(paths: Sequence[str], folder: ServerFolder) -> Upload:
    """Reads uploaded files, several if they are one WFDB record.

    Raises:
        EcgFormatError: the files are too many, too large, deleted, or not an ECG.
        ReadBudgetError: reading takes more time or memory than an upload may.
    """
    files = [Path(path) for path in paths]
    if not 1 <= len(files) <= MAX_FILES:
        raise EcgFormatError(f"Give one file, or the .hea and .dat of one WFDB record; these are {len(files)}.")
    with folder.copies(files) as copies:
        total = sum(file.stat().st_size for file in copies)
        if total > MAX_UPLOAD_BYTES:
            raise EcgFormatError(f"{files[0].name}: {total:,} bytes; an upload has {MAX_UPLOAD_BYTES:,} at most.")
        return _read(next((file for file in copies if file.suffix == ".hea"), copies[0]))


def _read(path: Path) -> Upload:
    if is_picture(path):
        return _digitized(path.name, load_untrusted_picture(path, must_show_ecg=True, max_side=MAX_DIGITIZED_PX))
    record = load_untrusted(path, max_rate=MAX_RATE, max_values=MAX_VALUES)
    if record.duration > MAX_SECONDS:
        raise EcgFormatError(
            f"{path.name}: {record.duration:.0f} s; this demo reads up to {MAX_SECONDS:.0f} s, cut the record."
        )
    return Upload(path.name, record.check_quality())


def _digitized(name: str, picture: Image.Image) -> Upload:
    """A picture with the signal that it shows, where that can be recovered."""
    record, reason = from_picture(picture, name=name)
    if record is None:
        return Upload(name, picture=picture, undigitized=reason)
    from processing.photo.overlay import traces_over

    return Upload(name, record, traces_over(picture, record))


__all__ = ["MAX_UPLOAD_BYTES", "Upload", "read_sample", "read_upload", "sample_names"]
