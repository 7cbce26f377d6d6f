# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The columns of a built data set, and its rows back as records: plainly, fast from Arrow, and ready for training.

Everything decodes with `datasets` alone: a signal in mV is `signal / gain`, each lead by its own gain. With gem-ecg,
`decode(row)` gives the `EcgRecord`, `decode_table` and `stream` do so many times faster without Python lists, and
`with_transform` makes a split that `GemSFTTrainer` trains on, its pages drawn as they are needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import datasets
import numpy as np
import PIL.Image
import pyarrow as pa
from datasets import Features, Image, Json, List, Value

from processing.ecg_page import render_ecg
from processing.ecg_record import EcgRecord

# Never a count: WFDB's format 16 marks invalid samples so, too.
GAP = -32768
MAX_COUNT = 32767
# Counts per mV that recorders and published data sets use, most frequent first.
COMMON_GAINS = (1000.0, 200.0, 204.8, 205.0, 250.0, 400.0, 409.6, 500.0, 800.0, 1024.0, 2000.0, 4000.0)
# Where no step of the recorder can be found: 0.125 microvolts, a fortieth of common recorders' 5 microvolts. Finer
# counts would store noise: each doubling costs a bit per sample.
FINEST_GAIN = 8000.0
# A count recovered from float32 mV is off by at most 2**-24 of itself, 0.002 at full scale.
COUNT_TOLERANCE = 4e-3


