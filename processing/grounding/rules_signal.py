# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The quality of the signal that a claim states, against the verdicts of `processing.ecg_quality` on every lead.

PTB-XL's readers call leads noisy or drifting far below the limits from which a lead is poor: of 984 leads with static noise 981 are good
by them, of 394 with drift 363 (`folds-1-9-00` and `-01`). So a lead above a limit has what is claimed, and one below it is not known to
be free of it. Neither noise nor its absence is affirmed of a good lead, only its quality as a whole. What disturbs a lead (mains,
muscle, an electrode) is not measured at all.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from processing.claims.claims import Claim
from processing.ecg_features import EcgFeatures
from processing.ecg_quality import FAULTS, lead_faults
from processing.ecg_reliability import ALL_LEADS, NO_BEATS, NOT_SHOWN, UNSTEADY

from .rules_record import absent_leads, unreadable_leads
from .verdicts import Judgement, Tolerances, decided, too_near, unmeasurable

WITHOUT_SIGNAL = ("missing", "flat")  # verdicts of `lead_quality`
# `silent_leads` finds leads that hold noise only. Where few leads or beats leave it without a verdict, the size of the QRS has to tell: in
# noise it is 2.6 to 3.5 times `noise_mv`, in LUDB 22 times at least.
OVER_NOISE = 10.0
# What is claimed -> the faults that show it, or that show the opposite of `clean` and `steady`.
_ONE_FAULT = {fault: frozenset({fault}) for fault in ("noise", "wander", "saturated")}
_SHOWN_BY = (
    _ONE_FAULT | {"steady": frozenset({"wander"})} | dict.fromkeys(("artefact", "clean"), frozenset(_ONE_FAULT))
)
_DISTURBED = (*_ONE_FAULT, "artefact")
_OF_A_WHOLE = ("good", "poor", "clean", "steady", "no signal")  # said of the record, it is said of most or all leads
_NEEDED_EVERYWHERE = ("good", "clean", "steady", "no signal")
_UNITS = {"noise_mv": "noise {:.3f} mV", "wander_mv": "wander {:.2f} mV", "peak_to_peak_mv": "height {:.1f} mV"}
_OF_A_GOOD_LEAD = ("noise_mv", "wander_mv")
_MOST_LISTED = 3  # good leads


def signal_quality(claim: Claim, features: EcgFeatures, tol: Tolerances) -> Judgement:
    """Good or poor quality, no signal, noise, wander and other disturbances of leads or of the recording.

    Of named leads all must show it. Of the limb or chest leads two must show a disturbance, and all a good or lacking signal. The
    recording as a whole has a disturbance that one lead has, and is good or poor if most leads are. A denial of a disturbance
    holds if no lead has it.
    """
    if not features.quality:
        return unmeasurable("the quality of the leads was not measured")
    if claim.beats or claim.time_s is not None:
        return unmeasurable("the quality of single beats is not measured")
    lacking = claim.value == "no signal"
    if not lacking and (judgement := absent_leads(claim, features)) is not None:
        return judgement
    leads = [lead for lead in claim.leads or features.leads if lead in features.quality]
    shown = {lead: _shows(str(claim.value), lead, features, tol) for lead in leads}
    if lacking and claim.territory is None:
        shown |= {lead: True for lead in claim.leads if lead not in features.leads}
    if not shown:
        return unmeasurable("the quality of these leads was not measured")
    dead = any(_is_dead(lead, features) or _is_silent(lead, features) for lead in leads)
    holds = _holds(claim, list(shown.values()), dead)
    told = _told(shown, None if holds is None else holds != (claim.polarity == "negated"), features)
    measured = {lead: _verdict(lead, features) for lead in shown}
    if holds is not None:
        judgement = decided(holds, measured, f"signal quality: {told}")
    elif any(_is_near(lead, features, tol) for lead in shown):
        judgement = too_near(measured, f"signal quality: {told}")
    else:
        judgement = unmeasurable(f"{told}, which does not decide it", measured)
    judgement.by_lead = shown if claim.leads else {}
    return judgement


# One lead -------------------------------------------------------------------------------------------------------------


def _shows(value: str, lead: str, features: EcgFeatures, tol: Tolerances) -> bool | None:
    """Whether a lead certainly is as stated, certainly is not, or neither."""
    dead, silent = _is_dead(lead, features), _is_silent(lead, features)
    if value == "no signal":
        return True if dead or silent else False if _has_a_signal(lead, features) else None
    if value in ("good", "poor"):
        poor = dead or _is_poor(lead, features, tol)
        return None if poor is None else poor == (value == "poor")
    if value == "unreadable":
        if dead or lead in unreadable_leads(features):
            return True
        return False if _is_poor(lead, features, tol) is False else None
    if value in _SHOWN_BY:
        if dead:
            return False if value in (*_ONE_FAULT, "clean") else None
        if silent and value == "clean":
            return False
        return value in _DISTURBED if _SHOWN_BY[value].intersection(_faults(lead, features)) else None
    return None  # what disturbs a lead is not measured


def _is_dead(lead: str, features: EcgFeatures) -> bool:
    """Whether a lead is missing or flat."""
    return features.quality[lead]["verdict"] in WITHOUT_SIGNAL


def _is_silent(lead: str, features: EcgFeatures) -> bool:
    """Whether a lead shows none of the beats that the others show, for most of its time: it holds noise."""
    return NO_BEATS in _left_out(lead, features) and lead in unreadable_leads(features)


