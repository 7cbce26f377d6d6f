# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Test sets as items, each a question about an ECG with its right answer: ECG-Bench, ECG-Grounding, PTB-XL, our data sets."""

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError, EvaluationError
from recipes.sources.conversations import FileMap
from recipes.sources.llava_sets import import_ecg_grounding, read_rows
from recipes.sources.source_record import EcgFile, EcgSource, Rejection, parquets_with

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from processing.chat_gem import Modality

_PLACEHOLDER = re.compile(r"\s*<(?:image|ecg)>\s*")


@dataclass(frozen=True)
class EvalItem:
    """
    A question of a test set, with its right answer.

    Attributes:
        id: of the item.
        question: what is asked; the model's default question if empty.
        gold: the right answer as published: a text, or (ECG-QA) a list of texts.
        ecg: where the signal is stored.
        image: path or bytes of a published picture. A model needs `ecg` or `image`.
        reference: the text that a judge compares with, or a function that writes it from the record.
    """

    id: str
    question: str
    gold: Any = None
    ecg: EcgSource | None = None
    image: str | bytes | None = None
    reference: str | Callable[[EcgRecord], str] | None = None

    def model_input(self, modality: "Modality" = "both") -> dict[str, Any]:
        """
        What `GemProcessor.build_conversation` takes.

        Raises:
            GemError: the record or picture cannot be read, or there is none for this modality.
        """
        picture = None if self.image is None or modality == "signal" else _picture(self.image)
        if self.ecg is None or (modality == "image" and picture is not None):
            if picture is None:
                raise EcgFormatError(
                    f"{self.id}: no ECG for modality {modality!r}; state the folders of ECGs or pictures."
                )
            return {"ecg": picture, "question": self.question or None, "modality": "image"}
        return {"ecg": self.ecg.load(), "image": picture, "question": self.question or None, "modality": modality}


def _picture(source: str | bytes) -> "Picture":
    from PIL import Image, UnidentifiedImageError

    from processing.ecg_photo import load_page_picture

    if isinstance(source, str):
        return load_page_picture(source)
    try:
        return Image.open(io.BytesIO(source)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise EcgFormatError(f"an embedded picture cannot be read ({error}).") from error


def read_bench(
    path: str | Path, ecg_files: Mapping[str, str] | None = None, image_folder: str | Path | None = None
) -> list[EvalItem]:
    """
    A set of ECG-Bench: PULSE's Parquet (one file or a folder), or the JSON of PULSE or LANSG/ECG-Grounding (`ecg_bench/*.json`).
    A row of the Arena gives one item per turn (`id#1`, `id#2`).

    Args:
        path: a file, or a folder of Parquet files.
        ecg_files: beginning of a published ECG path -> local folder, as for the importers.
        image_folder: folder of the published pictures, if the rows do not embed them.

    Raises:
        EvaluationError: no rows, a row without id or without a question, or an id with two different gold answers.
    """
    path, files = Path(path), FileMap(ecg_files or {})
    items: dict[str, EvalItem] = {}
    for number, row in enumerate(_bench_rows(path)):
        name = next((str(row[key]) for key in ("id", "question_id", "No") if row.get(key) not in (None, "")), None)
        if name is None:
            raise EvaluationError(f"{path}: row {number} has no id.")
        ecg, image = _media(row, files, image_folder)
        for item in _turns(name, row, ecg, image, path):
            if item.id in items and items[item.id].gold != item.gold:
                raise EvaluationError(f"{path}: id {item.id} occurs twice with different gold answers.")
            items[item.id] = item
    if not items:
        raise EvaluationError(f"{path}: no rows.")
    return list(items.values())


def _bench_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if not (path.is_dir() or path.suffix == ".parquet"):
        yield from read_rows(path)
        return
    import pyarrow.parquet as pq

    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=64):
            yield from batch.to_pylist()


def _media(
    row: Mapping[str, Any], files: FileMap, image_folder: str | Path | None
) -> tuple[EcgSource | None, str | bytes | None]:
    published = row.get("ecg")
    found = files.find(str(published)) if published else None
    ecg = EcgFile(str(found)) if found is not None else None
    picture = row.get("image")
    if isinstance(picture, Mapping) and picture.get("bytes"):
        return ecg, picture["bytes"]
    name = picture if isinstance(picture, str) else row.get("image_path")
    if image_folder is not None and name and (path := Path(image_folder) / str(name)).is_file():
        return ecg, str(path)
    return ecg, None


def _turns(
    name: str, row: Mapping[str, Any], ecg: EcgSource | None, image: str | bytes | None, path: Path
) -> Iterator[EvalItem]:
    turns = row.get("conversations", row.get("conversation")) or []
    if len(turns) and "question" in turns[0]:
        for number, turn in enumerate(turns, 1):
            yield EvalItem(f"{name}#{number}", _question(turn["question"]), turn.get("answer"), ecg, image)
        return
    said = [turn.get("value", turn.get("content")) for turn in turns]
    if len(said) < 2 or not said[0]:
        raise EvaluationError(f"{path}: row {name} holds no question and answer (`conversations`).")
    yield EvalItem(name, _question(said[0]), _gold(said[1]), ecg, image)


def _question(value: Any) -> str:
    text = value if isinstance(value, str) else "".join(map(str, value))
    return _PLACEHOLDER.sub("\n", text).strip()