def to_counts(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """A signal as integers that are exact wherever the recorder's counts can be found again.

    Args:
        signal: mV, `(leads, samples)`; NaN where nothing was recorded.

    Returns:
        int16 counts with `GAP` for NaN, float32 counts per mV of each lead, and whether `counts / gains` is the signal
        to float32 precision. Where no common gain and no own step of the recorder fits, the step is 1 / `FINEST_GAIN`,
        or as fine as the lead's peak allows.
    """
    finite = np.isfinite(signal)
    values = np.where(finite, signal, 0).astype(np.float64)
    gain = next((gain for gain in COMMON_GAINS if _fits(values, gain)), None)
    gains = [gain or _own_gain(row) for row in values]
    exact = all(_fits(row, gain) for row, gain in zip(values, gains, strict=True))
    stored = np.array(gains, dtype=np.float32)
    counts = np.rint(values * stored[:, None].astype(np.float64))
    # Rounding the gain to float32 may lift the highest count by one.
    counts = np.clip(counts, -MAX_COUNT, MAX_COUNT).astype(np.int16)
    counts[~finite] = GAP
    return counts, stored, exact


def to_millivolts(counts: Any, gains: Sequence[float] | np.ndarray) -> np.ndarray:
    """`counts` (leads, samples) as float32 mV; `GAP` becomes NaN."""
    whole = np.asarray(counts, dtype=np.int16)
    signal = whole / np.asarray(gains, dtype=np.float32)[:, None]
    signal[whole == GAP] = np.nan
    return signal


def _fits(values: np.ndarray, gain: float) -> bool:
    scaled = values * gain
    return bool(np.abs(scaled).max() <= MAX_COUNT and np.abs(scaled - np.rint(scaled)).max() <= COUNT_TOLERANCE)


def _own_gain(row: np.ndarray) -> float:
    """The recorder's counts per mV, from the smallest step in the lead; otherwise the finest that fits."""
    steps = np.diff(np.unique(row))
    steps = steps[steps > 1e-5]  # float32 noise of values up to 100 mV
    if len(steps):
        span = row.max() - row.min()
        # The mean over all single steps: float32's noise on one of them would miscount a span of thousands.
        step = steps[steps < 1.5 * steps.min()].mean()
        gain = float(round(span / step) / span)
        if _fits(row, gain):
            return gain
    peak = float(np.abs(row).max())
    return min(MAX_COUNT / peak, FINEST_GAIN) if peak else COMMON_GAINS[0]


# Column -> (type, meaning). Order is the order in the files.
COLUMNS: dict[str, tuple[Any, str]] = {
    "id": (Value("string"), "Unique; `source/name` or `conversation set/row`."),
    "source": (Value("string"), "Data base that the ECG comes from."),
    "patient": (Value("string"), "Hash of the patient; no patient is in two splits."),
    "signal": (List(List(Value("int16"))), "`[lead][sample]`, counts; -32768: not recorded."),
    "gain": (List(Value("float32")), "Counts per mV of each lead: mV = signal / gain."),
    "sampling_rate": (Value("float32"), "Hz."),
    "leads": (List(Value("string")), "Name of each row of `signal`."),
    "features": (
        Json(),
        "Measured by gem-ecg. Lead -> 14 sequences, one value per beat (layout of machine_measurements); key `record`: beat times, marks and measures of the whole ECG.",
    ),
    "report": (Value("string"), "The source's report, or its labels in words."),
    "report_kind": (Value("string"), "physician, machine, labels (made from the labels) or none."),
    "labels": (
        List({"code": Value("string"), "text": Value("string"), "likelihood": Value("float32")}),
        "The source's diagnoses: its code, in words, percent (PTB-XL: 0 means not stated).",
    ),
    "label_system": (Value("string"), "scp, snomed, aha, code15, ludb or text."),
    "sex": (Value("string"), "F, M or null."),
    "age": (Value("int32"), "Years; 90 means above 89."),
    "messages": (
        List({"role": Value("string"), "content": Value("string")}),
        "The conversation; the ECG, then the picture, go before the first question.",
    ),
    "teacher": (
        {
            "name": Value("string"),
            "version": Value("string"),
            "prompt_hash": Value("string"),
            "attempts": Value("int32"),
        },
        "Who wrote the answers (model, `template` or publisher), by which version of the prompt, SHA-256 of the prompt, and how many attempts the checks took.",
    ),
    "structured": (Json(), "The teacher's steps with evidence, where it was asked for them; else null."),
    "notes": (List(Value("string")), "What was done to the signal on its way in."),
    "split": (Value("string"), "train, validation or test."),
}  # fmt: skip
IMAGE_COLUMN = {"image": (Image(), "The page as a picture (only with `page: {embed: true}`).")}
OTHERS_COLUMN = {
    "other_ecgs": (
        List(
            {
                "signal": List(List(Value("int16"))),
                "gain": List(Value("float32")),
                "sampling_rate": Value("float32"),
                "leads": List(Value("string")),
            }
        ),
        "Further ECGs that the conversation compares with the first.",
    )
}
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class PageStyleChoice:
    """Which page pictures show: a layout of `render_ecg` and its side in px; the model's default is 336."""

    layout: str = "square_12x1"
    size: int = 336

    def draw(self, record: EcgRecord) -> PIL.Image.Image:
        """The page as a PIL picture."""
        return render_ecg(record, self.layout, size=(self.size, self.size)).to_pil()


def columns(images: bool = False, several_ecgs: bool = False) -> dict[str, tuple[Any, str]]:
    """The columns of a data set with these options, with type and meaning."""
    return COLUMNS | (IMAGE_COLUMN if images else {}) | (OTHERS_COLUMN if several_ecgs else {})


def schema(images: bool = False, several_ecgs: bool = False) -> Features:
    """The columns as `datasets.Features`."""
    return Features({name: feature for name, (feature, _) in columns(images, several_ecgs).items()})


def decode(row: Mapping[str, Any]) -> EcgRecord:
    """The ECG of a row in any format (plain, numpy or from `decode_table`): float32 mV `(leads, samples)`, NaN for gaps.

    Raises:
        KeyError: the row has no column `signal`, `gain`, `leads` or `sampling_rate`.
    """
    return EcgRecord(
        signal=to_millivolts(_matrix(row["signal"]), row["gain"]),
        leads=tuple(map(str, row["leads"])),
        sampling_rate=float(row["sampling_rate"]),
        record_id=row.get("id"),
        source=row.get("source"),
        report=row.get("report"),
        labels={label["code"]: label["likelihood"] for label in row.get("labels") or ()},
        history=tuple(row.get("notes") or ()),
    )


def _matrix(signal: Any) -> np.ndarray:
    return np.stack([np.asarray(lead, dtype=np.int16) for lead in signal])


def decode_table(table: pa.Table) -> list[dict[str, Any]]:
    """
    The rows of an Arrow table (`with_format("arrow")`) as dictionaries; the signals straight from Arrow's buffers, without
    Python numbers. `signal` becomes an int16 array `(leads, samples)`.
    """
    signals = [array for chunk in table["signal"].chunks for array in _signals(chunk)]
    rest = table.drop_columns(["signal"]).to_pylist()
    return [{**row, "signal": signal} for row, signal in zip(rest, signals, strict=True)]


def _signals(chunk: pa.ListArray) -> Iterator[np.ndarray]:
    # `flatten` respects the offsets of sliced chunks, `values` does not.
    leads = chunk.flatten()
    lengths = np.diff(leads.offsets.to_numpy())
    samples = leads.flatten().to_numpy(zero_copy_only=False)
    first_lead = first_sample = 0
    for count in np.diff(chunk.offsets.to_numpy()):
        total = int(lengths[first_lead : first_lead + count].sum())
        yield samples[first_sample : first_sample + total].reshape(int(count), -1)
        first_lead, first_sample = first_lead + int(count), first_sample + total


def stream(
    dataset: datasets.Dataset | datasets.IterableDataset, batch_size: int = 64
) -> Iterator[tuple[EcgRecord, dict[str, Any]]]:
    """Records and their rows, in order, as fast as Parquet is read.

    Args:
        dataset: a split of `gem build-dataset`, streamed or local.
        batch_size: rows that are read at once.

    Yields:
        The ECG (`decode`), and the row with its other columns.
    """
    for table in dataset.with_format("arrow").iter(batch_size=batch_size):
        for row in decode_table(table):
            yield decode(row), row


# What `gem build-preferences` adds: the better and the worse of two answers.
PREFERENCE_COLUMNS = ("chosen", "rejected")


def with_transform(
    dataset: datasets.Dataset | datasets.IterableDataset, images: bool = True, page: PageStyleChoice | None = None
) -> Any:
    """
    A split in the form that `GemDataCollator` takes: `id`, `messages`, `ecg` (one `EcgRecord`, or a list if several are
    compared), `image` (the stored picture, or a page drawn when the row is read, always the same for the same row), and for
    preference pairs `chosen` and `rejected`.

    Train with `remove_unused_columns=False`: a Trainer looks at the columns before the transform.

    Args:
        dataset: a split of `gem build-dataset`.
        images: include pictures; without them the split is signal-only.
        page: style of the drawn pages.
    """
    transform = TrainingRows(images, page or PageStyleChoice())
    if isinstance(dataset, datasets.IterableDataset):
        return dataset.map(transform, batched=True, batch_size=8, remove_columns=dataset.column_names)
    return dataset.with_transform(transform)


def is_built(dataset: Any) -> bool:
    """Whether a split has the signal columns of `gem build-dataset` (and no `ecg` yet)."""
    names = set(dataset.column_names or ())
    return {"signal", "gain", "leads", "sampling_rate", "messages"} <= names and "ecg" not in names


@dataclass(frozen=True)
class TrainingRows:
    """The transform of `with_transform`; a class, so that it can be pickled for worker processes."""

    images: bool
    page: PageStyleChoice

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        records = [decode(row) for row in rows]
        others = [[decode(other) for other in row.get("other_ecgs") or ()] for row in rows]
        result: dict[str, list[Any]] = {
            "id": [row["id"] for row in rows],
            "messages": [row["messages"] for row in rows],
            "ecg": [[first, *more] if more else first for first, more in zip(records, others, strict=True)],
            **{name: [row[name] for row in rows] for name in PREFERENCE_COLUMNS if name in batch},
        }
        if self.images:
            stored = [row.get("image") for row in rows]
            result["image"] = [
                image if image is not None else self.page.draw(record)
                for image, record in zip(stored, records, strict=True)
            ]
        return result


__all__ = [
    "COLUMNS",
    "GAP",
    "SPLITS",
    "PageStyleChoice",
    "Split",
    "columns",
    "decode",
    "decode_table",
    "is_built",
    "schema",
    "stream",
    "to_counts",
    "to_millivolts",
    "with_transform",
]
