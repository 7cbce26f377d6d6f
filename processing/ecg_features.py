# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Grounding features: what a cardiologist would measure in an ECG, per lead and beat and for the whole record."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .ecg_beat_measures import SEQUENCES, BeatMeasures, featuredb_sequences, measure_beats, st_form
from .ecg_cautions import cautions
from .ecg_delineation import Delineation, DelineationSettings, delineate
from .ecg_electrodes import chest_lead_swap, inverted_chest_lead, limb_lead_reversal
from .ecg_events import RhythmEvents, find_events
from .ecg_features_dict import WAVES, features_to_dict, features_to_pandas, fields_from_dict
from .ecg_filters import WORKING_RATE, level_spectrum
from .ecg_heartbeats import heartbeat_signs, why_no_heartbeats
from .ecg_limits import Sex, st_elevation_limit
from .ecg_long_records import LONG_RECORD_S, Progress, measure_in_windows
from .ecg_partial_leads import columns_of, measure_in_columns
from .ecg_plausibility import Plausibility
from .ecg_quality import doubts_of_beats, lead_quality, without_rows
from .ecg_raw import parsed_age, parsed_sex
from .ecg_record import STANDARD_LEADS, EcgRecord, interpolate_gaps, is_ecg_record
from .ecg_record_measures import (
    LEAD_MEASURES,
    axes,
    findings,
    intervals,
    lead_measures,
    median_beat,
    qrs_patterns,
    rhythm,
    voltages,
)
from .ecg_reliability import ALL_LEADS
from .ecg_withheld import without_doubtful
from .errors_gem import EcgFormatError, EcgLeadError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class EcgFeatures:
    """The measurements of one ECG. Values of absent waves are NaN (`None` in dictionaries); nothing is guessed.

    Attributes:
        leads: lead names, one per row of the arrays.
        beat_times: R peak of every beat in s from the start, `(beats,)`.
        sequences: the paper's 14 sequences, name -> `(leads, beats)`:
            Heart Rate (bpm, 60000 / RR Interval 1; of the first beat from RR Interval 2), RR Interval 1 and 2 (ms, to
            the previous and the next beat), P/T Amplitude (signed mV at the wave's peak against the PR segment), QRS
            Amplitude (mV, highest minus lowest point), P/QRS/T Duration (ms, onset to offset), PR Interval (ms, P
            onset to QRS onset), ST Duration (ms, J point to T onset), ST Form (direction from J to J+80 ms, with
            `elevated`/`depressed` from the lead's limit on), QT Interval (ms, QRS onset to T offset), QTc Interval (ms,
            Bazett 1920 with RR Interval 1).
        waves: `"P"`, `"QRS"`, `"T"` -> onset, peak, offset in s, `(leads, beats, 3)`.
        beat_waves: the same for the heart as a whole, `(beats, 3)`.
        heart_rate: bpm, 60000 / mean RR.
        rr_interval: mean, ms.
        rr_variability: SD of the RR intervals divided by their mean.
        rhythm_regularity: `regular`, `mostly regular`, `irregular` or `None`.
        p_present: whether a P wave precedes more than 40 % of the usual beats; `None` if that cannot be decided.
        p_unclear: why it cannot be decided: `"moving electrodes"` hide the P wave, `"fast wide beats"` leave no baseline that
            separates it from T and flutter waves, or columns of a page show `"few irregular beats"` each; else `None`.
        flutter_waves: whether waves before the beats recur one atrial cycle earlier, as those of atrial flutter do.
        p_duration, pr_interval, qrs_duration, qt_interval: ms; the median over the usual beats of the heart's own marks
            (QRS: spatial velocity; P and T: amplitude-weighted median over the leads).
        qtc_bazett, qtc_fridericia: ms, of `qt_interval` and `rr_interval`.
        p_axis, qrs_axis, t_axis: degrees in the frontal plane, from net areas (P, T) and amplitudes (QRS).
        sokolow_lyon, cornell: mV. r_transition: first chest lead with R above S. poor_r_progression, low_voltage.
        lead_values: medians over the beats, name -> `(leads,)`: `p_amplitude`, `q_amplitude`, `r_amplitude`,
            `s_amplitude`, `qrs_amplitude`, `t_amplitude`, ST level `st_j`, `st_j60`, `st_j80` (signed mV),
            `q_duration` (ms), `qrs_area` (mV ms).
        t_inversion, pathological_q: leads. qrs_patterns: lead -> letters such as `qRs`.
        limb_lead_reversal, chest_lead_swap: the electrodes that seem exchanged, or `None`; inverted_lead: a chest lead that seems to be upside
            down.
        quality: lead -> shares that are missing, flat or saturated, noise and wander in mV, and the `verdict`; see
            `lead_quality`.
        lone_p_waves: onset, peak, offset in s of P waves that no QRS follows (AV block), `(waves, 3)`.
        pacing_spikes: times in s.
        left_out: unused leads and seconds, `(lead or "all", start, end, reason)`; they explain missing measures.
        plausibility: whether the record can be an ECG of this scale, with these leads and this sampling rate; values that
            depend on something doubtful are withheld (NaN, no finding).
        note: the reason if there are no beats.
        sex: `"F"` or `"M"`; `None` if the record does not state it. Limits of findings depend on sex and age.
        age: whole years; `None` if the record does not state it.
    """

    leads: tuple[str, ...]
    sampling_rate: float
    duration: float
    beat_times: np.ndarray
    sequences: Mapping[str, np.ndarray]
    waves: Mapping[str, np.ndarray]
    beat_waves: Mapping[str, np.ndarray]
    lead_values: Mapping[str, np.ndarray]
    record_id: str | None = None
    compat: str | None = None
    heart_rate: float = math.nan
    rr_interval: float = math.nan
    rr_variability: float = math.nan
    rhythm_regularity: str | None = None
    p_present: bool | None = False
    p_unclear: str | None = None
    flutter_waves: bool = False
    p_duration: float = math.nan
    pr_interval: float = math.nan
    qrs_duration: float = math.nan
    qt_interval: float = math.nan
    qtc_bazett: float = math.nan
    qtc_fridericia: float = math.nan
    p_axis: float = math.nan
    qrs_axis: float = math.nan
    t_axis: float = math.nan
    sokolow_lyon: float = math.nan
    cornell: float = math.nan
    r_transition: str | None = None
    poor_r_progression: bool = False
    low_voltage: bool = False
    t_inversion: tuple[str, ...] = ()
    pathological_q: tuple[str, ...] = ()
    qrs_patterns: Mapping[str, str] = field(default_factory=dict)
    limb_lead_reversal: str | None = None
    chest_lead_swap: str | None = None
    inverted_lead: str | None = None
    quality: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lone_p_waves: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    pacing_spikes: np.ndarray = field(default_factory=lambda: np.zeros(0))
    left_out: tuple[tuple[str, float, float, str], ...] = ()
    plausibility: Plausibility = field(default_factory=Plausibility)
    note: str | None = None
    sex: Sex | None = None
    age: int | None = None

    def __repr__(self) -> str:
        return (
            f"EcgFeatures({self.record_id or 'ECG'!r}, {len(self.leads)} leads, {len(self.beat_times)} beats, "
            f"HR {self.heart_rate:.0f} bpm, PR {self.pr_interval:.0f}, QRS {self.qrs_duration:.0f}, "
            f"QT {self.qt_interval:.0f} ms)"
        )

    def sequence(self, name: str, lead: str) -> np.ndarray:
        """One of the 14 sequences in one lead, `(beats,)`.

        Raises:
            EcgLeadError: the record has no such lead.
        """
        return self.sequences[name][self._row(lead)]

    @property
    def rr_intervals(self) -> np.ndarray:
        """From every beat to the next, ms, `(beats - 1,)`: `RR Interval 1`, which all leads share, or, of a beat that no
        lead shows as a whole, the distance of `beat_times` (which jumps where wide complexes have no clear peak). NaN where
        seconds between them were left out: there may be beats."""
        shared = np.fmax.reduce(self.sequences["RR Interval 1"][:, 1:], axis=0)
        intervals = np.where(np.isfinite(shared), shared, np.diff(self.beat_times) * 1000)
        for lead, start, end, _ in self.left_out:
            if lead == ALL_LEADS:
                intervals[(self.beat_times[:-1] < start) & (self.beat_times[1:] > end)] = np.nan
        return intervals

    @property
    def cautions(self) -> tuple[str, ...]:
        """What to know before the measurements are believed: a sampling rate below 100 Hz, with the uncertainty of intervals
        that comes of it; a gain that seems wrong; a child, for whom most limits are those of adults. See `ecg_cautions.cautions`."""
        return cautions(self)

    def lead_value(self, name: str, lead: str) -> float:
        """One of `lead_values` in one lead.

        Raises:
            EcgLeadError: the record has no such lead.
        """
        return float(self.lead_values[name][self._row(lead)])

    def _row(self, lead: str) -> int:
        if lead not in self.leads:
            raise EcgLeadError(f"{self.record_id or 'ECG'}: no lead {lead!r}; measured were {list(self.leads)}.")
        return self.leads.index(lead)

    @property
    def st_level(self) -> dict[str, dict[str, float]]:
        """Lead -> ST level in mV at `J`, `J+60` and `J+80` ms, median over the beats."""
        points = {"J": "st_j", "J+60": "st_j60", "J+80": "st_j80"}
        return {
            lead: {point: float(self.lead_values[name][i]) for point, name in points.items()}
            for i, lead in enumerate(self.leads)
        }

    def check_plausibility(self) -> "EcgFeatures":
        """The features themselves, if their record can be an ECG.

        Raises:
            EcgQualityError: `plausibility` is `"refused"`; the message gives the reasons.
        """
        self.plausibility.check(self.record_id or "ECG")
        return self

    @cached_property
    def events(self) -> RhythmEvents:
        """Pauses, premature beats and their runs, lowest and highest rate, see `find_events`; for records of minutes and more."""
        return find_events(self)

    def to_dict(self, full: bool = False) -> dict[str, Any]:
        """Plain values for JSON: lead -> each of the 14 names -> one value per beat, `None` where a wave is absent.

        That is the layout of `machine_measurements` in ECG-Grounding; ms and bpm are whole numbers, mV have three
        digits. `full=True` adds the key `"record"` with all the rest: beat times, marks, global and lead measures, and of
        a record longer than a minute its `events`.
        """
        return features_to_dict(self, full)

    @classmethod
    def from_dict(cls, measurements: Mapping[str, Any]) -> "EcgFeatures":
        """The features of a dictionary that `to_dict` made; without `"record"` only the 14 sequences are known.

        Values may also be the comma-separated strings of published rows.

        Raises:
            EcgFormatError: a sequence is unknown or missing, or its length differs from the others'.
        """
        return cls(**fields_from_dict(measurements))

    def to_text(self, max_tokens: int = 1200, tokenizer: "PreTrainedTokenizerBase | None" = None) -> str:
        """A compact account for prompts within a token budget; see `features_to_text`."""
        from .ecg_features_text import features_to_text

        return features_to_text(self, max_tokens, tokenizer)

    def plot(self, record: EcgRecord, path: str | None = None, **kwargs: Any) -> Any:
        """The leads with coloured P, QRS and T and the measured values; see `plot_features`."""
        from .ecg_features_plot import plot_features

        return plot_features(self, record, path, **kwargs)

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, one row per lead and beat: `lead`, `beat` (from 1), `time` (s), the 14 sequences."""
        return features_to_pandas(self)


def extract_features(
    ecg: EcgRecord | np.ndarray | Sequence,
    sampling_rate: float | None = None,
    *,
    leads: Sequence[str] | None = None,
    compat: str | None = None,
    settings: DelineationSettings | None = None,
    progress: Progress | None = None,
) -> EcgFeatures:
    """Measures an ECG: 14 sequences per lead and beat, and the record as a whole.

    A record longer than an hour is measured in windows of ten minutes, see `measure_in_windows`.

    Args:
        ecg: an `EcgRecord`, or mV as `(leads, samples)` or `(samples,)`.
        sampling_rate: Hz; needed with arrays.
        leads: names of an array's rows; 12 rows are the standard order without it.
        compat: `"featuredb"` gives the 14 sequences by FeatureDB's definitions (QT from the END of the QRS, amplitudes
            without sign); all else stays as it is.
        settings: constants of the delineation.
        progress: called with (windows finished, windows in all) while a record longer than an hour is measured.

    Returns:
        The features. A signal without heartbeats (flat, empty, too short) has none, and says so in `note`.

    Raises:
        EcgFormatError: the array has not two dimensions or no samples, or the sampling rate is missing, or `compat` is
            unknown.
        EcgLeadError: the rows have no names, or not one each.

    Examples:
        >>> from processing.simulator.simulator import simulate_ecg
        >>> features = extract_features(simulate_ecg(heart_rate=72, seed=1).record)
        >>> round(features.heart_rate), features.rhythm_regularity
        (72, 'regular')
        >>> features.to_dict()["V2"]["QRS Duration"][:3]
        [96, 96, 95]
    """
    if compat not in (None, "featuredb"):
        raise EcgFormatError(f"extract_features: compat={compat!r} is unknown; it is None or 'featuredb'.")
    source: Any = ecg
    record: EcgRecord = source if is_ecg_record(source) else _as_record(source, sampling_rate, leads)
    measure = partial(_measure, compat=compat, settings=settings)
    if record.duration > LONG_RECORD_S:
        return measure_in_windows(record, measure, progress)
    whole, columns = columns_of(record)
    joined = measure_in_columns(record, whole, columns, measure) if columns else None
    return measure(record) if joined is None else without_doubtful(joined)


def _measure(
    record: EcgRecord, compat: str | None, settings: DelineationSettings | None, sure: bool = False
) -> EcgFeatures:
    """The features of a record whose leads are shown all along; `sure`: it does show heartbeats."""
    finite = np.isfinite(record.signal)
    signal = record.signal if finite.all() else np.where(finite, record.signal, np.nan)
    delineation = delineate(signal, record.sampling_rate, settings, record.leads)
    if delineation is None:
        return _without_beats(record, signal, f"no heartbeat found in {record.duration:.2f} s")
    none = None if sure else why_no_heartbeats(heartbeat_signs(delineation), record.leads, signal)
    if none is not None:
        return _without_beats(record, signal, none)
    beats = measure_beats(delineation)
    values = lead_measures(beats)
    complexes, inside = median_beat(delineation, beats)
    measured = intervals(delineation, beats)
    doubts = doubts_of_beats(record.leads, measured, values)
    patient = patient_of(record)
    limits = [st_elevation_limit(lead, **patient) for lead in record.leads]
    rate, spectrum = record.sampling_rate, level_spectrum(signal if finite.all() else interpolate_gaps(signal))
    silent = delineation.silent
    shown = without_rows(signal, silent)
    inverted = inverted_chest_lead(record.leads, shown, rate, spectrum)
    features = EcgFeatures(
        leads=record.leads,
        sampling_rate=record.sampling_rate,
        duration=record.duration,
        record_id=record.record_id,
        **patient,
        beat_times=np.round(delineation.qrs.overall[:, 1] / WORKING_RATE, 4),
        sequences=_sequences(beats, limits) if compat is None else featuredb_sequences(delineation, beats),
        compat=compat,
        waves=dict(zip(WAVES, _times(delineation, "per_lead"), strict=True)),
        beat_waves=dict(zip(WAVES, _times(delineation, "overall"), strict=True)),
        lone_p_waves=delineation.lone_p.overall / WORKING_RATE,
        lead_values=values,
        **measured,
        **rhythm(beats.known_rr),
        **axes(record.leads, beats),
        **voltages(record.leads, values),
        **findings(record.leads, values),
        qrs_patterns=qrs_patterns(record.leads, complexes, inside),
        chest_lead_swap=None if inverted else chest_lead_swap(record.leads, complexes),
        limb_lead_reversal=limb_lead_reversal(record.leads, shown, rate, values, spectrum),
        inverted_lead=inverted,
        quality=dict(zip(record.leads, lead_quality(signal, rate, delineation.left_out, spectrum), strict=True)),
        pacing_spikes=delineation.ecg.spikes / WORKING_RATE,
        left_out=tuple(part.named(record.leads) for part in delineation.left_out),
        plausibility=record.plausibility([record.leads[row] for row in silent], doubts),
    )
    return without_doubtful(features)


def patient_of(record: EcgRecord) -> dict[str, Any]:
    """The `sex` (`"F"`, `"M"`) and `age` (whole years) that the record's metadata state, `None` where they do not."""
    return {"sex": parsed_sex(record.metadata.get("sex")), "age": parsed_age(record.metadata.get("age"))}


