# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`load_ecg` on arrays, rows, tables and files written by the formats' own definitions; WFDB has a file of its own."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from processing.ecg_photo import load_page_picture
from processing.ecg_readers import is_picture, load_ecg
from processing.ecg_record import STANDARD_LEADS, EcgRecord, canonical_lead
from processing.errors_gem import EcgFormatError, EcgLeadError, GemError, MissingDependencyError
from processing.folders.listing import list_ecg_files
from tests.helpers.ecg_files import (
    INDEPENDENT,
    LEADS,
    aecg_xml,
    dicom_bytes,
    edf_bytes,
    microvolts,
    muse_xml,
    scp_bytes,
    sierra_xml,
    write_wfdb,
)

COUNTS = microvolts()
EIGHT = microvolts(INDEPENDENT)
MV = (COUNTS / 1000).astype(np.float32)

# Content, leads and true mV of one file per format; the truth is computed from the counts that were written.
FILES = {
    "MUSE XML": (muse_xml(EIGHT).encode(), INDEPENDENT, EIGHT * 4.88e-3),
    "aECG": (aecg_xml(COUNTS).encode(), LEADS, COUNTS * 5e-3),
    "aECG with origin in mV": (
        aecg_xml(COUNTS, scale="0.005", unit="mV", origin="0.1").encode(),
        LEADS,
        COUNTS * 5e-3 + 0.1,
    ),
    "aECG in UTF-16": (aecg_xml(COUNTS).replace("UTF-8", "UTF-16").encode("utf-16"), LEADS, COUNTS * 5e-3),
    "Sierra XML": (sierra_xml(COUNTS).encode(), LEADS, COUNTS * 5e-3),
    "DICOM": (dicom_bytes(COUNTS), LEADS, (COUNTS * 2.5 + 10) / 1000),
    "DICOM in mV": (dicom_bytes(COUNTS, unit="mV", sensitivity="0.0025", baseline="0"), LEADS, COUNTS * 2.5e-3),
    "EDF": (edf_bytes(COUNTS), LEADS, COUNTS / 1000),
    "EDF in mV": (edf_bytes(COUNTS, unit="mV"), LEADS, COUNTS),
} | {
    f"SCP, difference {order}{', Huffman' * huffman}": (
        scp_bytes(EIGHT, difference=order, huffman=huffman),
        INDEPENDENT,
        EIGHT / 1000,
    )
    for order in (0, 1, 2)
    for huffman in (False, True)
}


