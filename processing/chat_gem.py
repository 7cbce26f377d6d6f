# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Chats about ECGs: messages as plain dicts, and the records and pictures that their blocks name."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from PIL import Image

from .ecg_check import check_ecg
from .ecg_photo import DIGITIZER, TURNS, check_ecg_page, load_page_picture
from .ecg_readers import load_ecg
from .ecg_record import EcgRecord
from .errors_gem import GemError, MissingDependencyError, PlaceholderError
from .feature_extraction_gem import load_ecgs

# What a model sees of a record.
Modality = Literal["both", "signal", "image"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)

# What a caller may say of an ECG: keywords of `load_ecg`, and keys of an ECG block of a chat.
SOURCE_NAMES = ("sampling_rate", "leads", "unit", "gain", "index", "missing_leads", "start", "seconds")


def as_modality(name: str) -> Modality:
    """The name of a modality, checked.

    Raises:
        GemError: It is none of `MODALITIES`.
    """
    for modality in MODALITIES:
        if name == modality:
            return modality
    raise GemError(f"`modality` is 'both', 'signal' or 'image', got {name!r}.")


def is_chat(source: Any) -> bool:
    """Whether `source` is a list of messages, dicts or objects, with roles."""
    if not isinstance(source, (list, tuple)) or not source:
        return False
    return "role" in source[0] if isinstance(source[0], dict) else hasattr(source[0], "role")


def plain_message(message: Any) -> dict:
    """
    The message as a dict without empty keys. Like Transformers from 5.24 on, messages and blocks of their content may be
    dataclasses or pydantic models (the OpenAI SDK's).
    """
    plain = {name: value for name, value in _plain_dict(message).items() if value is not None}
    if isinstance(plain.get("content"), list):
        plain["content"] = [_plain_dict(block) for block in plain["content"]]
    return plain


def _plain_dict(value: Any) -> dict:
    if isinstance(value, dict):
        return value
    return value.model_dump(exclude_none=True) if hasattr(value, "model_dump") else vars(value)


def content_blocks(chat: list[dict]) -> list[dict]:
    """The blocks of all messages whose content is a list of blocks."""
    return [block for m in chat if isinstance(m.get("content"), list) for block in m["content"]]


def must_show_ecg(chat: list[dict]) -> None:
    """Refuses a chat that a model would answer with an invented reading.

    Raises:
        GemError: No message holds an ECG or a picture.
    """
    if not any(block["type"] in ("ecg", "image") for block in content_blocks(chat)):
        raise GemError(
            "The chat holds no ECG and no picture of one, so there is nothing to read; add a block such as "
            '{"type": "ecg", "path": "record.hea"} or {"type": "image", "path": "page.png"} to the content of a message.'
        )


def page_picture(source: Any, index: int | None = None) -> Image.Image:
    """A user's picture, loaded and judged; `index` is the page of a document with several.

    Raises:
        EcgFormatError: it cannot be read.
        EcgQualityError: it shows no ECG page.
    """
    if isinstance(source, Image.Image):
        return check_ecg_page(source)
    name = Path(source).name if isinstance(source, (str, Path)) else "picture"
    return check_ecg_page(load_page_picture(source, index), name)


def digitized(picture: Image.Image) -> EcgRecord:
    """The ECG that a page shows.

    Raises:
        MissingDependencyError: gem-ecg is not installed; the digitiser is not a part of a published model's code.
        EcgQualityError: see `processing.photo.digitize_ecg`.
    """
    try:
        photo = import_module(DIGITIZER)
    except ModuleNotFoundError as error:
        raise MissingDependencyError('Digitising a picture needs gem-ecg: pip install "gem-ecg[photo]"') from error
    return photo.digitize_ecg(picture)


def upright(picture: Image.Image, record: EcgRecord) -> Image.Image:
    """The picture as the page on it stands that `record` was digitised from: models learn from pages that stand upright."""
    quarters = getattr(record.metadata.get("page"), "quarters", 0)
    return picture.transpose(TURNS[quarters]) if quarters else picture


def digitized_blocks(picture: Image.Image) -> list[dict]:
    """A block with the ECG that a picture shows, and one with the picture, upright.

    Raises:
        EcgQualityError: Its signal cannot be recovered, or is no ECG.
    """
    record = check_ecg(digitized(picture))
    return [{"type": "ecg", "ecg": record}, {"type": "image", "image": upright(picture, record)}]


def with_digitized(chat: list[dict]) -> list[dict]:
    """The chat; before each picture block that says `digitize` is a block with the ECG recovered from it."""

    def blocks_for(block: dict) -> list[dict]:
        if block["type"] != "image" or not block.get("digitize"):
            return [block]
        return digitized_blocks(page_picture(block.get("image", block.get("path"))))

    return _replaced(chat, blocks_for)


def with_page_blocks(chat: list[dict]) -> list[dict]:
    """
    The chat; after each ECG block is an empty picture block. A chat that has pictures and ECG blocks with a `modality` of
    their own stay as they are.
    """
    if any(block["type"].startswith("image") for block in content_blocks(chat)):
        return chat

    def blocks_for(block: dict) -> list[dict]:
        gets_page = block["type"] == "ecg" and block.get("modality") is None
        return [block, {"type": "image"}] if gets_page else [block]

    return _replaced(chat, blocks_for)


def filled(chat: list[dict], draw: Callable[[EcgRecord], Image.Image]) -> list[dict]:
    """
    The chat; its ECG blocks hold records, and its empty picture blocks what `draw` makes of the ECG before them.

    Raises:
        PlaceholderError: An ECG block names no ECG, or an empty picture block has no ECG before it.
        GemError: An ECG cannot be read.
    """
    record: EcgRecord | None = None

    def blocks_for(block: dict) -> list[dict]:
        nonlocal record
        if block["type"] == "ecg":
            record = _load_block(block)
            alone = {"modality": "signal"} if block.get("modality") == "signal" else {}
            return [{"type": "ecg", "ecg": record, **alone}]
        if block["type"] == "image" and not {"image", "url", "path", "base64"} & set(block):
            if record is None:
                raise PlaceholderError("An image block holds no picture, and there is no ECG before it to draw.")
            return [{"type": "image", "image": draw(record)}]
        return [block]

    return _replaced(chat, blocks_for)


def _replaced(chat: list[dict], blocks_for: Callable[[dict], list[dict]]) -> list[dict]:
    """A copy of the chat with `blocks_for(block)` in the place of each block."""
    return [
        {**message, "content": [new for block in message["content"] for new in blocks_for(block)]}
        if isinstance(message.get("content"), list)
        else message
        for message in chat
    ]


def _load_block(block: dict[str, Any]) -> EcgRecord:
    for key in ("ecg", "path"):
        if block.get(key) is not None:
            source: dict[str, Any] = {name: block[name] for name in SOURCE_NAMES if block.get(name) is not None}
            return load_ecgs(block[key], **source)[0] if key == "ecg" else load_ecg(block[key], **source)
    raise PlaceholderError('An ECG block needs its ECG: {"type": "ecg", "path": ...} or {"type": "ecg", "ecg": ...}.')


__all__ = [
    "MODALITIES",
    "SOURCE_NAMES",
    "Modality",
    "as_modality",
    "content_blocks",
    "digitized",
    "digitized_blocks",
    "filled",
    "is_chat",
    "page_picture",
    "plain_message",
    "upright",
    "with_digitized",
    "with_page_blocks",
]
