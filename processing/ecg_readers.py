# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`load_ecg`: an ECG in any form (file, bytes, array, row of a data set) -> `EcgRecord` in mV with named leads."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np

from .ecg_assembly import to_record
from .ecg_columns import is_frame, raw_from_frame, raw_from_leads
from .ecg_other_files import refuse_other_files, what_else
from .ecg_packed import inflated, unpacked_path
from .ecg_picture_files import PICTURE_SUFFIXES, is_picture
from .ecg_plausibility import USUAL_SPAN_MV, EcgPlausibilityWarning
from .ecg_raw import MAX_FILE_BYTES, RawEcg, ReadOptions, patient_facts, wrapped
from .ecg_readers_arrays import GAIN_KEYS, LEAD_KEYS, RATE_KEYS, UNIT_KEYS, read_npy, read_npz
from .ecg_readers_devices import is_scp, read_scp
from .ecg_readers_dicom import is_dicom, read_dicom
from .ecg_readers_edf import is_edf, read_edf
from .ecg_readers_ishne import is_ishne, read_ishne
from .ecg_readers_matlab import is_hdf5, is_mat, read_hdf5, read_mat
from .ecg_readers_tables import read_table
from .ecg_readers_wfdb import read_wfdb, wfdb_header_path
from .ecg_readers_xml import is_xml, read_xml
from .ecg_record import STANDARD_LEADS, EcgRecord, canonical_lead, is_ecg_record
from .errors_gem import EcgFormatError, EcgLeadError

Reader = Callable[[bytes, ReadOptions, str], RawEcg]
# What becomes of standard leads that a source lacks.
MissingLeads = Literal["derive", "mask", "refuse"]

_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".asc")
# Data sets whose files need a word from outside of them; the others are read by what they say themselves.
KNOWN_DATASETS = ("ludb", "sph", "code15")
# Keys of a row's signal, with the unit that the name states.
_ROW_SIGNALS = {"signal": None, "signal_uv": "uV", "signal_mv": "mV", "array": None, "ecg": None}
# Keys of a row that are not samples of a lead.
_DESCRIPTIONS = frozenset(
    (*RATE_KEYS, *LEAD_KEYS, *UNIT_KEYS, *GAIN_KEYS, "report", "labels", "id", "record_id", "source", "sex", "age")
)

_READERS: tuple[tuple[Callable[[bytes], bool], Reader, str], ...] = (
    (lambda data: data.startswith(b"\x93NUMPY"), read_npy, "NPY"),
    (lambda data: data.startswith(b"PK\x03\x04"), read_npz, "NPZ"),
    (is_dicom, read_dicom, "DICOM"),
    (is_edf, read_edf, "EDF"),
    (is_ishne, read_ishne, "ISHNE"),
    (is_hdf5, read_hdf5, "HDF5"),
    (is_xml, read_xml, "XML"),
    (is_scp, read_scp, "SCP-ECG"),
    (is_mat, read_mat, "MATLAB"),
)