@pytest.mark.parametrize("name", FILES)
def test_format_gives_the_written_amplitudes(name: str) -> None:
    data, leads, truth = FILES[name]
    read = load_ecg(data)
    assert set(STANDARD_LEADS) <= set(read.leads)
    record = read.recorded_leads_only()
    assert record.leads == tuple(leads)
    assert record.sampling_rate == 500
    assert record.signal.dtype == np.float32
    np.testing.assert_allclose(record.signal, truth, atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_what_identifies_a_patient_is_kept_only_on_request(name: str, tmp_path: Path) -> None:
    data, _, _ = FILES[name]
    path = tmp_path / "record.bin"
    path.write_bytes(data)
    record = load_ecg(path)
    carried = json.dumps([dict(record.metadata), record.report, record.history, str(record.start_time)], default=str)
    for secret in ("Doe", "Jane", "4711", "SUBJ-1", "1953", "2020", "1930", "Smith", "tmp"):
        assert secret not in carried
    assert record.start_time is None
    assert any("identify the patient" in note for note in record.history)
    kept = load_ecg(path, keep_phi=True)
    assert kept.metadata.get("phi") or kept.start_time is not None


def test_scp_leads_recorded_one_after_another_keep_their_time() -> None:
    record = load_ecg(
        scp_bytes(EIGHT[:, :1000], starts=[0, 0, 1000, 1000, 1000, 2000, 2000, 2000])
    ).recorded_leads_only()
    assert record.num_samples == 3000
    for row, start in zip(range(8), [0, 0, 1000, 1000, 1000, 2000, 2000, 2000], strict=True):
        np.testing.assert_allclose(record.signal[row, start : start + 1000], EIGHT[row, :1000] / 1000, atol=1e-6)
        assert np.isnan(record.signal[row]).sum() == 2000
    assert any("one after another" in note for note in record.history)


# Arrays and rows


def test_array_of_twelve_rows_gets_the_standard_names_and_says_so() -> None:
    record = load_ecg(MV, sampling_rate=500)
    assert record.leads == STANDARD_LEADS
    assert any("taken as I, II, III" in note for note in record.history)
    assert any("taken as mV" in note for note in record.history)
    np.testing.assert_array_equal(record.signal, MV)


def test_array_of_eight_rows_is_the_independent_leads() -> None:
    record = load_ecg(MV[:8], sampling_rate=500, unit="mV")
    assert record.leads == STANDARD_LEADS and record.recorded_leads_only().leads == INDEPENDENT


@pytest.mark.parametrize("rows", [8, 12])
def test_samples_by_leads_is_transposed_and_noted(rows: int) -> None:
    record = load_ecg(MV[:rows].T, sampling_rate=500).recorded_leads_only()
    np.testing.assert_array_equal(record.signal, MV[:rows])
    assert any("transposed" in note for note in record.history)


def test_named_columns_are_transposed_for_any_number_of_leads() -> None:
    record = load_ecg(MV[:3].T, sampling_rate=500, leads=["I", "II", "III"]).recorded_leads_only()
    np.testing.assert_array_equal(record.signal, MV[:3])


@pytest.mark.parametrize("shape", [(12, 12), (12, 8), (100, 12), (5000, 3)])
def test_an_ambiguous_orientation_is_never_guessed(shape: tuple[int, int]) -> None:
    array = np.random.default_rng(0).normal(size=shape)
    if shape[0] == 12:
        assert load_ecg(array, sampling_rate=500).num_samples == shape[1]
    else:
        with pytest.raises(EcgLeadError, match="leads, samples"):
            load_ecg(array, sampling_rate=500)


def test_torch_tensors_of_any_float_type() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        tensor = torch.tensor(MV, requires_grad=True).to(dtype)
        np.testing.assert_allclose(load_ecg(tensor, sampling_rate=500).signal, MV, atol=0.01)


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (COUNTS, {"unit": "uV"}),
        (COUNTS, {"unit": "µV"}),
        (COUNTS, {"unit": "Microvolts"}),
        (COUNTS, {"gain": 1000}),
        (COUNTS, {"gain": [1000.0] * 12}),
        (MV / 1000, {"unit": "V"}),
        (MV * 1e6, {"unit": "nV"}),
    ],
)
def test_units_and_gains(array: np.ndarray, options: dict) -> None:
    np.testing.assert_allclose(load_ecg(array, sampling_rate=500, **options).signal, MV, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "counts per mV"),
        ({"unit": "bananas"}, "bananas"),
        ({"gain": 0}, "non-zero"),
        ({"gain": [1000, 1000]}, "one per lead"),
        ({"gain": float("nan")}, "non-zero"),
    ],
)
def test_integers_without_a_usable_scale_are_refused(options: dict, complaint: str) -> None:
    with pytest.raises(EcgFormatError, match=complaint):
        load_ecg(COUNTS, sampling_rate=500, **options)


@pytest.mark.parametrize("rate", [None, 0, -500, float("nan"), 1_000_000, 0.5, "500", True])
def test_sampling_rate_must_be_an_ecgs(rate: object) -> None:
    with pytest.raises(EcgFormatError, match="sampling"):
        load_ecg(MV, sampling_rate=rate)


@pytest.mark.parametrize("array", [[[0.1, 0.2], [0.3]], "no such file", [], {}, {"signal": [[1.0]]}, 3.0, None])
def test_what_is_no_ecg_at_all(array: object) -> None:
    with pytest.raises(GemError):
        load_ecg(array, sampling_rate=500)


def test_missing_and_infinite_samples_become_nan_and_are_reported() -> None:
    array = MV.copy()
    array[1, 100:200], array[3, 5] = np.nan, np.inf
    record = load_ecg(array, sampling_rate=500)
    assert np.isnan(record.signal[1, 100:200]).all() and np.isnan(record.signal[3, 5])
    assert int(np.isnan(record.signal).sum()) == 101
    assert any("II 2.0%" in note for note in record.history)
    assert any("infinite" in note for note in record.history)


