# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Chat + ECG + picture -> tensors."""

import copy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from huggingface_hub.dataclasses import validate_typed_dict
from PIL import Image
from transformers import BatchFeature, PreTrainedTokenizerBase, ProcessorMixin
from transformers.image_transforms import to_pil_image
from transformers.image_utils import ImageInput, make_flat_list_of_images
from transformers.processing_utils import MultiModalData, ProcessingKwargs, Unpack

from .chat_gem import (
    SOURCE_NAMES,
    Modality,
    as_modality,
    content_blocks,
    digitized_blocks,
    filled,
    is_chat,
    must_show_ecg,
    page_picture,
    plain_message,
    with_digitized,
    with_page_blocks,
)
from .ecg_check import check_ecg
from .ecg_page import render_ecg
from .ecg_photo import check_ecg_page
from .ecg_readers import is_picture
from .ecg_record import EcgRecord
from .errors_gem import PlaceholderError
from .feature_extraction_gem import GemFeatureExtractor, is_one_ecg, load_ecgs
from .image_processing_gem import GemImageProcessor
from .question_words import doubt_about


class GemEcgKwargs(TypedDict, total=False):
    """
    sampling_rate (`float`, *optional*): Hz of ECGs given as arrays.
    leads (`list[str]`, *optional*): Row names of ECGs given as arrays.
    unit (`str`, *optional*): Unit of ECGs given as arrays, `"mV"` if not given.
    gain, index, missing_leads, start, seconds (*optional*): As in `load_ecg`.
    return_mask (`bool`, *optional*): Also return `ecg_mask`.
    """

    sampling_rate: float | int | None
    leads: list[str] | None
    unit: str | None
    gain: float | list[float] | None
    index: int | None
    missing_leads: Literal["derive", "mask", "refuse"]
    start: float | int
    seconds: float | int | None
    return_mask: bool


class GemProcessorKwargs(ProcessingKwargs, total=False):  # type: ignore[call-arg]
    """Keywords of the processor's parts; `ecg_kwargs` are those of the feature extractor."""

    ecg_kwargs: GemEcgKwargs
    _defaults = {}  # type: ignore[misc, var-annotated] # asked for below Transformers 5.23


