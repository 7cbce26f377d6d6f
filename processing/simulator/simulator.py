# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""12-lead ECGs with exact truth: a dipole in the heart with waves of finite length, projected by Dower's matrix."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from processing.ecg_record import STANDARD_LEADS, EcgRecord
from processing.errors_gem import EcgFormatError

from .heart import (
    LEADS,
    MARKED_WAVES,
    Drawing,
    Heart,
    check_range,
    draw_ecg,
    draw_heart,
    hidden_p_waves,
    lead_marks,
)
from .pacing import PACING
from .patterns import CONDUCTION, CONDUCTION_WORDS, HYPERTROPHY, ISCHEMIA, REPOLARIZATION, Pattern
from .rhythms import RHYTHMS, Pace

PATTERNED = ("ischemia", "hypertrophy", "repolarization")
RESOLUTION_MV = 2.0**-10  # one step of the simulated converter, 0.98 uV: halves are exact in float32 too


@dataclass(frozen=True)
class NoiseLevels:
    """Disturbances in mV: SD of the baseline wander and of muscle noise, amplitude of the mains hum (Hz)."""

    wander: float = 0.030
    muscle: float = 0.006
    mains: float = 0.002
    mains_frequency: float = 50.0


@dataclass(frozen=True, eq=False)
class SimulatedEcg:
    """A simulated ECG with its exact truth.

    Attributes:
        record: the ECG with noise; its report, labels (SCP-ECG codes) and rhythm go with it.
        clean: the same without noise, `(12, samples)` mV; the isoelectric line is exactly 0.
        beat_times: QRS onsets in s, `(beats,)`. beat_kinds: `normal`, `atrial_premature`, `ventricular_premature`,
            `escape`, `paced`, `paced_flat` (a QRS with a flat top) or `ventricular_tachycardia`.
        beat_fiducials: `"P"`, `"QRS"`, `"T"`, `"U"` -> mathematical onset, peak of the dipole and offset in s, `(beats, 3)`,
            NaN where a beat has no such wave.
        fiducials: the same per lead, `(12, waves, 3)`: first and last sample above 3 % of the wave's peak and 0.01 mV;
            NaN where the wave stays below 0.03 mV in that lead. `"P"` has every P wave, conducted or not.
        hidden_p: which P waves of `fiducials` lie, by more than 30 % of what is visible of them, within visible QRS
            complexes and T waves, where a reader could not mark them, `(waves,)` bool.
        intervals: `heart_rate` (bpm), `rr_interval`, `p_duration`, `pr_interval`, `qrs_duration`, `qt_interval`,
            `qtc_bazett`, `qtc_fridericia` (ms), `qrs_axis` (degrees); medians over the normal beats, or over all where none is
            normal; NaN where absent.
        st_level: lead -> mV at `J`, `J+60`, `J+80` ms of the first whole beat.
        pacing_spikes: all of them, s.
        settings: the arguments that were used, drawn ones included.
    """

    record: EcgRecord
    clean: np.ndarray
    beat_times: np.ndarray
    beat_kinds: tuple[str, ...]
    beat_fiducials: Mapping[str, np.ndarray]
    fiducials: Mapping[str, np.ndarray]
    hidden_p: np.ndarray
    intervals: Mapping[str, float]
    st_level: Mapping[str, Mapping[str, float]]
    pacing_spikes: np.ndarray
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labels(self) -> Mapping[str, float]:
        """The SCP statements of the ECG, with their likelihood in %."""
        return self.record.labels

    @property
    def report(self) -> str:
        """The report of the ECG."""
        return self.record.report or ""


