# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Kind, value and polarity of a claim from its words: a wave with a quality, or a quantity with a number and a unit."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .findings import FINDINGS
from .tokens import Quantity

SMALL_SQUARE_MV = 0.1  # 1 mm at the usual gain of 10 mm/mV
SMALL_SQUARE_MS = 40.0  # 1 mm at the usual speed of 25 mm/s
LONGEST_INTERVAL_S = 3.0  # of a P wave to a QT interval; more is the length of a recording
SQUARES = "squares"  # the unit of small squares, which may be a time or a height: what they are said of decides
OPPOSITE_COMPARISON = {">": "not_more", "<": "not_less", "not_more": ">", "not_less": "<"}
OPPOSITE_POLARITY = {"negated": "affirmed", "affirmed": "negated", "hedged": "hedged"}
INTERVALS = (
    "pr_interval",
    "qrs_duration",
    "qt_interval",
    "qtc_interval",
    "qtc_bazett",
    "qtc_fridericia",
    "p_duration",
)
# Findings that lie in leads; all other claims are about the whole record unless they name leads themselves.
LEAD_FINDINGS = tuple(finding.kind for finding in FINDINGS if finding.scope != "record" and not finding.is_measure)
LEAD_MEASURES = tuple(finding.kind for finding in FINDINGS if finding.scope != "record" and finding.is_measure)
# Findings that may have a size: an elevation of 0.2 mV.
WITH_MAGNITUDE = tuple(finding.kind for finding in FINDINGS if finding.unit is not None and not finding.is_measure)


class Meaning(NamedTuple):
    """What a subject and a quality say together: the kind of claim, its value, and whether it is denied."""

    kind: str
    value: Any = None
    negated: bool = False


_INTERVAL = {
    "normal": "normal", "normal_range": "normal", "prolonged": "prolonged", "wide": "prolonged", "high": "prolonged", "slow": "prolonged",
    "large": "prolonged", "short": "short", "narrow": "short", "low": "short",
}  # fmt: skip


def quality_of(subject: str, quality: str) -> Meaning | None:
    """The claim that `subject` is `quality`; `None` where the two do not go together.

    Examples:
        >>> quality_of("st", "elevated")
        Meaning(kind='st_elevation', value=None, negated=False)
        >>> quality_of("t", "upright")
        Meaning(kind='t_inversion', value=None, negated=True)
    """
    if subject == "qrs" and quality == "large":
        return None  # wide or tall
    if subject in ("qrs", "qrs_duration") and quality in _INTERVAL:
        word = {"prolonged": "wide", "short": "narrow"}.get(_INTERVAL[quality], "normal")
        return Meaning("qrs_duration", word)
    if subject in ("heart_rate", *INTERVALS) and quality == "abnormal":
        return Meaning(subject, "normal", negated=True)
    if subject in INTERVALS and quality in _INTERVAL:
        return Meaning(subject, _INTERVAL[quality])
    return _MEANINGS.get((subject, quality))


def _table() -> dict[tuple[str, str], Meaning]:
    table = {("intervals", quality): Meaning("intervals", "normal") for quality in ("normal", "normal_range")}
    for finding in FINDINGS:
        meanings = {said: Meaning(finding.kind, value) for said, value in finding.said.items()}
        denied = finding.denied if isinstance(finding.denied, Mapping) else dict.fromkeys(finding.denied)
        meanings |= {words: Meaning(finding.kind, value, negated=True) for words, value in denied.items()}
        for words, meaning in meanings.items():
            subject, quality = words.split()
            table[subject, quality] = meaning
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
_OWN_HEIGHT = tuple(finding.kind for finding in FINDINGS if finding.is_measure and finding.unit == "mV")
_OWN_TIME = (*INTERVALS, *(finding.kind for finding in FINDINGS if finding.unit == "ms"))
_PLAUSIBLE = {finding.kind: finding.plausible for finding in FINDINGS if finding.plausible is not None}


def quantity_of(subject: str, quantity: Quantity) -> tuple[str, str, Quantity] | None:
    """The kind of a claim with a number, its unit (`ms`, `mV`, `bpm`, `deg`) and the value in it.

    `None` if the unit does not fit, or if there is no unit and the number is not plausible.
    """
    unit = quantity.unit
    if unit == "s" and quantity.low > LONGEST_INTERVAL_S and subject in (*INTERVALS, *_TIMES):
        return None  # "twelve QRS complexes in 10 seconds"
    if unit in ("ms", "s"):
        kind = subject if subject in _OWN_TIME else _TIMES.get(subject)
        return None if kind is None else (kind, "ms", _scaled(quantity, 1000 if unit == "s" else 1))
    if unit == SQUARES:
        wide = subject in (*_OWN_TIME, "qrs")
        if wide or subject in ("p", "q", "t"):
            return (_TIMES.get(subject, subject), "ms", _scaled(quantity, SMALL_SQUARE_MS)) if wide else None
        unit = "mm"
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


__all__ = [
    "DEFAULT_SUBJECT",
    "INTERVALS",
    "LEAD_FINDINGS",
    "LEAD_MEASURES",
    "SMALL_SQUARE_MS",
    "SQUARES",
    "WITH_MAGNITUDE",
    "Meaning",
    "quality_of",
    "quantity_of",
]
