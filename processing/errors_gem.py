# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The one exception family of gem-ecg: every message says what, where, what was expected and how to fix it."""

# A message names heads and names of a file, of which there may be thousands; the cure stands at its end.
_MAX_MESSAGE = 2000


class GemError(ValueError):
    """Base of all errors that a user's input can cause. A long message is cut in its midst."""

    def __init__(self, message: object = "") -> None:
        text = str(message)
        half = _MAX_MESSAGE // 2
        super().__init__(text if len(text) <= _MAX_MESSAGE else f"{text[:half]} ... {text[-half:]}")


class EcgFormatError(GemError):
    """A file or array cannot be read as an ECG."""


class ReadBudgetError(EcgFormatError):
    """To read a file took more memory than there is; or, of a file of unknown origin, more memory or time than it may."""


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
    """A teacher, a judge or the endpoint behind it gave no usable answer, or may not be asked."""


class BuildError(GemError):
    """A data set cannot be built as asked: settings, folder, disk or sources; what was finished before stays valid."""


class PublishError(GemError):
    """A folder may not or cannot be published; nothing incomplete is left behind on the Hub."""


class TrainingError(GemError):
    """Training cannot start or go on: the data, the settings or the loss are not what they must be."""


class EvaluationError(GemError):
    """Answers cannot be scored: the files do not belong together, or a score would be invented."""


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
