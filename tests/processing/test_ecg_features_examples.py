# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
import doctest

import processing.ecg_features


def test_the_examples_of_the_docstrings_hold():
    failed, tried = doctest.testmod(processing.ecg_features)
    assert tried >= 4 and failed == 0