def load_ecg(
    source: Any,
    *,
    sampling_rate: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
    gain: float | Sequence[float] | None = None,
    record_id: str | None = None,
    keep_phi: bool = False,
    dataset: str | None = None,
    index: int | None = None,
    missing_leads: MissingLeads = "derive",
    start: float = 0.0,
    seconds: float | None = None,
) -> EcgRecord:
    """Reads an ECG of any kind into an [`EcgRecord`]: float32 mV, standard lead names, NaN for missing samples.

    The samples are not reordered, resampled or filtered; the feature extractor does that, by lead name. Every change that
    reading needs (units, names, transposition, dropped channels) is noted in `history`. Limb leads that the source lacks are
    derived if it has two of the six (`EcgRecord.with_limb_leads`); `derived_leads` names them.

    Args:
        source: one of
            - a path: WFDB (with or without `.hea`/`.dat`), CSV, TSV, NPY, NPZ, MAT, HDF5, EDF, DICOM, SCP-ECG, ISHNE,
              GE MUSE XML, Philips Sierra XML, HL7 aECG, Schiller XML; also compressed by gzip, bzip2 or xz. The format
              is recognised by the content, not by the file's name. EDF, DICOM, HDF5 and SCP-ECG/Sierra need the extras
              `edf`, `dicom`, `hdf5` and `vendor`. docs/formats.md lists the dialects of each.
            - the bytes of such a file, or a binary file object.
            - a table with named columns: a DataFrame of pandas or polars, a structured array, a dict of lead -> samples.
            - an array or tensor `(leads, samples)`; `(samples, leads)` is recognised only where the second axis is 8,
              12 or 15 (or the number of `leads`) and the first far longer.
            - a dict such as a row of `datasets`: `signal`, `array` or `signal_uv` with `sampling_rate`, `leads`/
              `lead_names`, `gain` or `unit`, `report`, `labels`, `id`; or `path`/`bytes`.
            - an `EcgRecord`, which is returned unchanged except that missing limb leads are derived; of the options `record_id`,
              `missing_leads`, `start` and `seconds` go with it.
        sampling_rate: Hz; needed if the source states none. If it does, this value replaces it, and `history` says so.
        leads: one name per row, or one per row that may be an ECG; `"-"` drops a row. Replaces the source's names.
        unit: `"mV"`, `"uV"`, `"V"` or `"nV"`. Replaces the source's unit.
        gain: counts per mV, one number or one per row, for raw ADC counts.
        record_id: name for messages and tables; default: the file's stem.
        keep_phi: keep what may identify the patient (names, ids, exact dates, free header text) in `metadata["phi"]`
            and `start_time`. Otherwise it is dropped, and `history` says what was dropped.
        dataset: the data set that the file comes from, if its files lack or misstate something: `"ludb"` (wrong gains),
            `"sph"` (500 Hz), `"code15"` (400 Hz, zero padding).
        index: the record in an array or file of several.
        missing_leads: how to treat standard leads that the source lacks. `"derive"`: derive limb leads from two others and
            leave the rest absent. `"mask"`: as `"derive"`, but add rows of NaN for the rest, so that a model that needs
            twelve leads accepts the record (it sees zeros there). `"refuse"`: raise unless the source has all twelve.
        start: beginning of the part to keep, s.
        seconds: its length, s; to the end by default.

    A record whose scale is impossible or rare for an ECG is returned as well, with an `EcgPlausibilityWarning`. The rest of
    gem-ecg does not accept it if `EcgRecord.plausibility` refuses it.

    Raises:
        EcgFormatError: the source cannot be read as an ECG; the message names the file and what to do.
        EcgLeadError: lead names are missing, too few or repeated, or leads are missing and `missing_leads="refuse"`.
        MissingDependencyError: the format needs an optional library; the message names the extra.

    Example:
        ```python
        >>> import numpy as np
        >>> record = load_ecg(np.zeros((12, 5000), dtype=np.float32), sampling_rate=500)
        >>> record.leads[:3], record.duration
        (('I', 'II', 'III'), 10.0)

        ```
    """
    options = ReadOptions(
        sampling_rate=sampling_rate,
        leads=tuple(leads) if leads is not None else None,
        unit=unit,
        gain=tuple(np.atleast_1d(gain).tolist()) if gain is not None else None,
        record_id=record_id,
        keep_phi=keep_phi,
        dataset=dataset,
        index=index,
    )
    if dataset is not None and dataset.lower() not in KNOWN_DATASETS:
        raise EcgFormatError(f"dataset {dataset!r} is unknown; known are {list(KNOWN_DATASETS)}, or leave it out.")
    if missing_leads not in get_args(MissingLeads):
        raise EcgFormatError(f"`missing_leads` is one of {', '.join(get_args(MissingLeads))}, got {missing_leads!r}.")
    record = _read(source, options)
    if start or seconds is not None:
        record = record.between(start, seconds)
    if not is_ecg_record(source):
        _warn_of_scale(record)
    return _with_all_leads(record, missing_leads)


def _read(source: Any, options: ReadOptions) -> EcgRecord:
    record_id = options.record_id
    if is_ecg_record(source):
        return _read_before(source, options)
    if isinstance(source, (str, Path)):
        return _load_path(Path(source), options)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _load_bytes(bytes(source), options, record_id or "ECG bytes", None)
    if hasattr(source, "read"):
        return _load_file_object(source, options)
    if isinstance(source, Mapping):
        return _load_row(source, options)
    return to_record(_raw_of(source, record_id or "ECG array"), options, record_id or "ECG array", None)


def _read_before(record: EcgRecord, options: ReadOptions) -> EcgRecord:
    """A record that was given as one. What is said of its source comes too late, and is refused rather than passed over."""
    said = {field.name: getattr(options, field.name) for field in fields(options) if field.name != "record_id"}
    if said["sampling_rate"] == record.sampling_rate:
        del said["sampling_rate"]
    late = [f"{name}={value!r}" for name, value in said.items() if value not in (None, False)]
    if late:
        raise EcgFormatError(
            f"{record.name}: {', '.join(late)} cannot change an ECG that was read before (at {record.sampling_rate:g} Hz, in mV). Say it "
            "when you load its file or array, or use the record's own methods (`select_leads`, `resample`)."
        )
    record = record.with_limb_leads()
    return record if options.record_id is None else record.changed((), record_id=options.record_id)


