# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Importers on real records and on folders in the layouts of the published data sets."""

import numpy as np
import pytest

from processing.ecg_record import STANDARD_LEADS
from processing.errors_gem import EcgFormatError
from recipes.sources import IMPORTERS, EcgFile, Rejection, SourceRecord, import_source
from recipes.sources.ptbxl import read_ptbxl
from recipes.sources.statements import in_words, scp_statements
from tests.helpers.ecg_files import microvolts, write_wfdb
from tests.helpers.shared_data import shared_path
from tests.helpers.source_trees import (
    challenge_tree,
    code15_tree,
    conversation_files,
    mimic_tree,
    ptbxl_tree,
    simulated_microvolts,
    sph_tree,
)


def imported(format: str, path, **options) -> tuple[list[SourceRecord], list[Rejection]]:
    items = list(import_source(format, str(path), **options))
    return [i for i in items if isinstance(i, SourceRecord)], [i for i in items if isinstance(i, Rejection)]


def test_mimic_is_read_by_lead_name_and_reports_are_joined(tmp_path):
    signals = mimic_tree(tmp_path)
    records, rejected = imported("mimic-iv-ecg", tmp_path)
    assert [r.id for r in records] == [
        f"mimic-iv-ecg/{s}" for s in ("40689238", "44458630", "45090959")
    ] and not rejected
    assert [r.patient_id for r in records] == ["10000032", "10000032", "10000117"]
    assert (
        records[0].report == "Sinus rhythm; Left axis deviation; Borderline ECG"
        and records[0].report_kind == "machine"
    )
    assert list(records[0].labels) == ["Sinus rhythm", "Left axis deviation"], "statements about the heart alone"
    ecg = records[0].ecgs[0].load()
    assert ecg.leads[4:6] == ("aVF", "aVL"), "as the file has them"
    standard = ecg.select_leads(STANDARD_LEADS).signal
    np.testing.assert_allclose(standard, signals["40689238"] / 200, rtol=1e-6)
    with pytest.raises(EcgFormatError, match="45090959"):
        records[2].ecgs[0].load()


def test_ptbxl_folder_keeps_folds_patients_and_hides_high_ages(tmp_path):
    ptbxl_tree(tmp_path)
    records, _ = imported("ptb-xl", tmp_path)
    assert [r.split for r in records] == ["train", "train", "train", "validation", "test", "train"]
    assert records[0].patient_id == records[1].patient_id == "102" != records[2].patient_id
    assert records[2].age == 90 and records[0].sex == "F" and records[1].sex == "M"
    stated = records[0].first_ecg.load().metadata
    assert (stated["sex"], stated["age"]) == ("F", records[0].age)
    np.testing.assert_allclose(
        records[0].ecgs[0].load().signal, simulated_microvolts(1, 65) / 1000, rtol=1e-5, atol=1e-6
    )


def test_a_ptbxl_record_that_cannot_be_read_is_logged_and_left_out(tmp_path, caplog, capsys):
    ptbxl_tree(tmp_path, records=2, folds=(9,))
    signal = tmp_path / "records500/00000/00001_hr.dat"
    signal.write_bytes(signal.read_bytes()[:100])
    (left,) = read_ptbxl(tmp_path, (9,))
    assert left.record.record_id.endswith("00002") and capsys.readouterr().out == ""
    assert "left out" in caplog.text and "00001" in caplog.text


def test_ptbxl_items_join_the_rows_of_a_data_set(tmp_path):
    """Training and evaluation read the same ids, folds, labels and signals from which a data set is built."""
    ptbxl_tree(tmp_path, records=3, folds=(1, 9, 9))
    listed = {record.id: record for record in import_source("ptb-xl", str(tmp_path)) if record.fold == 9}
    items = {item.record.record_id: item for item in read_ptbxl(tmp_path, (9,))}
    assert list(items) == list(listed) == ["ptb-xl/00002", "ptb-xl/00003"]
    for name, item in items.items():
        assert item.codes == listed[name].labels and item.fold == 9 and listed[name].split == "validation"
        np.testing.assert_array_equal(item.record.signal, listed[name].ecgs[0].load().signal)