def test_unknown_data_set_is_named() -> None:
    with pytest.raises(EcgFormatError, match="ludb"):
        load_ecg(MV, sampling_rate=500, dataset="ludp")


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "", "/", "."])
def test_impossible_paths(path: str) -> None:
    with pytest.raises(EcgFormatError):
        load_ecg(path)


def test_record_passes_through() -> None:
    record = load_ecg(MV, sampling_rate=500)
    assert load_ecg(record) is record


def test_row_of_a_data_set() -> None:
    row = {
        "id": "row-7",
        "source": "ptbxl",
        "signal": COUNTS.tolist(),
        "gain": 1000.0,
        "sampling_rate": 500,
        "lead_names": ["MDC_ECG_LEAD_" + lead.upper() for lead in LEADS],
        "report": "sinus rhythm",
        "labels": {"NORM": 100.0},
    }
    record = load_ecg(row)
    assert (record.record_id, record.source, record.report) == ("row-7", "ptbxl", "sinus rhythm")
    assert record.leads == LEADS and dict(record.labels) == {"NORM": 100.0}
    np.testing.assert_allclose(record.signal, MV, atol=1e-6)


def test_row_with_a_flat_signal_in_microvolts() -> None:
    record = load_ecg({"signal_uv": COUNTS.ravel(), "fs": 500}, leads=LEADS)
    np.testing.assert_allclose(record.signal, MV, atol=1e-6)
    assert any("reshaped" in note for note in record.history)


def test_row_with_bytes_or_a_path(tmp_path: Path) -> None:
    data = FILES["DICOM"][0]
    (tmp_path / "a.dcm").write_bytes(data)
    for row in ({"bytes": data, "path": None}, {"bytes": None, "path": str(tmp_path / "a.dcm")}):
        assert load_ecg(row).leads == LEADS


def test_a_callers_word_overrides_the_file_and_is_noted() -> None:
    record = load_ecg(FILES["EDF"][0], sampling_rate=250, leads=LEADS[::-1], unit="mV")
    assert record.sampling_rate == 250 and record.leads == LEADS[::-1]
    np.testing.assert_allclose(record.signal, COUNTS)
    assert sum("given by the caller" in note for note in record.history) == 3


def test_one_lead_is_a_record() -> None:
    assert load_ecg(MV[1], sampling_rate=500, leads=["Lead II"]).leads == ("II",)


def test_file_objects_carry_their_name(tmp_path: Path) -> None:
    path = tmp_path / "broken.npy"
    path.write_bytes(b"\x93NUMPY\1\0")
    with path.open("rb") as file, pytest.raises(EcgFormatError, match=r"broken\.npy"):
        load_ecg(file)
    assert load_ecg(io.BytesIO(FILES["EDF"][0])).leads == LEADS


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(
        MissingDependencyError, match=r'pip install "gem-ecg\[dicom\]" \(the library alone: pip install "pydicom"\)'
    ):
        load_ecg(FILES["DICOM"][0])


# Tables


def table(separator: str = ",", head: list[str] | None = None, time: str | None = None, decimal: str = ".") -> str:
    lines = [separator.join(([time] if time else []) + (head or list(LEADS)))] if head != [] else []
    step = 2.0 if time and "ms" in time else 0.002
    for index, row in enumerate(MV[:, :1000].T):
        cells = ([f"{index * step:.6g}"] if time else []) + [f"{value:.4f}" for value in row]
        lines.append(separator.join(cells).replace(".", decimal))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        (table(), 500),
        (table("\t"), 500),
        (table(";", decimal=","), 500),
        (table(" "), 500),
        (table(head=[]), 500),
        (table(time="time"), None),
        (table(time="Time (s)"), None),
        (table(";", time="time_ms", decimal=","), None),
        (table(head=[f"{lead} [mV]" for lead in LEADS]), 500),
        (table(head=[f"{lead}_mV" for lead in LEADS]), 500),
        (table(head=[f'"{lead}"' for lead in LEADS]), 500),
        ("\ufeff" + table(), 500),
        ("# exported\n" + table(), 500),
        (table().replace("\n", "\r\n"), 500),
        (table().replace("\n", ",\n").replace("V6,\n", "V6\n", 1), 500),
    ],
)
def test_tables(text: str, rate: float | None, tmp_path: Path) -> None:
    path = tmp_path / "ecg.csv"
    path.write_text(text, encoding="utf-8")
    record = load_ecg(path, sampling_rate=rate)
    assert record.leads == LEADS and record.sampling_rate == 500 and record.record_id == "ecg"
    np.testing.assert_allclose(record.signal, MV[:, :1000], atol=1e-6)


