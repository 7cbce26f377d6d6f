# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The simulator's heart: its conduction, and the drawing of every wave with exact onset and offset."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from processing.errors_gem import EcgFormatError

from .pacing import draw_stimuli
from .patterns import (
    CONDUCTION,
    DOWER,
    ECTOPIC,
    ESCAPE,
    FOCUS,
    P_LEFT,
    P_RIGHT,
    PACED,
    PACED_FLAT,
    T_DIPOLE,
    Activation,
    Pattern,
    Vector,
)
from .rhythms import VENTRICULAR, Beat, Timing

MARKED_WAVES = ("P", "QRS", "T", "U")
VISIBLE_MV = 0.030  # a wave whose peak stays below this is not marked in a lead, because it is invisible
EDGE_SHARE, EDGE_MV = 0.03, 0.010  # a visible wave begins and ends where it leaves both of these
T_PEAK = 0.62  # share of the T wave before its peak: it rises slower than it falls
HIDDEN_SHARE = 0.3  # a P wave more of which than this lies within QRS complexes and T waves is hidden
SHORTEST_ST_T_S = 0.125  # what a tachycardia leaves between the QRS and the next one
OFF_SCREEN_S = 1.0  # waves outside the record by more are not drawn
LEADS = np.vstack([DOWER[:2], DOWER[1] - DOWER[0], -(DOWER[0] + DOWER[1]) / 2])
LEADS = np.vstack([LEADS, DOWER[0] - DOWER[1] / 2, DOWER[1] - DOWER[0] / 2, DOWER[2:]])


def check_range(argument: str, value: float | None, low: float, high: float) -> None:
    """Checks an argument of `simulate_ecg`.

    Raises:
        EcgFormatError: `value` is given and does not lie between `low` and `high`.
    """
    if value is not None and not low < value <= high and not value == low > 0:
        raise EcgFormatError(f"simulate_ecg: {argument}={value!r} must lie between {low:g} and {high:g}.")


Lobe = tuple[tuple[float, float], np.ndarray, float]


class Wave(NamedTuple):
    """A drawn wave: support in s and samples, and its dipole `(3, samples)` from sample `start` on."""

    onset: float
    offset: float
    start: int
    dipole: np.ndarray


@dataclass(frozen=True)
class Heart:
    """One heart: how it conducts (s) and its dipoles in the body's axes."""

    activation: Activation
    pattern: Pattern
    rotation: np.ndarray
    pr: float
    p_duration: float
    qrs: float
    qtc: float
    gain: float
    t_gain: float


def draw_heart(
    rng: np.random.Generator,
    conduction: str,
    patterns: list[Pattern],
    usual_pr: tuple[float, float],
    pr_ms: float | None,
    qrs_ms: float | None,
    qtc_ms: float | None,
    axis: float | None,
    amplitude: float,
) -> Heart:
    """Draws a heart's dipoles, delays and durations (ms) from the usual range, but for what is given."""
    pattern = _combined(patterns)
    activation = _altered(CONDUCTION[conduction], pattern)
    pr_range = (0.095, 0.115) if conduction == "wpw" else usual_pr
    draws = rng.uniform(size=6)
    check_range("pr_interval", pr_ms, 60, 600)
    check_range("qrs_duration", qrs_ms, 50, 250)
    check_range("qtc", qtc_ms, 250, 700)
    rotation = _rotation(rng.normal(0, 0.10, 3))
    pr = pr_ms / 1000 if pr_ms else _span(pr_range, draws[0])
    heart = Heart(
        activation=activation,
        pattern=pattern,
        rotation=rotation,
        pr=pr,
        p_duration=min(_span((0.092, 0.112), draws[1]) * (1.15 if pattern.left_atrium > 1 else 1), pr - 0.005),
        qrs=qrs_ms / 1000 if qrs_ms else _span(activation.duration, draws[2]) * pattern.qrs_stretch,
        qtc=qtc_ms / 1000 if qtc_ms else _span(pattern.qtc or (0.388, 0.424), draws[3]),
        gain=amplitude * _span((0.85, 1.2), draws[4]),
        t_gain=_span((0.85, 1.2), draws[5]) * pattern.t_gain,
    )
    return heart if axis is None else replace(heart, activation=_turned(heart, axis))


