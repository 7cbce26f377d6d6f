# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Tests of Transformers' suites that GEM is expected to fail, each with its reason. Any other failure is a real one."""

import pytest
import transformers
from packaging.version import Version

LOST_INPUT = "random ids hold placeholders without a picture or an ECG, which GEM refuses"
PILLOW_ONLY = "GEM's pictures must be equal to the bit everywhere, which two backends are not"
NO_AUDIO = "the suite takes every feature extractor for one of audio; GEM's reads ECGs"
IN_TREE_ONLY = "the suite looks for the code in `transformers.models`, by the folder of the test"

# (class, beginning of the test's name) -> reason
EXPECTED_FAILURES = {
    ("GemModelTest", "test_model_rope_scaling_from_config"): LOST_INPUT,
    ("GemImageProcessingTest", "test_new_models_require_torchvision_backend"): PILLOW_ONLY,
    ("GemProcessorTest", "test_apply_chat_template_audio"): NO_AUDIO,
    ("GemProcessorTest", "test_processor_with_multiple_inputs"): NO_AUDIO,
    ("GemProcessorTest", "test_subprocessor_defaults_3_audio"): NO_AUDIO,
}
if Version(transformers.__version__) < Version("5.23"):
    EXPECTED_FAILURES["GemImageProcessingTest", "test_pil_can_load_without_torchvision"] = IN_TREE_ONLY


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "ignore:Unknown pytest.mark:pytest.PytestUnknownMarkWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        class_name = item.cls.__name__ if getattr(item, "cls", None) else ""
        if class_name and item.name.startswith("test_bc_"):  # they look for a warning that this project silences
            item.add_marker(pytest.mark.filterwarnings("always::FutureWarning"))
        for (failing, test), reason in EXPECTED_FAILURES.items():
            if class_name == failing and item.name.startswith(test):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
