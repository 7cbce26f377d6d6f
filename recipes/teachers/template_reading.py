# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""An interpretation in prose from measurements: step by step, every value with its lead, and with its beats if they differ."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

import numpy as np

from processing.ecg_features import EcgFeatures
from processing.ecg_limits import LOW_VOLTAGE_LIMB_MV, PR, PREMATURE_RR_SHARE, SOKOLOW_LYON_MV, wide_qrs_limit
from processing.ecg_record import LIMB_LEADS
from processing.ecg_rules import (
    abnormal_t_inversion_leads,
    axis_sector,
    is_long_pr,
    is_long_qtc,
    is_low_voltage,
    is_wide_qrs,
    pathological_q_leads,
    st_depressed_leads,
    st_elevated_leads,
    st_levels,
)

from .settled import Settled

TEMPLATE_VERSION = "v2"
WIDER_MS = 40.0  # one small square of the paper more than the usual beat
MOST_BEATS_NAMED = 3
# T waves may point down here in healthy adults.
T_DOWN_NORMALLY = ("III", "aVL", "V1", "V2")


def long_reading(features: EcgFeatures, impression: Sequence[str], seed: str = "") -> str:
    """A reading in the order of a clinical one, written from measurements and settled diagnoses.

    Args:
        features: of an ECG with beats.
        impression: settled diagnoses in words; statements that contradict them are left out.
        seed: seed of the wording; another seed gives other words.
    """
    reading = _Reading(features, Settled.of(impression), seed)
    steps = (
        reading.rate(),
        reading.rhythm(),
        reading.early_beats(),
        reading.p_waves(),
        reading.axis(),
        reading.qrs(),
        reading.q_waves(),
        reading.voltage(),
        reading.progression(),
        reading.st(),
        reading.t_waves(),
        reading.qt(),
    )
    sentences = [sentence for step in steps for sentence in step]
    return " ".join([*sentences, f"Impression: {'; '.join(impression)}."])


def beats_in_words(numbers: Sequence[int]) -> str:
    """`beat 5`, `beats 3-6 and 9` from beat numbers."""
    runs = [
        [number for _, number in run]
        for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
    ]
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return f"beat{'s' if len(numbers) > 1 else ''} {listed(parts)}"


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