def _span(limits: tuple[float, float], draw: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * draw


def _combined(patterns: list[Pattern]) -> Pattern:
    """One pattern that does what all of them do."""
    result = Pattern("", "")
    for p in patterns:
        result = Pattern(
            label=p.label,
            words=p.words,
            q=p.q or result.q,
            lobe=_plus(result.lobe, p.lobe),
            st=_plus(result.st, p.st),
            coved=_plus(result.coved, p.coved),
            t=p.t or result.t,
            u=p.u or result.u,
            t_gain=result.t_gain * p.t_gain,
            t_width=result.t_width * p.t_width,
            p_gain=result.p_gain * p.p_gain,
            qrs_gain=_times(result.qrs_gain, p.qrs_gain),
            qrs_stretch=result.qrs_stretch * p.qrs_stretch,
            left_atrium=result.left_atrium * p.left_atrium,
            right_atrium=result.right_atrium * p.right_atrium,
            discordant_t=result.discordant_t or p.discordant_t,
            qtc=p.qtc or result.qtc,
        )
    return result


def _plus(a: Vector, b: Vector) -> Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _times(a: Vector, b: Vector) -> Vector:
    return (a[0] * b[0], a[1] * b[1], a[2] * b[2])


def _altered(activation: Activation, pattern: Pattern) -> Activation:
    lobes = [(centre, half, _times(pattern.qrs_gain, vector)) for centre, half, vector in activation.lobes]
    if pattern.q is not None:
        # Infarcted wall: the initial forces point away from it, and for longer than the septum's.
        lobes[0] = (0.27, 0.27, pattern.q)
    if any(pattern.lobe):
        lobes.append((0.52, 0.30, pattern.lobe))
    return replace(activation, lobes=tuple(lobes), discordant_t=activation.discordant_t or pattern.discordant_t)


def _rotation(angles: np.ndarray) -> np.ndarray:
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    around_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return around_x @ around_y @ around_z


def _turned(heart: Heart, axis: float) -> Activation:
    """The activation turned in the frontal plane until its net axis is `axis` degrees (to a tenth)."""
    net = heart.rotation @ _net_dipole(heart.activation)
    angles = np.radians(np.arange(-180, 180, 0.1))
    x, y = (np.cos(angles) * net[0] - np.sin(angles) * net[1], np.sin(angles) * net[0] + np.cos(angles) * net[1])
    leads = LEADS @ np.stack([x, y, np.full_like(x, net[2])])
    found = np.degrees(np.arctan2(2 / math.sqrt(3) * leads[5], leads[0]))
    angle = angles[np.abs((found - axis + 180) % 360 - 180).argmin()]
    turn = heart.rotation.T @ _rotation(np.array([0.0, 0.0, angle])) @ heart.rotation
    return _turned_by(turn, heart.activation)


def _turned_by(turn: np.ndarray, activation: Activation) -> Activation:
    lobes = tuple((centre, half, _vector(turn @ np.array(v))) for centre, half, v in activation.lobes)
    return replace(activation, lobes=lobes)


def _vector(values: np.ndarray) -> Vector:
    x, y, z = values.tolist()
    return (x, y, z)


def _net_dipole(activation: Activation) -> np.ndarray:
    """Time integral of the dipole, up to a factor: a raised cosine's area is half its support."""
    return np.sum([_support(centre, half)[2] * np.array(vector) for centre, half, vector in activation.lobes], axis=0)


def _support(centre: float, half: float) -> tuple[float, float, float]:
    first, last = max(0.0, centre - half), min(1.0, centre + half)
    return first, last, last - first


@dataclass
class Drawing:
    """The dipole over time, `(3, samples)`, with its beats, waves, their fiducials and the pacemaker's spikes."""

    dipole: np.ndarray
    beats: list[Beat]
    waves: dict[str, list[Wave]]
    beat_fiducials: dict[str, np.ndarray]
    spikes: np.ndarray


def draw_ecg(
    rng: np.random.Generator, timing: Timing, heart: Heart, pacing: str | None, duration: float, rate: float
) -> Drawing:
    """All waves of a rhythm as one dipole signal, with their marks."""
    samples = round(duration * rate)
    dipole = np.zeros((3, samples))
    waves: dict[str, list[Wave]] = {"P": [], "QRS": [], "ST": [], "T": [], "U": []}
    beats, marks = [], []
    timed = sorted(timing.beats, key=lambda beat: beat.onset)
    mean_rr = float(np.mean(np.diff([beat.onset for beat in timed]))) if len(timed) > 1 else 1.0
    foci = {"ventricular_premature": ECTOPIC, "escape": ESCAPE, "paced": PACED, "paced_flat": PACED_FLAT}
    if any(beat.kind == VENTRICULAR for beat in timed):
        foci[VENTRICULAR] = _ventricular_focus(rng, mean_rr)
    breath = 2 * np.pi * rng.uniform(0.2, 0.3)
    for i, beat in enumerate(timed):
        following = timed[i + 1].onset if i + 1 < len(timed) else beat.onset + mean_rr
        if not -OFF_SCREEN_S < beat.onset < duration + OFF_SCREEN_S:
            continue
        size = heart.gain * (1 + 0.03 * math.sin(breath * beat.onset) + 0.012 * rng.normal())
        found = _draw_beat(rng, beat, heart, foci.get(beat.kind), size, mean_rr, following, rate)
        for name, wave in found.items():
            _add(dipole, wave)
            waves[name].append(wave)
        if beat.onset >= 0 and found["QRS"].offset < duration:
            beats.append(beat)
            marks.append(found)
    for onset in timing.lone_p:
        wave = _p_wave(rng, onset, heart, heart.gain, timing.lone_p_site, rate)
        _add(dipole, wave)
        waves["P"].append(wave)
    if timing.atrial_waves:
        dipole += _atrial_waves(rng, timing, samples, rate) * heart.gain
    if heart.pattern.u is not None:
        for found in marks:
            found["U"] = _u_wave(found["T"], heart, rate)
            _add(dipole, found["U"])
            waves["U"].append(found["U"])
    stimuli = np.array(sorted(time for time in timing.stimuli if 0 <= time < duration))
    draw_stimuli(rng, dipole, stimuli, pacing, heart.rotation, rate)
    return Drawing(dipole, beats, waves, _beat_fiducials(marks, duration, rate), stimuli)


def _ventricular_focus(rng: np.random.Generator, rr: float) -> Activation:
    """A focus anywhere; its QRS leaves time for an ST segment and a T wave in every RR interval (s)."""
    longest = max(rr - SHORTEST_ST_T_S, 0.1)
    duration = min(float(rng.uniform(*FOCUS.duration)), longest)
    return replace(_turned_by(_rotation(rng.uniform(-np.pi, np.pi, 3)), FOCUS), duration=(duration, duration))


def _add(dipole: np.ndarray, wave: Wave) -> None:
    first, last = max(wave.start, 0), min(wave.start + wave.dipole.shape[1], dipole.shape[1])
    if first < last:
        dipole[:, first:last] += wave.dipole[:, first - wave.start : last - wave.start]


def _bump(time: np.ndarray, support: tuple[float, float], peak: float) -> np.ndarray:
    """Raised cosine over `support` (onset, offset), 1 at the share `peak` of its duration."""
    onset, offset = support
    u = np.clip((time - onset) / (offset - onset), 0, 1)
    phase = np.where(u < peak, u / peak, 1 + (u - peak) / (1 - peak))
    return 0.5 - 0.5 * np.cos(np.pi * phase)


def _wave(heart: Heart, onset: float, offset: float, rate: float, parts: list[Lobe]) -> Wave:
    """A wave from lobes: each ((onset, offset) in s, dipole, peak share)."""
    start, stop = math.floor(onset * rate), math.ceil(offset * rate) + 1
    time = np.arange(start, stop) / rate
    shape = np.stack([_bump(time, support, peak) for support, _, peak in parts])
    vectors = heart.rotation @ np.stack([vector for _, vector, _ in parts], axis=1)
    return Wave(onset, offset, start, vectors @ shape)


def _draw_beat(
    rng: np.random.Generator,
    beat: Beat,
    heart: Heart,
    focus: Activation | None,
    size: float,
    mean_rr: float,
    following: float,
    rate: float,
) -> dict[str, Wave]:
    """The waves of a beat, conducted or from a `focus` in the ventricles."""
    activation, duration = heart.activation, heart.qrs
    if focus is not None:
        activation, duration = focus, rng.uniform(*focus.duration)
    duration *= 1 + 0.008 * rng.normal()
    found = {}
    if beat.p_onset is not None:
        found["P"] = _p_wave(rng, beat.p_onset, heart, size, beat.p_site, rate)
    parts, net = [], np.zeros(3)
    for centre, half, vector in activation.lobes:
        first, last, share = _support(centre, half)
        dipole = size * np.array(vector) * (1 + 0.015 * rng.normal())
        parts.append(((beat.onset + first * duration, beat.onset + last * duration), dipole, 0.5))
        net += share * dipole
    found["QRS"] = _wave(heart, beat.onset, beat.onset + duration, rate, parts)
    found["T"] = _t_wave(beat, heart, activation, duration, net, size, (mean_rr, following - beat.onset), rate)
    if any((*heart.pattern.st, *heart.pattern.coved)) and focus is None:
        found["ST"] = _injury(found["T"], heart, beat.onset + duration, size, rate)
    return found


def _p_wave(rng: np.random.Generator, onset: float, heart: Heart, size: float, site: float, rate: float) -> Wave:
    """A P wave from the sinus node (site 0), from low in the atria (1) or from between."""
    duration, pattern = heart.p_duration, heart.pattern
    size = size * pattern.p_gain * (1 + 0.02 * rng.normal())
    right, left = size * pattern.right_atrium * np.array(P_RIGHT), size * pattern.left_atrium * np.array(P_LEFT)
    right, left = (
        wave * (1 + site * (np.array(low) - 1)) for wave, low in ((right, (0.9, -0.5, 1.0)), (left, (0.7, -0.5, 1.2)))
    )
    parts = [
        ((onset, onset + 0.66 * duration), right, 0.5),
        ((onset + 0.32 * duration, onset + duration), left, 0.5),
    ]
    return _wave(heart, onset, onset + duration, rate, parts)


def _t_wave(
    beat: Beat,
    heart: Heart,
    activation: Activation,
    qrs: float,
    net: np.ndarray,
    size: float,
    rr: tuple[float, float],
    rate: float,
) -> Wave:
    """T wave; QT follows the mean RR (Fridericia), a wide QRS adds what depolarisation takes longer."""
    pattern, (mean_rr, next_rr) = heart.pattern, rr
    qt = heart.qtc * np.clip(mean_rr, 0.3, 1.6) ** (1 / 3) + 0.7 * max(qrs - 0.110, 0)
    qt = max(min(qt, next_rr - 0.04), qrs + 0.12)
    width = min(float(np.clip(0.56 * qt, 0.15, 0.28)) * pattern.t_width, qt - qrs - 0.01)
    onset, offset = beat.onset + qt - width, beat.onset + qt
    if activation.discordant_t:
        vector = -net / max(np.linalg.norm(net), 1e-9) * 0.40 * size
    else:
        vector = size * np.array(pattern.t or T_DIPOLE)
    return _wave(heart, onset, offset, rate, [((onset, offset), heart.t_gain * vector, T_PEAK)])


def _injury(t_wave: Wave, heart: Heart, j_point: float, size: float, rate: float) -> Wave:
    """An injury current that is there at the J point, lasts through ST and ends with the T wave, which rides on it.

    What of it is coved falls from the J point on.
    """
    rise, peak = 0.02, t_wave.onset + T_PEAK * (t_wave.offset - t_wave.onset)
    start = math.floor((j_point - rise) * rate)
    time = np.arange(start, t_wave.start + t_wave.dipole.shape[1]) / rate
    risen = size * _ramp(time, j_point - rise, j_point)
    parts = ((heart.pattern.st, (peak, t_wave.offset)), (heart.pattern.coved, (j_point, peak)))
    shapes = [np.outer(heart.rotation @ np.array(dipole), risen * (1 - _ramp(time, *end))) for dipole, end in parts]
    return Wave(j_point, t_wave.offset, start, shapes[0] + shapes[1])


def _ramp(time: np.ndarray, first: float, last: float) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((time - first) / (last - first), 0, 1))


