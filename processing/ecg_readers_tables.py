# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Arrays in files without a medical format: CSV, TSV, NPY, NPZ -> `RawEcg`."""

import csv
import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from .ecg_raw import LEAD_AXIS_SIZES, RawEcg, ReadOptions, check_size, chosen_record, wrapped
from .ecg_record import canonical_lead
from .ecg_units import mv_per_unit
from .errors_gem import EcgFormatError

_MAX_HEADER_CHARS = 65_536
_TIME_COLUMN = re.compile(r"^(time|t|timestamp|seconds?|sample|samples|index|idx|ms|s|#|unnamed.*)?$", re.IGNORECASE)
# A column head such as "II [mV]", "V1 (uV)", "aVF_mV".
_UNIT_IN_HEAD = re.compile(r"^(?P<lead>.*?)[\s_]*[\[(_ ](?P<unit>[munµμ]?v)[\])]?$", re.IGNORECASE)
_TIME_UNIT = re.compile(r"[\[(_ ](?P<unit>m?s|msec|sec|seconds)[\])]?$", re.IGNORECASE)

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
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    continue
                with archive.open(info) as member:
                    arrays[info.filename.removesuffix(".npy")] = _npy_array(member, info.file_size, name)
    except Exception as error:
        raise wrapped(name, "NPZ", error) from error
    return raw_from_arrays(arrays, options, name, "NPZ")


def _npy_array(stream: Any, available: int, name: str) -> np.ndarray:
    """The array behind an NPY header, after its declared size was compared with the bytes that are there."""
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


def raw_from_arrays(arrays: Mapping[str, Any], options: ReadOptions, name: str, what: str) -> RawEcg:
    """Picks signal, rate, names and unit out of named arrays (NPZ, MAT and HDF5 share these habits).

    Args:
        arrays: numpy arrays, or h5py data sets of which only the signal (of several records: the one asked for) and
            what describes it are read.

    Raises:
        EcgFormatError: no array or several could be the signal.
    """
    signal = arrays[_signal_key(arrays, name, what)]
    if len(signal.shape) == 3:
        check_size(signal.shape[1:], name)
        signal = signal[chosen_record(signal.shape, options.index, name)]
    else:
        check_size(signal.shape, name)
        signal = signal[()]
    raw = RawEcg(signal)
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
        if array is not None and array.dtype.kind in kinds and 0 < array.size <= 4096:
            return np.asarray(array[()])
    return None


def _text(value: Any) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def read_table(data: bytes, options: ReadOptions, name: str) -> RawEcg:
    """CSV or TSV (comma, semicolon, tab or blank; decimal comma with semicolons): one column per lead.

    A head line gives lead names and units (`II`, `II [uV]`); a time column in s or ms gives the sampling rate and is
    then left out. Empty cells, `NaN` and `NA` are missing samples. A file with as many rows as an ECG has leads is
    read as one row per lead.

    Raises:
        EcgFormatError: cells that are no numbers (named by line and column), rows of unequal length.
    """
    text, delimiter = _decoded(data, name)
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise EcgFormatError(f"{name}: the table is empty; export it again.")
    if len(lines[0]) > _MAX_HEADER_CHARS * 64:
        raise EcgFormatError(
            f"{name}: one line of {len(lines[0]):,} characters is no table of an ECG; use one line per sample."
        )
    head = _head_cells(lines[0], delimiter)
    values = _numbers(lines[1:] if head else lines, delimiter, name, first_line=2 if head else 1)
    if values.size == 0:
        raise EcgFormatError(f"{name}: the table has a head line but no samples; export it again.")
    if not head and len(values) in (1, *LEAD_AXIS_SIZES) and values.shape[1] > 10 * len(values):
        return RawEcg(values)
    notes: list[str] = []
    if not head:
        return RawEcg(values.T, notes=notes)
    if len(head) != values.shape[1]:
        raise EcgFormatError(
            f"{name}: {len(head)} column names {head[:20]} for {values.shape[1]} columns of numbers; name each once."
        )
    return _from_columns(head, values, notes, name)


