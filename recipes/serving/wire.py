# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
The wire format of all servers of GEM: how the messages of an OpenAI request hold ECGs and pages.

A part is `text`, `image_url` (a page), or an ECG in one of three forms: OpenAI's `file`, `audio_url` (which vLLM accepts), or `ecg`.
What a file does not state (sampling rate, unit, leads ...) is given beside it in the part, or in its data URL:
`data:text/csv;sampling_rate=500;unit=mV;base64,...`. So is what is to be done with a picture (`digitize`). Only bytes are taken out here;
`uploads.py` reads them.
"""

import base64
import binascii
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar
from urllib.parse import quote, unquote

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from processing.ecg_picture_files import is_picture, is_picture_data
from processing.ecg_readers import MissingLeads
from processing.errors_gem import GemError
from recipes.settings import Settings

# Of one file, before it is decoded from base64; and of all that one request holds.
MAX_FILE_BYTES = 20 * 2**20
MAX_TEXT = 8000
MAX_MESSAGES = 64
MAX_ECGS = MAX_PICTURES = 4
KNOWN_PARTS = ("text", "file", "audio_url", "ecg", "image_url")
_DATA_URL = re.compile(r"data:(?P<head>[^,]{0,2000}),", re.IGNORECASE)


class WireError(GemError):
    """What was sent cannot be used.

    Attributes:
        status: of the HTTP response.
        code: a word for programs.
        param: where in the request, such as `messages[0].content[1]`.
    """

    def __init__(self, message: object, status: int = 400, code: str = "invalid_request", param: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


def _names(value: Any) -> Any:
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def _numbers(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value if isinstance(value, list | None) else [value]


class EcgOptions(Settings):
    """What the sender states about an ECG: keywords of `load_ecg`. In a URL lists have commas, percent-encoded: `leads=I%2CII`."""

    sampling_rate: float | None = Field(None, gt=0, description="In Hz, if the file states none.")
    unit: Literal["mV", "uV", "V", "nV"] | None = Field(None, description="Unit of the samples.")
    leads: Annotated[list[str] | None, BeforeValidator(_names)] = Field(
        None, description="Names of the rows; of a file that names its leads, those to use."
    )
    gain: Annotated[list[float] | None, BeforeValidator(_numbers)] = Field(
        None, description="Raw counts per mV, one number or one per lead."
    )
    index: int | None = Field(
        None, ge=0, description="Number of the record in a file of several, or of the page in a document, from 0."
    )
    missing_leads: MissingLeads | None = Field(None, description="As in `load_ecg`; `derive` if not given.")
    start: float | None = Field(None, ge=0, description="First second to use.")
    seconds: float | None = Field(None, gt=0, description="Number of seconds to use.")


class PictureOptions(Settings):
    """Options that a sender gives for a picture."""

    index: int | None = Field(None, ge=0, description="The page of a document of several; from 0.")
    digitize: bool | None = Field(
        None,
        description="Recover the signal that a picture shows, so that the model sees both and the answer can be checked.",
    )
    page_layout: str | None = Field(None, max_length=40, description="Of a page that is digitised, such as 3x4+1.")
    page_speed: float | None = Field(None, gt=0, description="mm/s, where a page that is digitised does not state it.")
    page_gain: float | None = Field(None, gt=0, description="mm per mV, where such a page does not state it.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.digitize is False and (self.page_layout or self.page_speed or self.page_gain):
            raise ValueError(
                "page_layout, page_speed and page_gain are of a picture that is digitised; leave out digitize=false"
            )
        return self


class SentOptions(PictureOptions, EcgOptions):
    """All options that a file may have; which of them it takes depends on its content."""

    def said(self) -> dict[str, Any]:
        """The options that were given."""
        return self.model_dump(exclude_none=True)


OPTIONS = tuple(SentOptions.model_fields)


@dataclass(frozen=True)
class SentFile:
    """A file as it was sent.

    Attributes:
        data: its bytes; empty if `path` is given.
        name: the sender's name for it, for messages.
        options: see `EcgOptions` and `PictureOptions`.
        path: an allowed file on this machine.
    """

    data: bytes = field(repr=False)
    name: str = "ECG"
    options: Mapping[str, Any] = field(default_factory=dict)
    path: str | None = None


@dataclass(frozen=True)
class SentEcg:
    """An ECG in a message."""

    file: SentFile


@dataclass(frozen=True)
class SentPicture:
    """The picture of an ECG page in a message."""

    file: SentFile

    @property
    def page(self) -> dict[str, Any]:
        """What was said of the page, as keywords of `digitize_ecg`."""
        words = {name: f"page_{name}" for name in ("layout", "speed", "gain")}
        return {name: self.file.options[word] for name, word in words.items() if word in self.file.options}

    def is_digitized(self, default: bool) -> bool:
        """Whether its signal is to be recovered: as was said, else by `default`, or where the page is described."""
        return bool(self.file.options.get("digitize", default or self.page))


SentPart = str | SentEcg | SentPicture


@dataclass(frozen=True)
class SentMessage:
    """A turn of a conversation."""

    role: str
    parts: tuple[SentPart, ...]


class Fetch(Protocol):
    """Opens a `file://` or `http(s)://` URL, or refuses it."""

    def __call__(self, url: str, options: Mapping[str, Any]) -> SentFile:
        """The file after `url`, as the part's options want it."""


