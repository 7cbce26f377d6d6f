# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The session of one user: the open ECG, its measurements and the conversation. Pure Python, without the interface."""

import pickle
from dataclasses import dataclass, replace

from modeling_gem.interpretation import Grounding, Interpretation, MoreAnswers, check_answer
from processing.chat_gem import Modality
from processing.ecg_features import EcgFeatures, extract_features
from processing.errors_gem import GemError
from processing.evidence.answer import MarkedWords
from recipes.teachers.diagnoses import LabelCheck, check_label

from .interpreter import Interpreter
from .uploads import Upload

MODALITIES: dict[str, Modality] = {"Both": "both", "Signal only": "signal", "Picture only": "image"}
GROUNDINGS: dict[str, Grounding] = {"Mark": "flag", "Try other answers": "select", "Correct": "correct"}
CHAT_BYTES = 2**20  # of a conversation with the picture that the model sees
NOTHING_OPEN = "Open an ECG first: upload one or choose a sample. (Records are kept for an hour at most.)"


@dataclass(frozen=True, eq=False)
class Session:
    """One user's ECG, its measurements and the conversation about it.

    Attributes:
        chat: the conversation as the model sees it.
        readings: the checked answers of the chat; the last one is missing while it is being written.
        labels: comparisons of the answers with the diagnoses in the ECG's own file, if it has any.
        marks: the words of the answers that are linked to marks on the page.
        size: approximate memory, bytes.
    """

    upload: Upload | None = None
    features: EcgFeatures | None = None
    chat: tuple[dict, ...] = ()
    readings: tuple[Interpretation, ...] = ()
    labels: tuple[LabelCheck | None, ...] = ()
    marks: tuple[tuple[MarkedWords, ...], ...] = ()
    size: int = 0

    def anew(self) -> "Session":
        """The same ECG without a conversation."""
        return replace(self, chat=(), readings=(), labels=(), marks=())


def measured(upload: Upload) -> Session:
    """A session with an ECG that nothing has been said about yet.

    Raises:
        GemError: it cannot be an ECG.
    """
    features = None if upload.record is None else extract_features(upload.record).check_plausibility()
    return Session(upload, features, size=CHAT_BYTES + len(pickle.dumps((upload, features))))


def asked(session: Session, interpreter: Interpreter, question: str, modality: Modality) -> Session:
    """The session with a question in its conversation. The first one starts it, later ones continue it.

    Raises:
        GemError: no ECG, no question, or the modality does not fit the ECG.
    """
    if session.upload is None:
        raise GemError(NOTHING_OPEN)
    if not session.chat:
        return replace(session, chat=tuple(interpreter.start(session.upload, question, modality)))
    chat = interpreter.follow_up(list(session.chat), question)
    forgotten = len(session.readings) - len(chat) // 2
    return replace(
        session,
        chat=tuple(chat),
        readings=session.readings[:1] + session.readings[1 + forgotten :],
        labels=session.labels[:1] + session.labels[1 + forgotten :],
        marks=session.marks[:1] + session.marks[1 + forgotten :],
    )


def answered(session: Session, text: str) -> Session:
    """The session with an answer after its question."""
    answer = {"role": "assistant", "content": [{"type": "text", "text": text}]}
    return replace(session, chat=(*session.chat, answer))


def text_of(turn: dict) -> str:
    """What is said in a turn of a chat."""
    return next(block["text"] for block in turn["content"] if block["type"] == "text")


def checked(
    session: Session, grounding: Grounding = "flag", more: MoreAnswers | None = None, doubt: str | None = None
) -> Session:
    """The session with its last answer checked against the waveform, where there is one; arguments as in `check_answer`, and what is
    doubtful about the question."""
    found = check_answer(text_of(session.chat[-1]), session.features, grounding=grounding, more=more)
    reading = replace(found, question_doubt=doubt)
    chosen = answered(replace(session, chat=session.chat[:-1]), reading.text)
    record = session.upload.record if session.upload is not None else None
    label = check_label(record.labels, reading.text) if record is not None else None
    return replace(chosen, readings=(*session.readings, reading), labels=(*session.labels, label))


__all__ = [
    "GROUNDINGS",
    "MODALITIES",
    "NOTHING_OPEN",
    "Session",
    "answered",
    "asked",
    "checked",
    "measured",
    "text_of",
]
