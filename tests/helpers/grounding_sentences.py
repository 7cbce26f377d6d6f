# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""True and false statements about simulated ECGs, from the simulator's exact truth, to validate the grounding check."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from processing.claims.tokens import TERRITORIES
from processing.ecg_record import STANDARD_LEADS
from tests.helpers.grounding_truth import Truth
from tests.helpers.grounding_wordings import (
    CLOSINGS,
    FIRST_HELD_BACK,
    FREE,
    HELD_BACK,
    OPENINGS,
    SECOND_HELD_BACK,
    TEMPLATES,
    THIRD_HELD_BACK,
)

# What a model that loops writes. Reading each of them took time that grew with the square of its length, or could have.
REPEATED = (
    "no ", "<", "> ", "<= ", "(", "() ", "1/", "- ", "1,", "without ", "neither nor ", "and ", "V1 ", "V1-", "74 bpm ",
    "0.1 mV ", "PR 120 ms ", "no PR 120 ms ", "Q waves ", "not Q waves ", "beats 1-", "the other leads ", "ST elevation in V1 ",
    "mean ", "ectopic ", "no evidence of ", "sokolow sum ", "(normal < 200 ms) ", "P waves absent ", "inferior wall ", "| V1 ",
)  # fmt: skip

WORDINGS = {
    "templated": TEMPLATES,
    "free": {
        fact: (*wordings, *FIRST_HELD_BACK[fact], *SECOND_HELD_BACK[fact], *THIRD_HELD_BACK[fact])
        for fact, wordings in FREE.items()
    },
    "held_back": HELD_BACK,
}
WRONG_BY = {"heart_rate": 0.3, "pr_interval": 0.4, "qrs_duration": 0.6, "qt_interval": 0.25, "qtc_interval": 0.22}


@dataclass(frozen=True)
class Statement:
    """A sentence, the kinds of claims it makes and whether they are true of its ECG; `plant` names what is wrong."""

    text: str
    kinds: tuple[str, ...]
    true: bool
    fact: str
    plant: str | None = None


