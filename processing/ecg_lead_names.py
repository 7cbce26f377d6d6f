# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Names of leads: the standard twelve in every spelling, channels that are numbered only, and channels that are not ECG."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

LIMB_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST_LEADS = ("V1", "V2", "V3", "V4", "V5", "V6")
STANDARD_LEADS = LIMB_LEADS + CHEST_LEADS
# Einthoven's law and Goldberger's definitions: each limb lead as (weight of I, weight of II). Any two give the others.
LIMB_LEADS_FROM_I_II = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}

_ALIASES = {lead.upper(): lead for lead in STANDARD_LEADS} | {
    "DI": "I",
    "DII": "II",
    "DIII": "III",
    "D1": "I",
    "D2": "II",
    "D3": "III",
    "L1": "I",
    "L2": "II",
    "L3": "III",
    "LI": "I",
    "LII": "II",
    "LIII": "III",
}
# What may be a lead or only count channels or electrodes: limb leads as 1, 2, 3; IEC's chest leads, which EEG has too.
_NUMBER_ALIASES = {"1": "I", "2": "II", "3": "III"} | {f"C{index}": f"V{index}" for index in range(1, 7)}
# So many of the twelve must be in a set of channels for number names to mean leads in it.
_LEADS_OF_A_SET = 8
# The rows that a set without names can only be: the standard twelve, or the eight independent leads.
UNNAMED_LEADS = {12: STANDARD_LEADS, 8: ("I", "II", *CHEST_LEADS)}
_LEAD_PREFIX = re.compile(
    r"^(MDC[_ ]?ECG[_ ]?LEAD|MDC[_ ]?ECG[_ ]?ELEC[_ ]?POTL|E[CK]G[_ ]?LEAD|LEAD|E[CK]G|EINTHOVEN)[_ ]?",
    re.IGNORECASE,
)
# What DICOM's code meanings add to a lead's name: "Lead I (Einthoven)", "aVR, augmented voltage, right" (CID 3001).
_LEAD_SUFFIX = re.compile(r"(\(\s*einthoven\s*\)|,?\s*augmented voltage.*)$", re.IGNORECASE)
# Lead numbers of EN 1064 (SCP-ECG) 5.6.3, reused by ISO 11073-10102 (MDC) and DICOM CID 3001 for the standard twelve.
SCP_LEAD_NUMBERS = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"} | {
    index + 2: f"V{index}" for index in range(1, 7)
}
_LEAD_CODE = re.compile(r"^(?:5\.6\.3-9-|2::?|MDC:)(\d+)$")
# 32-bit MDC codes: partition 2 (2 * 65536) with the lead's number, or 256 + it for the electrode potential itself.
_MDC_BASES = (131_072, 131_328)


@lru_cache(maxsize=4096)
def canonical_lead(name: str) -> str:
    """The field's name of a lead: `"avf"`, `"MDC_ECG_LEAD_AVF"`, `"Lead aVF"` -> `"aVF"`; `"DII"` -> `"II"`.

    Codes are names too: `"2:64"`, `"131136"` (MDC) and `"5.6.3-9-64"` (SCP-ECG in DICOM) are aVF. Names that are not
    one of the standard twelve (`"V7"`, `"X"`, `"MLII"`, Cabrera's `"-aVR"`) come back stripped, otherwise unchanged.

    This is what a person means who asks for one lead: `"C3"` is V3. In a file it may be an electrode of an EEG, which
    only the whole set of channels tells: see `leads_of_channels`.
    """
    return _firm_lead(name) or _NUMBER_ALIASES.get(str(name).strip().upper()) or str(name).strip().rstrip("+")


@lru_cache(maxsize=4096)
def _firm_lead(name: str) -> str | None:
    """The lead that `name` can only mean; `None` for number names and for what is none of the twelve."""
    stripped = str(name).strip().rstrip("+")
    if stripped.startswith("-"):
        return None
    code = _lead_of_code(stripped)
    if code is not None:
        return code
    without_prefix = _LEAD_PREFIX.sub("", _LEAD_SUFFIX.sub("", stripped))
    bare = re.sub(r"[\s_\-()]", "", without_prefix).upper()
    # "ECG C3" is a chest lead; "ECG1" is the first channel.
    chest = _NUMBER_ALIASES.get(bare) if without_prefix != stripped and not bare.isdecimal() else None
    return _ALIASES.get(bare) or chest


