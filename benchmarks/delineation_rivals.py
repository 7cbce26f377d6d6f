# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Libraries that delineate an ECG, each as `MarkedEcg -> marks of every lead`; none is needed by gem-ecg itself.

neurokit2 (MIT), wfdb (MIT; beats only), openecg (Apache-2.0; trained on LUDB's training part, QTDB and ISP) and wavedet (GPL-2,
a port of ecg-kit's) work lead by lead. ecgdeli (GPL-3, a port of the KIT's toolbox) sees all leads and marks each. A lead on
which a library raises has no marks, and is counted. The two under the GPL are for an environment of this benchmark only.
"""

import importlib.util
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from tests.helpers.delineation_scoring import WAVES, MarkedEcg

Marks = list[dict[str, np.ndarray]]
Method = Callable[[MarkedEcg], Marks]
FAILURES: dict[str, int] = defaultdict(int)
NEEDS = {
    "neurokit2 dwt": ("neurokit2",),
    "neurokit2 prominence": ("neurokit2",),
    "wfdb xqrs": ("wfdb",),
    "openecg": ("openecg", "ai_edge_litert"),
    "ecgdeli": ("ecgdeli",),
    "wavedet": ("wavedet",),
}


def installed_rivals() -> dict[str, Method]:
    """The methods whose packages are installed; of the others a line says what to install."""
    methods: dict[str, Method] = {
        "neurokit2 dwt": neurokit("dwt"),
        "neurokit2 prominence": neurokit("prominence"),
        "wfdb xqrs": wfdb_beats,
        "openecg": openecg,
        "ecgdeli": ecgdeli,
        "wavedet": wavedet,
    }
    for name, packages in NEEDS.items():
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if missing:
            print(f"left out: {name} (pip install {' '.join(missing).replace('_', '-')})")
            del methods[name]
    return methods


def _nothing() -> dict[str, np.ndarray]:
    return {wave: np.zeros((0, 3)) for wave in WAVES}


def _lead_by_lead(name: str, mark_lead: Callable[[np.ndarray, float], dict[str, np.ndarray]]) -> Method:
    def delineate_leads(record: MarkedEcg) -> Marks:
        result = []
        for row in record.signal:
            try:
                result.append(_nothing() | mark_lead(row, record.sampling_rate))
            except Exception:
                FAILURES[name] += 1
                result.append(_nothing())
        return result

    return delineate_leads


def neurokit(method: str) -> Method:
    """neurokit2 as its manual shows it: clean, peaks, delineate."""
    stems = {"P": "ECG_P", "QRS": "ECG_R", "T": "ECG_T"}

    def mark_lead(row: np.ndarray, rate: float) -> dict[str, np.ndarray]:
        import neurokit2 as nk

        clean = nk.ecg_clean(row, sampling_rate=rate)
        peaks = nk.ecg_peaks(clean, sampling_rate=rate)[1]["ECG_R_Peaks"]
        waves = nk.ecg_delineate(clean, peaks, sampling_rate=rate, method=method)[1]
        marks = {}
        for wave, stem in stems.items():
            on, off = (np.asarray(waves[f"{stem}_{end}"], dtype=float) for end in ("Onsets", "Offsets"))
            peak = peaks if wave == "QRS" else np.asarray(waves[f"{stem}_Peaks"], dtype=float)
            length = min(len(on), len(peak), len(off))
            marks[wave] = np.stack([on[:length], peak[:length], off[:length]], axis=1)
        return marks

    return _lead_by_lead(f"neurokit2 {method}", mark_lead)


def _wfdb_lead(row: np.ndarray, rate: float) -> dict[str, np.ndarray]:
    from wfdb import processing

    detector = processing.XQRS(sig=row, fs=rate)
    detector.detect(verbose=False)
    peaks = np.asarray(detector.qrs_inds, dtype=float)
    unknown = np.full(len(peaks), np.nan)
    return {"QRS": np.stack([unknown, peaks, unknown], axis=1)}


wfdb_beats = _lead_by_lead("wfdb xqrs", _wfdb_lead)


@lru_cache(maxsize=1)
def _openecg_model() -> Any:
    from openecg.deploy import Inference

    return Inference()


def _openecg_lead(row: np.ndarray, rate: float) -> dict[str, np.ndarray]:
    """Onsets and offsets by openecg (20 ms frames at 250 Hz); the peak is the sample farthest from the chord."""
    from scipy.signal import resample_poly

    slow = resample_poly(row, 250, int(rate))
    marks = defaultdict(list)
    for number, window in enumerate(_openecg_model().predict(slow)):
        for boundary in window:
            on, off = (2500 * number + at for at in (boundary.start, boundary.end))
            part = slow[on : off + 1]
            if len(part):
                peak = on + np.abs(part - np.linspace(part[0], part[-1], len(part))).argmax()
                marks[boundary.name].append((on, peak, off))
    return {wave: np.array(rows, dtype=float).reshape(-1, 3) * rate / 250 for wave, rows in marks.items()}


openecg = _lead_by_lead("openecg", _openecg_lead)


def ecgdeli(record: MarkedEcg) -> Marks:
    """ecgdeli as its manual shows it: filter, annotate all leads; the marks are those of each lead."""
    import ecgdeli as library
    from ecgdeli.fpt import Wave

    try:
        filtered = library.filter_ecg(record.signal.T, record.sampling_rate)
        leads = library.annotate(filtered, record.sampling_rate).leads
    except Exception:
        FAILURES["ecgdeli"] += len(record.signal)
        return [_nothing() for _ in record.signal]
    columns = {
        "P": [Wave.P_ON, Wave.P_PEAK, Wave.P_OFF],
        "QRS": [Wave.QRS_ON, Wave.R_PEAK, Wave.QRS_OFF],
        "T": [Wave.T_ON, Wave.T_PEAK, Wave.T_OFF],
    }
    return [{wave: lead.samples[:, points] for wave, points in columns.items()} for lead in leads]


def _wavedet_lead(row: np.ndarray, rate: float) -> dict[str, np.ndarray]:
    from wavedet import delineate

    found = delineate(row, int(rate))
    waves = {
        "P": (found.p_on, found.p, found.p_off),
        "QRS": (found.qrs_on, found.qrs, found.qrs_off),
        "T": (found.t_on, found.t, found.t_off),
    }
    marks = {wave: np.stack(points, axis=1) for wave, points in waves.items()}
    return {wave: rows[np.isfinite(rows).any(axis=1)] for wave, rows in marks.items()}


wavedet = _lead_by_lead("wavedet", _wavedet_lead)
