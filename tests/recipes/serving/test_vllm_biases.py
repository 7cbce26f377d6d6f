# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Biases of a generation config in vLLM against those of Transformers. `make vllm` runs this."""

from types import SimpleNamespace

import pytest
import torch
from transformers import SequenceBiasLogitsProcessor, SuppressTokensLogitsProcessor

pytest.importorskip("vllm", reason="vLLM is not installed: `make vllm` runs these tests")

from vllm import SamplingParams
from vllm.v1.sample.logits_processor import BatchUpdate

from processing.errors_gem import PlaceholderError
from recipes.serving.vllm.biases import GenerationBiases
from recipes.serving.vllm.inputs import with_dummy_prefixes

WORDS = 12
SAID = {"suppress_tokens": [3, 4], "sequence_bias": [[[5, 6], 0.75], [[7], -1.5], [[1, 2, 8], 2.0]]}


def biases(said: dict) -> GenerationBiases:
    model = SimpleNamespace(try_get_generation_config=lambda: said)
    return GenerationBiases(SimpleNamespace(model_config=model), torch.device("cpu"), False)


def test_rows_of_a_batch_get_what_transformers_adds():
    made = biases(SAID)
    # The history of a row is its prompt and what is written so far, to which vLLM appends.
    rows = [([9, 5], []), ([1], [2]), ([1, 2], []), ([5], [6, 5]), ([7], [])]
    added = [(number, SamplingParams(), prompt, answer) for number, (prompt, answer) in enumerate(rows)]
    made.update_state(BatchUpdate(batch_size=len(rows), removed=[], added=added, moved=[]))
    theirs = [
        SequenceBiasLogitsProcessor(SAID["sequence_bias"]),
        SuppressTokensLogitsProcessor(SAID["suppress_tokens"]),
    ]
    for token in (5, 1, 8):
        scores = torch.randn(len(rows), WORDS)
        expected = scores.clone()
        for number, (prompt, answer) in enumerate(rows):
            row = expected[number : number + 1]
            for processor in theirs:
                row = processor(torch.tensor([[*prompt, *answer]]), row)
            expected[number] = row
        assert torch.equal(made.apply(scores), expected)
        for _, answer in rows:
            answer.append(token)
        made.update_state(None)
    assert not made.is_argmax_invariant() and biases({}).is_argmax_invariant()


def test_the_original_codes_space_stands_behind_the_last_placeholder_of_a_row():
    assert with_dummy_prefixes([1, 50, 51, 13, 7, 50, 13], {50, 51}, 29871, 13) == [
        1,
        50,
        51,
        29871,
        13,
        7,
        50,
        29871,
        13,
    ]
    assert with_dummy_prefixes([1, 50], {50}, 29871, 13) == [1, 50]
    with pytest.raises(PlaceholderError, match="line break"):
        with_dummy_prefixes([1, 50, 7], {50}, 29871, 13)
