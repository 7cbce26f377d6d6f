# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Compares our intervals, axes and amplitudes with those of other engines and devices: bias, limits of agreement, Bland-Altman plots."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_record import STANDARD_LEADS
from processing.ecg_xml import parsed_xml
from processing.errors_gem import EvaluationError, GemError
from processing.extras_gem import require
from recipes.scores import ScoreRow, ScoreTable
from recipes.sources.ptbxl_plus import ENGINES, is_ptbxl_plus, read_ptbxl_plus
from recipes.sources.source_record import Rejection, SourceRecord

from .report import BlandAltman, EvaluationReport, describe_data

GLOBAL = ("heart_rate", "pr_interval", "qrs_duration", "qt_interval", "p_axis", "qrs_axis", "t_axis")
AMPLITUDES = ("r_amplitude", "s_amplitude", "t_amplitude")
UNITS = {"heart_rate": "bpm", "p_axis": "degrees", "qrs_axis": "degrees", "t_axis": "degrees"}
# SPH's metadata.csv: its columns -> our names.
SPH_COLUMNS = {"PR_Interval": "pr_interval", "QRS_Complex": "qrs_duration", "QT_Interval": "qt_interval"}
# Schiller's XML, which the library of the other formats does not read: our name -> its own.
SCHILLER = {
    "heart_rate": "HR",
    "pr_interval": "PQ",
    "qrs_duration": "QRS",
    "qt_interval": "QT",
    "qrs_axis": "AXIS_QRS",
}
# SCP-ECG (section 7) states the limits of its reference beat's waves, no intervals: our name -> first and last limit.
SCP_LIMITS = {
    "pr_interval": ("median_p_onset_ms", "median_qrs_onset_ms"),
    "qrs_duration": ("median_qrs_onset_ms", "median_qrs_offset_ms"),
    "qt_interval": ("median_qrs_onset_ms", "median_t_offset_ms"),
}
IDS = ("id", "ecg_id", "ECG_ID", "file")
NOTE = (
    "Differences are ours minus theirs. bias: their mean; limits: bias -/+ 1.96 SD, within which 95 % of differences lie if they are "
    "normal (Bland and Altman 1986). Engines define waves differently (ours are global: first onset to last offset of all leads), so "
    "a bias is no error by itself; engines differ from each other by as much. S waves are compared by their depth."
)


@dataclass(frozen=True)
class Agreement:
    """Pairs of one measure, and their agreement by Bland and Altman (1986)."""

    name: str
    ours: np.ndarray
    theirs: np.ndarray

    @property
    def differences(self) -> np.ndarray:
        """Ours minus theirs, `(pairs,)`; of axes the shorter way round."""
        change = self.ours - self.theirs
        return (change + 180) % 360 - 180 if self.name.endswith("axis") else change

    @property
    def means(self) -> np.ndarray:
        """Of ours and theirs, `(pairs,)`."""
        return self.theirs + self.differences / 2

    @property
    def bias(self) -> float:
        """Mean of the differences."""
        return float(self.differences.mean())

    @property
    def sd(self) -> float:
        """NaN of a single pair."""
        return float(self.differences.std(ddof=1)) if len(self.ours) > 1 else math.nan

    @property
    def unit(self) -> str:
        """Of the measure: ms, mV, bpm or degrees."""
        return unit_of(self.name)

    def scores(self) -> dict[str, float | None]:
        """Bias, SD, limits of agreement (bias -/+ 1.96 SD), mean absolute difference and number of pairs."""
        reach = 1.96 * self.sd
        absolute = float(np.abs(self.differences).mean())
        return {
            "bias": self.bias,
            "SD": self.sd,
            "lower limit": self.bias - reach,
            "upper limit": self.bias + reach,
            "mean abs. difference": absolute,
            "pairs": float(len(self.ours)),
        }


@dataclass
class MeasurementRun:
    """Engine or device -> its measurements, with a row per record id; `ours`: those of gem-ecg."""

    theirs: dict[str, pd.DataFrame] = field(default_factory=dict)
    ours: pd.DataFrame = field(default_factory=pd.DataFrame)
    problems: list[str] = field(default_factory=list)


