# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`EcgRecord`: a signal in mV with its leads, its sampling rate and every change that was made to it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np

from .ecg_identity import named
from .ecg_lead_evidence import LeadEvidence
from .ecg_lead_names import (
    CHEST_LEADS,
    LIMB_LEADS,
    LIMB_LEADS_FROM_I_II,
    STANDARD_LEADS,
    canonical_lead,
    doubled_names,
    leads_of_channels,
)
from .ecg_limb_laws import flat_limb_leads, limb_lead, limb_sources
from .ecg_plausibility import Doubt, Plausibility, assess
from .errors_gem import EcgFormatError, EcgLeadError

# The leads that look at each wall of the left ventricle: AHA/ACCF/HRS 2009, part VI (Wagner et al.), and the fourth
# universal definition of myocardial infarction, 2018. The posterior wall is seen by its mirror image.
WALLS = {
    "inferior": ("II", "III", "aVF"),
    "high lateral": ("I", "aVL"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "anterior": ("V1", "V2", "V3", "V4"),
    "septal": ("V1", "V2"),
    "anteroseptal": ("V1", "V2", "V3", "V4"),
    "anterolateral": ("I", "aVL", "V3", "V4", "V5", "V6"),
    "inferolateral": ("II", "III", "aVF", "I", "aVL", "V5", "V6"),
    "posterior": ("V1", "V2", "V3"),
}
# Between them they hold every lead but aVR.
MAIN_WALLS = ("inferior", "anterior", "lateral")

# Two leads that look at neighbouring parts of the heart: the limb leads of a wall, chest leads side by side. The fourth
# universal definition asks for two such leads wherever it calls an ST segment or a Q wave abnormal.
NEIGHBOURING_LEADS = (("I", "aVL"), ("II", "III"), ("II", "aVF"), ("III", "aVF"), *pairwise(CHEST_LEADS))


@dataclass(frozen=True, eq=False)
class EcgRecord:
    """An ECG, in the form that all parts of gem-ecg use. Immutable: each operation returns a new record.

    Args:
        signal: float32 `(leads, samples)` in mV; NaN marks samples that were never recorded.
        leads: one name per row, standard names where the lead is one of the twelve.
        sampling_rate: Hz.
        record_id: a name for messages and tables (file stem, dataset id); no patient identifier.
        source: the file or data set that the record was read from.
        start_time: start of the recording, if the format has one and it was asked for.
        metadata: patient-free facts (device, filters, age, sex ...).
        report: the report that came with the record.
        labels: diagnosis codes with the source's likelihood or 1.0, e.g. `{"NORM": 100.0}`.
        history: every change made between the file and `signal`, in words, in order.
        derived_leads: those of `leads` that were computed from others, see `with_limb_leads`; names that are not among
            `leads` are left out.
        evidence: where each lead's name, unit, gain and rate come from; a lead without an entry was given by the caller.

    Raises:
        EcgFormatError: `signal` is not two-dimensional, has no samples, or the rate is not a positive number.
        EcgLeadError: there is not exactly one name per row, or a name occurs twice.
    """

    signal: np.ndarray
    leads: tuple[str, ...]
    sampling_rate: float
    record_id: str | None = None
    source: str | None = None
    start_time: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    report: str | None = None
    labels: Mapping[str, float] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    derived_leads: tuple[str, ...] = ()
    evidence: Mapping[str, LeadEvidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = self.signal
        # A read-only array needs no copy; that of a day's recording has half a gigabyte.
        kept = isinstance(given, np.ndarray) and given.flags.owndata and not given.flags.writeable
        signal = (np.asarray if kept else np.array)(given, dtype=np.float32, order="C")
        if signal.ndim != 2 or 0 in signal.shape:
            raise EcgFormatError(
                f"{self.name}: an ECG is a (leads, samples) array with at least one sample, got shape {signal.shape}."
            )
        rate = self.sampling_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.integer, np.floating)):
            raise EcgFormatError(f"{self.name}: `sampling_rate` must be a number in Hz, got {rate!r}.")
        if not np.isfinite(rate) or rate <= 0:
            raise EcgFormatError(f"{self.name}: `sampling_rate` must be positive, got {rate!r} Hz.")
        named = tuple(str(lead).strip() for lead in self.leads)
        leads = tuple(lead or name for lead, name in zip(leads_of_channels(named), named, strict=True))
        if len(leads) != len(signal):
            raise EcgLeadError(
                f"{self.name}: {len(signal)} signal rows but {len(leads)} lead names {leads}. Name every row once; "
                "is the array (samples, leads)? Then transpose it."
            )
        duplicates = doubled_names(leads)
        if duplicates:
            raise EcgLeadError(
                f"{self.name}: lead name(s) {duplicates} occur more than once; give each row its own name."
            )
        signal.setflags(write=False)
        known = dict(self.evidence) | {
            lead: self.evidence[name] for lead, name in zip(leads, named, strict=True) if name in self.evidence
        }
        for name, value in (
            ("signal", signal),
            ("leads", leads),
            ("sampling_rate", float(rate)),
            ("metadata", MappingProxyType(dict(self.metadata))),
            ("labels", MappingProxyType(dict(self.labels))),
            ("history", tuple(self.history)),
            ("derived_leads", tuple(lead for lead in leads if lead in self.derived_leads)),
            ("evidence", MappingProxyType({lead: known.get(lead, LeadEvidence()) for lead in leads})),
        ):
            object.__setattr__(self, name, value)

    def __reduce__(self) -> "tuple[Callable[[dict[str, Any]], EcgRecord], tuple[dict[str, Any]]]":
        state = {name: getattr(self, name) for name in self.__dataclass_fields__}
        state.update({name: dict(state[name]) for name in ("metadata", "labels", "evidence")})
        return _rebuild, (state,)

    def __repr__(self) -> str:
        return (
            f"EcgRecord({self.name!r}, {len(self.leads)} leads, {self.duration:.2f} s at {self.sampling_rate:g} Hz, "
            f"{len(self.history)} change(s))"
        )

    @property
    def name(self) -> str:
        """How messages call this record."""
        return self.record_id or self.source or "ECG array"

    @property
    def num_samples(self) -> int:
        """Samples of each lead."""
        return self.signal.shape[1]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.num_samples / self.sampling_rate

    def lead(self, name: str) -> np.ndarray:
        """The samples of one lead in mV.

        Raises:
            EcgLeadError: the record has no such lead.
        """
        lead = name if name in self.leads else canonical_lead(name)
        if lead not in self.leads:
            raise EcgLeadError(f"{self.name}: no lead {name!r}; the record has {list(self.leads)}.")
        return self.signal[self.leads.index(lead)]

    @property
    def assumed(self) -> dict[str, tuple[str, ...]]:
        """Facts that are only assumed, with their leads: `{"unit": ("I", "II")}`; empty if all are stated, given or derived."""
        names = dict.fromkeys(name for evidence in self.evidence.values() for name in evidence.assumed)
        return {name: tuple(lead for lead in self.leads if name in self.evidence[lead].assumed) for name in names}

    def changed(self, note: str | Iterable[str], **fields: Any) -> "EcgRecord":
        """A copy with other fields and `note` added to its history."""
        notes = (note,) if isinstance(note, str) else tuple(note)
        return replace(self, **fields, history=self.history + notes)

    def with_limb_leads(self, exact: np.ndarray | None = None) -> "EcgRecord":
        """The record with the limb leads that it lacks, where it has two of the six: they follow from any two others that are not flat.

        Recorded leads stay as they are and in their order; the derived ones follow the last recorded limb lead.
        A sample that one of the two sources lacks is missing (NaN) in the derived lead too. `load_ecg` does this with
        every record, so that a file of eight leads (I, II, V1 to V6) gives what its twelve-lead twin gives.

        Args:
            exact: `signal` before it was rounded to float32, in mV; derived from it a lead equals a recorded one bit for bit.
        """
        absent = tuple(lead for lead in LIMB_LEADS if lead not in self.leads)
        recorded = [lead for lead in LIMB_LEADS if lead in self.leads]
        if not absent or len(recorded) < 2:
            return self
        sources = self._limb_sources()
        if sources is None:
            return self.changed(f"derived no limb leads: {self._flat_limb_leads()}")
        place = 1 + max(self.leads.index(lead) for lead in LIMB_LEADS if lead in self.leads)
        pair = [self.lead(lead) for lead in sources]
        if exact is not None:
            pair = [np.where(np.isnan(self.lead(lead)), np.nan, exact[self.leads.index(lead)]) for lead in sources]
        rows = np.stack([limb_lead(lead, sources, *pair) for lead in absent]).astype(np.float32)
        return self.changed(
            _derivation(absent, sources),
            signal=np.concatenate([self.signal[:place], rows, self.signal[place:]]),
            leads=self.leads[:place] + absent + self.leads[place:],
            derived_leads=self.derived_leads + absent,
            evidence={**self.evidence, **self._evidence_of_derived(absent, sources)},
        )

    def recorded_leads_only(self) -> "EcgRecord":
        """The record without its derived leads: its rows as they were recorded, in their order."""
        if not self.derived_leads:
            return self
        return self.select_leads(lead for lead in self.leads if lead not in self.derived_leads)

    def _limb_sources(self) -> tuple[str, str] | None:
        """The two recorded limb leads that the others are derived from."""
        rows = [row for row, lead in enumerate(self.leads) if lead not in self.derived_leads]
        return limb_sources([self.leads[row] for row in rows], self.signal[rows])

    def _flat_limb_leads(self) -> str:
        """Of the limb leads those that nothing can be derived from, in words; empty if there are none."""
        flat = flat_limb_leads(self.leads, self.signal)
        return f"no signal in {named(flat)}" if flat else ""

    def _evidence_of_derived(self, leads: Iterable[str], sources: tuple[str, str]) -> dict[str, LeadEvidence]:
        first, second = (self.evidence[lead] for lead in sources)
        return dict.fromkeys(leads, first.of_lead_derived_with(second))

    def select_leads(self, leads: Iterable[str]) -> "EcgRecord":
        """The named leads in the order given; limb leads that are absent are derived from two that are there.

        Raises:
            EcgLeadError: a lead is neither there nor derivable; the message lists the absent ones.
        """
        wanted = tuple(lead if lead in self.leads else canonical_lead(lead) for lead in leads)
        if wanted == self.leads:
            return self
        rows, derived, absent = [], [], []
        sources = self._limb_sources()
        for lead in wanted:
            if lead in self.leads:
                rows.append(self.signal[self.leads.index(lead)])
            elif lead in LIMB_LEADS and sources is not None:
                rows.append(limb_lead(lead, sources, *map(self.lead, sources)))
                derived.append(lead)
            else:
                absent.append(lead)
        if absent:
            flat = self._flat_limb_leads()
            raise EcgLeadError(
                f"{self.name}: lead(s) {absent} are missing and cannot be derived from {list(self.leads)}{flat and f' ({flat})'}. "
                "Record them, name the rows that hold them with `leads=`, or allow missing ones with `missing_leads='mask'` (the "
                "model then gets zeros there)."
            )
        notes = []
        if sources is not None and derived:
            notes.append(_derivation(derived, sources))
        dropped = [lead for lead in self.leads if lead not in wanted]
        if dropped:
            notes.append(f"dropped {named(dropped)}")
        kept = [lead for lead in self.leads if lead in wanted]
        if [lead for lead in wanted if lead in kept] != kept:
            notes.append(f"reordered leads {named(kept)} to {named(wanted)}")
        return self.changed(
            notes or "selected leads",
            signal=np.stack(rows),
            leads=wanted,
            derived_leads=(*self.derived_leads, *derived),
            evidence={**self.evidence, **(self._evidence_of_derived(derived, sources) if sources else {})},
        )

    def between(self, start: float = 0.0, seconds: float | None = None) -> "EcgRecord":
        """The part of the record from `start` (s) on, `seconds` long or, without it, to the end; `start_time` moves along.

        The nearest samples decide. A part that would end after the record ends with it; the history has what was kept.

        Raises:
            EcgFormatError: `start` is not within the record, or `seconds` is not positive.
        """
        if not 0 <= start < self.duration:
            raise EcgFormatError(
                f"{self.name}: a part from {start:g} s on lies outside the record, which lasts {self.duration:g} s. "
                "Give a start between 0 and its end."
            )
        if seconds is not None and not seconds > 0:
            raise EcgFormatError(f"{self.name}: a part of {seconds:g} s holds nothing; give `seconds` above 0.")
        end = self.duration if seconds is None else min(start + seconds, self.duration)
        first = min(round(start * self.sampling_rate), self.num_samples - 1)
        last = max(round(end * self.sampling_rate), first + 1)
        if (first, last) == (0, self.num_samples):
            return self
        start, end = first / self.sampling_rate, last / self.sampling_rate
        return self.changed(
            f"kept {start:g} to {end:g} s of {self.duration:g} s",
            signal=self.signal[:, first:last],
            start_time=self.start_time and self.start_time + timedelta(seconds=start),
        )

    def resample(self, sampling_rate: float) -> "EcgRecord":
        """Polyphase resampling (`scipy.signal.resample_poly`, anti-aliased); gaps (NaN) stay gaps."""
        if sampling_rate == self.sampling_rate:
            return self
        from scipy.signal import resample_poly

        ratio = Fraction(sampling_rate / self.sampling_rate).limit_denominator(1000)
        if ratio.numerator == 0:
            raise EcgFormatError(
                f"{self.name}: {self.sampling_rate:g} Hz cannot be resampled to {sampling_rate:g} Hz (ratio over "
                "1000). Is the sampling rate given in Hz?"
            )
        gaps = np.isnan(self.signal)
        filled = interpolate_gaps(self.signal) if gaps.any() else self.signal
        # padtype="line" keeps the edges of a signal with an offset free of ringing.
        resampled = resample_poly(
            filled.astype(np.float64), ratio.numerator, ratio.denominator, axis=1, padtype="line"
        ).astype(np.float32)
        if gaps.any():
            source = np.minimum(
                (np.arange(resampled.shape[1]) * (self.sampling_rate / sampling_rate)).astype(int), gaps.shape[1] - 1
            )
            resampled[gaps[:, source]] = np.nan
        return self.changed(
            f"resampled from {self.sampling_rate:g} to {sampling_rate:g} Hz",
            signal=resampled,
            sampling_rate=sampling_rate,
        )

    def plausibility(self, silent: Sequence[str] = (), doubts: Sequence[Doubt] = ()) -> Plausibility:
        """Whether the signal can be an ECG of this scale and rate, with the reasons; see `ecg_plausibility.assess`.

        Args:
            silent: leads that are known to show no beats, where the record was measured.
            doubts: what its beats give reason for.
        """
        found = self._plausibility
        if silent and found.doubts:
            found = assess(self.leads, self.signal, self.sampling_rate, self.finest_detail, silent)
        found = found.with_doubts(doubts)
        given = any("given" in (evidence.unit, evidence.gain) for evidence in self.evidence.values())
        return found.with_given_scale() if given else found

    @cached_property
    def _plausibility(self) -> Plausibility:
        return assess(self.leads, self.signal, self.sampling_rate, self.finest_detail)

    @property
    def finest_detail(self) -> float:
        """The shortest detail, in s, that the source of the record shows: 0, or what a pen on paper can write."""
        return float(getattr(self.metadata.get("page"), "finest_detail", 0.0))

    def check_quality(self) -> "EcgRecord":
        """The record itself, if it can be an ECG: if its `plausibility` is not `"refused"`.

        Raises:
            EcgQualityError: it is; the message gives the reasons.
        """
        self.plausibility().check(self.name)
        return self


