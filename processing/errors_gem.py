# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The exceptions of gem-ecg. Every message states what is wrong, where, what was expected and how to fix it."""

# A message quotes names of a file, of which there may be thousands; its end says what to do.
_MAX_MESSAGE = 2000


class GemError(ValueError):
    """Base of all errors that a user's input can cause. A long message is shortened in the middle."""

    def __init__(self, message: object = "") -> None:
        text = str(message)
        half = _MAX_MESSAGE // 2
        super().__init__(text if len(text) <= _MAX_MESSAGE else f"{text[:half]} ... {text[-half:]}")


class EcgFormatError(GemError):
    """A file or array cannot be read as an ECG."""


class ReadBudgetError(EcgFormatError):
    """Reading a file needs more memory than there is, or, for a file of unknown origin, more memory or time than is allowed."""


class EcgLeadError(GemError):
    """Leads are unknown, missing or duplicated."""


class EcgQualityError(GemError):
    """The signal was read, but it cannot be what it claims to be (flat, too short, out of range)."""


class PlaceholderError(GemError):
    """The `<ecg>`/`<image>` placeholders of a prompt do not match the ECGs and pictures given with it."""


class ClaimError(GemError):
    """A text cannot be read for claims."""


class CheckpointError(GemError):
    """A checkpoint holds keys too many, too few, or of another shape."""


class MissingDependencyError(GemError):
    """An optional library is needed for this file; the message names the extra to install."""


class TeacherError(GemError):
    """A teacher, a judge or its endpoint gave no usable answer, or may not be asked."""


class BuildError(GemError):
    """A data set cannot be built because of its settings, folder, disk or sources; finished parts stay valid."""


class PublishError(GemError):
    """A folder cannot or must not be published; nothing incomplete is left on the Hub."""


class TrainingError(GemError):
    """Training cannot start or continue because of the data, the settings or the loss."""


class EvaluationError(GemError):
    """Answers cannot be scored: the files do not belong together, or the score is undefined."""


__all__ = [
    "BuildError",
    "CheckpointError",
    "ClaimError",
    "EcgFormatError",
    "EcgLeadError",
    "EcgQualityError",
    "EvaluationError",
    "GemError",
    "MissingDependencyError",
    "PlaceholderError",
    "PublishError",
    "ReadBudgetError",
    "TeacherError",
    "TrainingError",
]
