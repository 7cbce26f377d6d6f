# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Whether a signal can be an ECG with the stated scale, leads and sampling rate: one verdict with its reasons, used everywhere.

`EcgRecord.plausibility` has the verdict, `EcgRecord.check_quality` refuses by it, and `extract_features` withholds values that a
doubtful scale or time base would make wrong. The limits are those of 4,278 twelve-lead ECGs (PTB-XL 3,888, CinC 2020 and PTB 290,
LUDB 100), of which this file calls 3 suspect; measured intervals add 2 of 1,377. None is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from .ecg_limb_laws import broken_law, dead_limb_leads, without_details, without_limb_leads
from .ecg_limits import MAX_PLAUSIBLE_MV, MIN_DURATION_S
from .ecg_order_statistics import mean, median, nan_median, true_in_rows
from .errors_gem import EcgQualityError

Verdict = Literal["ok", "suspect", "refused"]
# What is in doubt: the gain or unit, the names of the leads, the sampling rate, or whether there is an ECG at all.
About = Literal["scale", "leads", "time base", "signal"]

# A lead's span is the median over windows of 2 s of highest minus lowest sample: a heartbeat each, no matter what artefacts.
WINDOW_S: Final = 2.0
MOST_WINDOWS: Final = 300  # of a longer record as many are looked at, from all of it
# The median span of eight and more leads: 0.38 to 6.6 mV, of 99.9 % of the ECGs 0.41 to 3.9 mV.
USUAL_SPAN_MV: Final = (0.4, 4.0)
# The span of a lead: of 99.95 % at least 0.15 mV, of all at most 13.2 mV.
LEAD_SPAN_MV: Final = (0.15, 10.0)
LARGEST_LEAD_SPAN_MV: Final = 16.0
# Beyond every ECG by far: a tenth of the smallest, twice the largest median span.
POSSIBLE_SPAN_MV: Final = (0.04, 13.0)
MANY_LEADS: Final = 8
# Correlation of samples 10 ms apart within a window, median over the leads: at least 0.35; 0 in white noise.
LAG_S: Final = 0.01
LEAST_CORRELATION: Final = 0.2
LAG_FROM_HZ: Final = 100.0
DEAD_CURE: Final = "Leave its row out: it is derived from the other limb leads."
# Share of the samples at a lead's own highest or lowest value: at most 0.02 in the median lead.
CLIPPED_SHARE: Final = 0.05
# A QTc (Fridericia) below is no adult's (short QT syndrome below 330 ms) where the QRS is short at once, and a QT and a QRS beyond
# the others are in none of 1,377 ECGs; of 835 with half their sampling rate the second names 93 %.
SHORTEST_QTC_MS: Final = 330.0
SHORT_QTC_QRS_MS: Final = 100.0
LONGEST_QT_MS: Final = 560.0
LONG_QT_QRS_MS: Final = 125.0
# What devices write for a missing sample.
MISSING_MARKS: Final = (-32768, 32767, -2147483648, 2147483647, -99999, 99999, -9999, 9999)
MARK_DISTANCE: Final = 5.0  # in spans of the other samples

UNIT_CURE: Final = "If its numbers are microvolts, volts or raw ADC counts, say so: `unit='uV'`, `unit='V'`, or `gain=` in counts per mV."
GIVEN_UNIT_CURE: Final = (
    "The unit or gain that was given does not fit. If the numbers are millivolts, microvolts, volts or raw ADC counts, say so: "
    "`unit='mV'`, `unit='uV'`, `unit='V'`, or `gain=` in counts per mV."
)
RATE_CURE: Final = "State the true rate in Hz with `sampling_rate=`."
NAMES_CURE: Final = "Check the names and gains of I, II, III, aVR, aVL and aVF, or name the rows with `leads=`."


class EcgPlausibilityWarning(UserWarning):
    """The amplitudes of a record are impossible or rare for an ECG."""


