# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Uploaded files -> an ECG in memory; whatever happens, nothing stays on the disk."""

import atexit
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

import processing
from processing.ecg_photo import check_ecg_page
from processing.ecg_readers import is_picture, load_ecg, load_page_picture
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError

MAX_UPLOAD_BYTES = 20 * 2**20
MAX_FILES = 4
MAX_SECONDS = 60.0
LEFTOVER_S = 300.0  # after this long nobody will open an upload any more, or its connection broke half way
# No image tower sees more; a photo of 64 million pixels would take 200 MB for as long as a session lasts.
MAX_SIDE_PX = 2000
SAMPLES = Path(str(processing.__file__)).parent / "samples"


@dataclass(frozen=True, eq=False)
class Upload:
    """What a user gave: a record or a picture, and its name as text."""

    name: str
    record: EcgRecord | None = None
    picture: Image.Image | None = None


def upload_folder() -> Path:
    """A new folder for the uploads of one server: what stays there is deleted after a while, and all of it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gem-uploads-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def watch() -> None:
        while folder.is_dir():
            time.sleep(LEFTOVER_S / 10)
            sweep(folder, LEFTOVER_S)

    threading.Thread(target=watch, daemon=True).start()
    return folder


def sweep(folder: Path, older_than_s: float) -> None:
    """Deletes the files in `folder` that nobody has written to for `older_than_s`."""
    for path in folder.rglob("*"):
        try:
            if path.is_file() and time.time() - path.stat().st_mtime > older_than_s:
                path.unlink()
        except FileNotFoundError:
            pass  # its user has opened it meanwhile


def sample_names() -> list[str]:
    return sorted(path.stem for path in SAMPLES.glob("*.hea"))


def read_sample(name: str) -> Upload:
    """A record that comes with gem-ecg.

    Raises:
        EcgFormatError: there is none of this name.
    """
    if name not in sample_names():
        raise EcgFormatError(f"There is no sample of this name; choose one of {', '.join(sample_names())}.")
    return Upload(name, load_ecg(SAMPLES / f"{name}.hea"))


def read_upload(paths: Sequence[str]) -> Upload:
    """Reads uploaded files, several if they are one WFDB record, and deletes them.

    Raises:
        EcgFormatError: too many, too large, or no ECG.
    """
    files = [Path(path) for path in paths]
    try:
        if not 1 <= len(files) <= MAX_FILES:
            raise EcgFormatError(f"Give one file, or the .hea and .dat of one WFDB record; these are {len(files)}.")
        total = sum(file.stat().st_size for file in files)
        if total > MAX_UPLOAD_BYTES:
            raise EcgFormatError(f"{files[0].name}: {total:,} bytes; an upload has {MAX_UPLOAD_BYTES:,} at most.")
        with tempfile.TemporaryDirectory(prefix="gem-upload-") as folder:
            # Each upload lies in a folder of its own; the parts of a WFDB record must lie side by side.
            moved = [Path(shutil.move(file, Path(folder) / file.name)) for file in files]
            return _read(next((file for file in moved if file.suffix == ".hea"), moved[0]))
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _read(path: Path) -> Upload:
    if is_picture(path):
        picture = check_ecg_page(load_page_picture(path), path.name)
        picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
        return Upload(path.name, picture=picture)
    record = load_ecg(path)
    if record.duration > MAX_SECONDS:
        raise EcgFormatError(
            f"{path.name}: {record.duration:.0f} s; this demo reads up to {MAX_SECONDS:.0f} s, cut the record."
        )
    return Upload(path.name, record.check_quality())


__all__ = ["MAX_UPLOAD_BYTES", "Upload", "read_sample", "read_upload", "sample_names", "sweep", "upload_folder"]
