# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A model's answers to a test set: batched, resumable record by record, split over the processes of `accelerate launch`."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from processing.errors_gem import GemError
from recipes.files import atomic_write, json_lines

from .answers import AnswerLog, read_rows, settings_beside
from .items import EvalItem

Progress = Callable[[int, int], None]


def generate_answers(
    model: str,
    items: Sequence[EvalItem],
    output: str | Path,
    *,
    modality: str = "both",
    batch_size: int = 8,
    max_new_tokens: int = 1024,
    trust_remote_code: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """
    Greedy answers as JSON Lines: `id`, `prompt`, `text`, `reference`; a record that cannot be read gets `error` instead of `text`.
    Started again, it goes on where it was stopped. Under `accelerate launch` each process answers its share into a file of its own,
    and the first one joins them.

    Args:
        model: folder or Hub id.
        output: the file.

    Returns:
        What was recovered from an interrupted run, in words.

    Raises:
        EvaluationError: `output` was begun with other settings.
    """
    from accelerate import PartialState

    # Shares differ in length: nobody gives up on the slowest within half a day.
    state, output = PartialState(timeout=timedelta(hours=12)), Path(output)
    alone = state.num_processes == 1
    part = output if alone else output.with_name(f"{output.name}.{state.process_index}-of-{state.num_processes}")
    settings = {"model": model, "modality": modality, "max_new_tokens": max_new_tokens}
    with state.main_process_first():
        log = AnswerLog(part, settings, settings_beside(output))
    with log:
        known = set(_rows_of_parts(output))
        todo = [i for i in list(items)[state.process_index :: state.num_processes] if i.id not in known]
        if todo:
            interpret = _pipeline(model, state.device, trust_remote_code)
            _answer(interpret, todo, log, modality, batch_size, max_new_tokens, progress)
    state.wait_for_everyone()
    if state.is_main_process:
        _join(output, [item.id for item in items])
    state.wait_for_everyone()
    return log.recovered


def _parts(output: Path) -> list[Path]:
    """The file, and the parts of this run or of interrupted ones with any number of processes."""
    return [path for path in (output, *sorted(output.parent.glob(f"{output.name}.*-of-*"))) if path.exists()]


def _rows_of_parts(output: Path) -> dict[str, Any]:
    """Id -> row. The half-written end of an interrupted part is passed over: its record is answered again."""
    return {str(row["id"]): row for path in _parts(output) for _, row in read_rows(path, [])}


def _pipeline(model: str, device: Any, trust_remote_code: bool) -> Any:
    import torch
    from transformers import pipeline

    from modeling_gem import GEM_TASK

    dtype = "auto" if torch.cuda.is_available() else torch.float32
    return pipeline(GEM_TASK, model=model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)


def _answer(
    interpret: Any,
    items: Sequence[EvalItem],
    log: AnswerLog,
    modality: str,
    batch_size: int,
    max_new_tokens: int,
    progress: Progress | None,
) -> None:
    source, done = iter(items), 0
    while batch := list(islice(source, batch_size)):
        chats, rows = [], []
        for item in batch:
            row: dict[str, Any] = {"id": item.id, "prompt": item.question or interpret.processor.default_question}
            try:
                chat = interpret.processor.build_conversation(item.model_input(modality))
                row["reference"] = _reference(item, interpret.processor.record(chat))
                chats.append(chat)
            except (GemError, OSError) as error:
                row["error"] = f"not answered: {error}"
            rows.append(row)
        # A finished chat gets no page beyond the one that it was built with.
        outputs = iter(
            interpret(chats, batch_size=len(chats), modality="signal", do_sample=False, max_new_tokens=max_new_tokens)
            if chats
            else ()
        )
        for row in rows:
            if "error" not in row:
                row["text"] = next(outputs)["generated_text"]
        log.append(rows)
        done += len(batch)
        if progress is not None:
            progress(done, len(items))


def _reference(item: EvalItem, record: Any) -> str | None:
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


__all__ = ["generate_answers"]
