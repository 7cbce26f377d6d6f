# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Tools around GEM: interpret, convert, build data, train, evaluate, publish.

The public functions are available here and are loaded at their first use; the files that define them may move.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .extras import missing_extra

# Offered here, loaded at first use (PEP 562): module -> its names.
LOADED_AT_FIRST_USE = {
    "recipes.chat.batch": ("export_batch",),
    "recipes.chat.client": ("ChatClient",),
    "recipes.chat.engines": ("gem_engine",),
    "recipes.chat.replies": ("ChatFailure",),
    "recipes.chat.settings": ("ChatSettings",),
    "recipes.chat.vllm_models": ("VllmGem", "prompt_with_ecgs"),
    "recipes.dataset.feature_file": ("extract_features_batch", "read_features"),
    "recipes.dataset.schema": ("PageStyleChoice", "decode", "stream", "with_transform"),
    "recipes.evaluation.consistency": ("consistency_of",),
    "recipes.evaluation.grounding_scores": ("score_grounding",),
    "recipes.evaluation.judges": ("read_judged",),
    "recipes.evaluation.likelihood": ("label_log_likelihoods",),
    "recipes.models": ("load_gem", "load_pipeline"),
    "recipes.publishing.model_card": ("Energy", "Training", "model_card"),
    "recipes.scores": ("ScoreRow", "ScoreTable"),
    "recipes.serving.wire": ("data_url",),
    "recipes.sources.ptbxl_plus": ("read_12sl_statements", "read_median_beat", "read_ptbxl_plus"),
    "recipes.teachers.checks": ("teach",),
    "recipes.teachers.language_models": ("build_teacher",),
    "recipes.teachers.teacher": ("TeacherRequest",),
    "recipes.training.adapter": ("merge_adapter",),
    "recipes.training.collator": ("GemDataCollator",),
    "recipes.training.dpo": ("GemDPOTrainer", "GemPreferenceCollator"),
    "recipes.training.grpo_trainer": ("GemGRPOTrainer",),
    "recipes.training.rewards": ("diagnosis_reward", "evidence_reward", "format_reward"),
    "recipes.training.towers": ("freeze_towers",),
    "recipes.training.trainer": ("GemSFTTrainer",),
}

if TYPE_CHECKING:  # the same names, for editors and type checkers
    from .chat.batch import export_batch
    from .chat.client import ChatClient
    from .chat.engines import gem_engine
    from .chat.replies import ChatFailure
    from .chat.settings import ChatSettings
    from .chat.vllm_models import VllmGem, prompt_with_ecgs
    from .dataset.feature_file import extract_features_batch, read_features
    from .dataset.schema import PageStyleChoice, decode, stream, with_transform
    from .evaluation.consistency import consistency_of
    from .evaluation.grounding_scores import score_grounding
    from .evaluation.judges import read_judged
    from .evaluation.likelihood import label_log_likelihoods
    from .models import load_gem, load_pipeline
    from .publishing.model_card import Energy, Training, model_card
    from .scores import ScoreRow, ScoreTable
    from .serving.wire import data_url
    from .sources.ptbxl_plus import read_12sl_statements, read_median_beat, read_ptbxl_plus
    from .teachers.checks import teach
    from .teachers.language_models import build_teacher
    from .teachers.teacher import TeacherRequest
    from .training.adapter import merge_adapter
    from .training.collator import GemDataCollator
    from .training.dpo import GemDPOTrainer, GemPreferenceCollator
    from .training.grpo_trainer import GemGRPOTrainer
    from .training.rewards import diagnosis_reward, evidence_reward, format_reward
    from .training.towers import freeze_towers
    from .training.trainer import GemSFTTrainer
else:  # a type checker that sees `__getattr__` believes in any name

    def __getattr__(name: str) -> Any:
        for module, names in LOADED_AT_FIRST_USE.items():
            if name in names:
                try:
                    globals()[name] = getattr(import_module(module), name)
                except ImportError as error:
                    if (missing := missing_extra(error)) is not None:
                        raise missing from error
                    raise
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "ChatClient",
    "ChatFailure",
    "ChatSettings",
    "Energy",
    "GemDPOTrainer",
    "GemDataCollator",
    "GemGRPOTrainer",
    "GemPreferenceCollator",
    "GemSFTTrainer",
    "PageStyleChoice",
    "ScoreRow",
    "ScoreTable",
    "TeacherRequest",
    "Training",
    "VllmGem",
    "build_teacher",
    "consistency_of",
    "data_url",
    "decode",
    "diagnosis_reward",
    "evidence_reward",
    "export_batch",
    "extract_features_batch",
    "format_reward",
    "freeze_towers",
    "gem_engine",
    "label_log_likelihoods",
    "load_gem",
    "load_pipeline",
    "merge_adapter",
    "model_card",
    "prompt_with_ecgs",
    "read_12sl_statements",
    "read_features",
    "read_judged",
    "read_median_beat",
    "read_ptbxl_plus",
    "score_grounding",
    "stream",
    "teach",
    "with_transform",
]