def simulate_ecg(
    rhythm: str = "sinus",
    *,
    conduction: str = "normal",
    ischemia: str | None = None,
    hypertrophy: str | None = None,
    repolarization: str | None = None,
    pacing: str | None = None,
    heart_rate: float | None = None,
    pr_interval: float | None = None,
    qrs_duration: float | None = None,
    qtc: float | None = None,
    axis: float | None = None,
    amplitude: float = 1.0,
    noise: NoiseLevels | float = 1.0,
    duration: float = 10.0,
    sampling_rate: float = 500.0,
    seed: int | None = None,
) -> SimulatedEcg:
    """Draws a random 12-lead ECG with known onset, peak and offset of every wave.

    Each wave is a dipole with a raised-cosine time course, which has an exact beginning and end, in a slightly rotated heart.
    Dower's matrix gives I, II and V1-V6; the other limb leads follow exactly (Einthoven, Goldberger), noise included.
    Parameters that are not given are drawn from the usual range of a resting adult.

    Args:
        rhythm: `sinus`, `sinus_arrhythmia`, `atrial_fibrillation`, `atrial_fibrillation_coarse`, `atrial_flutter`,
            `atrial_flutter_variable`, `atrial_premature`, `ventricular_premature`, `bigeminy`, `wandering_pacemaker`,
            `supraventricular_tachycardia`, `supraventricular_tachycardia_retrograde`, `ventricular_tachycardia`,
            `ventricular_tachycardia_dissociated`, `av_block_1`, `av_block_2_mobitz_1`, `av_block_2_mobitz_2`,
            `av_block_2_to_1`, `av_block_3`, `sinus_pause`, `junctional`, `ventricular_paced` (after every P wave),
            `ventricular_paced_alone`, `atrial_paced`, `dual_paced`.
        conduction: `normal`, `incomplete_rbbb`, `rbbb`, `rbbb_dome`, `rbbb_notched`, `lbbb`, `lbbb_dome`,
            `lbbb_notched`, `lafb`, `lpfb`, `wpw`. Those with a dome or a notch have a QRS of 140 to 200 ms.
        ischemia: `anterior_stemi`, `inferior_stemi`, `lateral_stemi`, `posterior_infarction`,
            `old_anterior_infarction`, `old_inferior_infarction`, `subendocardial_ischemia`,
            `anterior_ischemia`, `inferior_ischemia`, `lateral_ischemia` (ST depression), `anterior_t_inversion`.
        hypertrophy: `lvh`, `lvh_strain`, `rvh`, `left_atrial_enlargement`, `right_atrial_enlargement`.
        repolarization: `long_qt`, `long_qt_u`, `short_qt`, `hyperkalemia`, `hypokalemia`, `hypercalcemia`, `hypocalcemia`,
            `flat_t`, `brugada_type_1`, `early_repolarization`.
        pacing: size of a pacemaker's spikes: `unipolar` (several mV) or `bipolar` (a few tenths of a mV); by default any size.
        heart_rate: ventricular rate, bpm.
        pr_interval: ms.
        qrs_duration: ms.
        qtc: by Fridericia's formula, ms.
        axis: QRS axis, degrees.
        amplitude: factor of all voltages.
        noise: factor of the usual noise levels (0: none), or `NoiseLevels`.
        duration: s.
        sampling_rate: Hz.
        seed: the same seed gives the same ECG.

    Raises:
        EcgFormatError: a name is unknown, or a number is not positive or physiologically impossible.
    """
    named: dict[str, tuple[str | None, Mapping[str, Any]]] = {
        "rhythm": (rhythm, RHYTHMS),
        "conduction": (conduction, CONDUCTION),
        "ischemia": (ischemia, ISCHEMIA),
        "hypertrophy": (hypertrophy, HYPERTROPHY),
        "repolarization": (repolarization, REPOLARIZATION),
        "pacing": (pacing, PACING),
    }
    for argument, (name, table) in named.items():
        _check_name(argument, name, table)
    check_range("duration", duration, 1, 3600)
    check_range("sampling_rate", sampling_rate, 50, 10000)
    check_range("heart_rate", heart_rate, 20, 250)
    check_range("amplitude", amplitude, 0, 20)
    rng = np.random.default_rng(seed)
    patterns = [table[name] for name, table in (named[key] for key in PATTERNED) if name is not None]
    heart = draw_heart(rng, conduction, patterns, RHYTHMS[rhythm].pr, pr_interval, qrs_duration, qtc, axis, amplitude)
    rate = heart_rate or rng.uniform(*RHYTHMS[rhythm].rate)
    variation = 0.10 if rhythm == "sinus_arrhythmia" else 0.018
    pace = Pace(rr=60 / rate, variation=variation, pr=heart.pr, duration=duration)
    timing = RHYTHMS[rhythm].timing(rng, pace)
    drawing = draw_ecg(rng, timing, heart, pacing, duration, sampling_rate)
    clean = LEADS @ drawing.dipole
    signal = _add_noise(rng, clean, sampling_rate, noise)
    intervals = _intervals(drawing, heart)
    fiducials = {wave: lead_marks(drawing, wave, sampling_rate) for wave in MARKED_WAVES}
    labels, words = _wording(rhythm, conduction, patterns, intervals)
    settings = {name: value for name, (value, _) in named.items() if value is not None}
    record = EcgRecord(
        signal=signal,
        leads=STANDARD_LEADS,
        sampling_rate=sampling_rate,
        record_id="-".join(["simulated", *settings.values()]) + ("" if seed is None else f"-{seed}"),
        source="simulate_ecg",
        metadata={"simulated": True, **settings},
        report=words,
        labels=dict.fromkeys(labels, 100.0),
    )
    return SimulatedEcg(
        record=record,
        clean=clean,
        beat_times=np.array([beat.onset for beat in drawing.beats]),
        beat_kinds=tuple(beat.kind for beat in drawing.beats),
        beat_fiducials=drawing.beat_fiducials,
        fiducials=fiducials,
        hidden_p=hidden_p_waves(fiducials),
        intervals=intervals,
        st_level=_st_level(clean, drawing.beat_fiducials["QRS"], sampling_rate),
        pacing_spikes=drawing.spikes,
        settings=settings | {"heart_rate": rate, "seed": seed},
    )


