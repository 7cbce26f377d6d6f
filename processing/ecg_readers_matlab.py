# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""MATLAB and HDF5 files -> `RawEcg`: CinC `val`, CODE-15 `feats` and `tracings`, SPH, `signal`/`fs`/`leads` of users.

MATLAB versions 4 to 7 are read here and not by `scipy.io.loadmat`, because that one crashes the whole process on some
damaged files and inflates compressed variables without a bound. Format: "MAT-File Format", The MathWorks, R2019b. Version 7.3 is HDF5.
"""

import io
import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .ecg_assembly import to_record
from .ecg_raw import RawEcg, ReadOptions, check_inflated, check_size, most_inflated, wrapped
from .ecg_readers_arrays import LEAD_KEYS, MAX_DESCRIBING, MAX_DESCRIBING_BYTES, UNIT_KEYS, raw_from_arrays
from .ecg_record import EcgRecord
from .errors_gem import EcgFormatError
from .extras_gem import require

_MAT5_TEXT = b"MATLAB 5.0"
_MATRIX, _COMPRESSED = 14, 15
_NUMBER_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXT_TYPES = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCTURE, _TEXT = 1, 2, 4
_NUMBER_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MAT4_TYPES = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}
_MAX_ELEMENTS, _MAX_DEPTH = 10_000, 6

Arrays = dict[str, np.ndarray]


def is_mat(data: bytes) -> bool:
    """MATLAB 5-7 by its text, or MATLAB 4 by a header that fits."""
    return data.startswith(_MAT5_TEXT) or _mat4_header(data, 0) is not None


def read_mat(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """A MATLAB file with one ECG; structures are searched too, and cells of texts give lead names.

    CinC's `val` holds integers that need the gain of their header: keep the `.hea` beside the `.mat`. CODE-15 samples
    hold `feats` with `curr_sample_rate`; they state no unit, see `read_hdf5`.

    Raises:
        EcgFormatError: truncated, corrupt, inflating beyond the size limit, or without an array that is the ECG.
    """
    arrays = _Mat5(data, name).read() if data.startswith(_MAT5_TEXT) else _read_mat4(data, name)
    raw = raw_from_arrays(arrays, options, name, "MATLAB", len(data))
    if "feats" in arrays and "curr_sample_rate" in arrays:
        state_code15_unit(raw)
    if "val" in arrays and raw.sampling_rate is None and options.sampling_rate is None:
        raise EcgFormatError(
            f"{name}: 'val' holds raw counts without rate or gain; put the record's .hea beside it, or pass "
            "`sampling_rate` and `gain`."
        )
    return raw


def state_code15_unit(raw: RawEcg) -> None:
    """Takes CODE-15's numbers as mV and says so."""
    raw.units = "mV"
    raw.notes.append("CODE-15 layout: no unit in the file, taken as mV (PhysioNet Challenge 2025)")


