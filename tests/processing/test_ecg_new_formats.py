# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""ISHNE Holter files, packed files, HEIC photos, PDF pages; a file that is not an ECG is named as what it is."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing import ecg_packed
from processing.ecg_photo import load_page_picture
from processing.ecg_readers import is_picture, load_ecg
from processing.errors_gem import EcgFormatError, MissingDependencyError
from processing.folders.listing import list_ecg_files
from tests.helpers.ecg_files import (
    LEADS,
    aecg_xml,
    dicom_bytes,
    edf_bytes,
    ishne_bytes,
    microvolts,
    muse_xml,
)

COUNTS = microvolts()
MV = COUNTS / 1000


# ISHNE


def test_ishne_gives_the_written_amplitudes() -> None:
    record = load_ecg(ishne_bytes(COUNTS))
    assert record.leads == LEADS and record.sampling_rate == 500
    np.testing.assert_allclose(record.signal, MV, atol=1e-6)
    assert {evidence.unit for evidence in record.evidence.values()} == {"stated"}
    assert record.metadata["sex"] == "F" and record.start_time is None
    assert "Doe" not in repr((record.metadata, record.history)) and "1953" not in repr(record.history)
    kept = load_ecg(ishne_bytes(COUNTS), keep_phi=True)
    assert kept.metadata["phi"]["patient name"] == "Jane Doe" and kept.start_time.year == 2020


def test_ishne_resolution_of_each_lead() -> None:
    record = load_ecg(ishne_bytes(COUNTS[:3], LEADS[:3], resolutions=[1000, 2500, 500])).recorded_leads_only()
    np.testing.assert_allclose(record.signal, MV[:3] * [[1], [2.5], [0.5]], atol=2e-6)


def test_ishne_fault_samples_are_missing() -> None:
    counts = COUNTS.copy()
    counts[2, 50:60] = -32768
    record = load_ecg(ishne_bytes(counts))
    assert np.flatnonzero(np.isnan(record.signal[2])).tolist() == list(range(50, 60))


def test_ishne_leads_without_a_name_keep_their_number() -> None:
    record = load_ecg(ishne_bytes(COUNTS[[1, 6]], ["?", "?"]))
    assert record.leads == ("ECG1", "ECG2")
    np.testing.assert_allclose(record.signal, MV[[1, 6]], atol=1e-6)


def test_ishne_without_resolution_is_not_taken_as_millivolts() -> None:
    data = ishne_bytes(COUNTS, resolutions=[0] * 12)
    with pytest.raises(EcgFormatError, match=r"unit|gain"):
        load_ecg(data)
    np.testing.assert_allclose(load_ecg(data, gain=1000).signal, MV, atol=1e-6)


@pytest.mark.parametrize("checksum", ["ours", 0, 12345])
def test_ishne_checksum(checksum: str | int) -> None:
    data = ishne_bytes(COUNTS) if checksum == "ours" else ishne_bytes(COUNTS, checksum=checksum)
    assert any("checksum" in note for note in load_ecg(data).history) == (checksum == 12345)


def test_ishne_that_was_cut_says_so() -> None:
    assert any("may be cut" in note for note in load_ecg(ishne_bytes(COUNTS)[:-6000]).history)
    assert not any("declares" in note for note in load_ecg(ishne_bytes(COUNTS, declared=5000 * 12)).history)
    assert any("may not be ECG" in note for note in load_ecg(ishne_bytes(COUNTS, declared=4000)).history)


def test_ishne_equals_ecgdatakit(tmp_path: Path) -> None:
    toolkit = pytest.importorskip("ecgdatakit")
    path = tmp_path / "holter.ecg"
    path.write_bytes(ishne_bytes(COUNTS[:3], ["V1", "V5", "II"]))
    record = load_ecg(path)
    for lead in toolkit.FileParser().parse(path).leads:
        physical = (lead.to_physical() if lead.is_raw else lead).convert_units("mV").samples
        np.testing.assert_allclose(record.lead(lead.label), physical, atol=1e-6)
    assert list_ecg_files(tmp_path) == [path]


# Packed files

PACKERS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
TABLE = ",".join(LEADS) + "\n" + "\n".join(",".join(f"{value:.3f}" for value in row) for row in MV.T[:1000]) + "\n"
CONTENTS = {
    "ecg.csv": (TABLE.encode(), {"sampling_rate": 500}, MV[:, :1000]),
    "ecg.txt": (TABLE.encode(), {"sampling_rate": 500}, MV[:, :1000]),
    "aecg.xml": (aecg_xml(COUNTS).encode(), {}, COUNTS * 5e-3),
    "muse.xml": (muse_xml(COUNTS, LEADS).encode(), {}, COUNTS * 4.88e-3),
    "ecg.edf": (edf_bytes(COUNTS), {}, MV),
    "ecg.ecg": (ishne_bytes(COUNTS), {}, MV),
    "ecg.dcm": (dicom_bytes(COUNTS), {}, (COUNTS * 2.5 + 10) / 1000),
}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("name", CONTENTS)
def test_packed_files_are_read_like_unpacked_ones(name: str, suffix: str, tmp_path: Path) -> None:
    if name.endswith(".edf"):
        pytest.importorskip("edfio")
    content, options, truth = CONTENTS[name]
    path = tmp_path / (name + suffix)
    path.write_bytes(PACKERS[suffix](content))
    record = load_ecg(path, **options)
    np.testing.assert_allclose(record.signal, truth, atol=2e-6)
    assert record.record_id == Path(name).stem
    np.testing.assert_array_equal(load_ecg(path.read_bytes(), **options).signal, record.signal)
    assert list_ecg_files(tmp_path) == [path]


