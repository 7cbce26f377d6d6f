# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`inspect_record`: what an ECG holds and what looks wrong with it, in numbers and in words."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np

from .ecg_record import LIMB_LEADS_FROM_I_II, MAX_PLAUSIBLE_MV, STANDARD_LEADS, EcgRecord, interpolate_gaps

# A run of equal samples this long is no heart: even a 12-bit recorder at 100 Hz moves by its noise.
FLAT_RUN_S = 0.4
# A plateau at a lead's own maximum or minimum, above 1 mV: the amplifier or the ADC was at its end.
SATURATED_RUN_S, SATURATED_FROM_MV = 0.02, 1.0
NOISE_BAND_HZ = 40.0
NOISY_FROM_MV = 0.05
WANDER_BAND_HZ = 0.5
WANDERING_FROM_MV = 0.5
EINTHOVEN_TOLERANCE = 0.1
# On 1,998 PTB-XL records the rule below fires for 0.05 %; with both arm cables exchanged in them, for 80 %.
ARM_REVERSAL_CORRELATION = -0.5
# A limb lead below a tenth of the smaller of the other two is the potential between two feet.
FLAT_LIMB_RATIO = 0.1
_QRS_BAND_HZ = (1.0, 30.0)


def inspect_record(record: EcgRecord) -> dict[str, Any]:
    """A summary of `record` that can be written as JSON; every suspicion is a sentence in `suspicions`.

    Leads that were derived from others are listed, not judged: what is wrong with them is wrong with their sources.

    Per lead: share of missing, flat and saturated samples, peak-to-peak amplitude, high-frequency noise (robust
    standard deviation above 40 Hz) and baseline wander (standard deviation below 0.5 Hz), both in mV.

    Limb leads: error of Einthoven's law as RMS(I + III - II) over the largest RMS of the three; aV leads that fit
    Goldberger's definitions only under another's name; exchanged arm electrodes (lead I mirrored against V6 while aVR
    runs with it) and an electrode exchanged with the right leg (one of I, II, III nearly flat), see Batchvarov et al.,
    Europace 2007;9:1081.

    Example:
        ```python
        >>> import numpy as np
        >>> summary = inspect_record(EcgRecord(np.zeros((1, 5000)), ("II",), 500))
        >>> summary["lead_quality"]["II"]["flat_share"], summary["suspicions"]
        (1.0, ['lead II is flat: electrode off, or not recorded'])

        ```
    """
    read, record = record, record.recorded_leads_only()
    filled = interpolate_gaps(record.signal)
    rows = zip(record.leads, record.signal, strict=True)
    quality = {lead: _lead_quality(row, record.sampling_rate) for lead, row in rows}
    _add_noise(quality, filled, record)
    einthoven = _einthoven_error(record, filled)
    suspicions = [
        *_rate_and_length(record),
        *_lead_suspicions(quality),
        *_limb_lead_suspicions(record, filled, quality, einthoven),
    ]
    return {
        "record_id": record.record_id,
        "source": record.source,
        "leads": list(record.leads),
        "derived_leads": list(read.derived_leads),
        "missing_standard_leads": [lead for lead in STANDARD_LEADS if lead not in read.leads],
        "sampling_rate_hz": record.sampling_rate,
        "samples": record.num_samples,
        "duration_s": round(record.duration, 4),
        "unit": "mV",
        "lead_quality": quality,
        "einthoven_error": einthoven,
        "suspicions": suspicions,
        "history": list(read.history),
        "metadata": _plain(record.metadata),
        "labels": dict(record.labels),
        "has_report": record.report is not None,
    }


def _lead_quality(row: np.ndarray, rate: float) -> dict[str, Any]:
    finite = np.isfinite(row)
    values = row[finite]
    if not len(values):
        return {"missing_share": 1.0, "flat_share": 0.0, "saturated_share": 0.0, "peak_to_peak_mv": None}
    lengths, starts = _run_lengths(row)
    flat = lengths >= max(3, FLAT_RUN_S * rate)
    extreme = (row[starts] == values.max()) | (row[starts] == values.min())
    clipped = (lengths >= max(3, SATURATED_RUN_S * rate)) & extreme & (np.abs(row[starts]) >= SATURATED_FROM_MV)
    return {
        "missing_share": _rounded(1.0 - finite.mean()),
        "flat_share": _rounded(lengths[flat].sum() / len(row)),
        "saturated_share": _rounded(lengths[clipped].sum() / len(row)),
        "peak_to_peak_mv": _rounded(float(values.max()) - float(values.min())),
    }


