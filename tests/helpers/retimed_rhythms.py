# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Rhythms made of real waves: tachycardias, blocks, pacing and more, with the marks of the waves that were put together.

Only the spikes of pacemakers, fibrillation and flutter waves are drawn; nothing is shared with the simulator.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from tests.helpers.delineation_scoring import WAVES, MarkedEcg
from tests.helpers.retimed_beats import NARROW_S, RATE, Beats, Piece, usual_qrs
from tests.helpers.rhythm_ecgs import RhythmEcg, first_of, hidden_p, last_of, marked, net_axis

QTC_S = 0.41  # Fridericia, of a usual heart
NOISE_MV, WANDER_MV = 0.005, 0.02
# mV in the lead that shows a spike best, and the share of it that swings back.
UNIPOLAR, BIPOLAR = ((2.0, 8.0), 0.04), ((0.2, 0.5), 0.0)
T = TypeVar("T")
Rhythm = Callable[[np.random.Generator, Beats], RhythmEcg]


class Strip:
    """Ten seconds on which pieces are put; overlapping ones add up."""

    def __init__(self, rng: np.random.Generator, seconds: float = 10.0) -> None:
        self.rng = rng
        self.samples = round(seconds * RATE)
        self.signal = np.zeros((12, self.samples))
        self.complexes = np.zeros((12, self.samples))
        self.placed: dict[str, list[np.ndarray]] = {wave: [] for wave in WAVES}
        self.spikes: list[float] = []

    def put(self, piece: Piece, onset: float) -> None:
        """Adds the piece, its first wave beginning at `onset` s."""
        start = round(onset * RATE - piece.onset)
        first, last = max(start, 0), min(start + piece.signal.shape[1], self.samples)
        if first < last:
            part = piece.signal[:, first - start : last - start]
            self.signal[:, first:last] += part
            if "QRS" in piece.marks:
                self.complexes[:, first:last] += part
            for wave, rows in piece.marks.items():
                self.placed[wave].append(rows + start)

    def stimulate(self, times: Iterable[float], size: tuple[float, float], after_potential: float) -> None:
        """Spikes at `times`, as large as `size` (mV) in the lead that shows them best, of one sample or smeared by a filter."""
        vector = _twelve(self.rng.normal(size=8))
        vector *= self.rng.uniform(*size) / np.abs(vector).max()
        shape = np.concatenate([[1.0], -after_potential * np.exp(-np.arange(15) / 4)])
        smear = self.rng.uniform(0.2, 1.0)
        shape = np.convolve(shape, np.exp(-0.5 * np.square(np.arange(-3, 4) / smear)))
        for time in times:
            at = round(time * RATE)
            first = at - 3
            if 0 <= first < self.samples - len(shape):
                self.signal[:, first : first + len(shape)] += np.outer(vector, shape / shape.max())
                self.spikes.append(at / RATE)

    def fibrillate(self, size_mv: float) -> None:
        """Fibrillation waves: two sources of noise of 4 to 8 Hz, `size_mv` (SD) in V1 or so, less in the other leads."""
        spectrum = np.fft.rfft(self.rng.normal(size=(2, self.samples)))
        hertz = np.fft.rfftfreq(self.samples, 1 / RATE)
        spectrum[:, (hertz < 4) | (hertz > 8)] = 0
        sources = np.fft.irfft(spectrum, self.samples)
        sources *= size_mv / np.sqrt(2) / sources.std(axis=1, keepdims=True)
        share = np.array([0.25, 0.4, 1.0, 0.6, 0.4, 0.3, 0.25, 0.2])
        self.signal += _twelve(np.einsum("sl,l,st->lt", self.rng.normal(size=(2, 8)), share, sources))

    def flutter(self, hertz: float, size_mv: float) -> None:
        """Flutter waves, largest in II and V1: a tone with two overtones, so that they fall slowly and rise fast."""
        turns = hertz * np.arange(self.samples) / RATE + self.rng.uniform()
        wave = sum(np.sin(2 * np.pi * (n * turns)) / n**1.5 for n in (1, 2, 3))
        seen = np.array([0.15, 1.0, -0.7, -0.2, 0.1, 0.1, 0.15, 0.15]) * self.rng.uniform(0.7, 1.3, 8)
        self.signal += _twelve(np.outer(size_mv * seen, wave))

    def finished(self, name: str, rhythm: str, has_p: bool, one_shape: bool = True) -> RhythmEcg:
        """The strip with faint noise, and its truth."""
        time = np.arange(self.samples) / RATE
        slow = np.sin(2 * np.pi * (self.rng.uniform(0.1, 0.3) * time + self.rng.uniform(size=(8, 1))))
        noise = _twelve(NOISE_MV * self.rng.normal(size=(8, self.samples)) + WANDER_MV * slow)
        placed = {wave: np.array(sorted(rows, key=first_of)).reshape(-1, 12, 3) for wave, rows in self.placed.items()}
        ecg = MarkedEcg(name, self.signal + noise, RATE, [], rhythm)
        truth = marked(ecg, placed, hidden_p(placed))
        beats = np.nanmedian(placed["QRS"][:, :, 0], axis=1) / RATE
        beats = beats[(beats >= 0) & (beats < self.samples / RATE)]
        axis = net_axis(self.complexes, placed["QRS"]) if one_shape else np.nan
        return replace(truth, beat_times=beats, has_p=has_p, axis=axis, spikes=np.array(sorted(self.spikes)))