def read_values(path: str | Path) -> dict[str, pd.DataFrame]:
    """
    Engine -> its values by record (index: the record's id as text, without a leading data set name or zeros).

    Args:
        path: PTB-XL+'s folder, SPH's `metadata.csv`, or any CSV with `id` and columns by our names (`pr_interval`, `qrs_duration`,
            `qt_interval`, `heart_rate`, `qrs_axis`, `r_amplitude V5` ...) in ms, bpm, degrees and mV.

    Raises:
        EvaluationError: none of these.
    """
    path = Path(path)
    if path.is_dir() and is_ptbxl_plus(path):
        there = [engine for engine in ENGINES if (path / f"features/{engine}_features.csv").is_file()]
        return {engine: _by_id(read_ptbxl_plus(path, engine)) for engine in there}
    if not path.is_file():
        raise EvaluationError(f"{path}: neither PTB-XL+'s folder (features/12sl_features.csv) nor a CSV of values.")
    table = pd.read_csv(path)
    key = next((name for name in IDS if name in table), None)
    known = table.rename(columns=SPH_COLUMNS)
    if "RR_Interval" in known and "heart_rate" not in known:
        known["heart_rate"] = 60000 / known["RR_Interval"].where(known["RR_Interval"] > 0)
    names = [name for name in known if name in GLOBAL or str(name).partition(" ")[0] in AMPLITUDES]
    if key is None or not names:
        raise EvaluationError(
            f"{path}: a table of values has a column of ids ({', '.join(IDS)}) and columns such as {', '.join(GLOBAL)} or "
            f"'r_amplitude V5'; got {', '.join(map(str, table))}."
        )
    values = known.set_index(key)[names].apply(pd.to_numeric, errors="coerce")
    return {path.stem: _by_id(values.where(values != 0))}  # devices write 0 for what they did not find


def _by_id(values: pd.DataFrame) -> pd.DataFrame:
    return values.rename(index=short_id)


def unit_of(measure: str) -> str:
    """ms, mV, bpm or degrees."""
    return UNITS.get(measure, "mV" if "amplitude" in measure else "ms")


def short_id(name: Any) -> str:
    """`ptb-xl/00012` and 12 are one record."""
    last = str(name).rpartition("/")[2]
    return last.lstrip("0") or last


