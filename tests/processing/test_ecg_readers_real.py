# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`load_ecg` on real files of many publishers, each against the file's own bytes read another way."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest

from processing.ecg_photo import load_page_picture
from processing.ecg_readers import load_ecg
from processing.ecg_record import STANDARD_LEADS
from processing.folders.listing import list_ecg_files
from tests.helpers.shared_data import shared_path

CINC = ("chapman", "ningbo", "cpsc2018", "cpsc-extra", "g12ec", "ptb")


@pytest.mark.parametrize("folder", CINC)
def test_cinc_records_equal_their_integers_over_the_gain(folder: str) -> None:
    import scipy.io

    headers = list_ecg_files(shared_path(f"data/loaders/{folder}"))
    assert headers and all(path.suffix == ".hea" for path in headers)
    for header in headers:
        record = load_ecg(header)
        counts = scipy.io.loadmat(header.with_suffix(".mat"))["val"]
        np.testing.assert_allclose(record.signal, counts / 1000, atol=1e-6)
        assert record.leads == STANDARD_LEADS
        assert record.sampling_rate == (1000 if folder == "ptb" else 500)
        codes = re.search(r"Dx: ?([\d,]+)", header.read_text())[1].split(",")
        assert dict(record.labels) == dict.fromkeys(codes, 1.0)
        assert record.metadata["sex"] in ("F", "M")
        np.testing.assert_array_equal(load_ecg(header.with_suffix(".mat")).signal, record.signal)


@pytest.mark.parametrize(("folder", "rate"), [("records100", 100), ("records500", 500)])
def test_ptbxl_records_equal_their_integers(folder: str, rate: int) -> None:
    headers = list_ecg_files(shared_path(f"data/ptbxl_wfdb/{folder}"))
    assert len(headers) == 24
    for header in headers:
        record = load_ecg(header)
        counts = np.fromfile(header.with_suffix(".dat"), dtype="<i2").reshape(-1, 12).T
        np.testing.assert_allclose(record.signal, counts / 1000, atol=1e-6)
        assert record.leads == STANDARD_LEADS and record.sampling_rate == rate and record.history == ()


def test_ludb_is_read_in_true_millivolts_without_being_told() -> None:
    headers = list_ecg_files(shared_path("data/ludb/data"))
    assert len(headers) == 100
    heights = []
    for header in headers:
        record = load_ecg(header)
        counts = np.fromfile(header.with_suffix(".dat"), dtype="<i2").reshape(-1, 12).T
        np.testing.assert_allclose(record.signal, counts / 1000, atol=1e-6)
        assert record.leads == STANDARD_LEADS
        assert any(note.startswith("LUDB") for note in record.history)
        assert np.abs(record.lead("I") + record.lead("III") - record.lead("II")).max() < 0.0021
        assert record.report and "<" not in record.report
        heights.append(np.ptp(record.signal, axis=1))
    # The header's gains would make every lead 1 mV high.
    assert np.std(heights) > 0.5
    np.testing.assert_array_equal(load_ecg(headers[0], dataset="ludb").signal, load_ecg(headers[0]).signal)


def test_dicom_sample_equals_pydicoms_physical_values() -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.waveforms.numpy_handler import multiplex_array

    path = shared_path("data/loaders/formats/sample.dcm")
    record = load_ecg(path)
    dataset = pydicom.dcmread(path)
    np.testing.assert_allclose(record.signal, multiplex_array(dataset, 0, as_raw=False).T / 1000, atol=1e-6)
    assert record.leads == STANDARD_LEADS and record.sampling_rate == 500
    assert record.report == "Normal sinus rhythm. Normal ECG"
    assert dict(record.metadata) == {"age": 39, "sex": "M"}


def test_muse_sample_equals_its_base64() -> None:
    path = shared_path("data/loaders/formats/MUSE_example.xml")
    record = load_ecg(path)
    text = path.read_text(encoding="latin-1")
    rhythm = text[text.index("<WaveformType>Rhythm") :]
    packed = re.findall(r"<WaveFormData>(.*?)</WaveFormData>", rhythm, re.DOTALL)
    counts = [np.frombuffer(base64.b64decode(lead), "<i2") for lead in packed]
    stored = record.recorded_leads_only()
    np.testing.assert_allclose(stored.signal, np.array(counts) * 4.88e-3, atol=1e-6)
    assert stored.leads == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6") and record.sampling_rate == 500
    assert record.report == "Sinus bradycardia with sinus arrhythmia with 1st degree A-V block. Otherwise normal ECG"
    assert record.metadata["device_measurements"]["PRInterval"] == 330
    assert record.leads == STANDARD_LEADS and record.derived_leads == ("III", "aVR", "aVL", "aVF")
    phi = load_ecg(path, keep_phi=True).metadata["phi"]
    assert phi["patient id"] == "FAKE12345" and phi["patient name"] == "TESTONE MUSE"
    assert phi["signatures"] == ["Confirmed by Garg, Ruchira M.D."]


