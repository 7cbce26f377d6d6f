# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PTB-XL+ 1.0.1 (Strodthoff et al. 2023, doi:10.1038/s41597-023-02153-8; CC BY 4.0): measurements and statements of other engines.

The published folder holds `features/{12sl,ecgdeli,unig}_features.csv` (Marquette 12SL, KIT's ECGdeli, University of Glasgow; ms, mV
and degrees, one row per `ecg_id`, in no order), `median_beats/{12sl/00000/00001,unig/00000/000001}_medians` (WFDB) and
`labels/12sl_statements.csv`. What its tables call by one name is not always one thing, and its median beats have two faults; both are
dealt with here.
"""

import ast
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgFormatError

Engine = Literal["12sl", "ecgdeli", "unig"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
RR = "RR_Mean_Global"
# Glasgow's flag of a frontal axis that it could not determine.
INDETERMINATE_AXIS = "QRS_AxisIndet_Global"
# Our name -> the engines' columns, the first that a table has counts. ECGdeli's `HA__Global` is no axis in degrees but a class of 1 to 6.
COLUMNS = {
    "heart_rate": ("HR_Ventr_Global", "HR__Global"),
    "pr_interval": ("PR_Int_Global",),
    "qrs_duration": ("QRS_Dur_Global",),
    "qt_interval": ("QT_Int_Global",),
    "qrs_axis": ("R_AxisFrontal_Global", "QRS_AxisFront_Global"),
    "p_axis": ("P_AxisFront_Global", "P_AxisFrontal_Global"),
    "t_axis": ("T_AxisFront_Global", "T_AxisFrontal_Global"),
}
# ECGdeli's PR ends at the R peak, its PQ at the onset of the QRS (`ExtractIntervalFeaturesFromFPT.m` of ECGdeli 1.1).
ECGDELI_COLUMNS = COLUMNS | {"pr_interval": ("PQ_Int_Global",)}
POSITIVE = ("heart_rate", "pr_interval", "qrs_duration", "qt_interval")
_PER_LEAD = {"r_amplitude": "R_Amp_{}", "s_amplitude": "S_Amp_{}", "t_amplitude": "T_Amp_{}"}
# The headers of 12SL's median beats name the record and its signal file in a folder that is not there.
STRAY_FOLDER = "ge_median_beats_wfdb/"
STEM_DIGITS = {"12sl": 5, "unig": 6}
# Glasgow's median beats are microvolts; their headers call them mV.
UNITS = {"unig": "uV"}


def is_ptbxl_plus(folder: Path) -> bool:
    """Whether a folder holds at least one engine's table of features."""
    return any(_features(folder, engine).is_file() for engine in ENGINES)


def read_ptbxl_plus(folder: str | Path, engine: Engine) -> pd.DataFrame:
    """
    The measurements of an engine: a row per ECG (index `ecg_id`), columns by our names: `pr_interval`, `qrs_axis`, `r_amplitude V5` ...
    in ms, bpm, degrees and mV; NaN for missing values, also where Glasgow calls the axis indeterminate. Columns that the engine does not
    have are left out.

    Raises:
        EcgFormatError: the folder lacks the engine's table, or the table `ecg_id` or all of the columns.
    """
    table = _features(Path(folder), engine)
    if not table.is_file():
        raise EcgFormatError(f"{table}: there is no such table; give PTB-XL+'s folder, the one that holds features/.")
    names = dict(ECGDELI_COLUMNS if engine == "ecgdeli" else COLUMNS)
    for name, pattern in _PER_LEAD.items():
        names |= {f"{name} {lead}": (pattern.format(lead),) for lead in STANDARD_LEADS}
    wanted = {"ecg_id", RR, INDETERMINATE_AXIS}.union(*names.values())
    published = pd.read_csv(table, usecols=lambda column: column in wanted)
    if "ecg_id" not in published:
        raise EcgFormatError(f"{table}: no column `ecg_id`; is it PTB-XL+'s?")
    published = published.set_index("ecg_id").apply(pd.to_numeric, errors="coerce")
    found = {
        name: next((column for column in columns if column in published), None) for name, columns in names.items()
    }
    values = pd.DataFrame({name: published[column] for name, column in found.items() if column is not None})
    if "heart_rate" not in values and RR in published:
        values["heart_rate"] = 60000 / published[RR]
    if values.columns.empty:
        raise EcgFormatError(f"{table}: none of PTB-XL+'s columns, such as QRS_Dur_Global, is in it.")
    if "qrs_axis" in values and INDETERMINATE_AXIS in published:
        values["qrs_axis"] = values["qrs_axis"].where(published[INDETERMINATE_AXIS].fillna(0) == 0)
    measured = values.columns.intersection(list(POSITIVE))
    values[measured] = values[measured].where(values[measured] > 0)
    return values


def read_median_beat(folder: str | Path, engine: Engine, ecg_id: int) -> EcgRecord:
    """
    The engine's representative beat, 12 leads in mV, 1.2 s at 500 Hz.

    Glasgow's samples are read as microvolts, which their headers call mV; the record's history says so.

    Raises:
        EcgFormatError: there is no such WFDB record; ECGdeli published no median beats, and some ECGs have none.
    """
    place = Path(folder) / "median_beats" / engine / f"{ecg_id // 1000 * 1000:05d}"
    header = place / f"{ecg_id:0{STEM_DIGITS.get(engine, 5)}d}_medians.hea"
    if not header.is_file():
        raise EcgFormatError(f"{header}: there is no such record; 12sl and unig have median beats, of most ECGs.")
    with tempfile.TemporaryDirectory() as scratch:
        # The reader opens only files that a header names in its own folder.
        copy = Path(scratch) / header.name
        copy.write_text(header.read_text().replace(STRAY_FOLDER, ""))
        signal = header.with_suffix(".dat")
        if signal.is_file():
            shutil.copy(signal, scratch)
        beat = load_ecg(copy, unit=UNITS.get(engine))
    return replace(beat, source=str(header))


def read_12sl_statements(folder: str | Path) -> dict[int, tuple[str, ...]]:
    """
    ECG -> the statements of 12SL, as its codes.

    Raises:
        EcgFormatError: the folder lacks the table, or its columns are others.
    """
    table = Path(folder) / "labels/12sl_statements.csv"
    if not table.is_file():
        raise EcgFormatError(f"{table}: there is no such table; give PTB-XL+'s folder, the one that holds labels/.")
    rows = pd.read_csv(table)
    if not {"ecg_id", "statements"} <= set(rows):
        raise EcgFormatError(f"{table}: columns ecg_id and statements are expected, got {list(rows)}.")
    return {
        int(number): tuple(str(code) for code in ast.literal_eval(codes))
        for number, codes in zip(rows["ecg_id"], rows["statements"], strict=True)
    }


def _features(folder: Path, engine: Engine) -> Path:
    return folder / "features" / f"{engine}_features.csv"


__all__ = ["ENGINES", "Engine", "is_ptbxl_plus", "read_12sl_statements", "read_median_beat", "read_ptbxl_plus"]
