# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PTB-XL+ (Strodthoff et al. 2023, doi:10.1038/s41597-023-02153-8; CC BY 4.0): measurements and statements of other engines on PTB-XL.

The published folder holds `features/{12sl,ecgdeli,unig}_features.csv` (Marquette 12SL, KIT's ECGdeli, University of Glasgow; ms, mV
and degrees, one row per `ecg_id`), `median_beats/{12sl,unig}/00000/00001_medians` (WFDB) and `labels/12sl_statements.csv`.
"""

import ast
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgFormatError

Engine = Literal["12sl", "ecgdeli", "unig"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
RR, RATE = "RR_Mean_Global", "HR_Ventr_Global"
# Our name -> the engines' columns, the first that a table has counts. Per lead see `_PER_LEAD`.
COLUMNS = {
    "heart_rate": (RATE, "HR__Global"),
    "pr_interval": ("PR_Int_Global",),
    "qrs_duration": ("QRS_Dur_Global",),
    "qt_interval": ("QT_Int_Global",),
    "qrs_axis": ("R_AxisFrontal_Global", "QRS_AxisFront_Global", "HA__Global"),
    "p_axis": ("P_AxisFront_Global", "P_AxisFrontal_Global"),
    "t_axis": ("T_AxisFront_Global", "T_AxisFrontal_Global"),
}
_PER_LEAD = {"r_amplitude": "R_Amp_{}", "s_amplitude": "S_Amp_{}", "t_amplitude": "T_Amp_{}"}


def is_ptbxl_plus(folder: Path) -> bool:
    """Whether a folder holds at least one engine's table of features."""
    return any(_features(folder, engine).is_file() for engine in ENGINES)


def read_ptbxl_plus(folder: str | Path, engine: Engine) -> pd.DataFrame:
    """
    The measurements of an engine: a row per ECG (index `ecg_id`), columns by our names: `pr_interval`, `qrs_axis`, `r_amplitude V5` ...
    in ms, bpm, degrees and mV; NaN for missing values. Columns that the engine does not have are left out.

    Raises:
        EcgFormatError: the folder lacks the engine's table, or the table `ecg_id` or all of the columns.
    """
    table = _features(Path(folder), engine)
    if not table.is_file():
        raise EcgFormatError(f"{table}: there is no such table; give PTB-XL+'s folder, the one that holds features/.")
    published = pd.read_csv(table)
    if "ecg_id" not in published:
        raise EcgFormatError(f"{table}: no column `ecg_id`; is it PTB-XL+'s?")
    published = published.set_index("ecg_id")
    found = {
        name: next((published[column] for column in columns if column in published), None)
        for name, columns in COLUMNS.items()
    }
    if found["heart_rate"] is None and RR in published:
        found["heart_rate"] = 60000 / published[RR]
    for name, pattern in _PER_LEAD.items():
        found |= {f"{name} {lead}": published.get(pattern.format(lead)) for lead in STANDARD_LEADS}
    known = {name: pd.to_numeric(values, errors="coerce") for name, values in found.items() if values is not None}
    if not known:
        raise EcgFormatError(f"{table}: none of PTB-XL+'s columns, such as PR_Int_Global, is in it.")
    return pd.DataFrame(known)


def read_median_beat(folder: str | Path, engine: Engine, ecg_id: int) -> EcgRecord:
    """
    The engine's representative beat, 12 leads in mV.

    Raises:
        EcgFormatError: there is no such WFDB record; ECGdeli published no median beats.
    """
    place = Path(folder) / "median_beats" / engine / f"{ecg_id // 1000 * 1000:05d}" / f"{ecg_id:05d}_medians"
    return load_ecg(str(place))


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
