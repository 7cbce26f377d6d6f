# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Faults of a recording: the quality of every lead, and `inspect_record`.

`gem inspect` and the features share these verdicts.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from itertools import permutations
from typing import Any

import numpy as np

from .ecg_bad_samples import at_extremes, equal_runs, may_hold_plateau
from .ecg_beat_measures import measure_beats
from .ecg_cautions import coarse_rate
from .ecg_delineation import delineate
from .ecg_electrodes import FLAT_LIMB_PAIRS, chest_lead_swap, inverted_chest_lead, limb_lead_reversal
from .ecg_filters import LevelSpectrum, band_response, level_spectrum
from .ecg_heartbeats import NO_HEARTBEAT, heartbeat_signs, why_no_heartbeats
from .ecg_limb_laws import SHOWS_NO_BEATS, limb_errors, limb_lead, without_details
from .ecg_limits import FLAT_MV, MAX_PLAUSIBLE_MV
from .ecg_long_records import LONG_RECORD_S, joined_quality, windows_of, without_seams
from .ecg_order_statistics import median, true_in_rows
from .ecg_plausibility import Doubt, doubts_of_measures, false_gain
from .ecg_record import STANDARD_LEADS, EcgRecord, interpolate_gaps
from .ecg_record_measures import intervals, lead_measures, median_beat
from .ecg_reliability import ALL_LEADS, LeftOut, unused_in_words
from .ecg_rules import suspected_gain

# A run of equal samples this long is not a heart: even a 12-bit recorder at 100 Hz moves by its noise.
FLAT_RUN_S = 0.4
# A plateau at a lead's own maximum or minimum: 20 ms above 1 mV, or 2 % of the lead at any height; the amplifier or the ADC was
# at its end. On 700 records of PTB-XL and LUDB the two flag 3; of leads cut at 0.2, 0.5 and 1.2 mV they find 95, 74 and 56 %.
SATURATED_RUN_S, SATURATED_FROM_MV, SATURATED_SHARE = 0.02, 1.0, 0.02
NOISE_BAND_HZ = 40.0
NOISY_FROM_MV = 0.05
WANDER_BAND_HZ, WANDER_RATE = 0.5, 25.0  # in Hz; the band holds nothing that so few samples a second would miss
WANDERING_FROM_MV = 0.5
MISSING_FROM, POOR_FROM, FLAT_FROM = 0.5, 0.05, 0.95  # shares of a lead
# Fault of a poor lead -> what `lead_quality` measures of it, and the limit.
FAULTS = {
    "missing": ("missing_share", POOR_FROM), "flat": ("flat_share", POOR_FROM), "saturated": ("saturated_share", 0.0),
    "noise": ("noise_mv", NOISY_FROM_MV), "wander": ("wander_mv", WANDERING_FROM_MV), "height": ("peak_to_peak_mv", 2 * MAX_PLAUSIBLE_MV),
}  # fmt: skip

# Quality of a lead ----------------------------------------------------------------------------------------------------


def lead_quality(
    signal: np.ndarray,
    sampling_rate: float,
    left_out: Sequence[LeftOut] = (),
    spectrum: LevelSpectrum | None = None,
) -> list[dict[str, Any]]:
    """What disturbs each lead of `signal`, `(leads, samples)` in mV with NaN for missing samples.

    Per lead: `missing_share`, `flat_share`, `saturated_share`; `peak_to_peak_mv` (`None` without samples); `noise_mv`, the robust
    standard deviation above 40 Hz; `wander_mv`, the standard deviation below 0.5 Hz; and the `verdict`: `missing` (over
    half), `flat` (over 95 %), `poor` (over 5 % missing or flat, saturated, noise above 0.05 mV, wander above 0.5 mV, more
    than an ECG can span, or left out by the measurements for over 5 % of the time, see `Delineation.left_out`), else `good`.

    Of the 1,874 leads in which PTB-XL's readers saw static noise and 5,400 in which they saw nothing, `noise_mv` ranks 83 % of the
    pairs rightly (the second difference, formerly used by the features, 79 %); of those with drift `wander_mv` 90 %.

    Args:
        signal: `(leads, samples)` in mV.
        sampling_rate: Hz.
        left_out: what the measurements did not use.
        spectrum: of the signal with its gaps bridged, where it is known.
    """
    noise, wander = (sizes.tolist() for sizes in _disturbances(signal, sampling_rate, spectrum))
    rows = []
    for lead, shares in enumerate(_shares(signal, sampling_rate)):
        measured = shares | {"noise_mv": _rounded(noise[lead]), "wander_mv": _rounded(wander[lead])}
        unused = sum(part.end - part.start for part in left_out if part.lead in (lead, None))
        verdict = _verdict(measured)
        if verdict == "good" and unused > POOR_FROM * signal.shape[1] / sampling_rate:
            verdict = "poor"
        rows.append(measured | {"verdict": verdict})
    return rows


