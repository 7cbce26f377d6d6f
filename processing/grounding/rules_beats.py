# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on claims about beats: premature beats, pauses, and what is said of a beat that is named by its number or time."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from processing.claims.claims import Claim
from processing.claims.findings_rhythm import PREMATURE
from processing.ecg_features import EcgFeatures
from processing.ecg_limits import BIGEMINY_SHARE
from processing.ecg_rules import is_irregular, pause_rows, premature_beat_rows

from .rules_rhythm import signed
from .verdicts import SUPPORTED, Judgement, Tolerances, compare, decided, is_number, unmeasurable

NEAR_SHARE_PERCENT = 15.0  # of a stated share of premature beats: one or two in ten seconds
# How far apart most premature beats are, in beats.
GROUP_GAPS, GROUP_SHARE = {"trigeminy": 3, "quadrigeminy": 4}, 2 / 3
_BEHIND = re.compile(r"^beats?\b.*\bfollowed\s+by\b|\b(?:after|follow(?:s|ing)|behind)\b", re.IGNORECASE)
_FOLLOWS = re.compile(r"\b(?:follow(?:s|ing)?|after)\s+(?:the\s+)?(?:beats?|complex(?:es)?)\b", re.IGNORECASE)
_BEFORE = re.compile(
    r"\b(?:before|preced(?:es|ing)|prior\s+to|followed\s+by)\b|^beats?\b.*\bpreceded\s+by\b", re.IGNORECASE
)


