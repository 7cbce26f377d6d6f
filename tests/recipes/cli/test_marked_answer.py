# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""What `gem interpret` prints of a checked answer, on a terminal and into a file."""

import io

import pytest
from rich.console import Console

from modeling_gem import Interpretation, check_answer, extract_features
from processing.simulator.simulator import simulate_ecg
from recipes.cli.marked_answer import marked_answer, print_answer, print_verdicts

TEXT = "Sinus rhythm, irregular, 111 bpm. No ST elevation."


@pytest.fixture(scope="module")
def features():
    return extract_features(simulate_ecg(heart_rate=72, seed=1).record)


def printed(found: Interpretation, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=terminal, color_system="standard" if terminal else None, width=200, markup=False
    )
    print_answer(console, found)
    print_verdicts(console, found)
    return file.getvalue()


def test_contradicted_words_are_marked_with_what_is_measured(features):
    found = check_answer(TEXT, features)
    plain = printed(found, terminal=False)
    assert plain.splitlines() == [
        "Sinus rhythm, irregular [✗ measured: regular, RR vary by 2 %], 111 bpm [✗ measured 72 bpm]. No ST elevation.",
        "claims: 2 contradicted, 2 supported, 0 not measurable",
    ]
    colored = printed(found, terminal=True)
    assert "\x1b[1;31mirregular\x1b[0m" in colored and "\x1b[" not in plain
    assert found.text == TEXT


def test_undecided_statements_are_marked_in_dim_type(features):
    found = check_answer("Sinus rhythm. U waves in V3. Infarction: no.", features)
    assert (
        marked_answer(found).plain
        == "Sinus rhythm. U waves in V3 [? not measurable]. Infarction: no [? not measurable]."
    )
    assert "\x1b[2m [? not measurable]\x1b[0m" in printed(found, terminal=True)


def test_an_unchecked_answer_begins_and_ends_with_a_note():
    assert printed(check_answer(TEXT, None), terminal=False).splitlines() == [
        "picture only: not checked",
        TEXT,
        "picture only: not checked",
    ]


def test_an_answer_that_calls_an_ecg_none_is_marked_below(features):
    found = check_answer("This cannot be read as an ECG: the page is blank.", features)
    assert printed(found, terminal=False).splitlines()[:2] == [
        "This cannot be read as an ECG: the page is blank.",
        "The model calls this no ECG; the heartbeat check found one (12 beats at 72 bpm).",
    ]
    assert "calls this no ECG" not in printed(check_answer(TEXT, features), terminal=False)


def test_changes_are_seen_in_the_text_and_listed_below(features):
    found = check_answer(TEXT, features, grounding="correct")
    plain = printed(found, terminal=False).splitlines()
    assert plain[0] == "Sinus rhythm, [regular], [72 bpm]. No ST elevation." == marked_answer(found).plain
    assert "changed: 111 bpm -> [72 bpm]; measured 72 bpm" in plain
    assert plain[-1].startswith("claims: 0 contradicted")
