# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Drawn pages on disk, so that each can be shown in several epochs: drawing one takes as long as learning from it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from recipes.files import atomic_write

_NEVER = -1


class KeptPages:
    """
    One example per row in files that all processes share; a row also says which version of its example it holds.

    Args:
        folder: for the files. What an interrupted run with the same `settings` left there is used again.
        count: of rows.
        like: an example: names, shapes and types of its arrays.
        settings: what examples depend on, besides row and version.
    """

    def __init__(self, folder: Path, count: int, like: Mapping[str, np.ndarray], settings: str) -> None:
        shapes = {name: ((count, *array.shape), array.dtype) for name, array in like.items()}
        shapes["versions"] = ((count,), np.dtype(np.int32))
        made_for = f"{settings} {shapes}"
        complete = folder / "settings.txt"
        self.files = [complete, *(folder / f"{name}.npy" for name in shapes)]
        if not complete.is_file() or complete.read_text() != made_for:
            self.delete()
            folder.mkdir(parents=True, exist_ok=True)
            for name, (shape, dtype) in shapes.items():
                made = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", shape=shape, dtype=dtype)
                if name == "versions":
                    made[:] = _NEVER
            atomic_write(complete, made_for)
        self.arrays = {name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="r+") for name in shapes}
        self.versions = self.arrays.pop("versions")

    def get(self, row: int, version: int, draw: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The example of `row` in this version, drawn and kept if another version is there."""
        if self.versions[row] != version:
            self.versions[row] = _NEVER  # until all of it is written
            drawn = draw()
            for name, array in self.arrays.items():
                array[row] = drawn[name]
            self.versions[row] = version
        return {name: np.array(array[row]) for name, array in self.arrays.items()}

    def delete(self) -> None:
        """Removes the files, and the folder unless there is something else in it."""
        for file in self.files:
            file.unlink(missing_ok=True)
        folder = self.files[0].parent
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


__all__ = ["KeptPages"]