def beat(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A beat is mentioned; `missing_beats` has refused one that the ECG does not have. What else is said of it is not judged."""
    explanation = f"the ECG has {len(features.beat_times)} beats"
    if claim.value is None:
        return unmeasurable(f"{explanation}; what is said of this one is not judged")
    return Judgement(SUPPORTED, len(features.beat_times), explanation)


def at_premature_beats(claim: Claim, features: EcgFeatures) -> Claim:
    """A claim about the waves of premature beats as one about these beats, by their numbers; any other as it is."""
    if claim.detail not in PREMATURE or claim.beats:
        return claim
    return replace(claim, beats=tuple((_premature_rows(features)[claim.detail] + 1).tolist()) or None)


def _premature_rows(features: EcgFeatures) -> dict[str, np.ndarray]:
    """The rows of premature beats by the kind of claim about them: with a wide QRS, with the usual one, of both."""
    rows, is_wide = premature_beat_rows(features)
    return {"ventricular_ectopy": rows[is_wide], "atrial_ectopy": rows[~is_wide], "ectopy": rows}


def not_of_premature_beats(claim: Claim) -> Judgement | None:
    """The judgement about a wave of premature beats that there are none of, or that is measured in no single beat."""
    if claim.detail not in PREMATURE:
        return None
    if not claim.beats:
        return unmeasurable("no such premature beats are found")
    return unmeasurable("T waves of single beats are not judged") if claim.kind == "t_inversion" else None


def beats_named(claim: Claim, features: EcgFeatures, tol: Tolerances) -> tuple[int, ...] | None:
    """The numbers of the beats that a claim names or whose time it states; `None` where it does neither.

    A time belongs to the beats that are near it or whose QRS it lies in; there may be none.
    """
    if claim.beats:
        return claim.beats
    if claim.time_s is None:
        return None
    qrs = features.beat_waves["QRS"]
    near = np.abs(features.beat_times - claim.time_s) <= tol.time_s
    near |= (qrs[:, 0] - 0.05 <= claim.time_s) & (claim.time_s <= qrs[:, 2] + 0.05)
    return tuple(int(row) + 1 for row in np.flatnonzero(near))


def all_of(numbers: Iterable[int], shows: Callable[[int], bool | None], denied: bool = False) -> bool | None:
    """Whether every one of the beats shows it, for a denial whether any of them does; `None` where that is not known."""
    found = [shows(number) for number in numbers]
    if denied:
        return True if True in found else None if None in found else False
    return False if False in found else None if None in found else bool(found)


def ectopy(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Premature beats and bigeminy, by timing and width of the QRS; of named beats those are judged."""
    if not features.p_present and is_irregular(features):
        return unmeasurable("every interval differs: premature beats cannot be told")
    rows = _premature_rows(features)
    wide, narrow = len(rows["ventricular_ectopy"]), len(rows["atrial_ectopy"])
    explanation = f"{wide} premature beats with a wide QRS, {narrow} with the usual one"
    numbers = beats_named(claim, features, tol)
    if claim.beats and numbers is not None and _FOLLOWS.search(claim.quote):
        numbers = tuple(number + 1 for number in numbers if number < len(features.beat_times))
    if numbers is not None and claim.kind != "bigeminy":
        return _premature(claim, features, numbers)
    chamber = claim.kind if claim.kind != "bigeminy" else f"{claim.detail}_ectopy"
    asked = rows.get(chamber, rows["ectopy"])
    if claim.kind == "bigeminy":
        holds: bool | None = len(asked) >= BIGEMINY_SHARE * len(features.beat_times) > 0
    else:
        holds = _grouped(claim, asked, len(features.beat_times))
    return signed(claim, holds, [wide, narrow], explanation)


def _grouped(claim: Claim, rows: np.ndarray, beats: int) -> bool | None:
    """Whether there are premature beats, in the number, share or groups that the claim states; `rows` are theirs, among `beats`."""
    count, detail = len(rows), claim.detail
    if not count or detail is None:
        return count > 0
    if detail.isdecimal():
        # "Not a single one" denies them all; one at the end of the record may be missed.
        return True if claim.polarity == "negated" else counted(count, int(detail))
    if detail in ("odd", "even"):
        return count > 1 and bool(((rows + 1) % 2 == (detail == "odd")).all())
    if detail.endswith("%"):
        return abs(100 * count / beats - float(detail[:-1])) <= NEAR_SHARE_PERCENT
    if detail == "bigeminy":
        return count >= BIGEMINY_SHARE * beats
    gaps = np.diff(rows)
    if detail == "couplet":
        return bool((gaps == 1).any())
    if detail == "run":
        return bool(((gaps[1:] == 1) & (gaps[:-1] == 1)).any())
    if detail in GROUP_GAPS:
        share = float((gaps == GROUP_GAPS[detail]).mean()) if len(gaps) else 0.0
        return True if len(gaps) > 1 and share >= GROUP_SHARE else None if share else False
    if detail in ("narrow", "wide") and claim.kind != "ectopy":
        return (detail == "wide") == (claim.kind == "ventricular_ectopy")
    return None  # shapes are not compared


def counted(found: int, stated: int) -> bool | None:
    """Whether so many were found as are stated; `None` where it is one more or less, as one at the end of the record may be missed."""
    return True if found == stated else None if abs(found - stated) == 1 else False


def _premature(claim: Claim, features: EcgFeatures, numbers: tuple[int, ...]) -> Judgement:
    """Whether the named beats are premature, with a QRS as the kind of claim asks for."""
    numbers_of = {kind: {int(row) + 1 for row in rows} for kind, rows in _premature_rows(features).items()}
    wide, narrow, asked = (numbers_of[kind] for kind in ("ventricular_ectopy", "atrial_ectopy", claim.kind))
    rr = features.rr_intervals
    widths = features.beat_waves["QRS"][:, 2] - features.beat_waves["QRS"][:, 0]
    usual = np.nanmedian(widths)

    def shows(number: int) -> bool | None:
        if number in asked:
            return True
        if number in wide | narrow:
            return False
        before_unseen = number == 1 or not np.isfinite(rr[number - 2])
        if claim.kind == "ventricular_ectopy" and widths[number - 1] <= usual:
            return False  # as narrow as the others, whenever it comes
        return None if before_unseen else False

    denied = claim.polarity == "negated"
    if denied and len(numbers) > 1:
        numbers = tuple(number for number in numbers if number != 1)  # "no premature beats in beats 1-12"
    holds = all_of(numbers, shows, denied)
    listed = ", ".join(map(str, sorted(wide))) or "none", ", ".join(map(str, sorted(narrow))) or "none"
    return signed(
        claim,
        holds,
        [sorted(wide), sorted(narrow)],
        f"premature beats with a wide QRS: {listed[0]}; with the usual one: {listed[1]}",
    )


def pause(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A pause, by the longest RR interval, or by those at the beats or the time that are named."""
    rr = features.rr_intervals / 1000
    if np.isfinite(rr).sum() < 2:
        return unmeasurable("too few beats")
    longest = float(np.nanmax(rr))
    explanation = f"longest RR {longest:.2f} s"
    if is_number(claim):
        return _pause_of(claim, features, tol)
    if claim.beats or claim.time_s is not None:
        pauses = {int(row) + 1 for row in pause_rows(features)}
        after = ", ".join(map(str, sorted(pauses)))
        explanation += f", pauses after beat {after}" if after else ", no pause"
        return signed(claim, _pause_there(claim, features, pauses, tol), sorted(pauses), explanation)
    count, stated = len(pause_rows(features)), claim.detail
    holds = counted(count, int(stated)) if stated and count and claim.polarity != "negated" else count > 0
    return signed(claim, holds, round(longest, 2), explanation)


def _pause_of(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """A pause whose length is stated: the longest or shortest one, or the one that is nearest to the stated length."""
    rr = features.rr_intervals
    rows = pause_rows(features)
    if claim.beats or claim.time_s is not None:
        rows = np.array([row for row in rows if _pause_there(claim, features, {int(row) + 1}, tol)], dtype=int)
    if not len(rows) and claim.polarity != "negated":
        return decided(False, None, f"longest RR {np.nanmax(rr) / 1000:.2f} s, no pause there")
    lengths = rr[rows] if len(rows) else np.array([np.nanmax(rr)])
    denied = claim.polarity == "negated"
    if claim.comparator in ("shortest", "<", "not_less") and not denied:
        length = float(lengths.min())
    elif claim.comparator in ("longest", "max", ">", "not_more", "<") or claim.high is not None:
        length = float(lengths.max())
    else:
        length = float(lengths[np.abs(lengths - claim.value).argmin()])
    return compare(claim, length, tol.irregular_share * length, tol, "pause")


def _pause_there(claim: Claim, features: EcgFeatures, pauses: set[int], tol: Tolerances) -> bool | None:
    """Whether one of `pauses`, numbers of the beats before them, lies at the claim's beats or time."""
    rr, times = features.rr_intervals, features.beat_times

    def after(number: int) -> bool | None:
        if number in pauses:
            return True
        unseen = not 1 <= number <= len(rr) or not np.isfinite(rr[number - 1])
        return None if unseen else False

    if not claim.beats:
        moment = float(claim.time_s or 0)
        return any(times[number - 1] - tol.time_s <= moment <= times[number] + tol.time_s for number in pauses)
    numbers = claim.beats
    if len(numbers) == 2 and numbers[1] == numbers[0] + 1 and not _BEHIND.search(claim.quote):
        return after(numbers[0])  # "between beats 6 and 7"
    denied = claim.polarity == "negated"
    if _BEHIND.search(claim.quote):
        return all_of(numbers, after, denied)
    if _BEFORE.search(claim.quote):
        return all_of(numbers, lambda number: after(number - 1), denied)
    return all_of(numbers, lambda number: True in (after(number - 1), after(number)), denied)


__all__ = [
    "all_of",
    "at_premature_beats",
    "beat",
    "beats_named",
    "counted",
    "ectopy",
    "not_of_premature_beats",
    "pause",
]
