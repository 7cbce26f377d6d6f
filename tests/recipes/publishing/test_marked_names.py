# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A marked name in every field of every format, and in file names: nothing that is published or sent holds it."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from processing.ecg_features import extract_features
from processing.ecg_identity import is_lead_name
from processing.ecg_page import render_ecg
from processing.ecg_readers import load_ecg
from processing.ecg_record import EcgRecord
from processing.evidence.html import evidence_html
from processing.evidence.picture import evidence_picture
from processing.grounding.check import check_grounding
from processing.simulator.simulator import simulate_ecg
from recipes.cli import app
from recipes.dataset.build import build_dataset
from recipes.dataset.settings import BuildSettings, settings_from
from recipes.dataset.teacher_batch import export_requests
from recipes.publishing.private_ids import KEY_FILE
from tests.helpers import ecg_files

MARK = "ZZPERSON"  # as long as "Jane_Doe", which it takes the place of
COUNTS = np.round(simulate_ecg(heart_rate=70, seed=1203).record.signal * 1000).astype(np.int16)
CHEST_AND_LIMB = COUNTS[[0, 1, *range(6, 12)]]
# The last is not listed by anything: a channel, column or array called like a person.
LEADS = (*ecg_files.LEADS, MARK)
WITH_CHANNEL = np.vstack([COUNTS, COUNTS[:1] // 2])
FILES = 13
BROKEN = ("head.csv", "cell.csv", "record.hea", "signal.hea", "other.npz", "array.h5")


def _marked(data: bytes, *names: bytes) -> bytes:
    for name in names:
        assert name in data, name
        data = data.replace(name, MARK.encode())
    return data


def _dicom() -> bytes:
    import io

    import pydicom
    from pydicom.dataset import Dataset

    dataset = pydicom.dcmread(io.BytesIO(ecg_files.dicom_bytes(COUNTS, sensitivity="1", baseline="0")))
    note, person = Dataset(), Dataset()
    note.UnformattedTextValue, person.UnformattedTextValue = f"Name: {MARK}", f"Technician: {MARK}"
    dataset.WaveformAnnotationSequence = [note, person]
    for keyword in (
        "PatientName", "PatientID", "PatientComments", "OtherPatientNames", "Manufacturer", "ManufacturerModelName", "OperatorsName",
        "ReferringPhysicianName", "InstitutionName", "StationName", "StudyDescription", "AccessionNumber", "DeviceSerialNumber",
    ):  # fmt: skip
        setattr(dataset, keyword, MARK)
    for channel in dataset.WaveformSequence[0].ChannelDefinitionSequence:
        channel.ChannelLabel = MARK
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def _muse() -> str:
    told = (
        f"<TestDemographics><AcquisitionDevice>{MARK}</AcquisitionDevice><LocationName>{MARK}</LocationName>"
        f"<OverreaderLastName>{MARK}</OverreaderLastName></TestDemographics><Diagnosis>"
    )
    text = ecg_files.muse_xml(CHEST_AND_LIMB, scale="1").replace("<Diagnosis>", told)
    for name in ("Doe", "Jane", "4711", "Smith, John"):
        text = text.replace(name, MARK)
    return text.replace("with PVCs", f"Referred by: {MARK}")


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """A folder of one's own: a file of each format, all of them called like a person, and broken ones."""
    import h5py
    import scipy.io

    folder = tmp_path_factory.mktemp("own")

    def write(name: str, data: bytes | str) -> None:
        (folder / f"{MARK}_{name}").write_bytes(data.encode() if isinstance(data, str) else data)

    comments = [MARK, f"Patient: {MARK}", f"Dx: 426783006,{MARK}", "<diagnoses>: Sinus rhythm", f"Referred by {MARK}"]
    ecg_files.write_wfdb(folder, f"{MARK}_wfdb", WITH_CHANNEL, LEADS, comments=comments)
    table = "\n".join(",".join(f"{value / 1000:.3f}" for value in column) for column in WITH_CHANNEL.T)
    write("table.csv", f"# {MARK}\n{','.join(LEADS)}\n{table}\n")
    write("muse.xml", _muse())
    write("aecg.xml", ecg_files.aecg_xml(COUNTS, scale="1").replace("Doe", MARK))
    write("sierra.xml", ecg_files.sierra_xml(COUNTS, resolution="1.0").replace("Doe", MARK))
    write("dicom.dcm", _dicom())
    edf = ecg_files.edf_bytes(COUNTS).replace(
        b"Startdate 01-JAN-2020 X X X", f"{MARK} {MARK} {MARK}".ljust(27).encode()
    )
    write("edf.edf", _marked(edf, b"Jane_Doe"))
    write("channel.edf", ecg_files.edf_bytes(WITH_CHANNEL, LEADS))
    write("scp.scp", ecg_files.scp_bytes(CHEST_AND_LIMB, patient=MARK))
    ishne = ecg_files.ishne_bytes(CHEST_AND_LIMB, ecg_files.INDEPENDENT, text=f"Holter of {MARK}")
    write("ishne.ecg", _marked(ishne, b"Jane".ljust(8, b"\0"), b"Doe".ljust(8, b"\0")))
    np.savez(
        folder / f"{MARK}_arrays.npz",
        signal=COUNTS / 1000,
        sampling_rate=500,
        leads=LEADS[:12],
        comment=MARK,
        **{MARK: 1},
    )
    scipy.io.savemat(folder / f"{MARK}_mat.mat", {"val": COUNTS / 1000, "fs": 500, MARK: MARK})
    with h5py.File(folder / f"{MARK}_hdf.h5", "w") as file:
        file["ecg"], file["sampling_rate"], file[MARK] = COUNTS / 1000, 500, MARK
        file.attrs[MARK] = MARK

    write("head.csv", f"{MARK},MRN 123,{MARK}2\n" + "a,b,c\n" * 20)
    write("cell.csv", "time,I,II\n" + f"0.000,0.1,{MARK}\n" * 50)
    write("record.hea", f"{MARK} {MARK} 500 5000\n{MARK}.dat 16 1000 16 0 0 0 0 {MARK}\n")
    write("signal.hea", f"{MARK}_signal 1 500 5000\n{MARK}.dat {MARK} 1000 16 0 0 0 0 {MARK}\n")
    np.savez(folder / f"{MARK}_other.npz", **{MARK: np.zeros(3)})
    with h5py.File(folder / f"{MARK}_array.h5", "w") as file:
        file[MARK] = np.zeros(3)
    return folder


@pytest.fixture(scope="module")
def tables(own) -> Path:
    """Names that a table may hold beside the files."""
    table = own.parent / "table.csv"
    reports = f"Sinus rhythm. Referred by {MARK}. Befundet von Dr. A. {MARK}; Validé par {MARK}\nPatient: {MARK}"
    files = [path.name for path in sorted(own.iterdir()) if path.suffix != ".dat"]
    rows = [f'{file},{MARK}{number},"{reports}",NORM,{MARK},91\n' for number, file in enumerate(files)]
    table.write_text("file,patient,report,labels,sex,age\n" + "".join(rows))
    return table


def _settings(own: Path, tables: Path, output: Path, **changes) -> BuildSettings:
    source = {"format": "folder", "path": str(own), "table": str(tables), "sampling_rate": 500}
    return settings_from({"output": str(output), "sources": [source], "page": {"embed": True}} | changes)


@pytest.fixture(scope="module")
def built(own, tables, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("built") / "data"
    result = build_dataset(_settings(own, tables, output))
    assert (result.rows, result.rejected) == (FILES, len(BROKEN)), (output / ".build/rejects.jsonl").read_text()
    return output


def _texts(path: Path) -> str:
    """The whole content of a file; Parquet without its compression."""
    if path.suffix != ".parquet":
        return path.read_bytes().decode("latin-1")
    table = pq.read_table(path)
    rows = table.drop_columns(["signal", "image"])
    pictures = "".join(image["bytes"].decode("latin-1") + str(image["path"]) for image in table["image"].to_pylist())
    columns = "\n".join(f"{name}: {rows[name].to_pylist()}" for name in rows.column_names)
    return f"{columns}\n{table.schema.metadata}\n{pictures}"


def test_nothing_published_holds_the_name(built, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    seen = []

    def show(plan, *_):
        for name, path in plan.files.items():
            seen.append(name)
            told = [line for line in (name + _texts(path)).splitlines() if MARK.lower() in line.lower()]
            found = [re.search(f"(?i).{{0,80}}{MARK}.{{0,80}}", line) for line in told]
            assert not told, f"{name}: {told[0][:20]} {found}"
        rows = [
            row for name in seen if name.endswith(".parquet") for row in pq.read_table(plan.files[name]).to_pylist()
        ]
        assert len({row["id"] for row in rows}) == len(rows) == FILES
        rejects = [json.loads(line) for line in plan.files["rejects.jsonl"].read_text().splitlines()]
        assert len(rejects) == len(BROKEN) and all(line["code"] and line["id"].startswith("own/") for line in rejects)
        assert not any(name.startswith(".") for name in seen)
        print(plan.card.content)

    monkeypatch.setattr("recipes.cli.publish._send", show)
    run = CliRunner().invoke(app, ["publish", "dataset", str(built), "me/data", "--license", "other", "--dry-run"])
    assert run.exit_code == 0, run.output + repr(run.exception)
    assert {"README.md", "report.md", "report.json", "rejects.jsonl", "SHA256SUMS"} <= set(seen)
    assert MARK.lower() not in (run.output + caplog.text).lower()


def test_ids_are_kept_for_the_owner_and_published_on_request(built, monkeypatch):
    before = {path: path.read_bytes() for path in built.rglob("*.parquet")}
    published = {}

    def keep(plan, *_):
        for name, path in plan.files.items():
            if name.endswith(".parquet"):
                published.setdefault(name, []).append(pq.read_table(path, columns=["id"])["id"].to_pylist())

    monkeypatch.setattr("recipes.cli.publish._send", keep)
    for more in ([], [], ["--ids", "stem"]):
        run = CliRunner().invoke(app, ["publish", "dataset", str(built), "me/data", "--dry-run", *more])
        assert run.exit_code == 0, run.output
    first, again, stems = zip(*published.values(), strict=True)
    assert first == again, "with the kept key a new version has the same ids"
    assert all(MARK in name for names in stems for name in names)
    assert {path: path.read_bytes() for path in built.rglob("*.parquet")} == before
    assert (built / KEY_FILE).stat().st_mode & 0o077 == 0


def test_no_prompt_holds_the_name(own, tables, tmp_path):
    chat = {"model": "m", "base_url": "http://localhost:9", "api_key_env": "", "cache_dir": str(tmp_path / "store")}
    settings = _settings(own, tables, tmp_path / "out", teacher={"kind": "remote", "chat": chat})
    export = export_requests(settings, tmp_path / "requests.jsonl")
    written = "".join(path.read_text() for path in export.files)
    assert export.requests and "Sinus rhythm" in written and MARK.lower() not in written.lower()


def test_pages_and_evidence_show_the_ecg_alone(own):
    for path in sorted(own.iterdir()):
        if path.suffix == ".dat" or any(path.name.endswith(name) for name in BROKEN):
            continue
        record = load_ecg(path, sampling_rate=500 if path.suffix == ".csv" else None)
        assert all(map(is_lead_name, record.leads)), path
        plain = EcgRecord(record.signal, record.leads, record.sampling_rate)
        assert np.array_equal(np.asarray(render_ecg(record).to_pil()), np.asarray(render_ecg(plain).to_pil())), path
        features = extract_features(record)
        report = check_grounding("Sinus rhythm, 70 bpm, ST elevation in II.", features)
        assert MARK not in evidence_html(record, features, report), path
        plain_features = extract_features(plain)
        pictures = [evidence_picture(r, f, report) for r, f in ((record, features), (plain, plain_features))]
        assert np.array_equal(*map(np.asarray, pictures)), path
        assert MARK not in json.dumps(dict(record.metadata), default=str) + str(dict(record.labels)) + str(
            record.report
        )
