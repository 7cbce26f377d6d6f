# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What words mean together: a quality of a wave, a number with a unit, as kind, value and polarity of a claim."""

from typing import Any, NamedTuple

from .tokens import Quantity

SMALL_SQUARE_MV = 0.1  # 1 mm at the usual gain of 10 mm/mV
INTERVALS = (
    "pr_interval",
    "qrs_duration",
    "qt_interval",
    "qtc_interval",
    "qtc_bazett",
    "qtc_fridericia",
    "p_duration",
)
AMPLITUDES = ("p_amplitude", "q_amplitude", "r_amplitude", "s_amplitude", "qrs_amplitude", "t_amplitude")
# Findings that lie in leads; all other claims are about the whole record unless they name leads themselves.
LEAD_FINDINGS = (
    "st_elevation", "st_depression", "st_deviation", "t_inversion", "t_flat", "t_tall", "t_abnormality", "t_biphasic",
    "pathological_q", "qrs_pattern", "p_inversion", "p_tall", "p_wide", "stt_changes", "infarction", "ischemia",
)  # fmt: skip


class Meaning(NamedTuple):
    kind: str
    value: Any = None
    negated: bool = False


_INTERVAL = {
    "normal": "normal", "normal_range": "normal", "prolonged": "prolonged", "wide": "prolonged", "high": "prolonged", "slow": "prolonged",
    "short": "short", "narrow": "short", "low": "short",
}  # fmt: skip
_NORMAL = ("normal", "normal_range")


def quality_of(subject: str, quality: str) -> Meaning | None:
    """The claim that `subject` is `quality`; `None` where the two do not go together.

    Example:
        >>> quality_of("st", "elevated")
        Meaning(kind='st_elevation', value=None, negated=False)
        >>> quality_of("t", "upright")
        Meaning(kind='t_inversion', value=None, negated=True)
    """
    if subject in ("qrs", "qrs_duration") and quality in _INTERVAL:
        word = {"prolonged": "wide", "short": "narrow"}.get(_INTERVAL[quality], "normal")
        return Meaning("qrs_duration", word)
    if subject in INTERVALS and quality in _INTERVAL:
        return Meaning(subject, _INTERVAL[quality])
    return _MEANINGS.get((subject, quality))


def _table() -> dict[tuple[str, str], Meaning]:
    table = {
        ("st", "elevated"): Meaning("st_elevation"),
        ("st", "depressed"): Meaning("st_depression"),
        ("st", "isoelectric"): Meaning("st_deviation", negated=True),
        ("st", "flat"): Meaning("st_deviation", negated=True),
        ("st", "deviation"): Meaning("st_deviation"),
        ("st", "abnormal"): Meaning("st_deviation", "abnormal"),
        ("t", "inverted"): Meaning("t_inversion"),
        ("t", "flat"): Meaning("t_flat"),
        ("t", "low"): Meaning("t_flat"),
        ("t", "tall"): Meaning("t_tall"),
        ("t", "high"): Meaning("t_tall"),
        ("t", "upright"): Meaning("t_inversion", negated=True),
        ("t", "biphasic"): Meaning("t_biphasic"),
        ("t", "abnormal"): Meaning("t_abnormality", "abnormal"),
        ("q", "pathological"): Meaning("pathological_q"),
        ("q", "abnormal"): Meaning("pathological_q"),
        ("q", "wide"): Meaning("pathological_q"),
        ("q", "small"): Meaning("pathological_q", negated=True),
        ("q", "low"): Meaning("pathological_q", negated=True),
        ("q", "narrow"): Meaning("pathological_q", negated=True),
        ("p", "inverted"): Meaning("p_inversion"),
        ("p", "upright"): Meaning("p_inversion", negated=True),
        ("p", "tall"): Meaning("p_tall"),
        ("p", "wide"): Meaning("p_wide"),
        ("p", "normal"): Meaning("p_waves", "present"),
        ("p", "regular"): Meaning("p_waves", "present"),
        ("qrs", "low"): Meaning("low_voltage"),
        ("rhythm", "regular"): Meaning("regularity", "regular"),
        ("rhythm", "irregular"): Meaning("regularity", "irregular"),
        ("rhythm", "normal"): Meaning("rhythm", "sinus rhythm"),
        ("intervals", "regular"): Meaning("regularity", "regular"),
        ("intervals", "irregular"): Meaning("regularity", "irregular"),
        ("rr_interval", "regular"): Meaning("regularity", "regular"),
        ("rr_interval", "irregular"): Meaning("regularity", "irregular"),
        ("heart_rate", "regular"): Meaning("regularity", "regular"),
        ("heart_rate", "irregular"): Meaning("regularity", "irregular"),
        ("heart_rate", "slow"): Meaning("heart_rate", "bradycardia"),
        ("heart_rate", "low"): Meaning("heart_rate", "bradycardia"),
        ("heart_rate", "fast"): Meaning("heart_rate", "tachycardia"),
        ("heart_rate", "high"): Meaning("heart_rate", "tachycardia"),
        ("heart_rate", "elevated"): Meaning("heart_rate", "tachycardia"),
        ("qrs_axis", "deviation"): Meaning("qrs_axis", "deviated"),
        ("qrs_axis", "abnormal"): Meaning("qrs_axis", "deviated"),
        ("r_progression", "abnormal"): Meaning("poor_r_progression"),
        ("r_progression", "poor"): Meaning("poor_r_progression"),
        ("r_progression", "slow"): Meaning("poor_r_progression"),
        ("r_progression", "prolonged"): Meaning("poor_r_progression"),
        ("r_progression", "low"): Meaning("poor_r_progression"),
    }
    for quality in _NORMAL:
        table |= {
            ("st", quality): Meaning("st_deviation", negated=True),
            ("t", quality): Meaning("t_abnormality", negated=True),
            ("q", quality): Meaning("pathological_q", negated=True),
            ("heart_rate", quality): Meaning("heart_rate", "normal"),
            ("qrs_axis", quality): Meaning("qrs_axis", "normal"),
            ("r_progression", quality): Meaning("r_progression", "normal"),
            ("r_transition", quality): Meaning("r_progression", "normal"),
            ("voltage", quality): Meaning("low_voltage", negated=True),
            ("qrs_amplitude", quality): Meaning("low_voltage", negated=True),
            ("intervals", quality): Meaning("intervals", "normal"),
        }
    for subject in ("voltage", "qrs_amplitude"):
        table |= {(subject, "low"): Meaning("low_voltage"), (subject, "high"): Meaning("lvh", True)}
    return table


