# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What one user has open, and what becomes of it: pure Python, the interface only wires it."""

import pickle
from dataclasses import dataclass, replace

from modeling_gem.interpretation import Interpretation, check_answer
from processing.ecg_features import EcgFeatures, extract_features
from processing.errors_gem import GemError
from processing.processing_gem import Modality

from .interpreter import Interpreter
from .uploads import Upload

MODALITIES: dict[str, Modality] = {"Both": "both", "Signal only": "signal", "Picture only": "image"}
CHAT_BYTES = 2**20  # of a conversation with the picture that the model sees
NOTHING_OPEN = "Open an ECG first: upload one or choose a sample. (Records are kept for an hour at most.)"


@dataclass(frozen=True, eq=False)
class Session:
    """One user's ECG, its measurements and the conversation about it.

    Attributes:
        reading: the last answer, checked; `None` where there is none, or while it is being written.
        size: bytes that it takes in memory, nearly.
    """

    upload: Upload | None = None
    features: EcgFeatures | None = None
    chat: tuple[dict, ...] = ()
    reading: Interpretation | None = None
    size: int = 0

    def anew(self) -> "Session":
        """The same ECG with nothing said about it yet."""
        return replace(self, chat=(), reading=None)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation as texts."""
        shown = []
        for turn in self.chat:
            text = next(block["text"] for block in turn["content"] if block["type"] == "text")
            shown.append({"role": turn["role"], "content": text})
        return shown


def measured(upload: Upload) -> Session:
    """A session with an ECG that nothing has been said about yet.

    Raises:
        GemError: it cannot be an ECG.
    """
    features = None if upload.record is None else extract_features(upload.record).check_plausibility()
    return Session(upload, features, size=CHAT_BYTES + len(pickle.dumps((upload, features))))


def asked(session: Session, interpreter: Interpreter, question: str, modality: Modality) -> Session:
    """The session with a question in its conversation. The first one starts it, later ones go on with it.

    Raises:
        GemError: no ECG, no question, or the modality does not fit the ECG.
    """
    if session.upload is None:
        raise GemError(NOTHING_OPEN)
    if session.chat:
        chat = interpreter.follow_up(list(session.chat), question)
    else:
        chat = interpreter.start(session.upload, question, modality)
    return replace(session, chat=tuple(chat), reading=None)


def answered(session: Session, text: str) -> Session:
    """The session with an answer behind its question."""
    answer = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    return replace(session, chat=(*session.chat, answer))


def checked(session: Session) -> Session:
    """The session with its last answer checked against the waveform, where there is one."""
    return replace(session, reading=check_answer(session.messages[-1]["content"], session.features))


__all__ = ["MODALITIES", "Session", "answered", "asked", "checked", "measured"]
