# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Finds the shared folder of real ECGs and golden fixtures, which is not part of the package."""

import os
from pathlib import Path

import pytest

BESIDE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared"
SHARED = Path(os.environ.get("GEM_SHARED", BESIDE_CHECKOUT))
NEEDS_SHARED = "set GEM_SHARED to the folder of shared data to run this test"


def shared_path(relative: str) -> Path:
    """`relative` inside the shared folder; the calling test is skipped, with the reason, where it is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"{relative} is not here: {NEEDS_SHARED}")
    return path
