# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Optional libraries: the extra of gem-ecg that installs each, and the error if one is missing."""

from importlib import import_module
from typing import Any, NamedTuple

from .errors_gem import MissingDependencyError


class Library(NamedTuple):
    """The name in the package index, and the extras of gem-ecg that list it. None: gem-ecg itself needs it."""

    name: str
    extras: tuple[str, ...] = ()


# By the name that is imported. The first extra is named where the caller says of none that it is the one.
LIBRARIES = {
    "bitsandbytes": Library("bitsandbytes", ("qlora",)),
    "cv2": Library("opencv-python-headless", ("photo",)),
    "datasets": Library("datasets", ("train", "eval", "publish")),
    "ecgdatakit": Library("ecgdatakit", ("vendor",)),
    "edfio": Library("edfio", ("edf",)),
    "fastapi": Library("fastapi", ("serve",)),
    "gradio": Library("gradio", ("demo",)),
    "h5py": Library("h5py", ("hdf5",)),
    "httpx": Library("httpx", ("serve",)),
    "json_repair": Library("json-repair", ("teacher",)),
    "jsonschema": Library("jsonschema", ("teacher",)),
    "matplotlib": Library("matplotlib"),
    "openai": Library("openai", ("teacher",)),
    "openpyxl": Library("openpyxl", ("eval",)),
    "pandas": Library("pandas"),
    "peft": Library("peft", ("train",)),
    "pillow_heif": Library("pillow-heif", ("pages",)),
    "pyarrow": Library("pyarrow", ("train", "eval", "publish")),
    "pydantic": Library("pydantic", ("teacher", "serve")),
    "pydicom": Library("pydicom", ("dicom",)),
    "pypdfium2": Library("pypdfium2", ("pages",)),
    "python_multipart": Library("python-multipart", ("serve",)),
    "ray": Library("ray[data]", ("ray",)),
    "rouge_score": Library("rouge-score", ("eval",)),
    "sacrebleu": Library("sacrebleu", ("eval",)),
    "scipy": Library("scipy"),
    "sklearn": Library("scikit-learn", ("eval", "train")),
    "starlette": Library("starlette", ("demo", "serve")),
    "tensorboard": Library("tensorboard", ("train",)),
    "tqdm": Library("tqdm", ("train", "eval")),
    "trl": Library("trl", ("train",)),
    "uvicorn": Library("uvicorn", ("serve",)),
    "wfdb": Library("wfdb"),
    "yaml": Library("pyyaml", ("train", "teacher")),
}


def missing_library(module: str, what: str = "This", extra: str | None = None) -> MissingDependencyError:
    """
    The error for an optional library that is not installed.

    Args:
        module: as imported, e.g. `sklearn.metrics`; one of `LIBRARIES`.
        what: the thing that needs it, at the beginning of a sentence.
        extra: that brings all that `what` needs, instead of the library's first.
    """
    top = module.partition(".")[0]
    library = LIBRARIES[top]
    extra = extra or next(iter(library.extras), "")
    whole = f'"gem-ecg[{extra}]"' if extra else "gem-ecg"
    return MissingDependencyError(
        f'{what} needs the library {top!r}: pip install {whole} (the library alone: pip install "{library.name}")'
    )


def require(module: str, what: str) -> Any:
    """The optional library `module`, one of `LIBRARIES`, for `what` (at the beginning of a sentence).

    Raises:
        MissingDependencyError: it is not installed; the message names the extra and the library.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_library(module, what) from error


__all__ = ["LIBRARIES", "Library", "missing_library", "require"]