def _with_all_leads(record: EcgRecord, missing_leads: MissingLeads) -> EcgRecord:
    absent = [lead for lead in STANDARD_LEADS if lead not in record.leads or lead in record.derived_leads]
    if missing_leads == "refuse" and absent:
        raise EcgLeadError(
            f"{record.name}: the source lacks {', '.join(absent)}. Allow it with `missing_leads='derive'` (limb leads follow "
            "from two others) or `missing_leads='mask'` (the model gets zeros there)."
        )
    absent = [lead for lead in absent if lead not in record.leads]
    if missing_leads != "mask" or not absent:
        return record
    rows = np.full((len(absent), record.num_samples), np.nan, dtype=np.float32)
    return record.changed(
        f"masked absent leads {', '.join(absent)}",
        signal=np.concatenate([record.signal, rows]),
        leads=record.leads + tuple(absent),
    )


def _warn_of_scale(record: EcgRecord) -> None:
    """Warns if the amplitudes of a record cannot be an ECG's."""
    # Most records need no closer look, which would take as long as reading them.
    spans = np.fmax.reduce(record.signal, axis=1) - np.fmin.reduce(record.signal, axis=1)
    spans = spans[spans > 0]
    if not len(spans) or USUAL_SPAN_MV[0] <= np.median(spans) <= USUAL_SPAN_MV[1]:
        return
    for doubt in record.plausibility().doubts:
        if doubt.about == "scale":
            warnings.warn(f"{record.name}: {doubt.verdict}: {doubt}", EcgPlausibilityWarning, stacklevel=3)


def _load_path(path: Path, options: ReadOptions) -> EcgRecord:
    try:
        return _load_local(path, options)
    except OSError as error:
        name = path.name[:120]
        raise EcgFormatError(
            f"{name}: cannot be opened ({error.strerror}); check its path and permissions."
        ) from error


def _load_local(path: Path, options: ReadOptions) -> EcgRecord:
    header = wfdb_header_path(path)
    if header is not None:
        return _finish(partial(read_wfdb, header, options, header.name), options, header.stem, header)
    if path.is_dir():
        raise EcgFormatError(
            f"{path.name}: a folder. Name one record, or use `processing.folders.listing.list_ecg_files` to go through it."
        )
    if not path.exists():
        raise EcgFormatError(
            f"{path.name}: there is no such file or WFDB record ({path}); of WFDB, the .hea and its signal file "
            "must lie side by side."
        )
    if not path.is_file():
        raise EcgFormatError(f"{path.name}: not a regular file (a pipe or device); copy its content into one.")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise EcgFormatError(f"{path.name}: {size:,} bytes are more than {MAX_FILE_BYTES:,}; cut the file.")
    return _load_bytes(path.read_bytes(), options, path.name, path)


def _load_file_object(file: BinaryIO, options: ReadOptions) -> EcgRecord:
    stated = getattr(file, "name", None)
    name = Path(stated).name if isinstance(stated, str) else options.record_id or "ECG file object"
    data = file.read(MAX_FILE_BYTES + 1)
    if isinstance(data, str):
        data = data.encode()
    if len(data) > MAX_FILE_BYTES:
        raise EcgFormatError(f"{name}: more than {MAX_FILE_BYTES:,} bytes; cut the file.")
    return _load_bytes(data, options, name, Path(stated) if isinstance(stated, str) else None)


def _load_bytes(data: bytes, options: ReadOptions, name: str, path: Path | None) -> EcgRecord:
    if not data:
        raise EcgFormatError(f"{name}: the file is empty; copy or export it again.")
    content = inflated(data, name)
    inner = path
    if content is not None:
        data, inner = content, unpacked_path(path) if path is not None else None
        if not data:
            raise EcgFormatError(f"{name}: the packed file is empty; copy or export it again.")
    reader, what = _reader_for(data, name, inner)
    stem = inner.stem if inner is not None else name

    def read() -> RawEcg:
        try:
            return reader(data, options, name)
        except Exception as error:
            raise wrapped(name, what, error) from error

    return _finish(read, options, stem, path)


def _finish(read: Callable[[], RawEcg], options: ReadOptions, stem: str, path: Path | None) -> EcgRecord:
    file_name = path.name if path is not None else stem
    return to_record(read(), options, file_name, str(path) if path is not None else None, stem)


