# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files that are no ECG although they look like one: more than 100, each written when a test asks for it."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing.errors_gem import EcgFormatError, EcgLeadError, GemError
from tests.helpers.ecg_files import (
    INDEPENDENT,
    LEADS,
    aecg_series,
    aecg_set,
    aecg_xml,
    dicom_bytes,
    dicom_group,
    edf_bytes,
    ishne_bytes,
    microvolts,
    muse_xml,
    scp_bytes,
    sierra_xml,
    write_wfdb,
)

ECG = microvolts(seconds=2)
EIGHT = microvolts(INDEPENDENT, seconds=2)
Maker = Callable[[Path], Path]
CASES: dict[str, tuple[Maker, type[GemError]]] = {}


def case(name: str, error: type[GemError] = EcgFormatError) -> Callable[[Maker], Maker]:
    """Registers a maker of one bad file."""

    def register(maker: Maker) -> Maker:
        assert name not in CASES
        CASES[name] = (maker, error)
        return maker

    return register


def content(name: str, data: bytes | str, error: type[GemError] = EcgFormatError) -> None:
    """Registers a bad file by its content; `name` is the file's name."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    case(name, error)(make)


# --- WFDB


def header(name: str, text: str, error: type[GemError] = EcgFormatError, signal: bytes | None = b"\0" * 4800) -> None:
    """Registers a WFDB record with the header `text`; `{n}` is replaced by the record's name."""

    def make(folder: Path) -> Path:
        (folder / f"{name}.hea").write_text(text.replace("{n}", name))
        if signal is not None:
            (folder / f"{name}.dat").write_bytes(signal)
        return folder / name

    case(f"wfdb {name}", error)(make)


