# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What one user has open, and what a click does with it: pure Python, the interface only wires it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from processing.ecg_features import EcgFeatures, extract_features
from processing.errors_gem import GemError
from processing.evidence.html import evidence_fragment
from processing.grounding.check import check_grounding
from processing.processing_gem import Modality

from .interpreter import Interpreter
from .uploads import Upload, read_sample, read_upload

MODALITIES: dict[str, Modality] = {"Both": "both", "Signal only": "signal", "Picture only": "image"}


@dataclass(frozen=True, eq=False)
class Session:
    """One user's ECG, its measurements and the conversation about it."""

    upload: Upload | None = None
    features: EcgFeatures | None = None
    chat: tuple[dict, ...] = field(default=())

    def __deepcopy__(self, memo: dict) -> "Session":
        return self  # nothing in it is ever changed

    def anew(self) -> "Session":
        """The same ECG with nothing said about it yet."""
        return Session(self.upload, self.features)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation as texts."""
        shown = []
        for turn in self.chat:
            text = next(block["text"] for block in turn["content"] if block["type"] == "text")
            shown.append({"role": turn["role"], "content": text})
        return shown


def open_ecg(files: list[str] | None, sample: str | None) -> Session:
    """A session with an ECG: uploaded files, or else a sample.

    Raises:
        GemError: neither, or not an ECG.
    """
    if not files and not sample:
        raise GemError("Upload an ECG or choose a sample first.")
    upload = read_upload(files) if files else read_sample(str(sample))
    if upload.record is None:
        return Session(upload)
    return Session(upload, extract_features(upload.record).check_plausibility())


def ask(session: Session, interpreter: Interpreter, question: str, modality: Modality) -> Iterator[Session]:
    """The session with the growing answer. The first question starts a conversation, later ones go on with it.

    Raises:
        GemError: no ECG, or the modality does not fit it.
    """
    if session.upload is None:
        raise GemError("Upload an ECG or choose a sample first.")
    if session.chat:
        chat = interpreter.follow_up(list(session.chat), question)
    else:
        chat = interpreter.start(session.upload, question, modality)
    for text in interpreter.stream(chat):
        answer = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        yield replace(session, chat=(*chat, answer))


def evidence(session: Session) -> str:
    """The claims of the last answer on the page, as HTML; why not, where there is nothing to check against."""
    if session.upload is None or session.upload.record is None or session.features is None:
        return (
            '<p class="gem-message">A picture has no signal to check the claims against: give the record itself.</p>'
        )
    text = session.messages[-1]["content"]
    return evidence_fragment(session.upload.record, session.features, check_grounding(text, session.features))


def explained(work: Callable[[], Any]) -> tuple[Any, str]:
    """The result of `work` and "", or `None` and what a user can do about the error."""
    try:
        return work(), ""
    except (GemError, OSError) as error:
        return None, str(error)


__all__ = ["MODALITIES", "Session", "ask", "evidence", "explained", "open_ecg"]
