# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The store behind the Hub's Xet protocol: hf_xet's own file-system backend, and what the Hub must know about it."""

import struct
import tempfile
from pathlib import Path

import hf_xet

HEADER = 48  # of a shard file, and the length of each of its entries
END = b"\xff" * 32
HAS_VERIFICATION, HAS_METADATA = 1 << 31, 1 << 30


class XetStore:
    """A folder that hf_xet clients write to and read from; `find` tells the Hub which object has a sha256."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.url = f"local://{folder}"

    def find(self, sha256: str) -> tuple[str, bytes] | None:
        """Xet's name and the content of the file with this sha256."""
        for shard in self.folder.rglob("shards/*.mdb"):
            for xet_hash, known, size in _files(shard.read_bytes()):
                if known == sha256:
                    return xet_hash, self._read(xet_hash, size)
        return None

    def _read(self, xet_hash: str, size: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "file"
            with hf_xet.XetSession().new_file_download_group(endpoint=self.url) as group:
                group.start_download_file(hf_xet.XetFileInfo(xet_hash, size), str(target))
            return target.read_bytes()


def _files(shard: bytes) -> list[tuple[str, str, int]]:
    """Xet hash, sha256 and size of each file of a shard: a run of 48-byte entries per file, ended by an entry of ones."""
    found, position = [], HEADER
    while shard[position : position + 32] != END:
        name = shard[position : position + 32]
        flags, segments = struct.unpack_from("<II", shard, position + 32)
        position += HEADER
        size = sum(struct.unpack_from("<I", shard, position + i * HEADER + 36)[0] for i in range(segments))
        position += HEADER * segments * (2 if flags & HAS_VERIFICATION else 1)
        if flags & HAS_METADATA:
            found.append((_hexadecimal(name), _hexadecimal(shard[position : position + 32]), size))
            position += HEADER
    return found


def _hexadecimal(name: bytes) -> str:
    """A hash is stored as four little-endian 64-bit words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", name))
