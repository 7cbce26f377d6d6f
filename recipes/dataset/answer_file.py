# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Answers of a GEM about many ECGs in one Parquet file: one row per ECG in the order of the source, including failures.

The ECGs are answered in parts. The file of a part is written atomically, so that a run that was stopped or killed continues with the
missing parts; at the end the parts are joined to the output.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from modeling_gem.interpretation import ANSWERS, Grounding, check_answer, from_picture, tolerances_for
from processing.chat_gem import Modality, upright
from processing.ecg_check import check_ecg
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import EcgRecord
from processing.errors_gem import BuildError, EcgQualityError, GemError
from processing.grounding.verdicts import DEFAULT_TOLERANCES, Tolerances
from recipes.chat.engines import gem_engine
from recipes.files import atomic_path, one_writer
from recipes.models import model_source
from recipes.serving.provenance import provenance_of

from .answer_source import ANSWERS_MARK, AnswerSource
from .pool import in_processes

if TYPE_CHECKING:
    from modeling_gem import GemProcessor
    from recipes.chat.gem_models import GemEngine

PART = 32  # ECGs with their pages: 20 MB at most on their way to the model
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),  # null where there is no answer
        ("cut_off", pa.bool_()),  # whether the text ends at the length limit
        ("denied_ecg", pa.string()),  # a sentence where the text calls this no ECG and the waveform has heartbeats
        ("declined", pa.string()),  # why: it can be no ECG
        ("error", pa.string()),  # why: it cannot be read, or the model failed
        ("plausibility", pa.string()),
        ("grounding", pa.string()),
        ("supported", pa.int32()),
        ("contradicted", pa.int32()),
        ("not_measurable", pa.int32()),
        ("claims", pa.string()),  # JSON, as are spans and measurements
        ("spans", pa.string()),
        ("measurements", pa.string()),
        ("history", pa.list_(pa.string())),
        ("model_sha", pa.string()),
        ("rules_version", pa.string()),
        ("version", pa.string()),
    ]
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class AnswerSettings:
    """Settings of a run. The output does not depend on `batch` or the engine.

    Args:
        source: the ECGs.
        output: the Parquet file.
        model: folder or Hub id; empty for the model that comes with gem-ecg.
        backend: the engine of the model, see `gem_engine`.
        batch: ECGs that are answered at once.
    """

    source: AnswerSource
    output: Path
    model: str = ""
    backend: str = "transformers"
    question: str | None = None
    modality: Modality = "both"
    grounding: Grounding = "flag"
    n: int = ANSWERS
    seed: int = 0
    max_new_tokens: int = 256
    batch: int = 16

    @property
    def parts(self) -> Path:
        """The folder of finished parts, beside the output."""
        return self.output.with_name(f".{self.output.name}.parts")


@dataclass(frozen=True)
class Part:
    """ECGs that are answered together: their numbers in the source and their ids."""

    number: int
    ecgs: tuple[tuple[int, str], ...] = field(repr=False)


@dataclass
class Prepared:
    """An ECG on its way to the model: its row so far, and the question about it, where there is one."""

    row: dict[str, Any]
    chat: list[dict] | None = None
    features: EcgFeatures | None = None
    tolerances: Tolerances = DEFAULT_TOLERANCES


@dataclass(frozen=True)
class Batch:
    """A part that is prepared, and the CPU seconds that it took by step."""

    ecgs: list[Prepared]
    spent: dict[str, float]


@dataclass(frozen=True)
class AnswersReport:
    """The result of a run.

    Attributes:
        rows: number of rows in the output.
        resumed: number of rows from earlier runs.
        failed: id -> reason, for the whole output.
        declined: id -> reason, for the whole output.
        spent: step -> CPU seconds of this run, over all processes.
        cut_off: number of answers that end at the length limit.
        left_out: file of a folder that is no ECG -> reason.
    """

    rows: int
    resumed: int
    failed: dict[str, str]
    declined: dict[str, str]
    spent: dict[str, float]
    cut_off: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


