# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PTB-XL (Wagner et al. 2020, doi:10.1038/s41597-020-0495-6) as records with labels, from its WFDB layout or from Parquet."""

import ast
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgFormatError, GemError

logger = logging.getLogger(__name__)

TRAIN_FOLDS, VALIDATION_FOLD = tuple(range(1, 9)), 9
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")

# SCP-ECG statement -> (superclass or None, how an interpretation says it). Superclasses: PTB-XL's scp_statements.csv.
STATEMENTS: dict[str, tuple[str | None, str]] = {
    "NORM": ("NORM", "normal ECG"),
    "IMI": ("MI", "inferior myocardial infarction"),
    "ASMI": ("MI", "anteroseptal myocardial infarction"),
    "ILMI": ("MI", "inferolateral myocardial infarction"),
    "AMI": ("MI", "anterior myocardial infarction"),
    "ALMI": ("MI", "anterolateral myocardial infarction"),
    "LMI": ("MI", "lateral myocardial infarction"),
    "IPLMI": ("MI", "inferoposterolateral myocardial infarction"),
    "IPMI": ("MI", "inferoposterior myocardial infarction"),
    "PMI": ("MI", "posterior myocardial infarction"),
    "INJAS": ("MI", "anteroseptal subendocardial injury"),
    "INJAL": ("MI", "anterolateral subendocardial injury"),
    "INJLA": ("MI", "lateral subendocardial injury"),
    "INJIN": ("MI", "inferior subendocardial injury"),
    "INJIL": ("MI", "inferolateral subendocardial injury"),
    "NDT": ("STTC", "non-diagnostic T wave changes"),
    "NST_": ("STTC", "non-specific ST changes"),
    "DIG": ("STTC", "digitalis effect"),
    "LNGQT": ("STTC", "long QT interval"),
    "ISC_": ("STTC", "ischaemic ST-T changes"),
    "ISCAL": ("STTC", "anterolateral ischaemia"),
    "ISCIN": ("STTC", "inferior ischaemia"),
    "ISCIL": ("STTC", "inferolateral ischaemia"),
    "ISCAS": ("STTC", "anteroseptal ischaemia"),
    "ISCLA": ("STTC", "lateral ischaemia"),
    "ISCAN": ("STTC", "anterior ischaemia"),
    "ANEUR": ("STTC", "ST-T changes of ventricular aneurysm"),
    "EL": ("STTC", "electrolyte disturbance or drug effect"),
    "LAFB": ("CD", "left anterior fascicular block"),
    "LPFB": ("CD", "left posterior fascicular block"),
    "IRBBB": ("CD", "incomplete right bundle branch block"),
    "CRBBB": ("CD", "complete right bundle branch block"),
    "CLBBB": ("CD", "complete left bundle branch block"),
    "ILBBB": ("CD", "incomplete left bundle branch block"),
    "IVCD": ("CD", "non-specific intraventricular conduction disturbance"),
    "1AVB": ("CD", "first degree AV block"),
    "2AVB": ("CD", "second degree AV block"),
    "3AVB": ("CD", "third degree AV block"),
    "WPW": ("CD", "Wolff-Parkinson-White pattern"),
    "LVH": ("HYP", "left ventricular hypertrophy"),
    "RVH": ("HYP", "right ventricular hypertrophy"),
    "SEHYP": ("HYP", "septal hypertrophy"),
    "LAO/LAE": ("HYP", "left atrial enlargement"),
    "RAO/RAE": ("HYP", "right atrial enlargement"),
    "PVC": (None, "ventricular premature complexes"),
    "PAC": (None, "atrial premature complexes"),
}
RHYTHMS = {
    "SR": "sinus rhythm",
    "SARRH": "sinus arrhythmia",
    "STACH": "sinus tachycardia",
    "SBRAD": "sinus bradycardia",
    "AFIB": "atrial fibrillation",
    "AFLT": "atrial flutter",
    "PACE": "paced rhythm",
    "SVTAC": "supraventricular tachycardia",
    "PSVT": "paroxysmal supraventricular tachycardia",
    "SVARR": "supraventricular arrhythmia",
    "BIGU": "bigeminy",
    "TRIGU": "trigeminy",
}


def superclass_of(code: str) -> str | None:
    """None for rhythms, forms, and statements that no interpretation names."""
    return STATEMENTS.get(code, (None, ""))[0]


def superclasses_of(codes: Mapping[str, float]) -> set[str]:
    """Superclasses of all diagnostic statements with a likelihood above 0, as in PTB-XL's own benchmark."""
    stated = (superclass_of(code) for code, likelihood in codes.items() if likelihood > 0)
    return {superclass for superclass in stated if superclass}


@dataclass(frozen=True)
class PtbxlItem:
    """A record and what PTB-XL says about it. `codes`: SCP statement -> likelihood in percent (0: not stated)."""

    record: EcgRecord
    codes: dict[str, float]
    fold: int

    @property
    def superclasses(self) -> set[str]:
        return superclasses_of(self.codes)

    @property
    def rhythm(self) -> str | None:
        return next((text for code, text in reversed(RHYTHMS.items()) if code in self.codes), None)


def read_ptbxl(folder: str | Path, folds: tuple[int, ...] = (*TRAIN_FOLDS, VALIDATION_FOLD)) -> Iterator[PtbxlItem]:
    """
    The records of the given folds. `folder` is PTB-XL as published (`ptbxl_database.csv`, `records500/`) or holds Parquet
    files with its columns and `signal_uv` (int16 microvolts, lead after lead). A record that cannot be read is logged as
    a warning and left out.

    Raises:
        EcgFormatError: `folder` is neither.
    """
    folder = Path(folder)
    parquets = sorted(folder.glob("*.parquet"))
    table = folder / "ptbxl_database.csv"
    if not parquets and not table.is_file():
        raise EcgFormatError(f"{folder}: neither ptbxl_database.csv nor Parquet files; give PTB-XL's folder.")
    for frame in (pd.read_parquet(path) for path in parquets) if parquets else [pd.read_csv(table)]:
        for row in frame[frame.strat_fold.isin(folds)].itertuples(index=False):
            try:
                yield PtbxlItem(_record(row, folder), ast.literal_eval(str(row.scp_codes)), int(str(row.strat_fold)))
            except (GemError, FileNotFoundError) as error:
                logger.warning("left out: %s", error)


def _record(row, folder: Path) -> EcgRecord:
    name = f"ptbxl/{int(row.ecg_id):05d}"
    if not hasattr(row, "signal_uv"):
        return load_ecg(folder / row.filename_hr, record_id=name)
    microvolts = np.frombuffer(row.signal_uv, dtype=np.int16).reshape(len(STANDARD_LEADS), -1)
    return EcgRecord(microvolts / np.float32(1000), STANDARD_LEADS, 500.0, record_id=name)
