# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`EcgFeatures` as compact text for prompts: the record first, then lead after lead, within a token budget."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .ecg_beat_measures import SEQUENCES
from .ecg_raw import MAX_STATED_AGE
from .ecg_reliability import unused_in_words
from .ecg_rules import (
    axis_sector,
    high_voltage_criteria,
    is_long_pr,
    is_long_qtc,
    is_low_voltage,
    is_wide_qrs,
    pathological_q_leads,
    st_depressed_leads,
    st_elevated_leads,
)
from .ecg_withheld import withheld_in_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .ecg_features import EcgFeatures

CHARACTERS_PER_TOKEN = 2.6  # measured numbers are dense: Llama's tokenizer takes 2.7-3.1 characters of this text
SEX_WORDS = {"F": "female", "M": "male"}
JUDGED: tuple[tuple[str, "Callable[[EcgFeatures], bool]"], ...] = (
    ("prolonged PR", is_long_pr),
    ("wide QRS", is_wide_qrs),
    ("prolonged QTc", is_long_qtc),
    ("low voltage", is_low_voltage),
)
LEFT_OUT = "({} further line(s) left out for length.)"
_SHORT = {
    "P Amplitude": "P mV",
    "PR Interval": "PR",
    "QRS Amplitude": "QRS mV",
    "QRS Duration": "QRS",
    "ST Form": "ST",
    "T Amplitude": "T mV",
    "QT Interval": "QT",
}


def features_to_text(
    features: "EcgFeatures", max_tokens: int = 1200, tokenizer: "PreTrainedTokenizerBase | None" = None
) -> str:
    """The measurements in words and numbers, most important first.

    The record line, notable findings and beat times come first, then one line of medians per lead, then every beat of
    every lead. Lines that exceed the budget are left out as a whole, and the text says so.

    Args:
        features: the measurements.
        max_tokens: budget.
        tokenizer: of the model that will read the text; counts exactly. Without one a token is 2.6 characters, a
            cautious figure for numbers and large vocabularies (a vocabulary of a few thousand takes about twice as many
            tokens).
    """

    def cost(line: str) -> float:
        if tokenizer is None:
            return (len(line) + 1) / CHARACTERS_PER_TOKEN
        return len(tokenizer(line + "\n", add_special_tokens=False)["input_ids"])

    kept, left_out = [], 0
    left = max_tokens - cost(LEFT_OUT.format(99))
    for line in [*record_lines(features), *_median_lines(features), *_beat_lines(features)]:
        price = cost(line)
        if price > left:
            left_out += 1
            continue
        kept.append(line)
        left -= price
    if left_out:
        kept.append(LEFT_OUT.format(left_out))
    return "\n".join(kept)


def record_lines(features: "EcgFeatures") -> list[str]:
    """The patient's sex and age where they are known, what is in doubt, and the ECG as a whole: rate and intervals, notable
    findings, beat times."""
    return [
        line
        for line in (
            _patient_line(features),
            withheld_in_words(features),
            _record_line(features),
            _findings_line(features),
            _times_line(features),
        )
        if line
    ]


def _patient_line(features: "EcgFeatures") -> str:
    known = [SEX_WORDS[features.sex]] if features.sex else []
    if features.age is not None:
        known.append(f"above {MAX_STATED_AGE} years" if features.age > MAX_STATED_AGE else f"{features.age} years")
    return f"Patient: {', '.join(known)}." if known else ""


def _number(value: Any, digits: int = 0) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}"


def p_waves_in_words(features: "EcgFeatures") -> str:
    """Whether P waves lead the beats, or why that is not known."""
    if features.p_present is not None:
        return "present" if features.p_present else "absent"
    return f"not measurable ({features.p_unclear})"


def _record_line(features: "EcgFeatures") -> str:
    if not len(features.beat_times):
        return f"No measurements: {features.note}."
    return (
        f"{len(features.beat_times)} beats in {features.duration:.1f} s, rhythm {features.rhythm_regularity or '-'}, "
        f"HR {_number(features.heart_rate)} bpm, RR {_number(features.rr_interval)} ms, "
        f"P waves {p_waves_in_words(features)}, PR {_number(features.pr_interval)} ms, "
        f"QRS {_number(features.qrs_duration)} ms, QT {_number(features.qt_interval)} ms, "
        f"QTc {_number(features.qtc_bazett)} (Bazett) {_number(features.qtc_fridericia)} (Fridericia) ms, "
        f"QRS axis {_number(features.qrs_axis)} deg."
    )