def _lead_of_code(text: str) -> str | None:
    match = _LEAD_CODE.match(text)
    if match:
        return SCP_LEAD_NUMBERS.get(int(match[1]))
    if text.isdecimal() and len(text) == 6:
        numbers = (int(text) - base for base in _MDC_BASES)
        return next((SCP_LEAD_NUMBERS[number] for number in numbers if number in SCP_LEAD_NUMBERS), None)
    return None


# Channels of a file ---------------------------------------------------------------------------------------------------

# "1", "ECG1", "ch 2", "signal_0", "Lead 3": a count, with or without what is counted.
_COUNTED = re.compile(r"(?P<what>[^\W\d_]*)[\s_.:#-]{0,3}(?P<number>\d{1,3})")
_COUNTED_CHANNELS = frozenset(
    [
        "",
        "ch",
        "chan",
        "channel",
        "kanal",
        "canal",
        "canale",
        "kanaal",
        "voie",
        "sig",
        "signal",
        "sensor",
        "lead",
        "ecg",
        "ekg",
        "col",
        "column",
        "var",
        "value",
        "data",
        "x",
        "s",
        "in",
        "input",
        "analog",
        "ai",
        "adc",
        "field",
        "unnamed",
        "derivation",
        "ableitung",
        "derivacion",
        "derivacao",
    ]
)
# Of these the name says that the channel is an ECG, only not which lead.
_COUNTED_ECGS = frozenset({"lead", "ecg", "ekg", "derivation", "ableitung", "derivacion", "derivacao"})

# Words in names of channels that are not ECG: bedside monitors (MIMIC), sleep laboratories, wearables, data tables.
_OTHER_WORDS = frozenset(
    [
        "pleth",
        "plet",
        "plethysmogram",
        "ppg",
        "resp",
        "respiration",
        "respiratory",
        "abp",
        "art",
        "aobp",
        "ao",
        "bp",
        "nbp",
        "nibp",
        "pap",
        "cvp",
        "icp",
        "uap",
        "lap",
        "rap",
        "cpp",
        "co2",
        "etco2",
        "fco2",
        "spo2",
        "sao2",
        "sat",
        "oximetry",
        "o2",
        "n2o",
        "awf",
        "awp",
        "paw",
        "flow",
        "airflow",
        "tidal",
        "eeg",
        "eog",
        "emg",
        "loc",
        "roc",
        "chin",
        "leg",
        "legs",
        "snore",
        "snoring",
        "mic",
        "thor",
        "thorax",
        "thoracic",
        "abd",
        "abdo",
        "abdomen",
        "abdominal",
        "effort",
        "belt",
        "nasal",
        "cannula",
        "pressure",
        "press",
        "therm",
        "temp",
        "temperature",
        "gsr",
        "eda",
        "scr",
        "scl",
        "acc",
        "accel",
        "accelerometer",
        "accelerometry",
        "acceleration",
        "gyro",
        "gyroscope",
        "magnetometer",
        "position",
        "body",
        "light",
        "lux",
        "pulse",
        "puls",
        "scg",
        "bcg",
        "pcg",
        "phonocardiogram",
        "sound",
        "icg",
        "dc",
        "battery",
        "batt",
        "button",
        "packet",
        "nseq",
        "time",
        "timestamp",
        "sample",
        "samples",
        "index",
    ]
)
# These are not ECG even beside the word ECG: "ECG annotations", "ECG HR".
_NEVER_AN_ECG = frozenset(
    [
        "event",
        "events",
        "marker",
        "markers",
        "mark",
        "annotation",
        "annotations",
        "annot",
        "status",
        "trigger",
        "trig",
        "stim",
        "label",
        "labels",
        "target",
        "class",
        "counter",
        "count",
        "hr",
        "heartrate",
        "rr",
        "ibi",
        "quality",
        "sqi",
        "sync",
    ]
)
_SITE = r"(?:fp|af|fc|ft|cp|tp|po|[fctpoam])(?:\d{1,2}|p?z)"
# An electrode of the 10-20 system and its extensions, alone or against another; C1 to C6 alone may be chest leads.
_EEG = re.compile(
    rf"(?:eeg[\s_-]?)?(?!c[1-6]$){_SITE}(?:[\s_:/-]?(?:{_SITE}|ref|le|ar|avg|a1a2|m1m2))?", re.IGNORECASE
)


