# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`EcgFeatures` as plain values for JSON, and as a table."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .ecg_beat_measures import SEQUENCES
from .ecg_events import EVENTS_FROM_S
from .ecg_plausibility import Plausibility
from .ecg_record_measures import LEAD_MEASURES
from .errors_gem import EcgFormatError

if TYPE_CHECKING:
    from .ecg_features import EcgFeatures

WAVES = ("P", "QRS", "T")
RECORD_KEY = "record"
TIME_DIGITS = 4
# What `EcgFeatures` holds beyond arrays, with the digits after the decimal point of the numbers.
_SCALARS = {
    "heart_rate": 1, "rr_interval": 1, "rr_variability": 4, "rhythm_regularity": None, "p_present": None, "p_unclear": None,
    "flutter_waves": None, "p_duration": 1, "pr_interval": 1, "qrs_duration": 1, "qt_interval": 1, "qtc_bazett": 1, "qtc_fridericia": 1,
    "p_axis": 1, "qrs_axis": 1, "t_axis": 1, "sokolow_lyon": 3, "cornell": 3, "r_transition": None,
    "poor_r_progression": None, "low_voltage": None, "t_inversion": None, "pathological_q": None,
    "limb_lead_reversal": None, "chest_lead_swap": None, "inverted_lead": None, "note": None, "sex": None, "age": None,
}  # fmt: skip


def plain(values: np.ndarray, digits: int | None) -> list[Any]:
    """An array as nested lists without NaN; whole numbers become `int`, `digits=None` leaves words alone."""
    if digits is None or values.dtype == object:
        return values.tolist()
    rounded = np.round(np.asarray(values, dtype=np.float64), digits)
    if digits:
        cells = rounded.astype(object)
    else:
        cells = np.where(np.isfinite(rounded), rounded, 0).astype(np.int64).astype(object)
    cells[~np.isfinite(rounded)] = None
    return cells.tolist()


def plain_number(value: Any, digits: int | None) -> Any:
    """A scalar for JSON: rounded, `None` for NaN, tuples as lists."""
    if isinstance(value, tuple):
        return list(value)
    if digits is None or not isinstance(value, (float, np.floating)):
        return value
    return round(float(value), digits) if math.isfinite(value) else None


def features_to_dict(features: "EcgFeatures", full: bool = False) -> dict[str, Any]:
    """See `EcgFeatures.to_dict`."""
    columns = {name: plain(features.sequences[name], digits) for name, digits in SEQUENCES.items()}
    result: dict[str, Any] = {
        lead: {name: column[i] for name, column in columns.items()} for i, lead in enumerate(features.leads)
    }
    if full:
        result[RECORD_KEY] = {
            "record_id": features.record_id,
            "sampling_rate": features.sampling_rate,
            "duration": round(features.duration, TIME_DIGITS),
            "compat": features.compat,
            "beat_times": plain(features.beat_times, TIME_DIGITS),
            **{name: plain_number(getattr(features, name), digits) for name, digits in _SCALARS.items()},
            "lead_values": {name: plain(values, TIME_DIGITS) for name, values in features.lead_values.items()},
            "qrs_patterns": dict(features.qrs_patterns),
            "quality": {
                lead: {name: plain_number(value, TIME_DIGITS) for name, value in quality.items()}
                for lead, quality in features.quality.items()
            },
            "waves": {wave: plain(times, TIME_DIGITS) for wave, times in features.waves.items()},
            "beat_waves": {wave: plain(times, TIME_DIGITS) for wave, times in features.beat_waves.items()},
            "lone_p_waves": plain(features.lone_p_waves, TIME_DIGITS),
            "pacing_spikes": plain(features.pacing_spikes, TIME_DIGITS),
            "left_out": [list(part) for part in features.left_out],
            "cautions": list(features.cautions),
            "plausibility": features.plausibility.to_dict(),
        }
        if features.duration > EVENTS_FROM_S:
            result[RECORD_KEY]["events"] = features.events.to_dict()
    return result