def test_ptbxl_parquet_is_the_same_record_as_its_wfdb_file():
    parquet = next(iter(import_source("ptb-xl", str(shared_path("data/ptbxl")))))
    wfdb = next(iter(import_source("ptb-xl", str(shared_path("data/ptbxl_wfdb")))))
    assert parquet.id == wfdb.id and parquet.labels == wfdb.labels and parquet.patient_id == wfdb.patient_id
    np.testing.assert_array_equal(parquet.ecgs[0].load().signal, wfdb.ecgs[0].load().signal)
    english = next(iter(import_source("ptb-xl", str(shared_path("data/ptbxl")), reports="english")))
    assert english.report != parquet.report


def test_code15_parts_are_read_exam_by_exam(tmp_path):
    signals = code15_tree(tmp_path)
    records, rejected = imported("code-15", tmp_path)
    assert [r.labels for r in records] == [{"1dAVb": 100.0}, {"AF": 100.0}] and records[1].age == 90
    for record, millivolts in zip(records, signals.values(), strict=True):
        ecg = record.ecgs[0].load()
        assert ecg.sampling_rate == 400 and ecg.leads == STANDARD_LEADS
        np.testing.assert_array_equal(ecg.signal, millivolts)
    assert "zero padding" in " ".join(records[1].ecgs[0].load().history)
    assert len(rejected) == 1 and "exams_part9.hdf5" in rejected[0].reason


def test_code15_single_exams_and_a_broken_part(tmp_path):
    code15_tree(tmp_path)
    (tmp_path / "exams_part0.hdf5").write_bytes(b"\x89HDF\r\n\x1a\nbroken")
    records, _ = imported("code-15", tmp_path)
    with pytest.raises(EcgFormatError, match="exams_part0"):
        records[0].ecgs[0].load()
    real = sorted(shared_path("data/loaders/code15").glob("*.mat"))[0]
    (tmp_path / "exams_part0.hdf5").unlink()
    (tmp_path / "1325.mat").write_bytes(real.read_bytes())
    records, rejected = imported("code-15", tmp_path)
    assert [r.id for r in records] == ["code-15/1325"] and len(rejected) == 2
    assert records[0].ecgs[0].load().sampling_rate == 400


def test_sph_codes_in_words_with_modifiers(tmp_path):
    sph_tree(tmp_path)
    records, _ = imported("sph", tmp_path)
    assert records[1].report == "ventricular premature complexes, frequent; left bundle branch block"
    assert records[0].patient_id == "S00001" and records[0].sex == "M"
    assert scp_statements(records[1].labels, "aha") == {"PVC": 100.0, "CLBBB": 100.0}
    assert records[0].ecgs[0].load().sampling_rate == 500
    for real in sorted(shared_path("data/loaders/sph").glob("*.h5")):
        assert EcgFile(str(real), {"dataset": "sph"}).load().leads == STANDARD_LEADS


def test_all_of_sphs_metadata_has_words():
    table = shared_path("data/text/sph_metadata.csv")
    records, _ = imported("sph", table.parent, metadata=str(table))
    assert len(records) == 25_770 and len({r.patient_id for r in records}) == 24_666
    words = [in_words(code, "aha") for record in records for code in record.labels]
    assert not [w for w in words if w.isdigit() or "modifier" in w]


def test_ludb_is_einthoven_exact():
    records, _ = imported("ludb", shared_path("data/ludb"))
    assert len(records) == 100 and records[0].report.startswith("sinus bradycardia; ")
    ecg = records[0].ecgs[0].load()
    assert np.abs(ecg.lead("I") + ecg.lead("III") - ecg.lead("II")).max() < 0.003
    assert records[0].sex == "F" and records[0].age == 51
    words = {in_words(code, "ludb") for record in records for code in record.labels}
    assert not [word for word in words if ":" in word or "supp." in word] and "first degree AV block" in words


