# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""One clause of an ECG text: which findings and numbers it states. Polarity and leads are decided by siblings."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .found import JOINTS, Found
from .meaning import DEFAULT_SUBJECT, INTERVALS, OPPOSITE_COMPARISON, SQUARES, WITH_MAGNITUDE, quality_of, quantity_of
from .qualities import describes_a_word, is_restored, tells_of_a_change, words_of
from .references import is_first_bound, reference_numbers
from .shared_words import sharing
from .tokens import Quantity
from .words import Token
from .written_numbers import is_rate_of_a_rhythm

NOT_TO_BE_RESTORED = ("sinus rhythm", "normal", "narrow", "regular", "present")  # what is normal anyway
_THREE_AXES = re.compile(r"[\s:=]*([-+]?\d{1,3})" + r"[\s,/°]+([-+]?\d{1,3})" * 2)
_VARIES_BY = re.compile(r"\b(?:var(?:y|ies|ying)|differ\w*)\s+(?:only\s+)?by\b", re.IGNORECASE)
NUMBER_REACH = 5  # tokens between a subject and a number without a unit
_LONGEST_S = {"pr_interval": 0.6, "qrs": 0.3, "qrs_duration": 0.3, "qt_interval": 0.8, "qtc_interval": 0.8, "rr_interval": 2.5}  # fmt: skip
_FLUTTER = ("rhythm", "atrial flutter")
FASTEST_CONDUCTED_BPM = 200  # beside flutter, a higher rate is that of its waves
_EXTENTS = ("wide", "broad", "long", "tall", "high", "large")  # behind a number, how far it reaches: "112 ms wide"
# A quality of these is never one of the rhythm or of another wave; `regular QRS complexes` are a regular rhythm.
_UNRELATED = ("pr_segment", "pr_interval", "qt_interval", "qtc_interval", "p_duration", "conduction", "baseline")


def read_clause(tokens: Sequence[Token], text: str, carried: str | None) -> list[Found]:
    """The findings and numbers of a clause in order of their anchors; `carried` is the subject of the clause before."""
    reader = _ClauseReader(tokens, text, carried)
    reader.read_terms()
    reader.read_qualities()
    reader.read_bare_subjects()
    reader.read_numbers()
    return sorted(reader.found, key=lambda item: (item.anchor, item.is_number))


def _time_or_interval(tokens: Sequence[Token], i: int) -> Token:
    """`PR stable at 0.16 s` is an interval, `PR measured at 3.21 s` a time."""
    token = tokens[i]
    if token.tag == "time":
        before = tokens[max(i - 4, 0) : i]
        subjects = [other.value for other in before if other.tag == "subj"]
        if any(other.tag == "beats" for other in before):
            return token
        if subjects and token.value <= _LONGEST_S.get(subjects[-1], 0):
            return token._replace(tag="num", value=Quantity(token.value, token.value, "s"))
    return token