@dataclass(frozen=True)
class Doubt:
    """One reason against a record.

    Args:
        verdict: its consequence.
        about: the fact in doubt.
        lead: the lead that shows it, `""` for the record as a whole.
        found: the finding, with its value.
        expected: the normal finding.
        cure: the remedy, with the keywords of `load_ecg`.
    """

    verdict: Literal["suspect", "refused"]
    about: About
    lead: str
    found: str
    expected: str
    cure: str

    def __str__(self) -> str:
        where = f"lead {self.lead} " if self.lead else ""
        return f"{where}{self.found}; {self.expected}{'' if self.expected.endswith('?') else '.'} {self.cure}"


@dataclass(frozen=True)
class Plausibility:
    """The verdict on a record, with its reasons, the gravest first.

    Examples:
        >>> doubt = Doubt("suspect", "scale", "V2", "spans 22 mV", "a lead spans up to 16 mV", UNIT_CURE)
        >>> Plausibility((doubt,)).verdict, Plausibility().verdict
        ('suspect', 'ok')
    """

    doubts: tuple[Doubt, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """`"refused"` where no number of the record can be trusted, `"suspect"` where some cannot, else `"ok"`."""
        return self.doubts[0].verdict if self.doubts else "ok"

    def doubts_about(self, *subjects: About) -> bool:
        """Whether one of `subjects` is in doubt."""
        return any(doubt.about in subjects for doubt in self.doubts)

    @property
    def reasons(self) -> str:
        """The doubts in words."""
        said = [str(doubt) for doubt in self.doubts]
        return "; ".join([*(reason.rstrip(".") for reason in said[:-1]), *said[-1:]])

    def with_doubts(self, doubts: Sequence[Doubt]) -> "Plausibility":
        """This verdict with more reasons; one about a scale that is refused already says nothing new."""
        if any((doubt.verdict, doubt.about) == ("refused", "scale") for doubt in self.doubts):
            doubts = [doubt for doubt in doubts if doubt.about != "scale"]
        return Plausibility(tuple(sorted((*self.doubts, *doubts), key=lambda doubt: doubt.verdict != "refused")))

    def with_given_scale(self) -> "Plausibility":
        """The verdict on a record whose unit or gain the caller gave: to give one is no cure, a true one is."""
        doubts = (replace(doubt, cure=GIVEN_UNIT_CURE) if doubt.cure == UNIT_CURE else doubt for doubt in self.doubts)
        return Plausibility(tuple(doubts))

    def without_heartbeats(self, note: str) -> "Plausibility":
        """The verdict on a record in which no heartbeat was found, `note` says why: of such a record nothing is read."""
        expected = "a signal without heartbeats is asystole, ventricular fibrillation or not an ECG"
        return self.with_doubts([Doubt("refused", "signal", "", note, expected, "Look at its page.")])

    def check(self, name: str) -> None:
        """Raises an error if the record is refused.

        Raises:
            EcgQualityError: the record called `name` is; the message gives the reasons.
        """
        if self.verdict == "refused":
            raise EcgQualityError(f"{name}: {self.reasons}")

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reasons}" if self.doubts else self.verdict

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: `verdict`, and `reasons` with what each was found in, found, expected, and its remedy."""
        names = ("verdict", "about", "lead", "found", "expected", "cure")
        reasons = [{name: getattr(doubt, name) for name in names} for doubt in self.doubts]
        return {"verdict": self.verdict, "reasons": reasons}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Plausibility":
        """The verdict of which `to_dict` made `values`."""
        return cls(tuple(Doubt(**reason) for reason in values["reasons"]))


def assess(
    leads: Sequence[str], signal: np.ndarray, sampling_rate: float, finest: float = 0.0, silent: Sequence[str] = ()
) -> Plausibility:
    """The verdict on a signal, without measuring it (a millisecond for 10 s of twelve leads).

    Refused: shorter than 1 s, no sample, flat in every lead, a scale at which no heart beats. Suspect: a scale out of the
    population, limb leads that contradict each other, clipped leads, neighbouring samples that have nothing in common.

    Args:
        leads: canonical names of the rows.
        signal: `(leads, samples)` in mV; what is not finite is missing.
        sampling_rate: Hz.
        finest: s; shorter details are not the heart's (`EcgRecord.finest_detail`), and limb leads may differ in them.
        silent: leads that are known to show no beats, see `silent_leads`.
    """
    duration = signal.shape[1] / sampling_rate
    if duration < MIN_DURATION_S:
        found = f"lasts {duration:.3f} s ({signal.shape[1]} samples at {sampling_rate:g} Hz)"
        expected = f"a record shorter than {MIN_DURATION_S:g} s may hold no heartbeat"
        cure = f"{RATE_CURE} An array is (leads, samples)."
        return Plausibility((Doubt("refused", "time base", "", found, expected, cure),))
    finite = np.isfinite(signal)
    if not finite.any():
        found = "no lead holds a single finite sample"
        return Plausibility((Doubt("refused", "signal", "", found, "an ECG has samples", "Export the file again."),))
    filled = signal if finite.all() else np.where(finite, signal, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # the square of a number out of all reason
        return _assess(leads, filled, sampling_rate, finest, silent)


def _assess(
    leads: Sequence[str], filled: np.ndarray, sampling_rate: float, finest: float, silent: Sequence[str]
) -> Plausibility:
    filled = _looked_at(filled, sampling_rate)
    spans, correlation, clipped = _window_signs(filled, sampling_rate)
    if not (spans > 0).any() and not _moves(filled):
        found = "the signal is flat in every lead"
        expected = "the electrodes were off, or the file was read wrongly"
        return Plausibility((Doubt("refused", "signal", "", found, expected, "Export the file again."),))
    doubts = [
        *_scale_doubts(leads, filled, spans),
        *_no_ecg(filled, correlation, sampling_rate),
        *_clipping_doubts(leads, clipped),
        *_limb_doubts(leads, without_details(filled, finest * sampling_rate), silent),
    ]
    return Plausibility().with_doubts(doubts)


def _looked_at(signal: np.ndarray, rate: float) -> np.ndarray:
    """A long record by windows from all of it, side by side, so that a day takes no more time and memory than some minutes."""
    length = max(2, round(WINDOW_S * rate))
    count = signal.shape[1] // length
    if count <= MOST_WINDOWS:
        return signal
    chosen = np.linspace(0, count - 1, MOST_WINDOWS).round().astype(int)
    return np.concatenate([signal[:, length * number : length * (number + 1)] for number in chosen], axis=1)


def _moves(signal: np.ndarray) -> bool:
    """Whether a lead has two samples that differ."""
    return any(len(row) and row.max() > row.min() for row in (lead[np.isfinite(lead)] for lead in signal))


def _window_signs(signal: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each lead the span in mV, the correlation of samples 10 ms apart, and the share of samples at its own highest or
    lowest value; NaN without samples."""
    samples = signal.shape[1]
    length = min(samples, max(2, round(WINDOW_S * rate)))
    count = samples // length
    windows = signal[:, : count * length].reshape(len(signal), count, length)
    highest, lowest = windows.max(axis=2), windows.min(axis=2)
    if np.isnan(highest).any():  # windows with gaps count by what they have, empty ones do not count
        highest = np.fmax.reduce(windows, axis=2)
        lowest = np.fmin.reduce(windows, axis=2)
        windows = np.nan_to_num(windows)
    spans = _median(highest - lowest)
    lag = max(1, round(LAG_S * rate))
    centred = windows - mean(windows, keepdims=True)
    power = np.einsum("wsi,wsi->ws", centred, centred)
    shared = np.einsum("wsi,wsi->ws", centred[..., lag:], centred[..., :-lag]) if lag < length else power
    correlation = _median(np.where(power > 0, shared / np.maximum(power, 1e-12), np.nan))
    top, bottom = np.fmax.reduce(highest, axis=1), np.fmin.reduce(lowest, axis=1)
    clipped = (true_in_rows(signal == top[:, None]) + true_in_rows(signal == bottom[:, None])) / samples
    return spans, correlation, np.where(top > bottom, clipped, np.nan)


