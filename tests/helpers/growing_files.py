# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files of every format that grow: each text field by a pattern over and over, each count one by one.

The fields of XML are found by walking through a whole document; the fields of other formats are in the tables below.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

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

ECG = microvolts(seconds=1)
EIGHT = microvolts(INDEPENDENT, seconds=1)
ROWS = "0.1,0.2\n" * 100
# Patterns on which an expression may try again and again: blanks, marks, digits, brackets, beginnings of units and leads.
FILLS = ("_", " ", "(", "1", "1.", "a ", "V1 ", "-", "mV")
# `make(text)` or `make(count)` -> a file's bytes.
TEXTS: dict[str, Callable[[str], bytes]] = {}
COUNTS: dict[str, Callable[[int], bytes]] = {}
# WFDB needs a folder: `write(folder, text or count)` -> the header.
WFDB_TEXTS: dict[str, Callable[[Path, str], Path]] = {}
WFDB_COUNTS: dict[str, Callable[[Path, int], Path]] = {}


# --- XML: every text and every attribute of a document

SCHILLER = (
    "<a.SchillerEDI><patdata><id>1</id><lastname>Doe</lastname><firstname>Jane</firstname><birthdate>19500101</birthdate>"
    "<gender>FEMALE</gender></patdata><examdescript><startdatetime><date>20200101</date></startdatetime><aquiringdevice>"
    "<hardware><model>AT-10</model></hardware></aquiringdevice></examdescript><eventdata><event><wavedata><type>ECG_RHYTHMS"
    "</type><resolution><samplerate><value>500</value></samplerate><yres><units>UV</units><unitperbit>1</unitperbit></yres>"
    "</resolution><channel><name>II</name><samplecount>500</samplecount><data>" + ",".join(map(str, ECG[1])) + "</data>"
    "</channel></wavedata></event></eventdata></a.SchillerEDI>"
)  # fmt: skip
DOCUMENTS = {
    "muse": muse_xml(EIGHT).replace('<!DOCTYPE RestingECG SYSTEM "restecg.dtd">', ""),
    "aecg": aecg_xml(ECG, series=[aecg_series(aecg_set(ECG), low="20200101120000")]),
    "sierra": sierra_xml(ECG),
    "schiller": SCHILLER,
}


def slots(document: str) -> Iterator[tuple[str, str | None]]:
    """Every distinct (tag, attribute) of a document, and (tag, `None`) for each text."""
    found = dict.fromkeys(
        (element.tag, key)
        for element in ElementTree.fromstring(document).iter()
        for key in (*element.attrib, *([None] if (element.text or "").strip() else []))
    )
    yield from found


def filled(document: str, tag: str, key: str | None, text: str) -> bytes:
    """`document` with `text` in the first element of that tag."""
    root = ElementTree.fromstring(document)
    element = next(element for element in root.iter() if element.tag == tag)
    if key is None:
        element.text = text
    else:
        element.set(key, text)
    return ElementTree.tostring(root)


for kind, document in DOCUMENTS.items():
    for tag, key in slots(document):
        name = f"{kind} {tag.rpartition('}')[2]}{f'@{key}' if key else ''}"
        TEXTS[name] = lambda text, place=(document, tag, key): filled(*place, text)


def repeated(document: str, part: str) -> Callable[[int], bytes]:
    """`document` with its `part` repeated many times."""
    assert part in document
    return lambda count: document.replace(part, part * count, 1).encode()


