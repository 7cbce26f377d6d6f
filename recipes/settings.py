# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Settings that people write, as pydantic models with readable errors."""

from collections.abc import Iterator
from inspect import isclass
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from processing.errors_gem import GemError


class Settings(BaseModel):
    """Base of settings that people write: unknown keys are refused, and the values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, values: Any, where: str, error: type[GemError]) -> Self:
        """
        The settings from plain values.

        Args:
            values: a mapping, as read from YAML or JSON.
            where: the source of the values, such as a file, for the message.
            error: class of the exception.

        Raises:
            `error`: its message lists every unknown or missing key and every wrong value, with what is expected.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as wrong:
            raise error(f"{where}: {'; '.join(_in_words(wrong, cls))}.") from wrong


def _in_words(wrong: ValidationError, kind: type[BaseModel]) -> Iterator[str]:
    unknown: dict[tuple[int | str, ...], list[str]] = {}
    for problem in wrong.errors():
        place, given, context = problem["loc"], problem["input"], problem.get("ctx", {})
        key = _dotted(place)
        match problem["type"]:
            case "extra_forbidden":
                unknown.setdefault(place[:-1], []).append(str(place[-1]))
            case "missing":
                yield f"{key!r} is missing"
            case "value_error":  # of our own validators, which go on after the key
                yield f"{key} {context['error']}".strip()
            case "greater_than_equal":
                yield f"{key} must be at least {context['ge']:g}, got {given!r}"
            case "model_type":
                yield f"{key}: expected keys {list(_model_at(kind, place).model_fields)}, got {given!r}"
            case "literal_error":
                yield f"{key} is {context['expected'].replace(chr(39), '')}, got {given!r}"
            case _:
                yield f"{key}: {problem['msg'].replace('Input should be', 'expected')}, got {given!r}"
    for place, names in unknown.items():
        begin = f"{_dotted(place)}: " if place else ""
        yield f"{begin}unknown key(s) {names}; known are {list(_model_at(kind, place).model_fields)}"


def _dotted(place: tuple[int | str, ...]) -> str:
    """`sources[0].format` of `("sources", 0, "format")`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _model_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    for name in place:
        if isinstance(name, str):
            annotation = kind.model_fields[name].annotation
            kind = next(t for t in (annotation, *get_args(annotation)) if isclass(t) and issubclass(t, BaseModel))
    return kind


__all__ = ["Settings"]
