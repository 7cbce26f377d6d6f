# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Real ECGs with a longer PR or ST segment, or without some of their QRS complexes: what is measured must follow."""

from dataclasses import dataclass

import numpy as np

from processing.ecg_features import EcgFeatures

NOISE_MV = 0.003  # of an inserted rest; a line without noise is none of an ECG
BEHIND_QRS_S, BEHIND_T_S, LEVEL_S = 0.030, 0.020, 0.006


@dataclass(frozen=True)
class Lengthener:
    """An ECG and its measurements, `signal` `(leads, samples)` mV."""

    signal: np.ndarray
    features: EcgFeatures

    def with_pr(self, seconds: float) -> np.ndarray:
        """The signal with a rest of so many s between each P wave and its QRS complex."""
        p_end, onset = self._marks("P")[:, 2], self._marks("QRS")[:, 0]
        return self._with_rest((p_end + onset)[np.isfinite(p_end)] / 2, seconds)

    def with_st(self, seconds: float) -> np.ndarray:
        """The signal with a rest of so many s behind each QRS complex."""
        return self._with_rest(self._marks("QRS")[:, 2] + BEHIND_QRS_S * self.features.sampling_rate, seconds)

    def without_every(self, number: int) -> tuple[np.ndarray, int]:
        """The signal without QRS complex and T wave of every such beat, whose P waves stay, and how many were taken out."""
        signal, rate = self.signal.copy(), self.features.sampling_rate
        starts = (self._marks("P")[:, 2] + self._marks("QRS")[:, 0]) / 2
        ends = self._marks("T")[:, 2] + BEHIND_T_S * rate
        taken = [
            (int(first), int(last))
            for first, last in zip(starts[number - 1 : -1 : number], ends[number - 1 : -1 : number], strict=True)
            if np.isfinite(first + last) and last < signal.shape[1] - LEVEL_S * rate
        ]
        half = round(LEVEL_S * rate / 2)
        for first, last in taken:
            levels = [signal[:, place - half : place + half].mean(axis=1) for place in (first, last)]
            line = np.linspace(*levels, last - first, axis=1)
            signal[:, first:last] = line + self._noise(first, line.shape)
        return signal, len(taken)

    def _marks(self, wave: str) -> np.ndarray:
        """Onset, peak and offset of every beat's wave in samples."""
        return self.features.beat_waves[wave] * self.features.sampling_rate

    def _with_rest(self, places: np.ndarray, seconds: float) -> np.ndarray:
        parts, last = [], 0
        for place in np.round(places).astype(int):
            if last < place < self.signal.shape[1]:
                rest = np.repeat(
                    self.signal[:, place : place + 1], round(seconds * self.features.sampling_rate), axis=1
                )
                parts += [self.signal[:, last:place], rest + self._noise(place, rest.shape)]
                last = place
        return np.concatenate([*parts, self.signal[:, last:]], axis=1)

    @staticmethod
    def _noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng(seed).normal(0, NOISE_MV, shape)


def is_calm(features: EcgFeatures) -> bool:
    """Whether a record is a regular, not fast sinus rhythm with narrow complexes, that can be lengthened."""
    return bool(
        features.p_present
        and features.rhythm_regularity == "regular"
        and features.heart_rate < 80
        and features.qrs_duration < 115
        and np.isfinite(features.qt_interval + features.pr_interval)
    )


__all__ = ["Lengthener", "is_calm"]