def _reader_for(data: bytes, name: str, path: Path | None) -> tuple[Reader, str]:
    """The reader for a file's content; only text without any mark is distinguished by the file's name."""
    suffix = path.suffix.lower() if path is not None else ""
    refuse_other_files(data, name, suffix)
    for matches, reader, what in _READERS:
        if matches(data):
            return reader, what
    if data[:256].lstrip().startswith(b"<"):
        raise EcgFormatError(
            f"{name}: a text with tags (XML, HTML) that is not an ECG; fetch or export the file again."
        )
    if suffix in PICTURE_SUFFIXES:
        held = "text" if _is_text(data) else "no picture of a known kind"
        raise EcgFormatError(f"{name}: named as a picture ({suffix}), but it holds {held}; fetch or export it again.")
    if suffix == ".dat":
        raise EcgFormatError(f"{name}: a WFDB signal file without its header; put {Path(name).stem}.hea beside it.")
    if suffix in _TEXT_SUFFIXES or _is_text(data):
        return read_table, "a table"
    raise EcgFormatError(
        f"{name}: no known ECG format. Known are WFDB, CSV, TSV, NPY, NPZ, MAT, HDF5, EDF, DICOM, SCP-ECG, ISHNE, "
        "MUSE XML, Sierra XML, Schiller XML and HL7 aECG; export it as one of them."
    )


def likely_kind(data: bytes) -> str | None:
    """What a file holds by its content, in words; `None` if it is not known."""
    if (other := what_else(data)) is not None:
        return other[0]
    what = next((what for matches, _, what in _READERS if matches(data)), None)
    if what is not None:
        return f"a recording ({what})"
    return "text" if data and _is_text(data) else None


def _is_text(data: bytes) -> bool:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    head = data[:4096]
    return b"\0" not in head and sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head) > 0.95 * len(head)


def _load_row(row: Mapping[str, Any], options: ReadOptions) -> EcgRecord:
    """A dict such as a row of `datasets`; see [`load_ecg`]."""
    row = {key: value for key, value in row.items() if value is not None}
    name = options.record_id or str(row.get("id", row.get("record_id", "ECG dict")))
    key = next((key for key in _ROW_SIGNALS if key in row), None)
    leads_of_row = {} if key else _leads_of_row(row)
    if key is None and not leads_of_row:
        inner = row.get("bytes") or row.get("path")
        if inner is None:
            raise EcgFormatError(
                f"{name}: a dict with the keys {sorted(row)} holds no ECG; it needs one of {list(_ROW_SIGNALS)} with "
                "'sampling_rate' and 'leads', or 'path' or 'bytes'."
            )
        of_file = (
            _load_bytes(inner, options, name, None) if isinstance(inner, bytes) else _load_path(Path(inner), options)
        )
        return replace(of_file, metadata={**of_file.metadata, **patient_facts(row.get("sex"), row.get("age"))})
    raw = _raw_of(row[key] if key else leads_of_row, name)
    rate, leads, units, gain = (
        next((row[key] for key in keys if key in row), None) for keys in (RATE_KEYS, LEAD_KEYS, UNIT_KEYS, GAIN_KEYS)
    )
    if rate is not None:
        raw.sampling_rate, raw.evidence = float(rate), {}
    if leads is not None:
        raw.leads = [str(lead) for lead in leads]
    if units is not None or raw.units is None:
        raw.units = units if units is not None or key is None else _ROW_SIGNALS[key]
    raw.gain, raw.report, raw.labels = gain, row.get("report"), _as_labels(row.get("labels"))
    raw.metadata = patient_facts(row.get("sex"), row.get("age"))
    return to_record(raw, options, name, row.get("source"))


def _leads_of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Those entries of a dict that are the samples of one lead or its time axis: the rows of numbers."""
    rows = {str(key): value for key, value in row.items() if key not in _DESCRIPTIONS and np.ndim(value) == 1}
    rows = {key: value for key, value in rows.items() if len(value) > 1}
    return rows if any(canonical_lead(key) in STANDARD_LEADS or "ecg" in key.lower() for key in rows) else {}


def _as_labels(labels: Any) -> dict[str, float]:
    if isinstance(labels, Mapping):
        return {str(code): float(value) for code, value in labels.items()}
    return dict.fromkeys(map(str, labels), 1.0) if isinstance(labels, (list, tuple)) else {}


def _raw_of(source: Any, name: str) -> RawEcg:
    """An array, or a table with named columns: a DataFrame, a structured array, a dict of lead -> samples."""
    if is_frame(source):
        return raw_from_frame(source, name)
    if isinstance(source, Mapping):
        return raw_from_leads(source, name)
    array = _as_array(source)
    if array.dtype.names:
        return raw_from_leads({field: array[field] for field in array.dtype.names}, name)
    return RawEcg(array)


def _as_array(source: Any) -> np.ndarray:
    if hasattr(source, "detach"):
        source = source.detach().cpu().float().numpy() if source.is_floating_point() else source.cpu().numpy()
    try:
        return np.asarray(source)
    except (ValueError, TypeError) as error:
        raise EcgFormatError(
            f"ECG array: a {type(source).__name__} is not a (leads, samples) array ({error}); give every lead the same "
            "number of samples."
        ) from error


__all__ = ["is_picture", "likely_kind", "load_ecg"]
