# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ECGs and pages on their way into vLLM: the same preparation, and the same refusals, as in `GemProcessor`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature
from transformers.image_transforms import to_pil_image
from vllm.config.multimodal import BaseDummyOptions
from vllm.inputs import MultiModalDataDict
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import (
    ImageProcessorItems,
    ModalityDataItems,
    MultiModalDataItems,
    MultiModalDataParser,
    ProcessorBatchItems,
)
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdate,
)

from modeling_gem import GemConfig, GemProcessor
from processing.ecg_check import check_ecg
from processing.ecg_photo import check_ecg_page
from processing.errors_gem import GemError, PlaceholderError
from processing.feature_extraction_gem import GemFeatureExtractor, load_ecgs
from processing.simulator.simulator import simulate_ecg

# vLLM's chat API has a closed list of modalities; ECGs come through it as this one (see `media.py`).
ON_THE_WIRE = "audio"


class TowerSignal(np.ndarray):
    """A signal as the tower reads it, `(leads, samples)` in mV. By these numbers vLLM knows an ECG again."""


class EcgItems(ProcessorBatchItems[TowerSignal]):
    """The ECGs of a prompt."""

    def __init__(self, signals: Sequence[TowerSignal]) -> None:
        super().__init__(signals, "ecg")


class GemDataParser(MultiModalDataParser):
    """vLLM's parser with a modality `ecg`: anything that `load_ecg` reads, one or a list."""

    def __init__(self, extractor: GemFeatureExtractor, **options: Any) -> None:
        super().__init__(**options)
        self.extractor = extractor

    def parse_mm_data(self, mm_data: MultiModalDataDict) -> MultiModalDataItems:
        """Items by modality; what came through the chat API joins the other ECGs."""
        given = dict(mm_data)
        wired = given.pop(ON_THE_WIRE, None)
        if wired is not None:
            given["ecg"] = [*load_ecgs(given.get("ecg") or []), *load_ecgs(wired)]
        return super().parse_mm_data(given)

    def _get_subparsers(self) -> Mapping[str, Any]:
        return {**super()._get_subparsers(), "ecg": self._parse_ecgs}

    def _parse_ecgs(self, data: Any) -> ModalityDataItems | None:
        """
        Raises:
            GemError: it cannot be read, or is refused as no ECG; an array alone does not say its sampling rate.
        """
        if isinstance(data, list) and data and all(isinstance(one, TowerSignal) for one in data):
            return EcgItems(data)  # vLLM passes on what its cache does not hold
        records = [] if data is None else load_ecgs(data)
        if not records:
            return None
        signals = self.extractor([check_ecg(record) for record in records])["ecg_values"]
        return EcgItems([signal.view(TowerSignal) for signal in signals])


class GemProcessingInfo(BaseProcessingInfo):
    """What vLLM asks about a GEM's inputs."""

    def get_hf_config(self) -> GemConfig:
        """The configuration of the model."""
        return self.ctx.get_hf_config(GemConfig)

    def get_hf_processor(self, **kwargs: object) -> GemProcessor:
        """The processor that lies beside it."""
        return self.ctx.get_hf_processor(GemProcessor, **kwargs)

    def get_data_parser(self) -> MultiModalDataParser:
        """The parser that knows ECGs."""
        return GemDataParser(
            self.get_hf_processor().feature_extractor, expected_hidden_size=self._get_expected_hidden_size()
        )

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """ECGs and pictures, as many as the context holds."""
        return {"ecg": None, "image": None}

    def validate_num_items(self, modality: str, num_items: int) -> None:
        """As in vLLM; ECGs of the chat API count as ECGs."""
        super().validate_num_items("ecg" if modality == ON_THE_WIRE else modality, num_items)

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:
        """Tokens of an ECG, and of the picture that has most."""
        processor, page = self.get_hf_processor(), self.largest_page()
        return {"ecg": processor.num_ecg_tokens, "image": processor.image_length((page.height, page.width))}

    def largest_page(self) -> Image.Image:
        """The page of a simulated ECG, of a size that becomes as many tokens as any does."""
        processor = self.get_hf_processor()
        page = processor.page(simulate_ecg(seed=0).record)
        if processor.image_processor.image_aspect_ratio != "anyres":
            return page
        height, width = max(map(tuple, processor.image_processor.image_grid_pinpoints), key=processor.image_length)
        return page.resize((width, height))