STATEMENT = "<DiagnosisStatement><StmtText>Sinus rhythm</StmtText></DiagnosisStatement>"
COUNTS["muse statements"] = repeated(DOCUMENTS["muse"], STATEMENT)
COUNTS["muse leads"] = lambda count: muse_xml(np.zeros((count, 4), int), [f"L{n}" for n in range(count)]).encode()
COUNTS["muse blocks"] = lambda count: muse_xml(blocks=[muse_block(EIGHT[:, :4])] * count).encode()
COUNTS["muse samples"] = lambda count: muse_xml(np.zeros((8, count), int)).encode()
COUNTS["aecg leads"] = lambda count: aecg_xml(np.zeros((count, 4), int), [f"L{n}" for n in range(count)]).encode()
COUNTS["aecg sets"] = lambda count: aecg_xml(series=[aecg_series(*[aecg_set(ECG[:, :4])] * count)]).encode()
COUNTS["aecg series"] = lambda count: aecg_xml(series=[aecg_series(aecg_set(ECG[:, :4]))] * count).encode()
COUNTS["aecg samples"] = lambda count: aecg_xml(np.zeros((2, count), int), LEADS[:2]).encode()
COUNTS["sierra leads"] = lambda count: sierra_xml(np.zeros((count, 4), int), [f"L{n}" for n in range(count)]).encode()
COUNTS["sierra samples"] = lambda count: sierra_xml(np.zeros((12, count), int)).encode()
COUNTS["schiller channels"] = repeated(SCHILLER, SCHILLER[SCHILLER.index("<channel>") : SCHILLER.index("</wavedata>")])
COUNTS["xml elements"] = lambda count: f"<RestingECG>{'<a/>' * count}</RestingECG>".encode()
COUNTS["xml depth"] = lambda count: b"<RestingECG>" + b"<a>" * count + b"</a>" * count + b"</RestingECG>"
COUNTS["xml attributes"] = lambda count: b"<RestingECG %s/>" % b" ".join(b'a%d=""' % n for n in range(count))


# --- tables

