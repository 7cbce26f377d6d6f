# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Files that a request names by URL: only those in a folder, and from hosts, that the server's owner allows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import httpx

from .wire import MAX_FILE_BYTES, SentFile, WireError, no_urls

FETCH_S = 10.0


class AllowedMedia:
    """Opens `file://` URLs below one folder and `http(s)://` URLs of named hosts; a `Fetch` of the wire format.

    Args:
        folder: folder for `file://` URLs; `None` to allow none.
        hosts: allowed host names, without port.
    """

    def __init__(self, folder: Path | None = None, hosts: Iterable[str] = ()) -> None:
        self.folder = folder.resolve() if folder is not None else None
        self.hosts = {host.lower() for host in hosts}

    def __call__(self, url: str, options: Mapping[str, Any]) -> SentFile:
        """
        Raises:
            WireError: the URL is not allowed, cannot be opened, or has more than 20 MB.
        """
        try:
            parts = urlsplit(url)
            scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
        except ValueError as error:
            raise WireError("This URL cannot be read; send the file as a data URL.") from error
        if scheme == "file" and self.folder is not None and not host:
            return self._local(url2pathname(parts.path), options)
        if scheme in ("http", "https") and host in self.hosts:
            return SentFile(_download(url), unquote(Path(parts.path).name) or "ECG", options)
        if (scheme == "file" and self.folder is not None) or (scheme in ("http", "https") and self.hosts):
            raise WireError("This URL is not among those that are allowed here; send the file as a data URL.")
        return no_urls(url, options)

    def _local(self, path: str, options: Mapping[str, Any]) -> SentFile:
        assert self.folder is not None
        try:
            file = Path(path).resolve()
            known = file.is_relative_to(self.folder) and (file.is_file() or file.with_suffix(".hea").is_file())
        except (OSError, ValueError):
            known = False
        if not known:
            raise WireError("There is no such file below the folder that is allowed here.")
        return SentFile(b"", file.name, options, path=str(file))


def _download(url: str) -> bytes:
    data = bytearray()
    try:
        with httpx.stream("GET", url, timeout=FETCH_S, follow_redirects=False, trust_env=False) as response:
            if response.status_code != 200:
                raise WireError(f"The URL's host answers with {response.status_code}; redirects are not followed.")
            for part in response.iter_bytes():
                data += part
                if len(data) > MAX_FILE_BYTES:
                    raise WireError(f"The URL leads to more than {MAX_FILE_BYTES:,} bytes.", 413, "file_too_large")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WireError(
            f"The URL could not be fetched ({type(error).__name__}); send the file as a data URL."
        ) from error
    return bytes(data)


__all__ = ["AllowedMedia"]
