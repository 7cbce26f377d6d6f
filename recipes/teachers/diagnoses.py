# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The diagnoses that a text asserts: an interpretation in English, or a report in English, German or Swedish (PTB-XL's)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from processing.claims.claims import Claim, extract_claims
from processing.claims.findings import BY_KIND, FINDINGS
from recipes.sources.statements import in_words

MAX_CODES, MAX_CODE_TEXT = 50, 100  # of a label; no ECG has as many, whatever a strange file states
DIAGNOSES = frozenset(name for finding in FINDINGS for name in finding.diagnoses)
NORMAL, NORMAL_RHYTHM = "normal ECG", "sinus rhythm"
_IMPLIED = {name: finding.implies for finding in FINDINGS if finding.implies for name in finding.diagnoses}
# With what follows it: "infarction of the inferior wall", "infarkt inferior".
_INFARCTION = re.compile(
    f"(?:{'|'.join(words.pattern for words in BY_KIND['infarction'].words)})"
    r"[\s,]*(?:(?:of|in|involving)\s+)?(?:the\s+)?[\w-]*(?:\s+and\s+[\w-]+)?",
    re.IGNORECASE,
)
# Stems, as in `inferolateral` and `anteroseptaler`.
_WALLS = {
    "inferior": r"infer(?:ior|o)",
    "anterior": r"anter(?:ior|o)",
    "septal": r"sept(?:al|o)",
    "lateral": r"later(?:al|o)",
    "posterior": r"poster(?:ior|o)",
}


def diagnoses_in(text: str) -> set[str]:
    """The diagnoses that a text asserts or thinks possible, without those that it excludes ("no evidence of ...")."""
    names = (BY_KIND[claim.kind].diagnosis_of(claim.value) for claim in _asserted(text))
    return {name for name in names if name is not None}


def with_implied(diagnoses: set[str]) -> set[str]:
    """The diagnoses that may be named if these are settled."""
    return diagnoses | {other for name in diagnoses for other in _IMPLIED.get(name, ())}


def not_stated(text: str, stated: str) -> list[str]:
    """The diagnoses that a text asserts and that are neither `stated` nor implied by those; empty if nothing is stated.

    Beside sinus rhythm and nothing else a normal ECG may be named: there is no code for it among the SNOMED codes of the PhysioNet/CinC
    Challenge 2021, in which a normal ECG has that of sinus rhythm.
    """
    known = diagnoses_in(stated)
    allowed = with_implied(known) | ({NORMAL} if known == {NORMAL_RHYTHM} else set())
    return sorted(diagnoses_in(text) - allowed) if known else []


@dataclass(frozen=True)
class LabelCheck:
    """Diagnoses that a record's own file states, in words, and those of an answer that are not among them."""

    stated: tuple[str, ...]
    not_stated: tuple[str, ...]

    @property
    def heading(self) -> str:
        """The diagnoses of the file, in one line."""
        return f"label in the file: {', '.join(self.stated)}"

    @property
    def objections(self) -> tuple[str, ...]:
        """A line for each diagnosis of the answer that the label does not have."""
        return tuple(f"✗ the answer says {diagnosis}, the label does not" for diagnosis in self.not_stated)


def check_label(codes: Iterable[str], answer: str) -> LabelCheck | None:
    """Compares an answer with the first 50 SNOMED codes of a record (`Dx` of a WFDB header); `None` if it has none."""
    stated = tuple(in_words(code, "snomed")[:MAX_CODE_TEXT] for code in islice(codes, MAX_CODES))
    return LabelCheck(stated, tuple(not_stated(answer, ". ".join(stated)))) if stated else None


def infarct_walls(text: str) -> set[str]:
    """The walls that a text names with an asserted infarction: up to four words before it, or right after it."""
    near = ""
    for claim in _asserted(text):
        if claim.kind == "infarction":
            for match in _INFARCTION.finditer(text, claim.start, claim.end):
                before = re.split(r"[.;:\n]", text[: match.start()])[-1].split()[-4:]
                near += f"{' '.join(before)} {match[0]} "
    return {wall for wall, stem in _WALLS.items() if re.search(stem, near, re.IGNORECASE)}


def _asserted(text: str) -> Iterator[Claim]:
    return (claim for claim in extract_claims(text) if claim.polarity != "negated")


__all__ = ["DIAGNOSES", "LabelCheck", "check_label", "diagnoses_in", "infarct_walls", "not_stated", "with_implied"]