PartEngine = Callable[[Sequence[Part], AnswerSettings], Iterable[dict[str, float]]]


def interpret_all(
    settings: AnswerSettings, engine: PartEngine, *, fresh: bool = False, progress: Progress | None = None
) -> AnswersReport:
    """Answers every ECG of the source once. A run that was stopped continues.

    Args:
        settings: source, model and output.
        engine: `LocalAnswers` or `RayAnswers`; writes the parts of the output and measures the CPU time of each.
        fresh: delete earlier output and start again.
        progress: called with (ECGs done, in all).

    Raises:
        BuildError: there are no ECGs, another run is writing to the output, or the output has other settings.
    """
    with one_writer(settings.output, BuildError):
        if fresh:
            settings.output.unlink(missing_ok=True)
            shutil.rmtree(settings.parts, ignore_errors=True)
        ids, left_out = settings.source.ids()
        mark = _mark(settings, ids)
        if settings.output.exists():
            _check_mark(_metadata(settings.output), mark, settings.output)
            shutil.rmtree(settings.parts, ignore_errors=True)
            return _report(settings, len(ids), {}, left_out)
        plan = [
            Part(start // PART, tuple(enumerate(ids[start : start + PART], start)))
            for start in range(0, len(ids), PART)
        ]
        _begin(settings, mark)
        todo = [part for part in plan if not part_file(part, settings).exists()]
        resumed = done = len(ids) - sum(len(part.ecgs) for part in todo)
        spent: dict[str, float] = {}
        for note in engine(todo, settings):
            done += int(note.pop("ecgs"))
            for step, seconds in note.items():
                spent[step] = spent.get(step, 0.0) + seconds
            if progress is not None:
                progress(done, len(ids))
        _join(plan, mark, len(ids), settings)
        return _report(settings, resumed, spent, left_out)


def part_file(part: Part, settings: AnswerSettings) -> Path:
    """The file of a finished part."""
    return settings.parts / f"{part.number:07d}.parquet"


def prepare(part: Part, settings: AnswerSettings) -> Batch:
    """Reads, judges and measures the ECGs of a part and draws their pages; failures are written into the rows."""
    spent = {"read": 0.0, "measure": 0.0, "draw": 0.0}
    return Batch([_prepared(number, name, settings, spent) for number, name in part.ecgs], spent)


def _prepared(number: int, name: str, settings: AnswerSettings, spent: dict[str, float]) -> Prepared:
    found = Prepared(_unanswered(name))
    clock = time.process_time()

    def step(what: str) -> None:
        nonlocal clock
        spent[what] += time.process_time() - clock
        clock = time.process_time()

    try:
        given = settings.source.read(number, name)
        shown: Image.Image | None = None
        if isinstance(given, Image.Image):
            given, shown = _digitized(given, name, found.row, settings)
        if isinstance(given, EcgRecord):
            given = check_ecg(given)
            found.row["history"] = list(given.history)
            found.tolerances = tolerances_for(given)
        step("read")
        if isinstance(given, EcgRecord):
            found.features = extract_features(given).check_plausibility()
            measured = found.features.to_dict()
            found.row |= {"plausibility": found.features.plausibility.verdict, "measurements": _json(measured)}
        step("measure")
        found.chat = _processor(settings.model).build_conversation(
            given, question=settings.question, image=shown, modality=settings.modality
        )
        step("draw")
    except EcgQualityError as error:
        found.row["declined"] = str(error)
    except GemError as error:
        found.row["error"] = str(error)
    except Exception as error:  # one broken file must not end a run of a million; its row says what happened
        found.row["error"] = f"{type(error).__name__}: {error}"
    return found


def _digitized(
    page: Image.Image, name: str, row: dict[str, Any], settings: AnswerSettings
) -> tuple[EcgRecord | Image.Image, Image.Image | None]:
    """The signal of a page, and the page that goes with it; the page alone, with the reason in `history`, where none is recovered."""
    if settings.modality == "image":
        return page, None
    record, reason = from_picture(page, name=name, **settings.source.options.of_page())
    if record is not None:
        return record, upright(page, record)
    if settings.modality == "signal":
        raise EcgQualityError(f"{reason}.")
    row["history"] = [f"no signal was recovered from the picture: {reason}"]
    return page, None


def _unanswered(name: str) -> dict[str, Any]:
    """The row of an ECG of which nothing is known yet."""
    return dict.fromkeys(SCHEMA.names) | {"id": name, "grounding": "off", "history": []}


@lru_cache(maxsize=1)
def _processor(model: str) -> "GemProcessor":
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(model_source(model))


class Answering:
    """The step that holds the model, once per process: answers a prepared part, checks the answers and writes its file."""

    def __init__(self, settings: AnswerSettings) -> None:
        self.settings = settings
        self.engine: GemEngine = gem_engine(settings.backend, settings.model, at_once=settings.batch)
        made_by = provenance_of(model_source(settings.model))
        names = ("model_sha", "rules_version", "version")
        self.made_by = {name: getattr(made_by, name) for name in names}

    def __call__(self, part: Part, batch: Batch) -> dict[str, float]:
        """The CPU seconds of the part by step, and under `ecgs` how many it has."""
        clock = time.process_time()
        asked = [found for found in batch.ecgs if found.chat is not None]
        for start in range(0, len(asked), self.settings.batch):
            self._answer(asked[start : start + self.settings.batch])
        answered = time.process_time()
        for found in asked:
            self._check(found)
        checked = time.process_time()
        rows = [found.row | self.made_by for found in batch.ecgs]
        with atomic_path(part_file(part, self.settings)) as file:
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file, compression="zstd")
        took = {"answer": answered - clock, "check": checked - answered, "write": time.process_time() - checked}
        return {**batch.spent, **took, "ecgs": len(rows)}

    def _answer(self, asked: Sequence[Prepared]) -> None:
        """Answers in one batch; if that fails, one by one, so that only the faulty ECG fails."""
        try:
            texts = self.engine.answers([found.chat or [] for found in asked], self.settings.max_new_tokens)
        except Exception as error:
            if len(asked) > 1:
                for found in asked:
                    self._answer([found])
                return
            texts = [GemError(f"the model could not answer ({type(error).__name__}: {error})")]
        for found, text in zip(asked, texts, strict=True):
            found.row |= {"error": str(text)} if isinstance(text, GemError) else {"text": text}

    def _check(self, found: Prepared) -> None:
        own, row = self.settings, found.row
        if row["text"] is None or found.chat is None:
            return
        more = None
        if found.features is not None:
            more = self.engine.more(found.chat, found.features, own.seed, own.max_new_tokens)
        checked = check_answer(
            row["text"], found.features, grounding=own.grounding, more=more, n=own.n, tolerances=found.tolerances
        )
        row |= {"text": checked.text, "cut_off": checked.cut_off, "denied_ecg": checked.denied_ecg}
        row["grounding"] = checked.marks()["grounding"]
        if checked.report is not None:
            for verdict in ("supported", "contradicted", "not_measurable"):
                row[verdict] = checked.report.count(verdict)
            row["claims"] = _json([claim.to_dict() for claim in checked.claims])
            row["spans"] = _json([span.to_dict() for span in checked.spans])


