# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Arrays in files without a medical format, NPY and NPZ -> `RawEcg`; the habits that MAT and HDF5 files share with them."""

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .ecg_raw import RawEcg, ReadOptions, check_inflated, check_size, chosen_record, wrapped
from .errors_gem import EcgFormatError

# What publishers and users call the parts of one record in NPZ, MAT and HDF5 files.
SIGNAL_KEYS = ("signal", "signals", "ecg", "val", "data", "feats", "tracing", "tracings", "p_signal", "x", "array")
RATE_KEYS = (
    "sampling_rate",
    "curr_sample_rate",
    "sample_rate",
    "fs",
    "sfreq",
    "frequency",
    "freq",
    "Fs",
    "samplerate",
)
LEAD_KEYS = ("leads", "lead_names", "lead_name", "sig_name", "channels", "channel_names")
UNIT_KEYS = ("unit", "units")
GAIN_KEYS = ("gain", "adc_gain")
_MAX_MEMBERS = 1000
# What describes a signal is short: so many values, of so many bytes each.
MAX_DESCRIBING, MAX_DESCRIBING_BYTES = 4096, 4096


def read_npy(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """One `.npy` array `(leads, samples)`; pickled objects are refused.

    Raises:
        EcgFormatError: the header and the size of the file disagree, or the array holds no numbers.
    """
    return RawEcg(_npy_array(io.BytesIO(data), len(data), name))


def read_npz(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """An `.npz` archive with a signal and, if it has them, `sampling_rate`, `leads`, `unit`.

    Raises:
        EcgFormatError: no array or several could be the signal; members inflate beyond the size limit.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if len(members) > _MAX_MEMBERS:
                raise EcgFormatError(f"{name}: {len(members):,} arrays in one file; save the ECG alone.")
            check_inflated(sum(info.file_size for info in members), len(data), name)
            for info in members:
                with archive.open(info) as member:
                    arrays[info.filename.removesuffix(".npy")] = _npy_array(member, info.file_size, name)
    except Exception as error:
        raise wrapped(name, "NPZ", error) from error
    return raw_from_arrays(arrays, options, name, "NPZ", len(data))


def _npy_array(stream: Any, available: int, name: str) -> np.ndarray:
    """The array after an NPY header, after its declared size was compared with the bytes of the file."""
    npy = np.lib.format
    try:
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
    except Exception as error:
        raise wrapped(name, "NPY", error) from error
    if dtype.hasobject:
        raise EcgFormatError(f"{name}: the array holds pickled Python objects, which are never loaded. Save numbers.")
    if shape:
        check_size(shape, name)
    count = int(np.prod(shape, dtype=np.int64)) if shape else 1
    if count * dtype.itemsize > available:
        raise EcgFormatError(
            f"{name}: truncated: the header declares shape {shape} of {dtype} = {count * dtype.itemsize:,} bytes, "
            f"there are {available:,}. Save it again."
        )
    array = np.frombuffer(stream.read(count * dtype.itemsize), dtype=dtype)
    if array.size < count:
        raise EcgFormatError(f"{name}: truncated: {array.size} of {count} values are there. Save it again.")
    return array[:count].reshape(shape, order="F" if fortran else "C")


def raw_from_arrays(arrays: Mapping[str, Any], options: ReadOptions, name: str, what: str, packed: int) -> RawEcg:
    """Finds signal, rate, names and unit among named arrays (NPZ, MAT and HDF5 files use the same names).

    Args:
        arrays: numpy arrays or h5py data sets. Of the latter only the signal (one record, if there are several) and
            its description are read.
        options: what the user stated.
        name: of the file, for messages.
        what: kind of the file, for messages.
        packed: size of the file in bytes.

    Raises:
        EcgFormatError: none or several of the arrays could be the signal, or it is out of proportion to the file.
    """
    signal = arrays[_signal_key(arrays, name, what)]
    several = len(signal.shape) == 3
    if several:
        _check_bytes(signal.shape[1:], signal.dtype, packed, name)
        signal = signal[chosen_record(signal.shape, options.index, name)]
    else:
        _check_bytes(signal.shape, signal.dtype, packed, name)
        signal = signal[()]
    raw = RawEcg(signal, is_chosen=several)
    rate = _described(arrays, RATE_KEYS, "iuf")
    if rate is not None and rate.size == 1:
        raw.sampling_rate = float(rate.ravel()[0])
    leads = _described(arrays, LEAD_KEYS, "SU")
    if leads is not None:
        raw.leads = [_text(lead) for lead in leads.ravel()]
    unit = _described(arrays, UNIT_KEYS, "SU")
    if unit is not None:
        raw.units = [_text(value) for value in unit.ravel()] if unit.size > 1 else _text(unit.ravel()[0])
    gain = _described(arrays, GAIN_KEYS, "iuf")
    if gain is not None:
        raw.gain = gain.ravel()
    return raw


def _check_bytes(shape: Sequence[int], dtype: np.dtype, packed: int, name: str) -> None:
    check_size(shape, name)
    # On its way to mV every value takes four bytes, or eight.
    check_inflated(math.prod(shape) * max(dtype.itemsize, 4), packed, name)


def _signal_key(arrays: Mapping[str, Any], name: str, what: str) -> str:
    numeric = {key: array for key, array in arrays.items() if array.dtype.kind in "iuf" and array.size > 1}
    named = [key for key in numeric if key.lower() in SIGNAL_KEYS]
    wide = [key for key, array in numeric.items() if array.ndim >= 2 and max(array.shape) > 64]
    candidates = named or wide or [key for key, array in numeric.items() if array.size > 64]
    if len(candidates) != 1:
        shapes = {key: array.shape for key, array in list(arrays.items())[:20]}
        which = f"each of the arrays {candidates}" if candidates else "no array"
        raise EcgFormatError(
            f"{name}: {which} of this {what} file could be the ECG; it holds {shapes}. Save one "
            "(leads, samples) array as 'signal'."
        )
    return candidates[0]


def _described(arrays: Mapping[str, Any], keys: tuple[str, ...], kinds: str) -> np.ndarray | None:
    """The small array under the first of `keys` that is there, if its type fits."""
    for key in keys:
        array = arrays.get(key)
        if array is None or array.dtype.kind not in kinds or array.dtype.itemsize > MAX_DESCRIBING_BYTES:
            continue
        if 0 < array.size <= MAX_DESCRIBING:
            return np.asarray(array[()])
    return None


def _text(value: Any) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


__all__ = [
    "GAIN_KEYS",
    "LEAD_KEYS",
    "MAX_DESCRIBING",
    "MAX_DESCRIBING_BYTES",
    "RATE_KEYS",
    "UNIT_KEYS",
    "raw_from_arrays",
    "read_npy",
    "read_npz",
]
