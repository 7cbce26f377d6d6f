# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""
Files in requests to `vllm serve`: ECGs as `audio_url`, pages as `image_url`, read with the limits of `gem serve`.

vLLM uses it where the environment says `VLLM_MEDIA_CONNECTOR=gem`. `--allowed-local-media-path` and `--allowed-media-domains` allow
other URLs than data URLs; without them none is opened.
"""

import asyncio
from typing import Any

from PIL import Image
from vllm.multimodal.media import MEDIA_CONNECTOR_REGISTRY, MediaConnector
from vllm.multimodal.media.connector import global_thread_pool

from processing.ecg_record import EcgRecord
from recipes.serving.media import AllowedMedia
from recipes.serving.uploads import read_ecg, read_picture
from recipes.serving.wire import SentEcg, SentPicture, WireError, read_part

NAME = "gem"


def register_connector() -> None:
    """Makes the connector known to vLLM."""
    MEDIA_CONNECTOR_REGISTRY.register(NAME)(GemMediaConnector)


class GemMediaConnector(MediaConnector):
    """Gives vLLM records and judged pages in place of sounds and pictures; what cannot be used is refused with our message."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.allowed = AllowedMedia(self.allowed_local_media_path, self.allowed_media_domains)

    def fetch_audio(self, audio_url: str) -> EcgRecord:
        """Reads the ECG in a data URL, in place of vLLM's audio.

        Raises:
            GemError: see `recipes.serving.wire.read_part` and `recipes.serving.uploads.read_ecg`.
        """
        said = self.media_io_kwargs.get("audio", {})
        part = read_part({"type": "audio_url", "audio_url": {**said, "url": audio_url}}, "audio_url", self.allowed)
        if not isinstance(part, SentEcg):
            raise WireError("audio_url: this is a picture; send the page of an ECG as `image_url`.")
        return read_ecg(part.file)

    async def fetch_audio_async(self, audio_url: str) -> EcgRecord:
        """As `fetch_audio`, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(global_thread_pool, self.fetch_audio, audio_url)

    def fetch_image(self, image_url: str, *, image_mode: str | None = "RGB") -> Image.Image:
        """Reads the page or photo that a URL names.

        Raises:
            GemError: see `recipes.serving.uploads.read_picture`.
        """
        part = read_part({"type": "image_url", "image_url": {"url": image_url}}, "image_url", self.allowed)
        assert isinstance(part, SentPicture)
        if part.is_digitized(default=False):
            raise WireError(
                "image_url: vLLM makes no signal of a picture. `gem serve` does; or send the signal of `digitize_ecg` as `audio_url`."
            )
        return read_picture(part.file).convert(image_mode or "RGB")

    async def fetch_image_async(self, image_url: str, *, image_mode: str | None = "RGB") -> Image.Image:
        """As `fetch_image`, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(global_thread_pool, self.fetch_image, image_url)


__all__ = ["GemMediaConnector", "register_connector"]