def _twelve(measured: np.ndarray) -> np.ndarray:
    """The twelve leads of I, II and V1 to V6, `(8, ...)`."""
    lead_i, lead_ii = measured[:2]
    limb = [lead_i, lead_ii, lead_ii - lead_i, -(lead_i + lead_ii) / 2, lead_i - lead_ii / 2, lead_ii - lead_i / 2]
    return np.stack([*limb, *measured[2:]])


def _walk(rng: np.random.Generator, rr: float, variation: float) -> np.ndarray:
    """Times in s, `rr` apart, from before a strip's beginning to after its end."""
    steps = rr * (1 + variation * rng.normal(size=round(12 / rr) + 2))
    return np.cumsum(steps) - rng.uniform(1, 2) * rr


def _pr(rng: np.random.Generator, waves: list[Piece]) -> float:
    """A PR interval in s that leaves some 20 ms and more after the longest of these P waves."""
    longest = max(last_of(wave.marks["P"]) - wave.onset for wave in waves) / RATE
    return max(float(rng.uniform(0.13, 0.19)), longest + 0.02)


def _repolarised(piece: Piece, rr: float, until_next: float | None = None) -> Piece:
    """The complex with a QT that fits the mean RR (s) and leaves an eighth of the time until the next beat."""
    usual = QTC_S * rr ** (1 / 3) + 0.7 * max(piece.qrs_s - NARROW_S, 0)
    return piece.with_qt(min(usual, max(0.88 * (until_next or rr), piece.qrs_s + 0.09)))


def _tachycardia(strip: Strip, pieces: list[Piece], rr: float, variation: float = 0.004) -> None:
    for number, onset in enumerate(_walk(strip.rng, rr, variation)):
        strip.put(_repolarised(pieces[number % len(pieces)], rr), onset)


