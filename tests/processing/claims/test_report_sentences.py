# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Of the claims that a reader found in published sentences, the parser finds at least the share that was measured."""

import pytest

from tests.helpers.report_sentences import compare, read_sentences

# Measured by `python -m benchmarks.report_sentences`; shares of the reader's claims, found with the right polarity. To be raised, never lowered.
FOUND = {"ptb-xl": 0.96, "machine report": 0.95, "published answer": 0.88, "ptb-xl, held back": 0.83}


@pytest.fixture(scope="module")
def sentences():
    return read_sentences()


def test_the_sentences_are_different_and_of_known_sources(sentences):
    assert len({sentence.text for sentence in sentences}) == 120
    assert {sentence.source for sentence in sentences} == set(FOUND)
    assert all(letters <= set("ahn") and letters for sentence in sentences for _, letters in sentence.expected)


@pytest.mark.parametrize("source", FOUND)
def test_no_less_is_found_than_was_measured(sentences, source):
    part = [sentence for sentence in sentences if sentence.source == source]
    found = [compare(sentence) for sentence in part]
    expected = sum(len(sentence.expected) for sentence in part)
    assert sum(each.right for each in found) / expected >= FOUND[source]
    # Claims that the reader did not make are rarer still than those with the other polarity may be.
    assert sum(len(each.surplus) for each in found) <= 0.06 * expected


def test_sentences_without_a_finding_of_this_ecg_make_no_claim(sentences):
    for sentence in sentences:
        if not sentence.expected:
            assert compare(sentence).surplus == (), sentence.text