def _from_columns(head: list[str], values: np.ndarray, notes: list[str], name: str) -> RawEcg:
    raw = RawEcg(values.T, notes=notes)
    time_columns = [column for column, text in enumerate(head) if _TIME_COLUMN.match(_TIME_UNIT.sub("", text).strip())]
    kept = [column for column in range(len(head)) if column not in time_columns]
    if not kept:
        raise EcgFormatError(f"{name}: no column of {head} is a lead; one column per lead is needed.")
    for column in time_columns:
        notes.append(f"left out the column {head[column]!r}")
        rate = _rate_of(head[column], values[:, column])
        raw.sampling_rate = raw.sampling_rate or rate
    names, units = zip(*(_lead_and_unit(head[column]) for column in kept), strict=True)
    raw.signal, raw.leads, raw.units = values[:, kept].T, names, units
    return raw


def _rate_of(head: str, times: np.ndarray) -> float | None:
    """Hz, if the column is a time axis in s or ms with even steps."""
    steps = np.diff(times)
    if not len(steps) or not np.isfinite(steps).all() or (steps <= 0).any():
        return None
    step = (times[-1] - times[0]) / len(steps)
    # Times are often written with a few digits only, so single steps may wobble by one of them.
    if np.abs(steps - step).max() > 0.51 * step:
        return None
    unit = _TIME_UNIT.search(head)
    in_ms = unit is not None and unit["unit"].lower().startswith("m")
    named_seconds = unit is not None or head.strip().lower() in ("time", "t", "seconds", "second", "s")
    if head.strip().lower() == "ms":
        in_ms = named_seconds = True
    if not named_seconds or (not in_ms and step >= 0.5):
        return None
    rate = (1000.0 if in_ms else 1.0) / step
    return round(rate) if abs(rate - round(rate)) < 1e-3 * rate else rate


def _lead_and_unit(head: str) -> tuple[str, str | None]:
    match = _UNIT_IN_HEAD.match(head)
    if match and match["lead"] and mv_per_unit(match["unit"]) is not None and canonical_lead(head) == head.strip():
        return match["lead"].strip(), match["unit"]
    return head, None


def _decoded(data: bytes, name: str) -> tuple[str, str]:
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise EcgFormatError(
            f"{name}: this is binary data, not a table of text, and no known ECG format either; export it as CSV."
        )
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    sample = text[:_MAX_HEADER_CHARS]
    counts = {delimiter: sample.count(delimiter) for delimiter in (";", "\t", ",")}
    if counts[";"]:
        return text, ";"
    best = "\t" if counts["\t"] else ","
    return text, best if counts[best] else " "


def _head_cells(line: str, delimiter: str) -> list[str]:
    """The names of the first line; an empty list if it holds numbers already."""
    if delimiter == " ":
        cells = line.split()
    else:
        cells = [cell.strip() for cell in next(csv.reader([line[:_MAX_HEADER_CHARS]], delimiter=delimiter))]
    # Leads may be called "1", "2", "3"; a head needs one cell that is neither a number nor a missing value.
    is_head = any(_number(cell.replace(",", ".")) is None for cell in cells)
    return cells if is_head else []


def _number(cell: str) -> float | None:
    if cell.strip().lower() in ("", "na", "n/a", "null", "none"):
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(lines: list[str], delimiter: str, name: str, first_line: int) -> np.ndarray:
    """The cells of all lines as float64 `(lines, columns)`: vectorised, cell by cell only to name what is wrong."""
    import pandas as pd

    if not lines:
        return np.empty((0, 0))
    columns = len(lines[0].split() if delimiter == " " else lines[0].split(delimiter))
    check_size((len(lines), max(1, columns)), name)
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(lines)),
            header=None,
            sep=r"\s+" if delimiter == " " else delimiter,
            decimal="," if delimiter == ";" and "," in lines[0] else ".",
            skipinitialspace=True,
        )
    except Exception as error:
        raise wrapped(name, "a table", error) from error
    wrong = [column for column in frame if frame[column].dtype.kind not in "iuf"]
    if wrong:
        cells = frame[wrong[0]]
        bad = cells[[_number(str(cell)) is None for cell in cells]]
        row = int(bad.index[0]) if len(bad) else 0
        raise EcgFormatError(
            f"{name}: line {row + first_line}, column {int(str(wrong[0])) + 1}: {str(cells[row])[:40]!r} is not a number. "
            "An ECG table has one column per lead and numbers below the head line."
        )
    # A column without a single value is a trailing delimiter, not a lead.
    last = frame.columns[-1]
    if (
        frame[last].isna().all()
        and len(frame.columns) > 1
        and all(line.rstrip().endswith(delimiter) for line in lines)
    ):
        frame = frame.drop(columns=last)
    return frame.to_numpy(dtype=np.float64)


__all__ = ["raw_from_arrays", "read_npy", "read_npz", "read_table"]