TEXTS["table head"] = lambda text: f"{text},II\n{ROWS}".encode()
TEXTS["table head in quotes"] = lambda text: f'"{text} [mV]",II\n{ROWS}'.encode()
TEXTS["table head of blanks"] = lambda text: f"{text} II\n{ROWS}".replace(",", " ").encode()
TEXTS["table comment"] = lambda text: f"# {text}\nI,II\n{ROWS}".encode()
TEXTS["table line above"] = lambda text: f"{text}\nI,II\n{ROWS}".encode()
TEXTS["table rate"] = lambda text: f"Sample Rate,{text}\nI,II\n{ROWS}".encode()
TEXTS["table unit"] = lambda text: f"I,II\nmV,{text}\n{ROWS}".encode()
TEXTS["table cell"] = lambda text: f"I,II\n{ROWS}0.1,{text}\n{ROWS}".encode()
TEXTS["table line below"] = lambda text: f"I,II\n{ROWS}{text}\n".encode()
TEXTS["table json"] = lambda text: f'# {{"a": {{"label": "{text}"}}}}\nI,II\n{ROWS}'.encode()
COUNTS["table rows"] = lambda count: b"I,II\n" + b"0.1,0.2\n" * count
COUNTS["table columns"] = lambda c: (
    ",".join(f"c{n}" for n in range(c)) + "\n" + (",".join(["0.1"] * c) + "\n") * 9
).encode()
COUNTS["table columns that rise"] = lambda c: "".join(",".join([f"0.{r}"] * c) + "\n" for r in range(1, 10)).encode()
COUNTS["table samples in a row"] = lambda count: "".join(f"{lead},{'0.1,' * count}1\n" for lead in LEADS).encode()
COUNTS["table comments"] = lambda count: b"# a: b\n" * count + b"I,II\n" + ROWS.encode()
COUNTS["table lines above"] = lambda count: b"a: b\n" * count + b"I,II\n" + ROWS.encode()
COUNTS["table names above"] = lambda count: b"I,II\n" * count + ROWS.encode()
COUNTS["table empty cells"] = lambda count: (f"I,II{',' * count}\n" + f"0.1,0.2{',' * count}\n" * 9).encode()
COUNTS["table times"] = lambda c: (
    b"t,II\n" + b"".join(b"0:%02d.%03d,0.1\n" % (n // 1000 % 60, n % 1000) for n in range(c))
)


# --- devices


def dicom(**texts: str) -> bytes:
    """An ECG object with the values of `dicom_group`, and with PatientName, Manufacturer and an annotation if given."""
    from pydicom import config
    from pydicom.dataset import Dataset
    from pydicom.filereader import dcmread

    config.settings.writing_validation_mode = config.settings.reading_validation_mode = config.IGNORE
    patch = {key: texts.pop(key) for key in ("unit", "unit_meaning") if key in texts}
    dataset = dcmread(io.BytesIO(dicom_bytes(ECG, **patch)))
    if "annotations" in texts:
        lines = texts.pop("annotations").split("\n")
        dataset.WaveformAnnotationSequence = [Dataset() for _ in lines]
        for item, line in zip(dataset.WaveformAnnotationSequence, lines, strict=True):
            item.UnformattedTextValue = line
    for keyword, text in texts.items():
        setattr(dataset, keyword, text)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


for field in ("PatientName", "PatientAge", "Manufacturer", "annotations", "unit", "unit_meaning"):
    TEXTS[f"dicom {field}"] = lambda text, field=field: dicom(**{field: text[:60_000]})  # the length has 16 bits
COUNTS["dicom annotations"] = lambda count: dicom(annotations="\n".join(["Sinus rhythm"] * count))
COUNTS["dicom groups"] = lambda count: dicom_bytes(
    groups=[dicom_group(ECG[:2, :8], LEADS[:2]) for _ in range(count // 10)]
)
COUNTS["dicom channels"] = lambda count: dicom_bytes(np.zeros((count, 4), np.int16), ["II"] * count)
COUNTS["dicom samples"] = lambda count: dicom_bytes(np.zeros((12, count), np.int16))
TEXTS["scp patient"] = lambda text: scp_bytes(EIGHT, patient=text[:60_000])
COUNTS["scp samples"] = lambda count: scp_bytes(np.zeros((8, count), np.int16), huffman=True)
COUNTS["edf signals"] = lambda count: edf_bytes(np.zeros((count, 10), np.int16), ["V"] * count, rate=10)
COUNTS["edf records"] = lambda count: edf_bytes(np.zeros((2, count), np.int16), LEADS[:2], rate=1)
COUNTS["edf samples"] = lambda count: edf_bytes(np.zeros((12, 500 * (count // 500)), np.int16))
COUNTS["ishne samples"] = lambda count: ishne_bytes(np.zeros((12, count), np.int16))


# --- arrays


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array)
    return stream.getvalue()


def mat(variables: dict[str, object]) -> bytes:
    import scipy.io

    stream = io.BytesIO()
    scipy.io.savemat(stream, variables)
    return stream.getvalue()


def hdf5(fill: Callable) -> bytes:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def _circle(file, count: int) -> None:
    group = file.create_group("a")
    for number in range(count):
        group[f"to{number}"] = group


def _each(name: str, values) -> Callable:
    def fill(file) -> None:
        for number, value in enumerate(values):
            file[name.format(number)] = value

    return fill


def _zeros(name: str, shape: tuple[int, ...], dtype: str) -> Callable:
    chunks = (*(1 for _ in shape[:-1]), min(shape[-1], 2**17))
    return lambda file: file.create_dataset(name, shape, dtype, chunks=chunks, compression="gzip")


SIGNAL = (ECG / 1000).astype(np.float32)
TEXTS["npz lead"] = lambda text: npz({"signal": SIGNAL, "leads": np.array([text, *LEADS[1:]])})
TEXTS["npz unit"] = lambda text: npz({"signal": SIGNAL, "unit": np.array(text)})
TEXTS["npz name"] = lambda text: npz({"signal": SIGNAL, text[:60_000]: SIGNAL})
TEXTS["mat text"] = lambda text: mat({"signal": SIGNAL, "unit": text})
TEXTS["mat cell"] = lambda text: mat({"signal": SIGNAL, "leads": np.array([text, *LEADS[1:]], dtype=object)})
TEXTS["hdf5 lead"] = lambda text: hdf5(_each("leads", [[text, *LEADS[1:]]]))
TEXTS["hdf5 name"] = lambda text: hdf5(_each(text.replace(".", "-") or "a", [SIGNAL]))
TEXTS["hdf5 attribute"] = lambda text: hdf5(lambda file: file.attrs.update(unit=text[:60_000]))
COUNTS["npy rows"] = lambda count: npz({"signal": np.zeros((count, 100), np.float32)})
COUNTS["npz members"] = lambda count: npz({f"a{n}": SIGNAL[:1, :4] for n in range(count)})
COUNTS["npz samples"] = lambda count: npz({"signal": np.zeros((12, count), np.float32)})
COUNTS["mat variables"] = lambda count: mat({f"a{n}": 1.0 for n in range(count)})
COUNTS["mat fields"] = lambda count: mat({"a": {f"a{n}": 1.0 for n in range(count)}})
COUNTS["mat cells"] = lambda count: mat({"leads": np.array(["II"] * count, dtype=object)})
COUNTS["mat samples"] = lambda count: mat({"signal": np.zeros((12, count), np.float32)})
COUNTS["hdf5 data sets"] = lambda count: hdf5(_each("a{}", np.ones((count, 4))))
COUNTS["hdf5 groups"] = lambda count: hdf5(_each("a{}/b", np.ones((count, 4))))
COUNTS["hdf5 depth"] = lambda count: hdf5(_each("/".join(["a"] * count), [1.0]))
COUNTS["hdf5 links in a circle"] = lambda count: hdf5(lambda file: _circle(file, count))
COUNTS["hdf5 attributes"] = lambda count: hdf5(lambda file: file.attrs.update({f"a{n}": n for n in range(count)}))
COUNTS["hdf5 leads"] = lambda count: hdf5(_each("leads", [["II"] * count]))
COUNTS["hdf5 samples"] = lambda count: hdf5(_zeros("ecg", (12, count), "f4"))
COUNTS["gzip samples"] = lambda count: zlib.compress(b"I,II\n" + b"0.1,0.2\n" * count, wbits=31)
COUNTS["gzip members"] = lambda count: (
    zlib.compress(b"I,II\n", wbits=31) + zlib.compress(b"0.1,0.2\n", wbits=31) * count
)


# --- WFDB


def _wfdb(folder: Path, header: str) -> Path:
    (folder / "r.dat").write_bytes(bytes(2000))
    (folder / "r.hea").write_text(header)
    return folder / "r.hea"


SIGNAL_LINE = "r.dat 16 200/mV 16 0 0 0 0 II\n"
WFDB_TEXTS["wfdb comment"] = lambda folder, text: _wfdb(folder, f"r 1 500 1000\n{SIGNAL_LINE}# {text}\n")
WFDB_TEXTS["wfdb name"] = lambda folder, text: _wfdb(folder, f"r 1 500 1000\n{SIGNAL_LINE.strip()}{text}\n")
WFDB_TEXTS["wfdb unit"] = lambda folder, text: _wfdb(
    folder, f"r 1 500 1000\n{SIGNAL_LINE.replace('/mV', '/mV' + text)}"
)
WFDB_TEXTS["wfdb gain"] = lambda folder, text: _wfdb(folder, f"r 1 500 1000\n{SIGNAL_LINE.replace('200', '2' + text)}")
WFDB_TEXTS["wfdb file"] = lambda folder, text: _wfdb(
    folder, f"r 1 500 1000\n{SIGNAL_LINE.replace('r.dat', 'r' + text)}"
)
WFDB_TEXTS["wfdb date"] = lambda folder, text: _wfdb(folder, f"r 1 500 1000 {text}\n{SIGNAL_LINE}")
WFDB_COUNTS["wfdb signals"] = lambda folder, count: _wfdb(folder, f"r {count} 500 1\n{SIGNAL_LINE * count}")
WFDB_COUNTS["wfdb comments"] = lambda folder, count: _wfdb(folder, f"r 1 500 1000\n{SIGNAL_LINE}" + "# a: b\n" * count)


def _segments(folder: Path, count: int) -> Path:
    """A header that names one segment many times."""
    (folder / "s.hea").write_text("s 1 500 2\n" + SIGNAL_LINE.replace("r.dat", "s.dat"))
    (folder / "s.dat").write_bytes(bytes(4))
    return _wfdb(folder, f"r/{count} 1 500 {2 * count}\n" + "s 2\n" * count)


WFDB_COUNTS["wfdb segments"] = _segments


# --- as much as is allowed

# What a file of 20 MB, or of a few kB where it is packed, may hold at the most: `AT_MOST[name](folder)` -> the file.
AT_MOST: dict[str, Callable[[Path], Path]] = {}
_MEGABYTES_20 = 20 * 2**20


def _written(suffix: str, make: Callable[[], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"most.{suffix}"
        path.write_bytes(make())
        return path

    return write


def _png(mode: str) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (8000, 7999)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _flac(folder: Path) -> Path:
    """Zeros in FLAC: the most that a short file can inflate to."""
    import soundfile

    frames = 2**26 // 4 // 8
    soundfile.write(folder / "r.dat", np.zeros((frames, 8), np.int16), 500, format="FLAC", subtype="PCM_16")
    lines = "".join(f"r.dat 516 200/mV 16 0 0 0 0 {lead}\n" for lead in INDEPENDENT)
    (folder / "r.hea").write_text(f"r 8 500 {frames}\n{lines}")
    return folder / "r.hea"


def _bytes_of_wfdb(folder: Path) -> Path:
    """The storage format with the most samples per byte."""
    (folder / "r.dat").write_bytes(bytes(_MEGABYTES_20))
    lines = "".join(f"r.dat 80 200/mV 8 0 0 0 0 {lead}\n" for lead in LEADS)
    (folder / "r.hea").write_text(f"r 12 500 {_MEGABYTES_20 // 12}\n{lines}")
    return folder / "r.hea"


def _whole_doubles(count: int) -> bytes:
    """MATLAB 5: doubles stored as bytes, compressed; `scipy.io` does not write them so small."""

    def element(kind: int, body: bytes) -> bytes:
        return struct.pack("<2I", kind, len(body)) + body + bytes(-len(body) % 8)

    head = element(6, struct.pack("<2I", 6, 0)) + element(5, struct.pack("<2i", 12, count)) + element(1, b"signal")
    matrix = head + element(1, bytes(12 * count))
    packed = zlib.compress(struct.pack("<2I", 14, len(matrix)) + matrix)
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<2I", 15, len(packed)) + packed


AT_MOST |= {
    "table of short lines": _written("csv", lambda: b"0,1\n" * (2**22 - 1)),
    "table of empty lines": _written("csv", lambda: b"I,II\n0.1,0.2\n" + b"\n" * _MEGABYTES_20),
    "table of comments": _written("csv", lambda: b"#\n" * (2**22 - 9) + b"I,II\n0.1,0.2\n"),
    "table of lines above": _written("csv", lambda: b"a:b\n" * (2**22 - 99) + b"I,II\n" + ROWS[:80].encode()),
    "table of leads in rows": _written("csv", lambda: b"".join(b"0," * (2**22 // 12) + b"1\n" for _ in range(12))),
    "table in gzip": _written("csv.gz", lambda: COUNTS["gzip samples"](2**26 // 8 - 1)),
    "xml elements": _written("xml", lambda: COUNTS["xml elements"](2**19 - 2)),
    "xml attributes": _written("xml", lambda: COUNTS["xml attributes"](2**19)),
    "aecg samples": _written("xml", lambda: aecg_xml(np.zeros((10, 2**20), np.int8), LEADS[:10]).encode()),
    "dicom samples": _written("dcm", lambda: COUNTS["dicom samples"](_MEGABYTES_20 // 24)),
    "edf samples": _written("edf", lambda: COUNTS["edf samples"](_MEGABYTES_20 // 24)),
    "ishne samples": _written("ecg", lambda: COUNTS["ishne samples"](_MEGABYTES_20 // 24)),
    "scp samples": _written("scp", lambda: scp_bytes(np.ones((8, 60_000), np.int16), huffman=True)),
    "npz samples": _written("npz", lambda: COUNTS["npz samples"](2**26 // 4 // 12 - 20)),
    "npz of bytes": _written(
        "npz", lambda: npz({"signal": np.zeros((12, 2**26 // 12 - 20), np.int8), "unit": np.array("uV")})
    ),
    "mat of doubles stored as bytes": _written("mat", lambda: _whole_doubles(2**26 // 8 // 12)),
    "hdf5 samples": _written("h5", lambda: hdf5(_zeros("ecg", (12, 2**26 // 12 // 8), "f8"))),
    "hdf5 of bytes": _written("h5", lambda: hdf5(_zeros("ecg", (12, 2**26 // 12), "i1"))),
    "hdf5 groups": _written("h5", lambda: COUNTS["hdf5 groups"](5_000)),
    "wfdb of bytes": _bytes_of_wfdb,
    "wfdb in flac": _flac,
    "wfdb segments": lambda folder: _segments(folder, 2**16),
    "page of 64 million pixels": _written("png", lambda: _png("RGB")),
    "page with transparency": _written("png", lambda: _png("RGBA")),
    "page of 16 bits": _written("png", lambda: _png("I;16")),
}
