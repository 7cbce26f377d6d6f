# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The reading process: one request in, one record, picture or error out."""

import importlib
import os
import warnings
from typing import Any

from processing.ecg_photo import check_ecg_page, load_page_picture
from processing.ecg_raw import is_out_of_memory
from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError, GemError, ReadBudgetError

from .budget import ReadBudget
from .messages import Message, packed, packed_picture, packed_record, unpacked

# What readers load at first use. Loaded once before all readings, it costs none of them time or memory.
_LIBRARIES = (
    "cv2", "defusedxml.ElementTree", "ecgdatakit", "edfio", "h5py", "pandas", "pillow_heif", "pydicom", "pypdfium2", "scipy.io",
    "scipy.ndimage", "scipy.signal", "soundfile", "wfdb",
)  # fmt: skip
_MAX_WARNINGS = 20


def load_libraries() -> None:
    """Loads what readers need, as far as it is installed."""
    for name in _LIBRARIES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError):  # soundfile raises the latter where its C library is missing
            continue


def answer(request: bytes | bytearray, budget: ReadBudget) -> Message:
    """The reply to a request of `reading.py`: `record` or `picture` with its `warnings`, or `error` and its class."""
    head, body = unpacked(request)
    name = head["name"]
    try:
        os.chdir(head["folder"])
        with warnings.catch_warnings(record=True) as caught:
            found = _picture(head, body) if head["kind"] == "picture" else _record(head, body)
        said = [[warning.category.__name__, str(warning.message)] for warning in caught[:_MAX_WARNINGS]]
        return (
            packed_record(found, warnings=said)
            if isinstance(found, EcgRecord)
            else packed_picture(found, warnings=said)
        )
    except Exception as error:
        failed: Exception = error
        if isinstance(error, ReadBudgetError) or is_out_of_memory(error):
            failed = budget.too_much_memory(name)
        elif not isinstance(error, GemError):
            failed = EcgFormatError(f"{name}: cannot be read ({type(error).__name__}); export it again.")
        return packed({"error": type(failed).__name__, "message": str(failed)})


def _record(head: dict[str, Any], body: memoryview) -> EcgRecord:
    record = load_ecg(bytes(body) if head["source"] is None else head["source"], **head["options"])
    return _bounded(record, head["max_rate"], head["max_values"])


def _bounded(record: EcgRecord, max_rate: float | None, max_values: int | None) -> EcgRecord:
    """`record` at `max_rate` Hz at most.

    Raises:
        EcgFormatError: it has more than `max_values` values even so.
    """
    slower = record.sampling_rate / max_rate if max_rate else 1.0
    values = record.signal.size / max(slower, 1.0)
    if max_values is not None and values > max_values:
        raise EcgFormatError(
            f"{record.name}: {len(record.leads)} leads of {record.duration:.0f} s are {values:,.0f} values, {max_values:,} at "
            "most are taken here; cut the recording."
        )
    return record.resample(max_rate) if max_rate and slower > 1 else record


def _picture(head: dict[str, Any], body: memoryview) -> Any:
    picture = load_page_picture(bytes(body) if head["source"] is None else head["source"], head["index"])
    if head["must_show_ecg"]:
        picture = check_ecg_page(picture, head["name"])
    if head["max_side"]:
        picture.thumbnail((head["max_side"], head["max_side"]))
    return picture


__all__ = ["answer", "load_libraries"]
