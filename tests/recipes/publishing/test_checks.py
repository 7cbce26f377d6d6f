# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Private data is found under other names, nested, in text and inside archives; everything else passes."""

import io
import json
import pickle
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from processing.errors_gem import PublishError
from recipes.dataset.card import dataset_card
from recipes.publishing.allowed import check_no_pickles
from recipes.publishing.checks import check_table, check_text_file, is_identity
from recipes.publishing.plan import plan_dataset
from tests.helpers.ecg_files import INDEPENDENT, aecg_xml, microvolts, muse_xml, sierra_xml

IDENTITIES = (
    "patient_name", "PatientName", "patientName", "Patient's Last-Name".replace("'s", ""), "birth_date", "BirthDate", "DOB",
    "date_of_birth", "MRN", "mrn_number", "ecg.PatientID", "patient_id", "email", "home_address", "ssn", "ReferringPhysician",
    "zip_code", "phone", "surname", "hash_of_patient_name", "hash_patient_id", "patient_name_hashed",
)  # fmt: skip
HARMLESS = (
    "id", "source", "signal", "gain", "lead_names", "sampling_rate", "patient_id_hash", "age", "sex", "report", "labels",
    "messages.role", "messages.content", "split", "teacher", "features.PR Interval", "dobutamine", "mrnaught", "model_name",
    "file_name", "conversations", "patient_name_hash", "patientNameHash", "hash", "splits", "dose", "addressed", "inpatient", "faxed",
)  # fmt: skip


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities(name):
    assert is_identity(name)


# The direct identifiers of the HIPAA safe harbor, 45 CFR 164.514(b)(2)(i), as columns are named after them.
DIRECT_IDENTIFIERS = (
    "patient name", "first name", "last name", "given name", "family name", "middle name", "maiden name", "full name", "surname", "firstname", "lastname", "fullname",
    "birth date", "birthdate", "date of birth", "dateof birth", "birthday", "birth time", "dob", "mrn", "medical record number", "patient id", "patientid", "insurance number",
    "ssn", "social security", "address", "street", "phone", "telephone", "phone number", "fax", "email", "e mail", "zip code", "zipcode",
    "postal code", "postcode", "physician name", "referring physician", "technician name", "operator name", "account number",
    "passport",
)  # fmt: skip


@pytest.mark.parametrize("words", DIRECT_IDENTIFIERS)
def test_every_direct_identifier_in_every_spelling(words):
    parts = words.split()
    snake, pascal = "_".join(parts), "".join(part.capitalize() for part in parts)
    for name in (words, snake, snake.upper(), "-".join(parts), pascal, f"ecg.{snake}", f"{snake}_of_record"):
        assert is_identity(name), name
    assert not is_identity(f"{snake}_hash")


@pytest.mark.parametrize("name", HARMLESS)
def test_other_columns(name):
    assert not is_identity(name)


def write(tmp_path, **columns):
    path = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_nested_columns_are_found(tmp_path):
    path = write(tmp_path, id=["1"], meta=pa.array([[{"a": 1, "info": {"BirthDate": "1930"}}]]))
    with pytest.raises(PublishError, match=r"`meta\.info\.BirthDate`"):
        check_table(path)


@pytest.mark.parametrize(
    "text",
    [
        muse_xml(microvolts(INDEPENDENT)),
        aecg_xml(microvolts()),
        sierra_xml(microvolts()),
        json.dumps({"device": "x", "patient_name": "Doe"}),
        json.dumps({"MRN": 4711}),
        "(0010,0010) PN [Doe^Jane]",
        "(0010, 0020) Patient ID: 4711 PatientID",
    ],
    ids=["muse", "aecg", "sierra", "json", "json mrn", "dicom dump", "dicom keyword"],
)
def test_headers_inside_text_are_found_and_not_repeated(tmp_path, text):
    path = write(tmp_path, id=["1", "2"], metadata=["nothing", text])
    with pytest.raises(PublishError, match="column `metadata` holds a device's header") as error:
        check_table(path)
    assert "Doe" not in str(error.value) and "4711" not in str(error.value)


