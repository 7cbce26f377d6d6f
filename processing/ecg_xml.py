# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""XML documents: safely parsed, searched by local names, numbers checked.

Every document is parsed by `defusedxml`: entity declarations (entity bombs, external entities) are refused.
"""

from typing import Any

import numpy as np

from .ecg_raw import NO_SAMPLE_16, wrapped
from .errors_gem import EcgFormatError

# An aECG of a day with a mark per beat has 200,000 elements of two attributes; each takes up to a kilobyte of memory.
_MAX_TAGS, _MAX_ATTRIBUTES = 2**19, 2**20


def parsed_xml(data: bytes, name: str) -> Any:
    """The root element of a document.

    Raises:
        EcgFormatError: not well-formed, with entity declarations, or of more elements than any record has.
    """
    from defusedxml import DefusedXmlException, ElementTree

    tags, attributes = data.count(b"<"), data.count(b"=")
    if tags > _MAX_TAGS or attributes > _MAX_ATTRIBUTES:
        raise EcgFormatError(
            f"{name}: an XML with {tags:,} tags and up to {attributes:,} attributes is not an ECG; export the record alone."
        )
    try:
        return ElementTree.fromstring(data)
    except DefusedXmlException as error:
        raise EcgFormatError(
            f"{name}: the XML declares entities or external references ({type(error).__name__}), which are never "
            "expanded. No ECG device writes them; export the file again."
        ) from error
    except Exception as error:
        raise wrapped(name, "XML", error) from error


def local_name(tag: Any) -> str:
    """A tag without its namespace."""
    return str(tag).rpartition("}")[2]


def children(element: Any, name: str) -> list[Any]:
    """The direct children of that local name."""
    return [child for child in element if local_name(child.tag) == name]


def find(element: Any, path: str) -> Any:
    """The first element at `path` (local names joined by `/`), or `None`."""
    for part in path.split("/"):
        element = next(iter(children(element, part)), None) if element is not None else None
    return element


def text_at(element: Any, path: str, default: str = "") -> str:
    """The stripped text of the first element at `path`."""
    found = find(element, path)
    return (found.text or "").strip() if found is not None else default


def number(text: str, what: str, name: str) -> float:
    """`text` as a finite number.

    Raises:
        EcgFormatError: it is none; the message names `what`.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise EcgFormatError(f"{name}: {what} is {text[:40]!r}, not a number; the file is corrupt.")
    return value


def numbers(text: str, label: str, name: str) -> np.ndarray:
    """The samples of a lead: integers or decimals separated by blanks, commas or semicolons; "no sample" is NaN.

    Raises:
        EcgFormatError: there are none, or one is not a number.
    """
    written = text.replace(",", " ").replace(";", " ").split()
    try:
        # Nearly all documents hold integers, which are read in half the time.
        samples = np.fromiter(map(int, written), np.float64, len(written))
    except ValueError:
        samples = _decimals(written, label, name)
    if samples.size == 0:
        raise EcgFormatError(f"{name}: lead {label} has no samples; the file is truncated.")
    samples[samples == NO_SAMPLE_16] = np.nan
    return samples


def _decimals(written: list[str], label: str, name: str) -> np.ndarray:
    try:
        return np.fromiter(map(float, written), np.float64, len(written))
    except ValueError as error:
        raise EcgFormatError(
            f"{name}: lead {label} has a sample that is not a number ({error}); export it again."
        ) from error


def check_equal_lengths(lengths: dict[str, int], name: str) -> None:
    """Leads that were recorded together have the same number of samples.

    Raises:
        EcgFormatError: they have not.
    """
    if len(set(lengths.values())) > 1:
        raise EcgFormatError(f"{name}: leads of unequal length {lengths}; the file is truncated.")


__all__ = [
    "check_equal_lengths",
    "children",
    "find",
    "local_name",
    "number",
    "numbers",
    "parsed_xml",
    "text_at",
]