def _run_lengths(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and first positions of the runs of equal samples (a missing sample is a run of its own)."""
    changes = np.flatnonzero(row[1:] != row[:-1]) + 1
    starts = np.concatenate(([0], changes))
    return np.diff(np.concatenate((starts, [len(row)]))), starts


def _add_noise(quality: dict[str, dict[str, Any]], filled: np.ndarray, record: EcgRecord) -> None:
    noise = np.abs(_filtered(filled, record.sampling_rate, NOISE_BAND_HZ, "highpass"))
    wander = _filtered(filled, record.sampling_rate, WANDER_BAND_HZ, "lowpass")
    for row, entry in enumerate(quality.values()):
        # Median absolute deviation: the QRS, a few per cent of the time, hardly moves it.
        entry["noise_mv"] = _rounded(1.4826 * float(np.median(noise[row])))
        entry["wander_mv"] = _rounded(float(wander[row].std()))


def _filtered(signal: np.ndarray, rate: float, band: float | tuple[float, float], kind: str) -> np.ndarray:
    """Zero-phase second-order Butterworth; zeros where the record is too short or too coarse for the band."""
    from scipy.signal import butter, sosfiltfilt

    if np.max(band) >= 0.5 * rate or signal.shape[1] < 30:
        return np.zeros_like(signal)
    return sosfiltfilt(butter(2, band, kind, fs=rate, output="sos"), signal.astype(np.float64), axis=1)


def _einthoven_error(record: EcgRecord, filled: np.ndarray) -> float | None:
    if not {"I", "II", "III"} <= set(record.leads):
        return None
    lead_i, lead_ii, lead_iii = (filled[record.leads.index(lead)].astype(np.float64) for lead in ("I", "II", "III"))
    scale = max(_rms(lead) for lead in (lead_i, lead_ii, lead_iii))
    return _rounded(_rms(lead_i + lead_iii - lead_ii) / scale) if scale > 0 else None


def _rms(row: np.ndarray) -> float:
    """Root mean square about the median: an offset of the amplifier is no error."""
    return float(np.sqrt(np.mean((row - np.median(row)) ** 2)))


def _rate_and_length(record: EcgRecord) -> list[str]:
    found = []
    if record.duration < 2.5:
        found.append(f"the record is {record.duration:.2f} s long, a 12-lead ECG shows 2.5 s of each lead at least")
    if record.sampling_rate < 100:
        found.append(f"{record.sampling_rate:g} Hz is too coarse for intervals and notches of the QRS")
    return found


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
        if entry["peak_to_peak_mv"] > 2 * MAX_PLAUSIBLE_MV:
            found.append(f"lead {lead} spans {entry['peak_to_peak_mv']:.5g} mV: not in mV, or raw counts?")
        if entry["noise_mv"] > NOISY_FROM_MV:
            found.append(f"lead {lead} is noisy ({entry['noise_mv']:.3f} mV above {NOISE_BAND_HZ:g} Hz)")
        if entry["wander_mv"] > WANDERING_FROM_MV:
            found.append(f"lead {lead} has a wandering baseline ({entry['wander_mv']:.2f} mV)")
    peaks = [entry["peak_to_peak_mv"] for entry in quality.values() if entry["peak_to_peak_mv"]]
    if peaks and max(peaks) < 0.05:
        found.append(f"no lead spans more than {max(peaks):.2g} mV: in V, or scaled down?")
    return found


def _limb_lead_suspicions(
    record: EcgRecord, filled: np.ndarray, quality: Mapping[str, Mapping[str, Any]], einthoven: float | None
) -> list[str]:
    found = []
    if einthoven is not None and einthoven > EINTHOVEN_TOLERANCE:
        found.append(
            f"I + III differs from II by {einthoven:.0%}: limb leads misnamed, or false gains (Einthoven's law)"
        )
    alive = {lead for lead, entry in quality.items() if entry["flat_share"] < 0.5 and entry["missing_share"] < 0.5}
    found += _exchanged_augmented_leads(record, filled, alive)
    rows = dict(zip(record.leads, _filtered(filled, record.sampling_rate, _QRS_BAND_HZ, "bandpass"), strict=True))
    if {"I", "aVR", "V6"} <= alive and _arms_look_exchanged(rows):
        found.append("lead I mirrors V6 and aVR is upright: arm electrodes exchanged (or dextrocardia)")
    if {"I", "II", "III"} <= alive:
        found += _leg_reversal({lead: float(np.percentile(np.abs(rows[lead]), 99.5)) for lead in ("I", "II", "III")})
    return found


def _arms_look_exchanged(rows: Mapping[str, np.ndarray]) -> bool:
    mirrored = _correlation(rows["I"], rows["V6"]) < ARM_REVERSAL_CORRELATION
    return mirrored and _correlation(rows["aVR"], rows["V6"]) > 0


def _leg_reversal(height: Mapping[str, float]) -> list[str]:
    cables = {
        "I": "both arm electrodes with the legs'",
        "II": "right arm and right leg",
        "III": "left arm and right leg",
    }
    return [
        f"lead {lead} is nearly flat beside the other limb leads: electrodes exchanged ({cable})?"
        for lead, cable in cables.items()
        if height[lead] < FLAT_LIMB_RATIO * min(value for other, value in height.items() if other != lead)
    ]


def _exchanged_augmented_leads(record: EcgRecord, filled: np.ndarray, alive: set[str]) -> list[str]:
    """Whether the aV leads fit Goldberger's definitions only under each other's names (MIMIC has aVF before aVL)."""
    names: list[str] = [lead for lead in ("aVR", "aVL", "aVF") if lead in alive]
    if len(names) < 2 or not {"I", "II"} <= alive:
        return []
    rows = {lead: filled[record.leads.index(lead)].astype(np.float64) for lead in ("I", "II", *names)}
    expected = {name: _weighted(name, rows["I"], rows["II"]) for name in names}

    def misfit(order: tuple[str, ...]) -> float:
        return sum(_rms(rows[actual] - expected[name]) ** 2 for actual, name in zip(names, order, strict=True))

    power = sum(_rms(expected[name]) ** 2 for name in names)
    best = min(permutations(names), key=misfit)
    if list(best) == names or misfit(best) > 0.05 * power or misfit(tuple(names)) < 4 * misfit(best) + 0.05 * power:
        return []
    pairs = [f"the row named {a} is {b}" for a, b in zip(names, best, strict=True) if a != b]
    return [f"augmented leads are exchanged: {', '.join(pairs)} (by their relation to I and II)"]


def _weighted(name: str, lead_i: np.ndarray, lead_ii: np.ndarray) -> np.ndarray:
    weight_i, weight_ii = LIMB_LEADS_FROM_I_II[name]
    return weight_i * lead_i + weight_ii * lead_ii


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    norm = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    return float(np.sum(first * second)) / norm if norm > 0 else 0.0


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _plain(value: Any) -> Any:
    """Metadata as JSON knows it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


__all__ = ["inspect_record"]