# Between the words of "ABPMean" and of "accX".
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=4096)
def is_other_channel(name: str) -> bool:
    """Whether a channel is not an ECG by its name: `"PLETH"`, `"RESP"`, `"EEG Fpz-Cz"`, `"C3-A2"`, `"ACC x"`, `"Marker"`."""
    if _firm_lead(name):
        return False
    parts = re.findall(r"[^\W_]+", f"{name} {_CAMEL.sub(' ', name)}".casefold())
    words = {*parts, *(part.strip("0123456789") for part in parts)}
    if words & _NEVER_AN_ECG:
        return True
    return not words & {"ecg", "ekg"} and bool(words & _OTHER_WORDS or _EEG.fullmatch(name.strip()))


def doubled_names(names: Sequence[str]) -> list[str]:
    """Those of `names` that occur more than once, sorted."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def is_number_name(name: str) -> bool:
    """Whether a name only counts (`"1"`, `"ECG1"`, `"ch 2"`) or may do so (`"C3"`): a lead only where the set is one."""
    match = _COUNTED.fullmatch(name.strip())
    counts = match is not None and match["what"].casefold() in _COUNTED_CHANNELS
    return _firm_lead(name) is None and (counts or name.strip().upper() in _NUMBER_ALIASES)


@lru_cache(maxsize=1024)
def leads_of_channels(names: tuple[str, ...]) -> tuple[str | None, ...]:
    """The lead of each channel of a file; `None` where the name is a number and the set as a whole is no set of leads.

    `"1"`, `"2"`, `"3"` are I, II, III and `"C1"` to `"C6"` are V1 to V6 where limb leads are named and at least 8 of the
    twelve are there; twelve or eight channels that are only counted are taken as those of an array without names.
    A channel that is an ECG of an unknown lead (`"ECG1"`, `"MLII"`) keeps its name.

    Examples:
        >>> leads_of_channels(("ECG1", "ECG2")), leads_of_channels(("EKG", "C3", "C4"))
        (('ECG1', 'ECG2'), ('EKG', None, None))
    """
    counted = _counted_in_order(names)
    if counted:
        return counted
    firm = [_firm_lead(name) for name in names]
    meant = [lead or _number_alias(name) for lead, name in zip(firm, names, strict=True)]
    standard = [lead for lead in meant if lead]
    whole = len(set(standard)) == len(standard) >= _LEADS_OF_A_SET and set(standard) & set(LIMB_LEADS)
    if whole and not any(_EEG.fullmatch(name.strip()) for name in names):
        firm = meant
    return tuple(lead or _kept_name(name) for lead, name in zip(firm, names, strict=True))


def _counted_in_order(names: Sequence[str]) -> tuple[str, ...] | None:
    """The leads of twelve or eight channels that are called 0, 1, 2 ... or 1, 2, 3 ..."""
    matches = [_COUNTED.fullmatch(name.strip()) for name in names]
    found = [match for match in matches if match is not None]
    if len(found) < len(names) or len(names) not in UNNAMED_LEADS:
        return None
    first = int(found[0]["number"])
    in_order = [int(match["number"]) for match in found] == list(range(first, first + len(names)))
    whats = {match["what"].casefold() for match in found}
    return UNNAMED_LEADS[len(names)] if in_order and first in (0, 1) and whats <= _COUNTED_CHANNELS else None


def _number_alias(name: str) -> str | None:
    match = _COUNTED.fullmatch(name.strip())
    what, text = (match["what"].casefold(), match["number"]) if match else ("", "")
    return _NUMBER_ALIASES.get(text if what in _COUNTED_CHANNELS else name.strip().upper())


def _kept_name(name: str) -> str | None:
    """The name of a channel that is none of the twelve; `None` if it says nothing but a number."""
    match = _COUNTED.fullmatch(name.strip())
    says_ecg = match is not None and match["what"].casefold() in _COUNTED_ECGS
    return None if is_number_name(name) and not says_ecg else canonical_lead(name)


__all__ = [
    "CHEST_LEADS",
    "LIMB_LEADS",
    "LIMB_LEADS_FROM_I_II",
    "STANDARD_LEADS",
    "UNNAMED_LEADS",
    "canonical_lead",
    "doubled_names",
    "is_number_name",
    "is_other_channel",
    "leads_of_channels",
]
