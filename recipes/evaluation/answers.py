# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Model answers to test sets: generates them, and reads files of them in our and the published forms."""

import codecs
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processing.ecg_record import EcgRecord
from processing.errors_gem import EvaluationError, GemError
from processing.grounding.cut_off import CutOff, as_answer, cut_off_in_words
from recipes.files import atomic_write, json_lines

from .items import EvalItem

if TYPE_CHECKING:
    from modeling_gem.interpretation import Grounding, Interpretation
    from processing.chat_gem import Modality
    from recipes.chat.gem_models import GemEngine

logger = logging.getLogger(__name__)

ID_KEYS = ("id", "question_id", "No", "custom_id")
# GEM and PULSE write `text`, ECG-R1 and the baselines `response`, GEM's merged files the last two.
ANSWER_KEYS = ("text", "response", "answer", "generated_text", "Model_generated", "GEM_generated")
TURN_KEYS = ("predict_convs", "response")
CUT_OFF = "cut_off"  # whether the text ends at the length limit; absent in older files and those of others
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Answer:
    """One answer. `text`: `None` if the file has none, a `CutOff` if it says so; `key`: its key in the file; `row`: all other keys."""

    id: str
    text: str | None
    key: str
    line: int
    row: Mapping[str, Any]


@dataclass
class AnswerFile:
    """The answers of a file, in order; `problems` describes defects, with line numbers."""

    path: Path
    answers: list[Answer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def by_id(self) -> dict[str, Answer]:
        """The last answer of each id that has a text; without any, the last."""
        found: dict[str, Answer] = {}
        for answer in self.answers:
            if answer.text is not None or answer.id not in found:
                found[answer.id] = answer
        return found

    def texts_for(self, ids: Iterable[str], of_more: bool = False) -> list[str | None]:
        """The answers to `ids`, in their order. Missing and repeated ids are added to `problems`, and surplus ones unless the ids are
        `of_more`: a part of the test set on purpose."""
        wanted = list(ids)
        names = full_names((answer.id for answer in self.answers), wanted)
        self.answers = [replace(answer, id=names[answer.id]) for answer in self.answers]
        known = self.by_id()
        if not set(wanted) & set(known):
            raise EvaluationError(
                f"{self.path}: not one of its {len(known)} ids is in the test set (file: {_some(known)}; test set: "
                f"{_some(wanted)}). Do the two belong together?"
            )
        self._name_repeated()
        missing, surplus = [i for i in wanted if i not in known], sorted(set(known) - set(wanted))
        if missing:
            self.problems.append(f"{len(missing)} of {len(wanted)} ids have no answer: {_some(missing)}")
        if surplus and not of_more:
            self.problems.append(f"{len(surplus)} ids are not in the test set: {_some(surplus)}")
        return [known[i].text if i in known else None for i in wanted]

    def cut_off(self, ids: Iterable[str]) -> int | None:
        """How many of the answers to `ids` end at their length limit; `None` if no row says so or denies it, as in files of others."""
        known, wanted = self.by_id(), set(ids)
        stated = [known[name].text for name in wanted if name in known and CUT_OFF in known[name].row]
        return sum(isinstance(text, CutOff) for text in stated) if stated else None

    def cut_off_notes(self, ids: Iterable[str]) -> list[str]:
        """A sentence for a report if answers to `ids` are cut off, else none."""
        count = self.cut_off(ids := list(ids))
        return [f"Of {len(ids):,} answers, {count:,} {cut_off_in_words()}."] if count else []

    def _name_repeated(self) -> None:
        lines: dict[str, list[Answer]] = {}
        for answer in self.answers:
            lines.setdefault(answer.id, []).append(answer)
        for name, answers in lines.items():
            if len(answers) > 1:
                differ = len({answer.text for answer in answers}) > 1
                where = ", ".join(str(answer.line) for answer in answers)
                said = "with different answers, the last one counts" if differ else "with the same answer"
                self.problems.append(f"id {name} stands {len(answers)} times (lines {where}) {said}")


def full_names(names: Iterable[str], ids: Iterable[str]) -> dict[str, str]:
    """Name in a file -> id of the test set: published files leave out the data set's name (`40689238` for `mimic-iv/40689238`)."""
    known = set(ids)
    short = {name.partition("/")[2]: name for name in known if "/" in name}
    return {name: name if name in known else short.get(name, name) for name in names}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (" ..." if len(listed) > 5 else "")


def read_answers(path: str | Path) -> AnswerFile:
    """
    Reads JSON Lines, or one JSON list, of rows with an id and an answer under any published key. A row of ECG Arena gives one
    answer per turn (`id#1`, `id#2`).

    Raises:
        EvaluationError: the file does not exist or holds no answer.
    """
    path = Path(path)
    if not path.is_file():
        raise EvaluationError(f"{path}: there is no such file of answers.")
    file = AnswerFile(path)
    for number, row in read_rows(path, file.problems):
        _add(row, number, file)
    if not file.answers:
        raise EvaluationError(f"{path}: not one answer in it. {' '.join(file.problems[:3])}")
    return file


def read_rows(path: Path, problems: list[str]) -> list[tuple[int, Any]]:
    """
    The rows of JSON Lines, or of one JSON list, with their line numbers (places in the list). Lines that are not UTF-8 or no JSON
    are named in `problems`; the latter are left out.

    Raises:
        EvaluationError: the JSON list is broken.
    """
    lines = _decoded_lines(path.read_bytes(), problems)
    text = "".join(lines)
    if text.lstrip().startswith("["):
        try:
            return list(enumerate(json.loads(text), 1))
        except json.JSONDecodeError as error:
            raise EvaluationError(f"{path}: the JSON list is broken ({error}); copy it again.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append((number, json.loads(line)))
        except json.JSONDecodeError as error:
            half_written = number == len(lines) and not line.endswith("\n")
            what = "is half written: the run that wrote it was stopped" if half_written else f"is no JSON ({error})"
            problems.append(f"line {number} {what}")
    return rows


def _decoded_lines(content: bytes, problems: list[str]) -> list[str]:
    if content.startswith(UTF16):
        problems.append("the file is UTF-16, expected UTF-8; it was read nevertheless")
        return content.decode("utf-16", errors="replace").splitlines(keepends=True)
    lines = []
    for number, raw in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True), 1):
        try:
            lines.append(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            problems.append(
                f"line {number} is not UTF-8 (byte 0x{raw[error.start]:02x} at {error.start}); it was read as Windows-1252"
            )
            lines.append(raw.decode("cp1252", errors="replace"))
    return lines


def _add(row: Any, number: int, file: AnswerFile) -> None:
    name = (
        next((row[key] for key in ID_KEYS if row.get(key) not in (None, "")), None) if isinstance(row, dict) else None
    )
    if name is None:
        file.problems.append(f"line {number} has no id ({' or '.join(ID_KEYS)})")
        return
    turns = next((row[key] for key in TURN_KEYS if isinstance(row.get(key), list)), None)
    if turns is not None:
        for turn, part in enumerate(turns, 1):
            _add_one(f"{name}#{turn}", part if isinstance(part, dict) else {"answer": part}, number, file)
        return
    _add_one(str(name), row, number, file)


def _add_one(name: str, row: Mapping[str, Any], number: int, file: AnswerFile) -> None:
    key = next((key for key in ANSWER_KEYS if key in row), "")
    text = row.get(key)
    if row.get("error"):
        file.problems.append(f"id {name} (line {number}): {row['error']}")
        text = None
    elif not isinstance(text, str):
        said = (
            f"the answer is {type(text).__name__}, expected text" if key else f"no answer ({' or '.join(ANSWER_KEYS)})"
        )
        file.problems.append(f"id {name} (line {number}): {said}; it counts as unanswered")
        text = None
    text = text if text is None else as_answer(text, row.get(CUT_OFF) is True)
    file.answers.append(Answer(name, text, key, number, row))


class AnswerLog:
    """
    Answers are appended as they come and are on the disk when `append` returns; a run that was stopped continues where it was.
    `rows` holds the last row of each id. Lines that a killed run left half written are removed with a warning, and made again.

    Args:
        path: the JSON Lines file.
        settings: what shaped the answers; kept in `settings_file`, so that a run with others does not mix in.
        settings_file: beside the file if not given.

    Raises:
        EvaluationError: the file was begun with other settings.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any], settings_file: Path | None = None) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._check_settings(dict(settings), settings_file or settings_beside(self.path))
        self.rows = self._recover()
        self._file = self.path.open("a", encoding="utf-8")

    def __enter__(self) -> "AnswerLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends rows, and flushes them to the disk before it returns."""
        for row in rows:
            self._file.write(json_lines([row]))
            self.rows[str(row["id"])] = row
        self._file.flush()
        os.fsync(self._file.fileno())

    def _check_settings(self, settings: dict[str, Any], beside: Path) -> None:
        wanted = json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        written = beside.read_text(encoding="utf-8") if beside.exists() else None
        if written == wanted:
            return
        if written is not None and self.path.exists():
            old = json.loads(written)
            changed = sorted(key for key in old.keys() | settings.keys() if old.get(key) != settings.get(key))
            raise EvaluationError(
                f"{self.path} was begun with other settings ({', '.join(changed)} differ). Give another output, or remove it."
            )
        atomic_write(beside, wanted)

    def _recover(self) -> dict[str, Mapping[str, Any]]:
        if not self.path.exists() or not self.path.stat().st_size:
            return {}
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        rows: dict[str, Mapping[str, Any]] = {}
        kept, removed = [], []
        for number, line in enumerate(whole.splitlines(keepends=True), 1):
            try:
                row = json.loads(line)
                rows[str(row["id"])] = row
                kept.append(line)
            except (ValueError, KeyError, TypeError):
                removed.append(f"line {number} is damaged")
        if len(whole) < len(content):
            removed.append("the last line is half written")
        if removed:
            logger.warning("%s: %s; removed, to be made again", self.path, ", ".join(removed))
            atomic_write(self.path, b"".join(kept))
        return rows


def settings_beside(path: Path) -> Path:
    """Where the settings of an answers file lie."""
    return path.with_name(f"{path.name}.settings.json")


Progress = Callable[[int, int], None]


def generate_answers(
    model: str,
    items: Sequence[EvalItem],
    output: str | Path,
    *,
    modality: "Modality" = "both",
    batch_size: int = 8,
    max_new_tokens: int = 1024,
    trust_remote_code: bool = False,
    grounding: "Grounding" = "off",
    n: int = 8,
    engine: str = "transformers",
    progress: Progress | None = None,
) -> None:
    """
    Writes greedy answers as JSON Lines with `id`, `prompt`, `text`, `cut_off` (whether the text ends at the length limit) and
    `reference`; a record that cannot be read has `error` instead of `text`. With `grounding` they are the answers of `interpret`, with the further keys `grounding`, `tried` and `edits`. A run
    that was stopped continues. Under `accelerate launch` each process writes its share to a file of its own, and the first
    process joins them.

    Args:
        model: folder or Hub id.
        items: the records and questions.
        output: the file.
        modality: what the model sees: `both`, `signal` or `image`.
        batch_size: questions per forward pass, or parallel requests to a server.
        max_new_tokens: length limit of an answer.
        trust_remote_code: allow the model's own code to run.
        grounding: how answers are checked, see `modeling_gem.interpret`.
        n: the largest number of answers that `select` and `correct` try.
        engine: what the model runs on, see `recipes.chat.engine_names`.
        progress: called with (answers done, in all).

    Raises:
        EvaluationError: `output` was begun with other settings.
        GemError: see `recipes.chat.engines.gem_engine`.
    """
    from accelerate import PartialState

    from recipes.chat.engine_names import engine_settings
    from recipes.chat.engines import gem_engine

    # Shares differ in length: the processes wait half a day for the slowest.
    state, output = PartialState(timeout=timedelta(hours=12)), Path(output)
    alone = state.num_processes == 1
    part = output if alone else output.with_name(f"{output.name}.{state.process_index}-of-{state.num_processes}")
    settings = {"model": model, "modality": modality, "max_new_tokens": max_new_tokens}
    chosen: dict[str, Any] = {} if grounding == "off" else {"grounding": grounding, "n": n}
    chosen |= engine_settings(engine)
    with state.main_process_first():
        log = AnswerLog(part, settings | chosen, settings_beside(output))
    with log:
        known = set(_rows_of_parts(output))
        todo = [i for i in list(items)[state.process_index :: state.num_processes] if i.id not in known]
        if todo:
            asked = gem_engine(
                engine, model, device=state.device, trust_remote_code=trust_remote_code, at_once=batch_size
            )
            generation = {"max_new_tokens": max_new_tokens, "grounding": grounding, "n": n}
            try:
                _answer(asked, todo, log, modality, generation, progress)
            finally:
                asked.close()
    state.wait_for_everyone()
    if state.is_main_process:
        _join(output, [item.id for item in items])
    state.wait_for_everyone()


def _parts(output: Path) -> list[Path]:
    """The file, and the parts of this run or of interrupted ones with any number of processes."""
    return [path for path in (output, *sorted(output.parent.glob(f"{output.name}.*-of-*"))) if path.exists()]


def _rows_of_parts(output: Path) -> dict[str, Any]:
    """Id -> row. The half-written end of an interrupted part is skipped: its record is answered again."""
    return {str(row["id"]): row for path in _parts(output) for _, row in read_rows(path, [])}


def _answer(
    engine: "GemEngine",
    items: Sequence[EvalItem],
    log: AnswerLog,
    modality: "Modality",
    generation: Mapping[str, Any],
    progress: Progress | None,
) -> None:
    from recipes.chat.gem_models import checked_answer

    source, done, processor = iter(items), 0, engine.processor
    while batch := list(islice(source, engine.at_once)):
        chats, rows = [], []
        for item in batch:
            row: dict[str, Any] = {"id": item.id, "prompt": item.question or processor.default_question}
            try:
                chat = processor.build_conversation(item.model_input(modality))
                row["reference"] = _reference(item, processor.record(chat))
                chats.append(chat)
            except (GemError, OSError) as error:
                row["error"] = f"not answered: {error}"
            rows.append(row)
        answers = engine.answers(chats, generation["max_new_tokens"]) if chats else []
        answered = zip(chats, answers, strict=True)
        for row in rows:
            if "error" in row:
                continue
            chat, answer = next(answered)
            if isinstance(answer, GemError):
                row["error"] = f"not answered: {answer}"
            elif generation["grounding"] == "off":
                row |= _written(answer)
            else:
                row |= _told(checked_answer(engine, chat, answer, **generation))
        log.append(rows)
        done += len(batch)
        if progress is not None:
            progress(done, len(items))


def _written(text: str) -> dict[str, Any]:
    return {"text": text, CUT_OFF: isinstance(text, CutOff)}


def _told(found: "Interpretation") -> dict[str, Any]:
    """Of a checked answer what a file of answers keeps: the text, and how it came about."""
    marks = found.marks()
    told = _written(found.text) | {"grounding": marks["grounding"], "tried": len(found.candidates) or 1}
    return told | ({"edits": marks["edits"]} if marks.get("edits") else {})


def _reference(item: EvalItem, record: EcgRecord | None) -> str | None:
    if not callable(item.reference):
        return item.reference
    return item.reference(record if record is not None else item.ecg.load())  # type: ignore[union-attr]


def _join(output: Path, ids: Sequence[str]) -> None:
    """One file, in the order of the test set; what it held beyond that stays at its end."""
    rows = _rows_of_parts(output)
    ordered = [*(name for name in ids if name in rows), *(name for name in rows if name not in set(ids))]
    atomic_write(output, json_lines(rows[name] for name in ordered))
    for path in _parts(output)[1:]:
        path.unlink()


__all__ = [
    "Answer",
    "AnswerFile",
    "AnswerLog",
    "full_names",
    "generate_answers",
    "read_answers",
    "read_rows",
    "settings_beside",
]