ONE = "{n} 1 500 1000\n"
header("missing_dat", ONE + "{n}.dat 16 1000/mV 16 0 0 0 0 I\n", signal=None)
header("empty_dat", ONE + "{n}.dat 16 1000/mV 16 0 0 0 0 I\n", signal=b"")
header("truncated_dat", ONE + "{n}.dat 16 1000/mV 16 0 0 0 0 I\n", signal=b"\0" * 1999)
header("truncated_212", ONE + "{n}.dat 212 1000/mV 12 0 0 0 0 I\n", signal=b"\0" * 1490)
header("empty_header", "")
header("comments_only", "# nothing\n")
header("binary_header", "\x00\x01\x7f garbage\n\x02")
header("traversal", ONE + "../../../../etc/passwd 16 1000/mV 16 0 0 0 0 I\n")
header("absolute_path", ONE + "/etc/passwd 16 1000/mV 16 0 0 0 0 I\n")
header("url", ONE + "http://example.org/{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("cloud_url", ONE + "s3://bucket/{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("drive_letter", ONE + "C:\\secret.dat 16 1000/mV 16 0 0 0 0 I\n")
header("standard_input", ONE + "- 16 1000/mV 16 0 0 0 0 I\n")
header("subfolder", ONE + "sub/{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("words_for_numbers", "{n} twelve 500 1000\n")
header("no_counts", "{n}\n")
header("lines_missing", "{n} 12 500 1000\n{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("no_signals", "{n} 0 500 1000\n")
header("negative_signals", "{n} -1 500 1000\n")
header("no_samples", "{n} 1 500 0\n{n}.dat 16 1000/mV 16 0 0 0 0 I\n", signal=b"\0")
header("negative_samples", "{n} 1 500 -5\n{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("tera_samples", "{n} 1 500 1000000000000\n{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("tera_frames", "{n} 1 500 1000\n{n}.dat 16x1000000000 1000/mV 16 0 0 0 0 I\n")
header("tera_samples_flac", "{n} 1 500 1000000000000\n{n}.dat 516 1000/mV 16 0 0 0 0 I\n")
header("unknown_format", ONE + "{n}.dat 999 1000/mV 16 0 0 0 0 I\n")
header("garbage_flac", ONE + "{n}.dat 516 1000/mV 16 0 0 0 0 I\n", signal=b"fLaC" + bytes(range(200)))
header("megahertz", "{n} 1 1000000 1000\n{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("kilohertz_as_number", "{n} 1 0.5 1000\n{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("zero_rate", "{n} 1 0 1000\n{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("nan_rate", "{n} 1 nan 1000\n{n}.dat 16 1000/mV 16 0 0 0 0 I\n")
header("no_voltage", ONE + "{n}.dat 16 1000/mmHg 16 0 0 0 0 I\n")
header("only_pressure", ONE + "{n}.dat 16 1000/mmHg 16 0 0 0 0 ABP\n")
header(
    "doubled_lead",
    "{n} 2 500 1000\n{n}.dat 16 1000/mV 16 0 0 0 0 II\n{n}.dat 16 1000/mV 16 0 0 0 0 MDC_ECG_LEAD_II\n",
    EcgLeadError,
)
header("endless_line", "{n} 1 500 1000 " + "9" * 10_000 + "\n{n}.dat 16 1000/mV\n")
header("huge_header", "#\n" * 600_000 + ONE)
header("segment_missing", "{n}/2 1 500 2000\nabsent_1 1000\nabsent_2 1000\n")
header("segment_is_itself", "{n}/1 1 500 1000\n{n} 1000\n")
header("segment_traversal", "{n}/1 1 500 1000\n../../../etc/passwd 1000\n")
header("segments_not_listed", "{n}/500000 1 500 1000\n")


@case("wfdb signal file alone")
def _(folder: Path) -> Path:
    (folder / "alone.dat").write_bytes(b"\0" * 2000)
    return folder / "alone.dat"


@case("wfdb mat truncated")
def _(folder: Path) -> Path:
    (folder / "A0001.hea").write_text("A0001 1 500 1000\nA0001.mat 16+24 1000/mV 16 0 0 0 0 I\n")
    (folder / "A0001.mat").write_bytes(struct.pack("<5i", 30, 1, 1000, 0, 4) + b"val\0" + b"\0" * 1000)
    return folder / "A0001.mat"


@case("wfdb two levels of segments")
def _(folder: Path) -> Path:
    write_wfdb(folder, "leaf", ECG[:1], LEADS[:1])
    (folder / "middle.hea").write_text("middle/1 1 500 1000\nleaf 1000\n")
    (folder / "top.hea").write_text("top/1 1 500 1000\nmiddle 1000\n")
    return folder / "top.hea"


# --- tables and arrays

ROWS = "\n".join("0.1,0.2,0.3" for _ in range(100))
content("empty.csv", "")
content("blank.csv", "\n\n  \n")
content("head_only.csv", "I,II,III\n")
content("words.csv", "I,II\n" + "0.1,0.2\n" * 50 + "0.1,high\n" + "0.1,0.2\n" * 50)
content("ragged.csv", "I,II,III\n" + ROWS + "\n0.1,0.2,0.3,0.4,0.5\n")
content("no_names.csv", ROWS, EcgLeadError)
content("no_rate.csv", "I,II,III\n" + ROWS)
content("time_only.csv", "time\n" + "\n".join(str(i / 500) for i in range(100)))
content("head_too_short.csv", "I,II\n" + ROWS)
content("web_page.csv", "<!DOCTYPE html><html><body>404 Not Found</body></html>")
content("binary.csv", b"\x00\x01\x02\x03" * 500)
content("one_line.txt", "7" * 5_000_000)


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def npy_head(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def npz(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


FLOATS = (ECG / 1000).astype(np.float32)
content("truncated.npy", npy(FLOATS)[:-100])
content("head_cut.npy", npy(FLOATS)[:20])
content("pickled.npy", npy(np.array([{"a": 1}], dtype=object), allow_pickle=True))
content("tera.npy", npy_head((12, 10**12)) + b"\0" * 100)
content("negative.npy", npy_head((12, -1)) + b"\0" * 100)
content("overflowing.npy", npy_head((2**32, 2**32)) + b"\0" * 100)
content("no_samples.npy", npy(np.zeros((12, 0), np.float32)))
content("one_unnamed_lead.npy", npy(FLOATS[0]), EcgLeadError)
content("integers.npy", npy(ECG))
content("complex.npy", npy(FLOATS.astype(np.complex64)))
content("words.npy", npy(np.array(["I", "II"])))
content("scalar.npy", npy(np.array(1.0)))
content("four_dimensions.npy", npy(np.zeros((2, 2, 12, 100), np.float32)))
content("batch.npy", npy(np.zeros((4, 12, 1000), np.float32)))
content("zip_bomb.npz", npz({"signal.npy": npy_head((2**20, 2**12)) + b"\0" * 2**20}))
content("two_ecgs.npz", npz({"a.npy": npy(FLOATS), "b.npy": npy(FLOATS)}))
content("no_array.npz", npz({"document.xml": b"<a/>"}))
content("broken.npz", npz({"signal.npy": npy(FLOATS)})[:-200])
content("pickle_inside.npz", npz({"signal.npy": npy(np.array([print], dtype=object), allow_pickle=True)}))


# --- MATLAB and HDF5


def mat(**arrays) -> bytes:
    import scipy.io

    stream = io.BytesIO()
    scipy.io.savemat(stream, arrays)
    return stream.getvalue()


def inflating_stream(wbits: int = zlib.MAX_WBITS) -> bytes:
    """1.5 MB that inflate to 1.5 GB: one block of zeros repeated, which deflate allows after a full flush."""
    deflater, zeros = zlib.compressobj(9, wbits=wbits), bytes(2**20)
    first = deflater.compress(zeros) + deflater.flush(zlib.Z_FULL_FLUSH)
    again = deflater.compress(zeros) + deflater.flush(zlib.Z_FULL_FLUSH)
    return first + again * 1500


def inflating_mat() -> bytes:
    stream = inflating_stream()
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<2I", 15, len(stream)) + stream


content("truncated.mat", mat(signal=FLOATS, fs=500.0)[:-1000])
content("head_only.mat", mat(signal=FLOATS)[:100])
content("no_signal.mat", mat(note="nothing here"))
content("two_signals.mat", mat(a=FLOATS, b=FLOATS))
content("no_rate.mat", mat(signal=FLOATS))
content("counts_without_header.mat", struct.pack("<5i", 30, 12, 1000, 0, 4) + b"val\0" + ECG.T.tobytes())
content("v4_truncated.mat", struct.pack("<5i", 30, 12, 2**30, 0, 4) + b"val\0" + b"\0" * 100)
content("garbled.mat", b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + bytes(range(256)) * 4)


@case("inflating.mat")
def _(folder: Path) -> Path:
    path = folder / "inflating.mat"
    path.write_bytes(inflating_mat())
    return path


@case("inflating.csv.gz")
def _(folder: Path) -> Path:
    path = folder / "inflating.csv.gz"
    path.write_bytes(inflating_stream(wbits=31))
    return path


def hdf5(name: str, fill: Callable, error: type[GemError] = EcgFormatError, cut: int | None = None) -> None:
    """Registers an HDF5 file that `fill(file, folder)` writes, cut to `cut` bytes."""

    def make(folder: Path) -> Path:
        h5py = pytest.importorskip("h5py")
        path = folder / name
        with h5py.File(path, "w") as file:
            fill(file, folder)
        if cut:
            path.write_bytes(path.read_bytes()[:cut])
        return path

    case(name, error)(make)


def _virtual(file, folder: Path) -> None:
    import h5py

    layout = h5py.VirtualLayout(shape=(12, 1000), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "ecg", shape=(12, 1000))
    file.create_virtual_dataset("ecg", layout)


def _external_link(file, folder: Path) -> None:
    import h5py

    file["ecg"] = h5py.ExternalLink("/etc/passwd", "ecg")


def _exams(file, folder: Path) -> None:
    file["exam_id"], file["tracings"] = np.arange(3), np.ones((3, 4096, 12), np.float32)


hdf5("truncated.h5", lambda file, folder: file.create_dataset("ecg", data=FLOATS), cut=5000)
hdf5("no_data.h5", lambda file, folder: file.create_group("empty"))
hdf5("external_link.h5", _external_link)
hdf5(
    "external_storage.h5",
    lambda file, folder: file.create_dataset("ecg", (12, 100), "f4", external=[("/etc/passwd", 0, 4800)]),
)
hdf5("virtual.h5", _virtual)
hdf5("tera.h5", lambda file, folder: file.create_dataset("ecg", (12, 10**11), "f4", chunks=(12, 1000)))
hdf5("giant_chunk.h5", lambda file, folder: file.create_dataset("ecg", (12, 10**8), "f4", chunks=(12, 5 * 10**7)))
hdf5("many_exams.h5", _exams)
hdf5("no_rate.h5", lambda file, folder: file.create_dataset("ecg", data=FLOATS))


# --- devices

EDF = edf_bytes(ECG)


def patched(data: bytes, position: int, text: bytes) -> bytes:
    return data[:position] + text + data[position + len(text) :]


content("truncated.edf", EDF[:-100])
content("head_cut.edf", EDF[:400])
content("no_records.edf", patched(EDF, 236, b"0       "))
content("billion_records.edf", patched(EDF, 236, b"99999999"))
content("no_signals.edf", patched(EDF, 252, b"0   "))
content("many_signals.edf", patched(EDF, 252, b"9999"))
content("no_number.edf", patched(EDF, 236, b"zwoelf  "))
content("no_voltage.edf", edf_bytes(ECG, unit="mmHg"))
content("flat_scale.edf", patched(EDF, 256 + 12 * (16 + 80 + 8), b"0       " * 24))
content("no_waveforms.dcm", dicom_bytes(ECG, no_waveforms=True))
content("truncated.dcm", dicom_bytes(ECG)[:-5000])
content("preamble_only.dcm", bytes(128) + b"DICM")
content("too_many_samples.dcm", dicom_bytes(ECG, samples=2**31 - 1))
content("fewer_bytes.dcm", dicom_bytes(ECG, samples=1001))
content("no_samples.dcm", dicom_bytes(ECG, samples=0))
content("mu_law.dcm", dicom_bytes(ECG, interpretation="MB"))
content("gain_zero.dcm", dicom_bytes(ECG, sensitivity="0"))
content("no_voltage.dcm", dicom_bytes(ECG, unit="mm[Hg]"))
content("megahertz.dcm", dicom_bytes(ECG, rate=1_000_000))
content("deflated.dcm", bytes(128) + b"DICM" + b"1.2.840.10008.1.2.1.99".ljust(2**21, b"\0"))

ISHNE = ishne_bytes(ECG)
content("header_cut.ecg", ISHNE[:300])
content("no_samples.ecg", ISHNE[:545])
content("no_leads.ecg", patched(ISHNE, 156, struct.pack("<h", 0)))
content("many_leads.ecg", patched(ISHNE, 156, struct.pack("<h", 32767)))
content("rate_zero.ecg", patched(ISHNE, 272, struct.pack("<h", 0)))
content("text_beyond_the_end.ecg", patched(ISHNE, 10, struct.pack("<i", 2**31 - 1)))
content("negative_text.ecg", patched(ISHNE, 10, struct.pack("<i", -400)))
content("counts.ecg", ishne_bytes(ECG, resolutions=[0] * 12))
content(
    "offset_of_years.dcm",
    dicom_bytes(groups=[dicom_group(ECG[:6], LEADS[:6]), dicom_group(ECG[6:], LEADS[6:], offset_ms=1e15)]),
)
content("contradicting_groups.dcm", dicom_bytes(groups=[dicom_group(ECG), dicom_group(ECG // 2)]))
content("bits_allocated.dcm", dicom_bytes(ECG, interpretation="SL"))
content("gaps_in_time.edf", patched(EDF, 192, b"EDF+D").replace(b"ECG V6          ", b"EDF Annotations "))

SCP = scp_bytes(EIGHT)
content("truncated.scp", SCP[: len(SCP) // 2])
content("lead_data_cut.scp", scp_bytes(EIGHT, huffman=True)[:-4000])
content("pointer_outside.scp", patched(SCP, 6 + 16 + 6 * 10 + 6, struct.pack("<I", 2**31)))
content("tera_samples.scp", SCP.replace(struct.pack("<II", 1, 1000), struct.pack("<II", 1, 2**32 - 1)))
content("gain_zero.scp", SCP.replace(struct.pack("<HH", 1000, 2000), struct.pack("<HH", 0, 2000)))
content("rate_zero.scp", SCP.replace(struct.pack("<HH", 1000, 2000), struct.pack("<HH", 1000, 0)))
content("too_large.scp", SCP + bytes(2**20))


# --- XML

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
MUSE = muse_xml(EIGHT)
AECG = aecg_xml(ECG)
SIERRA = sierra_xml(ECG)
content("billion_laughs.xml", f'<!DOCTYPE RestingECG [<!ENTITY l0 "ha">{LAUGHS}]><RestingECG>&l11;</RestingECG>')
content("quadratic.xml", f'<!DOCTYPE r [<!ENTITY a "{"a" * 10**5}">]><r>{"&a;" * 10**4}</r>')
content("reads_files.xml", '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><RestingECG>&x;</RestingECG>')
content("reads_urls.xml", '<!DOCTYPE r [<!ENTITY x SYSTEM "http://example.org/x">]><AnnotatedECG>&x;</AnnotatedECG>')
content("truncated.xml", MUSE[: len(MUSE) // 2])
content("unknown_root.xml", "<invoice><total>12</total></invoice>")
content("deep.xml", "<RestingECG>" * 20_000 + "</RestingECG>" * 20_000)
content("muse_median_only.xml", muse_xml(EIGHT, WaveformType="Median"))
content("muse_count.xml", muse_xml(EIGHT, LeadSampleCountTotal="7"))
content("muse_no_base64.xml", muse_xml(EIGHT, WaveFormData="**not base64**"))
content("muse_empty_lead.xml", muse_xml(EIGHT, WaveFormData=""))
content("muse_gain_zero.xml", muse_xml(EIGHT, scale="0"))
content("muse_gain_word.xml", muse_xml(EIGHT, scale="much"))
content("muse_megahertz.xml", muse_xml(EIGHT, SampleBase="1000000"))
content("muse_three_bytes.xml", muse_xml(EIGHT, LeadSampleSize="3"))
content("muse_unit.xml", muse_xml(EIGHT, LeadAmplitudeUnits="BANANAS"))
content("muse_doubled.xml", muse_xml(EIGHT, LeadID="II"), EcgLeadError)
content("aecg_empty.xml", '<AnnotatedECG xmlns="urn:hl7-org:v3"/>')
content("aecg_scale_zero.xml", aecg_xml(ECG, scale="0"))
content("aecg_scale_word.xml", aecg_xml(ECG, scale="NaN"))
content(
    "aecg_years_apart.xml",
    aecg_xml(
        series=[
            aecg_series(
                aecg_set(ECG[:6], LEADS[:6], start="20000101000000"),
                aecg_set(ECG[6:], LEADS[6:], start="20200101000000"),
            )
        ]
    ),
)
content("aecg_contradicting.xml", aecg_xml(series=[aecg_series(aecg_set(ECG), aecg_set(ECG // 2))]))
content("aecg_only_beats.xml", aecg_xml(series=[aecg_series(aecg_set(ECG), code="REPRESENTATIVE_BEAT")]))
content("muse_start.xml", muse_xml(EIGHT, WaveformStartTime="soon"))
content("aecg_no_increment.xml", aecg_xml(ECG, increment="0"))
content("aecg_digits.xml", aecg_xml(ECG, digits="1 2 three"))
content("aecg_no_digits.xml", aecg_xml(ECG, digits=""))
content("aecg_unit.xml", aecg_xml(ECG, unit="mm[Hg]"))
content("sierra_version.xml", SIERRA.replace("1.04", "9.99"))
content("sierra_short.xml", SIERRA.replace('durationperchannel="2000"', 'durationperchannel="9000"'))
content("sierra_no_gain.xml", SIERRA.replace("<resolution>5.0</resolution>", ""))
content("sierra_no_waves.xml", SIERRA.replace("parsedwaveforms", "something"))
content("schiller_no_rhythm.xml", "<a.SchillerEDI><eventdata/></a.SchillerEDI>")


# --- no ECG at all

content("zeros.bin", bytes(10_000))
content("noise.ecg", np.random.default_rng(7).bytes(10_000))
content("document.pdf", b"%PDF-1.7\n" + bytes(1000))
content("program.exe", b"MZ\x90\0" + bytes(5000))


@case("picture")
def _(folder: Path) -> Path:
    Image.new("RGB", (200, 200)).save(folder / "page.png")
    return folder / "page.png"


@case("folder")
def _(folder: Path) -> Path:
    (folder / "records").mkdir()
    return folder / "records"


@case("absent")
def _(folder: Path) -> Path:
    return folder / "absent.xml"


@case("named pipe")
def _(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.csv")
    return folder / "pipe.csv"


__all__ = ["CASES"]
