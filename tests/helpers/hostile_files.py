# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Small files that demand huge resources; each once froze a server or filled gigabytes. They are written when needed."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.ecg_files import dicom_bytes, microvolts

Maker = Callable[[Path], Path]
HOSTILE: dict[str, Maker] = {}
ROWS = "0.1,0.2\n" * 500


def hostile(name: str) -> Callable[[Maker], Maker]:
    """Registers `make(folder) -> path` under the name of the file that it writes."""

    def register(make: Maker) -> Maker:
        HOSTILE[name] = make
        return make

    return register


def content(name: str, make: Callable[[], str | bytes]) -> None:
    @hostile(name)
    def _(folder: Path) -> Path:
        data = make()
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return folder / name


# Tables: heads that a regular expression went over again and again; widths that pandas takes minutes for.
content("head_underscores.csv", lambda: "_" * 30_000 + "x,II\n" + ROWS)
content("head_blanks.csv", lambda: '"' + " " * 60_000 + 'x",II\n' + ROWS)
content("head_4M.txt", lambda: "_" * 4_000_000 + " x\n" + "0.1 0.2\n" * 500)
content("commas.csv", lambda: "," * 1_000_000 + "\n" + "0.1,0.2\n" * 500)
content("million_columns.csv", lambda: (",".join(["0.1"] * 1_000_000) + "\n") * 12)
content(
    "million_names.csv",
    lambda: ",".join(f"c{i}" for i in range(300_000)) + "\n" + (",".join(["1.5"] * 300_000) + "\n") * 3,
)


# WFDB: numbers that nothing bounded, headers that were parsed twice, files outside of the folder.
def wfdb(folder: Path, name: str, header: str, data: bytes = bytes(2000)) -> Path:
    (folder / f"{name}.dat").write_bytes(data)
    (folder / f"{name}.hea").write_text(header)
    return folder / f"{name}.hea"


@hostile("skew.hea")
def _(folder: Path) -> Path:
    return wfdb(folder, "skew", "skew 1 500 1000\nskew.dat 16:1000000000 200 16 0 0 0 0 II\n")


@hostile("frames.hea")
def _(folder: Path) -> Path:
    return wfdb(folder, "frames", "frames 1 500 1\nframes.dat 16x60000000 200 16 0 0 0 0 II\n")


@hostile("flac.hea")
def _(folder: Path) -> Path:
    import soundfile

    soundfile.write(folder / "flac.dat", np.zeros((5_500_000, 8), np.int16), 500, format="FLAC", subtype="PCM_16")
    lines = "".join(f"flac.dat 516 200 16 0 0 0 0 s{i}\n" for i in range(8))
    (folder / "flac.hea").write_text("flac 8 500 5500000\n" + lines)
    return folder / "flac.hea"


@hostile("many_segments.hea")
def _(folder: Path) -> Path:
    """A header of 300 kB that names one segment of many signals many times."""
    count = 30_000
    lines = "".join(f"s.dat 16 200 16 0 0 0 0 s{i}\n" for i in range(200))
    wfdb(folder, "s", "s 200 500 2\n" + lines, bytes(800))
    return wfdb(folder, "many_segments", f"many_segments/{count} 200 500 {2 * count}\n" + "s 2\n" * count)


@hostile("many_files.hea")
def _(folder: Path) -> Path:
    """Thousands of segments in files of their own."""
    count = 5_000
    for number in range(count):
        (folder / f"s{number}.hea").write_text(f"s{number} 1 500 2\ns.dat 16 200 16 0 0 0 0 II\n")
    (folder / "s.dat").write_bytes(bytes(4))
    return wfdb(
        folder, "many_files", f"many_files/{count} 1 500 {2 * count}\n" + "".join(f"s{i} 2\n" for i in range(count))
    )


@hostile("link.hea")
def _(folder: Path) -> Path:
    """A signal file that is a link to a file outside of the record's folder."""
    outside = folder.parent / f"{folder.name}_outside.bin"
    outside.write_bytes(bytes(4000))
    (folder / "link.hea").write_text("link 1 500 1000\nlink.dat 16 200 16 0 0 0 0 II\n")
    os.symlink(outside, folder / "link.dat")
    return folder / "link.hea"


# HDF5: groups in circles, strings of a megabyte, zeros that take no room.
def hdf5(name: str) -> Callable[[Callable], Maker]:
    def register(fill: Callable) -> Maker:
        def make(folder: Path) -> Path:
            import h5py

            with h5py.File(folder / name, "w") as file:
                fill(file)
            return folder / name

        HOSTILE[name] = make
        return make

    return register