def no_urls(url: str, options: Mapping[str, Any]) -> SentFile:
    """The `Fetch` of a server that opens no URLs.

    Raises:
        WireError: always.
    """
    scheme = url.partition(":")[0][:20]
    raise WireError(
        f"URLs of the kind `{scheme}:` are not opened here. Send the file itself as a data URL, `data:;base64,...`, or start the "
        "server with --allowed-local-media-path or --allowed-media-domains."
    )


def data_url(data: bytes, media_type: str = "application/octet-stream", **options: Any) -> str:
    """A data URL of a file, for messages to `gem serve` and vLLM.

    Args:
        data: the file.
        media_type: of the file.
        **options: keywords of `load_ecg` that state what the file does not, such as `sampling_rate` in Hz; lists are joined by commas.

    Example:
        >>> data_url(b"I,II", "text/csv", sampling_rate=500, leads=["I", "II"])
        'data:text/csv;sampling_rate=500;leads=I%2CII;base64,SSxJSQ=='
    """
    said = [(name, ",".join(map(str, value)) if isinstance(value, list) else value) for name, value in options.items()]
    parameters = "".join(f";{name}={quote(str(value), safe='')}" for name, value in said)
    return f"data:{media_type}{parameters};base64,{base64.b64encode(data).decode()}"


def decode_data_url(url: str, where: str = "url") -> tuple[bytes, dict[str, Any]]:
    """The bytes of a data URL, and what its parameters say of them.

    Raises:
        WireError: it is not a data URL, not in base64, too large, or has a parameter that is unknown or occurs twice.
    """
    found = _DATA_URL.match(url)
    if found is None:
        raise WireError(f"{where}: no data URL; it begins with `data:TYPE;base64,`.", param=where)
    _, *words = found["head"].split(";")
    if not words or words.pop().strip().lower() != "base64":
        raise WireError(f"{where}: the data URL is not in base64; it begins with `data:TYPE;base64,`.", param=where)
    options: dict[str, Any] = {}
    for word in words:
        name, _, value = word.strip().partition("=")
        if name in options:
            raise WireError(f"{where}: the data URL says {name!r} twice.", param=where)
        if name not in ("charset", "name"):
            options[name] = unquote(value)
    return _decode(url[found.end() :], where), sent_options(options, where)