class GemProcessor(ProcessorMixin):
    r"""
    Joins a [`GemFeatureExtractor`] (signals), a [`GemImageProcessor`] (pictures) and a tokenizer. One `<ecg>` or `<image>`
    placeholder in the text is expanded to the tokens of its tower. For an `<image>` without a picture, a page is drawn from
    the ECG.

    Args:
        image_processor, feature_extractor, tokenizer: The parts.
        chat_template (`str`, *optional*): Jinja template; puts the placeholders of a turn in front of its text.
        num_ecg_tokens (`int`, *optional*, defaults to 101): Tokens per ECG.
        num_image_tokens (`int`, *optional*, defaults to 576): Tokens per picture, or per tile with `anyres`.
        image_merge_type (`"flat"` or `"spatial_unpad"`, *optional*, defaults to `"flat"`): As in [`GemConfig`].
        draw_page (`bool`, *optional*, defaults to `True`): Whether a chat with an ECG and no picture gets a page drawn
            from the signal. `False`: signal only.
        page_layout (`str`, *optional*, defaults to `"square_12x1"`): Layout of drawn pages, see `render_ecg`.
        page_size (`list[int]`, *optional*): Height and width in pixels to draw at; `None`: the layout's own.
        ecg_token, image_token (`str`, *optional*): The placeholders.
        default_question (`str`, *optional*): The question that `build_conversation` asks by default.
        taught_words (`str`, *optional*): All words of the questions that the model was trained on, in small letters, with spaces
            between them. Where given, `question_doubt` names others. For models too small to know a language.
        compat (`"gem"`, *optional*): Tokenises as the original code, each piece of text between placeholders separately
            (with a SentencePiece tokenizer this puts a dummy prefix after the placeholder).
    """

    valid_processor_kwargs = GemProcessorKwargs
    # Whether pictures must show an ECG page. Set to `False` on a processor whose pictures are known to, as in training.
    judge_pictures: bool = True
    _ecgs_of_chat: list[EcgRecord] | None = None

    def __init__(
        self,
        image_processor: GemImageProcessor | None = None,
        feature_extractor: GemFeatureExtractor | None = None,
        tokenizer: PreTrainedTokenizerBase = None,
        chat_template: str | None = None,
        num_ecg_tokens: int = 101,
        num_image_tokens: int = 576,
        image_merge_type: str = "flat",
        draw_page: bool = True,
        page_layout: str = "square_12x1",
        page_size: list[int] | None = None,
        ecg_token: str = "<ecg>",
        image_token: str = "<image>",
        default_question: str = "Interpret this ECG.",
        taught_words: str | None = None,
        compat: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.num_ecg_tokens = num_ecg_tokens
        self.num_image_tokens = num_image_tokens
        self.image_merge_type = image_merge_type
        self.draw_page = draw_page
        self.page_layout = page_layout
        self.page_size = page_size
        self.ecg_token = ecg_token
        self.image_token = image_token
        self.default_question = default_question
        self.taught_words = taught_words
        self.compat = compat
        self.ecg_token_id = tokenizer.convert_tokens_to_ids(ecg_token)
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)
        super().__init__(image_processor, feature_extractor, tokenizer, chat_template=chat_template, **kwargs)

    def __call__(
        self,
        images: ImageInput | None = None,
        text: str | list[str] | None = None,
        ecgs: Any = None,
        **kwargs: Unpack[GemProcessorKwargs],
    ) -> BatchFeature:
        r"""
        Args:
            images: Pictures in the order of the `<image>` placeholders of all texts. If there are none, each `<image>` is
                drawn from the ECG with the same number.
            text: One prompt or several.
            ecgs: ECGs in the order of the `<ecg>` placeholders: paths, `EcgRecord`s, arrays (leads, samples) ...
            **kwargs: Arguments of the tokenizer, the image processor and the feature extractor (`GemProcessorKwargs`), also
                grouped as `text_kwargs`, `images_kwargs` and `ecg_kwargs`.

        Returns:
            `BatchFeature` with `input_ids`, `attention_mask`, and where given `ecg_values` (num_ecgs, leads, samples),
            `pixel_values` and, for `anyres`, `image_sizes`.

        Raises:
            PlaceholderError: Placeholders and ECGs or pictures differ in number, or truncation cut placeholders.
            GemError: An ECG cannot be read or is refused as implausible, or a picture shows no ECG page.
        """
        if text is None:
            raise PlaceholderError(
                "GEM reads ECGs through a prompt: give `text` with `<ecg>` or `<image>` placeholders."
            )
        images, texts, _, _ = self.prepare_inputs_layout(images=images, text=text)
        if self.compat == "gem":
            # A fast tokenizer leaves the dummy prefix out before a space, the slow one does not.
            texts = [f" {sample}" if sample.startswith(" ") else sample for sample in texts]
        merged = self._merge_kwargs(GemProcessorKwargs, tokenizer_init_kwargs=self.tokenizer.init_kwargs, **kwargs)
        ecg_kwargs = merged["ecg_kwargs"]
        source = {name: value for name in SOURCE_NAMES if (value := ecg_kwargs.pop(name, None)) is not None}
        records = (self._ecgs_of_chat or []) if ecgs is None else load_ecgs(ecgs, **source)

        num_images = sum(sample.count(self.image_token) for sample in texts)
        if images is None and num_images and num_images == len(records):
            images = [self.page(record) for record in records]
        images = [] if images is None else make_flat_list_of_images(images)
        self._check_counts(texts, "ecg", len(records))
        self._check_counts(texts, "image", len(images))
        if self.judge_pictures:
            images = [_judged(image) for image in images]

        ecg_inputs = self.feature_extractor([check_ecg(record) for record in records], **ecg_kwargs) if records else {}
        image_inputs = self.image_processor(images, **merged["images_kwargs"]) if images else {}
        image_lengths = self._image_lengths(image_inputs, len(images))
        text_kwargs = merged["text_kwargs"]
        return_tensors = text_kwargs.pop("return_tensors", None)
        # Arguments of the processor from Transformers 5.23 on, of the text before.
        return_offsets, return_types = (
            text_kwargs.pop(name, merged.get(name, False))
            for name in ("return_text_replacement_offsets", "return_mm_token_type_ids")
        )
        texts, offsets = self.get_text_with_replacements(
            texts,
            [self.image_token * length for length in image_lengths],
            ecgs_replacements=[self.ecg_token * self.num_ecg_tokens] * len(records),
        )
        text_inputs = self.tokenizer(texts, **text_kwargs)
        self._check_special_mm_tokens(texts, text_inputs, modalities=["image", "ecg"])
        if return_offsets:
            text_inputs["text_replacement_offsets"] = offsets
        if return_types:
            text_inputs["mm_token_type_ids"] = self.create_mm_token_type_ids(text_inputs["input_ids"])
        return BatchFeature(
            {**text_inputs, **ecg_inputs, **image_inputs},
            tensor_type=return_tensors,
            skip_tensor_conversion=self.skip_tensor_conversion,
        )

    def _merge_kwargs(
        self,
        ModelProcessorKwargs: type[ProcessingKwargs] = GemProcessorKwargs,  # Transformers' name
        tokenizer_init_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        # Not left to Transformers: it hands a loose `sampling_rate` to audio, drops loose arguments of modalities it does
        # not know, and has no place for other modalities than its own.
        ecg_kwargs = {**kwargs.pop("ecg_kwargs", {})}
        if ecg_kwargs:
            validate_typed_dict(GemEcgKwargs, ecg_kwargs)  # type: ignore[type-var]
        ecg_kwargs |= {name: kwargs.pop(name) for name in GemEcgKwargs.__annotations__ if name in kwargs}  # type: ignore[misc]
        merged = super()._merge_kwargs(ProcessingKwargs, tokenizer_init_kwargs=tokenizer_init_kwargs, **kwargs)
        return {**merged, "ecg_kwargs": ecg_kwargs}

    def apply_chat_template(
        self,
        conversation: list[dict] | list[list[dict]],
        *args: Any,
        draw_page: bool | None = None,
        tokenize: bool = False,
        **kwargs: Any,
    ) -> Any:
        r"""
        As in every Transformers processor; message content may hold `{"type": "ecg", "path": ...}` or `{"type": "ecg",
        "ecg": record or array, "sampling_rate": ..., "leads": ..., "unit": ...}` with any keyword of
        `SOURCE_NAMES`. An image block without a picture gets a page drawn from the ECG before it. A block with
        `"digitize": True` gets the ECG that is recovered from its picture in front of it.

        Args:
            conversation: One chat or several, each a list of messages.
            *args: Passed on to Transformers.
            draw_page (`bool`, *optional*): Overrides `processor.draw_page`: whether to add an image block to ECGs of a
                conversation that has no picture. An ECG block with `"modality": "signal"` never gets one.
            tokenize (`bool`, *optional*): Return the inputs of the model instead of the prompt's text.
            **kwargs: Passed on to Transformers.
        """
        draw = self.draw_page if draw_page is None else draw_page
        is_batched = isinstance(conversation[0], (list, tuple))
        chats = [[plain_message(m) for m in chat] for chat in (conversation if is_batched else [conversation])]
        chats = [with_digitized(chat) for chat in chats]
        if draw:
            chats = [with_page_blocks(chat) for chat in chats]
        renderer = self
        if tokenize:
            chats = [filled(chat, self.page) for chat in chats]
            ecg_blocks = [block for chat in chats for block in content_blocks(chat) if block["type"] == "ecg"]
            # On a copy of the processor: up to 5.22 a loose argument makes Transformers forget `processor_kwargs`, and
            # from 5.24 on it takes records in messages apart.
            renderer = copy.copy(self)
            renderer._ecgs_of_chat = [block.pop("ecg") for block in ecg_blocks]
        return super(GemProcessor, renderer).apply_chat_template(
            chats if is_batched else chats[0], *args, tokenize=tokenize, **kwargs
        )

    def build_conversation(
        self,
        source: Any,
        question: str | None = None,
        image: Any = None,
        modality: Modality = "both",
        digitize: bool = False,
        **ecg_kwargs: Any,
    ) -> list[dict]:
        r"""
        The chat that asks `question` about an ECG in any of its forms.

        Args:
            source: A path to an ECG or a picture, an array (leads, samples), an `EcgRecord`, a PIL image, a finished chat
                (returned with its records loaded), or a dict with `ecg` and any argument of this method.
            question: What to ask; `default_question` if not given.
            image: A picture that goes with the ECG; if not given, a page is drawn.
            modality: `"both"`, `"signal"` (no picture) or `"image"` (only the picture).
            digitize: For a picture: recover the signal that it shows and give the model both, like the image block
                `{"type": "image", "path": ..., "digitize": True}` of a chat. Needs gem-ecg with its extra `photo`.
            **ecg_kwargs: Any of `SOURCE_NAMES`, as in `load_ecg`; `index` is also the page of a PDF or TIFF of several.

        Raises:
            GemError: The source is none of these, cannot be read, is not an ECG or an ECG page, or has neither an ECG nor a
                picture.
        """
        if is_chat(source):
            source = [plain_message(message) for message in source]
            source = with_digitized(source)
            for block in content_blocks(source):
                given = block.get("image", block.get("path")) if block["type"] == "image" else None
                if isinstance(given, Image.Image) or (isinstance(given, (str, Path)) and Path(given).is_file()):
                    page_picture(given)
            if self.draw_page and modality == "both":
                source = with_page_blocks(source)
            return filled(source, self.page)
        if isinstance(source, dict) and "ecg" in source:
            options = {
                "question": question, "image": image, "modality": modality, "digitize": digitize, **ecg_kwargs,
            }  # fmt: skip
            return self.build_conversation(
                source["ecg"], **(options | {k: v for k, v in source.items() if k != "ecg"})
            )
        as_modality(modality)
        content: list[dict[str, Any]] = []
        picture: Image.Image | None = None
        page_index: int | None = None
        if isinstance(source, Image.Image) or (isinstance(source, (str, Path)) and is_picture(source)):
            if modality == "signal":
                raise PlaceholderError(
                    f"{source}: a picture has no signal; use `modality='image'` or give the record."
                )
            image, page_index = source, ecg_kwargs.get("index")
            if digitize and modality == "both":
                content += digitized_blocks(page_picture(image, page_index))
                image = None
        elif source is not None:
            record = check_ecg(load_ecgs(source, **ecg_kwargs)[0])
            if modality != "image":
                # A signal-only chat stays one wherever it goes: its ECG gets no page later either.
                alone = {"modality": "signal"} if modality == "signal" else {}
                content.append({"type": "ecg", "ecg": record, **alone})
            draws = modality == "image" or (modality == "both" and self.draw_page)
            if image is None and draws:
                picture = self.page(record)
        if modality != "signal" and (image is not None or picture is not None):
            content.append(
                {"type": "image", "image": picture if picture is not None else page_picture(image, page_index)}
            )
        content.append({"type": "text", "text": question or self.default_question})
        return [{"role": "user", "content": content}]

    @staticmethod
    def is_one_input(source: Any) -> bool:
        """Whether `build_conversation` takes `source` as it is, or it is a collection of such sources."""
        return isinstance(source, (dict, Image.Image)) or is_chat(source) or is_one_ecg(source)

    @staticmethod
    def must_show_ecg(conversation: list[dict]) -> None:
        """Refuses a conversation without an ECG and without a picture, which a model would answer with an invented reading.

        Raises:
            GemError: No message holds one.
        """
        must_show_ecg(conversation)

    def measurements(self, conversation: list[dict]) -> dict | None:
        """The grounding features (`machine_measurements` layout) of the first ECG of a built conversation."""
        from .ecg_features import extract_features

        record = self.record(conversation)
        return None if record is None else extract_features(record).to_dict()

    @staticmethod
    def record(conversation: list[dict]) -> EcgRecord | None:
        """The first ECG of a built conversation."""
        return next((b["ecg"] for b in content_blocks(conversation) if b["type"] == "ecg"), None)

    @staticmethod
    def picture(conversation: list[dict]) -> Image.Image | None:
        """The first picture of a built conversation."""
        return next((b["image"] for b in content_blocks(conversation) if b["type"] == "image" and "image" in b), None)

    def page(self, record: EcgRecord) -> Image.Image:
        """The page of `record` as an RGB picture of `page_size`, or of the layout's own size, px.

        Raises:
            GemError: The record cannot be drawn, see `render_ecg`.
        """
        size = None if self.page_size is None else (self.page_size[0], self.page_size[1])
        return render_ecg(record, layout=self.page_layout, size=size).to_pil()

    def question_doubt(self, conversation: list[dict]) -> str | None:
        """A sentence that names the words of a conversation's last question that the model was not taught; `None` if there are none, or if it
        is not known what it was taught (`taught_words`)."""
        asked = [message for message in map(plain_message, conversation) if message["role"] == "user"]
        if not self.taught_words or not asked:
            return None
        said = asked[-1]["content"]
        if not isinstance(said, str):
            said = " ".join(block["text"] for block in content_blocks(asked[-1:]) if block["type"] == "text")
        return doubt_about(said, frozenset(self.taught_words.split()))

    def _check_counts(self, text: list[str], modality: Literal["ecg", "image"], given: int) -> None:
        token = getattr(self, f"{modality}_token")
        counts = [sample.count(token) for sample in text]
        if sum(counts) != given:
            where = f" (per prompt: {counts})" if len(text) > 1 else ""
            name = {"ecg": "ECG", "image": "picture"}[modality]
            raise PlaceholderError(
                f"The text holds {sum(counts)} {token} placeholder(s){where}, but {given} {name}(s) were given. Write one "
                f"{token} per {name}, in the same order."
            )

    def _image_lengths(self, image_inputs: Any, num_images: int) -> list[int]:
        if "image_sizes" not in image_inputs:
            return [self.num_image_tokens] * num_images
        return [self.image_length((int(size[0]), int(size[1]))) for size in image_inputs["image_sizes"]]

    def image_length(self, image_size: tuple[int, int]) -> int:
        """Tokens of a picture of `(height, width)` pixels."""
        if self.image_processor.image_aspect_ratio != "anyres":
            return self.num_image_tokens
        rows, columns = self.image_processor.tile_grid(image_size)
        if self.image_merge_type == "flat":
            return self.num_image_tokens * (1 + rows * columns)
        side = int(self.num_image_tokens**0.5)
        height, width = rows * side, columns * side
        # The same letterbox arithmetic as in the model: what LLaVA's unpadding keeps of the joined tiles.
        if image_size[1] / image_size[0] > width / height:
            height -= 2 * ((height - int(image_size[0] * (width / image_size[1]))) // 2)
        else:
            width -= 2 * ((width - int(image_size[1] * (height / image_size[0]))) // 2)
        return self.num_image_tokens + height * (width + 1)

    def get_text_with_replacements(
        self,
        text: list[str],
        images_replacements: Sequence[str] = (),
        videos_replacements: Sequence[str] = (),
        audio_replacements: Sequence[str] = (),
        ecgs_replacements: Sequence[str] = (),
    ) -> tuple[list[str], list[list[dict[str, Any]]]]:
        """Expands `<image>` and `<ecg>` in one pass, so that the offsets of the assistant mask stay right."""
        pattern = re.compile(f"(?P<image>{re.escape(self.image_token)})|(?P<ecg>{re.escape(self.ecg_token)})")
        replacements: dict[str, Iterator[str]] = {"image": iter(images_replacements), "ecg": iter(ecgs_replacements)}
        expanded, batch_offsets = [], []
        for sample in text:
            pieces, offsets, last, shift = [], [], 0, 0
            for match in pattern.finditer(sample):
                start, end = match.span()
                replacement = next(replacements[str(match.lastgroup)])
                if self.compat == "gem" and end < len(sample) and not pattern.match(sample, end):
                    # What the slow tokenizer's dummy prefix for the next stretch of text amounts to.
                    replacement += " "
                pieces += [sample[last:start], replacement]
                new_span = (start + shift, start + shift + len(replacement))
                offsets.append(
                    {
                        "type": match.lastgroup,
                        "span": (start, end),
                        "new_span": new_span,
                        "text": match.group(),
                        "replacement": replacement,
                    }
                )
                shift += len(replacement) - (end - start)
                last = end
            expanded.append("".join([*pieces, sample[last:]]))
            batch_offsets.append(offsets)
        return expanded, batch_offsets

    def create_mm_token_type_ids(self, input_ids: list) -> list[list[int]]:
        """0 text, 1 picture, 4 ECG (2 and 3 are video and audio in Transformers)."""
        rows = [np.asarray(row) for row in input_ids]
        return [((row == self.image_token_id) * 1 + (row == self.ecg_token_id) * 4).tolist() for row in rows]

    @property
    def all_special_multimodal_tokens(self) -> list[str]:
        """The placeholders of a picture and of an ECG."""
        return [self.image_token, self.ecg_token]

    @property
    def model_input_names(self) -> list[str]:
        """The inputs that tokenizer, image processor and feature extractor make."""
        parts = (self.tokenizer, self.image_processor, self.feature_extractor)
        return [name for part in parts for name in part.model_input_names]

    def _get_num_multimodal_tokens(
        self, image_sizes: Sequence[Sequence[int]] | None = None, **kwargs: Any
    ) -> MultiModalData:
        if image_sizes is None:
            return MultiModalData()
        anyres = self.image_processor.image_aspect_ratio == "anyres"
        grids = [self.image_processor.tile_grid((size[0], size[1])) if anyres else (0, 0) for size in image_sizes]
        return MultiModalData(
            num_image_tokens=[self.image_length((size[0], size[1])) for size in image_sizes],
            num_image_patches=[1 + rows * columns for rows, columns in grids],
        )


def _judged(image: Any) -> Any:
    """An image of any kind that `image_processor` takes, itself unless its page lies on its side, see `check_ecg_page`."""
    picture = image if isinstance(image, Image.Image) else to_pil_image(image)
    upright = check_ecg_page(picture)
    return image if upright is picture else upright


__all__ = ["GemProcessor", "GemProcessorKwargs"]
