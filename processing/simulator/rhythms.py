# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""When atria and ventricles beat: the rhythms of the simulator as times of P waves and QRS complexes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Beat:
    """A ventricular beat: QRS onset in s, its kind, and the onset of the P wave that led to it, if one did."""

    onset: float
    kind: str = "normal"
    p_onset: float | None = None
    ectopic_p: bool = False


@dataclass(frozen=True)
class Pace:
    """What a rhythm is made from, all in s: RR interval, its relative variation, PR, record length."""

    rr: float
    variation: float
    pr: float
    duration: float


@dataclass
class Timing:
    """A rhythm's beats, onsets of P waves without a QRS, fibrillation or flutter waves (`f`, `F`) and their Hz."""

    beats: list[Beat]
    lone_p: list[float] = field(default_factory=list)
    atrial_waves: str | None = None
    atrial_rate: float = 0.0
    spikes: bool = False


@dataclass(frozen=True)
class Rhythm:
    """A rhythm: SCP-ECG code, words for the report, usual ventricular rates (bpm), timing, usual PR (s)."""

    label: str
    words: str
    rate: tuple[float, float]
    timing: Callable[[np.random.Generator, Pace], Timing]
    pr: tuple[float, float] = (0.135, 0.185)


def _regular(rng: np.random.Generator, pace: Pace, kind: str = "normal", with_p: bool = True) -> Timing:
    onsets = _walk(rng, pace)
    return Timing([Beat(t, kind, t - _jitter(rng, pace.pr) if with_p else None) for t in onsets])


def _walk(rng: np.random.Generator, pace: Pace, rr: float | None = None) -> list[float]:
    """Times with the pace's intervals, slowly waxing and waning with respiration, across the record and its edges."""
    rr = rr or pace.rr
    t, onsets, phase = -rng.uniform(0.2, 1.0) * rr, [], rng.uniform(0, 2 * np.pi)
    breath = 2 * np.pi * rng.uniform(0.18, 0.30)
    while t < pace.duration + rr:
        onsets.append(float(t))
        swing = pace.variation * (1.2 * np.sin(breath * t + phase) + 0.5 * rng.normal())
        t += rr * (1 + swing)
    return onsets


def _jitter(rng: np.random.Generator, pr: float) -> float:
    return pr * (1 + 0.01 * rng.normal())


def _fibrillation(rng: np.random.Generator, pace: Pace) -> Timing:
    t, beats = -rng.uniform(0.1, 0.8) * pace.rr, []
    while t < pace.duration + 1:
        beats.append(Beat(float(t)))
        t += float(np.clip(rng.gamma(16, pace.rr / 16), 0.34, 2.0))
    return Timing(beats, atrial_waves="f", atrial_rate=rng.uniform(5.2, 7.2))


def _flutter(rng: np.random.Generator, pace: Pace) -> Timing:
    cycle = 60 / rng.uniform(270, 320)
    ratio = max(2, round(pace.rr / cycle))
    start = -rng.uniform(0.2, 1) * ratio * cycle
    count = int((pace.duration + 1 - start) / (ratio * cycle)) + 1
    return Timing([Beat(start + i * ratio * cycle) for i in range(count)], atrial_waves="F", atrial_rate=1 / cycle)


def _variable_flutter(rng: np.random.Generator, pace: Pace) -> Timing:
    """Two to five flutter waves to a beat, as the AV node lets them through."""
    cycle = 60 / rng.uniform(250, 310)
    usual = max(2.5, pace.rr / cycle)
    t, beats = -rng.uniform(0.1, 0.8) * pace.rr, []
    while t < pace.duration + 1:
        beats.append(Beat(float(t)))
        t += cycle * int(np.clip(round(usual + rng.normal()), 2, 5))
    return Timing(beats, atrial_waves="F", atrial_rate=1 / cycle)


def _with_premature(kind: str, share: float, coupling: float, pause: float) -> Callable:
    """Premature beats after a share of the usual ones; `coupling` and `pause` in RR intervals."""

    def timing(rng: np.random.Generator, pace: Pace) -> Timing:
        t, beats, since = -rng.uniform(0.2, 1.0) * pace.rr, [], 0
        while t < pace.duration + pace.rr:
            beats.append(Beat(float(t), "normal", float(t - _jitter(rng, pace.pr))))
            since += 1
            wait = pace.rr * (1 + pace.variation * rng.normal())
            if (since >= 2 and rng.random() < share) or since >= 6 or share == 1:
                early = float(t + coupling * pace.rr * (1 + 0.02 * rng.normal()))
                atrial = kind == "atrial_premature"
                beats.append(Beat(early, kind, early - 0.92 * pace.pr if atrial else None, ectopic_p=atrial))
                wait, since = pace.rr * pause, 0
            t += wait
        return Timing(beats)

    return timing