_MEANINGS = _table()
# A quality without anything it could be said of: elevation means ST, inversion means T.
DEFAULT_SUBJECT = {
    "elevated": "st", "depressed": "st", "isoelectric": "st", "inverted": "t", "regular": "rhythm",
    "irregular": "rhythm",
}  # fmt: skip
_TIMES = {"qrs": "qrs_duration", "p": "p_duration", "t": "t_duration", "q": "q_duration", "st": "st_duration", "pathological_q": "q_duration"}  # fmt: skip
_HEIGHTS = {wave: f"{wave}_amplitude" for wave in ("p", "q", "r", "s", "t", "qrs")} | {
    "st": "st_level", "qrs_duration": "qrs_amplitude", "voltage": "qrs_amplitude", "pathological_q": "q_amplitude",
    "t_inversion": "t_inversion", "t_tall": "t_tall", "t_flat": "t_flat",
    "st_elevation": "st_elevation", "st_depression": "st_depression", "st_deviation": "st_level",
}  # fmt: skip
# "P amplitude 0.1 mV with a duration of 90 ms": what is measured of a wave, and what else may be.
_TIMES |= {f"{wave}_amplitude": f"{wave}_duration" for wave in ("p", "q", "t", "qrs")}
_HEIGHTS |= {f"{wave}_duration": f"{wave}_amplitude" for wave in ("p", "q", "t")}
_OWN_HEIGHT = (*AMPLITUDES, "sokolow_lyon", "cornell")
_OWN_TIME = (*INTERVALS, "rr_interval", "t_duration", "q_duration", "st_duration")
_PLAUSIBLE = {
    "heart_rate": (15, 350), "qrs_axis": (-360, 360), "p_axis": (-360, 360), "t_axis": (-360, 360),
    "rr_interval": (150, 4000), "pr_interval": (40, 700), "qrs_duration": (20, 350), "qt_interval": (150, 900),
    "p_duration": (20, 250), "t_duration": (40, 500), "q_duration": (5, 120), "st_duration": (5, 500),
}  # fmt: skip


def quantity_of(subject: str, quantity: Quantity) -> tuple[str, str, Quantity] | None:
    """What a number says of a subject (or of a finding): kind, unit (`ms`, `mV`, `bpm`, `deg`) and the value in it.

    `None` where the unit does not fit, or where there is none and the number would be no plausible value.
    """
    unit = quantity.unit
    if unit in ("ms", "s"):
        kind = subject if subject in _OWN_TIME else _TIMES.get(subject)
        return None if kind is None else (kind, "ms", _scaled(quantity, 1000 if unit == "s" else 1))
    if unit in ("mV", "mm", "uV"):
        kind = subject if subject in _OWN_HEIGHT else _HEIGHTS.get(subject)
        factor = {"mV": 1.0, "mm": SMALL_SQUARE_MV, "uV": 0.001}[unit]
        return None if kind is None else (kind, "mV", _scaled(quantity, factor))
    if unit == "bpm":
        return (subject, "bpm", quantity) if subject in ("heart_rate", "atrial_rate") else None
    if unit == "deg":
        return (subject, "deg", quantity) if subject in ("qrs_axis", "p_axis", "t_axis") else None
    return _without_unit(subject, quantity) if unit is None else None


def _without_unit(subject: str, quantity: Quantity) -> tuple[str, str, Quantity] | None:
    if subject in ("sokolow_lyon", "cornell"):
        return (subject, "mV", _scaled(quantity, 1 if quantity.high < 8 else SMALL_SQUARE_MV))
    kind = "qrs_duration" if subject == "qrs" else subject
    limits = _PLAUSIBLE.get("qt_interval" if kind.startswith("qtc") else kind)
    if limits is None:
        return None
    unit = "bpm" if kind == "heart_rate" else "deg" if kind.endswith("_axis") else "ms"
    if unit == "ms" and quantity.high < 4:
        quantity = _scaled(quantity, 1000)
    plausible = limits[0] <= quantity.low and quantity.high <= limits[1]
    return (kind, unit, quantity) if plausible else None


def _scaled(quantity: Quantity, factor: float) -> Quantity:
    spread = None if quantity.plus_minus is None else quantity.plus_minus * factor
    return Quantity(round(quantity.low * factor, 6), round(quantity.high * factor, 6), quantity.unit, spread)


__all__ = ["AMPLITUDES", "DEFAULT_SUBJECT", "INTERVALS", "LEAD_FINDINGS", "Meaning", "quality_of", "quantity_of"]