def _gold(value: Any) -> str | list[str]:
    """On the Hub, gold answers of ECG-QA are lists of options, or lists of the characters of one text."""
    if isinstance(value, str) or value is None:
        return value or ""
    parts = [str(part) for part in value]
    return "".join(parts) if parts and all(len(part) == 1 for part in parts) else parts


def read_test_set(
    path: str | Path,
    question: str = "",
    files: Mapping[str, str] | None = None,
    fold: int = 9,
    reference: str = "grounded",
) -> tuple[list[EvalItem], list[str]]:
    """
    Records to interpret, each with a reference text, and a description of every problem with the others.

    Args:
        path: PTB-XL (its folder, or Parquet files with its columns), a data set of `gem build-dataset`, or the JSON of
            LANSG/ECG-Grounding.
        question: what is asked; if empty, the set's own question, or the model's default.
        files: for ECG-Grounding: beginning of a published ECG path -> local folder.
        fold: of PTB-XL.
        reference: for PTB-XL: `"grounded"` (measured features and labels in words) or `"report"`.

    Raises:
        EvaluationError: the path is none of these, or no record was found.
    """
    path = Path(path)
    if path.suffix in (".json", ".jsonl"):
        items, problems = _grounding_items(path, question, files or {})
    elif _is_ptbxl(path):
        items, problems = _ptbxl_items(path, question, fold, reference), []
    elif files_of_rows := _parquets(path, "messages"):
        items, problems = _dataset_items(files_of_rows, question), []
    else:
        raise EvaluationError(
            f"{path}: neither PTB-XL, nor a data set of gem-ecg (Parquet with `messages`), nor a JSON of ECG-Grounding."
        )
    if not items:
        raise EvaluationError(f"{path}: not one record to evaluate. {' '.join(problems[:3])}")
    return items, problems


def set_name(path: str | Path, fold: int = 9) -> tuple[str, str]:
    """
    Name and split of what `read_test_set` reads, as reports and cards state them: PTB-XL and the fold only where the data are
    PTB-XL's, whatever their folder is called; else the name of the file or folder, and "test".
    """
    path = Path(os.path.abspath(path))  # "." has a name, and a link keeps its own
    if _is_ptbxl(path):
        return "PTB-XL", f"fold {fold}"
    return path.name if path.is_dir() else path.stem, "test"


def _is_ptbxl(path: Path) -> bool:
    """Its own table lies in the folder, or its signals in Parquet files."""
    return (path / "ptbxl_database.csv").is_file() or bool(_parquets(path, "signal_uv"))


def _parquets(path: Path, column: str) -> list[Path]:
    """The Parquet files with a column; others, such as earlier answers, may lie beside them."""
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path] if path.suffix == ".parquet" else []
    return parquets_with(column, files)


def _grounding_items(path: Path, question: str, files: Mapping[str, str]) -> tuple[list[EvalItem], list[str]]:
    items, problems = [], []
    for record in import_ecg_grounding(str(path), files=files):
        if isinstance(record, Rejection):
            problems.append(f"{record.id}: {record.reason}")
            continue
        asked = next(m["content"] for m in record.messages if m["role"] == "user")
        answered = [m["content"] for m in record.messages if m["role"] == "assistant"]
        items.append(
            EvalItem(record.id, question or asked, ecg=record.first_ecg, reference=(answered or [record.report])[-1])
        )
    return items, problems


def _ptbxl_items(path: Path, question: str, fold: int, reference: str) -> list[EvalItem]:
    from recipes.sources.ptbxl import import_ptbxl

    if reference not in ("grounded", "report"):
        raise EvaluationError(f"reference is 'grounded' or 'report', got {reference!r}.")
    return [
        EvalItem(
            record.id,
            question,
            ecg=record.first_ecg,
            reference=record.report if reference == "report" else partial(_in_words, codes=dict(record.labels)),
        )
        for record in import_ptbxl(str(path))
        if record.fold == fold
    ]


def _in_words(record: EcgRecord, codes: Mapping[str, float]) -> str:
    from processing.ecg_features import extract_features
    from recipes.teachers.grounded_answer import grounded_answer

    return grounded_answer(extract_features(record), codes).full_text()


@dataclass(frozen=True)
class _RowSignal:
    """Row `row` of a data set's Parquet file."""

    path: str
    row: int

    def load(self) -> EcgRecord:
        import pyarrow.parquet as pq

        from recipes.dataset.schema import decode

        file, row = pq.ParquetFile(self.path), self.row
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if row < count:
                return decode(file.read_row_group(group).slice(row, 1).to_pylist()[0])
            row -= count
        raise EcgFormatError(f"{self.path}: no row {self.row}; the file has changed since it was listed.")

    def exists(self) -> bool:
        return Path(self.path).is_file()


def _dataset_items(files: Sequence[Path], question: str) -> list[EvalItem]:
    import pyarrow.parquet as pq

    items = []
    for file in files:
        for number, row in enumerate(pq.read_table(file, columns=["id", "messages"]).to_pylist()):
            turns = {turn["role"]: turn["content"] for turn in reversed(row["messages"])}
            items.append(
                EvalItem(
                    row["id"],
                    question or turns.get("user", ""),
                    ecg=_RowSignal(str(file), number),
                    reference=turns.get("assistant"),
                )
            )
    return items


__all__ = ["EvalItem", "read_bench", "read_test_set", "set_name"]