@pytest.mark.parametrize(
    ("format", "folder", "report"),
    [
        ("cpsc2018", "cpsc2018", "right bundle branch block"),
        ("cpsc-extra", "cpsc-extra", "old myocardial infarction; sinus tachycardia"),
        ("csn", "chapman", "atrial fibrillation; right bundle branch block; T wave abnormality"),
        ("csn", "ningbo", "paroxysmal ventricular tachycardia"),
        ("g12ec", "g12ec", "sinus rhythm"),
        ("ptb", "ptb", "low QRS voltages; sinus rhythm"),
    ],
)
def test_challenge_sets_on_real_records(format, folder, report):
    records, _ = imported(format, shared_path(f"data/loaders/{folder}"))
    assert records[0].report == report and records[0].source == format
    assert records[0].ecgs[0].load().leads == STANDARD_LEADS


def test_challenge_sets_go_through_their_sub_folders(tmp_path):
    challenge_tree(tmp_path, "E00001", "164889003,59118001")
    records, _ = imported("g12ec", tmp_path)
    assert records[0].id == "g12ec/E00001" and records[0].age == 74 and records[0].sex == "M"
    assert scp_statements(records[0].labels, "snomed") == {"AFIB": 100.0, "CRBBB": 100.0}


@pytest.fixture
def conversations(tmp_path):
    mimic_tree(tmp_path / "mimic")
    ptbxl_tree(tmp_path / "ptbxl")
    files = {
        "mimic-iv": str(tmp_path / "mimic"),
        "mimic": str(tmp_path / "mimic"),
        "ecg_ptbxl": str(tmp_path / "ptbxl"),
    }
    return conversation_files(tmp_path), files, tmp_path


def test_ecg_grounding_rows_find_their_files_and_patients(conversations):
    paths, files, folder = conversations
    tables = {"ptb-xl": str(folder / "ptbxl" / "ptbxl_database.csv")}
    records, rejected = imported("ecg-grounding", paths["grounding"], files=files, patients=tables)
    assert [r.id for r in records] == ["ecg-grounding/a", "ecg-grounding/b"]
    assert [(r.source, r.patient_id) for r in records] == [("mimic-iv-ecg", "10000032"), ("ptb-xl", "102")]
    assert records[0].messages == (
        {"role": "user", "content": "Interpret the ECG."},
        {"role": "assistant", "content": "Sinus rhythm at 70 bpm."},
    )
    assert records[0].ecgs[0].load().num_samples == 5000
    reasons = [r.reason for r in rejected]
    assert "not found" in reasons[0] and "'robot'" in reasons[1] and "names no ECG" in reasons[2]


@pytest.mark.parametrize(
    ("format", "file", "rows"), [("ecg-instruct", "instruct", 1), ("ecg-r1", "r1", 1), ("ecg-bench", "bench", 2)]
)
def test_other_conversation_sets(conversations, format, file, rows):
    paths, files, _ = conversations
    records, rejected = imported(format, paths[file], files=files)
    assert len(records) == rows and not rejected
    assert records[0].source == "mimic-iv-ecg" and records[0].patient_id == "10000032" and records[0].ecgs[0].load()
    roles = [m["role"] for m in records[0].messages]
    assert roles == (["system", "user", "assistant"] if format == "ecg-r1" else ["user", "assistant"])
    assert all("<image>" not in m["content"] and "<ecg>" not in m["content"] for m in records[0].messages)
    if format == "ecg-bench":
        assert records[0].messages[1]["content"] == "yes; no"


def test_ecg_qa_with_one_and_two_ecgs(conversations):
    paths, _, folder = conversations
    records, rejected = imported("ecg-qa", paths["qa"], ptbxl=str(folder / "ptbxl"))
    assert [len(r.ecgs) for r in records] == [1, 2, 2] and records[1].other_patients == ("102",)
    assert records[1].messages[1]["content"] == "none" and "ECG 77" in rejected[0].reason