def _u_wave(t_wave: Wave, heart: Heart, rate: float) -> Wave:
    onset, offset = t_wave.offset - 0.02, t_wave.offset + 0.15
    return _wave(heart, onset, offset, rate, [((onset, offset), heart.gain * np.array(heart.pattern.u), 0.45)])


def _atrial_waves(rng: np.random.Generator, timing: Timing, samples: int, rate: float) -> np.ndarray:
    """Fibrillation (wandering frequency and size, best in V1) or flutter (saw teeth, negative in II, III, aVF)."""
    time = np.arange(samples) / rate
    phases = rng.uniform(0, 2 * np.pi, 4)
    if timing.atrial_waves == "F":
        cycles = time * timing.atrial_rate + phases[0] / (2 * np.pi)
        saw = np.interp(cycles % 1, [0, 0.62, 0.85, 1], [0.5, -0.5, 0.2, 0.5])
        return np.outer((-0.02, 0.22, -0.08), saw)
    wander = 0.6 * np.sin(2 * np.pi * 0.31 * time + phases[1]) + 0.4 * np.sin(2 * np.pi * 0.13 * time + phases[2])
    angle = 2 * np.pi * np.cumsum(timing.atrial_rate + wander) / rate + phases[0]
    size = timing.atrial_size * (1 + 0.4 * np.sin(2 * np.pi * 0.47 * time + phases[3]))
    ripple = size * (np.sin(angle) + 0.35 * np.sin(2 * angle + phases[1]))
    return np.outer((0.012, 0.025, -0.055), ripple) * rng.uniform(0.7, 1.3)


