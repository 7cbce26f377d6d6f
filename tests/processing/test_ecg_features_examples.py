import doctest

import processing.ecg_features


def test_the_examples_of_the_docstrings_hold():
    failed, tried = doctest.testmod(processing.ecg_features)
    assert tried >= 4 and failed == 0