def _as_record(array: Any, sampling_rate: float | None, leads: Sequence[str] | None) -> EcgRecord:
    if sampling_rate is None:
        raise EcgFormatError("extract_features: an array needs `sampling_rate` in Hz.")
    signal = np.asarray(array, dtype=np.float32)
    signal = signal[None] if signal.ndim == 1 else signal
    if leads is None:
        if signal.ndim == 2 and len(signal) != len(STANDARD_LEADS):
            raise EcgLeadError(
                f"extract_features: {len(signal)} rows without names; pass `leads=`, one name per row "
                "(an array is (leads, samples); is yours transposed?)."
            )
        leads = STANDARD_LEADS
    return EcgRecord(signal=signal, leads=tuple(leads), sampling_rate=sampling_rate).with_limb_leads()


def _without_beats(record: EcgRecord, signal: np.ndarray, note: str) -> EcgFeatures:
    lead_count = len(record.leads)
    empty = np.zeros((lead_count, 0))
    return EcgFeatures(
        leads=record.leads,
        sampling_rate=record.sampling_rate,
        duration=record.duration,
        record_id=record.record_id,
        **patient_of(record),
        beat_times=np.zeros(0),
        sequences={name: empty.astype(object) if digits is None else empty for name, digits in SEQUENCES.items()},
        waves={wave: np.zeros((lead_count, 0, 3)) for wave in WAVES},
        beat_waves={wave: np.zeros((0, 3)) for wave in WAVES},
        lead_values={name: np.full(lead_count, np.nan) for name in LEAD_MEASURES},
        quality=dict(zip(record.leads, lead_quality(signal, record.sampling_rate), strict=True)),
        plausibility=record.plausibility().without_heartbeats(note),
        note=note,
    )


def _sequences(beats: BeatMeasures, elevation_limits: Sequence[float]) -> dict[str, np.ndarray]:
    shape = beats.qrs_duration.shape
    measured = np.isfinite(beats.qrs_duration)
    before, after = (np.where(measured, rr, np.nan) for rr in (beats.rr_before, beats.rr_after))
    values = (
        60000 / np.where(np.isfinite(before), before, after),
        before,
        after,
        beats.p_amplitude,
        beats.p_duration,
        beats.pr_interval,
        beats.qrs_amplitude,
        beats.qrs_duration,
        beats.t_amplitude,
        beats.t_duration,
        beats.st_duration,
        st_form(beats.st_j, beats.st_j60, beats.st_j80, elevation_limits),
        beats.qt_interval,
        beats.qtc_interval,
    )
    return {
        name: value if value.shape == shape else np.broadcast_to(value, shape)
        for name, value in zip(SEQUENCES, values, strict=True)
    }


def _times(delineation: Delineation, scope: str) -> list[np.ndarray]:
    return [getattr(wave, scope) / WORKING_RATE for wave in (delineation.p, delineation.qrs, delineation.t)]


__all__ = ["EcgFeatures", "extract_features"]
