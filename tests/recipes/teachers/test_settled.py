# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Values and words that follow from an impression and that a template then leaves out."""

import pytest

from recipes.teachers.settled import Settled, is_rhythm


@pytest.mark.parametrize(
    ("words", "rhythm"),
    [
        ("sinus rhythm", True),
        ("junctional tachycardia", True),
        ("accelerated idioventricular rhythm", True),
        ("wandering atrial pacemaker", True),
        ("ventricular pacing", True),
        ("bradycardia", True),
        ("junctional escape", False),
        ("supraventricular premature beats", False),
        ("left bundle branch block", False),
        ("normal ECG", False),
    ],
)
def test_rhythms(words, rhythm):
    assert is_rhythm(words) == rhythm
    assert Settled.of(["myocardial infarction", words]).rhythm == (words if rhythm else None)


@pytest.mark.parametrize(
    ("words", "denied", "kept"),
    [
        ("sinus bradycardia", 66, 65),
        ("junctional bradycardia", 66, 65),
        ("sinus tachycardia", 94, 95),
        ("supraventricular tachycardia", 94, 95),
    ],
)
def test_rates(words, denied, kept):
    assert Settled.of([words]).denies_rate(denied) and not Settled.of([words]).denies_rate(kept)
    assert not Settled.of(["sinus bradycardia", "sinus tachycardia"]).denies_rate(80)


@pytest.mark.parametrize(
    ("words", "without", "with_p"),
    [
        ("atrial fibrillation", True, False),
        ("ventricular tachycardia", True, False),
        ("ventricular pacing", True, False),
        ("supraventricular tachycardia", False, False),
        ("sinus arrhythmia", False, True),
        ("first degree AV block", False, True),
        ("third degree AV block", False, False),
        ("normal ECG", False, True),
    ],
)
def test_p_waves(words, without, with_p):
    settled = Settled.of([words])
    assert (settled.without_p_waves, settled.with_p_waves) == (without, with_p)


@pytest.mark.parametrize(
    ("words", "uneven"),
    [
        ("atrial fibrillation", True),
        ("atrial flutter", False),
        ("sinus arrhythmia", True),
        ("ventricular premature complexes", True),
        ("trigeminy", True),
        ("2:1 AV block", True),
        ("second degree AV block, Mobitz I", True),
        ("first degree AV block", False),
        ("sinoatrial block", True),
        ("junctional escape complexes", True),
        ("irregular sinus rhythm", True),
        ("sinus rhythm", False),
    ],
)
def test_regularity(words, uneven):
    assert Settled.of([words]).denies_regularity("regular") == uneven
    assert not Settled.of([words]).denies_regularity("irregular")


@pytest.mark.parametrize(
    ("words", "denies", "kept", "denied"),
    [
        ("prolonged PR interval", "denies_pr", 201, 200),
        ("first degree AV block", "denies_pr", 201, 200),
        ("short PR interval", "denies_pr", 119, 120),
        ("left axis deviation", "denies_axis", 0, 1),
        ("right axis deviation", "denies_axis", 60, 59),
        ("left anterior fascicular block", "denies_axis", -30, -29),
        ("left posterior fascicular block", "denies_axis", 61, 60),
        ("complete right bundle branch block", "denies_qrs", 110, 109),
        ("prolonged QT interval", "denies_qtc", 440, 439),
        ("long QT interval", "denies_qtc", 440, 439),
        ("short QT interval", "denies_qtc", 400, 401),
    ],
)
def test_values_that_deny_what_is_settled(words, denies, kept, denied):
    settled = Settled.of([words])
    assert getattr(settled, denies)(denied) and not getattr(settled, denies)(kept)


def test_an_incomplete_block_may_be_narrow():
    assert not Settled.of(["incomplete right bundle branch block"]).denies_qrs(90)


@pytest.mark.parametrize(
    ("words", "judged", "deviation_denied"),
    [
        ("left axis deviation", True, False),
        ("normal electrical axis", True, True),
        ("vertical electrical axis", True, True),
        ("left anterior fascicular block", True, False),
        ("normal ECG", True, False),
        ("sinus rhythm", False, False),
    ],
)
def test_the_axis(words, judged, deviation_denied):
    settled = Settled.of([words])
    assert (settled.judges_axis, settled.denies_deviation) == (judged, deviation_denied)


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("non-specific ST changes", True),
        ("inferior ischaemia", True),
        ("acute myocardial infarction", True),
        ("ST-elevation infarction (anterior wall)", True),
        ("old myocardial infarction", False),
        ("Brugada pattern", True),
        ("digitalis effect", True),
        ("non-diagnostic T wave changes", False),
    ],
)
def test_repolarisation(words, changed):
    assert Settled.of([words]).changed_repolarisation == changed


@pytest.mark.parametrize(
    ("impression", "judged"),
    [
        (["sinus rhythm"], True),
        (["left bundle branch block"], False),
        (["left bundle branch block", "old myocardial infarction"], True),
        (["ventricular pacing"], False),
        (["normal ECG"], False),
    ],
)
def test_q_waves(impression, judged):
    assert Settled.of(impression).judges_q_waves == judged


@pytest.mark.parametrize(
    ("words", "high"),
    [("left ventricular hypertrophy", True), ("high QRS voltage", True), ("left ventricular strain", True), ("right ventricular hypertrophy", False)],
)  # fmt: skip
def test_high_voltage(words, high):
    assert Settled.of([words]).high_voltage == high