def _median(values: np.ndarray) -> np.ndarray:
    """Median of each row without what is NaN; NaN for a row of NaN."""
    return nan_median(np.where(np.isfinite(values), values, np.nan), axis=1)


def _scale_doubts(leads: Sequence[str], signal: np.ndarray, spans: np.ndarray) -> Iterator[Doubt]:
    """Whether the amplitudes are those of an ECG in mV."""
    moving = np.flatnonzero(spans > 0)
    if not len(moving):
        return
    typical = float(median(spans[moving]))
    named = int(moving[np.argsort(spans[moving])[len(moving) // 2]])
    beyond = _beyond_reach(leads, signal)
    low, high = USUAL_SPAN_MV if len(moving) >= MANY_LEADS else LEAD_SPAN_MV
    expected = f"the leads of an ECG span {low:g} to {high:g} mV"
    found = f"spans {_mv(spans[named])}, half of the leads no {'less' if typical > high else 'more'}"
    if not POSSIBLE_SPAN_MV[0] <= typical <= POSSIBLE_SPAN_MV[1]:
        yield Doubt("refused", "scale", leads[named], found, expected, UNIT_CURE)
    elif beyond is not None:
        yield beyond
    elif not low <= typical <= high:
        yield Doubt("suspect", "scale", leads[named], found, expected, UNIT_CURE)
    else:
        yield from _lead_doubts(leads, spans)


def _lead_doubts(leads: Sequence[str], spans: np.ndarray) -> Iterator[Doubt]:
    """Single leads beyond what the largest heart gives."""
    for row in np.flatnonzero(spans > LARGEST_LEAD_SPAN_MV).tolist():
        expected = f"a lead spans up to {LARGEST_LEAD_SPAN_MV:g} mV"
        yield Doubt("suspect", "scale", leads[row], f"spans {_mv(spans[row])}", expected, UNIT_CURE)


def _beyond_reach(leads: Sequence[str], signal: np.ndarray) -> Doubt | None:
    """A quarter of a lead, or one per cent of most leads, beyond 20 mV: a wrong unit, where an artefact is shorter."""
    highest = np.fmax.reduce(signal, axis=1)
    lowest = np.fmin.reduce(signal, axis=1)
    if not max(np.fmax.reduce(highest), -np.fmin.reduce(lowest)) > MAX_PLAUSIBLE_MV:
        return None
    too_high = (np.abs(np.nan_to_num(signal)) > MAX_PLAUSIBLE_MV).mean(axis=1)
    if too_high.max() <= 0.25 and median(too_high) <= 0.01:
        return None
    row = int(too_high.argmax())
    found = f"spans {_mv(highest[row] - lowest[row])} and stays beyond {MAX_PLAUSIBLE_MV:g} mV"
    return Doubt("refused", "scale", leads[row], found, "an ECG at the skin never does", UNIT_CURE)


def _no_ecg(signal: np.ndarray, correlation: np.ndarray, rate: float) -> Iterator[Doubt]:
    known = correlation[np.isfinite(correlation)]
    if rate < LAG_FROM_HZ or not len(known) or median(known) >= LEAST_CORRELATION:
        return
    if np.mean(signal[:, 1:] != signal[:, :-1]) < 0.5:  # single steps on a line, not noise
        return
    found = f"neighbouring samples have nothing in common (correlation {median(known):.2f} over 10 ms)"
    yield Doubt("suspect", "signal", "", found, "noise, or an ECG under it", "Check how the file was decoded.")


def _clipping_doubts(leads: Sequence[str], clipped: np.ndarray) -> Iterator[Doubt]:
    known = clipped[np.isfinite(clipped)]
    if not len(known) or median(known) <= CLIPPED_SHARE:
        return
    row = int(np.nanargmax(clipped))
    found = f"stands at its highest or lowest value for {clipped[row]:.0%} of the time"
    cure = "Its amplitudes are not known; record or export it with a wider range."
    yield Doubt("suspect", "scale", leads[row], found, "a lead that is not cut off passes them by", cure)


def _limb_doubts(leads: Sequence[str], signal: np.ndarray, silent: Sequence[str]) -> Iterator[Doubt]:
    """Einthoven's law and Goldberger's definitions: recorded limb leads keep them, whatever the heart does.

    Where they do without leads that are flat, show no beats or hold something else, these are named: nothing else is wrong.
    """
    broken = broken_law(leads, signal)
    if broken is None:
        return
    dead = dead_limb_leads(leads, signal, silent)
    if dead and broken_law(leads, without_limb_leads(leads, signal, tuple(dead))) is None:
        for lead, found in dead.items():
            yield Doubt("suspect", "signal", lead, found, "its electrode or its channel was off", DEAD_CURE)
        return
    where, found = broken
    yield Doubt("suspect", "leads", where, found, "limb leads are misnamed, or have wrong gains", NAMES_CURE)


def doubts_of_measures(heart_rate: float, qrs_duration: float, qt_interval: float) -> tuple[Doubt, ...]:
    """Whether the sampling rate can be right: with a false one every interval is longer or shorter by the same factor.

    With twice the true rate 55 % of 835 ECGs are suspect, with half of it 93 %, with the true one 2 of 1,377.

    Args:
        heart_rate: bpm.
        qrs_duration: ms; NaN if not known.
        qt_interval: ms; NaN if not known.
    """
    qtc = qt_interval * (heart_rate / 60) ** (1 / 3)
    about = f"QRS {qrs_duration:.0f} ms and QT {qt_interval:.0f} ms at {heart_rate:.0f} bpm"
    if qtc < SHORTEST_QTC_MS and qrs_duration < SHORT_QTC_QRS_MS:
        expected = f"a QTc (Fridericia) of {qtc:.0f} ms is shorter than any adult's: is the true sampling rate lower?"
    elif qt_interval > LONGEST_QT_MS and qrs_duration > LONG_QT_QRS_MS:
        expected = "no heart is that slow in all of them at once: is the true sampling rate higher?"
    else:
        return ()
    return (Doubt("suspect", "time base", "", about, expected, RATE_CURE),)


def false_gain(found: str) -> Doubt:
    """The doubt about the size of the QRS complexes, for the words in which `ecg_rules.suspected_gain` says it."""
    return Doubt("suspect", "scale", "", found, "the sizes of a population are in `ecg_limits.QRS_SIZE`", UNIT_CURE)


def marks_of_missing(signal: np.ndarray) -> np.ndarray:
    """Where `signal` (leads, samples), in the numbers of its file, holds a device's mark for "missing" instead of a sample.

    Such a mark (-32768 or similar) is a lead's highest or lowest value and is far from all others, further than five
    times what they span: a lead that comes near it through its own amplitude keeps it.
    """
    missing = np.zeros(signal.shape, dtype=bool)
    highest, lowest = np.fmax.reduce(signal, axis=1), np.fmin.reduce(signal, axis=1)
    for row in np.flatnonzero(np.isin(highest, MISSING_MARKS) | np.isin(lowest, MISSING_MARKS)):
        marked = np.isin(signal[row], MISSING_MARKS)
        others = signal[row][~marked].astype(np.float64)
        others = others[np.isfinite(others)]
        if not len(others):
            continue
        span = max(others.max() - others.min(), 1.0)
        far = np.abs(signal[row].astype(np.float64) - median(others)) > MARK_DISTANCE * span
        missing[row] = marked & far
    return missing


def _mv(value: float) -> str:
    return f"{float(value):.4g} mV"


__all__ = [
    "Doubt",
    "EcgPlausibilityWarning",
    "Plausibility",
    "Verdict",
    "assess",
    "doubts_of_measures",
    "false_gain",
    "marks_of_missing",
]
