# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The rhythms of the simulator, as times of P waves and QRS complexes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

VENTRICULAR = "ventricular_tachycardia"  # the kind of a beat that a focus in the ventricles fires


@dataclass(frozen=True)
class Beat:
    """A ventricular beat: QRS onset in s, its kind, and the onset of the P wave that led to it, if one did.

    `p_site` is where that P wave begins: 0 the sinus node, 1 low in the atria, so that it points upwards.
    """

    onset: float
    kind: str = "normal"
    p_onset: float | None = None
    p_site: float = 0.0


@dataclass(frozen=True)
class Pace:
    """What a rhythm is made from, all in s: RR interval, its relative variation, PR, record length."""

    rr: float
    variation: float
    pr: float
    duration: float


@dataclass
class Timing:
    """A rhythm's beats and what is beside them, times in s.

    lone_p: onsets of P waves that lead to no QRS, all from `lone_p_site`. atrial_waves: fibrillation or flutter waves (`f`,
    `F`), their Hz and size, 1 is usual. stimuli: of a pacemaker.
    """

    beats: list[Beat]
    lone_p: list[float] = field(default_factory=list)
    lone_p_site: float = 0.0
    atrial_waves: str | None = None
    atrial_rate: float = 0.0
    atrial_size: float = 1.0
    stimuli: list[float] = field(default_factory=list)


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


def _tachycardia(rng: np.random.Generator, pace: Pace, kind: str = "normal") -> Timing:
    """A re-entry: as regular as a clock, no P wave in sight."""
    return _regular(rng, replace(pace, variation=0.003), kind, with_p=False)


def _retrograde_tachycardia(rng: np.random.Generator, pace: Pace) -> Timing:
    """Every QRS goes back to the atria, whose P wave begins 70 to 110 ms after its onset."""
    timing, delay = _tachycardia(rng, pace), rng.uniform(0.07, 0.11)
    timing.lone_p, timing.lone_p_site = [beat.onset + delay for beat in timing.beats], 1.0
    return timing


def _ventricular_tachycardia(rng: np.random.Generator, pace: Pace) -> Timing:
    return _tachycardia(rng, pace, VENTRICULAR)


def _dissociated_tachycardia(rng: np.random.Generator, pace: Pace) -> Timing:
    timing = _ventricular_tachycardia(rng, pace)
    timing.lone_p = _walk(rng, pace, rr=60 / rng.uniform(70, 105))
    return timing


def _wandering(rng: np.random.Generator, pace: Pace) -> Timing:
    """The pacemaker goes to and fro between sinus node and low atrium, some beats at each place; lower is slower and nearer."""
    beats, t, site, left = [], -rng.uniform(0.2, 1.0) * pace.rr, 0.0, 2
    while t < pace.duration + pace.rr:
        pr = pace.pr * (1 - 0.25 * site)
        beats.append(Beat(float(t), "normal", float(t - _jitter(rng, pr)), site))
        left -= 1
        if left == 0:
            site = float(rng.choice([other for other in (0.0, 0.4, 1.0) if other != site]))
            left = int(rng.integers(2, 5))
        t += pace.rr * (1 + 0.10 * site + pace.variation * rng.normal())
    return Timing(beats)


def _fibrillation(rng: np.random.Generator, pace: Pace) -> Timing:
    t, beats = -rng.uniform(0.1, 0.8) * pace.rr, []
    while t < pace.duration + 1:
        beats.append(Beat(float(t)))
        t += float(np.clip(rng.gamma(16, pace.rr / 16), 0.34, 2.0))
    return Timing(beats, atrial_waves="f", atrial_rate=rng.uniform(5.2, 7.2))


def _coarse_fibrillation(rng: np.random.Generator, pace: Pace) -> Timing:
    timing = _fibrillation(rng, pace)
    timing.atrial_rate, timing.atrial_size = rng.uniform(4.4, 5.6), rng.uniform(2.0, 3.2)
    return timing


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
                beats.append(Beat(early, kind, early - 0.92 * pace.pr if atrial else None, p_site=float(atrial)))
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
    timing.stimuli = [beat.onset - 0.004 for beat in timing.beats]
    return timing


def _atrial_paced(rng: np.random.Generator, pace: Pace) -> Timing:
    timing = _regular(rng, replace(pace, variation=0.0))
    timing.stimuli = _before(
        [beat.p_onset for beat in timing.beats if beat.p_onset is not None], rng.uniform(0.008, 0.03)
    )
    return timing


def _ventricular_paced_alone(rng: np.random.Generator, pace: Pace) -> Timing:
    """The atria fibrillate, too finely to be seen. Every other heart answers with a QRS that rests at its top."""
    kind = str(rng.choice(["paced", "paced_flat"]))
    timing = _regular(rng, replace(pace, variation=0.0), kind, with_p=False)
    timing.stimuli = _before([beat.onset for beat in timing.beats], rng.uniform(0.004, 0.04))
    return timing


def _dual_paced(rng: np.random.Generator, pace: Pace) -> Timing:
    timing = _ventricular_paced_alone(rng, pace)
    timing.beats = [replace(beat, p_onset=beat.onset - pace.pr) for beat in timing.beats]
    timing.stimuli += _before([beat.onset - pace.pr for beat in timing.beats], rng.uniform(0.008, 0.03))
    return timing


def _before(onsets: list[float], latency: float) -> list[float]:
    """Stimuli whose answer begins a latency (s) later."""
    return [onset - latency for onset in onsets]


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
    "ventricular_paced_alone": Rhythm(
        "PACE", "Ventricular paced rhythm without visible P waves", (60, 80), _ventricular_paced_alone
    ),
    "atrial_paced": Rhythm("PACE", "Atrial paced rhythm", (60, 90), _atrial_paced),
    "dual_paced": Rhythm("PACE", "Dual chamber paced rhythm", (60, 84), _dual_paced),
    "supraventricular_tachycardia": Rhythm("SVTAC", "Supraventricular tachycardia", (150, 220), _tachycardia),
    "supraventricular_tachycardia_retrograde": Rhythm(
        "SVTAC", "Supraventricular tachycardia with retrograde P waves", (150, 210), _retrograde_tachycardia
    ),
    "ventricular_tachycardia": Rhythm("VTACH", "Ventricular tachycardia", (130, 220), _ventricular_tachycardia),
    "ventricular_tachycardia_dissociated": Rhythm(
        "VTACH", "Ventricular tachycardia with AV dissociation", (130, 190), _dissociated_tachycardia
    ),
    "atrial_fibrillation_coarse": Rhythm(
        "AFIB", "Atrial fibrillation with coarse waves", (62, 120), _coarse_fibrillation
    ),
    "wandering_pacemaker": Rhythm("SVARR", "Wandering atrial pacemaker", (56, 80), _wandering),
}

__all__ = ["RHYTHMS", "VENTRICULAR", "Beat", "Pace", "Rhythm", "Timing"]