class LocalAnswers:
    """Makes parts on this machine: other processes prepare the ECGs, this one runs the model.

    Args:
        workers: processes that prepare; 0 for none beside this one.
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers

    def __call__(self, parts: Sequence[Part], settings: AnswerSettings) -> Iterator[dict[str, float]]:
        """The notes of the parts as they are finished."""
        if not parts:
            return
        answering = Answering(settings)
        for part, batch in self._prepared(parts, settings):
            yield answering(part, batch)

    def _prepared(self, parts: Sequence[Part], settings: AnswerSettings) -> Iterator[tuple[Part, Batch]]:
        work = partial(prepare, settings=settings)
        if self.workers < 1:
            yield from ((part, work(part)) for part in parts)
            return
        for part, batch in in_processes(work, parts, self.workers, ahead=self.workers + 1):
            yield part, _one_by_one(part, work) if isinstance(batch, BrokenProcessPool) else batch


def _one_by_one(part: Part, work: Callable[[Part], Batch]) -> Batch:
    """A part whose process died: only the ECG that kills it is lost."""
    ecgs: list[Prepared] = []
    spent: dict[str, float] = {}
    for single, made in in_processes(work, [Part(part.number, (ecg,)) for ecg in part.ecgs], workers=1, ahead=1):
        if isinstance(made, BrokenProcessPool):
            died = {"error": "the process that read and measured it died (out of memory?)"}
            ecgs.append(Prepared(_unanswered(single.ecgs[0][1]) | died))
            continue
        ecgs += made.ecgs
        spent = {step: spent.get(step, 0.0) + seconds for step, seconds in made.spent.items()}
    return Batch(ecgs, spent)


def _mark(settings: AnswerSettings, ids: Sequence[str]) -> str:
    """A fingerprint of everything that decides the rows: ECGs, model, question and rules."""
    said = asdict(settings)
    for name in ("output", "batch", "backend"):
        said.pop(name)
    made_by = provenance_of(model_source(settings.model))
    content = json.dumps([said, made_by.to_dict(), list(ids)], default=str, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _metadata(path: Path) -> dict[bytes, bytes] | None:
    """What a Parquet file says of itself.

    Raises:
        BuildError: it is no Parquet file.
    """
    try:
        return pq.read_schema(path).metadata
    except pa.ArrowInvalid as error:
        raise BuildError(f"{path}: there is a file of something else; choose another --output.") from error


def _check_mark(metadata: dict[bytes, bytes] | None, mark: str, path: Path) -> None:
    if (metadata or {}).get(ANSWERS_MARK, b"").decode() != mark:
        raise BuildError(
            f"{path}: belongs to other ECGs, or to another model, question or rules; choose another --output, or --fresh."
        )


def _begin(settings: AnswerSettings, mark: str) -> None:
    """The folder of the parts, which belongs to one set of settings.

    Raises:
        BuildError: it belongs to another, or cannot be written.
    """
    note = settings.parts / "mark"
    try:
        settings.parts.mkdir(parents=True, exist_ok=True)
        if note.exists():
            _check_mark({ANSWERS_MARK: note.read_bytes()}, mark, settings.output)
        with atomic_path(note) as file:
            file.write_text(mark)
    except OSError as error:
        raise BuildError(
            f"{settings.output}: cannot be written ({error.strerror}); choose another --output."
        ) from error


def _join(plan: Sequence[Part], mark: str, rows: int, settings: AnswerSettings) -> None:
    """The parts as one file, which appears complete or not at all."""
    written = 0
    schema = SCHEMA.with_metadata({ANSWERS_MARK: mark.encode()})
    with atomic_path(settings.output) as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for part in plan:
                table = pq.read_table(part_file(part, settings), schema=SCHEMA)
                writer.write_table(table.cast(schema))
                written += table.num_rows
        if written != rows:
            raise BuildError(f"{settings.parts}: {written:,} rows for {rows:,} ECGs; run again with --fresh.")
    shutil.rmtree(settings.parts, ignore_errors=True)


def _report(
    settings: AnswerSettings, resumed: int, spent: dict[str, float], left_out: dict[str, str]
) -> AnswersReport:
    table = pq.read_table(settings.output, columns=["id", "error", "declined", "cut_off"])
    *columns, cut_off = [table[name].to_pylist() for name in table.column_names]
    failed = {name: error for name, error, _ in zip(*columns, strict=True) if error is not None}
    declined = {name: why for name, _, why in zip(*columns, strict=True) if why is not None}
    return AnswersReport(table.num_rows, resumed, failed, declined, spent, sum(map(bool, cut_off)), left_out)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


__all__ = ["AnswerSettings", "Answering", "AnswersReport", "Batch", "LocalAnswers", "Part", "interpret_all", "prepare"]