def _findings_line(features: "EcgFeatures") -> str:
    if not len(features.beat_times):
        return ""
    found = [
        f"Sokolow-Lyon {_number(features.sokolow_lyon, 2)} mV, Cornell {_number(features.cornell, 2)} mV",
        f"R/S transition {features.r_transition or '-'}",
        *_judged(features),
    ]
    for words, leads in (
        ("ST elevated in", _with_levels(features, st_elevated_leads(features), "st_j")),
        ("ST depressed in", _with_levels(features, st_depressed_leads(features), "st_j60")),
        ("T inverted in", list(features.t_inversion)),
        ("pathological Q in", list(pathological_q_leads(features))),
    ):
        if leads:
            found.append(f"{words} {', '.join(leads)}")
    bad = [f"{lead} {q['verdict']}" for lead, q in features.quality.items() if q.get("verdict") not in (None, "good")]
    found += [*unusual(features), *([f"signal: {', '.join(bad)}"] if bad else []), *to_be_known(features)]
    return "; ".join(found) + "."


def unusual(features: "EcgFeatures") -> Iterator[str]:
    """What is found that most ECGs do not have, in words: blocked P waves, pacing, electrodes in the wrong place."""
    if len(features.lone_p_waves):
        yield f"{len(features.lone_p_waves)} P wave(s) without QRS"
    if len(features.pacing_spikes):
        yield f"{len(features.pacing_spikes)} pacing spike(s)"
    yield from misplaced(features)


def misplaced(features: "EcgFeatures") -> Iterator[str]:
    """Electrodes that seem to be in the wrong place, in words."""
    for exchanged in (features.limb_lead_reversal, features.chest_lead_swap):
        if exchanged:
            yield f"electrodes exchanged? {exchanged}"
    if features.inverted_lead:
        yield f"lead upside down? {features.inverted_lead}"


def to_be_known(features: "EcgFeatures") -> Iterator[str]:
    """What the measurements do not rest on, and the cautions, in words."""
    if features.left_out:
        yield f"not used: {unused_in_words(features.left_out, features.duration)}"
    yield from features.cautions


def _judged(features: "EcgFeatures") -> list[str]:
    """The values of the record that are beyond their limits, in words."""
    found = [words for words, holds in JUDGED if holds(features)]
    sector = axis_sector(features.qrs_axis, features.age)
    if sector not in (None, "normal"):
        found.append(f"{sector} axis deviation")
    high = high_voltage_criteria(features)
    return [*found, f"high voltage ({', '.join(high)})"] if high else found


def _with_levels(features: "EcgFeatures", leads: Sequence[str], point: str) -> list[str]:
    """The leads with their ST level at `point` (`st_j` or `st_j60`) in mV, the largest first."""
    levels = {lead: features.lead_value(point, lead) for lead in leads}
    return [f"{lead} ({levels[lead]:+.2f} mV)" for lead in sorted(levels, key=lambda lead: -abs(levels[lead]))]


def _times_line(features: "EcgFeatures") -> str:
    return (
        f"Beat times (s): {' '.join(f'{time:.2f}' for time in features.beat_times)}"
        if features.beat_times.size
        else ""
    )


def _median_lines(features: "EcgFeatures") -> list[str]:
    if not len(features.beat_times):
        return []
    lines = []
    for i, lead in enumerate(features.leads):
        parts = [f"{features.qrs_patterns.get(lead) or '-'}"]
        for name, short in _SHORT.items():
            values, digits = features.sequences[name][i], SEQUENCES[name]
            if digits is None:
                words = [value for value in values if value is not None]
                parts.append(f"{short} {max(dict.fromkeys(words), key=words.count) if words else '-'}")
            else:
                finite = values[np.isfinite(values)]
                parts.append(f"{short} {_number(float(np.median(finite)) if len(finite) else None, min(digits, 2))}")
        lines.append(f"{lead}: {', '.join(parts)}")
    return lines


def _beat_lines(features: "EcgFeatures") -> list[str]:
    """Every sequence of every lead, a line per lead; what is equal in all leads (RR, heart rate) is not repeated."""
    if not len(features.beat_times):
        return []
    lines = []
    for i, lead in enumerate(features.leads):
        parts = []
        for name, short in _SHORT.items():
            values, digits = features.sequences[name][i], SEQUENCES[name]
            if digits is None:
                cells = [value or "-" for value in values]
            else:
                cells = [_number(value, min(digits, 2)) for value in values]
            parts.append(f"{short} {' '.join(cells) if digits is not None else ' / '.join(cells)}")
        lines.append(f"{lead} by beat: {'; '.join(parts)}")
    return lines


__all__ = ["CHARACTERS_PER_TOKEN", "features_to_text", "misplaced", "record_lines", "to_be_known", "unusual"]
