# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""HDF5 files (CODE-15, SPH, MATLAB 7.3 and whatever users save) -> `RawEcg`."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from .ecg_raw import MAX_FILE_BYTES, RawEcg, ReadOptions, require, to_record, wrapped
from .ecg_readers_matlab import state_code15_unit
from .ecg_readers_tables import raw_from_arrays
from .ecg_record import EcgRecord
from .errors_gem import EcgFormatError

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_VARIABLES = 1000
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
    h5py = require("h5py", "hdf5", "HDF5")
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            arrays: dict[str, Any] = {}
            _collect(h5py, file, arrays, name, depth=0)
            raw = raw_from_arrays(arrays, options, name, "HDF5")
            return _known_hdf5_layout(raw, arrays, options)
    except Exception as error:
        raise wrapped(name, "HDF5", error) from error


def _collect(h5py: Any, group: Any, arrays: dict[str, Any], name: str, depth: int) -> None:
    """Data sets by their last name; attributes of a name that is nowhere a data set describe the file as well."""
    for key, value in group.attrs.items():
        _set_described(arrays, key, np.asarray(value))
    for key in group:
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise EcgFormatError(
                f"{name}: '{key}' links to another file, which is not followed; save the data itself."
            )
        item = group[key]
        if isinstance(item, h5py.Group) and depth < 4:
            _collect(h5py, item, arrays, name, depth + 1)
        if not isinstance(item, h5py.Dataset) or len(arrays) > _MAX_VARIABLES:
            continue
        if item.is_virtual or item.external:
            raise EcgFormatError(f"{name}: '{key}' keeps its data in another file; save the data itself.")
        if item.chunks and int(np.prod(item.chunks)) * item.dtype.itemsize > MAX_FILE_BYTES:
            raise EcgFormatError(f"{name}: '{key}' has chunks of more than {MAX_FILE_BYTES:,} bytes; that is no ECG.")
        for attribute, value in item.attrs.items():
            _set_described(arrays, attribute, np.asarray(value))
        if h5py.check_string_dtype(item.dtype) is not None:
            if item.size and item.size <= 4096:
                arrays[key] = np.asarray(item.asstr()[()], dtype=str)
        else:
            arrays[key] = item


def _set_described(arrays: dict[str, Any], key: str, value: np.ndarray) -> None:
    if value.dtype == object:
        value = value.astype(str)
    if value.dtype.kind in "iufSU" and 0 < value.size <= 64:
        arrays.setdefault(key, value)


def _known_hdf5_layout(raw: RawEcg, arrays: dict[str, Any], options: ReadOptions) -> RawEcg:
    dataset = (options.dataset or "").lower()
    # A lone float16 data set `ecg` of 12 rows is how SPH, and nobody else known, stores its records.
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
    h5py = require("h5py", "hdf5", "HDF5")
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


__all__ = ["is_hdf5", "read_code15_exam", "read_hdf5"]