def _check_name(argument: str, name: str | None, table: Mapping[str, Any]) -> None:
    if name is not None and name not in table:
        raise EcgFormatError(f"simulate_ecg: {argument}={name!r} is unknown; choose one of {list(table)}.")


def _add_noise(rng: np.random.Generator, clean: np.ndarray, rate: float, noise: NoiseLevels | float) -> np.ndarray:
    """`clean` with disturbances of the eight measured leads, on the converter's steps; float32 `(12, samples)`."""
    if not isinstance(noise, NoiseLevels):
        check_range("noise", noise if noise else None, 0, 100)
        usual = NoiseLevels()
        noise = NoiseLevels(usual.wander * noise, usual.muscle * noise, usual.mains * noise)
    measured = clean[[0, 1, 6, 7, 8, 9, 10, 11]].copy()
    channels, samples = measured.shape
    time = np.arange(samples) / rate
    if noise.wander:
        frequency, phase = rng.uniform(0.05, 0.4, (3, 1)), rng.uniform(0, 2 * np.pi, (3, 1))
        slow = np.sin(2 * np.pi * frequency * time + phase)
        measured += noise.wander * np.sqrt(2 / 3) * (rng.uniform(-1.4, 1.4, (channels, 3)) @ slow)
    if noise.muscle:
        white = rng.standard_normal((channels, samples + 2), dtype=np.float32)
        # White noise less part of its average over three samples: muscle is strongest at 30-150 Hz.
        coloured = white[:, 1:-1] - 0.25 * (white[:, :-2] + white[:, 2:])
        measured += noise.muscle * rng.uniform(0.6, 1.3, (channels, 1)) * coloured
    if noise.mains:
        start = rng.uniform(0, 2 * np.pi)
        hum = np.sin(2 * np.pi * noise.mains_frequency * time + start)
        measured += noise.mains * rng.uniform(0.3, 1.0, (channels, 1)) * hum
    measured = np.round(measured / RESOLUTION_MV) * RESOLUTION_MV
    lead_i, lead_ii = measured[:2]
    limb = [lead_i, lead_ii, lead_ii - lead_i, -(lead_i + lead_ii) / 2, lead_i - lead_ii / 2, lead_ii - lead_i / 2]
    return np.concatenate([np.stack(limb), measured[2:]]).astype(np.float32)