def header_values(path: str | Path) -> dict[str, float]:
    """
    What the device wrote into its own file: MUSE and Philips XML, DICOM, SCP-ECG and others that `ecgdatakit` reads, and Schiller's
    XML; empty where the file states nothing.

    Raises:
        MissingDependencyError: `ecgdatakit` is not installed.
    """
    kit = require("ecgdatakit", "Reading what a device wrote into its file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of identifiers and other parts that are not read here
            file = kit.FileParser().parse(str(path))
    except kit.ECGDataKitError:
        return _schiller(Path(path))
    measured, marks = file.measurements, file.annotations
    stated = {name: getattr(measured, name, None) for name in GLOBAL}
    for name, (start, end) in SCP_LIMITS.items():
        if stated[name] is None and start in marks and end in marks:
            stated[name] = float(marks[end]) - float(marks[start])
    if stated["heart_rate"] is None and measured.rr_interval:
        stated["heart_rate"] = 60000 / measured.rr_interval
    return {name: float(value) for name, value in stated.items() if value is not None}


def _schiller(path: Path) -> dict[str, float]:
    if path.suffix.lower() != ".xml":
        return {}
    try:
        root = parsed_xml(path.read_bytes(), path.name)
    except GemError:
        return {}
    pairs = {item.findtext("name"): item.findtext("value") for item in root.iter("annotation_global")}
    return {name: float(value) for name, theirs in SCHILLER.items() if (value := pairs.get(theirs))}


def measure(
    records: Iterable[SourceRecord | Rejection],
    tables: Mapping[str, pd.DataFrame] | None = None,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> MeasurementRun:
    """
    Measures all records that have reference values.

    Args:
        records: of a source.
        tables: reference values from `read_values`; without them those in the files' headers.
        limit: the largest number of records.
        progress: called with the number of records measured so far.

    Raises:
        EvaluationError: no record has reference values.
    """
    run = MeasurementRun(dict(tables or {}))
    ours: dict[str, dict[str, float]] = {}
    headers: dict[str, dict[str, float]] = {}
    for record in records:
        if isinstance(record, Rejection):
            run.problems.append(f"{record.id}: {record.reason}")
            continue
        # Two files of a folder may differ in nothing but their suffix.
        name = Path(record.first_ecg.path).name if tables is None else short_id(record.id)
        if limit is not None and len(ours) >= limit:
            break
        try:
            if tables is None and (stated := header_values(record.first_ecg.path)):
                headers[name] = stated
            if name in headers or any(name in table.index for table in run.theirs.values()):
                ours[name] = our_values(extract_features(record.first_ecg.load()))
        except (GemError, OSError) as error:
            run.problems.append(f"{record.id}: not measured: {error}")
        if progress is not None:
            progress(len(ours))
    if headers:
        run.theirs["device"] = pd.DataFrame.from_dict(headers, orient="index")
    if not ours:
        raise EvaluationError("no record has values of an engine or device to compare with.")
    run.ours = pd.DataFrame.from_dict(ours, orient="index")
    return run


def our_values(features: EcgFeatures) -> dict[str, float]:
    """By the names of `read_values`."""
    values = {name: float(getattr(features, name)) for name in GLOBAL}
    for name in AMPLITUDES:
        values |= {
            f"{name} {lead}": features.lead_value(name, lead) for lead in STANDARD_LEADS if lead in features.leads
        }
    return values


def agreements(run: MeasurementRun, engine: str) -> list[Agreement]:
    """Per measure the pairs that both have; the amplitudes of all leads are pooled."""
    theirs = run.theirs[engine]
    theirs = theirs[theirs.index.isin(run.ours.index)]
    ours = run.ours.loc[theirs.index]
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for column in theirs.columns.intersection(ours.columns):
        name = str(column).partition(" ")[0]
        both = np.stack([ours[column].to_numpy(float), theirs[column].to_numpy(float)])
        both = np.abs(both) if name == "s_amplitude" else both
        pairs.setdefault(name, []).append(tuple(both[:, np.isfinite(both).all(axis=0)]))
    joined = {name: [np.concatenate(side) for side in zip(*parts, strict=True)] for name, parts in pairs.items()}
    return [
        Agreement(name, *joined[name]) for name in (*GLOBAL, *AMPLITUDES) if name in joined and len(joined[name][0])
    ]


def pairs_table(run: MeasurementRun) -> pd.DataFrame:
    """All pairs, one a row: engine, record, measure, unit, ours, theirs."""

    def long(values: pd.DataFrame, side: str) -> pd.DataFrame:
        return values.rename_axis("record").reset_index().melt("record", var_name="measure", value_name=side)

    parts = [
        long(run.ours, "ours").merge(long(theirs, "theirs"), on=["record", "measure"]).dropna().assign(engine=engine)
        for engine, theirs in run.theirs.items()
    ]
    pairs = pd.concat(parts, ignore_index=True)
    pairs["unit"] = pairs["measure"].map(unit_of)
    return pairs[["engine", "record", "measure", "unit", "ours", "theirs"]].round(3)


def measurement_report(run: MeasurementRun, name: str) -> EvaluationReport:
    """A table per engine and a Bland-Altman plot per measure; `name`: of the data."""
    tables, plots = [], {}
    for engine, theirs in run.theirs.items():
        found = agreements(run, engine)
        rows = [ScoreRow(f"{each.name} ({each.unit})", "agreement", each.scores()) for each in found]
        if not rows:
            run.problems.append(f"{engine}: no measure in common with ours")
            continue
        count = int(theirs.index.isin(run.ours.index).sum())
        columns = list(found[0].scores())
        # Agreement of the measuring engine is no result of a model: nothing of it goes into a card.
        tables.append(
            ScoreTable(f"gem-ecg minus {engine}", name, "all", count, columns, rows, baselines=tuple(columns))
        )
        for each in found:
            plots[f"{engine}_{each.name}"] = BlandAltman(
                f"{each.name}: gem-ecg minus {engine}", each.means, each.differences, each.unit
            )
    data = ([key, *row] for key, row in zip(run.ours.index, run.ours.to_numpy().tolist(), strict=True))
    return EvaluationReport(
        "Measurements beside those of others",
        tables,
        describe_data(name, data),
        notes=[NOTE],
        problems=run.problems,
        plots=plots,
    )


__all__ = [
    "Agreement",
    "MeasurementRun",
    "agreements",
    "header_values",
    "measure",
    "measurement_report",
    "our_values",
    "pairs_table",
    "read_values",
    "short_id",
    "unit_of",
]