def _shares(signal: np.ndarray, rate: float) -> list[dict[str, Any]]:
    """What `lead_quality` says of missing, flat and saturated samples, and the height of every lead."""
    samples = signal.shape[1]
    finite = true_in_rows(np.isfinite(signal))
    low, high = np.fmin.reduce(signal, axis=1), np.fmax.reduce(signal, axis=1)
    extreme = at_extremes(signal, high, low)
    flat_run, saturated_run = max(3, FLAT_RUN_S * rate), max(3, SATURATED_RUN_S * rate)
    # Only such leads hold runs that count.
    closer = may_hold_plateau(signal, math.ceil(flat_run)) | (extreme >= saturated_run)
    rows = []
    for lead, row in enumerate(signal):
        if not finite[lead]:
            rows.append({"missing_share": 1.0, "flat_share": 0.0, "saturated_share": 0.0, "peak_to_peak_mv": None})
            continue
        span = float(high[lead]) - float(low[lead])
        flat = saturated = 0.0
        if closer[lead]:
            starts, lengths = equal_runs(row)
            levels = row[starts]
            flat = lengths[lengths >= flat_run].sum() / samples
            plateaus = ((levels == low[lead]) | (levels == high[lead])) & (lengths >= saturated_run)
            saturated = lengths[plateaus & (np.abs(levels) >= SATURATED_FROM_MV)].sum() / samples
        if extreme[lead] > SATURATED_SHARE * samples:
            saturated = extreme[lead] / samples
        rows.append(
            {
                "missing_share": _rounded(1.0 - finite[lead] / samples),
                "flat_share": 1.0 if span < FLAT_MV else _rounded(flat),
                "saturated_share": _rounded(saturated) if span >= FLAT_MV else 0.0,
                "peak_to_peak_mv": _rounded(span),
            }
        )
    return rows


def _verdict(measured: Mapping[str, Any]) -> str:
    if measured["missing_share"] > MISSING_FROM:
        return "missing"
    if measured["flat_share"] > FLAT_FROM:
        return "flat"
    return "poor" if lead_faults(measured) else "good"


def lead_faults(measured: Mapping[str, Any], share: float = 1.0) -> tuple[str, ...]:
    """What makes a lead poor: which of `missing`, `flat`, `saturated`, `noise`, `wander` and `height` exceed their limits.

    Args:
        measured: of the lead, see `lead_quality`.
        share: of the limits; below 1 what comes near them counts too.

    Examples:
        >>> quiet = dict.fromkeys(("missing_share", "flat_share", "saturated_share", "wander_mv", "peak_to_peak_mv"), 0.0)
        >>> lead_faults(quiet | {"noise_mv": 0.04}), lead_faults(quiet | {"noise_mv": 0.04}, 0.5)
        ((), ('noise',))
    """
    return tuple(fault for fault, (name, limit) in FAULTS.items() if (measured[name] or 0.0) > share * limit)


def _disturbances(signal: np.ndarray, rate: float, spectrum: LevelSpectrum | None) -> tuple[np.ndarray, np.ndarray]:
    """Noise and wander of each lead in mV, `(leads,)` each."""
    coarse = max(1, int(rate / WANDER_RATE))
    samples = signal.shape[1] // coarse * coarse
    if samples < 30:
        return np.zeros(len(signal)), np.zeros(len(signal))
    if spectrum is None or spectrum.samples != samples:
        spectrum = level_spectrum(interpolate_gaps(signal)[:, :samples])
    above = _band(spectrum, rate, NOISE_BAND_HZ, math.inf)
    below = _band(spectrum, rate, 0.0, WANDER_BAND_HZ, coarse) + spectrum.line[:, ::coarse]
    # Median absolute deviation: the QRS, a few per cent of the time, hardly moves it.
    return 1.4826 * median(np.abs(above, out=above), axis=1), below.std(axis=1)