class GemDummyInputs(BaseDummyInputsBuilder[GemProcessingInfo]):
    """A simulated ECG and its page, with which vLLM finds out how much memory it needs."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """One placeholder each."""
        processor = self.info.get_hf_processor()
        return processor.ecg_token * mm_counts.get("ecg", 0) + processor.image_token * mm_counts.get("image", 0)

    def get_dummy_mm_data(
        self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping[str, BaseDummyOptions]
    ) -> MultiModalDataDict:
        """The ECG and the page, as often as they are asked for."""
        ecgs, pages = mm_counts.get("ecg", 0), mm_counts.get("image", 0)
        return {"ecg": [simulate_ecg(seed=0).record] * ecgs, "image": [self.info.largest_page()] * pages}


class GemProcessing(BaseMultiModalProcessor[GemProcessingInfo]):
    """Signals and pictures -> tensors; placeholders -> as many of them as there are tokens."""

    def _call_hf_processor(self, hf_data: Mapping[str, Any], hf_kwargs: Mapping[str, object]) -> BatchFeature:
        """
        Raises:
            GemError: there are `mm_processor_kwargs`, or a picture shows no ECG page.
        """
        if hf_kwargs:
            raise GemError(
                f"mm_processor_kwargs: GEM takes none, got {sorted(hf_kwargs)}. What a file does not say of itself stands with it: "
                '{"signal": ..., "sampling_rate": 500, "leads": ...}, or in the data URL.'
            )
        processor, data = self.info.get_hf_processor(), {}
        if "ecgs" in hf_data:
            data["ecg_values"] = torch.from_numpy(np.stack(hf_data["ecgs"]))
        if "images" in hf_data:
            pictures = [p if isinstance(p, Image.Image) else to_pil_image(p) for p in hf_data["images"]]
            if processor.judge_pictures:
                pictures = [check_ecg_page(picture) for picture in pictures]
            data |= processor.image_processor(pictures, return_tensors="pt")
        return BatchFeature(data)

    def _get_mm_fields_config(
        self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        picture = MultiModalFieldConfig.batched("image")
        return {"ecg_values": MultiModalFieldConfig.batched("ecg"), "pixel_values": picture, "image_sizes": picture}

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptUpdate]:
        processor = self.info.get_hf_processor()

        def picture(number: int) -> list[int]:
            size = mm_items.get_items("image", ImageProcessorItems).get_image_size(number)
            return [processor.image_token_id] * processor.image_length((size.height, size.width))

        ecg = [processor.ecg_token_id] * processor.num_ecg_tokens
        return [
            PromptReplacement(modality="ecg", target=[processor.ecg_token_id], replacement=ecg),
            PromptReplacement(modality="image", target=[processor.image_token_id], replacement=picture),
        ]

    def _postprocess_prompt(self, prompt: list[int]) -> list[int]:
        processor = self.info.get_hf_processor()
        if processor.compat != "gem":
            return prompt
        tokenizer = processor.tokenizer
        space, newline = (tokenizer.convert_tokens_to_ids(token) for token in ("▁", "<0x0A>"))
        return with_dummy_prefixes(prompt, {processor.ecg_token_id, processor.image_token_id}, space, newline)


def with_dummy_prefixes(prompt: Sequence[int], placeholders: set[int], space: int, newline: int) -> list[int]:
    """The prompt as the original code tokenises it (`compat="gem"`): a space after the last placeholder of a row of them.

    Raises:
        PlaceholderError: what follows is no line break, which the space would melt into one token with.
    """
    changed: list[int] = []
    for token in prompt:
        if changed and changed[-1] in placeholders and token not in placeholders:
            if token != newline:
                raise PlaceholderError(
                    'A GEM with `compat="gem"` wants a line break behind its placeholders, as its chat template writes it.'
                )
            changed.append(space)
        changed.append(token)
    return changed


__all__ = ["GemDummyInputs", "GemProcessing", "GemProcessingInfo", "with_dummy_prefixes"]