def _mat4_header(data: bytes, position: int) -> tuple[str, int, int, bool, int] | None:
    """(type, rows, columns, complex, length of the name) of a MATLAB 4 matrix; `None` if this is none."""
    if len(data) < position + 24:
        return None
    kind, rows, columns, imaginary, length = struct.unpack_from("<5i", data, position)
    fits = 0 <= kind < 60 and kind % 10 == 0 and imaginary in (0, 1) and 1 < length <= 64 and min(rows, columns) >= 0
    if not fits or data[position + 19 + length : position + 20 + length] != b"\0":
        return None
    return _MAT4_TYPES[kind // 10], rows, columns, imaginary == 1, length


def _read_mat4(data: bytes, name: str) -> Arrays:
    arrays: Arrays = {}
    position = 0
    while (found := _mat4_header(data, position)) is not None and len(arrays) < _MAX_ELEMENTS:
        kind, rows, columns, imaginary, length = found
        key = data[position + 20 : position + 19 + length].decode("latin-1")
        dtype = np.dtype(f"<{kind}")
        start, size = position + 20 + length, rows * columns * dtype.itemsize
        if size > len(data) - start:
            raise EcgFormatError(
                f"{name}: truncated: '{key[:40]}' has {size:,} bytes, {len(data) - start:,} are there. Copy it again."
            )
        arrays[key] = np.frombuffer(data[start : start + size], dtype).reshape((rows, columns), order="F")
        position = start + size * (1 + imaginary)
    return arrays


@dataclass
class _Element:
    kind: int
    body: memoryview


class _Mat5:
    """One MATLAB 5-7 file: variables, and the fields of structures, by their names."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.data = memoryview(data)
        self.order = ">" if data[126:128] == b"MI" else "<"
        self.inflated = 0
        self.unpacked = 0
        self.elements = 0

    def read(self) -> Arrays:
        arrays: Arrays = {}
        for element in self._elements(self.data[128:]):
            if element.kind == _COMPRESSED:
                for inner in self._elements(self._inflate(element.body)):
                    self._collect(inner, arrays, "", 0)
            else:
                self._collect(element, arrays, "", 0)
        return arrays

    def _broken(self, what: str) -> EcgFormatError:
        return EcgFormatError(f"{self.name}: the MATLAB file is truncated or corrupt ({what}); save it again.")

    def _elements(self, body: memoryview) -> Iterator[_Element]:
        """The tagged elements of `body`, each one checked to lie within it."""
        position = 0
        while position + 8 <= len(body):
            kind, size = struct.unpack_from(f"{self.order}2I", body, position)
            start = position + 8
            # A short element keeps its size in the upper half of the type and its data in the same eight bytes.
            if kind >> 16:
                kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
            self.elements += 1
            if size > len(body) - start or self.elements > _MAX_ELEMENTS:
                raise self._broken(f"an element of {size:,} bytes where {len(body) - start:,} are left")
            yield _Element(kind, body[start : start + size])
            short = start == position + 4
            position += 8 if short else 8 + size + (0 if kind == _COMPRESSED else -size % 8)

    def _inflate(self, body: memoryview) -> memoryview:
        inflater = zlib.decompressobj()
        try:
            inflated = inflater.decompress(body, most_inflated(len(self.data)) - self.inflated + 1)
        except zlib.error as error:
            raise self._broken(str(error)) from error
        self.inflated += len(inflated)
        check_inflated(self.inflated, len(self.data), self.name)
        if not inflater.eof:
            raise self._broken("compressed data end early")
        return memoryview(inflated)

    def _collect(self, element: _Element, arrays: Arrays, key: str, depth: int) -> None:
        if element.kind != _MATRIX or len(element.body) == 0:
            return
        if depth > _MAX_DEPTH:
            raise self._broken(f"nested deeper than {_MAX_DEPTH}")
        parts = self._elements(element.body)
        flags, shape, key = self._head(parts, key)
        content = list(parts)
        kind = flags & 0xFF
        if kind in _NUMBER_CLASSES and content:
            arrays.setdefault(key, self._numbers(content[0], kind, shape))
        elif kind == _TEXT and content:
            arrays.setdefault(key, self._text(content[0], shape))
        elif kind == _CELL:
            self._cell(content, arrays, key, depth)
        elif kind == _STRUCTURE and len(content) >= 2:
            self._structure(content, arrays, depth)

    def _head(self, parts: Iterator[_Element], key: str) -> tuple[int, tuple[int, ...], str]:
        """Flags, shape and name (a cell's or field's own if it has none) that every matrix begins with."""
        head = [part for _, part in zip(range(3), parts, strict=False)]
        if len(head) < 3 or len(head[0].body) < 8 or len(head[1].body) % 4 or len(head[1].body) > 128:
            raise self._broken("a variable without flags, shape and name")
        flags = struct.unpack_from(f"{self.order}I", head[0].body)[0]
        shape = struct.unpack(f"{self.order}{len(head[1].body) // 4}i", head[1].body)
        return flags, shape, bytes(head[2].body).decode("latin-1") or key

    def _numbers(self, element: _Element, kind: int, shape: tuple[int, ...]) -> np.ndarray:
        dtype = _NUMBER_TYPES.get(element.kind)
        if dtype is None or len(element.body) % np.dtype(dtype).itemsize:
            raise self._broken(f"numbers of type {element.kind}")
        values = np.frombuffer(element.body, f"{self.order}{dtype}")
        if 0 in shape:
            return np.empty(0)
        check_size(shape, self.name)
        if np.prod(shape, dtype=np.int64) != values.size:
            raise self._broken(f"{values.size:,} values for the shape {shape}")
        # Doubles that are whole numbers are stored in fewer bytes.
        self.unpacked += values.size * np.dtype(_NUMBER_CLASSES[kind]).itemsize
        check_inflated(self.unpacked, len(self.data), self.name)
        return values.astype(_NUMBER_CLASSES[kind]).reshape(shape, order="F")

    def _text(self, element: _Element, shape: tuple[int, ...]) -> np.ndarray:
        """One text, or one per row of a matrix of characters."""
        encoding = _TEXT_TYPES.get(element.kind, "latin-1")
        if encoding in ("utf-16", "utf-32"):
            encoding += "-be" if self.order == ">" else "-le"
        text = bytes(element.body).decode(encoding, errors="replace")
        if len(shape) == 2 and 1 < shape[0] <= _MAX_ELEMENTS and shape[0] * shape[1] == len(text):
            return np.array([text[row :: shape[0]].strip() for row in range(shape[0])])
        return np.array(text)

    def _cell(self, content: list[_Element], arrays: Arrays, key: str, depth: int) -> None:
        """A cell of texts is one array of them; other cells add what they hold under numbered names."""
        inside: Arrays = {}
        for index, element in enumerate(content):
            self._collect(element, inside, f"{key}{{{index + 1}}}", depth + 1)
        if inside and all(array.dtype.kind == "U" and array.ndim == 0 for array in inside.values()):
            arrays.setdefault(key, np.array([str(array) for array in inside.values()]))
        else:
            for name, array in inside.items():
                arrays.setdefault(name, array)

    def _structure(self, content: list[_Element], arrays: Arrays, depth: int) -> None:
        if len(content[0].body) != 4:
            raise self._broken("a structure without a length of names")
        width = struct.unpack(f"{self.order}i", content[0].body)[0]
        if not 0 < width <= 256:
            raise self._broken(f"field names of {width} characters")
        packed = bytes(content[1].body)
        names = [packed[at : at + width].split(b"\0")[0].decode("latin-1") for at in range(0, len(packed), width)]
        for name, element in zip(names, content[2:], strict=False):
            self._collect(element, arrays, name, depth + 1)


_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_VARIABLES, _MAX_LINKS, _MAX_GROUP_DEPTH = 1000, 10_000, 4
_MAX_ATTRIBUTE_VALUES = 64
SPH_RATE, CODE15_RATE = 500.0, 400.0


def is_hdf5(data: bytes) -> bool:
    """HDF5, or MATLAB 7.3, which is HDF5 after 512 bytes."""
    return data.startswith(_HDF5_MAGIC) or data[512:520] == _HDF5_MAGIC


def read_hdf5(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """An HDF5 file: SPH (`ecg`, float16, 500 Hz), CODE-15 (`tracings` of many exams; choose with `index`), or others.

    CODE-15: 400 Hz, lead order DI, DII, DIII, AVR, AVL, AVF, V1-V6; exams shorter than 4096 samples are padded with
    zeros at both ends, which are cut off here. Its documentation and its users disagree on the unit; mV is assumed, as
    the PhysioNet Challenge 2025 does.

    Raises:
        EcgFormatError: corrupt, several records and no `index`, or the file points to data in other files.
        MissingDependencyError: h5py is not installed (`gem-ecg[hdf5]`).
    """
    h5py = require("h5py", "HDF5")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            arrays = _Hdf5(h5py, name, len(data)).read(file)
            raw = raw_from_arrays(arrays, options, name, "HDF5", len(data))
            return _known_hdf5_layout(raw, arrays, options)
    except Exception as error:
        raise wrapped(name, "HDF5", error) from error


class _Hdf5:
    """What one HDF5 file of `size` bytes holds: each group once, however many links lead to it."""

    def __init__(self, h5py: Any, name: str, size: int) -> None:
        self.h5py, self.name, self.size = h5py, name, size
        self.arrays: dict[str, Any] = {}
        self.groups: set[int] = set()
        self.links = 0

    def read(self, file: Any) -> dict[str, Any]:
        """Data sets by their last name; attributes of a name that is nowhere a data set describe the file as well."""
        self._collect(file, depth=0)
        return self.arrays

    def _collect(self, group: Any, depth: int) -> None:
        address = self.h5py.h5o.get_info(group.id).addr
        if address in self.groups:
            return
        self.groups.add(address)
        self._describe(group)
        for key in group:
            self.links += 1
            if self.links > _MAX_LINKS:
                raise EcgFormatError(
                    f"{self.name}: more than {_MAX_LINKS:,} groups and data sets; save the ECG alone."
                )
            if isinstance(group.get(key, getlink=True), self.h5py.ExternalLink):
                raise EcgFormatError(
                    f"{self.name}: '{key}' links to another file, which is not followed; save the data itself."
                )
            item = group[key]
            if isinstance(item, self.h5py.Group) and depth < _MAX_GROUP_DEPTH:
                self._collect(item, depth + 1)
            if isinstance(item, self.h5py.Dataset) and len(self.arrays) <= _MAX_VARIABLES:
                self._add(key, item)

    def _add(self, key: str, item: Any) -> None:
        if item.is_virtual or item.external:
            raise EcgFormatError(f"{self.name}: '{key}' keeps its data in another file; save the data itself.")
        if item.chunks:  # a chunk is inflated as a whole, however little of it is asked for
            check_inflated(math.prod(item.chunks) * item.dtype.itemsize, self.size, self.name)
        self._describe(item)
        if key in (*LEAD_KEYS, *UNIT_KEYS) and self.h5py.check_string_dtype(item.dtype) is not None:
            if 0 < item.size <= MAX_DESCRIBING and item.dtype.itemsize <= MAX_DESCRIBING_BYTES:
                self.arrays[key] = np.asarray(item.asstr()[()], dtype=str)
        else:
            self.arrays[key] = item

    def _describe(self, item: Any) -> None:
        for key in itertools.islice(item.attrs, _MAX_VARIABLES):
            attribute = item.attrs.get_id(key)
            if attribute.dtype.itemsize > MAX_DESCRIBING_BYTES or math.prod(attribute.shape) > _MAX_ATTRIBUTE_VALUES:
                continue
            value = np.asarray(item.attrs[key])
            if value.dtype == object:
                value = value.astype(str)
            if value.dtype.kind in "iufSU" and value.size:
                self.arrays.setdefault(key, value)


def _known_hdf5_layout(raw: RawEcg, arrays: dict[str, Any], options: ReadOptions) -> RawEcg:
    dataset = (options.dataset or "").lower()
    # A lone float16 data set `ecg` of 12 rows is the form of SPH's records, and of no other known data set.
    lone = list(arrays) == ["ecg"] and raw.signal.dtype == np.float16 and raw.signal.shape[0] == 12
    if raw.sampling_rate is None and (dataset == "sph" or (lone and options.sampling_rate is None)):
        raw.sampling_rate, raw.units = SPH_RATE, "mV"
        raw.notes.append("SPH layout: 500 Hz and mV by the data set's description, the file states neither")
    if "tracings" in arrays and ("exam_id" in arrays or dataset == "code15") and raw.signal.ndim == 2:
        raw.sampling_rate = raw.sampling_rate or CODE15_RATE
        state_code15_unit(raw)
        _cut_zero_padding(raw)
    return raw


def read_code15_exam(path: str, row: int, record_id: str) -> EcgRecord:
    """Row `row` of `tracings` in a part file of CODE-15, without reading the rest: a part is several GB.

    Raises:
        EcgFormatError: corrupt, or no part file of CODE-15.
        MissingDependencyError: h5py is not installed (`gem-ecg[hdf5]`).
    """
    h5py = require("h5py", "HDF5")
    name = Path(path).name
    try:
        with h5py.File(path, "r") as file:
            raw = RawEcg(np.asarray(file["tracings"][row]), sampling_rate=CODE15_RATE)
    except Exception as error:
        raise wrapped(name, "a part file of CODE-15", error) from error
    state_code15_unit(raw)
    _cut_zero_padding(raw)
    return to_record(raw, ReadOptions(record_id=record_id), name, path)


def _cut_zero_padding(raw: RawEcg) -> None:
    """Cuts the samples at both ends that are exactly zero in every lead of `(samples, leads)`."""
    present = np.flatnonzero(raw.signal.any(axis=1))
    total = len(raw.signal)
    if len(present) and (present[0] > 0 or present[-1] < total - 1):
        raw.signal = raw.signal[present[0] : present[-1] + 1]
        raw.notes.append(f"cut off zero padding: {present[0]} samples before, {total - 1 - present[-1]} behind")


__all__ = ["is_hdf5", "is_mat", "read_code15_exam", "read_hdf5", "read_mat", "state_code15_unit"]