def test_headers_are_found_where_text_is_nested(tmp_path):
    header = [[{"role": "user", "content": 'Interpret. {"patient_name": "Doe"}'}]]
    coded = pa.array(["x", "PatientID 4711"]).dictionary_encode()
    for name, column in {"messages": header, "notes": [["a", "PatientName Doe"]], "device": coded}.items():
        with pytest.raises(PublishError, match=f"column `{name}`"):
            check_table(write(tmp_path, **{name: column}))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rows.csv", "id,patient_name\n1,Doe\n", "`patient_name`"),
        ("rows.tsv", "id\tdate of birth\n1\t1930\n", "`date of birth`"),
        ("rejects.jsonl", '{"id": 1}\n{"mrn": "4711"}\n', "line 2"),
    ],
)
def test_text_files_beside_the_tables_are_searched(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(PublishError, match=words) as error:
        check_text_file(tmp_path / name)
    assert "4711" not in str(error.value) and "Doe" not in str(error.value)


def test_reports_and_conversations_pass(tmp_path):
    messages = [
        [{"role": "user", "content": "Interpret this ECG."}, {"role": "assistant", "content": "Sinus rhythm."}]
    ]
    check_table(
        write(tmp_path, id=["1"], report=["sinus rhythm. patient in pain"], messages=messages, signal=[b"\x00"])
    )


def npz(array):
    stream = io.BytesIO()
    np.savez(stream, x=array)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def torch_zip():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    return stream.getvalue()


OBJECTS = np.array([{"a": 1}], dtype=object)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.bin", b""),
        ("model.PT", b""),
        ("renamed.json", pickle.dumps({"a": 1})),
        ("renamed.txt", torch_zip()),
        ("labels.npy", npy(OBJECTS)),
        ("labels.npz", npz(OBJECTS)),
    ],
)
def test_pickles_are_found_by_name_and_content(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PublishError, match="pickle"):
        check_no_pickles({name: tmp_path / name})


@pytest.mark.parametrize(
    ("name", "content"), [("a.npy", npy(np.ones(3))), ("a.npz", npz(np.ones(3))), ("a.json", b"{}")]
)
def test_plain_arrays_pass(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    check_no_pickles({name: tmp_path / name})


def plan(folder, tmp_path, number, **kwargs):
    stage = tmp_path / f"stage{number}"
    stage.mkdir()
    return plan_dataset(folder, stage, lambda path: dataset_card(path, licence="other"), **kwargs)


@pytest.mark.parametrize("source", ["mimic_iv_ecg", "eicu-crd"])
def test_credentialed_sources_need_the_flag(tmp_path, source):
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, id=["1", "2"], source=["ptbxl", source])
    with pytest.raises(PublishError, match=rf"source '{source}'.*--allow-credentialed"):
        plan(folder, tmp_path, 1)
    allowed = plan(folder, tmp_path, 2, allow_credentialed=True)
    assert allowed.metadata["license"] == "other"
    assert ("credentialed access" in allowed.card.text) == source.startswith("mimic")


def test_a_card_that_names_mimic_needs_the_flag_too(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, id=["1"])
    (folder / "README.md").write_text("---\nlicense: other\n---\nMade from MIMIC-IV-ECG reports.\n")
    with pytest.raises(PublishError, match="the card's text"):
        plan(folder, tmp_path, 1)
    assert plan(folder, tmp_path, 2, allow_credentialed=True).metadata["license"] == "other"


def test_a_folder_without_data_and_a_card_without_licence(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with pytest.raises(PublishError, match="no Parquet files"):
        plan(folder, tmp_path, 1)
    write(folder, id=["1"])
    (folder / "README.md").write_text("# Data\n")
    with pytest.raises(PublishError, match="no `license`"):
        plan(folder, tmp_path, 2)