def _second_degree(pr_steps: tuple[float, ...]) -> Callable:
    """Groups of P waves whose PR grows by the steps (s); the P wave after the last step stays alone."""
    conducted = len(pr_steps) / (len(pr_steps) + 1)

    def timing(rng: np.random.Generator, pace: Pace) -> Timing:
        beats, lone = [], []
        for i, p in enumerate(_walk(rng, pace, conducted * pace.rr)):
            place = i % (len(pr_steps) + 1)
            if place == len(pr_steps):
                lone.append(p)
            else:
                beats.append(Beat(p + _jitter(rng, pace.pr + pr_steps[place]), "normal", p))
        return Timing(beats, lone)

    return timing


def _complete_block(rng: np.random.Generator, pace: Pace) -> Timing:
    atria = _walk(rng, pace, rr=60 / rng.uniform(72, 98))
    return Timing([Beat(t, "escape") for t in _walk(rng, pace)], atria)


def _sinus_pause(rng: np.random.Generator, pace: Pace) -> Timing:
    beats, at = [], rng.uniform(0.35, 0.6) * pace.duration
    shift = 0.0
    for t in _walk(rng, pace):
        if not shift and t > at:
            shift = max(2.2 - pace.rr, 1.15 * pace.rr)
        onset = t + shift
        beats.append(Beat(onset, "normal", onset - _jitter(rng, pace.pr)))
    return Timing(beats)


def _junctional(rng: np.random.Generator, pace: Pace) -> Timing:
    return _regular(rng, pace, with_p=False)


def _paced(rng: np.random.Generator, pace: Pace) -> Timing:
    timing = _regular(rng, pace, "paced")
    timing.spikes = True
    return timing


RHYTHMS = {
    "sinus": Rhythm("SR", "Sinus rhythm", (58, 92), _regular),
    "sinus_arrhythmia": Rhythm("SARRH", "Sinus arrhythmia", (58, 80), _regular),
    "atrial_fibrillation": Rhythm("AFIB", "Atrial fibrillation", (62, 120), _fibrillation),
    "atrial_flutter": Rhythm("AFLT", "Atrial flutter", (70, 150), _flutter),
    "atrial_flutter_variable": Rhythm("AFLT", "Atrial flutter with variable conduction", (70, 110), _variable_flutter),
    "atrial_premature": Rhythm(
        "PAC",
        "Sinus rhythm with atrial premature beats",
        (60, 88),
        _with_premature("atrial_premature", 0.3, 0.66, 1.7),
    ),
    "ventricular_premature": Rhythm(
        "PVC",
        "Sinus rhythm with ventricular premature beats",
        (60, 88),
        _with_premature("ventricular_premature", 0.3, 0.60, 2.0),
    ),
    "bigeminy": Rhythm(
        "BIGU",
        "Ventricular bigeminy",
        (62, 84),
        _with_premature("ventricular_premature", 1, 0.60, 2.0),
    ),
    "av_block_1": Rhythm("1AVB", "First degree AV block", (55, 80), _regular, pr=(0.220, 0.290)),
    "av_block_2_mobitz_1": Rhythm(
        "2AVB", "Second degree AV block, Mobitz I", (46, 62), _second_degree((0.0, 0.07, 0.11)), pr=(0.17, 0.20)
    ),
    "av_block_2_mobitz_2": Rhythm(
        "2AVB", "Second degree AV block, Mobitz II", (46, 64), _second_degree((0.0, 0.0, 0.0))
    ),
    "av_block_2_to_1": Rhythm("2AVB", "Second degree AV block, 2:1 conduction", (32, 46), _second_degree((0.0,))),
    "av_block_3": Rhythm("3AVB", "Complete AV block with a ventricular escape rhythm", (34, 46), _complete_block),
    "sinus_pause": Rhythm("SA_BLOCK", "Sinus rhythm with a sinus pause", (56, 76), _sinus_pause),
    "junctional": Rhythm("JUNC", "Junctional rhythm without visible P waves", (42, 60), _junctional),
    "ventricular_paced": Rhythm("PACE", "Atrial-tracked ventricular paced rhythm", (60, 84), _paced),
}

__all__ = ["RHYTHMS", "Beat", "Pace", "Rhythm", "Timing"]
