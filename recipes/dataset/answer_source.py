# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The ECGs of a large run: a folder of files, or a split of a data set. Each ECG has an id and can be read by any process."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from processing.ecg_picture_files import PICTURE_SUFFIXES
from processing.ecg_readers import is_picture, load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import BuildError
from processing.folders.listing import (
    ECG_SUFFIXES,
    TABLE_SUFFIXES,
    EcgFolder,
    ecg_folder,
    is_hidden,
    left_out_in_words,
)
from recipes.record_options import ReadingOptions

from .schema import decode, is_built

ANSWERS_MARK = b"gem-ecg answers"  # key of the metadata of a Parquet file of answers
_FILES = (*ECG_SUFFIXES, *TABLE_SUFFIXES, *PICTURE_SUFFIXES, ".dat", ".txt", ".zip", ".parquet")
BESIDE_DATASET = "beside a data set, which is read instead"


@dataclass(frozen=True)
class AnswerSource:
    """The ECGs that are answered: a folder of files or a data set.

    Args:
        place: a folder of ECG files, a folder or Hub id of a data set.
        is_dataset: which of them it is.
        split: of a data set.
        options: what the user states about the files, and whether they are trusted.
    """

    place: str
    is_dataset: bool
    split: str
    options: ReadingOptions

    @classmethod
    def at(cls, place: str, split: str = "train", options: ReadingOptions | None = None) -> Self:
        """A data set where `datasets` saved one, where Parquet files lie without ECG files, or where there is no such folder; else a
        folder of files. Hidden Parquet files and those of earlier answers make no data set, and pictures, which may be plots of one,
        take none away.

        Raises:
            BuildError: a file. Its name is not looked for on the Hub.
        """
        folder = Path(place)
        if folder.is_file() or (not folder.exists() and folder.suffix.lower() in _FILES):
            raise BuildError(
                f"{place}: one file{'' if folder.exists() else ', which is not there'}. With --output, name the folder of the ECGs, or "
                "a data set; without it, one record."
            )
        is_dataset = not folder.is_dir() or (folder / "state.json").is_file() or _holds_dataset(folder)
        return cls(place, is_dataset, split, options or ReadingOptions())

    def ids(self) -> tuple[list[str], dict[str, str]]:
        """The ids of all ECGs, in order: paths in the folder, the column `id`, or numbers; and the files of a folder that are
        no ECGs, with reasons. Pictures are ECGs, but not beside a data set, which leaves out all files that could be ECGs.

        Raises:
            BuildError: there is no ECG, no such data set or split, or an id occurs twice.
        """
        folder, left_out = Path(self.place), dict[str, str]()
        if self.is_dataset:
            rows = open_split(self.place, self.split)
            ids = (
                [str(value) for value in rows["id"]] if "id" in rows.column_names else list(map(str, range(len(rows))))
            )
            if folder.is_dir():
                beside = ecg_folder(folder, pictures=True).records
                left_out = EcgFolder(left_out=dict.fromkeys(beside, BESIDE_DATASET)).left_out_in(folder)
        else:
            found = ecg_folder(folder, pictures=True)
            ids, left_out = [path.relative_to(folder).as_posix() for path in found.records], found.left_out_in(folder)
        if not ids:
            raise BuildError(f"{self.place}: no ECG in it. {left_out_in_words(left_out)}".rstrip())
        if len(set(ids)) < len(ids):
            twice = Counter(ids).most_common(1)[0][0]
            raise BuildError(f"{self.place}: the id {twice!r} occurs twice; give every ECG its own.")
        return ids, left_out

    def read(self, number: int, name: str) -> EcgRecord | Image.Image:
        """The ECG with this number and id, or the page in a picture file.

        Raises:
            GemError: it cannot be read.
        """
        if not self.is_dataset:
            path = Path(self.place) / name
            return self.options.load_whole_page(path) if is_picture(path) else self.options.load(path)
        rows = open_split(self.place, self.split)
        row = rows[number]
        return decode(row) if is_built(rows) else load_ecg(row.get("ecg", row), **self.options.keywords())


def _holds_dataset(folder: Path) -> bool:
    """Whether Parquet files lie in a folder in which no file is an ECG by itself."""
    shown = (file for file in folder.rglob("*.parquet") if not is_hidden(file.relative_to(folder)))
    return any(not _holds_answers(file) for file in shown) and not ecg_folder(folder).records


def _holds_answers(file: Path) -> bool:
    try:
        return ANSWERS_MARK in (pq.read_schema(file).metadata or {})
    except (pa.ArrowException, OSError):
        return False


@lru_cache(maxsize=1)
def open_split(place: str, split: str) -> datasets.Dataset:
    """A split, opened once per process; its rows stay on the disk.

    Raises:
        BuildError: there is none.
    """
    try:
        if (Path(place) / "state.json").is_file():
            return datasets.load_from_disk(place)
        return datasets.load_dataset(place, split=split)
    except (OSError, ValueError) as error:
        raise BuildError(f"{place}: no folder of ECGs, and no data set with a split {split!r} ({error}).") from error


__all__ = ["ANSWERS_MARK", "AnswerSource", "open_split"]