def supraventricular_tachycardia(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Narrow complexes without their P waves, 150 to 220 a minute."""
    strip, source = Strip(rng), _pick(rng, beats.narrow)
    _tachycardia(strip, source.conducted, 60 / rng.uniform(150, 220))
    return strip.finished(source.name, "supraventricular tachycardia", has_p=False)


def ventricular_tachycardia(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Wide complexes of one record, 130 to 220 a minute, as fast as their width allows."""
    strip, pieces = Strip(rng), _pick(rng, beats.wide)
    _tachycardia(strip, pieces, max(60 / rng.uniform(130, 220), usual_qrs(pieces) + 0.11))
    return strip.finished("wide", "ventricular tachycardia", has_p=False)


def dissociated_tachycardia(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """The same with sinus P waves that go their own way."""
    strip, pieces, atria = Strip(rng), _pick(rng, beats.wide), _pick(rng, beats.narrow)
    _tachycardia(strip, pieces, max(60 / rng.uniform(130, 190), usual_qrs(pieces) + 0.11))
    for number, onset in enumerate(_walk(rng, 60 / rng.uniform(70, 105), 0.02)):
        strip.put(atria.p[number % len(atria.p)], onset)
    return strip.finished(atria.name, "ventricular tachycardia with AV dissociation", has_p=False)


def _fibrillation(low_mv: float, high_mv: float) -> Rhythm:
    """Narrow complexes as irregular as in fibrillation, with waves of this size (SD) below."""

    def rhythm(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
        strip, source, mean = Strip(rng), _pick(rng, beats.narrow), 60 / rng.uniform(65, 120)
        onset = -rng.uniform(0, 1) * mean
        while onset < 11:
            rr = float(np.clip(rng.gamma(18, mean / 18), 0.36, 1.8))
            strip.put(_repolarised(_pick(rng, source.conducted), mean, rr), onset)
            onset += rr
        strip.fibrillate(rng.uniform(low_mv, high_mv))
        return strip.finished(source.name, "atrial fibrillation", has_p=False)

    return rhythm


def _flutter(wide: bool) -> Rhythm:
    """Narrow or wide complexes at half the rate of flutter waves."""

    def rhythm(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
        strip, cycle = Strip(rng), 60 / rng.uniform(260, 320)
        pieces = _pick(rng, beats.wide) if wide else _pick(rng, beats.narrow).conducted
        _tachycardia(strip, pieces, 2 * cycle, variation=0.0)
        strip.flutter(1 / cycle, rng.uniform(0.08, 0.20))
        return strip.finished("flutter", "atrial flutter", has_p=False)

    return rhythm


def wandering_pacemaker(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Complexes of one record after the P waves of three, some beats each, every one with its own PR interval."""
    strip, source = Strip(rng), _pick(rng, beats.narrow)
    waves_of = [_pick(rng, beats.narrow).p for _ in range(3)]
    sites = [(waves, _pr(rng, waves)) for waves in waves_of]
    site, left, rr = 0, 2, 60 / rng.uniform(56, 80)
    for onset in _walk(rng, rr, 0.05):
        waves, pr = sites[site]
        strip.put(_repolarised(_pick(rng, source.conducted), rr), onset)
        strip.put(_pick(rng, waves), onset - pr)
        left -= 1
        if left == 0:
            site, left = (site + int(rng.integers(1, 3))) % 3, int(rng.integers(2, 5))
    return strip.finished(source.name, "wandering pacemaker", has_p=True)


def bigeminy(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Every sinus beat is followed by a wide one, early and without a P wave."""
    strip, source, pieces, rr = Strip(rng), _pick(rng, beats.narrow), _pick(rng, beats.wide), 60 / rng.uniform(60, 80)
    coupling, pr = max(rng.uniform(0.52, 0.66) * rr, 0.45), _pr(rng, source.p)
    for onset in _walk(rng, 2 * rr, 0.015):
        strip.put(_repolarised(_pick(rng, source.conducted), rr, coupling), onset)
        strip.put(_pick(rng, source.p), onset - pr)
        strip.put(_repolarised(_pick(rng, pieces), rr), onset + coupling)
    return strip.finished(source.name, "bigeminy", has_p=True, one_shape=False)


def complete_block(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """P waves at one rate and complexes at another, narrow or wide; where they meet they add up."""
    strip, atria = Strip(rng), _pick(rng, beats.narrow)
    pieces = _pick(rng, beats.wide) if rng.random() < 0.5 else _pick(rng, beats.narrow).conducted
    rr = 60 / rng.uniform(32, 50)
    for onset in _walk(rng, rr, 0.01):
        strip.put(_repolarised(_pick(rng, pieces), rr), onset)
    for onset in _walk(rng, 60 / rng.uniform(68, 100), 0.02):
        strip.put(_pick(rng, atria.p), onset)
    return strip.finished(atria.name, "complete AV block", has_p=False)


def _pacing(
    chambers: str, spike: tuple[tuple[float, float], float]
) -> Callable[[np.random.Generator, Beats], RhythmEcg]:
    """Beats that follow spikes: the P wave, the wide complex, or both."""

    def rhythm(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
        strip, source = Strip(rng), _pick(rng, beats.narrow)
        pieces = source.conducted if chambers == "atrial" else _pick(rng, beats.wide)
        pr, rr, latency = _pr(rng, source.p), 60 / rng.uniform(60, 85), rng.uniform(0.008, 0.040)
        onsets = _walk(rng, rr, 0.0)
        for onset in onsets:
            strip.put(_repolarised(_pick(rng, pieces), rr), onset)
            if chambers != "ventricular":
                strip.put(_pick(rng, source.p), onset - pr)
        if chambers != "ventricular":
            strip.stimulate(onsets - pr - 0.012, *spike)
        if chambers != "atrial":
            strip.stimulate(onsets - latency, *spike)
        return strip.finished(source.name, f"{chambers} pacing", has_p=chambers != "ventricular")

    return rhythm


def wide_qrs(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Sinus rhythm with wide complexes, stretched to 140 to 200 ms."""
    strip, source, pieces = Strip(rng), _pick(rng, beats.narrow), _pick(rng, beats.wide)
    factor, rr, pr = rng.uniform(0.14, 0.20) / usual_qrs(pieces), 60 / rng.uniform(58, 85), _pr(rng, source.p)
    for onset in _walk(rng, rr, 0.02):
        piece = _repolarised(_pick(rng, pieces), rr)
        strip.put(piece.stretched(piece.onset, last_of(piece.marks["QRS"]), max(factor, 1.0)), onset)
        strip.put(_pick(rng, source.p), onset - pr)
    return strip.finished(source.name, "wide QRS", has_p=True)


def long_qt(rng: np.random.Generator, beats: Beats) -> RhythmEcg:
    """Sinus rhythm with ST segment and T wave stretched to a QT of 480 to 560 ms."""
    strip, source, rr = Strip(rng), _pick(rng, beats.narrow), 60 / rng.uniform(55, 70)
    qt, pr = rng.uniform(0.48, 0.56), _pr(rng, source.p)
    for onset in _walk(rng, rr, 0.02):
        strip.put(_pick(rng, source.conducted).with_qt(qt), onset)
        strip.put(_pick(rng, source.p), onset - pr)
    return strip.finished(source.name, "long QT", has_p=True)


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


RETIMED: dict[str, Rhythm] = {
    "SVT": supraventricular_tachycardia,
    "VT": ventricular_tachycardia,
    "VT, dissociated P": dissociated_tachycardia,
    "flutter 2:1": _flutter(wide=False),
    "flutter 2:1, wide QRS": _flutter(wide=True),
    "AF": _fibrillation(0.01, 0.03),
    "AF, coarse": _fibrillation(0.05, 0.10),
    "wandering pacemaker": wandering_pacemaker,
    "bigeminy": bigeminy,
    "complete AV block": complete_block,
    "atrial pacing, unipolar": _pacing("atrial", UNIPOLAR),
    "atrial pacing, bipolar": _pacing("atrial", BIPOLAR),
    "ventricular pacing, unipolar": _pacing("ventricular", UNIPOLAR),
    "ventricular pacing, bipolar": _pacing("ventricular", BIPOLAR),
    "dual pacing, unipolar": _pacing("dual chamber", UNIPOLAR),
    "dual pacing, bipolar": _pacing("dual chamber", BIPOLAR),
    "wide QRS": wide_qrs,
    "long QT": long_qt,
}