def _beat_fiducials(marks: list[dict[str, Wave]], duration: float, rate: float) -> dict[str, np.ndarray]:
    result = {}
    for name in MARKED_WAVES:
        rows = np.full((len(marks), 3), np.nan)
        for row, found in zip(rows, marks, strict=True):
            wave = found.get(name)
            if wave is not None and wave.onset >= 0 and wave.offset <= duration:
                own = _inside(wave, rate)
                peak = own[np.linalg.norm(wave.dipole[:, own], axis=0).argmax()] + wave.start
                row[:] = wave.onset, peak / rate, wave.offset
        result[name] = rows
    return result


def _inside(wave: Wave, rate: float) -> np.ndarray:
    """Indices of a wave's samples within its onset and offset."""
    index = np.arange(wave.dipole.shape[1])
    time = (wave.start + index) / rate
    return index[(time >= wave.onset) & (time <= wave.offset)]


def lead_marks(drawing: Drawing, name: str, rate: float) -> np.ndarray:
    """Visible onset, peak, offset of every wave that lies whole in the record, `(12, waves, 3)` s."""
    waves = sorted(drawing.waves[name], key=lambda wave: wave.onset)
    waves = [wave for wave in waves if wave.onset >= 0 and wave.offset * rate <= drawing.dipole.shape[1] - 1]
    marks = np.full((len(LEADS), len(waves), 3), np.nan)
    for i, wave in enumerate(waves):
        inside = _inside(wave, rate)
        size = np.abs(LEADS @ wave.dipole[:, inside])
        peak = size.max(axis=1)
        above = size > np.maximum(EDGE_SHARE * peak, EDGE_MV)[:, None]
        first, last = above.argmax(axis=1), above.shape[1] - 1 - above[:, ::-1].argmax(axis=1)
        rows = np.stack([first, size.argmax(axis=1), last], axis=1) + wave.start + inside[0]
        visible = peak >= VISIBLE_MV
        marks[visible, i] = rows[visible] / rate
    return marks


def hidden_p_waves(marks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which P waves lie within QRS complexes and T waves by more than `HIDDEN_SHARE`, `(waves,)` bool, of `lead_marks`."""
    others = np.concatenate([_visible_spans(marks[wave]) for wave in ("QRS", "T")])
    first, last = _visible_spans(marks["P"]).T
    time = np.linspace(first, last, 101)[..., None]
    covered = ((time >= others[:, 0]) & (time <= others[:, 1])).any(axis=2)
    return covered.mean(axis=0) > HIDDEN_SHARE


def _visible_spans(marks: np.ndarray) -> np.ndarray:
    """Of `(12, waves, 3)` the first onset and the last offset over the leads, `(waves, 2)`, NaN where none shows it."""
    first, last = np.fmin.reduce(marks[..., 0]), np.fmax.reduce(marks[..., 2])
    return np.column_stack([first, last])


__all__ = [
    "LEADS",
    "MARKED_WAVES",
    "Drawing",
    "Heart",
    "check_range",
    "draw_ecg",
    "draw_heart",
    "hidden_p_waves",
    "lead_marks",
]