def _intervals(drawing: Drawing, heart: Heart) -> dict[str, float]:
    kinds = [beat.kind for beat in drawing.beats]
    common = np.array([kind == "normal" or "normal" not in kinds for kind in kinds], dtype=bool)
    p, qrs, t = (drawing.beat_fiducials[name][common] for name in ("P", "QRS", "T"))
    onsets = np.array([beat.onset for beat in drawing.beats])
    rr = float(np.mean(np.diff(onsets))) if len(onsets) > 1 else math.nan
    qt = _median(t[:, 2] - qrs[:, 0])
    areas = [LEADS @ wave.dipole.sum(axis=1) for wave in drawing.waves["QRS"]]
    area = np.median(areas, axis=0) if areas else np.full(12, np.nan)
    return {
        "heart_rate": 60 / rr,
        "rr_interval": 1000 * rr,
        "p_duration": 1000 * _median(p[:, 2] - p[:, 0]),
        "pr_interval": 1000 * _median(qrs[:, 0] - p[:, 0]),
        "qrs_duration": 1000 * _median(qrs[:, 2] - qrs[:, 0]),
        "qt_interval": 1000 * qt,
        "qtc_bazett": 1000 * qt / math.sqrt(rr),
        "qtc_fridericia": 1000 * qt / rr ** (1 / 3),
        "qrs_axis": math.degrees(math.atan2(2 / math.sqrt(3) * area[5], area[0])),
    }


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else math.nan


def _st_level(clean: np.ndarray, qrs: np.ndarray, rate: float) -> dict[str, dict[str, float]]:
    time = np.arange(clean.shape[1]) / rate
    whole = [offset for offset in qrs[:, 2] if offset + 0.08 <= time[-1]]
    j_point = whole[0] if whole else math.nan
    at = {"J": j_point, "J+60": j_point + 0.06, "J+80": j_point + 0.08}
    return {
        lead: {point: float(np.interp(moment, time, row)) if whole else math.nan for point, moment in at.items()}
        for lead, row in zip(STANDARD_LEADS, clean, strict=True)
    }


def _wording(
    rhythm: str, conduction: str, patterns: list[Pattern], intervals: Mapping[str, float]
) -> tuple[list[str], str]:
    """SCP-ECG codes and a report."""
    label, words, rate = RHYTHMS[rhythm].label, RHYTHMS[rhythm].words, intervals["heart_rate"]
    if rhythm == "sinus" and rate < 60:
        label, words = "SBRAD", "Sinus bradycardia"
    elif rhythm == "sinus" and rate > 100:
        label, words = "STACH", "Sinus tachycardia"
    labels, sentences = [label], [f"{words}, {rate:.0f}/min." if math.isfinite(rate) else f"{words}."]
    if "Sinus rhythm with" in words or rhythm == "av_block_1":
        labels.append("SR")
    sentences.append(_axis_words(intervals["qrs_axis"]))
    code, finding = CONDUCTION_WORDS[conduction]
    labels += [code] if code else []
    sentences += [f"{finding}."] if finding else []
    for pattern in patterns:
        labels += [pattern.label, *pattern.extra_labels]
        sentences.append(f"{pattern.words}.")
    named = {"PR": "pr_interval", "QRS": "qrs_duration", "QT": "qt_interval", "QTc": "qtc_fridericia"}
    known = [f"{name} {intervals[key]:.0f} ms" for name, key in named.items() if math.isfinite(intervals[key])]
    sentences.append(f"{', '.join(known)}.")
    if labels == ["SR"] and -30 <= intervals["qrs_axis"] <= 90:
        labels.append("NORM")
        sentences.append("Normal ECG.")
    return list(dict.fromkeys(labels)), " ".join(sentences)


def _axis_words(axis: float) -> str:
    if -30 <= axis <= 90:
        return "Normal axis."
    return "Left axis deviation." if -90 <= axis < -30 else "Right axis deviation." if axis > 90 else "Extreme axis."


__all__ = ["NoiseLevels", "SimulatedEcg", "simulate_ecg"]