class StatementMaker:
    """Draws statements about one ECG; whatever is near a limit, where readers may disagree, is not stated."""

    def __init__(self, truth: Truth, rng: np.random.Generator, wording: str) -> None:
        self.truth = truth
        self.rng = rng
        self.wordings = WORDINGS[wording]
        self.plain = wording == "templated"

    def draw(self, true: bool, plant: str | None = None) -> Statement:
        """A random statement that is true, or wrong in the way `plant` (any way without it)."""
        makers = [
            self._number,
            self._word,
            self._rhythm,
            self._leads,
            self._wall,
            self._denial,
            self._diagnosis,
            self._beat,
        ]
        if plant is not None:
            makers = {
                "wrong number": [self._number, self._size],
                "wrong lead": [self._leads],
                "negated finding": [self._denial],
                "wrong rhythm": [self._rhythm],
                "swapped territory": [self._wall],
                "wrong word": [self._word],
            }[plant]
        else:
            makers.append(self._size)
        while True:
            maker = makers[self.rng.integers(len(makers))]
            made = maker(true)
            if made is not None:
                key, fields, kinds = made
                return Statement(self._sentence(key, fields), kinds, true, key, plant)

    # Facts: (wording key, fields, kinds) or None where this ECG has no such clear fact ------------------------------

    def _pick(self, options: Any) -> Any:
        return options[self.rng.integers(len(options))]

    def _number(self, true: bool) -> tuple | None:
        kind = self._pick(
            ("heart_rate", "pr_interval", "qrs_duration", "qt_interval", "qtc_interval", "qrs_axis", "sokolow_lyon")
        )
        value = self.truth.numbers[kind]
        if (
            kind in ("pr_interval", "qrs_duration", "qtc_interval")
            and self.truth.ecg.settings["rhythm"] == "ventricular_paced"
        ):
            return None  # the offsets of reading are those of conducted beats
        if not np.isfinite(value):
            if kind != "pr_interval" or true or self.truth.p_waves:
                return None
            value = self.rng.uniform(130, 190)
            return kind, self._value_fields(kind, value), (kind,)
        if not true:
            sign = self._pick((-1, 1))
            if kind == "qrs_axis":
                value += sign * self.rng.uniform(50, 120)
                value = (value + 180) % 360 - 180
            elif kind == "sokolow_lyon":
                value += self.rng.uniform(1.2, 2.5) * (1 if value < 2 else sign)
            else:
                value *= 1 + sign * self.rng.uniform(WRONG_BY[kind], WRONG_BY[kind] + 0.3) * (0.8 if sign < 0 else 1)
        return kind, self._value_fields(kind, value), (kind,)

    def _value_fields(self, kind: str, value: float) -> dict[str, str]:
        if kind == "heart_rate":
            unit = self._pick((" bpm", "/min", " beats per minute", " bpm"))
            shown = f"{value:.0f}{unit}"
            spread = 3
        elif kind == "qrs_axis":
            shown, spread = f"{value:.0f}{self._pick((' degrees', '°', ' deg'))}", 5
        elif kind == "sokolow_lyon":
            shown, spread = self._pick((f"{value:.1f} mV", f"{10 * value:.0f} mm")), 1
        else:
            value = self._pick((round(value), 2 * round(value / 2), 5 * round(value / 5)))
            shown, spread = (
                self._pick(
                    (
                        f"{value} ms",
                        f"{value} ms",
                        f"{value / 1000:.2f} s",
                        f"{value} msec",
                        f"{value / 1000:.2f} seconds",
                    )
                ),
                5,
            )
        return {"v": shown, "low": f"{value - spread:.0f}", "high": f"{value + spread:.0f}"}

    def _word(self, true: bool) -> tuple | None:
        kind = self._pick(("heart_rate", "pr_interval", "qrs_duration", "qtc_interval", "qrs_axis"))
        value, numbers = self.truth.numbers[kind], self.truth.numbers
        if not np.isfinite(value):
            return None
        limits = {
            "heart_rate": (60, 100, 8),
            "pr_interval": (120, 200, 25),
            "qrs_duration": (0, 120, 20),
            "qtc_interval": (330, 455, 25),
            "qrs_axis": (-30, 90, 20),
        }
        low, high, margin = limits[kind]
        if min(abs(value - low), abs(value - high)) < margin:
            return None
        place = int(value > low) + int(value > high)
        words = {
            "heart_rate": ("slow", "normal", "fast"), "pr_interval": ("short", "normal", "prolonged"),
            "qrs_duration": ("narrow", "narrow", "wide"), "qtc_interval": ("short", "normal", "prolonged"),
            "qrs_axis": ("deviated to the left", "normal", "deviated to the right"),
        }[kind]  # fmt: skip
        if (
            kind == "qtc_interval"
            and place == 1
            and not true
            and min(numbers["qtc_bazett"], numbers["qtc_fridericia"]) > 430
        ):
            return None
        word = words[place] if true else self._pick([word for word in words if word != words[place]])
        noun = {"slow": "bradycardia", "fast": "tachycardia", "normal": "a normal heart rate"}.get(word, word)
        phrase = {
            "deviated to the left": "left axis deviation",
            "normal": "a normal axis",
            "deviated to the right": "right axis deviation",
        }.get(word, word)
        return f"{kind}|word", {"word": word, "Word": word.capitalize(), "noun": noun, "phrase": phrase}, (kind,)

    def _rhythm(self, true: bool) -> tuple | None:
        settings = self.truth.ecg.settings
        name, rate = settings["rhythm"], self.truth.numbers["heart_rate"]
        kind = self._pick(("rhythm", "rhythm", "regularity", "p_waves"))
        fibrillation, paced = name == "atrial_fibrillation", name == "ventricular_paced"
        if kind == "p_waves":
            present = self.truth.p_waves == true
            return f"p_waves|{'present' if present else 'absent'}", {}, ("p_waves",)
        if kind == "regularity":
            word = "irregular" if fibrillation == true else "regular"
            return "regularity", {"word": word, "Word": word.capitalize()}, ("regularity",)
        if true:
            words = ["atrial fibrillation"] if fibrillation else ["paced rhythm"] if paced else ["sinus rhythm"]
            if words == ["sinus rhythm"] and min(abs(rate - 60), abs(rate - 100)) > 8 and not 60 < rate < 100:
                words = ["sinus bradycardia" if rate < 60 else "sinus tachycardia"]
        elif fibrillation:
            words = ["sinus rhythm", "sinus arrhythmia", "normal sinus rhythm"]
        else:
            words = ["atrial fibrillation", "atrial flutter"] + (
                [] if paced or self.truth.numbers["qrs_duration"] > 112 else ["paced rhythm"]
            )
            words += ["sinus tachycardia"] if rate < 90 else ["sinus bradycardia"]
        return "rhythm", {"word": self._pick(words)}, ("rhythm",)

    def _clear(self, finding: str) -> tuple[list[str], list[str]]:
        """Leads that clearly have a finding and leads that clearly have not."""
        truth = self.truth
        if finding in ("st_elevation", "st_depression"):
            sign = 1 if finding == "st_elevation" else -1
            yes = [lead for lead, level in truth.st.items() if sign * level > 0.14]
            no = [lead for lead, level in truth.st.items() if sign * level < 0.02]
        elif finding == "t_inversion":
            yes = [lead for lead, level in truth.t.items() if level < -0.14]
            no = [lead for lead, level in truth.t.items() if level > 0.05]
        else:
            yes = [lead for lead in STANDARD_LEADS if truth.q_ms[lead] > 45 and truth.q_mv[lead] > 0.2]
            no = [lead for lead in STANDARD_LEADS if truth.q_ms[lead] < 5 or truth.q_mv[lead] < 0.03]
        if truth.ecg.settings["rhythm"] in ("ventricular_paced", "atrial_fibrillation"):
            # The level of ST and small T waves rides on other waves there.
            yes, no = (
                (yes, no)
                if finding == "t_inversion"
                else ([], no if truth.ecg.settings["rhythm"] != "ventricular_paced" else [])
            )
        return [lead for lead in yes if lead != "aVR"], [lead for lead in no if lead != "aVR"]

    def _listed(self, leads: list[str]) -> str:
        chest = [lead for lead in leads if lead.startswith("V")]
        numbers = [int(lead[1]) for lead in chest]
        if (
            len(chest) == len(leads) > 2
            and numbers == list(range(numbers[0], numbers[-1] + 1))
            and self.rng.random() < 0.7
        ):
            return self._pick(
                (
                    f"{leads[0]}-{leads[-1]}",
                    f"{leads[0]} to {leads[-1]}",
                    f"{leads[0]}–{leads[-1]}",
                    f"{leads[0]} through {leads[-1]}",
                )
            )
        if len(leads) == 1:
            return leads[0]
        joint = self._pick((" and ", ", and ", " & ", ", "))
        return ", ".join(leads[:-1]) + joint + leads[-1]

    def _some(self, leads: list[str], most: int = 4) -> list[str]:
        count = int(self.rng.integers(1, min(len(leads), most) + 1))
        chosen = set(self.rng.choice(len(leads), count, replace=False).tolist())
        return [lead for i, lead in enumerate(leads) if i in chosen]

    def _leads(self, true: bool) -> tuple | None:
        finding = self._pick(("st_elevation", "st_depression", "t_inversion", "pathological_q"))
        yes, no = self._clear(finding)
        if true:
            if not yes:
                return None
            leads = self._some(yes)
        else:
            wrong = self._some(no, 2) if no else []
            if not wrong:
                return None
            leads = [
                lead
                for lead in STANDARD_LEADS
                if lead in (*wrong, *(self._some(yes, 2) if yes and self.rng.random() < 0.5 else ()))
            ]
        return finding, {"leads": self._listed(leads)}, (finding,)

    def _size(self, true: bool) -> tuple | None:
        yes, _ = self._clear("st_elevation")
        if not yes:
            return None
        lead = self._pick(yes)
        value = self.truth.st[lead]
        if not true:
            value += self._pick((0.25, 0.4))
        shown = self._pick((f"{value:.2f} mV", f"{value:.1f} mV", f"{10 * value:.0f} mm", f"{1000 * value:.0f} µV"))
        return "st_elevation|size", {"leads": lead, "v": shown}, ("st_elevation",)

    def _wall(self, true: bool) -> tuple | None:
        finding = self._pick(("st_elevation", "st_elevation", "t_inversion"))
        yes, no = self._clear(finding)
        walls = ("inferior", "anterior", "lateral")
        fitting = [wall for wall in walls if len(set(TERRITORIES[wall]) & set(yes)) >= 2]
        missing = [
            wall
            for wall in walls
            if len(set(TERRITORIES[wall]) & set(no)) >= len(TERRITORIES[wall]) - (finding == "t_inversion")
        ]
        if finding == "t_inversion":
            missing = [wall for wall in missing if set(TERRITORIES[wall]) - {"V1", "III", "aVL"} <= set(no)]
        # A swapped wall is an error about a finding that another wall shows.
        chosen = fitting if true else missing if fitting else []
        if not chosen:
            return None
        wall = self._pick(chosen)
        return f"{finding}|wall", {"wall": wall, "Wall": wall.capitalize()}, (finding,)

    def _denial(self, true: bool) -> tuple | None:
        finding = self._pick(("st_elevation", "st_depression", "t_inversion", "pathological_q"))
        yes, no = self._clear(finding)
        if true:
            if not no:
                return None
            leads = self._some(no)
        else:
            if finding == "st_elevation":
                yes = [lead for lead in yes if lead not in ("V2", "V3") or self.truth.st[lead] > 0.28]
            if not yes:
                return None
            leads = self._some(yes)
        key = f"{finding}|none"
        options = self.wordings[key]
        if any("{leads}" not in option for option in options):
            # A denial for the whole record needs all leads to be clear, or several to show it.
            whole = len(no) >= 11 if true else len(yes) >= 3
            if not whole:
                options = tuple(option for option in options if "{leads}" in option)
        if not options:
            return None
        return (key, {"leads": self._listed(leads), "template": self._pick(options)}, (finding,))

    def _diagnosis(self, true: bool) -> tuple | None:
        settings, numbers = self.truth.ecg.settings, self.truth.numbers
        kind = self._pick(("lbbb", "rbbb", "av_block", "lvh", "infarction"))
        conduction = settings.get("conduction", "normal")
        if kind in ("lbbb", "rbbb"):
            if settings["rhythm"] == "ventricular_paced" or (
                conduction != kind and numbers["qrs_duration"] > 116 and conduction not in ("lbbb", "rbbb")
            ):
                return None
            return (kind, {}, (kind,)) if (conduction == kind) == true else None
        if kind == "av_block":
            pr = numbers["pr_interval"]
            if not np.isfinite(pr) or abs(pr - 200) < 25:
                return None
            return (kind, {}, (kind,)) if (pr > 200) == true else None
        if kind == "lvh":
            value, wide = numbers["sokolow_lyon"], conduction != "normal" or settings["rhythm"] == "ventricular_paced"
            if abs(value - 3.5) < 0.7 or wide or settings.get("hypertrophy") == "rvh":
                return None
            return ("lvh" if (value > 3.5) == true else "lvh|none", {}, ("lvh",))
        wall = {"inferior_stemi": "inferior", "anterior_stemi": "anterior", "lateral_stemi": "lateral"}.get(
            settings.get("ischemia", "")
        )
        if wall is None:
            return None
        wrong = {"inferior": ("anterior",), "anterior": ("inferior",), "lateral": ("anterior",)}[wall]
        if not true:
            yes, _ = self._clear("t_inversion")
            wrong = tuple(other for other in wrong if not set(TERRITORIES[other]) & set(yes))
            if not wrong or any(
                abs(self.truth.st[lead]) > 0.08 or self.truth.q_ms[lead] > 10 or self.truth.t[lead] < 0.03
                for lead in TERRITORIES[wrong[0]]
                if lead not in ("V1",)
            ):
                return None
            wall = wrong[0]
        return "infarction", {"wall": wall, "Wall": wall.capitalize()}, ("infarction",)

    def _beat(self, true: bool) -> tuple | None:
        times = self.truth.features.beat_times
        onsets = self.truth.ecg.beat_times
        if len(times) != len(onsets) or np.abs(times - onsets).max() > 0.1:
            return None
        i = int(self.rng.integers(len(onsets)))
        time = float(onsets[i]) + 0.04
        if not true:
            time += self._pick((-1, 1)) * self.rng.uniform(0.3, 0.45) * float(np.diff(onsets).min()) + 0.02
            if min(abs(time - (onsets[i] + 0.04)), 1) < 0.2 or time < 0.1:
                return None
        return "beat_time", {"beat": str(i + 1), "time": f"{time:.2f}"}, ("beat_time",)

    # Wording ----------------------------------------------------------------------------------------------------

    def _sentence(self, key: str, fields: dict[str, str]) -> str:
        template = fields.pop("template", None) or self._pick(self.wordings[key])
        for _ in range(20):
            if not ("{low}" in template and not key.split("|")[0].endswith(("interval", "duration", "rate"))):
                break
            template = self._pick(self.wordings[key])
        text = template.format(**fields)
        return text if self.plain else self._perturbed(text)

    def _perturbed(self, text: str) -> str:
        """Openings, closings, Markdown, typographic signs, capitals and spaces as language models and people write."""
        opening, closing = self._pick(OPENINGS), self._pick(CLOSINGS)
        if not opening or opening.endswith(("- ", "* ", "1. ", "** ")):
            text = text[0].upper() + text[1:]
        text = f"{opening}{text}{closing}"
        if self.rng.random() < 0.15:
            text = text.replace("ST elevation", "**ST elevation**").replace("T wave", "**T wave**")
        if self.rng.random() < 0.15:
            text = text.replace(" ", "  ", 2)
        if self.rng.random() < 0.2:
            text = (
                text.replace("-", "\u2011")
                if "–" not in text and "{" not in text and " -" not in text and not text.startswith("-")
                else text
            )
        if self.rng.random() < 0.2:
            text = text.replace(" ms", "\u00a0ms").replace(" mV", "\u00a0mV")
        return text


