# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Which answers are kept: leaked labels, numbers, diagnoses, leads, length; second attempts; resuming."""

from pathlib import Path

import pytest

from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from recipes.chat.replies import ChatUsage
from recipes.teachers.checks import CheckSettings, problems, teach
from recipes.teachers.diagnoses import check_label, diagnoses_in, infarct_walls
from recipes.teachers.teacher import Draft, TeacherRequest
from recipes.teachers.template import TemplateTeacher

ROOT = Path(__file__).resolve().parents[3]
ANY_LENGTH = CheckSettings(min_words=1, max_words=1000, min_values=0)


@pytest.fixture(scope="module")
def infarction() -> TeacherRequest:
    features = extract_features(load_ecg(ROOT / "processing/samples/inferior_infarction.hea"))
    return TeacherRequest("a", features, "sinus rhythm, old inferior infarction", {"IMI": 100.0, "SR": 0.0}, "ptb-xl")


@pytest.fixture(scope="module")
def reading(infarction) -> str:
    return next(teach([infarction], TemplateTeacher())).text


def test_a_grounded_reading_passes(infarction, reading):
    assert problems(reading, infarction) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The report states an infarction.",
        "According to the provided diagnosis, this is an infarction.",
        "As stated in the report, there are Q waves.",
        "This is consistent with the given findings.",
        "Based on the known diagnosis the Q waves are old.",
        "These are machine measurements.",
        "The computer interpretation agrees.",
        "The labels suggest an infarction.",
        "I was told that this is an infarction.",
        "This matches the ground truth.",
        "As per the settled findings, Q waves are present.",
        "The ECG report mentions sinus rhythm.",
        "As an AI language model, I cannot diagnose.",
    ],
)
def test_references_to_the_report_are_found(infarction, reading, sentence):
    assert [p.split(":")[0] for p in problems(f"{reading} {sentence}", infarction)] == ["report"]


@pytest.mark.parametrize(
    "sentence",
    [
        "These findings support the diagnosis of an old inferior infarction.",
        "The findings are consistent with an inferior infarction.",
        "Based on these findings the infarction is old.",
        "The measured values are normal.",
    ],
)
def test_innocent_wording_is_kept(infarction, reading, sentence):
    assert problems(f"{reading} {sentence}", infarction) == []


@pytest.mark.parametrize(
    ("sentence", "kind", "told"),
    [
        ("The QRS duration is 180 ms.", "measurements", "180 ms"),
        ("The heart rate is 140 bpm.", "measurements", "140 bpm"),
        ("The ST segment is elevated in V2 by 0.5 mV.", "measurements", "0.5 mV"),
        ("There is left bundle branch block.", "diagnosis", "left bundle branch block"),
        ("There is atrial fibrillation.", "diagnosis", "atrial fibrillation"),
        ("There is left ventricular hypertrophy.", "diagnosis", "hypertrophy"),
        ("The Q waves show an anterior infarction.", "diagnosis", "inferior, not anterior"),
        ("V7 shows small R waves.", "leads", "V7"),
        ("V3R is normal.", "leads", "V3R"),
        ("Lead IV is normal.", "leads", "IV"),
    ],
)
def test_faults_are_named(infarction, reading, sentence, kind, told):
    text = reading.replace("inferior myocardial infarction", "infarction") if "anterior" in sentence else reading
    found = problems(f"{text} {sentence}", infarction)
    assert any(problem.startswith(f"{kind}:") and told in problem for problem in found), found


def test_an_excluded_diagnosis_is_not_a_diagnosis(infarction, reading):
    text = f"{reading} There is no evidence of left bundle branch block, and atrial fibrillation is excluded."
    assert problems(text, infarction) == []


