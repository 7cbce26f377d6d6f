# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Features of many ECGs in one JSON Lines file: folders, lists or `datasets`, resumable; failures are reported."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_plausibility import Plausibility
from processing.ecg_readers import load_ecg
from processing.ecg_readers_wfdb import wfdb_header_path
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError, GemError
from processing.folders.listing import ecg_folder, left_out_in_words, named_in_header
from recipes.files import json_lines, one_writer, read_json_lines

from .pool import in_processes

CHUNK = 16  # records per task: starting a task costs about as much as a tenth of a record
AHEAD = 4  # chunks per process under way, so that no data set is held in memory
Progress = Callable[[int, int | None], None]
Line = dict[str, Any]  # {"id", "features"} or {"id", "error"}
Item = tuple[str, Any]


@dataclass
class FeatureBatchReport:
    """The result of a batch: numbers of measured and resumed records, and the ids, with reasons, of records that failed, were
    refused, or have a suspect scale, leads or sampling rate. `left_out`: files of a folder that are no records, with reasons."""

    done: int = 0
    resumed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    suspect: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def count(self, line: Line, resumed: bool = False) -> None:
        """Counts a line of the file as measured, resumed, suspect or failed."""
        if "features" not in line:
            self.failed[line["id"]] = line.get("error", "unknown error")
            return
        self.done += not resumed
        self.resumed += resumed
        found = Plausibility.from_dict(line["features"]["record"].get("plausibility", {"reasons": []}))
        if found.doubts_about("scale", "leads", "time base"):
            self.suspect[line["id"]] = found.reasons

    def __str__(self) -> str:
        return f"{self.done} measured, {self.resumed} already there, {len(self.failed)} failed"


def extract_features_batch(
    source: str | os.PathLike | Iterable[Any],
    output: str | os.PathLike,
    *,
    workers: int | None = None,
    resume: bool = True,
    compat: str | None = None,
    progress: Progress | None = None,
    load_kwargs: Mapping[str, Any] | None = None,
    load: Callable[..., EcgRecord] = load_ecg,
) -> FeatureBatchReport:
    """Measures many ECGs into a JSON Lines file, one `{"id", "features" | "error"}` per record in the source's order.

    Lines are written as records are finished, to `output` with `.part` added, which is renamed at the end. A run that was
    stopped or killed continues after its last complete line, and the file is identical byte for byte. A run over a finished
    `output` measures only records that are new, failed, have changed (size or time of a file), or were read or measured in another
    way (`load_kwargs`, `load`, `compat`); features of records that are not in `source` are kept at the end. Each line also says what
    was only `assumed` of a record, its `history`, and by `made_from` what the resumption compares.

    Args:
        source: a folder, or an iterable (also a `datasets` split) of anything that `load_ecg` reads: paths, rows,
            `EcgRecord`s. The id of a record is its path, the row's `id`/`record_id`, else its number.
        output: JSON Lines file; `features` is `EcgFeatures.to_dict(full=True)`.
        workers: processes; 0 measures in this one; default: one per core. A script that starts some needs the usual
            `if __name__ == "__main__":`.
        resume: keep what is already there; otherwise start again.
        compat: see `extract_features`.
        progress: called with (records finished, records in all or `None`).
        load_kwargs: arguments of `load`, e.g. `{"sampling_rate": 500}`.
        load: reads an item of the source; workers get it, so that it must be a function or method of a module.

    Raises:
        EcgFormatError: the folder does not exist or holds no ECG, an id occurs twice, `output` is a file of something else, a stopped
            run had other files or settings, or another run writes it.
    """
    with one_writer(output, EcgFormatError):
        read = partial(load, **dict(load_kwargs or {}))
        return _extract_features(source, Path(output), workers, resume, compat, progress, read)


def _made_from(item: Any, settings: str) -> str:
    """
    A digest of how a record is read and measured, and of the sizes and times of its files, of a WFDB header also those that it names.
    Of anything but a path the settings are all there is.
    """
    files: list[tuple[str, int, int]] = []
    if isinstance(item, (str, os.PathLike)):
        found = ((file, file.stat()) for file in _files_of(Path(item)) if file.is_file())
        files = [(file.name, stat.st_size, stat.st_mtime_ns) for file, stat in found]
    return hashlib.blake2b(repr((settings, files)).encode(), digest_size=8).hexdigest()