def test_packed_streams_one_after_another_are_one_file() -> None:
    content, options, truth = CONTENTS["ecg.csv"]
    packed = gzip.compress(content[:20_000]) + gzip.compress(content[20_000:])
    np.testing.assert_allclose(load_ecg(packed, **options).signal, truth, atol=2e-6)


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: data[:20], lambda data: data[:10] + b"\xff" * 50]
)
def test_damaged_packed_files_are_named(suffix: str, damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / f"ecg.csv{suffix}"
    path.write_bytes(damage(PACKERS[suffix](TABLE.encode())))
    with pytest.raises(EcgFormatError, match=r"ecg\.csv"):
        load_ecg(path, sampling_rate=500)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_bombs_and_files_packed_twice_are_refused(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ecg_packed.MAX_INFLATED_BYTES <= 2**28
    monkeypatch.setattr(ecg_packed, "MAX_INFLATED_BYTES", 2**20)
    with pytest.raises(EcgFormatError, match="larger than"):
        load_ecg(pack(bytes(2**20 + 1)))
    with pytest.raises(EcgFormatError, match="twice"):
        load_ecg(pack(pack(TABLE.encode())))
    with pytest.raises(EcgFormatError, match="empty"):
        load_ecg(pack(b""))


def test_a_packed_picture_is_no_signal() -> None:
    stream = io.BytesIO()
    Image.new("L", (80, 80)).save(stream, "PNG")
    with pytest.raises(EcgFormatError, match="picture"):
        load_ecg(gzip.compress(stream.getvalue()))


# Pictures


def page() -> Image.Image:
    picture = Image.new("RGB", (800, 600), "white")
    picture.paste("black", (0, 0, 400, 300))
    return picture


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return saved(page(), "HEIF", quality=95)


def assert_shows_page(picture: Image.Image) -> None:
    width, height = picture.size
    assert picture.mode == "RGB" and abs(width / height - 4 / 3) < 0.01
    assert max(picture.getpixel((width // 4, height // 4))) < 20
    assert min(picture.getpixel((width * 3 // 4, height * 3 // 4))) > 235


def test_heic_photo(tmp_path: Path) -> None:
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(heic())
    assert is_picture(path)
    assert_shows_page(load_page_picture(path))
    with pytest.raises(EcgFormatError, match="load_page_picture"):
        load_ecg(path)
    path.write_bytes(heic()[:400])
    with pytest.raises(EcgFormatError, match=r"IMG_0001\.HEIC"):
        load_page_picture(path)


def test_heic_photo_is_turned_upright_once() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    # As bytes it is written as a rotation of the file, which is how phones store it.
    upright = load_page_picture(saved(page(), "HEIF", quality=95, exif=exif.tobytes()))
    assert upright.size == (600, 800)
    assert max(upright.getpixel((450, 200))) < 20 and min(upright.getpixel((150, 600))) > 235


def test_pdf_page(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    path = tmp_path / "report.pdf"
    path.write_bytes(saved(page(), "PDF", resolution=72))
    assert is_picture(path)
    picture = load_page_picture(path)
    assert_shows_page(picture)
    assert abs(picture.width - 800 / 72 * 200) <= 1
    assert picture.size == load_page_picture(path.read_bytes()).size


@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_one_of_several_pages_is_chosen_never_guessed(kind: str) -> None:
    if kind == "PDF":
        pytest.importorskip("pypdfium2")
    data = saved(Image.new("RGB", (800, 600), "white"), kind, save_all=True, append_images=[page()])
    with pytest.raises(EcgFormatError, match=r"2 pages.*index=1"):
        load_page_picture(data)
    assert_shows_page(load_page_picture(data, index=1))
    with pytest.raises(EcgFormatError, match="2 pages"):
        load_page_picture(data, index=2)


def test_a_large_pdf_page_is_drawn_smaller() -> None:
    pytest.importorskip("pypdfium2")
    picture = load_page_picture(saved(page(), "PDF", resolution=1))
    assert max(picture.size) <= 4000


@pytest.mark.parametrize(
    ("data", "library"), [(b"\0\0\0\x18ftypheic" + bytes(100), "pillow_heif"), (b"%PDF-1.7\n", "pypdfium2")]
)
def test_missing_library_for_pictures_names_the_extra(
    data: bytes, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(MissingDependencyError, match=r"gem-ecg\[pages\]"):
        load_page_picture(data)


# What is not an ECG


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"error": "not found"}', "answer of a server"),
        (b"404: Not Found", "answer of a server"),
        (b"ANN  1.0" + bytes(600), "annotations"),
        (b"@ MFR Standard" + bytes(200), "MFER"),
        (b"x" + bytes(256) + b"ustar\0" + bytes(500), "tar archive"),
        (b"%PDF-1.7\n", "page picture"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_ecg_is_named_as_what_it_is(data: bytes, said: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("ecg.csv.gz" if packed else "ecg.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(EcgFormatError, match=f"{path.name}: .*{said}"):
        load_ecg(path)


def test_numbers_like_an_answers_are_a_table(tmp_path: Path) -> None:
    (tmp_path / "ecg.csv").write_text("I,II\n" + "".join(f"{404 + k % 7}.5,{k % 11}.25\n" for k in range(500)))
    record = load_ecg(tmp_path / "ecg.csv", sampling_rate=500, unit="uV")
    np.testing.assert_allclose(record.lead("I")[:2], [0.4045, 0.4055], atol=1e-6)