def zeros(file, name: str, shape: tuple[int, ...], dtype: str) -> None:
    file.create_dataset(name, shape, dtype, chunks=(*shape[:-1], min(shape[-1], 2**17)), compression="gzip")


@hdf5("cycle_wide.h5")
def _(file) -> None:
    group = file.create_group("a")
    for number in range(60):
        group[f"link{number}"] = group


@hdf5("many_groups.h5")
def _(file) -> None:
    for number in range(60_000):
        file.create_group(f"g{number % 60}/h{number}")


@hdf5("long_strings.h5")
def _(file) -> None:
    file["signal"], file["fs"] = np.ones((2, 1000), np.float32), 500.0
    file.create_dataset("leads", (4096,), "S1000000", chunks=(16,), compression="gzip")


@hdf5("many_texts.h5")
def _(file) -> None:
    for number in range(900):
        file.create_dataset(f"t{number}", (4096,), "S4000", chunks=(4096,), compression="gzip")


@hdf5("zeros_f8.h5")
def _(file) -> None:
    zeros(file, "signal", (12, 60 * 90_000), "f8")
    file["fs"], file["unit"] = 90_000.0, "mV"


@hdf5("one_lead.h5")
def _(file) -> None:
    zeros(file, "II", (2**26,), "f8")
    file["fs"], file["unit"] = 100_000.0, "mV"


@hdf5("square.h5")
def _(file) -> None:
    wave = np.where(np.arange(5_400_000) // 45_000 % 2, 1, 0).astype("f4")
    file.create_dataset("signal", data=np.tile(wave, (12, 1)), chunks=(1, 45_000), compression="gzip", shuffle=True)
    file["fs"], file["unit"] = 90_000.0, "mV"


# NumPy and MATLAB: items and members that were bounded one by one.
def npz(members: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array)
    return stream.getvalue()


content("itemsize.npz", lambda: npz({"signal": np.ones((2, 1000)), "leads": np.zeros(300, "<U1000000")}))
content("many_big.npz", lambda: npz({f"a{n}": np.zeros((12, 2_000_000), np.int16) for n in range(40)}))
content("many_members.npz", lambda: npz({f"a{n}": np.zeros(4) for n in range(30_000)}))


def mat(variables: int, values: int) -> bytes:
    """MATLAB 5 of int8 variables (class int8), each `(12, values)` zeros."""

    def element(kind: int, body: bytes) -> bytes:
        return struct.pack("<2I", kind, len(body)) + body + bytes(-len(body) % 8)

    packed = b""
    for number in range(variables):
        name = f"v{number}".encode()
        matrix = element(6, struct.pack("<2I", 8, 0)) + element(5, struct.pack("<2i", 12, values)) + element(1, name)
        matrix += element(1, bytes(12 * values))
        inner = zlib.compress(struct.pack("<2I", 14, len(matrix)) + matrix, 9)
        packed += struct.pack("<2I", 15, len(inner)) + inner
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + packed


content("zeros_i1.mat", lambda: mat(1, 5_400_000))
content("many_variables.mat", lambda: mat(8, 2_000_000))


def deflated_dicom(extra: int) -> bytes:
    """A DICOM of the deflated transfer syntax with `extra` zeros in a private element."""
    plain = dicom_bytes(microvolts())
    start = 132 + 12 + struct.unpack_from("<I", plain, 140)[0]
    syntax = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
    longer = b"\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99"
    meta = plain[:start].replace(syntax, longer)
    meta = meta[:140] + struct.pack("<I", len(meta) - 144) + meta[144:]
    private = struct.pack("<2H2sHI", 0x7FE1, 0x1001, b"OB", 0, extra) + bytes(extra)
    deflater = zlib.compressobj(9, wbits=-15)
    return meta + deflater.compress(plain[start:] + private) + deflater.flush()


content("deflated.dcm", lambda: deflated_dicom(900 * 2**20))


# Pictures: a page of 63 million pixels with transparency.
def rgba_png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (width, height), (255, 255, 255, 128)).save(stream, "PNG")
    return stream.getvalue()


content("63M.png", lambda: rgba_png(9000, 7000))


def text_png() -> bytes:
    """A small picture with thousands of text chunks."""
    stream = io.BytesIO()
    Image.new("L", (200, 200)).save(stream, "PNG")
    plain = stream.getvalue()
    chunk = b"tEXt" + b"k\0" + b"x" * 1000
    text = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return plain[:33] + text * 20_000 + plain[33:]


content("texts.png", text_png)


def noise_page() -> bytes:
    """Random pixels: a million strokes for the line detector."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 2, (1000, 1000), np.uint8) * 255
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


content("noise_page.png", noise_page)
