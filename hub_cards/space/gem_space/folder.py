# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The only folder that a server writes to. Uploads are deleted after a while, and the folder when the server ends."""

import atexit
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from processing.errors_gem import EcgFormatError

PREFIX = "gem-space-"
LOCK = ".lock"
SWEEP_S = 15.0
# Longer than an upload may wait for its turn. An older one is no longer needed, or its connection broke.
LEFTOVER_S = 180.0
UNLOCKED_S = 60.0  # a folder that has no lock after this long has no server


class ServerFolder:
    """A new temporary folder that only this user can enter; a lock shows that its server is running.

    Args:
        parent: its parent folder, which is also searched for folders of servers that died.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self.parent = parent or Path(tempfile.gettempdir())
        sweep_dead(self.parent)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self.parent))
        self._lock = FileLock(self.path / LOCK, thread_local=False)
        self._lock.acquire()
        self.uploads = self.path / "uploads"
        self.uploads.mkdir()
        self._ended = threading.Event()
        atexit.register(self.close)
        threading.Thread(target=self._watch, daemon=True).start()

    @contextmanager
    def copies(self, paths: Sequence[Path]) -> Iterator[list[Path]]:
        """Copies of uploaded files, side by side in a folder of their own, which is deleted at the end.

        Equal uploads of several users are one file, which each of them must find: only `sweep` deletes it.

        Raises:
            EcgFormatError: two files have one name, or one is no longer there.
        """
        with tempfile.TemporaryDirectory(prefix="reading-", dir=self.path) as folder:
            copies = []
            for path in paths:
                copy = Path(folder) / path.name
                if copy.exists():
                    raise EcgFormatError(f"Two of the files are named {path.name}; upload the ECG's own files alone.")
                try:
                    shutil.copyfile(path, copy)
                except FileNotFoundError as error:
                    raise EcgFormatError(f"{path.name}: the upload is no longer here; upload it again.") from error
                copies.append(copy)
            yield copies

    def sweep(self) -> None:
        """Deletes the uploads that have not been written to for `LEFTOVER_S`."""
        for path in self.uploads.rglob("*"):
            with suppress(FileNotFoundError):  # its user uploads it again
                if path.is_file() and time.time() - path.stat().st_mtime > LEFTOVER_S:
                    path.unlink()

    def close(self) -> None:
        """Deletes the folder with all that is in it."""
        self._ended.set()
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        atexit.unregister(self.close)

    def _watch(self) -> None:
        while not self._ended.wait(SWEEP_S):
            self.sweep()
            sweep_dead(self.parent)


def sweep_dead(parent: Path) -> None:
    """Deletes the folders of this user's servers that were killed: nobody holds their locks."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            state = folder.lstat()
            if not folder.is_dir() or folder.is_symlink() or (hasattr(os, "getuid") and state.st_uid != os.getuid()):
                continue
            if not (folder / LOCK).exists() and time.time() - state.st_mtime < UNLOCKED_S:
                continue  # its server is about to lock it
            with FileLock(folder / LOCK, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)


__all__ = ["LEFTOVER_S", "ServerFolder", "sweep_dead"]
