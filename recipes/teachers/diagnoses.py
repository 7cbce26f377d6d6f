# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Which diagnoses a text asserts: a reading in English, or a report in English, German or Swedish (PTB-XL's)."""

import re

# Diagnosis -> pattern. Findings that the measurements decide (axis, rate, single waves) are none: features judge them.
_PATTERNS = {
    "sinus rhythm": r"sinus\s*-?\s*(rhythm|rythm|rhytmus|rytm|rhythmus|arrhythm\w*|brady\w*|tachy\w*)",
    "atrial fibrillation": r"atrial fibrillation|\ba-?fib\b|vorhofflimmern|f[oö]rmaksflimmer",
    "atrial flutter": r"atrial flutter|vorhofflattern|/-flattern",
    "supraventricular tachycardia": r"supraventricular (tachycardia|arrhythmia)|\bP?SVT\b|supraventrikul[aä]re (tachy|arrhy)\w+",
    "ventricular tachycardia": r"(?<!supra)(?<!supra-)ventricular tachycardia|\bVT\b|(?<!supra)ventrikul[aä]re tachykardie",
    "paced rhythm": r"pac(ed|ing)\b|pacemaker|schrittmacher",
    "junctional rhythm": r"(junctional|nodal) (escape )?(rhythm|tachycardia|bradycardia)|knotenrhythmus|junktional\w*",
    "premature ventricular complexes": (
        r"(premature ventricular|ventricular (premature|ectop|extrasyst))\w*|\bPVCs?\b|(?<!supra)ventrikul[aä]r(e|\(a\))? extrasyst\w*|"
        r"(?<!supra)ventricular (bigemin|trigemin)\w*"
    ),
    "premature atrial complexes": (
        r"(premature (atrial|supraventricular)|(atrial|supraventricular) (premature|ectop|extrasyst))\w*|\bPACs?\b|"
        r"supraventrikul[aä]r(e|\(a\))? extrasyst\w*|\bsves"
    ),
    "AV block": (
        r"(AV|A-V|atrioventricular)[- ]?(dissociation|(conduction )?block\w*)|(first|second|third|1st|2nd|3rd)[- ]degree "
        r"(\w+[- ])?(heart )?block|complete heart block|mobitz|wenckebach|prolonged pr interval"
    ),
    "left bundle branch block": r"left bundle[- ]branch block\w*|\b[CI]?LBBB\b|links[- ]?schenkelblock|v[aä]nstersidigt sk[aä]nkelblock",
    "right bundle branch block": r"right bundle[- ]branch block\w*|\b[CI]?RBBB\b|rechts[- ]?schenkelblock|h[oö]gersidigt sk[aä]nkelblock",
    "fascicular block": (
        r"left (anterior|posterior) (fascicular|hemi)[- ]?\w*|hemiblock|\bL[AP]FB\b|link(santeriorer|sposteriorer)\w*|"
        r"(ü|ue?)berdrehter linkstyp|bifas[cz]i[ck]ul\w* block\w*"
    ),
    "intraventricular conduction disturbance": (
        r"intra-?ventricular (conduction )?(dis\w+|del\w+|def\w+|bl\w+)|\bIVCD\b|intraventrikul[aä]r\w* (block|leitung)\w*"
    ),
    "pre-excitation": r"wolff|\bWPW\b|pre-?excitation|delta[- ]waves?|pr[aä]exzitation",
    "left ventricular hypertrophy": (
        r"left ventricular (hypertrophy|enlargement)|\bLVH\b|linkshypertrophie|v[aä]nster ?kammarhypertrofi|linksventrikul\w* hypertrophie"
    ),
    "right ventricular hypertrophy": r"right ventricular (hypertrophy|enlargement|strain)|\bRVH\b|rechtshypertrophie|rechtsbelastung",
    "septal hypertrophy": r"septal hypertrophy",
    "atrial enlargement": r"(atrial|biatrial) (enlargement|abnormality|overload|hypertrophy)|p[- ](mitrale|pulmonale|sinistr\w+|dextr\w+)|vorhofs?(ü|ue)berlastung",
    "myocardial infarction": r"infarct\w*|infarkt\w*|\b(N?ST-?E)?MI\b|myokard(skada|schaden)",
    "ischaemia": r"ischa?emi\w*|isch[aä]mi\w*|subendocardial injury|injury (current|pattern)",
    "pericarditis": r"pericarditis|perikarditis",
    "long QT": r"(long|prolonged) (QT|QTc)\b( interval| syndrome)?|qt[- ]?(verl[aä]ngerung|zeit verl)\w*",
    "digitalis effect": r"digitalis|digoxin",
    "electrolyte disturbance": r"(hypo|hyper)kal[aä]?(ie|e)mia|electrolyte|elektrolyt\w*",
    "Brugada pattern": r"brugada",
    "pulmonary embolism": r"pulmonary embol\w+",
    "cardiomyopathy": r"cardiomyopathy|myocarditis",
    "ventricular aneurysm": r"aneurysm",
    "normal ECG": (
        r"(?<!sonst )(?<!otherwise )(?<!ab)normal (12-lead |resting )?(ECG|EKG|electrocardiogram|tracing)|normales ekg|"
        r"within normal limits|no (significant )?abnormalit\w+|unauff[aä]llig\w* ekg"
    ),
}
DIAGNOSES = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _PATTERNS.items()}
# Where a label or report names the first, a reading may name the others.
IMPLIED = {
    "left bundle branch block": ("intraventricular conduction disturbance",),
    "right bundle branch block": ("intraventricular conduction disturbance",),
    "fascicular block": ("intraventricular conduction disturbance",),
    "myocardial infarction": ("ischaemia",),
    "ventricular aneurysm": ("myocardial infarction",),
    "normal ECG": ("sinus rhythm",),
}
_TERRITORIES = {
    "inferior": r"infer(ior|o)",
    "anterior": r"anter(ior|o)",
    "septal": r"sept(al|o)",
    "lateral": r"later(al|o)",
    "posterior": r"poster(ior|o)",
}
# A negation before a term holds until its clause ends (what follows "but" is a clause of its own) or its reach does:
# German reports come without punctuation, and "keine p-welle erkannt" says nothing about the block that follows.
_CLAUSE_END = re.compile(r"[.;:\n]|\bbut\b|\bhowever\b|\balthough\b", re.IGNORECASE)
_ENGLISH_NEGATION = re.compile(
    r"no|not|without|absen\w+|neither|nor|exclud\w+|ruled|unlikely|rather|instead|against|lack\w*|cannot",
    re.IGNORECASE,
)
_GERMAN_NEGATION = re.compile(r"kein\w*|ohne|nicht", re.IGNORECASE)
_ENGLISH_REACH, _GERMAN_REACH = 10, 2  # words
_NEGATION_AFTER = re.compile(
    r"\s*(pattern |criteria )?(is|are|was|were|can be|seems?)?\s*(absent|excluded|ruled out|unlikely|not (seen|present|met|evident|suggested|fulfilled))",
    re.IGNORECASE,
)


