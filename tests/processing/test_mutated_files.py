# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Truncated and mutated files of every format and dialect give an ECG or a GemError, in bounded memory.

The number of copies of each is small here. All of them, 20,000 and more:

    GEM_MUTATIONS=700 pytest tests/processing/test_mutated_files.py
"""

import bz2
import gzip
import io
import lzma
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing.ecg_photo import load_page_picture
from processing.ecg_readers import load_ecg
from processing.errors_gem import GemError
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
    muse_block,
    muse_xml,
    scp_bytes,
    sierra_xml,
)

resource = pytest.importorskip("resource", reason="memory is counted on POSIX only")
MUTATIONS = int(os.environ.get("GEM_MUTATIONS", "15"))
MAX_GROWTH = 2**30
ECG = microvolts(seconds=2)
EIGHT = microvolts(INDEPENDENT, seconds=2)
TABLE = ",".join(LEADS) + "\n" + "\n".join(",".join(map(str, row)) for row in (ECG.T / 1000).tolist()) + "\n"
HALVES = [(ECG[:6], LEADS[:6]), (ECG[6:], LEADS[6:])]


def mat() -> bytes:
    import scipy.io

    stream = io.BytesIO()
    scipy.io.savemat(stream, {"signal": ECG / 1000, "fs": 500.0}, do_compression=True)
    return stream.getvalue()


def hdf5() -> bytes:
    h5py = pytest.importorskip("h5py")
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["ecg"], file["fs"] = (ECG / 1000).astype(np.float32), 500.0
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, signal=ECG / 1000, fs=500.0)
    return stream.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "MUSE": lambda: muse_xml(EIGHT).encode(),
    "MUSE in two blocks": lambda: muse_xml(blocks=[muse_block(*half) for half in HALVES]).encode(),
    "aECG": lambda: aecg_xml(ECG).encode(),
    "aECG in two sets": lambda: aecg_xml(
        series=[aecg_series(*(aecg_set(*half, start=str(k)) for k, half in enumerate(HALVES)))]
    ).encode(),
    "Sierra": lambda: sierra_xml(ECG).encode(),
    "DICOM": lambda: dicom_bytes(ECG),
    "DICOM, big-endian": lambda: dicom_bytes(ECG, order=">", padding=0),
    "DICOM in two groups": lambda: dicom_bytes(
        groups=[dicom_group(*half, bits=12, offset_ms=1000 * k) for k, half in enumerate(HALVES)]
    ),
    "EDF": lambda: edf_bytes(ECG),
    "EDF, never closed": lambda: edf_bytes(ECG, unit="µV", declared_records=-1),
    "SCP": lambda: scp_bytes(EIGHT),
    "SCP, Huffman": lambda: scp_bytes(EIGHT, difference=2, huffman=True),
    "SCP from 0": lambda: scp_bytes(EIGHT, ranges=[(0, 1000)] * 8),
    "ISHNE": lambda: ishne_bytes(ECG),
    "table": TABLE.encode,
    "gzip": lambda: gzip.compress(TABLE.encode()),
    "bzip2": lambda: bz2.compress(TABLE.encode()),
    "xz": lambda: lzma.compress(TABLE.encode()),
    "MATLAB": mat,
    "HDF5": hdf5,
    "NPZ": npz,
}


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A copy cut somewhere, or with bytes changed, zeroed, repeated or exchanged, most of them near the beginning."""
    copy = bytearray(data[: rng.integers(1, len(data))] if rng.random() < 0.3 else data)
    for _ in range(rng.integers(1, 6)):
        if not copy:
            break
        at = int(rng.integers(0, len(copy) if rng.random() < 0.3 else min(len(copy), 2000)))
        size = int(rng.integers(1, 9))
        kind = rng.integers(4)
        if kind == 0:
            copy[at] = rng.integers(0, 256)
        elif kind == 1:
            copy[at : at + size] = bytes([0, 255, 57, 45][rng.integers(4)] for _ in copy[at : at + size])
        elif kind == 2:
            copy[at:at] = copy[at : at + size]
        else:
            del copy[at : at + size]
    return bytes(copy) or b"\0"


def status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """The process never grows by 1 GB, libraries included. The kernel's high-water mark is that of the test alone."""
    if not Path("/proc/self/clear_refs").exists():
        yield
        return
    Path("/proc/self/clear_refs").write_text("5")
    before = status_bytes("VmRSS")
    yield
    assert status_bytes("VmHWM") - before < MAX_GROWTH


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_mutated_files_give_an_ecg_or_a_gem_error(name: str) -> None:
    data = FILES[name]()
    rng = np.random.default_rng(len(name))
    for _ in range(MUTATIONS):
        try:
            record = load_ecg(damaged(data, rng), sampling_rate=500)
        except GemError as error:
            assert "ECG bytes" in str(error)
        else:
            assert record.signal.size


WFDB_HEADERS = {
    "two signals": "r 2 500 1000 2014-05-08 05:05:15\nr.dat 16 1000(0)/µV 16 0 12 -77 0 I\nr.dat 16 200/mV 16 0 0 0 0 II\n# Age: 56\n",
    "frames": "r 2 0.976562 15\nr.dat 61x64 1000/mV 16 0 0 0 0 ECG II\nr.dat 61 1/undef 16 0 0 0 0 QRS_SYNC\n",
    "packed": "r 3 250 0\nr.dat 212 200 11 1024 0 0 0 MLII\nr.dat 212:3 200 11 1024 0 0 0 V1\nr.dat 212+3 0 0 0 0 0 0 V5\n",
    "segments": "r/3 2 500 1500\nr_1 500\n~ 500\nr_1 500\n",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WFDB_HEADERS)
def test_mutated_wfdb_headers_give_an_ecg_or_a_gem_error(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(len(name))
    (tmp_path / "r.dat").write_bytes(ECG[:2].T.astype("<i2").tobytes())
    (tmp_path / "r_1.hea").write_text("r_1 2 500 500\nr.dat 16 1000/mV 16 0 0 0 0 I\nr.dat 16 1000/mV 16 0 0 0 0 II\n")
    for _ in range(MUTATIONS):
        (tmp_path / "r.hea").write_bytes(damaged(WFDB_HEADERS[name].encode(), rng))
        try:
            record = load_ecg(tmp_path / "r.hea", keep_phi=True)
        except GemError as error:
            assert "r.hea" in str(error)
        else:
            assert record.signal.size


def picture(kind: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((200, 150), 50).convert("RGB").save(stream, kind, **options)
    return stream.getvalue()


def heic() -> bytes:
    pytest.importorskip("pillow_heif").register_heif_opener()
    return picture("HEIF")


def pdf() -> bytes:
    pytest.importorskip("pypdfium2")
    return picture("PDF")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make", [heic, pdf, lambda: picture("PNG"), lambda: picture("TIFF")], ids=["HEIC", "PDF", "PNG", "TIFF"]
)
def test_mutated_pictures_give_a_page_or_a_gem_error(make: Callable[[], bytes]) -> None:
    data = make()
    rng = np.random.default_rng(5)
    for _ in range(MUTATIONS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                page = load_page_picture(damaged(data, rng))
            except GemError as error:
                assert "picture bytes" in str(error)
            else:
                assert page.mode == "RGB"