def _files_of(path: Path) -> list[Path]:
    """The file of a record; of a WFDB record its header, the signals and the segments that it names, and theirs of the same name."""
    header = wfdb_header_path(path)
    if header is None:
        return [path]
    segments, signals = named_in_header(header)
    parts = [f"{name}{suffix}" for name in segments for suffix in (".hea", ".dat")]
    return [header, *(header.with_name(name) for name in sorted((*signals, *parts)))]


def _settings(read: Any, compat: str | None) -> str:
    """How records are read and measured: the function with its arguments, and the object whose method it is."""
    load = getattr(read.func, "__qualname__", repr(read.func))
    return repr((compat, load, repr(getattr(read.func, "__self__", None)), sorted(read.keywords.items())))


def _check_output(output: Path) -> None:
    """Refuses a file that holds something else, which would be lost.

    Raises:
        EcgFormatError: its first line is none of features.
    """
    with output.open("rb") as file:
        first = file.readline()
    try:
        known = not first.strip() or "id" in json.loads(first)
    except (ValueError, TypeError):
        known = False
    if not known:
        raise EcgFormatError(f"{output}: there is a file of something else; name another one for the features.")


def _extract_features(
    source: str | os.PathLike | Iterable[Any],
    output: Path,
    workers: int | None,
    resume: bool,
    compat: str | None,
    progress: Progress | None,
    read: Callable[[Any], EcgRecord],
) -> FeatureBatchReport:
    part = output.with_name(output.name + ".part")
    report = FeatureBatchReport()
    items, total = _items(source, report)
    if output.exists():
        _check_output(output)
    if not resume:
        part.unlink(missing_ok=True)
    settings = _settings(read, compat)
    written = _resume_part(part, compat, report)
    finished = _finished(output, compat) if resume and output.exists() else {}
    earlier = {name: place for name, (place, _) in finished.items()}

    def still(name: str, item: Any) -> bool:
        """Whether the file has features of this record as it is now; those of another are forgotten."""
        if name in finished and finished[name][1] != _made_from(item, settings):
            earlier.pop(name, None)
        return name in earlier

    def begun(name: str, item: Any) -> bool:
        """Whether the stopped run has this record's line."""
        if name not in written:
            return False
        if written[name] not in (None, _made_from(item, settings)):
            raise EcgFormatError(
                f"{part}: a stopped run measured {name} from another file or with other options. Go on with those, or start anew "
                "(`resume=False`, --fresh)."
            )
        return True

    todo = ((name, None if still(name, item) else item) for name, item in _distinct(items) if not begun(name, item))
    with part.open("ab") as file, output.open("rb") if earlier else io.BytesIO() as old:
        for line in _measured(todo, partial(_measure, compat=compat, read=read, settings=settings), workers):
            if line["id"] in earlier:
                _copy_line(old, earlier.pop(line["id"]), file)
                report.resumed += 1
            else:
                file.write(json_lines([line], allow_nan=False).encode())
                report.count(line)
            file.flush()
            if progress is not None:
                progress(report.done + report.resumed + len(report.failed), total)
        for place in [place for record_id, place in earlier.items() if record_id not in written]:
            _copy_line(old, place, file)
    os.replace(part, output)
    return report


def read_features(path: str | os.PathLike) -> Iterator[tuple[str, EcgFeatures]]:
    """The ids and features in a file of `extract_features_batch`; failures are left out.

    Raises:
        EcgFormatError: a line is not JSON; the message has its number.
    """

    def refuse(number: int, error: Exception) -> NoReturn:
        raise EcgFormatError(
            f"{path}, line {number}: not a line of features ({error}). Remove it and run again."
        ) from error

    for number, line in read_json_lines(path, refuse):
        try:
            record_id, features = line["id"], line.get("features")
        except (KeyError, TypeError) as error:
            refuse(number, error)
        if features is not None:
            yield record_id, EcgFeatures.from_dict(features)


def _resume_part(part: Path, compat: str | None, report: FeatureBatchReport) -> dict[str, str | None]:
    """Ids whose lines a stopped run left in `part`, and what they were made from; from the first line on that is cut off or foreign, the rest goes."""
    written: dict[str, str | None] = {}
    if not part.exists():
        return written
    with part.open("r+b") as file:
        for place, line in _lines(file, compat):
            if line is None:
                file.truncate(place)
                break
            written[line["id"]] = line.get("made_from")
            report.count(line, resumed=True)
    return written