def test_table_units_and_missing_cells(tmp_path: Path) -> None:
    path = tmp_path / "ecg.csv"
    path.write_text("t,II (uV),V1 (uV)\n" + "".join(f"{i / 500},{i},{'' if i == 3 else -i}\n" for i in range(100)))
    record = load_ecg(path)
    np.testing.assert_allclose(record.lead("II"), np.arange(100) / 1000, atol=1e-7)
    assert np.flatnonzero(np.isnan(record.lead("V1"))).tolist() == [3]


def test_table_with_one_row_per_lead(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "rows.csv", MV, delimiter=",")
    np.testing.assert_allclose(load_ecg(tmp_path / "rows.csv", sampling_rate=500).signal, MV, atol=1e-6)


def test_sample_numbers_are_no_time_axis(tmp_path: Path) -> None:
    path = tmp_path / "ecg.csv"
    path.write_text("sample,II\n" + "".join(f"{i},0.1\n" for i in range(500)))
    with pytest.raises(EcgFormatError, match="sampling rate"):
        load_ecg(path)
    assert load_ecg(path, sampling_rate=500).leads == ("II",)


# Arrays in files


def _npz(path: Path) -> None:
    np.savez_compressed(path, signal=COUNTS, sampling_rate=500, leads=list(LEADS), unit="uV")


def _npz_with_gain(path: Path) -> None:
    np.savez(path, signal=COUNTS, fs=500.0, gain=1000.0, lead_names=np.array(LEADS))


def _mat(path: Path) -> None:
    import scipy.io

    scipy.io.savemat(path, {"signal": COUNTS.T, "fs": 500, "unit": "uV", "leads": np.array(LEADS, object)})


def _mat_structure(path: Path) -> None:
    import scipy.io

    content = {"ECG": {"data": MV, "sex": "Male", "fs": 500.0}}
    scipy.io.savemat(path, content, do_compression=True)


def _mat_text_matrix(path: Path) -> None:
    import scipy.io

    scipy.io.savemat(path, {"data": MV, "leads": np.array(LEADS), "fs": np.float32(500)}, do_compression=True)


def _mat_version_4(path: Path) -> None:
    import scipy.io

    scipy.io.savemat(path, {"signal": MV.astype(np.float64), "fs": 500.0}, format="4")


def _hdf5(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        data = file.create_dataset("recording/ecg", data=COUNTS, compression="gzip")
        data.attrs["sampling_rate"], data.attrs["unit"] = 500.0, "uV"
        file["leads"] = list(LEADS)


def _fortran_npy(path: Path) -> None:
    np.save(path, np.asfortranarray(MV))


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [
        ("a.npz", _npz, {}),
        ("b.npz", _npz_with_gain, {}),
        ("a.mat", _mat, {}),
        ("b.mat", _mat_structure, {}),
        ("c.mat", _mat_text_matrix, {}),
        ("d.mat", _mat_version_4, {}),
        ("a.h5", _hdf5, {}),
        ("a.npy", _fortran_npy, {"sampling_rate": 500}),
    ],
)
def test_array_files(name: str, write, options: dict, tmp_path: Path) -> None:
    write(tmp_path / name)
    record = load_ecg(tmp_path / name, **options)
    assert record.leads == LEADS and record.sampling_rate == 500
    np.testing.assert_allclose(record.signal, MV, atol=1e-6)


