# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Writes small folders in the layouts of published ECG data sets, with known signals."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from processing.ecg_record import STANDARD_LEADS
from processing.simulator.simulator import simulate_ecg
from tests.helpers.ecg_files import LEADS, microvolts, write_wfdb

MIMIC_ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")


def simulated_microvolts(seed: int = 0, heart_rate: float = 70, seconds: float = 10) -> np.ndarray:
    """int16 (12, samples) in uV, 500 Hz: an ECG whose waves are found."""
    signal = simulate_ecg(heart_rate=heart_rate, seed=seed).record.select_leads(STANDARD_LEADS).signal
    return np.rint(signal[:, : round(500 * seconds)] * 1000).astype(np.int16)


# (patient, study)
MIMIC_STUDIES = (("10000032", "40689238"), ("10000032", "44458630"), ("10000117", "45090959"))


def mimic_place(subject: str, study: str) -> str:
    return f"files/p{subject[:4]}/p{subject}/s{study}"


def mimic_tree(folder: Path, studies: Sequence[tuple[str, str]] = MIMIC_STUDIES) -> dict[str, np.ndarray]:
    """Studies of some patients; the last study's files are missing. Returns study -> counts of 5 uV in standard order."""
    rows, reports, signals = [], [], {}
    for number, (subject, study) in enumerate(studies):
        place = mimic_place(subject, study)
        rows.append(
            {
                "subject_id": subject,
                "study_id": study,
                "file_name": study,
                "ecg_time": "2180-07-23 08:44:00",
                "path": f"{place}/{study}",
            }
        )
        lines = {f"report_{i}": None for i in range(18)} | {
            "report_0": "Sinus rhythm.",
            "report_1": "Left axis deviation",
            "report_17": "Borderline ECG",
        }
        reports.append({"subject_id": subject, "study_id": study, "cart_id": 1, **lines, "rr_interval": 659})
        if number < len(studies) - 1:
            signals[study] = simulated_microvolts(number) // 5
            (folder / place).mkdir(parents=True)
            rows_in_order = np.stack([signals[study][LEADS.index(lead)] for lead in MIMIC_ORDER])
            write_wfdb(folder / place, study, rows_in_order, MIMIC_ORDER, adc_gain=[200.0] * 12)
    pd.DataFrame(rows).to_csv(folder / "record_list.csv", index=False)
    pd.DataFrame(reports).to_csv(folder / "machine_measurements.csv", index=False)
    return signals