def _finished(output: Path, compat: str | None) -> dict[str, tuple[int, str | None]]:
    """id -> the byte at which a record's features begin in a finished file, and what they were made from."""
    with output.open("rb") as file:
        lines = ((place, line) for place, line in _lines(file, compat) if line is not None and "features" in line)
        return {line["id"]: (place, line.get("made_from")) for place, line in lines}


def _lines(file: BinaryIO, compat: str | None) -> Iterator[tuple[int, Line | None]]:
    """The byte at which each line begins, and the line; `None` for one that is cut off or of another kind of run."""
    place = 0
    for text in file:
        yield place, _parsed(text, compat)
        place += len(text)


def _copy_line(source: BinaryIO, place: int, target: BinaryIO) -> None:
    source.seek(place)
    target.write(source.readline())


def _parsed(text: bytes, compat: str | None) -> Line | None:
    """A whole line of this kind of run, else `None`."""
    try:
        line = json.loads(text)
        whole = text.endswith(b"\n") and ("error" in line or line["features"]["record"]["compat"] == compat)
        return line if whole and isinstance(line["id"], str) else None
    except (ValueError, KeyError, TypeError):
        return None


def _items(source: Any, report: FeatureBatchReport) -> tuple[Iterator[tuple[str, Any]], int | None]:
    """(id, item) pairs of a source, and how many there are, if that is known; the report gets what a folder has beside them."""
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source)
        found = ecg_folder(folder)
        report.left_out = found.left_out_in(folder)
        paths = found.records
        if not paths:
            raise EcgFormatError(f"{folder}: no ECG in it. {left_out_in_words(report.left_out)}".rstrip())
        return ((path.relative_to(folder).as_posix(), path) for path in paths), len(paths)
    total = len(source) if hasattr(source, "__len__") else None
    return ((_identity(item, number), item) for number, item in enumerate(source)), total


def _identity(item: Any, number: int) -> str:
    if isinstance(item, (str, os.PathLike)):
        return str(item)
    if isinstance(item, Mapping):
        named = next((item[key] for key in ("id", "record_id") if item.get(key) is not None), None)
    else:
        named = getattr(item, "record_id", None)
    return str(number if named is None else named)


def _distinct(items: Iterable[Item]) -> Iterator[Item]:
    seen: set[str] = set()
    for record_id, item in items:
        if record_id in seen:
            raise EcgFormatError(f"record {record_id!r} occurs twice in the source; give every record its own id.")
        seen.add(record_id)
        yield record_id, item


def _measured(todo: Iterable[Item], measure: Callable[[Item], Line], workers: int | None) -> Iterator[Line]:
    count = os.cpu_count() or 1 if workers is None else workers
    if count < 1:
        yield from map(measure, todo)
        return
    work = partial(_measure_all, measure=measure)
    for chunk, lines in in_processes(work, _chunks(todo), count, AHEAD * count):
        if not isinstance(lines, BrokenProcessPool):
            yield from lines
            continue
        # One at a time in another process: only the record that kills it is lost.
        for item, line in in_processes(measure, chunk, workers=1, ahead=1):
            died = {"id": item[0], "error": "the process that measured this record died (out of memory?)"}
            yield died if isinstance(line, BrokenProcessPool) else line


def _chunks(todo: Iterable[Item]) -> Iterator[list[Item]]:
    items = iter(todo)
    while chunk := list(islice(items, CHUNK)):
        yield chunk


def _measure_all(chunk: Iterable[Item], measure: Callable[[Item], Line]) -> list[Line]:
    return list(map(measure, chunk))


def _measure(named: Item, compat: str | None, read: Callable[[Any], EcgRecord], settings: str) -> Line:
    """The line of one record; without features or error where there is nothing to measure (no item, a name alone)."""
    record_id, item = named
    if item is None:
        return {"id": record_id}
    try:
        record = read(item)
        features = extract_features(record, compat=compat).check_plausibility()
        known = {"assumed": record.assumed, "history": list(record.history), "made_from": _made_from(item, settings)}
        return {"id": record_id, "features": features.to_dict(full=True), **known}
    except GemError as error:
        return {"id": record_id, "error": str(error)}
    except Exception as error:
        # One broken record must not end a batch of a million; what happened is in the report.
        return {"id": record_id, "error": f"{type(error).__name__}: {error}"}


__all__ = ["FeatureBatchReport", "extract_features_batch", "read_features"]