def test_length_and_grounding(infarction, reading):
    assert problems("Sinus rhythm.", infarction)[0].startswith("length: 2 words, at least 80")
    assert problems(f"{reading} " * 4, infarction)[0].startswith("length:")
    empty = "This is an old inferior infarction in sinus rhythm and nothing else can be said about it. " * 6
    assert any(p.startswith("grounding:") for p in problems(empty, infarction))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (71, "length: 71 words, at least 80 are wanted"),  # a tenth less than is asked for is let pass
        (72, None),
        (330, None),  # and a tenth more
        (331, "length: 331 words, at most 300 are wanted"),
    ],
)
def test_lengths_just_within_and_just_beyond(infarction, words, said):
    found = [problem for problem in problems("well " * words, infarction) if problem.startswith("length")]
    assert found == ([said] if said else [])


@pytest.mark.parametrize(("least", "missing"), [(2, False), (3, True)])
def test_enough_values_must_be_right(infarction, least, missing):
    rate, qrs = round(infarction.features.heart_rate), round(infarction.features.qrs_duration)
    found = problems(f"Rate {rate} bpm, QRS {qrs} ms.", infarction, CheckSettings(1, 1000, min_values=least))
    assert (f"grounding: 2 correct value(s), at least {least} are wanted" in found) == missing


@pytest.mark.parametrize(("share", "kept"), [(0.0, False), (0.3, False), (0.34, True)])
def test_only_few_statements_may_be_wrong(infarction, share, kept):
    rate, qrs = round(infarction.features.heart_rate), round(infarction.features.qrs_duration)
    text = f"Rate {rate} bpm, QRS {qrs} ms, PR 400 ms."
    found = problems(text, infarction, CheckSettings(1, 1000, min_values=0, max_contradicted=share))
    assert (found == []) == kept and (kept or "400 ms" in found[0])


def test_what_is_settled_is_not_judged_by_measurements(infarction):
    request = TeacherRequest("a", infarction.features, "left bundle branch block, sinus rhythm")
    assert problems("Left bundle branch block.", request, ANY_LENGTH) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sinusrhythmus lagetyp normal normales ekg", {"sinus rhythm", "normal ECG"}),
        ("vorhofflimmern, linksschenkelblock", {"atrial fibrillation", "left bundle branch block"}),
        ("ventrikulÄre extrasystole(n) sinus arrhythmie", {"premature ventricular complexes", "sinus rhythm"}),
        ("supraventrikulÄre extrasystolen", {"premature atrial complexes"}),
        ("sinus rhythm, otherwise normal ecg", {"sinus rhythm"}),
        ("abnormal ECG", set()),
        ("no LVH; possible RVH", {"right ventricular hypertrophy"}),
        ("There is no infarction but ischaemia in V4", {"ischaemia"}),
        ("complete heart block", {"AV block"}),
        ("ventricular tachycardia", {"ventricular tachycardia"}),
        ("supraventricular tachycardia", {"supraventricular tachycardia"}),
        (
            "keine p-welle erkannt ueberdrehter linkstyp rechtsschenkelblock",
            {"fascicular block", "right bundle branch block"},
        ),
        ("kein infarkt, vollstÄndiger links schenkelblock", {"left bundle branch block"}),
        ("ventrikulÄr(a) extrasystoli(er) fÖrmaksflimmer", {"premature ventricular complexes", "atrial fibrillation"}),
        ("No signs of hypertrophy, ischaemia, or prior myocardial infarction", set()),
        ("LAFB was ruled out. PVCs", {"premature ventricular complexes"}),
        ("supraventricular extrasystole (s), qt prolongation", {"premature atrial complexes", "long QT"}),
        (
            "vorhofflimmern/-flattern, inferior myocardial damage possible",
            {"atrial fibrillation", "atrial flutter", "myocardial infarction"},
        ),
        ("sinusrhythmus sonst normales ekg", {"sinus rhythm"}),
        ("high voltage, prolonged PR interval", {"AV block"}),
        ("anterolateral ischemi eller vÄnster belastning", {"ischaemia"}),
        ("there is no ecg evidence to suggest pericarditis", set()),
    ],
)
def test_diagnoses(text, expected):
    assert diagnoses_in(text) == expected


