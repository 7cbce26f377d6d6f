# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Messages between processes with requests, records and pictures: JSON and plain samples, nothing executable.

Pickles are not used: a malicious file that controls the reading process could use one to control the caller.
"""

import json
import struct
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
from PIL import Image

from processing.ecg_lead_evidence import LeadEvidence
from processing.ecg_photo import PAGE_MARK
from processing.ecg_record import EcgRecord

_LENGTH = struct.Struct("<Q")
_PLAIN = ("leads", "sampling_rate", "record_id", "source", "report", "history", "derived_leads")


# A message in two parts, which are sent one after another: no copy of the samples is made.
Message = tuple[bytes, bytes | memoryview]


def packed(head: dict[str, Any], body: bytes | memoryview = b"") -> Message:
    """A message: `head` as JSON, and bytes. Arrays and numbers of NumPy in `head` become lists and numbers."""
    text = json.dumps(head, default=lambda value: value.tolist()).encode()
    return _LENGTH.pack(len(text)) + text, body


def unpacked(message: bytes | bytearray) -> tuple[dict[str, Any], memoryview]:
    """`head` and body of a message.

    Raises:
        ValueError: it is cut off or no message.
    """
    if len(message) < _LENGTH.size:
        raise ValueError("a message without a length")
    end = _LENGTH.size + _LENGTH.unpack_from(message)[0]
    if len(message) < end:
        raise ValueError("a message that is cut off")
    return json.loads(bytes(message[_LENGTH.size : end])), memoryview(message)[end:]


def packed_record(record: EcgRecord, **head: Any) -> Message:
    """A message of a record, with more entries for its head."""
    state: dict[str, Any] = {name: getattr(record, name) for name in _PLAIN}
    state["shape"] = record.signal.shape
    state["start_time"] = record.start_time.isoformat() if record.start_time else None
    state["metadata"], state["labels"] = dict(record.metadata), dict(record.labels)
    state["evidence"] = {lead: asdict(evidence) for lead, evidence in record.evidence.items()}
    return packed({"record": state, **head}, record.signal.astype("<f4", copy=False).data.cast("B"))


def unpacked_record(state: dict[str, Any], body: memoryview) -> EcgRecord:
    """The record of a message's head (its entry `record`) and body.

    Raises:
        ValueError: the samples are not those of the shape.
    """
    known = {name: state[name] for name in ("metadata", "labels", *_PLAIN)}
    for name in ("leads", "history", "derived_leads"):
        known[name] = tuple(known[name])
    signal = np.empty(state["shape"], np.float32)
    signal[...] = np.frombuffer(body, "<f4").reshape(signal.shape)
    signal.setflags(write=False)  # a record keeps a read-only array without copying it
    start = state["start_time"]
    return EcgRecord(
        signal=signal,
        start_time=datetime.fromisoformat(start) if start else None,
        evidence={lead: LeadEvidence(**evidence) for lead, evidence in state["evidence"].items()},
        **known,
    )


def packed_picture(picture: Image.Image, **head: Any) -> Message:
    """A message of an RGB picture: its pixels and whether it was judged to show an ECG page, none of its other marks."""
    state = {"size": picture.size, PAGE_MARK: picture.info.get(PAGE_MARK) is True}
    return packed({"picture": state, **head}, picture.tobytes())


def unpacked_picture(state: dict[str, Any], body: memoryview) -> Image.Image:
    """The picture of a message's head (its entry `picture`) and body.

    Raises:
        ValueError: the pixels are not those of the size.
    """
    width, height = state["size"]
    picture = Image.frombytes("RGB", (int(width), int(height)), body)
    if state[PAGE_MARK] is True:
        picture.info[PAGE_MARK] = True
    return picture


__all__ = ["Message", "packed", "packed_picture", "packed_record", "unpacked", "unpacked_picture", "unpacked_record"]
