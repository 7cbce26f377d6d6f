# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Placeholders without an ECG are refused. (`test_vllm.py` does this in vLLM itself.)"""

import pytest

from processing.errors_gem import PlaceholderError
from recipes.serving.vllm.placeholders import check_placeholders

ECG, PAGE = 9, 8
TOKENS = {"ecg": ECG, "audio": ECG, "image": PAGE}


@pytest.mark.parametrize(
    ("prompt", "given"),
    [
        ([1, 2], {}),
        ([ECG, PAGE, 1], {"ecg": ["a"], "image": "page"}),
        ([ECG, ECG], {"audio": ["a", "b"]}),
        ([ECG, ECG], {"audio": ["a"], "ecg": "b"}),
        ([1], {"ecg": ["a"]}),  # vLLM says that itself
    ],
)
def test_equal_numbers_pass(prompt, given):
    check_placeholders(prompt, given, TOKENS)


@pytest.mark.parametrize(
    ("prompt", "given", "words"),
    [
        ([1, ECG, 2], {}, "1 <ecg> placeholder.s., but 0 ecg"),
        ([ECG, ECG], {"audio": ["a"]}, "2 <ecg> placeholder.s., but 1 ecg"),
        ([ECG, PAGE], {"ecg": ["a"]}, "1 <image> placeholder.s., but 0 image"),
        ([PAGE, PAGE], {"image": ["a"], "ecg": None}, "leave them out of the text"),
    ],
)
def test_one_too_many_is_refused(prompt, given, words):
    with pytest.raises(PlaceholderError, match=words):
        check_placeholders(prompt, given, TOKENS)