def test_the_usual_rhythm_may_be_named_where_none_is_settled(infarction):
    from dataclasses import replace

    rhythm_of = {
        "left bundle branch block": [],
        "ventricular tachycardia": ["diagnosis"],
        "atrial flutter": ["diagnosis"],
    }
    for settled, told in rhythm_of.items():
        request = replace(infarction, report=settled, labels={})
        found = problems("Sinus rhythm.", request, ANY_LENGTH)
        assert [problem.split(":")[0] for problem in found] == told, settled


def test_walls():
    assert infarct_walls("old anteroseptal infarction, no inferior infarction") == {"anterior", "septal"}
    assert infarct_walls("infarkt inferior chronisch, t abnorm in lateralen ableitungen") == {"inferior"}
    assert infarct_walls("hochlateraler infarkt; infarction of the inferior wall") == {"lateral", "inferior"}
    assert infarct_walls("no infarction, anterior ischaemia") == set()


class Scripted:
    """A teacher that answers each job from a list, with a cost of a cent."""

    name, version, remote, listens = "scripted", "v0", True, True

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.jobs = list(answers), []

    def write(self, jobs):
        for job in jobs:
            self.jobs.append(job)
            answer = self.answers.pop(0)
            usage = ChatUsage(100, 10, 0.01)
            if isinstance(answer, Exception):
                yield Draft(job, "", "h", usage, failure=str(answer), answered="refusal" in str(answer))
            else:
                yield Draft(job, answer, "h", usage)

    def close(self) -> None: ...


def test_a_second_attempt_is_told_the_reasons(infarction, reading):
    teacher = Scripted(f"{reading} The report says so.", reading)
    (answer,) = teach([infarction], teacher)
    assert answer.accepted and answer.attempts == 2 and answer.text == reading
    assert teacher.jobs[1].reasons[0].startswith("report:") and "report says" in teacher.jobs[1].first_answer
    assert answer.usage.cost == pytest.approx(0.02) and answer.usage.prompt_tokens == 200
    assert (answer.teacher, answer.version, answer.prompt_hash) == ("scripted", "v0", "h")


def test_after_two_attempts_it_is_stored_with_the_reasons(infarction, reading):
    (answer,) = teach([infarction], Scripted("too short", f"{reading} V7 is normal."))
    assert not answer.accepted and answer.attempts == 2
    assert "first attempt: length" in answer.rejected_reason and "V7" in answer.rejected_reason


def test_no_answer_at_all_is_marked_for_another_run(infarction):
    (answer,) = teach([infarction], Scripted(TimeoutError("timeout: none within 5 s")))
    assert not answer.answered and answer.attempts == 1 and "timeout" in answer.rejected_reason
    (answer,) = teach([infarction], Scripted(ValueError("refusal"), ValueError("refusal")))
    assert answer.answered and answer.attempts == 2


def test_resuming_skips_what_is_done(infarction, reading):
    from dataclasses import replace

    requests = [replace(infarction, key=key) for key in "abcd"]
    teacher = Scripted(reading, reading)
    assert sorted(answer.key for answer in teach(requests, teacher, done={"a", "c"})) == ["b", "d"]


def test_credentialed_sources_are_not_sent_to_other_machines(infarction, reading):
    from dataclasses import replace

    request = replace(infarction, source="mimic-iv-ecg")
    teacher = Scripted(reading)
    with pytest.raises(ValueError, match="allow_credentialed_remote: true"):
        list(teach([request], teacher))
    assert not teacher.jobs, "nothing was sent"
    assert next(teach([request], teacher, allow_credentialed_remote=True)).accepted
    assert next(teach([request], TemplateTeacher())).accepted


def test_a_label_of_sinus_rhythm_alone_does_not_gainsay_a_normal_ecg():
    sinus, block = "426783006", "270492004"
    answer = "Sinus rhythm at 70 bpm. Impression: normal ECG."
    assert check_label([sinus], answer).not_stated == ()
    assert check_label([sinus, block], answer).not_stated == ("normal ECG",)
    assert check_label([sinus], "Sinus rhythm with left bundle branch block.").not_stated == (
        "left bundle branch block",
    )