def grounding_rows(studies: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Rows of LANSG/ECG-Grounding about studies of `mimic_tree`, with the keys that are published."""
    ask = (
        "<image>\nInterpret the provided ECG image, identify key features and abnormalities in each lead, and generate a "
        "clinical diagnosis that is supported by the observed evidence."
    )
    answer = "Every QRS of lead II follows a P wave at 70 bpm: sinus rhythm. The QRS is narrow, the axis normal."
    return [
        {
            "id": study,
            "image": f"mimic/{study}-0.png",
            "ecg": f"mimic-iv/{mimic_place(subject, study)}/{study}",
            "conversations": [{"from": "human", "value": ask}, {"from": "gpt", "value": answer}],
            "machine_measurements": {"II": {"Heart Rate": [70, 70], "QRS Duration": [92, 90]}},
            "report": "Sinus rhythm. Left axis deviation. Borderline ECG",
        }
        for subject, study in studies
    ]


def code15_tree(folder: Path) -> dict[int, np.ndarray]:
    """Two exams of 400 Hz in one part, one zero padded; a third is in a part that is not there. Exam -> mV."""
    folder.mkdir(parents=True, exist_ok=True)
    signals = {}
    tracings = np.zeros((2, 4096, 12), dtype=np.float32)
    for row, (exam, samples) in enumerate(((590673, 4096), (1325, 2934))):
        millivolts = microvolts(rate=400, seconds=samples / 400, seed=row) / np.float32(1000)
        start = (4096 - samples) // 2
        tracings[row, start : start + samples] = millivolts.T
        signals[exam] = millivolts
    with h5py.File(folder / "exams_part0.hdf5", "w") as file:
        file["exam_id"], file["tracings"] = np.array(list(signals)), tracings
    rows = [
        {"exam_id": 590673, "age": 38, "is_male": True, "1dAVb": True, "AF": False, "patient_id": 7, "trace_file": "exams_part0.hdf5"},
        {"exam_id": 1325, "age": 95, "is_male": False, "1dAVb": False, "AF": True, "patient_id": 8, "trace_file": "exams_part0.hdf5"},
        {"exam_id": 99, "age": 50, "is_male": False, "1dAVb": False, "AF": False, "patient_id": 8, "trace_file": "exams_part9.hdf5"},
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "exams.csv", index=False)
    return signals


def sph_tree(folder: Path) -> None:
    (folder / "records").mkdir(parents=True)
    for number in range(2):
        with h5py.File(folder / "records" / f"A0000{number + 1}.h5", "w") as file:
            file["ecg"] = (microvolts(seed=number) / 1000).astype(np.float16)
    rows = [
        {"ECG_ID": "A00001", "AHA_Code": "22;23", "Patient_ID": "S00001", "Age": 55, "Sex": "M", "N": 5000},
        {"ECG_ID": "A00002", "AHA_Code": "60+310;104", "Patient_ID": "S00002", "Age": 32, "Sex": "F", "N": 5000},
    ]
    pd.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)


def ptbxl_tree(
    folder: Path,
    records: int = 6,
    folds: tuple[int, ...] = (1, 1, 8, 9, 10, 3),
    codes: str = "{'NORM': 100.0, 'SR': 0.0}",
) -> None:
    """PTB-XL's folder; records 1 and 2 are of one patient."""
    rows = []
    for number in range(1, records + 1):
        name = f"records500/00000/{number:05d}_hr"
        (folder / "records500/00000").mkdir(parents=True, exist_ok=True)
        write_wfdb(folder / "records500/00000", f"{number:05d}_hr", simulated_microvolts(number, 60 + 5 * number))
        rows.append(
            {"ecg_id": number, "patient_id": 100.0 + max(number, 2), "age": 300.0 if number == 3 else 50.0 + number, "sex": number % 2,
             "report": "sinusrhythmus normales ekg", "scp_codes": codes, "validated_by_human": True,
             "strat_fold": folds[(number - 1) % len(folds)], "filename_lr": name, "filename_hr": name}
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "ptbxl_database.csv", index=False)


def ptbxl_plus_tree(folder: Path, records: int = 4) -> None:
    """PTB-XL+'s folder about the records of `ptbxl_tree`: features of three engines, median beats and statements of 12SL.

    As in release 1.0.1, with its oddities: 12SL's rows are in no order and their key is not the first column, ECGdeli's PR ends at the R
    peak and its heart axis is a class, the headers of 12SL's beats name a folder, and Glasgow's beats are microvolts called mV.
    """
    numbers = list(range(1, records + 1))
    rates = [60 + 5 * number for number in numbers]
    shared = {
        "QRS_Dur_Global": [92.0] * records,
        "QT_Int_Global": [390.0] * records,
        "ecg_id": numbers,
        "RR_Mean_Global": [round(60000 / rate) for rate in rates],
        "R_Amp_V5": [1.2] * records,
        "S_Amp_V1": [-0.8] * records,
    }
    tables = {
        "12sl": {
            "PR_Int_Global": [140.0] * records,
            "HR_Ventr_Global": rates,
            "R_AxisFrontal_Global": [42.0] * records,
        },
        "ecgdeli": {
            "PQ_Int_Global": [150.0] * records,
            "PR_Int_Global": [190.0] * records,
            "HA__Global": [3] * records,
        },
        "unig": {
            "PR_Int_Global": [None, *[145.0] * (records - 1)],
            "QRS_AxisFront_Global": [40.0] * records,
            "QRS_AxisIndet_Global": [1, *[0] * (records - 1)],
        },
    }
    (folder / "features").mkdir(parents=True)
    (folder / "labels").mkdir()
    for engine, columns in tables.items():
        rows = pd.DataFrame(shared | columns)
        if engine == "12sl":
            rows = rows.iloc[[0, *range(records - 1, 0, -1)]]
        rows.to_csv(folder / f"features/{engine}_features.csv", index=False)
    statements = ["['NSR', 'NML']"] * records
    pd.DataFrame({"ecg_id": numbers, "statements": statements}).to_csv(
        folder / "labels/12sl_statements.csv", index=False
    )
    for engine in ("12sl", "unig"):
        (folder / f"median_beats/{engine}/00000").mkdir(parents=True)
    for number in numbers:
        beat = simulated_microvolts(number)[:, :600]
        header = write_wfdb(folder / "median_beats/12sl/00000", f"{number:05d}_medians", beat)
        header.write_text(header.read_text().replace(f"{number:05d}_", f"ge_median_beats_wfdb/{number:05d}_"))
        unig = {"fmt": ["212"] * 12, "adc_gain": [1.0] * 12}
        write_wfdb(folder / "median_beats/unig/00000", f"{number:06d}_medians", beat, **unig)


def challenge_tree(folder: Path, name: str, dx: str) -> None:
    """A record of the PhysioNet Challenges in a sub-folder, codes in the header's comments."""
    place = folder / "g1"
    place.mkdir(parents=True, exist_ok=True)
    write_wfdb(place, name, microvolts(), comments=["Age: 74", "Sex: Male", f"Dx: {dx}", "Rx: Unknown"])


def conversation_files(folder: Path) -> dict[str, Path]:
    """One row or more of each published set of conversations about the ECGs of `mimic_tree` and `ptbxl_tree`."""
    study = "p1000/p10000032/s40689238/40689238"
    ask, answer = "<image>\nInterpret the ECG.", "Sinus rhythm at 70 bpm."
    turns = [{"from": "human", "value": ask}, {"from": "gpt", "value": answer}]
    grounding = [
        {"id": "a", "image": "x.png", "ecg": f"mimic-iv/files/{study}", "conversations": turns, "machine_measurements": {}, "report": "Sinus rhythm."},
        {"id": "b", "image": "x.png", "ecg": "ecg_ptbxl_benchmarking/data/ptbxl/records500/00000/00002_hr", "conversations": turns, "report": ""},
        {"id": "c", "image": "x.png", "ecg": "mimic-iv/files/p1000/p10000117/s45090959/45090959", "conversations": turns},
        {"id": "d", "image": "x.png", "ecg": f"mimic-iv/files/{study}", "conversations": [{"from": "robot", "value": "x"}]},
        {"id": "e", "image": "x.png", "conversations": turns},
    ]  # fmt: skip
    instruct = [{"id": "mimic-40689238", "image": f"mimic/{study}-0.png", "conversations": turns}]
    r1 = [
        {"id": "q", "source": "MIMIC-IV-ECG", "images": ["x.png"], "objects": {"ecg": [f"mimic/files/{study}"]},
         "messages": [{"role": "system", "content": "You read ECGs."}, {"role": "user", "content": "<ecg><image>\nWhat?"},
                      {"role": "assistant", "content": "<think>Rate 70.</think> <answer>sinus rhythm</answer>"}]}
    ]  # fmt: skip
    bench = [
        {"id": "1", "image_path": f"mimic/{study}-0.png", "conversations": [{"from": "human", "value": ["A?"]}, {"from": "gpt", "value": ["yes", "no"]}]},
        {"id": "2", "image_path": f"mimic/{study}-0.png", "conversations": [{"from": "human", "value": ["B?"]}, {"from": "gpt", "value": ["I"]}]},
    ]  # fmt: skip
    qa = [
        {"template_id": 1, "question_id": 1, "sample_id": 1, "question_type": "single-verify", "question": "Normal?", "answer": ["yes"], "ecg_id": [1], "split": "train"},
        {"template_id": 2, "question_id": 2, "sample_id": 2, "question_type": "comparison_consecutive-query", "question": "What changed?", "answer": [], "ecg_id": [1, 2], "split": "train"},
        {"template_id": 2, "question_id": 2, "sample_id": 3, "question_type": "comparison_irrelevant-query", "question": "What changed?", "answer": ["rate"], "ecg_id": [1, 4], "split": "train"},
        {"template_id": 1, "question_id": 1, "sample_id": 4, "question_type": "single-verify", "question": "Normal?", "answer": ["yes"], "ecg_id": [77], "split": "valid"},
    ]  # fmt: skip
    files = {name: folder / f"{name}.json" for name in ("grounding", "instruct", "qa")}
    for name, rows in (("grounding", grounding), ("instruct", instruct), ("qa", qa)):
        files[name].write_text(json.dumps(rows))
    files["r1"] = folder / "r1.jsonl"
    files["r1"].write_text("".join(json.dumps(row) + "\n" for row in r1))
    files["bench"] = folder / "bench.parquet"
    pd.DataFrame(bench).to_parquet(files["bench"])
    return files