@dataclass(frozen=True)
class _Reading:
    """The steps of one reading; each gives its sentences."""

    features: EcgFeatures
    settled: Settled
    seed: str

    def rate(self) -> list[str]:
        rate = self.features.heart_rate
        if math.isnan(rate):
            return ["The heart rate is not measurable."]
        if self.settled.denies_rate(rate):
            return []
        rr = self._rr[1:]
        shortest, longest = int(rr.argmin()), int(rr.argmax())
        low, high = f"{rr[shortest]:.0f} ms", f"{rr[longest]:.0f} ms"
        if low == high:
            return [f"The heart rate is {rate:.0f} bpm, with a constant RR interval of {low}."]
        first, last = shortest + 2, longest + 2  # the beat that ends the interval
        return [
            self._worded(
                "rate",
                f"The heart rate is {rate:.0f} bpm, with RR intervals from {low} (before beat {first}) to {high} (before beat "
                f"{last}).",
                f"The ventricular rate is {rate:.0f} bpm; the shortest RR interval is {low}, before beat {first}, the longest "
                f"{high}, before beat {last}.",
                f"The heart rate measures {rate:.0f} bpm. RR intervals lie between {low} (before beat {first}) and {high} "
                f"(before beat {last}).",
            )
        ]

    def rhythm(self) -> list[str]:
        regularity, rhythm = self.features.rhythm_regularity, self.settled.rhythm
        if regularity and self.settled.denies_regularity(regularity):
            regularity = None
        if rhythm and regularity:
            return [
                self._worded(
                    "rhythm",
                    f"The rhythm is {regularity}: {rhythm}.",
                    f"This is {rhythm}, and the rhythm is {regularity}.",
                    f"The rhythm is {rhythm}, {regularity}.",
                )
            ]
        if rhythm:
            return [f"The rhythm is {rhythm}."]
        return [f"The rhythm is {regularity}."] if regularity else []

    def early_beats(self) -> list[str]:
        """The few beats that come early or are much wider than the others."""
        rr, lead = self._rr, self._rhythm_lead
        early = (
            np.flatnonzero(rr < PREMATURE_RR_SHARE * np.nanmedian(rr)) + 1 if len(rr) > 3 else np.zeros(0, dtype=int)
        )
        if self.features.rhythm_regularity == "irregular" or len(early) > MOST_BEATS_NAMED:
            early = np.zeros(0, dtype=int)
        sentences = [
            self._worded(
                f"early {number}",
                f"Beat {number} comes early, {rr[number - 1]:.0f} ms after beat {number - 1}.",
                f"Beat {number} is premature, {rr[number - 1]:.0f} ms after beat {number - 1}.",
            )
            for number in early
        ]
        widths = self._sequence("QRS Duration", lead)
        usual = np.nanmedian(widths) if np.isfinite(widths).any() else np.nan
        wide = np.flatnonzero(widths > usual + WIDER_MS) + 1
        if 0 < len(wide) <= MOST_BEATS_NAMED and not self.settled.normal:
            sentences += [
                f"In lead {lead} beat {number} is wide, with a QRS duration of {widths[number - 1]:.0f} ms."
                for number in wide
            ]
        return sentences

    def p_waves(self) -> list[str]:
        features, settled = self.features, self.settled
        alone = len(features.lone_p_waves)
        if features.p_present is None:
            return [f"Whether P waves precede the QRS complexes cannot be measured because of {features.p_unclear}."]
        if not features.p_present:
            if alone:  # dissociated, or fibrillation that looks like it
                apart = settled.says("av_block", 3)
                return [f"{alone} P waves are not followed by a QRS complex."] if apart else []
            if settled.with_p_waves:
                return []
            return [
                self._worded(
                    "no P",
                    "No P waves precede the QRS complexes, so that the PR interval is not measurable.",
                    "P waves are absent before the QRS complexes; the PR interval is not measurable.",
                )
            ]
        if settled.without_p_waves:
            return []
        sentences = [self._p_wave(self._rhythm_lead)]
        if alone:
            verb = "waves are" if alone > 1 else "wave is"
            sentences.append(f"{alone} P {verb} not followed by a QRS complex.")
        return [*filter(None, sentences), *self._long_pr()]

    def _p_wave(self, lead: str) -> str:
        height, width, pr = (self._median(name, lead) for name in ("P Amplitude", "P Duration", "PR Interval"))
        if math.isnan(pr) or math.isnan(height):
            return "The PR interval is not measurable."
        beats = np.flatnonzero(np.isfinite(self._sequence("PR Interval", lead))) + 1
        count = len(self.features.beat_times)
        before = f"all {count} beats" if len(beats) == count else beats_in_words(beats.tolist())
        size = f"{height:.2f} mV and {width:.0f} ms"
        if self.settled.denies_pr(pr):
            return f"In lead {lead} a P wave of {size} precedes {before}."
        if height <= 0:
            return f"In lead {lead} the P wave of {size} precedes {before}, and the PR interval is {pr:.0f} ms."
        return self._worded(
            "P",
            f"In lead {lead} a P wave of {size} precedes {before}, with a PR interval of {pr:.0f} ms.",
            f"P waves precede {before} in lead {lead}. In lead {lead} the P wave is {height:.2f} mV high and {width:.0f} ms long, "
            f"and the PR interval is {pr:.0f} ms.",
            f"In lead {lead} the P wave before {before} is {height:.2f} mV high and {width:.0f} ms long, and the PR interval is "
            f"{pr:.0f} ms.",
        )

    def _long_pr(self) -> list[str]:
        lead = self._rhythm_lead
        values = self._sequence("PR Interval", lead)
        long = np.flatnonzero(values > PR.high) + 1
        if not len(long) or not is_long_pr(self.features) or self.settled.normal:
            return []
        every = "in all beats" if len(long) == len(values) else f"in {beats_in_words(long.tolist())}"
        return [f"The PR interval is prolonged beyond {PR.high:.0f} ms in lead {lead} {every}."]

    def axis(self) -> list[str]:
        axis = self.features.qrs_axis
        if math.isnan(axis):
            return ["The QRS axis is not measurable."]
        if self.settled.denies_axis(axis):
            return []
        side = axis_sector(axis, self.features.age)
        if side == "normal":
            if self.settled.judges_axis and not self.settled.normal:
                return [f"The QRS axis is {axis:.0f} degrees."]
            return [
                self._worded(
                    "axis",
                    f"The QRS axis is normal at {axis:.0f} degrees.",
                    f"The QRS axis is {axis:.0f} degrees, which is normal.",
                )
            ]
        if self.settled.normal or self.settled.denies_deviation:
            return [f"The QRS axis is {axis:.0f} degrees."]
        return [f"The QRS axis is {axis:.0f} degrees, {side} axis deviation."]

    def qrs(self) -> list[str]:
        width = self.features.qrs_duration
        forms = [
            f"{'an' if self.features.qrs_patterns[lead][0] in 'rRsS' else 'a'} {self.features.qrs_patterns[lead]} complex in "
            f"{lead}"
            for lead in ("V1", "V6")
            if self.features.qrs_patterns.get(lead)
        ]
        if math.isnan(width):
            return ["The QRS duration is not measurable."]
        if self.settled.denies_qrs(width):
            return [f"The QRS shows {listed(forms)}."] if forms else []
        limit = wide_qrs_limit(self.features.age)
        wide = f", wider than {limit:.0f} ms" if is_wide_qrs(self.features) and not self.settled.normal else ""
        if not forms:
            return [f"The QRS duration is {width:.0f} ms{wide}."]
        return [
            self._worded(
                "QRS",
                f"The QRS duration is {width:.0f} ms{wide}, with {listed(forms)}.",
                f"The QRS complex lasts {width:.0f} ms{wide}; there is {listed(forms)}.",
                f"The QRS duration measures {width:.0f} ms{wide}. The chest leads show {listed(forms)}.",
            )
        ]

    def q_waves(self) -> list[str]:
        if not self.settled.judges_q_waves:
            return []
        group = pathological_q_leads(self.features)
        if not group:
            return []
        depths = {lead: abs(self._lead_value("q_amplitude", lead)) for lead in group}
        deepest = max(group, key=lambda lead: depths[lead])
        return [
            self._worded(
                "Q",
                f"There are pathological Q waves in {listed(group)}.",
                f"Pathological Q waves are present in {listed(group)}.",
            ),
            f"The Q wave in lead {deepest} is {depths[deepest]:.2f} mV deep.",
        ]

    def voltage(self) -> list[str]:
        sentences = []
        value = self.features.sokolow_lyon
        if math.isfinite(value):
            beyond = (
                f", above {SOKOLOW_LYON_MV:g} mV" if value >= SOKOLOW_LYON_MV and self.settled.high_voltage else ""
            )
            sentences.append(
                self._worded(
                    "Sokolow",
                    f"The Sokolow-Lyon voltage is {value:.2f} mV{beyond}.",
                    f"The Sokolow-Lyon voltage, S in V1 plus R in V5 or V6, is {value:.2f} mV{beyond}.",
                )
            )
        sizes = {lead: self._lead_value("qrs_amplitude", lead) for lead in LIMB_LEADS}
        largest = max(sizes, key=lambda lead: sizes[lead] if math.isfinite(sizes[lead]) else 0.0)
        if is_low_voltage(self.features) and sizes[largest] < LOW_VOLTAGE_LIMB_MV and not self.settled.normal:
            sentences.append(
                f"There is low voltage in the limb leads; the QRS amplitude is {sizes[largest]:.2f} mV in lead {largest}."
            )
        return sentences

    def progression(self) -> list[str]:
        first, third, fourth = (self._lead_value("r_amplitude", lead) for lead in ("V1", "V3", "V4"))
        if math.isnan(first) or math.isnan(fourth):
            return []
        ends = f"{max(first, 0):.2f} mV in V1", f"{max(fourth, 0):.2f} mV in V4"
        if self.features.poor_r_progression and not self.settled.normal and math.isfinite(third):
            return [
                f"The R wave measures {ends[0]}, {max(third, 0):.2f} mV in V3 and {ends[1]}, a poor R progression."
            ]
        after = self.features.r_transition
        overtakes = f"; it exceeds the S wave from {after} on" if after else ""
        if first < fourth:
            return [
                self._worded(
                    "R",
                    f"The R wave grows from {ends[0]} to {ends[1]}{overtakes}.",
                    f"The R wave measures {ends[0]} and {ends[1]}{overtakes}.",
                )
            ]
        return [f"The R wave measures {ends[0]} and {ends[1]}{overtakes}."]

    def st(self) -> list[str]:
        levels = st_levels(self.features)
        if not levels:
            return ["The ST segment is not measurable."]
        at_j = st_levels(self.features, "st_j")
        raised = {lead: at_j[lead] for lead in st_elevated_leads(self.features)}
        lowered = {lead: levels[lead] for lead in st_depressed_leads(self.features)}
        largest = max(levels, key=lambda lead: abs(levels[lead]))
        level = f"ST level at J+60 is {_signed(levels[largest])} mV in lead {largest}"
        if self.settled.normal or (self.settled.changed_repolarisation and not raised and not lowered):
            return [f"The largest {level}."]
        if not raised and not lowered:
            return [
                self._worded(
                    "ST",
                    f"There is no significant ST elevation or depression; the largest {level}.",
                    f"No two neighbouring leads show significant ST elevation or depression; the largest {level}.",
                )
            ]
        return [
            f"The ST segment at {point} is {word} in {_with_values(leads.items())}."
            for point, word, leads in (("the J point", "elevated", raised), ("J+60", "depressed", lowered))
            if leads
        ]

    def t_waves(self) -> list[str]:
        inverted = self._t_amplitudes(abnormal_t_inversion_leads(self.features), lambda value: value < 0)
        if self.settled.normal:
            inverted = {lead: value for lead, value in inverted.items() if lead in T_DOWN_NORMALLY}
        upright = self._t_amplitudes(("II", "V5"), lambda value: value > 0.05)
        return [
            self._worded(
                f"T {word}",
                f"The T wave is {word} in {_with_values(leads.items())}.",
                f"{'T waves are' if len(leads) > 1 else 'The T wave is'} {word} in {_with_values(leads.items())}.",
            )
            for word, leads in (("inverted", inverted), ("upright", upright))
            if leads
        ]

    def qt(self) -> list[str]:
        qt, qtc = self.features.qt_interval, self.features.qtc_bazett
        if math.isnan(qt):
            return ["The QT interval is not measurable."]
        if math.isnan(qtc) or self.settled.denies_qtc(qtc):
            return [f"The QT interval is {qt:.0f} ms."]
        prolonged = ", prolonged" if is_long_qtc(self.features) and self.settled.long_qt else ""
        return [
            self._worded(
                "QT",
                f"The QT interval is {qt:.0f} ms, corrected by Bazett's formula QTc {qtc:.0f} ms{prolonged}.",
                f"The QT interval is {qt:.0f} ms and the QTc by Bazett's formula {qtc:.0f} ms{prolonged}.",
                f"The QT interval measures {qt:.0f} ms, QTc {qtc:.0f} ms (Bazett){prolonged}.",
            )
        ]

    def _worded(self, step: str, *wordings: str) -> str:
        """One of the wordings, always the same for a seed and a step."""
        drawn = int.from_bytes(sha256(f"{self.seed}\n{step}".encode()).digest()[:4], "big")
        return wordings[drawn % len(wordings)]

    @property
    def _rhythm_lead(self) -> str:
        return "II" if "II" in self.features.leads else self.features.leads[0]

    @property
    def _rr(self) -> np.ndarray:
        """ms to the previous beat, NaN at the first."""
        return np.concatenate([[np.nan], self.features.rr_intervals])

    def _sequence(self, name: str, lead: str) -> np.ndarray:
        return self.features.sequence(name, lead).astype(np.float64)

    def _median(self, name: str, lead: str) -> float:
        values = self._sequence(name, lead)
        return float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else math.nan

    def _lead_value(self, name: str, lead: str) -> float:
        return self.features.lead_value(name, lead) if lead in self.features.leads else math.nan

    def _t_amplitudes(self, leads: Iterable[str], keep: Callable[[float], bool]) -> dict[str, float]:
        values = {lead: self._lead_value("t_amplitude", lead) for lead in leads}
        return {lead: value for lead, value in values.items() if math.isfinite(value) and keep(value)}


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # no -0.00


def _with_values(leads: Iterable[tuple[str, float]]) -> str:
    return listed([f"{lead} ({value:.2f} mV)" for lead, value in leads])


__all__ = ["TEMPLATE_VERSION", "beats_in_words", "listed", "long_reading"]