def diagnoses_in(text: str) -> set[str]:
    """The diagnoses that a text asserts; what it excludes ("no evidence of ...") is none."""
    flat = re.sub(r"\s+", " ", text.replace("Ö", "ö").replace("Ä", "ä").replace("Ü", "ü"))
    return {
        name
        for name, pattern in DIAGNOSES.items()
        if any(not _negated(flat, match) for match in pattern.finditer(flat))
    }


def _negated(text: str, match: re.Match) -> bool:
    words = re.findall(r"[\w-]+", _CLAUSE_END.split(text[: match.start()])[-1])
    return (
        any(map(_ENGLISH_NEGATION.fullmatch, words[-_ENGLISH_REACH:]))
        or any(map(_GERMAN_NEGATION.fullmatch, words[-_GERMAN_REACH:]))
        or bool(_NEGATION_AFTER.match(text, match.end()))
    )


def with_implied(diagnoses: set[str]) -> set[str]:
    """What a reading may name where these are settled."""
    return diagnoses | {other for name in diagnoses for other in IMPLIED.get(name, ())}


def infarct_walls(text: str) -> set[str]:
    """The walls named with an asserted infarction: the words within its clause, up to four words before it."""
    walls: set[str] = set()
    for match in DIAGNOSES["myocardial infarction"].finditer(text):
        if _negated(text, match):
            continue
        before = _CLAUSE_END.split(text[: match.start()])[-1].split()[-4:]
        near = f"{' '.join(before)} {match[0]}"
        walls |= {wall for wall, pattern in _TERRITORIES.items() if re.search(rf"{pattern}", near, re.IGNORECASE)}
    return walls


__all__ = ["DIAGNOSES", "diagnoses_in", "infarct_walls", "with_implied"]
