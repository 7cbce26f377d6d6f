# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`load_untrusted`: `load_ecg` in a separate process with limits of memory and time."""

import builtins
import inspect
import os
import warnings
from pathlib import Path
from typing import Any

from PIL import Image

from processing import errors_gem
from processing.ecg_plausibility import EcgPlausibilityWarning
from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError, GemError

from .budget import ReadBudget
from .messages import packed, unpacked, unpacked_picture, unpacked_record
from .processes import run, warm_up

_LOAD_ECG = inspect.signature(load_ecg)


def load_untrusted(
    source: str | os.PathLike[str] | bytes,
    *,
    budget: ReadBudget | None = None,
    max_rate: float | None = None,
    max_values: int | None = None,
    **options: Any,
) -> EcgRecord:
    """As `load_ecg`, in a separate process that is ended if it takes more than `budget`.

    For files of unknown origin. Record, history and warnings are those of `load_ecg`; a file that crashes a library, fills the
    memory or never ends raises an error. Threads may read at the same time. Each reading has its own process, so callers should
    bound the number of simultaneous readings.

    Args:
        source: a path (WFDB records too), or the bytes of a file.
        budget: default: `ReadBudget()`.
        max_rate: Hz; a record of a higher sampling rate is resampled to it, and says so in its `history`.
        max_values: largest number of leads times samples at `max_rate`.
        options: keywords of `load_ecg`.

    Raises:
        ReadBudgetError: reading took more than it may, or its process crashed; the message says what was exceeded.
        GemError: see `load_ecg`; or the record has more than `max_values`.

    Example:
        ```python
        >>> from processing.untrusted.reading import load_untrusted
        >>> load_untrusted("processing/samples/normal.hea", max_rate=250).sampling_rate
        250.0

        ```
    """
    _LOAD_ECG.bind(source, **options)  # a wrong keyword is the caller's error
    default = options.get("record_id") or "ECG bytes"
    request = {"kind": "record", "options": options, "max_rate": max_rate, "max_values": max_values}
    return _read(source, default, request, budget or ReadBudget())


def load_untrusted_picture(
    source: str | os.PathLike[str] | bytes,
    index: int | None = None,
    *,
    must_show_ecg: bool = False,
    max_side: int | None = None,
    budget: ReadBudget | None = None,
) -> Image.Image:
    """As `load_page_picture`, in a separate process like `load_untrusted`.

    Args:
        source: a path, or the bytes of a file.
        index: the page of a PDF or TIFF of several, from 0.
        must_show_ecg: refuse pictures that do not show an ECG page, like `check_ecg_page`.
        max_side: longest side in pixels; a larger picture is shrunk.
        budget: default: `ReadBudget()`.

    Raises:
        ReadBudgetError: see `load_untrusted`.
        GemError: see `load_page_picture` and `check_ecg_page`.
    """
    request = {"kind": "picture", "index": index, "must_show_ecg": must_show_ecg, "max_side": max_side}
    return _read(source, "picture bytes", request, budget or ReadBudget())


def _read(source: str | os.PathLike[str] | bytes, default: str, request: dict[str, Any], budget: ReadBudget) -> Any:
    of_bytes = isinstance(source, (bytes, bytearray, memoryview))
    name = default if of_bytes else Path(source).name  # type: ignore[arg-type]
    path = None if of_bytes else os.fspath(source)  # type: ignore[arg-type]
    head = {**request, "source": path, "name": name, "folder": os.getcwd()}
    ending = run(b"".join(packed(head, source if of_bytes else b"")), budget, name)  # type: ignore[arg-type]
    if ending.code < 0:
        raise budget.ended_by(-ending.code, name)
    try:
        said, body = unpacked(ending.reply)
        if "error" in said:
            raise _error(said["error"], said["message"])
        found = unpacked_record(said["record"], body) if "record" in said else unpacked_picture(said["picture"], body)
    except GemError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise budget.ended_early(f"{name}: the process that read it ended without an answer") from error
    for category, message in said["warnings"]:
        warnings.warn(message, _category(category), stacklevel=3)
    return found


def _error(name: str, message: str) -> GemError:
    kind: type[GemError] = getattr(errors_gem, name) if name in errors_gem.__all__ else EcgFormatError
    return kind(message)


def _category(name: str) -> type[Warning]:
    if name == EcgPlausibilityWarning.__name__:
        return EcgPlausibilityWarning
    known = getattr(builtins, name, None)
    return known if isinstance(known, type) and issubclass(known, Warning) else UserWarning


__all__ = ["ReadBudget", "load_untrusted", "load_untrusted_picture", "warm_up"]