def sent_options(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options of a file, checked.

    Raises:
        WireError: an unknown option, or a wrong value.
    """
    try:
        return SentOptions.read(dict(given), where, GemError).said()
    except GemError as error:
        raise WireError(error, param=where) from error


def read_messages(messages: Iterable[Mapping[str, Any]], fetch: Fetch = no_urls) -> list[SentMessage]:
    """
    The messages of a chat completion, with the files that they hold.

    Raises:
        WireError: an unknown role, part or key, a missing file, or too many or too large files.
    """
    read = [_message(message, f"messages[{number}]", fetch) for number, message in enumerate(messages)]
    if not read or read[-1].role != "user":
        raise WireError("`messages` ends with a question: a message of the role `user`.", param="messages")
    if len(read) > MAX_MESSAGES:
        raise WireError(f"{len(read):,} messages; a conversation has {MAX_MESSAGES} at most.", param="messages")
    parts = [part for message in read for part in message.parts]
    for kind, most, what in ((SentEcg, MAX_ECGS, "ECGs"), (SentPicture, MAX_PICTURES, "pictures")):
        if (number := sum(isinstance(part, kind) for part in parts)) > most:
            raise WireError(f"{number} {what}; a request holds {most} at most.", param="messages")
    if (length := sum(len(part) for part in parts if isinstance(part, str))) > MAX_TEXT:
        raise WireError(f"{length:,} characters of text; a request holds {MAX_TEXT:,} at most.", param="messages")
    return read


def _message(message: Mapping[str, Any], where: str, fetch: Fetch) -> SentMessage:
    role, content = message.get("role"), message.get("content")
    if role not in ("system", "user", "assistant"):
        raise WireError(f"{where}.role is system, user or assistant, got {role!r:.50}.", param=f"{where}.role")
    if unknown := sorted(set(message) - {"role", "content", "name"}):
        raise WireError(f"{where}: unknown key(s) {unknown}; known are role, content and name.", param=where)
    if isinstance(content, str):
        return SentMessage(role, (_text(content, f"{where}.content"),))
    if not isinstance(content, list) or not content:
        raise WireError(f"{where}.content is a text or a list of parts.", param=f"{where}.content")
    places = [f"{where}.content[{number}]" for number in range(len(content))]
    parts = tuple(read_part(part, place, fetch) for part, place in zip(content, places, strict=True))
    if role != "user" and not all(isinstance(part, str) for part in parts):
        raise WireError(f"{where}: ECGs and pictures belong in messages of the role `user`.", param=where)
    return SentMessage(role, parts)


def read_part(part: Any, where: str, fetch: Fetch = no_urls) -> SentPart:
    """
    One part of a message: its text or its file. A file is a picture if its first bytes are, whatever the type of the part.

    Raises:
        WireError: see `read_messages`.
    """
    kind = part.get("type") if isinstance(part, Mapping) else None
    match kind:
        case "text":
            return _text(_only(part, ("text",), where)["text"], where)
        case "image_url":
            inner = _only(_inner(part, kind, where), ("url", "detail", *PictureOptions.model_fields), where)
            return _meant(SentPicture(_from_url(inner.get("url"), _options_in(inner), "picture", where, fetch)), where)
        case "audio_url":
            inner = _only(_inner(part, kind, where), ("url", *OPTIONS), where)
            return by_content(_from_url(inner.get("url"), _options_in(inner), "ECG", where, fetch), where)
        case "file":
            return by_content(_openai_file(_inner(part, kind, where), where), where)
        case "ecg":
            inner = {name: value for name, value in part.items() if name != "type"}
            return by_content(_ecg(inner, where, fetch), where)
    known = ", ".join(KNOWN_PARTS)
    raise WireError(f"{where}: no part of the type {kind!r:.50} is known; known are {known}.", param=where)


def _text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise WireError(f"{where}: expected a text, got {type(text).__name__}.", param=where)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise WireError(f"{where}: the text holds half of a character; send it as UTF-8.", param=where)
    return text


def _inner(part: Mapping[str, Any], kind: str, where: str) -> Mapping[str, Any]:
    """What a part holds under the name of its type, as OpenAI's parts do."""
    inner = _only(part, (kind,), where)[kind]
    if not isinstance(inner, Mapping):
        raise WireError(f'{where}: expected {{"type": "{kind}", "{kind}": {{...}}}}.', param=where)
    return inner


def _only(part: Mapping[str, Any], names: tuple[str, ...], where: str) -> Mapping[str, Any]:
    """`part`, if it has the first of `names` and none but these."""
    if unknown := sorted(set(part) - {"type", *names}):
        raise WireError(f"{where}: unknown key(s) {unknown}; known are {', '.join(names)}.", param=where)
    if names[0] not in part:
        raise WireError(f"{where}: {names[0]!r} is missing.", param=where)
    return part


def _options_in(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part[name] for name in OPTIONS if part.get(name) is not None}


def _openai_file(inner: Mapping[str, Any], where: str) -> SentFile:
    if "file_id" in inner:
        raise WireError(f"{where}: there are no stored files here; send the file itself as `file_data`.", param=where)
    inner = _only(inner, ("file_data", "filename", *OPTIONS), where)
    return _from_data(inner["file_data"], inner, where)


def _ecg(part: Mapping[str, Any], where: str, fetch: Fetch) -> SentFile:
    """Our own part: `data` (a file), `url` or `signal` (leads x samples), and the options beside it."""
    given = [name for name in ("data", "url", "signal") if name in part]
    if len(given) != 1:
        raise WireError(f"{where}: an ECG has one of `data`, `url` and `signal`; this one has {given}.", param=where)
    part = _only(part, (given[0], "filename", *OPTIONS), where)
    if given == ["data"]:
        return _from_data(part["data"], part, where)
    if given == ["url"]:
        return _from_url(part["url"], _options_in(part), "ECG", where, fetch)
    return SentFile(
        _array(part["signal"], where),
        plain_name(part.get("filename"), "signal"),
        sent_options(_options_in(part), where),
    )


def _array(rows: Any, where: str) -> bytes:
    """Lists of numbers as the bytes of an NPY file; `null` is a missing sample."""
    try:
        signal = np.array(rows, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(
            f"{where}: `signal` is a list of leads, each a list of as many numbers.", param=where
        ) from error
    file = io.BytesIO()
    np.save(file, signal)
    return file.getvalue()


def _from_data(data: Any, part: Mapping[str, Any], where: str) -> SentFile:
    """A file in base64, in a data URL or not."""
    if not isinstance(data, str) or not data:
        raise WireError(f"{where}: the file must be a base64 text.", param=where)
    if data[:5].lower() == "data:":
        content, said = decode_data_url(data, where)
    else:
        content, said = _decode(data, where), {}
    return SentFile(content, plain_name(part.get("filename"), "ECG"), _joined(said, _options_in(part), where))


def _from_url(url: Any, options: Mapping[str, Any], name: str, where: str, fetch: Fetch) -> SentFile:
    if not isinstance(url, str) or not url:
        raise WireError(f"{where}: `url` is a text.", param=where)
    if url[:5].lower() != "data:":
        return fetch(url, sent_options(options, where))
    data, said = decode_data_url(url, where)
    return SentFile(data, name, _joined(said, options, where))


def _joined(in_url: Mapping[str, Any], beside: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options of the URL and of the part together.

    Raises:
        WireError: they contradict each other.
    """
    said = sent_options(beside, where)
    for name, value in in_url.items():
        if said.setdefault(name, value) != value:
            raise WireError(
                f"{where}: `{name}` is {value} in the data URL and {said[name]} beside it; say it once.", param=where
            )
    return said


def _decode(text: str, where: str) -> bytes:
    """
    Raises:
        WireError: no base64, empty, or too large.
    """
    if len(text) // 4 * 3 > MAX_FILE_BYTES + 2:
        raise WireError(
            f"{where}: a file of more than {MAX_FILE_BYTES:,} bytes; send the ECG alone.", 413, "file_too_large", where
        )
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise WireError(f"{where}: this is not base64; encode the file's bytes as they are.", param=where) from error
    if not data:
        raise WireError(f"{where}: the file is empty.", param=where)
    return data


def plain_name(name: Any, default: str = "ECG") -> str:
    """The sender's name for a file, without folders; it goes into messages to the sender and nowhere else."""
    plain = re.sub(r"[^\w. -]", "_", re.split(r"[/\\]", name)[-1])[:100] if isinstance(name, str) else ""
    return plain if plain.strip(". ") else default


def by_content(file: SentFile, where: str) -> SentEcg | SentPicture:
    """What a file holds, by its first bytes.

    Raises:
        WireError: what was said of it is meant for the other.
    """
    shows = is_picture(file.path) if file.path is not None else is_picture_data(file.data[:16])
    return _meant(SentPicture(file), where) if shows else _meant(SentEcg(file), where)


Sent = TypeVar("Sent", SentEcg, SentPicture)


def _meant(sent: Sent, where: str) -> Sent:
    """What was sent, if all that was said of it is meant for such a file."""
    what, kind = ("a picture", PictureOptions) if isinstance(sent, SentPicture) else ("an ECG", EcgOptions)
    if wrong := sorted(set(sent.file.options) - set(kind.model_fields)):
        raise WireError(
            f"{where}: this is {what}, of which can be said {', '.join(kind.model_fields)}; not {wrong}.", param=where
        )
    return sent


__all__ = [
    "EcgOptions",
    "Fetch",
    "PictureOptions",
    "SentEcg",
    "SentFile",
    "SentMessage",
    "SentPart",
    "SentPicture",
    "WireError",
    "by_content",
    "data_url",
    "decode_data_url",
    "no_urls",
    "plain_name",
    "read_messages",
    "read_part",
    "sent_options",
]
