# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The work of the server, independent of HTTP: reads ECGs, asks the model, checks the answer."""

import asyncio
import io
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from modeling_gem.interpretation import (
    ANSWERS,
    SEVERAL_ECGS,
    Grounding,
    Interpretation,
    MoreAnswers,
    check_answer,
    from_picture,
    tolerances_for,
)
from processing.chat_gem import Modality, upright
from processing.ecg_features import EcgFeatures, extract_features
from processing.ecg_page import render_ecg
from processing.ecg_photo import MAX_DIGITIZED_PX
from processing.ecg_record import EcgRecord
from processing.errors_gem import EcgFormatError, EcgQualityError, GemError
from processing.grounding.verdicts import Tolerances

from .answer import Answer
from .batcher import Batcher
from .desk import WorkDesk
from .fair_line import Places
from .uploads import MAX_SIDE_PX, read_ecg, read_picture
from .wire import SentEcg, SentFile, SentMessage, SentPart, SentPicture, WireError

if TYPE_CHECKING:
    from modeling_gem import GemForConditionalGeneration, GemProcessor

log = logging.getLogger(__name__)
READ_AT_ONCE = 4  # files: their own processes read them, the threads here mostly wait
CHECKED_AT_ONCE = 8  # answers; where others are tried, the threads here wait for the model
SAMPLES_AT_ONCE = 3  # other answers of one request in a batch, so that other requests are in it too
TEMPERATURE = 1.0  # of these
WITHIN_S = 60.0  # whatever is done beside an answer
ANSWER_S = 300.0
NO_ECG = (
    "No message holds an ECG or a picture of one, so there is nothing to read; add a part of type `ecg` or `image_url` to the "
    "content of a user's message."
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Asked:
    """A question that can be given to the model.

    Attributes:
        chat: as `GemProcessor.apply_chat_template` takes it.
        ecgs: the records and pictures in it.
        features: measurements of the record that the answer is checked against.
        note: why the answer cannot be checked, if there is no such record.
        undigitized: why no signal was recovered from a picture, if it was to be.
        tokens: number of tokens of the prompt.
        modality: what the model is to see of each ECG.
        question_doubt: which words of the question the model was not taught, if any.
    """

    chat: list[dict]
    ecgs: tuple[EcgRecord | Image.Image, ...]
    features: EcgFeatures | None = field(default=None, repr=False)
    note: str = ""
    undigitized: str = ""
    tokens: int = 0
    modality: Modality = "both"
    question_doubt: str | None = None

    def noted(self, found: Interpretation) -> Interpretation:
        """A checked answer, with what is to be known about its question and its ECG."""
        return replace(found, undigitized=self.undigitized, question_doubt=self.question_doubt)

    @property
    def tolerances(self) -> Tolerances:
        """How far the values of an answer may be off."""
        return tolerances_for(next((ecg for ecg in self.ecgs if isinstance(ecg, EcgRecord)), None))


class GemService:
    """One model for many clients.

    Args:
        network, processor: a GEM.
        most_rows: questions that are answered as one batch.
        waiting: questions that may wait.
    """

    def __init__(
        self,
        network: "GemForConditionalGeneration",
        processor: "GemProcessor",
        most_rows: int = 16,
        waiting: int = 64,
    ) -> None:
        self.processor = processor
        self.context = int(network.config.get_text_config().max_position_embeddings)
        places = Places(waiting, waiting, waiting)
        self.batcher = Batcher(network, processor, most_rows, places)
        self.working = WorkDesk(max(1, (os.cpu_count() or 1) // 2), places)
        self.reading = WorkDesk(READ_AT_ONCE, places)
        self.checking = WorkDesk(CHECKED_AT_ONCE, places)
        tokenizer = processor.tokenizer
        self._special = sorted({*tokenizer.all_special_tokens, *processor.all_special_multimodal_tokens})

    def close(self) -> None:
        """Ends the threads after their current tasks."""
        for part in (self.batcher, self.working, self.reading, self.checking):
            part.close()

    async def read(self, file: SentFile, client: str) -> EcgRecord:
        """Reads an uploaded ECG when it is the client's turn.

        Raises:
            GemError: see `read_ecg`; or too many are waiting.
        """
        return await self.reading.do(lambda: read_ecg(file), client, "", WITHIN_S)

    async def record(self, part: SentPart, client: str) -> tuple[EcgRecord, Image.Image | None]:
        """The signal that was sent; of a picture the one that it shows, and the picture.

        Raises:
            EcgQualityError: no signal can be recovered from the picture, or it was said not to try.
            GemError: see `read`.
        """
        if isinstance(part, SentEcg):
            return await self.read(part.file, client), None
        if isinstance(part, str) or not part.is_digitized(default=True):
            raise WireError("Only a signal can be measured and drawn; this is a picture or a text.", param="ecg")
        picture, record, reason = await self._digitized(part, client)
        if record is None:
            raise EcgQualityError(f"{reason}.")
        return record, picture

    async def traces_over(self, picture: Image.Image, record: EcgRecord, client: str) -> bytes:
        """The picture with the recovered traces of `record` laid over it, as PNG."""
        from processing.photo.overlay import traces_over

        return await self._work(lambda: _png(traces_over(picture, record)), client)

    async def measure(self, record: EcgRecord, client: str) -> EcgFeatures:
        """Measures a record when it is the client's turn.

        Raises:
            EcgQualityError: it can be no ECG.
            GemError: it cannot be measured; or too many are waiting.
        """
        return await self._work(lambda: extract_features(record).check_plausibility(), client)

    async def page(self, record: EcgRecord, layout: str | None, speed: float, mm_per_mv: float, client: str) -> bytes:
        """The record on paper, as PNG.

        Raises:
            GemError: there is no such layout or speed; or too many are waiting.
        """

        def draw() -> bytes:
            if layout is None:
                picture = self.processor.page(record)
            else:
                picture = render_ecg(record, layout=layout, speed=speed, gain=mm_per_mv).to_pil()
            return _png(picture)

        return await self._work(draw, client)

    async def asked(self, messages: Sequence[SentMessage], client: str, checked: bool) -> Asked:
        """The conversation that was sent, ready for the model. Nothing is added to it.

        Args:
            messages: the messages of the request.
            client: who asks; clients take turns in the queue.
            checked: whether the answer will be checked, so that its record must be measured.

        Raises:
            WireError: no message holds an ECG or a picture of one.
            GemError: a file cannot be read, a text holds special tokens of the prompt, or the conversation is too long for the
                model.
        """
        chat, ecgs, reasons = [], [], []
        for message in messages:
            content: list[dict[str, Any]] = []
            for part in message.parts:
                blocks, reason = await self._blocks(part, client)
                content += blocks
                ecgs += [block[block["type"]] for block in blocks if block["type"] != "text"]
                reasons += [reason] if reason else []
            chat.append({"role": message.role, "content": content})
        if not ecgs:
            raise WireError(NO_ECG, code="no_ecg", param="messages")
        records = [ecg for ecg in ecgs if isinstance(ecg, EcgRecord)]
        features = await self.measure(records[0], client) if checked and len(records) == 1 else None
        note = SEVERAL_ECGS if len(records) > 1 else ""
        asked = Asked(chat, tuple(ecgs), features, note, "; ".join(reasons))
        return await self._work(lambda: self._counted(asked), client)

    async def asked_about(
        self, ecg: SentPart, page: SentPart | None, question: str | None, modality: Modality, client: str
    ) -> Asked:
        """The question about one ECG or the picture of one, as `interpret` asks it: a page is drawn where none came, and the
        signal is recovered from a picture unless the sender does not want it.

        Raises:
            EcgQualityError: no signal can be recovered from a picture, for `modality="signal"`.
            GemError: as `asked`.
        """
        if isinstance(ecg, str) or isinstance(page, str | SentEcg):
            raise WireError("`ecg` holds an ECG or its picture, `page` a picture.")
        if isinstance(ecg, SentPicture) and page is not None:
            raise WireError("`ecg` is a picture itself; leave out `page`, or send the ECG's signal with it.")
        self._check_text(question or "")
        record, picture, reason = None, None, ""
        if isinstance(ecg, SentEcg):
            record = await self.read(ecg.file, client)
            picture = await self._picture(page, client) if page is not None else None
        elif ecg.is_digitized(default=True) and modality != "image":
            picture, record, reason = await self._digitized(ecg, client)
            picture = _shrunk(picture if record is None else upright(picture, record))
            if record is None and modality == "signal":
                raise EcgQualityError(f"{reason}.")
        else:
            picture = await self._picture(ecg, client)
        features = await self.measure(record, client) if record is not None else None
        seen = tuple(shown for shown in (record, picture) if shown is not None)

        def build() -> Asked:
            image = picture if record is not None else None
            chat = self.processor.build_conversation(seen[0], question=question, image=image, modality=modality)
            shown: Modality = "image" if record is None else modality
            return self._counted(Asked(chat, seen, features, undigitized=reason, modality=shown))

        return await self._work(build, client)

    def answer(self, asked: Asked, client: str, length: int, temperature: float = 0.0) -> Answer:
        """The model's answer, on its way.

        Raises:
            TooBusyError: too many are waiting.
        """
        length = min(length, self.context - asked.tokens)
        return self.batcher.ask(asked.chat, client, "", length, ANSWER_S, temperature)

    async def check(
        self, text: str, asked: Asked, grounding: Grounding, length: int, client: str, n: int = ANSWERS
    ) -> Interpretation:
        """Checks an answer against the waveform. For `select` and `correct`, further answers are sampled in the batches of all clients.

        Raises:
            GemError: the text cannot be checked, or too many are waiting.
        """
        if asked.note:
            return asked.noted(Interpretation(text, note=asked.note))
        gone = asyncio.Event()
        more = self._more_answers(asked, length, client, gone)

        def checked() -> Interpretation:
            found = check_answer(
                text, asked.features, grounding=grounding, more=more, n=n, tolerances=asked.tolerances
            )
            return asked.noted(found)

        try:
            return await self.checking.do(checked, client, "", ANSWER_S)
        finally:
            gone.set()

    def _more_answers(self, asked: Asked, length: int, client: str, gone: asyncio.Event) -> MoreAnswers:
        """Gives further answers to a thread of the checking desk, as long as a client waits for them."""
        loop = asyncio.get_running_loop()

        async def sample(number: int) -> list[str]:
            if gone.is_set():
                raise GemError("Nobody waits for this answer any more.")
            number = min(number, SAMPLES_AT_ONCE)
            answers = [self.answer(asked, client, length, TEMPERATURE) for _ in range(number)]
            return list(await asyncio.gather(*(answer.text() for answer in answers)))

        def more(number: int) -> list[str]:
            return asyncio.run_coroutine_threadsafe(sample(number), loop).result()

        return more

    async def _blocks(self, part: SentPart, client: str) -> tuple[list[dict[str, Any]], str]:
        """A part of a message as blocks of a chat, and why no signal was recovered from a picture."""
        if isinstance(part, str):
            self._check_text(part)
            return [{"type": "text", "text": part}], ""
        if isinstance(part, SentEcg):
            return [{"type": "ecg", "ecg": await self.read(part.file, client), "modality": "signal"}], ""
        if not part.is_digitized(default=False):
            return [{"type": "image", "image": await self._picture(part, client)}], ""
        picture, record, reason = await self._digitized(part, client)
        if record is None:
            return [{"type": "image", "image": _shrunk(picture)}], reason
        return [{"type": "ecg", "ecg": record}, {"type": "image", "image": _shrunk(upright(picture, record))}], ""

    async def _picture(self, part: SentPicture, client: str, max_side: int = MAX_SIDE_PX) -> Image.Image:
        return await self.reading.do(lambda: read_picture(part.file, max_side), client, "", WITHIN_S)

    async def _digitized(self, part: SentPicture, client: str) -> tuple[Image.Image, EcgRecord | None, str]:
        """A picture, and the signal that was recovered from it or why none was."""
        picture = await self._picture(part, client, MAX_DIGITIZED_PX)
        record, reason = await self._work(lambda: from_picture(picture, name=part.file.name, **part.page), client)
        return picture, record, reason

    def _check_text(self, text: str) -> None:
        """
        Raises:
            WireError: a word of it means something to the model, such as an ECG that is not there.
        """
        if found := [token for token in self._special if token in text]:
            raise WireError(
                f"The text holds {', '.join(found)}, which only prompts may hold; write it in other words."
            )

    def _counted(self, asked: Asked) -> Asked:
        """
        Raises:
            WireError: the prompt leaves no room for an answer.
        """
        tokens = prompt_tokens(self.processor, asked.chat)
        if tokens >= self.context:
            raise WireError(
                f"The conversation has {tokens:,} tokens and the model reads {self.context:,}; leave out turns or ECGs.",
                code="context_length_exceeded",
            )
        return replace(asked, tokens=tokens, question_doubt=self.processor.question_doubt(asked.chat))

    async def _work(self, work: Callable[[], Result], client: str) -> Result:
        def guarded() -> Result:
            try:
                return work()
            except GemError:
                raise
            except Exception as error:  # a record that breaks a measurement is a file that cannot be used
                log.error("a record could not be processed (%s)", type(error).__name__, exc_info=error)
                raise EcgFormatError("This ECG cannot be processed; export it again.") from error

        return await self.working.do(guarded, client, "", WITHIN_S)


def _shrunk(picture: Image.Image) -> Image.Image:
    """A picture as large as the model needs it."""
    seen = picture.copy()
    seen.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    return seen


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def prompt_tokens(processor: "GemProcessor", chat: list[dict]) -> int:
    """Tokens of a conversation with its ECGs and pictures."""
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False, draw_page=False)
    blocks = [block for message in chat for block in message["content"]]
    pictures = [block["image"] for block in blocks if block["type"] == "image"]
    ecgs = sum(block["type"] == "ecg" for block in blocks)
    words = len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
    lengths = sum(processor.image_length((picture.height, picture.width)) for picture in pictures)
    return words - ecgs - len(pictures) + ecgs * processor.num_ecg_tokens + lengths


def verdict_counts(found: Interpretation) -> Mapping[str, int]:
    """How many claims of an answer have each verdict; nothing where it was not checked."""
    counts: dict[str, int] = {}
    for checked in found.claims:
        counts[checked.verdict] = counts.get(checked.verdict, 0) + 1
    return counts


__all__ = ["Asked", "GemService", "prompt_tokens", "verdict_counts"]
