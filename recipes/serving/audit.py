# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The audit log: a JSON line per answer with its model and verdicts, without names, signals or texts."""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from processing.ecg_record import EcgRecord
from processing.errors_gem import GemError

from .provenance import Provenance

log = logging.getLogger(__name__)


class AuditLog:
    """A JSON Lines file with a line for each answer, without names and signals.

    Args:
        path: the file to add to; `None` for no log.

    Raises:
        GemError: the file cannot be written.
    """

    def __init__(self, path: Path | None, provenance: Provenance) -> None:
        self.path = path
        self._versions = {key: value for key, value in provenance.to_dict().items() if key != "notice"}
        self._lock = threading.Lock()
        try:
            # A line is one `write` to the end of the file, so that several servers may share it.
            self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise GemError(
                f"{path}: the audit log cannot be written ({error.strerror}); choose another file."
            ) from error

    def note(
        self, request: str, route: str, status: int, ecgs: Iterable[str], grounding: str, verdicts: Mapping[str, int]
    ) -> None:
        """Adds a line for one answer.

        Args:
            request: id of the request, which the response has in `x-request-id`.
            route: path of the request.
            status: HTTP status of the response.
            ecgs: `record_hash` of every ECG of the request.
            grounding: how the answer was checked.
            verdicts: verdict -> number of claims.
        """
        if self._file is None:
            return
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request": request,
            "route": route,
            "status": status,
            "ecgs": list(ecgs),
            **self._versions,
            "grounding": grounding,
            "verdicts": dict(verdicts),
        }
        try:
            with self._lock:
                os.write(self._file, json.dumps(line).encode() + b"\n")
        except OSError as error:
            log.error("the audit log cannot be written (%s): an answer is not in it", error.strerror)

    def close(self) -> None:
        """Closes the log; later answers are not noted."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def record_hash(ecg: EcgRecord | Image.Image) -> str:
    """16 digits that are the same for the same samples, rate and leads, or for the same pixels."""
    if isinstance(ecg, Image.Image):
        content, shape = ecg.tobytes(), f"{ecg.size}"
    else:
        content, shape = ecg.signal.tobytes(), f"{ecg.leads} {ecg.sampling_rate}"
    return hashlib.sha256(shape.encode() + content).hexdigest()[:16]


__all__ = ["AuditLog", "record_hash"]