def _derivation(leads: Iterable[str], sources: tuple[str, str]) -> str:
    return f"derived {', '.join(leads)} from {sources[0]} and {sources[1]}"


def _rebuild(state: dict[str, Any]) -> EcgRecord:
    return EcgRecord(**state)


def is_ecg_record(value: Any) -> bool:
    """Whether `value` is an `EcgRecord`, also one of another copy of this module: remote code of a local folder is imported
    once per file that starts it, so that classes exist several times."""
    return isinstance(value, EcgRecord) or type(value).__name__ == EcgRecord.__name__


def interpolate_gaps(signal: np.ndarray) -> np.ndarray:
    """`signal` (leads, samples) with NaN runs bridged linearly; a lead without any finite sample becomes 0 mV."""
    filled = np.array(signal, dtype=np.float32)
    known = np.isfinite(filled)
    positions = np.arange(signal.shape[1])
    for lead in np.flatnonzero(~known.all(axis=1)):
        row, finite = filled[lead], known[lead]
        row[~finite] = np.interp(positions[~finite], positions[finite], row[finite]) if finite.any() else 0.0
    return filled


__all__ = [
    "CHEST_LEADS",
    "LIMB_LEADS",
    "LIMB_LEADS_FROM_I_II",
    "MAIN_WALLS",
    "NEIGHBOURING_LEADS",
    "STANDARD_LEADS",
    "WALLS",
    "EcgRecord",
    "LeadEvidence",
    "canonical_lead",
    "interpolate_gaps",
    "is_ecg_record",
]
