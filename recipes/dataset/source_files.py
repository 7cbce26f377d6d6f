# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Whether the files that a shard was made of are still those files: size, time of change and, where that differs, a digest."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from recipes.sources import SourceRecord

# A larger file holds many records (CODE-15, Parquet): of such a one blocks are read instead of all of it.
WHOLE_BYTES = 2**23
BLOCKS, BLOCK_BYTES = 64, 2**14


@dataclass(frozen=True)
class FileState:
    """A file as it was when its records were read."""

    size: int
    changed_ns: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Size, time and digest of a file.

        Raises:
            OSError: the file is not there.
        """
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, _digest(path, stat.st_size))

    def holds(self, path: Path) -> bool:
        """Whether `path` is unchanged: the same size, and the same time or content. A copy with a new time is no change."""
        try:
            stat = path.stat()
            if stat.st_size != self.size:
                return False
            return stat.st_mtime_ns == self.changed_ns or _digest(path, self.size) == self.digest
        except OSError:
            return False


def states_of(records: Iterable[SourceRecord]) -> dict[str, FileState]:
    """The files of `records` by path; those that are not there are left out, as their records will be."""
    found: dict[str, FileState] = {}
    for path in dict.fromkeys(path for record in records for ecg in record.ecgs for path in _files(Path(ecg.path))):
        try:
            found[str(path)] = FileState.of(path)
        except OSError:
            continue
    return found


def first_changed(states: Mapping[str, FileState]) -> str | None:
    """The first file that is no longer what it was, or is gone."""
    return next((path for path, state in states.items() if not state.holds(Path(path))), None)


def to_json(states: Mapping[str, FileState]) -> str:
    """The states of the source's files, as `from_json` reads them."""
    return json.dumps({path: list(asdict(state).values()) for path, state in states.items()}, ensure_ascii=False)


def from_json(text: str) -> dict[str, FileState]:
    """Path -> state, from what `to_json` wrote."""
    return {path: FileState(*values) for path, values in json.loads(text).items()}


def _files(path: Path) -> Iterator[Path]:
    """`path`, or a WFDB record's header and the files that its lines name, segments aside."""
    header = path if path.is_file() else path.with_name(f"{path.name}.hea")
    yield header
    if header.suffix == ".hea" and header.is_file():
        lines = header.read_text(encoding="latin-1").splitlines()[1:]
        names = {line.split(maxsplit=1)[0] for line in lines if line.strip() and not line.startswith("#")}
        yield from (path for path in (header.parent / Path(name).name for name in sorted(names)) if path.is_file())


def _digest(path: Path, size: int) -> str:
    """SHA-256 of the content; of a large file of `BLOCKS` blocks, evenly apart, the last one included."""
    with path.open("rb") as file:
        if size <= WHOLE_BYTES:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for number in range(BLOCKS):
            file.seek((size - BLOCK_BYTES) * number // (BLOCKS - 1))
            digest.update(file.read(BLOCK_BYTES))
        return digest.hexdigest()


__all__ = ["FileState", "first_changed", "from_json", "states_of", "to_json"]