def test_schiller_sample_equals_its_text() -> None:
    path = shared_path("data/loaders/formats/sample.xml")
    record = load_ecg(path)
    text = path.read_text()
    rows = re.findall(r"<data>([-\d,]+)</data>", text[text.index("ECG_RHYTHMS") :])
    np.testing.assert_allclose(
        record.signal, np.array([row.strip(",").split(",") for row in rows], float) / 1000, atol=1e-6
    )
    assert record.leads == STANDARD_LEADS and record.sampling_rate == 500


def test_edf_sample_equals_its_data_records() -> None:
    pytest.importorskip("edfio")
    path = shared_path("data/loaders/formats/sample.edf")
    record = load_ecg(path)
    # One signal whose digital and physical ranges (-32768..32767, -32.768..32.767 mV) make a count a microvolt.
    counts = np.frombuffer(path.read_bytes()[512:], "<i2")
    # Its last 10 s hold the lowest number, which no electrode delivers.
    truth = np.where(counts == -32768, np.nan, counts / 1000)
    np.testing.assert_allclose(record.signal[0], truth, atol=1e-5)
    assert record.sampling_rate == 300 and record.leads == ("ECG",)


def test_code15_samples_equal_their_arrays() -> None:
    import scipy.io

    paths = list_ecg_files(shared_path("data/loaders/code15"))
    paths = [path for path in paths if path.suffix == ".mat"]
    assert len(paths) == 4
    for path in paths:
        record = load_ecg(path)
        np.testing.assert_array_equal(record.signal, scipy.io.loadmat(path)["feats"])
        assert record.sampling_rate == 400 and record.leads == STANDARD_LEADS
        assert any("taken as mV" in note for note in record.history)


def test_sph_samples_equal_their_half_floats() -> None:
    h5py = pytest.importorskip("h5py")
    paths = list_ecg_files(shared_path("data/loaders/sph"))
    assert len(paths) == 4
    for path in paths:
        record = load_ecg(path)
        with h5py.File(path) as file:
            np.testing.assert_array_equal(record.signal, file["ecg"][:].astype(np.float32))
        assert record.sampling_rate == 500 and any("SPH" in note for note in record.history)


def test_parquet_row_of_microvolts_equals_the_wfdb_record() -> None:
    pandas = pytest.importorskip("pandas")
    files = sorted(shared_path("data/ptbxl").glob("*.parquet"))
    frame = pandas.read_parquet(files[0])
    row = frame[frame.ecg_id == frame.ecg_id.min()].iloc[0].to_dict()
    record = load_ecg(row | {"id": int(row["ecg_id"])}, leads=STANDARD_LEADS, sampling_rate=500)
    wfdb_path = shared_path(f"data/ptbxl_wfdb/records500/00000/{int(row['ecg_id']):05d}_hr.hea")
    np.testing.assert_allclose(record.signal, load_ecg(wfdb_path).signal, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("name", ["MUSE_example.xml", "sample.dcm"])
def test_another_library_reads_the_same(name: str, tmp_path: Path) -> None:
    toolkit = pytest.importorskip("ecgdatakit")
    path = shared_path(f"data/loaders/formats/{name}")
    other = toolkit.FileParser().parse(path)
    record = load_ecg(path)
    for lead in other.leads:
        physical = lead.to_physical() if lead.is_raw else lead
        if lead.label in record.leads:
            expected = physical.convert_units("mV").samples
            np.testing.assert_allclose(record.lead(lead.label), expected, atol=1e-5, err_msg=lead.label)


def test_photographed_pages_are_upright_rgb_pictures() -> None:
    for path in sorted(shared_path("data/loaders/scans").glob("*.jpg")):
        page = load_page_picture(path)
        assert page.mode == "RGB" and page.width > page.height > 1000
        assert page.size == load_page_picture(path.read_bytes()).size
