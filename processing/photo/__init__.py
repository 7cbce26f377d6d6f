# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Pictures of ECG pages become signals: `digitize_ecg`. Needs OpenCV (`gem-ecg[photo]`)."""

from ..extras_gem import require

require("cv2", "Digitising a picture")

from .digitize import DigitizedPage, digitize_ecg  # noqa: E402 (its steps import OpenCV)
from .direction import turned_upright  # noqa: E402

__all__ = ["DigitizedPage", "digitize_ecg", "turned_upright"]
