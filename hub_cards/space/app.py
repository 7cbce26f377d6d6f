# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The program that Hugging Face Spaces starts; on your own machine use `gem demo`."""

import os

from gem_space.server import launch

launch(
    os.environ.get("GEM_MODEL", ""),
    host="0.0.0.0",
    port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
    password=os.environ.get("GEM_PASSWORD", ""),
    hosts=os.environ.get("GEM_HOSTS", "").split(),
)