class _ClauseReader:
    def __init__(self, tokens: Sequence[Token], text: str, carried: str | None) -> None:
        self.tokens = [_time_or_interval(tokens, i) for i in range(len(tokens))]
        self.text = text
        self.carried = carried
        self.found: list[Found] = []
        self.used: set[int] = set()  # subjects that a quality or a number has taken
        self.reference_qualities: set[int] = set()

    def tag(self, index: int) -> str:
        return self.tokens[index].tag if 0 <= index < len(self.tokens) else "none"

    # Findings in one phrase -------------------------------------------------------------------------------------

    def read_terms(self) -> None:
        for i, token in enumerate(self.tokens):
            if token.tag == "term":
                kind, value = token.value
                if kind == "qrs_axis" and self._nearest_subject(i) == "r_transition":
                    continue  # "the transition zone is shifted to the right"
                if self.tag(i + 1) == "ref" and "cmp" in (self.tag(i - 1), self.tag(i - 2)):
                    continue  # "below the LVH threshold"
                self.found.append(Found(kind, value, i, i, i))
                for first, (kind, value) in sharing(self.tokens, i, self.text):
                    self.found.append(Found(kind, value, first, i, i))

    def _nearest_subject(self, i: int) -> str | None:
        return next((token.value for token in reversed(self.tokens[:i]) if token.tag == "subj"), None)

    # Qualities --------------------------------------------------------------------------------------------------

    def read_qualities(self) -> None:
        for i, token in enumerate(self.tokens):
            if token.tag == "qual" and not self._belongs_to_a_limit(i):
                self._read_quality(i, token.value)

    def _belongs_to_a_limit(self, i: int) -> bool:
        """`normal 120-200 ms`, `normal: < 120`: the words of a reference value, not of a finding."""
        if self.tokens[i].value not in ("normal", "upright", "normal_range"):
            return False
        j = i + 1
        while self.tag(j) in ("colon", "be", "of", "word", "open"):
            if self.tag(j) == "word" and self.tokens[j].value not in ("adult", "for", "adults", "value", "range"):
                return False
            j += 1
        compared = self.tag(j) == "cmp" and self.tokens[j].value in (
            "<",
            ">",
            "not_more",
            "not_less",
            "between",
            "max",
        )
        is_range = self.tag(j) == "num" and self.tokens[j].value.is_range
        if not ((compared and self.tag(j + 1) == "num") or is_range):
            return False
        self.reference_qualities.add(i)
        # "normal PR (120-200 ms)" and "is within normal limits (60-100)" still say that it is normal.
        before = self.tokens[i - 1] if i else None
        apart = (
            before is None or before.tag == "comma" or (before.tag == "word" and before.value in ("the", "than", "a"))
        )
        return self.tag(i - 1) == "open" or (self.tokens[i].value == "normal" and apart)

    def _read_quality(self, i: int, quality: str) -> None:
        words = words_of(self.tokens[i], self.text).split()
        compared = "normal" in words
        apart = "-" in self.text[self.tokens[i - 1].end : self.tokens[i].start]
        if self.tag(i - 1) == "num" and words[-1] in _EXTENTS and not (compared or apart):
            return  # "112 ms wide"
        if quality in ("low", "high") and describes_a_word(self.tokens, i):
            return  # "a small amount", "in the high normal range"
        if (at := self._rate_before(i)) is not None and (meaning := quality_of("heart_rate", quality)) is not None:
            self.found.append(self._finding(meaning, at, i, i, True))  # "118 bpm, which is normal"
            return
        if quality == "normal" and self.tag(i - 1) == "be" and self.tag(i - 2) == "it" and self._said_before(i):
            return  # "inverted in aVR, which is normal"
        subjects, predicate = self._subjects_ahead(i, quality), False
        if not subjects and is_restored(self.tokens[i], self.text) and (denied := self._said_of_it(i)):
            denied.polarity, denied.denied_at = "negated", i  # "ST elevation in III has normalised"
            denied.extra.append(i)
            return
        if not subjects and tells_of_a_change(self.tokens, i, self.text):
            return  # "the QTc has shortened from 510 ms to 420 ms"
        if not subjects and (self._before_another(i) or self._said_of_another(i, quality)):
            return  # "a broad, notched R wave", "PR segment depression", "the PR interval is constant": not judged
        if not subjects:
            subjects, predicate = self._subjects_behind(i, quality), True
        if not subjects:
            carried = None if any(self.tag(j) == "subj" for j in range(i)) else self.carried
            name = carried if carried and quality_of(carried, quality) else self._default_subject(i, quality)
            if name is None or (meaning := quality_of(name, quality)) is None:
                return
            self.found.append(self._finding(meaning, i, i, i, False))
            return
        for j in subjects:
            meaning = quality_of(self._subject(j), quality)
            too_narrow = compared and meaning is not None and meaning.value == "narrow"  # nobody measures that
            if meaning is not None and not too_narrow:
                self.used.add(j)
                self.found.append(self._finding(meaning, min(i, j), max(i, j), i, predicate))

    def _rate_before(self, i: int) -> int | None:
        """Where the rate stands that a quality is said of, if it has no name: `118 bpm (normal)`."""
        j = i - 1
        while self.tag(j) in ("be", "it", "open", "comma"):
            j -= 1
        named = any(self.tag(k) == "subj" for k in range(j)) or self.tag(i + 1) in ("subj", "qual", "term", "word")
        apart = j < i - 1 and not (self.tag(i - 1) == "comma" and i + 1 < len(self.tokens))
        return j if apart and not named and self.tag(j) == "num" and self.tokens[j].value.unit == "bpm" else None

    def _default_subject(self, i: int, quality: str) -> str | None:
        """`Inversion in V2` is one of T; `negative in V2` may be said of the QRS."""
        if quality == "inverted" and not self.text[self.tokens[i].start :].lower().startswith("inver"):
            return None
        return DEFAULT_SUBJECT.get(quality)

    def _before_another(self, i: int) -> bool:
        """Whether a quality, alone or in a list of them, is right before a subject that it cannot describe."""
        if self.tag(i + 1) == "subj":
            return True
        if self.tag(i - 1) in ("subj", "be"):
            return False
        j = i + 1
        while self.tag(j) in ("qual", "comma", "and"):
            j += 1
        return self.tag(j) == "subj" and self.tag(j - 1) == "qual" and j - 1 > i

    def _said_of_another(self, i: int, quality: str) -> bool:
        """Whether the subject right before a quality, or before its `is`, is one that the quality cannot describe."""
        j = i - 1
        while self.tag(j) in ("be", "neg", "word", "verb", "hedge"):
            j -= 1
        return self.tag(j) == "subj" and self.tokens[j].value in _UNRELATED and not self._is_subject(j, quality)

    def _said_before(self, i: int) -> bool:
        return any(item.last < i and item.unit is None for item in self.found)

    def _said_of_it(self, i: int) -> Found | None:
        """The finding before `i`, if no other subject stands between: `ST elevation in III has normalised`."""
        last = max(self.found, key=lambda item: item.last, default=None)
        if last is None or last.last >= i or last.inherent_negation or last.value in NOT_TO_BE_RESTORED:
            return None
        return None if any(self.tag(j) == "subj" for j in range(last.last + 1, i)) else last

    @staticmethod
    def _finding(meaning: Any, first: int, last: int, anchor: int, predicate: bool) -> Found:
        found = Found(meaning.kind, meaning.value, first, last, anchor, inherent_negation=meaning.negated)
        found.by_predicate = predicate
        return found

    def _subject(self, index: int) -> str:
        token = self.tokens[index]
        return token.value if token.tag == "subj" else "rhythm"

    def _is_subject(self, index: int, quality: str) -> bool:
        if self.tag(index) == "term":
            return self.tokens[index].value[0] == "rhythm" and quality in ("regular", "irregular")
        return self.tag(index) == "subj" and quality_of(self.tokens[index].value, quality) is not None

    def _subjects_ahead(self, i: int, quality: str) -> list[int]:
        """Subjects that follow at once (`inverted T waves`, `prolonged PR and QT`, `elevation of the ST segment`)."""
        j = i + 1
        through_of = self.tag(j) == "of"
        j += through_of
        while True:
            if self.tag(j) == "qual":
                j += 1
            elif self.tag(j) in ("and", "comma") and self.tag(j + 1) == "qual" and not through_of:
                if self._has_subject_behind(j):
                    return []
                j += 1
            elif self.tag(j) == "word" and self.tag(j + 1) in ("subj", "qual", "word") and j - i <= 2:
                j += 1
            else:
                break
        if not self._is_subject(j, quality):
            return []
        subjects = [j]
        while self.tag(j + 1) in ("and", "or", "slash") and self._is_subject(j + 2, quality):
            if self.tag(j + 3) in ("be", "num", "cmp", "qual", "colon"):
                break
            j += 2
            subjects.append(j)
        return subjects

    def _has_subject_behind(self, j: int) -> bool:
        return any(self.tag(k) == "subj" and k not in self.used for k in range(j))

    def _subjects_behind(self, i: int, quality: str) -> list[int]:
        """The nearest subject before a predicate, and those joined to it (`PR and QRS are normal`)."""
        all_of_them = self.tag(i - 1) == "word" and self.tokens[i - 1].value in ("all", "both", "each")
        subjects: list[int] = []
        for j in range(i - 1, -1, -1):
            if self._is_excepted(j):
                break
            if self._is_subject(j, quality):
                subjects.append(j)
                if not all_of_them and not self._joined_before(j, quality):
                    break
            elif self.tag(j) == "qual" and subjects and not all_of_them:
                break
            elif quality in ("inverted", "upright") and self._subject(j) in ("qrs", "r") and not subjects:
                break  # "the T wave is upright and the QRS negative"
        # "Intervals: PR 160, QRS 90 ms, all normal" names them one by one.
        return [j for j in subjects if self._subject(j) != "intervals" or len(subjects) == 1]

    def _is_excepted(self, j: int) -> bool:
        """`Apart from a prolonged PR, intervals are normal`: of the PR they are not."""
        k = j - 1
        while self.tag(k) in ("word", "qual"):
            k -= 1
        return self.tag(j) == "subj" and self.tag(k) == "except"

    def _joined_before(self, j: int, quality: str) -> bool:
        return self.tag(j - 1) in JOINTS and (
            self._is_subject(j - 2, quality) or (self.tag(j - 2) in JOINTS and self._is_subject(j - 3, quality))
        )

    # Waves that are named without a quality ----------------------------------------------------------------------

    def read_bare_subjects(self) -> None:
        for i, token in enumerate(self.tokens):
            if token.tag != "subj" or i in self.used or token.value not in ("p", "q"):
                continue
            kind, value = ("p_waves", "present") if token.value == "p" else ("pathological_q", None)
            self.found.append(Found(kind, value, i, i, i, bare=True))

    # Numbers ----------------------------------------------------------------------------------------------------

    def read_numbers(self) -> None:
        references = reference_numbers(self.tokens, self.text, self.reference_qualities)
        taken: set[int] = set()
        references |= self._read_axes() | self._read_lists(references)
        for i, token in enumerate(self.tokens):
            if token.tag == "series":
                self._read_series(i, token.value)
            elif token.tag == "num" and i not in references:
                self._read_number(i, token.value, taken)

    def _read_axes(self) -> set[int]:
        """`P-R-T axes: 50 -60 40`: three numbers in degrees; returns the tokens that they are in."""
        for j, token in enumerate(self.tokens):
            if token.tag == "subj" and token.value == "axes" and (match := _THREE_AXES.match(self.text, token.end)):
                inside = [k for k in range(j + 1, len(self.tokens)) if self.tokens[k].start < match.end()]
                for kind, degrees in zip(("p_axis", "qrs_axis", "t_axis"), map(float, match.groups()), strict=True):
                    quantity = Quantity(degrees, degrees, "deg")
                    self.found.append(Found(kind, degrees, j, inside[-1], inside[0], "deg", quantity, is_number=True))
                return set(inside)
        return set()

    def _read_lists(self, references: set[int]) -> set[int]:
        """`PR, QRS and QT are 160, 90 and 400 ms`: as many numbers as subjects; returns the numbers it took."""
        numbers = [i for i, token in enumerate(self.tokens) if token.tag == "num" and i not in references]
        run: list[int] = []
        for i in numbers:
            between = self.tokens[run[-1] + 1 : i] if run else []
            if run and all(token.tag in JOINTS or token.value in ("[", "]") for token in between):
                run.append(i)
            elif len(run) < 2:
                run = [i]
        if len(run) < 2:
            return set()
        subjects = [j for j in range(run[0]) if self.tag(j) == "subj"][-len(run) :]
        joined = all(self.tag(k) in (*JOINTS, "subj") for k in range(subjects[0], subjects[-1])) if subjects else False
        if len(subjects) != len(run) or not joined:
            return set()
        unit = self.tokens[run[-1]].value.unit
        for j, i in zip(subjects, run, strict=True):
            quantity = self.tokens[i].value
            self._add_number(self.tokens[j].value, j, i, replace(quantity, unit=quantity.unit or unit), set())
        return set(run)

    def _read_series(self, i: int, quantities: list[Quantity]) -> None:
        """`PR/QRS/QT 160/90/400 ms`: as many numbers as subjects."""
        subjects = [
            j for j in range(i) if self.tag(j) == "subj" and self.tokens[j].value in (*INTERVALS, "qrs", "rr_interval")
        ]
        subjects = subjects[-len(quantities) :]
        if len(subjects) == len(quantities):
            for j, quantity in zip(subjects, quantities, strict=True):
                self._add_number(self.tokens[j].value, j, i, quantity, set())

    def _read_number(self, i: int, quantity: Quantity, taken: set[int]) -> None:
        behind = self._sum_behind(i)
        if behind is None:
            behind = self._measured_behind(i, quantity)
        if behind is not None and (behind not in taken or quantity.unit is None):
            owner: int | None = behind
        else:
            ahead = self._measured_ahead(i, quantity)
            owner = ahead if ahead is not None and ahead not in taken else behind
        if owner is None:
            if quantity.unit == "bpm" or is_rate_of_a_rhythm(self.tokens, i, self.text):
                self._add_number(self._rate_of(i, quantity), i, i, quantity, taken)
            elif self.carried and quantity.unit is not None and quantity_of(self.carried, quantity):
                self._add_number(self.carried, i, i, quantity, taken)
            elif quantity.unit == "deg":
                terms = [
                    j
                    for j in range(len(self.tokens))
                    if self.tag(j) == "term" and self.tokens[j].value[0] == "qrs_axis"
                ]
                if terms:
                    self._add_number("qrs_axis", terms[0], i, quantity, taken)
            return
        token = self.tokens[owner]
        if token.tag == "subj":
            if not self._magnitude_of_finding(owner, i, quantity):
                self._add_number(token.value, owner, i, quantity, taken)
        elif not self._add_magnitude(owner, i, quantity):
            item = next(item for item in self.found if item.anchor == owner and quantity_of(item.kind, quantity))
            upright = item.kind == "t_inversion" and item.inherent_negation
            self._add_number("t_amplitude" if upright else item.kind, owner, i, quantity, taken)
        taken.add(owner)

    def _rate_of(self, i: int, quantity: Quantity) -> str:
        """`Flutter waves at 280 per minute` is the rate of the atria."""
        flutter = any(token.tag == "term" and token.value == _FLUTTER for token in self.tokens[:i])
        return "atrial_rate" if flutter and quantity.low >= FASTEST_CONDUCTED_BPM else "heart_rate"

    def _sum_behind(self, i: int) -> int | None:
        """`Sokolow-Lyon: S in V1 1.9 mV + R in V5 2.3 mV = 4.2 mV`: the last number is the sum."""
        if self.tag(i - 1) != "be" or self.text[self.tokens[i - 1].start] != "=" or self.tag(i - 2) == "subj":
            return None
        sums = [j for j in range(i) if self.tag(j) == "subj" and self.tokens[j].value in ("sokolow_lyon", "cornell")]
        return sums[-1] if sums else None

    def _fits(self, index: int, quantity: Quantity) -> bool:
        token = self.tokens[index]
        if token.tag == "subj":
            return quantity_of(token.value, quantity) is not None
        if token.tag == "term" and token.value[0] == "heart_rate":
            return quantity_of("heart_rate", quantity) is not None
        if token.tag in ("qual", "term") and quantity.unit is not None:
            return any(item.anchor == index and quantity_of(item.kind, quantity) for item in self.found)
        return False

    def _measured_behind(self, i: int, quantity: Quantity) -> int | None:
        start = i
        for j in range(i - 1, -1, -1):
            if self.tag(i - 1) == "cmp" and j < i - 1 and is_first_bound(self.tokens, j, i):
                start = j  # "above 60 and below 65"
                continue
            if quantity.unit is None and (
                start - j > NUMBER_REACH or self.tag(j) in ("num", "series", "beats", "time")
            ):
                return None
            if self._fits(j, quantity):
                return j
            if self.tag(j) == "subj" and self.tokens[j].value == "interval":
                return None  # "the QRS follows after an interval of 150 ms"
            if quantity.unit is None and self.tag(j) == "subj":
                return None
        return None

    def _measured_ahead(self, i: int, quantity: Quantity) -> int | None:
        for j in range(i + 1, min(i + 6, len(self.tokens))):
            if self.tag(j) in ("comma", "close", "num", "end", "with", "colon", "beats"):
                return None
            if quantity.unit is not None and self._fits(j, quantity):
                return j
        return None

    def _magnitude_of_finding(self, subject: int, i: int, quantity: Quantity) -> bool:
        """Whether a number said of ST or T belongs to a finding about it (`ST is elevated by 0.2 mV`)."""
        for item in self.found:
            inside = item.first <= subject <= item.last and not item.is_number
            if inside and item.kind in WITH_MAGNITUDE and quantity.unit in ("mV", "mm", "uV", SQUARES):
                return self._add_magnitude(item.anchor, i, quantity)
        return False

    def _add_magnitude(self, anchor: int, i: int, quantity: Quantity) -> bool:
        for item in self.found:
            if item.anchor != anchor or item.is_number or item.inherent_negation or item.kind not in WITH_MAGNITUDE:
                continue
            meaning = quantity_of(item.kind, quantity)
            if meaning is None:
                continue
            kind, unit, scaled = meaning
            if kind != item.kind:
                continue
            comparator = self._comparator(i)
            item.unit = unit
            if self.tag(i + 1) == "in" and self.tag(i + 2) == "leads":
                item.ahead.append((i, scaled, comparator))
            if self._follows_a_group(i):
                item.pairs.append((i, scaled, comparator))
            elif item.quantity is None:
                item.quantity, item.comparator = scaled, comparator
            item.extra.append(i)
            return True
        return False

    def _follows_a_group(self, i: int) -> bool:
        j = i - 1
        while self.tag(j) in ("open", "cmp", "colon", "be", "word", "in"):
            j -= 1
        return self.tag(j) == "leads"

    def _comparator(self, i: int) -> str | None:
        return self._comparison(i)[0]

    def _comparison(self, i: int) -> tuple[str | None, int | None]:
        """How the number at `i` is compared, and where the negation stands that turns it round (`never exceeds 460 ms`)."""
        j = i - 1
        while self.tag(j) in ("word", "ref", "of", "be", "in", "open") and i - j < 5:
            j -= 1
        if self.tag(j) != "cmp":
            return None, None
        compared, k = self.tokens[j].value, j - 1
        while self.tag(k) in ("word", "be", "hedge", "in") and j - k < 4:
            k -= 1
        if compared in OPPOSITE_COMPARISON and self.tag(k) == "neg" and self.tokens[k].value in ("before", "ended"):
            return OPPOSITE_COMPARISON[compared], k
        return compared, None

    def _add_number(self, subject: str, owner: int, i: int, quantity: Quantity, taken: set[int]) -> None:
        meaning = quantity_of(subject, quantity)
        if meaning is None:
            return
        kind, unit, scaled = meaning
        if kind == "rr_interval" and _VARIES_BY.search(self.text, self.tokens[owner].end, self.tokens[i].start):
            return  # "RR intervals vary by less than 100 ms"
        compared, negation = self._comparison(i)
        found = Found(kind, scaled.low, min(owner, i), max(owner, i), i, unit, scaled, compared, is_number=True)
        if negation is not None:
            found.comparison_denied = True
            found.extra.append(negation)
        if owner in taken:
            found.first = i
            found.extra += [next(j for j in range(i - 1, -1, -1) if self.tag(j) == "cmp")] if compared else []
        if kind == "qtc_interval":
            found.formula = self._formula(i)
        self.found.append(found)
        self.used.add(owner)
        taken.add(owner)

    def _formula(self, i: int) -> str | None:
        """`QTc 420 ms (Bazett)`, `QTc (Bazett) 420 ms`: the formula nearest to the number, up to the next number."""
        for j in (*range(i + 1, min(i + 4, len(self.tokens))), *range(i - 1, max(i - 5, -1), -1)):
            if self.tag(j) == "formula":
                return self.tokens[j].value
        return None


__all__ = ["read_clause"]