def test_real_ecg_qa_on_real_ecgs():
    records, rejected = imported(
        "ecg-qa", shared_path("data/text/ecgqa_template_available.json"), ptbxl=str(shared_path("data/ptbxl"))
    )
    assert len(records) + len(rejected) == 2021 and len(records) > 1600
    assert any(len(record.ecgs) == 2 for record in records)


def test_own_folder_with_a_table(tmp_path):
    write_wfdb(tmp_path, "one", microvolts())
    (tmp_path / "about.csv").write_text("file,patient,labels,split\none.hea,p1,NORM;SR,test\ntwo.hea,p2,,train\n")
    records, rejected = imported("folder", tmp_path, table=str(tmp_path / "about.csv"), source="ward")
    assert (
        records[0].id == "ward/one"
        and records[0].labels == {"NORM": 100.0, "SR": 100.0}
        and records[0].split == "test"
    )
    assert rejected[0].reason.startswith("two.hea")
    (tmp_path / "about.csv").write_text("path,patient\none.hea,p1\n")
    with pytest.raises(EcgFormatError, match="`file` must be there"):
        imported("folder", tmp_path, table=str(tmp_path / "about.csv"))


# HIPAA safe harbor, 45 CFR 164.514(b)(2)(i)(C): ages above 89 are one category.
AGES = [("0", 0), ("89", 89), ("90", 90), ("91", 90), ("104", 90), ("300", 90), ("-1", None), ("unknown", None)]


@pytest.mark.parametrize(("stated", "told"), AGES)
def test_ages_above_89_are_one_category_in_every_source(stated, told, tmp_path):
    (tmp_path / "own").mkdir()
    write_wfdb(tmp_path / "own", "one", microvolts(seconds=2))
    (tmp_path / "own" / "about.csv").write_text(f"file,age\none.hea,{stated}\n")
    records, _ = imported("folder", tmp_path / "own", table=str(tmp_path / "own" / "about.csv"))
    assert records[0].age == told
    challenge_tree(tmp_path / "g12ec", "E1", "164889003")
    header = tmp_path / "g12ec" / "g1" / "E1.hea"
    header.write_text(header.read_text().replace("Age: 74", f"Age: {stated}"))
    assert imported("g12ec", tmp_path / "g12ec")[0][0].age == told
    sph_tree(tmp_path / "sph")
    table = tmp_path / "sph" / "metadata.csv"
    table.write_text(table.read_text().replace("S00001,55", f"S00001,{stated}"))
    assert imported("sph", tmp_path / "sph")[0][0].age == told


def test_wrong_names_and_options_are_told(tmp_path):
    with pytest.raises(EcgFormatError, match="known are ptb-xl"):
        import_source("ptbxl9", str(tmp_path))
    with pytest.raises(EcgFormatError, match=r"unknown option\(s\) \['reslution'\]"):
        import_source("ptb-xl", str(tmp_path), reslution=100)
    with pytest.raises(EcgFormatError, match=r"\['files'\] must be given"):
        import_source("ecg-grounding", str(tmp_path))
    for format in ("ptb-xl", "mimic-iv-ecg", "code-15", "sph", "ludb", "csn"):
        with pytest.raises(EcgFormatError, match=str(tmp_path.name)):
            list(import_source(format, str(tmp_path)))
    assert len(IMPORTERS) == 18


def test_files_of_a_folder_that_are_no_ecgs_are_rejected_with_the_reason(tmp_path):
    write_wfdb(tmp_path, "a", microvolts())
    (tmp_path / "notes.txt").write_text("Nothing was found.\n")
    record, rejected = import_source("folder", str(tmp_path))
    assert (rejected.id, rejected.code) == (
        "own/notes.txt",
        "left_out",
    ) and "without lines of numbers" in rejected.reason
    assert record.id == "own/a"