def _band(signal: LevelSpectrum, rate: float, low: float, high: float, step: int = 1) -> np.ndarray:
    """Every `step`-th sample of `signal` less its line, between these frequencies (Hz), `(leads, samples / step)`.

    Second-order Butterworth forth and back, by FFT; zeros where the record is too coarse for it.
    """
    from scipy.fft import irfft

    samples = signal.samples
    if low >= 0.5 * rate:
        return np.zeros_like(signal.line)
    kept = samples // step // 2 + 1
    response = band_response(samples, rate, low, high)[:kept]
    return irfft(signal.spectrum[:, :kept] * (response / step), samples // step, axis=1, overwrite_x=True)


WITHOUT = "measured without"

# The summary of `gem inspect` -----------------------------------------------------------------------------------------


def inspect_record(record: EcgRecord) -> dict[str, Any]:
    """A summary of `record` that can be written as JSON; every suspicion is a sentence in `suspicions`.

    Leads that were derived from others are listed, not judged: what is wrong with them is wrong with their sources.

    Per lead: see `lead_quality`. Limb leads: error of Einthoven's law as RMS(I + III - II) over the largest RMS of the
    three; aV leads that fit Goldberger's definitions only under another's name. Electrodes: see `limb_lead_reversal` and
    `chest_lead_swap`.

    Examples:
        >>> import numpy as np
        >>> summary = inspect_record(EcgRecord(np.zeros((1, 5000)), ("II",), 500))
        >>> summary["verdict"], summary["reasons"][0]["found"], summary["lead_quality"]["II"]["verdict"]
        ('refused', 'the signal is flat in every lead', 'flat')

    A record longer than an hour is judged in windows of ten minutes: the verdict is that of most, and a suspicion says in
    how many it arose.
    """
    return _inspected(record) if record.duration <= LONG_RECORD_S else _inspected_in_windows(record)


def _inspected_in_windows(record: EcgRecord) -> dict[str, Any]:
    starts, parts = zip(*((start, _inspected(part)) for start, part in windows_of(record)), strict=True)
    verdict = Counter(part["verdict"] for part in parts).most_common(1)[0][0]
    left_out = without_seams(
        (lead, begin + start, end + start, reason)
        for start, part in zip(starts, parts, strict=True)
        for lead, begin, end, reason in part["left_out"]
    )
    errors = [part["einthoven_error"] for part in parts if part["einthoven_error"] is not None]
    # The same suspicion has other numbers in every window.
    kinds: dict[str, list[str]] = {}
    for part in parts:
        for sentence in part["suspicions"]:
            if not sentence.startswith(WITHOUT):
                kinds.setdefault(re.sub(r"[\d.]+", "", sentence), []).append(sentence)
    return {
        **parts[0],
        "samples": record.num_samples,
        "duration_s": round(record.duration, 4),
        "verdict": verdict,
        "reasons": next(part["reasons"] for part in parts if part["verdict"] == verdict),
        "lead_quality": {
            lead: joined_quality([part["lead_quality"][lead] for part in parts]) for lead in parts[0]["lead_quality"]
        },
        "left_out": [list(span) for span in left_out],
        "einthoven_error": _rounded(float(np.median(errors))) if errors else None,
        "suspicions": [f"in {len(found)} of {len(parts)} windows: {found[0]}" for found in kinds.values()],
        "history": list(record.history),
    }


def _inspected(record: EcgRecord) -> dict[str, Any]:
    recorded = record.recorded_leads_only()
    signal = np.where(np.isfinite(record.signal), record.signal, np.nan)
    delineation = delineate(signal, record.sampling_rate, leads=record.leads)
    left_out = [part.named(record.leads) for part in delineation.left_out] if delineation is not None else []
    silent = delineation.silent if delineation is not None else ()
    without_beats = [lead for lead in (record.leads[row] for row in silent) if lead in recorded.leads]
    rows = {lead: row for row, lead in enumerate(recorded.leads)} | {ALL_LEADS: None}
    unused = [LeftOut(rows[lead], start, end, why) for lead, start, end, why in left_out if lead in rows]
    quality = dict(zip(recorded.leads, lead_quality(recorded.signal, recorded.sampling_rate, unused), strict=True))
    filled = interpolate_gaps(recorded.signal)
    dead = [
        row
        for lead, row in rows.items()
        if row is not None and (lead in without_beats or quality[lead]["verdict"] == "flat")
    ]
    shown = without_rows(recorded.signal, dead)
    einthoven = limb_errors(
        recorded.leads, without_details(shown, recorded.finest_detail * recorded.sampling_rate)
    ).get("II")
    values: dict[str, np.ndarray] = {}
    swap = None
    none: str | None = NO_HEARTBEAT
    if delineation is not None:
        none = why_no_heartbeats(heartbeat_signs(delineation), recorded.leads, recorded.signal)
    if delineation is not None and none is None:
        beats = measure_beats(delineation)
        values, swap = lead_measures(beats), chest_lead_swap(record.leads, median_beat(delineation, beats)[0])
        doubts = doubts_of_beats(record.leads, intervals(delineation, beats), values)
        found = recorded.plausibility(without_beats, doubts)
    else:
        found = recorded.plausibility(without_beats).without_heartbeats(str(none))
    suspicions = [
        *(str(doubt) for doubt in found.doubts),
        *_rate_and_length(recorded),
        *_lead_suspicions(quality),
        *(f"lead {lead} {SHOWS_NO_BEATS}: electrode off?" for lead in without_beats),
        *_exchanged_augmented_leads(recorded, filled, _alive(quality) - set(without_beats)),
        *([f"{WITHOUT} {unused_in_words(left_out, record.duration)}"] if left_out else []),
        *_electrode_suspicions(record, values, swap, silent),
    ]
    return {
        "record_id": record.record_id,
        "source": record.source,
        "leads": list(recorded.leads),
        "derived_leads": list(record.derived_leads),
        "missing_standard_leads": [lead for lead in STANDARD_LEADS if lead not in record.leads],
        "sampling_rate_hz": record.sampling_rate,
        "samples": record.num_samples,
        "duration_s": round(record.duration, 4),
        "unit": "mV",
        **found.to_dict(),
        "evidence": {lead: asdict(record.evidence[lead]) for lead in record.leads},
        "lead_quality": quality,
        "left_out": [list(part) for part in left_out],
        "einthoven_error": None if einthoven is None else _rounded(einthoven),
        "suspicions": suspicions,
        "history": list(record.history),
        "metadata": _plain(record.metadata),
        "labels": dict(record.labels),
        "has_report": record.report is not None,
    }


def _rms(row: np.ndarray) -> float:
    """Root mean square about the median: an offset of the amplifier is not an error."""
    return float(np.sqrt(np.mean((row - np.median(row)) ** 2)))


def _rate_and_length(record: EcgRecord) -> list[str]:
    found = []
    if record.duration < 2.5:
        found.append(f"the record is {record.duration:.2f} s long, a 12-lead ECG shows 2.5 s of each lead at least")
    coarse = coarse_rate(record.sampling_rate)
    return [*found, coarse] if coarse else found


def _lead_suspicions(quality: Mapping[str, Mapping[str, Any]]) -> list[str]:
    found = []
    for lead, entry in quality.items():
        if entry["missing_share"] == 1.0:
            found.append(f"lead {lead} has no samples")
            continue
        if entry["missing_share"] > 0:
            found.append(f"lead {lead} lacks {entry['missing_share']:.1%} of its samples")
        if entry["flat_share"] > 0.95:
            found.append(f"lead {lead} is flat: electrode off, or not recorded")
        elif entry["flat_share"] > 0.05:
            found.append(f"lead {lead} is flat for {entry['flat_share']:.1%} of the time")
        if entry["saturated_share"] > 0:
            found.append(f"lead {lead} is saturated for {entry['saturated_share']:.1%} of the time")
        if entry["noise_mv"] > NOISY_FROM_MV:
            found.append(f"lead {lead} is noisy ({entry['noise_mv']:.3f} mV above {NOISE_BAND_HZ:g} Hz)")
        if entry["wander_mv"] > WANDERING_FROM_MV:
            found.append(f"lead {lead} has a wandering baseline ({entry['wander_mv']:.2f} mV)")
    return found


def _alive(quality: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {lead for lead, entry in quality.items() if entry["flat_share"] < 0.5 and entry["missing_share"] < 0.5}


def doubts_of_beats(
    leads: Sequence[str], measured: Mapping[str, float], values: Mapping[str, np.ndarray]
) -> list[Doubt]:
    """What the beats say against the sampling rate and the gain.

    Args:
        leads: names of the leads.
        measured: `heart_rate` (bpm), `qrs_duration` and `qt_interval` (ms).
        values: medians over the beats per lead, as of `lead_measures`.
    """
    timing = doubts_of_measures(measured["heart_rate"], measured["qrs_duration"], measured["qt_interval"])
    gain = suspected_gain(leads, values["qrs_amplitude"].tolist())
    return [*timing, *([false_gain(str(gain))] if gain else [])]


def without_rows(signal: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """`signal` (leads, samples) with NaN in `rows`; itself if there are none."""
    return np.where(np.isin(np.arange(len(signal)), rows)[:, None], np.nan, signal) if rows else signal


def _electrode_suspicions(
    record: EcgRecord, values: Mapping[str, np.ndarray], chest: str | None, silent: Sequence[int]
) -> list[str]:
    signal = without_rows(np.where(np.isfinite(record.signal), record.signal, np.nan), silent)
    limb = limb_lead_reversal(record.leads, signal, record.sampling_rate, values)
    if inverted := inverted_chest_lead(record.leads, signal, record.sampling_rate):
        return [*_limb_sentence(limb), f"lead {inverted} runs against both of its neighbours: upside down?"]
    return [*_limb_sentence(limb), *([f"chest electrodes exchanged? {chest}"] if chest else [])]


def _limb_sentence(pair: str | None) -> list[str]:
    if pair is None:
        return []
    if pair == "left arm and right arm":
        return ["lead I mirrors V6, and aVR does not as aVL does: arm electrodes exchanged (or dextrocardia)"]
    flat = next((lead for lead, cables in FLAT_LIMB_PAIRS.items() if cables == pair), None)
    if flat is None:
        return [f"P, QRS and T of lead II are inverted and P of aVR is upright: electrodes exchanged ({pair})?"]
    return [f"lead {flat} is nearly flat beside the other limb leads: electrodes exchanged ({pair})?"]


def _exchanged_augmented_leads(record: EcgRecord, filled: np.ndarray, alive: set[str]) -> list[str]:
    """Whether the aV leads fit Goldberger's definitions only under each other's names (MIMIC has aVF before aVL)."""
    names: list[str] = [lead for lead in ("aVR", "aVL", "aVF") if lead in alive]
    if len(names) < 2 or not {"I", "II"} <= alive:
        return []
    rows = {lead: filled[record.leads.index(lead)].astype(np.float64) for lead in ("I", "II", *names)}
    expected = {name: limb_lead(name, ("I", "II"), rows["I"], rows["II"]) for name in names}

    def misfit(order: tuple[str, ...]) -> float:
        return sum(_rms(rows[actual] - expected[name]) ** 2 for actual, name in zip(names, order, strict=True))

    power = sum(_rms(expected[name]) ** 2 for name in names)
    best = min(permutations(names), key=misfit)
    if list(best) == names or misfit(best) > 0.05 * power or misfit(tuple(names)) < 4 * misfit(best) + 0.05 * power:
        return []
    pairs = [f"the row named {a} is {b}" for a, b in zip(names, best, strict=True) if a != b]
    return [f"augmented leads are exchanged: {', '.join(pairs)} (by their relation to I and II)"]


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _plain(value: Any) -> Any:
    """Metadata as JSON knows it; of a data class, what it shows of itself."""
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value) if field.repr}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


__all__ = ["FAULTS", "doubts_of_beats", "inspect_record", "lead_faults", "lead_quality", "without_rows"]