def test_code15_exams_are_chosen_by_index_and_freed_of_padding(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    tracings = np.zeros((2, 4096, 12), np.float32)
    tracings[1, 648:3448] = MV[:, :2800].T + 0.01
    with h5py.File(tmp_path / "exams_part0.hdf5", "w") as file:
        file["exam_id"], file["tracings"] = np.arange(2), tracings
    record = load_ecg(tmp_path / "exams_part0.hdf5", index=1)
    assert record.sampling_rate == 400 and record.leads == STANDARD_LEADS
    np.testing.assert_array_equal(record.signal, MV[:, :2800] + np.float32(0.01))
    assert any("648 samples before, 648 behind" in note for note in record.history)


def test_another_record_of_a_source_with_one_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    np.savetxt(table, MV.T, delimiter=",", header=",".join(LEADS), comments="")
    np.save(tmp_path / "one.npy", MV)
    np.savez(tmp_path / "one.npz", signal=MV, leads=LEADS)
    header = Path("processing/samples/normal.hea")
    for source in (table, tmp_path / "one.npy", tmp_path / "one.npz", header, MV):
        options = {} if source is header else {"sampling_rate": 500, "unit": "mV"}
        assert load_ecg(source, index=0, **options).leads == LEADS
        with pytest.raises(EcgFormatError, match=r"there is 1 record, and `index=3` names none; leave out `index`"):
            load_ecg(source, index=3, **options)
    np.save(tmp_path / "two.npy", np.stack([MV, MV]))
    assert load_ecg(tmp_path / "two.npy", index=1, sampling_rate=500, unit="mV").leads == LEADS


# Names, folders, pictures


@pytest.mark.parametrize(
    ("name", "lead"),
    [
        ("avr", "aVR"), ("AVL", "aVL"), (" aVF ", "aVF"), ("DI", "I"), ("DIII", "III"), ("Lead II", "II"),
        ("MDC_ECG_LEAD_V3", "V3"), ("MDC_ECG_ELEC_POTL_I", "I"), ("ECG V6", "V6"), ("EKG aVR", "aVR"), ("C4", "V4"),
        ("Lead I (Einthoven)", "I"), ("aVR, augmented voltage, right", "aVR"), ("2:1", "I"), ("2:3", "V1"),
        ("2:61", "III"), ("5.6.3-9-64", "aVF"), ("131073", "I"), ("131329", "I"), ("131389", "III"), ("131075", "V1"),
        ("-aVR", "-aVR"), ("V7", "V7"), ("V3R", "V3R"), ("MLII", "MLII"), ("X", "X"), ("2:99", "2:99"),
    ],
)  # fmt: skip
def test_lead_names(name: str, lead: str) -> None:
    assert canonical_lead(name) == lead


def test_folder_lists_each_record_once(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "a", COUNTS)
    write_wfdb(tmp_path, "b", COUNTS)
    (tmp_path / "RECORDS").write_text("a\nb\n")
    (tmp_path / "labels.csv").write_text("id,label\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.dcm").write_bytes(b"x")
    (tmp_path / "sub" / "notes.txt").write_text("x")
    assert [path.name for path in list_ecg_files(tmp_path)] == ["a.hea", "b.hea", "c.dcm"]
    with pytest.raises(EcgFormatError, match="no such folder"):
        list_ecg_files(tmp_path / "absent")


def _saved(picture: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def test_picture_is_turned_upright_by_its_exif() -> None:
    picture = Image.new("RGB", (300, 100), "white")
    picture.paste("black", (0, 0, 100, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = load_page_picture(_saved(picture, "JPEG", exif=exif, quality=95))
    assert upright.size == (100, 300) and upright.mode == "RGB"
    assert upright.getpixel((50, 50))[0] < 20 and upright.getpixel((50, 250))[0] > 235


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "I;16", "CMYK"])
def test_picture_of_any_mode_becomes_rgb_on_white(mode: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray(np.full((100, 100), 65535, np.uint16))
    elif mode in ("RGBA", "LA"):
        picture = Image.new(mode, (100, 100), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    else:
        picture = Image.new("RGB", (100, 100), "white").convert(mode)
    page = load_page_picture(_saved(picture, "TIFF" if mode == "CMYK" else "PNG"))
    assert page.mode == "RGB" and min(page.getpixel((50, 50))) > 250


def test_is_picture_looks_inside(tmp_path: Path) -> None:
    (tmp_path / "page.dat").write_bytes(_saved(Image.new("L", (80, 80)), "PNG"))
    (tmp_path / "signal.png").write_bytes(FILES["EDF"][0])
    assert is_picture(tmp_path / "page.dat")
    assert not is_picture(tmp_path / "signal.png")
    assert is_picture(tmp_path / "absent.jpeg") and not is_picture(tmp_path / "absent.xml")


def test_loaded_record_keeps_its_word_about_types() -> None:
    record = load_ecg(FILES["DICOM"][0], record_id="mine")
    assert isinstance(record, EcgRecord) and record.record_id == "mine" and record.source is None
    assert not record.signal.flags.writeable
