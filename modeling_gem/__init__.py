# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
GEM for Transformers, and the public names for scripts and notebooks. `import modeling_gem` registers GEM with the AutoClasses and its
pipeline task. Functions that measure, check, draw and simulate ECGs are loaded at their first use.
"""

from . import own_packages  # noqa: F401 (before what it looks for is imported)

# isort: split
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

from processing.ecg_check import check_ecg
from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.errors_gem import GemError
from processing.feature_extraction_gem import GemFeatureExtractor
from processing.image_processing_gem import GemImageProcessor
from processing.processing_gem import GemProcessor

from .configuration_gem import GemConfig, GemEcgConfig
from .hubert_ecg import HubertEcgConfig, HubertEcgModel
from .modeling_gem import GemEcgModel, GemForConditionalGeneration, GemModel, GemPreTrainedModel
from .pipeline_gem import GEM_TASK, GemPipeline

# Offered here, loaded at first use (PEP 562): module -> its names.
LOADED_AT_FIRST_USE = {
    "modeling_gem.interpretation": ("Interpretation", "check_answer", "interpret"),
    "processing.claims.claims": ("extract_claims",),
    "processing.ecg_features": ("EcgFeatures", "extract_features"),
    "processing.evidence.highlight": ("highlight",),
    "processing.evidence.html": ("evidence_html",),
    "processing.evidence.picture": ("evidence_picture",),
    "processing.grounding.check": ("DEFAULT_TOLERANCES", "check_grounding"),
    "processing.guider.guider": ("DiagnosisGuider",),
    "processing.photo": ("DigitizedPage", "digitize_ecg"),
    "processing.simulator.simulator": ("simulate_ecg",),
    "processing.untrusted.reading": ("ReadBudget", "load_untrusted", "load_untrusted_picture"),
}

if TYPE_CHECKING:  # the same names, for editors and type checkers
    from modeling_gem.interpretation import Interpretation, check_answer, interpret
    from processing.claims.claims import extract_claims
    from processing.ecg_features import EcgFeatures, extract_features
    from processing.evidence.highlight import highlight
    from processing.evidence.html import evidence_html
    from processing.evidence.picture import evidence_picture
    from processing.grounding.check import DEFAULT_TOLERANCES, check_grounding
    from processing.guider.guider import DiagnosisGuider
    from processing.photo import DigitizedPage, digitize_ecg
    from processing.simulator.simulator import simulate_ecg
    from processing.untrusted.reading import ReadBudget, load_untrusted, load_untrusted_picture
else:  # a type checker that sees `__getattr__` believes in any name

    def __getattr__(name: str) -> Any:
        for module, names in LOADED_AT_FIRST_USE.items():
            if name in names:
                globals()[name] = getattr(import_module(module), name)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# What `LoraConfig` without `target_modules` adapts: as PEFT has it for Llama, and in the language model only, since the towers
# have layers of the same names.
LORA_TARGETS = r"(.*\.)?language_model\..*\.(q_proj|v_proj|qkv_proj|query_key_value)"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def default_checkpoint() -> Path:
    """Folder of the small GEM that comes with the package."""
    return Path(__file__).parent / "checkpoints" / "gem-ecg-tiny"


def _register() -> None:
    for model_type, config in (("gem", GemConfig), ("gem_ecg", GemEcgConfig), ("gem_hubert_ecg", HubertEcgConfig)):
        AutoConfig.register(model_type, config, exist_ok=True)
    AutoModel.register(GemEcgConfig, GemEcgModel, exist_ok=True)
    AutoModel.register(HubertEcgConfig, HubertEcgModel, exist_ok=True)
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
    try:
        from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    except ImportError:
        return
    TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING["gem"] = LORA_TARGETS


_register()

__all__ = [
    "DEFAULT_TOLERANCES",
    "GEM_TASK",
    "DiagnosisGuider",
    "DigitizedPage",
    "EcgFeatures",
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
    "HubertEcgConfig",
    "HubertEcgModel",
    "Interpretation",
    "ReadBudget",
    "check_answer",
    "check_ecg",
    "check_grounding",
    "default_checkpoint",
    "digitize_ecg",
    "evidence_html",
    "evidence_picture",
    "extract_claims",
    "extract_features",
    "highlight",
    "interpret",
    "load_ecg",
    "load_untrusted",
    "load_untrusted_picture",
    "render_ecg",
    "simulate_ecg",
]