def _is_poor(lead: str, features: EcgFeatures, tol: Tolerances) -> bool | None:
    """Whether a lead with a signal certainly is poor; `None` near a limit, or where only its beats differ, as in fibrillation."""
    if features.quality[lead]["verdict"] == "poor":
        return True if _faults(lead, features) or set(_left_out(lead, features)) - {UNSTEADY} else None
    return None if _is_near(lead, features, tol) else False


def _is_near(lead: str, features: EcgFeatures, tol: Tolerances) -> bool:
    """Whether a good lead comes near a limit, or is left out for a part of the time."""
    if features.quality[lead]["verdict"] != "good":
        return False
    return bool(_left_out(lead, features) or _faults(lead, features, tol.limit_quality_share))


def _left_out(lead: str, features: EcgFeatures) -> tuple[str, ...]:
    """Why parts of a lead were not measured, of what a page shows."""
    reasons = (reason for name, *_, reason in features.left_out if name in (lead, ALL_LEADS) and reason != NOT_SHOWN)
    return tuple(dict.fromkeys(reasons))


def _faults(lead: str, features: EcgFeatures, share: float = 1.0) -> tuple[str, ...]:
    """The faults of a lead, without that it is missing where a page does not show it."""
    hidden = any(name == lead and reason == NOT_SHOWN for name, *_, reason in features.left_out)
    return tuple(fault for fault in lead_faults(features.quality[lead], share) if not (hidden and fault == "missing"))


def _has_a_signal(lead: str, features: EcgFeatures) -> bool:
    """Whether a lead certainly holds beats: its QRS stands out from its noise, and nothing of it is missing or flat.

    Where a doubt withholds all amplitudes, as a flat limb lead does, its height has to stand out from noise and wander.
    """
    if not len(features.beat_times) or {"missing", "flat"}.intersection(_faults(lead, features)):
        return False
    if NO_BEATS in _left_out(lead, features):
        return False
    found = features.quality[lead]
    if math.isfinite(qrs := features.lead_value("qrs_amplitude", lead)):
        return qrs > OVER_NOISE * found["noise_mv"]
    in_doubt = bool(features.plausibility.doubts)
    return in_doubt and found["peak_to_peak_mv"] > OVER_NOISE * (found["noise_mv"] + found["wander_mv"])


def _verdict(lead: str, features: EcgFeatures) -> str:
    return str(features.quality[lead]["verdict"]) if lead in features.quality else "not in this ECG"


# Several leads --------------------------------------------------------------------------------------------------------


def _holds(claim: Claim, shown: list[bool | None], any_dead: bool) -> bool | None:
    """Whether a claim holds for leads that show what it states, do not, or are not decided."""
    denied = claim.polarity == "negated"
    whole = claim.value in _OF_A_WHOLE and not (denied and claim.value == "no signal")
    if denied and not (whole and (not claim.leads or claim.territory is not None)):
        return False if True in shown else True if set(shown) == {False} else None
    affirmed = _in_leads(claim, shown) if claim.leads else _in_the_record(claim, shown, any_dead)
    return affirmed if affirmed is None or not denied else not affirmed


def _in_leads(claim: Claim, shown: list[bool | None]) -> bool | None:
    yes, no = shown.count(True), shown.count(False)
    if yes == len(shown) or no == len(shown):
        return no == 0
    if claim.territory is None or claim.value in _NEEDED_EVERYWHERE:
        return False if no else None
    if claim.territory in ("all", "most"):
        return False if 2 * no > len(shown) else None
    return True if yes > 1 else None


def _in_the_record(claim: Claim, shown: list[bool | None], any_dead: bool) -> bool | None:
    yes, no = shown.count(True), shown.count(False)
    if claim.value not in _OF_A_WHOLE:
        return True if yes else False if no == len(shown) else None
    if yes == len(shown) or no == len(shown):
        return no == 0
    if claim.value == "poor":
        return True if 2 * yes > len(shown) else None
    if claim.value == "good":
        return False if any_dead or 2 * no > len(shown) else None
    return False if no and claim.value != "no signal" else None


# In words -------------------------------------------------------------------------------------------------------------


def _told(shown: Mapping[str, bool | None], which: bool | None, features: EcgFeatures) -> str:
    """What is measured of the leads that show what is stated (`which`), do not, or of all; many good ones are summed up."""
    listed = [lead for lead, is_shown in shown.items() if which in (is_shown, None)] or list(shown)
    good = [lead for lead in listed if _verdict(lead, features) == "good"]
    others = [_measured(lead, features) for lead in listed if lead not in good]
    if len(good) <= _MOST_LISTED:
        return ", ".join([*others, *(_measured(lead, features) for lead in good)])
    largest = {name: max(features.quality[lead][name] for lead in good) for name in _OF_A_GOOD_LEAD}
    return ", ".join([*others, f"{len(good)} leads good ({_values(_OF_A_GOOD_LEAD, largest)} at most)"])


def _measured(lead: str, features: EcgFeatures) -> str:
    verdict = _verdict(lead, features)
    if verdict in WITHOUT_SIGNAL or lead not in features.quality:
        return f"{lead} {verdict}"
    measured = features.quality[lead]
    faults = _faults(lead, features)
    if verdict == "poor" and not faults and (reasons := _left_out(lead, features)):
        return f"{lead} {verdict} ({', '.join(reasons)})"
    names = [FAULTS[fault][0] for fault in faults] or _OF_A_GOOD_LEAD
    return f"{lead} {verdict} ({_values(names, measured)})"


def _values(names: Iterable[str], measured: Mapping[str, Any]) -> str:
    return ", ".join(
        _UNITS[name].format(measured[name])
        if name in _UNITS
        else f"{name.removesuffix('_share')} for {measured[name]:.1%} of the time"
        for name in names
    )


__all__ = ["signal_quality"]
