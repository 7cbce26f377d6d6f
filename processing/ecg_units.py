# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Units of voltage in every spelling, and the unit in a column's head."""

_MV_PER_WORD = {
    1e3: ("v", "volt", "volts"),
    1.0: ("mv", "мв", "milliv", "millivolt", "millivolts"),
    1e-3: ("uv", "мкв", "mcv", "microv", "microvolt", "microvolts", "mikrov", "mikrovolt"),
    1e-6: ("nv", "nanov", "nanovolt", "nanovolts"),
}
_MV_PER_UNIT = {word: factor for factor, words in _MV_PER_WORD.items() for word in words}
# The micro sign (U+00B5), the Greek letter (U+03BC), and both in UTF-8 that was read as Latin-1 or Mac Roman.
_MICRO_SIGNS = ("Âµ", "Î¼", "¬µ", "µ", "μ")
# Units in heads of columns that are no voltage; other words in brackets belong to the name: "ECG (filtered)".
_OTHER_UNITS = frozenset((
    "s", "sec", "seconds", "ms", "msec", "us", "µs", "ns", "min", "hz", "bpm", "1/min", "%", "°c", "degc", "c",
    "g", "mg", "gal", "m/s²", "m/s^2", "m/s2", "°/s", "dps", "mmhg", "cmh2o", "kpa", "ohm", "ω", "kohm",
    "l/min", "ml", "lux", "adu", "counts", "count", "lsb", "bit", "bits", "raw", "adc", "a.u.", "au", "arb.",
    "n/a", "nu",
))  # fmt: skip
_MAX_HEAD = 200


def mv_per_unit(unit: str) -> float | None:
    """How many mV one `unit` is: `"uV"`, `"µV"`, `"Microvolts"` -> 0.001; `None` for what is not a voltage.

    A micro sign that was lost on the way (`"?V"`, `"�V"`) is not a unit, because it is ambiguous.
    """
    word = unit.strip()
    for sign in _MICRO_SIGNS:
        word = word.replace(sign, "u")
    return _MV_PER_UNIT.get(word.lower().replace("_", "").replace(" ", ""))


def name_and_unit(head: str) -> tuple[str, str | None]:
    """A column's head in its name and its unit: `"II [mV]"`, `"V1 (uV)"`, `"aVF_mV"`, `"I/mV"`, `"ECG, µV"`.

    A `V` after a blank is the monitor's chest lead ("ECG V"), not the unit; in brackets or after a slash it is volts.
    Units that are not voltages ("ECG (bpm)") are returned too; a word in brackets that is not a unit stays in the name.
    """
    head = head.strip()
    if not head or len(head) > _MAX_HEAD:
        return head, None
    if head[-1] in ")]}":
        start = max(head.rfind(bracket) for bracket in "([{")
        name, unit = head[: max(start, 0)].rstrip(" _-:,"), head[start + 1 : -1].strip()
        known = mv_per_unit(unit) is not None or unit.lower() in _OTHER_UNITS or unit.endswith(("V", "v"))
        return (name, unit) if start > 0 and name and known else (head, None)
    place = max(head.rfind(mark) for mark in "/ _,:")
    name, unit = head[: max(place, 0)].rstrip(" _-/:,"), head[place + 1 :]
    if not name or mv_per_unit(unit) is None or (unit.upper() == "V" and head[place] != "/"):
        return head, None
    return name, unit


__all__ = ["mv_per_unit", "name_and_unit"]