def statements(truth_list: list[Truth], count: int, wording: str, seed: int) -> list[tuple[Truth, Statement]]:
    """`count` statements, half of them true, over the ECGs in turn."""
    rng = np.random.default_rng(seed)
    result = []
    for i in range(count):
        truth = truth_list[i % len(truth_list)]
        result.append((truth, StatementMaker(truth, rng, wording).draw(true=i // len(truth_list) % 2 == 0)))
    return result


PLANTS = ("wrong number", "wrong lead", "negated finding", "wrong rhythm", "swapped territory")


def falsified_texts(
    truth_list: list[Truth], count: int, wording: str, seed: int, sentences: int = 8
) -> list[tuple[Truth, str, Statement, int, int]]:
    """Texts of true sentences with one planted error: (ECG, text, the error, its first and last character)."""
    rng = np.random.default_rng(seed)
    result: list[tuple[Truth, str, Statement, int, int]] = []
    i = 0
    while len(result) < count:
        plant, truth = PLANTS[len(result) % len(PLANTS)], truth_list[i % len(truth_list)]
        i += 1
        if not _can_be_planted(truth, plant):
            continue
        maker = StatementMaker(truth, rng, wording)
        parts = [maker.draw(True).text.strip() for _ in range(sentences - 1)]
        error = maker.draw(False, plant)
        place = int(rng.integers(len(parts) + 1))
        parts.insert(place, error.text.strip())
        parts = [part if part.endswith((".", "!", "?")) else f"{part}." for part in parts]
        joint = "\n" if any(part[:2] in ("- ", "* ", "1.", "**") for part in parts) else " "
        start = len(joint.join(parts[:place])) + (len(joint) if place else 0)
        result.append((truth, joint.join(parts), error, start, start + len(parts[place])))
    return result


def _can_be_planted(truth: Truth, plant: str) -> bool:
    maker = StatementMaker(truth, np.random.default_rng(0), "templated")
    if plant == "swapped territory":
        return any(maker._wall(False) for _ in range(30))
    if plant == "negated finding":
        return any(maker._denial(False) for _ in range(30))
    if plant == "wrong lead":
        return any(maker._leads(False) for _ in range(30))
    return True


__all__ = ["PLANTS", "WORDINGS", "Statement", "falsified_texts", "statements"]
