# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The diagnosis guider (section 3.4 of the paper): writes a teacher's chat from measurements and settled findings."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

from processing.ecg_features import EcgFeatures
from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import TeacherError

from .measurements import MeasurementText, measurements_to_text
from .protocol import CRITERIA

TEMPLATES = Path(__file__).parent / "templates"
LATEST = "v1"
VARIANTS = ("standard", "protocol")
STEPS = ("rate", "rhythm", "P and PR", "axis", "QRS", "R progression", "ST", "T", "QT", "synthesis")
UNITS = ("bpm", "ms", "mV", "degrees", "ratio", "")
MIN_MEASUREMENT_TOKENS = 300  # the record as a whole and its findings
CHARACTERS_PER_WORD_TOKEN = 4.0  # of English prose

Message = dict[str, Any]


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    # All keys required and no others: what the strict mode of OpenAI's endpoints asks for.
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


ANSWER_SCHEMA = _object(
    {
        "steps": _list(
            _object(
                {
                    "step": {"type": "string", "enum": list(STEPS)},
                    "finding": {"type": "string"},
                    "evidence": _list(
                        _object(
                            {
                                "claim": {"type": "string"},
                                "leads": _list({"type": "string", "enum": list(STANDARD_LEADS)}),
                                "beats": {"type": "string"},
                                "value": {"type": ["number", "null"]},
                                "unit": {"type": "string", "enum": list(UNITS)},
                            }
                        )
                    ),
                }
            )
        ),
        "impression": _list({"type": "string"}),
        "text": {"type": "string"},
    }
)


class DiagnosisGuider:
    """
    Writes the chat that asks a teacher to interpret an ECG step by step, and to give lead, beat and value for each finding.

    Args:
        version: of the templates; a published version never changes its wording (`digest` proves it).
        variant: `standard`, or `protocol`, which adds quantitative limits with their sources.
        max_tokens: budget of the whole chat (2.6 characters per token of numbers, 4 per token of prose); the measurements get
            the part that instructions and report leave.
        max_words: longest interpretation.
        min_words: shortest interpretation.
        structured: ask for JSON by `schema` (evidence items beside the prose), else for prose.

    Examples:
        >>> from processing.ecg_features import extract_features
        >>> from processing.simulator.simulator import simulate_ecg
        >>> features = extract_features(simulate_ecg(heart_rate=72, seed=1).record)
        >>> messages = DiagnosisGuider()(features, report="sinus rhythm, normal ECG")
        >>> [message["role"] for message in messages]
        ['system', 'user']
    """

    def __init__(
        self,
        version: str = LATEST,
        variant: str = "standard",
        max_tokens: int = 8000,
        max_words: int = 300,
        min_words: int = 80,
        structured: bool = True,
    ) -> None:
        """
        Raises:
            TeacherError: version or variant is unknown, the lengths contradict each other, jinja2 is missing.
        """
        if not TEMPLATES.is_dir():  # remote code on the Hub carries no templates
            raise TeacherError(
                f"DiagnosisGuider: no templates in {TEMPLATES}; it needs gem-ecg itself: pip install gem-ecg."
            )
        versions = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir())
        if version not in versions:
            raise TeacherError(f"DiagnosisGuider: version {version!r} is unknown; there are {versions}.")
        if variant not in VARIANTS:
            raise TeacherError(f"DiagnosisGuider: variant {variant!r} is unknown; there are {list(VARIANTS)}.")
        if not 0 < min_words < max_words:
            raise TeacherError(f"DiagnosisGuider: 0 < min_words < max_words, not {min_words} and {max_words}.")
        self.version, self.variant, self.max_tokens = version, variant, max_tokens
        self.max_words, self.min_words, self.structured = max_words, min_words, structured
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(TEMPLATES / version),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._user = environment.get_template("user.j2")
        self._retry = environment.get_template("retry.j2")
        topics = [(topic, list(rules)) for topic, rules in groupby(CRITERIA, key=lambda criterion: criterion.topic)]
        self.system = environment.get_template("system.j2").render(
            criteria=topics if variant == "protocol" else [],
            structured=structured,
            min_words=min_words,
            max_words=max_words,
        )
        files = sorted((TEMPLATES / version).glob("*.j2"))
        self._digest = sha256(b"\0".join([self.system.encode(), *(path.read_bytes() for path in files)])).hexdigest()

    @property
    def name(self) -> str:
        """For provenance: version, variant and the first digits of `digest`."""
        return f"{self.version}-{self.variant}-{self._digest[:8]}"

    @property
    def digest(self) -> str:
        """SHA-256 of the wording in use, in hex."""
        return self._digest

    @property
    def schema(self) -> dict[str, Any] | None:
        """JSON schema of the answer; `None` where prose alone is asked for."""
        return ANSWER_SCHEMA if self.structured else None

    def __call__(
        self, features: EcgFeatures, report: str | None = None, labels: Sequence[str] | Mapping[str, Any] = ()
    ) -> list[Message]:
        """
        Args:
            features: measurements of the ECG.
            report: the settled findings in words, any language.
            labels: further settled findings, in words; of a mapping the keys.

        Returns:
            A system and a user message.

        Raises:
            TeacherError: neither report nor labels; the budget does not even hold the instructions.
        """
        settled = _settled(report, labels)
        if not settled:
            raise TeacherError(
                f"{features.record_id or 'ECG'}: neither a report nor labels; a teacher must not diagnose by itself. "
                "Give `report=` or `labels=`."
            )
        measured = self._measurements(features, settled)
        user = self._user.render(measurements=measured.text, level=measured.level, settled=settled)
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]

    def again(self, messages: Sequence[Mapping[str, Any]], answer: str, reasons: Sequence[str]) -> list[Message]:
        """The chat that asks for a second attempt and names the faults of the first."""
        retry = self._retry.render(reasons=reasons)
        return [
            *map(dict, messages),
            {"role": "assistant", "content": answer},
            {"role": "user", "content": retry},
        ]

    def _measurements(self, features: EcgFeatures, settled: str) -> MeasurementText:
        frame = self._user.render(measurements="", level="", settled=settled)
        used = (len(self.system) + len(frame)) / CHARACTERS_PER_WORD_TOKEN
        left = int(self.max_tokens - used)
        if left < MIN_MEASUREMENT_TOKENS:
            raise TeacherError(
                f"{features.record_id or 'ECG'}: instructions and report take {used:.0f} of {self.max_tokens} tokens, "
                f"{MIN_MEASUREMENT_TOKENS} are needed for measurements; raise max_tokens or shorten the report."
            )
        return measurements_to_text(features, left)


def _settled(report: str | None, labels: Sequence[str] | Mapping[str, Any]) -> str:
    lines = [_inert(report)] if report and report.strip() else []
    lines += [f"- {_inert(label)}" for label in labels]
    return "\n".join(lines)


def _inert(text: str) -> str:
    """A report's text cannot close its block: what looks like one of our tags loses its brackets."""
    return re.sub(r"</?\s*(settled|measurements)\s*>", r"\1", text.strip(), flags=re.IGNORECASE)


__all__ = ["ANSWER_SCHEMA", "LATEST", "STEPS", "VARIANTS", "DiagnosisGuider"]