def fields_from_dict(measurements: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the `EcgFeatures` of which `features_to_dict` made `measurements`, see `EcgFeatures.from_dict`."""
    rest = measurements.get(RECORD_KEY, {})
    leads = tuple(lead for lead in measurements if lead != RECORD_KEY)
    if not leads:
        raise EcgFormatError("EcgFeatures.from_dict: no lead in the dictionary; expected lead -> 14 sequences.")
    rows = {lead: _checked_sequences(lead, measurements[lead]) for lead in leads}
    beats = {len(values) for row in rows.values() for values in row.values()}
    if len(beats) != 1:
        raise EcgFormatError(
            f"EcgFeatures.from_dict: sequences of {sorted(beats)} values; each must hold one per beat, in every lead."
        )
    sequences = {
        name: np.array([rows[lead][name] for lead in leads], dtype=object if digits is None else np.float64)
        for name, digits in SEQUENCES.items()
    }
    count = beats.pop()
    lead_count = len(leads)
    scalars = {
        name: _restored(rest[name])
        for name in _SCALARS
        if name in rest and (rest[name] is not None or name == "p_present")
    }
    return {
        "leads": leads,
        "sampling_rate": rest.get("sampling_rate", math.nan),
        "duration": rest.get("duration", math.nan),
        "record_id": rest.get("record_id"),
        "compat": rest.get("compat"),
        "beat_times": _array(rest.get("beat_times"), (count,)),
        "sequences": sequences,
        "waves": {wave: _array(rest.get("waves", {}).get(wave), (lead_count, count, 3)) for wave in WAVES},
        "beat_waves": {wave: _array(rest.get("beat_waves", {}).get(wave), (count, 3)) for wave in WAVES},
        "lead_values": {name: _array(rest.get("lead_values", {}).get(name), (lead_count,)) for name in LEAD_MEASURES},
        "qrs_patterns": rest.get("qrs_patterns", {}),
        "quality": {lead: _quality(values) for lead, values in rest.get("quality", {}).items()},
        "lone_p_waves": _array(rest.get("lone_p_waves", []), (-1, 3)),
        "pacing_spikes": np.array(rest.get("pacing_spikes", []), dtype=np.float64),
        "left_out": tuple(tuple(part) for part in rest.get("left_out", [])),
        "plausibility": Plausibility.from_dict(rest.get("plausibility", {"reasons": []})),
        **scalars,
    }


def _checked_sequences(lead: str, row: Mapping[str, Any]) -> dict[str, list[Any]]:
    if set(row) != set(SEQUENCES):
        missing, unknown = sorted(set(SEQUENCES) - set(row)), sorted(set(row) - set(SEQUENCES))
        raise EcgFormatError(f"EcgFeatures.from_dict: lead {lead} lacks {missing} and has unknown {unknown}.")
    return {name: _listed(values, SEQUENCES[name] is None) for name, values in row.items()}


def _listed(values: Any, words: bool) -> list[Any]:
    if not isinstance(values, str):
        return [None if value is None else value for value in values] if words else [_number(v) for v in values]
    parts = [part.strip() for part in values.split(",")] if values.strip() else []
    return [part or None for part in parts] if words else [_number(part) for part in parts]


def _number(value: Any) -> float:
    return math.nan if value is None or value in ("", "None", "nan") else float(value)


def _restored(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _quality(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in values.items()}


def _array(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan) if values is None else np.array(values, dtype=np.float64).reshape(shape)


def features_to_pandas(features: "EcgFeatures") -> Any:
    """See `EcgFeatures.to_pandas`."""
    import pandas as pd

    lead_count, beats = len(features.leads), len(features.beat_times)
    columns: dict[str, Any] = {
        "lead": np.repeat(np.array(features.leads, dtype=object), beats),
        "beat": np.tile(np.arange(1, beats + 1), lead_count),
        "time": np.tile(features.beat_times, lead_count),
    }
    return pd.DataFrame(columns | {name: np.asarray(values).ravel() for name, values in features.sequences.items()})


__all__ = ["WAVES", "features_to_dict", "features_to_pandas", "fields_from_dict"]
