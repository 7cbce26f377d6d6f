# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""GEM for Transformers. Importing this package registers GEM with the AutoClasses and its pipeline task."""

from pathlib import Path

from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
)
from transformers.pipelines import PIPELINE_REGISTRY

from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import GemError
from processing.feature_extraction_gem import GemFeatureExtractor
from processing.image_processing_gem import GemImageProcessor
from processing.processing_gem import GemProcessor

from .configuration_gem import GemConfig, GemEcgConfig
from .modeling_gem import GemEcgModel, GemForConditionalGeneration, GemModel, GemPreTrainedModel
from .pipeline_gem import GEM_TASK, GemPipeline


def default_checkpoint() -> Path:
    """Folder of the small GEM that comes with the package."""
    return Path(__file__).parent / "checkpoints" / "gem-ecg-tiny"


def _register() -> None:
    for model_type, config in (("gem", GemConfig), ("gem_ecg", GemEcgConfig)):
        AutoConfig.register(model_type, config, exist_ok=True)
    AutoModel.register(GemEcgConfig, GemEcgModel, exist_ok=True)
    AutoModel.register(GemConfig, GemModel, exist_ok=True)
    # TRL picks the causal class when a config carries no `auto_map`.
    for auto_class in (AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoModelForCausalLM):
        auto_class.register(GemConfig, GemForConditionalGeneration, exist_ok=True)
    AutoFeatureExtractor.register(GemConfig, GemFeatureExtractor, exist_ok=True)
    AutoImageProcessor.register(GemConfig, image_processor_classes={"pil": GemImageProcessor}, exist_ok=True)
    AutoProcessor.register(GemConfig, GemProcessor, exist_ok=True)
    PIPELINE_REGISTRY.register_pipeline(
        GEM_TASK, pipeline_class=GemPipeline, pt_model=AutoModelForImageTextToText, type="multimodal"
    )


_register()

__all__ = [
    "GEM_TASK",
    "EcgRecord",
    "GemConfig",
    "GemEcgConfig",
    "GemEcgModel",
    "GemError",
    "GemFeatureExtractor",
    "GemForConditionalGeneration",
    "GemImageProcessor",
    "GemModel",
    "GemPipeline",
    "GemPreTrainedModel",
    "GemProcessor",
    "default_checkpoint",
    "load_ecg",
]
