# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Original GEM, PULSE, LLaVA and ECG-CoCa checkpoints -> ours, and fresh GEMs from parts. Every weight is accounted for.

The public names, gathered: reading (`convert_read`), the signal tower (`convert_ecg_tower`), original checkpoints
(`convert_original`), assembly (`convert_assemble`, parts in `convert_parts`), the processor (`convert_processor`), saving
and the report (`convert_save`).
"""

from .convert_assemble import assemble_gem
from .convert_ecg_tower import convert_ecg_coca
from .convert_original import convert_original_checkpoint
from .convert_processor import build_processor
from .convert_read import read_weights
from .convert_save import ConversionReport

__all__ = [
    "ConversionReport",
    "assemble_gem",
    "build_processor",
    "convert_ecg_coca",
    "convert_original_checkpoint",
    "read_weights",
]
