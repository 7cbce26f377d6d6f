# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem serve`: a model, its routes, the gate before them, and a shutdown that answers all accepted requests."""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

import processing
from modeling_gem.model_strength import model_strength
from processing.chat_gem import MODALITIES
from processing.ecg_check import check_ecg
from processing.ecg_features import extract_features
from processing.ecg_readers import load_ecg
from processing.untrusted.processes import warm_up
from recipes.models import load_gem, model_source

from .app import GemServer
from .audit import AuditLog
from .gate import Gate, GateLimits
from .hosts import HostCheck, is_local, own_names
from .media import AllowedMedia
from .provenance import provenance_of
from .service import GemService

if TYPE_CHECKING:
    from modeling_gem import GemForConditionalGeneration, GemProcessor

log = logging.getLogger(__name__)
SWITCH_S = 0.0005
END_S = 60  # for requests that are open when the server shuts down


@dataclass(frozen=True)
class ServeSettings:
    """The settings of `gem serve`.

    Args:
        model: folder or Hub id of a GEM; empty for the one that comes with gem-ecg.
        name: name of the model in requests.
        host: address to listen on.
        port: port to listen on; 0 for a free one.
        keys: accepted keys; empty if none is needed.
        hosts: further host names that requests may carry, beside the server's own name and addresses.
        batch: number of questions in a batch.
        requests: number of open requests; further ones are refused with 429.
        audit: audit log, to which a line is added for each answer.
        media_folder: folder for `file://` URLs in requests.
        media_hosts: allowed hosts of `http(s)://` URLs in requests.
    """

    model: str = ""
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    keys: Sequence[str] = field(default=(), repr=False)
    hosts: Sequence[str] = ()
    batch: int = 16
    requests: int = 64
    audit: Path | None = None
    media_folder: Path | None = None
    media_hosts: Sequence[str] = ()
    trust_remote_code: bool = False


def make_server(
    settings: ServeSettings, network: "GemForConditionalGeneration", processor: "GemProcessor"
) -> GemServer:
    """The routes of a model that was loaded from `settings.model`.

    Raises:
        GemError: the audit log cannot be written.
    """
    source = model_source(settings.model)
    provenance = provenance_of(source, settings.name)
    return GemServer(
        GemService(network, processor, settings.batch, settings.requests),
        provenance,
        {modality: model_strength(source, modality) for modality in MODALITIES},
        AuditLog(settings.audit, provenance),
        AllowedMedia(settings.media_folder, settings.media_hosts),
    )


def gated(server: GemServer, settings: ServeSettings, limits: GateLimits | None = None) -> ASGIApp:
    """The application with the gate in front of it."""
    gate = Gate(
        server.app(),
        settings.keys,
        limits or GateLimits(requests=settings.requests),
        lambda: server.service.batcher.waiting_s,
        server.provenance.headers(),
    )
    return HostCheck(gate, own_names(settings.host, settings.hosts))


def config_of(app: ASGIApp, settings: ServeSettings) -> uvicorn.Config:
    """How the application is run."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # it would hold addresses; the gate writes one line per request
        server_header=False,
        timeout_graceful_shutdown=END_S,
    )


def serve(settings: ServeSettings) -> None:
    """Serves until SIGINT or SIGTERM. Then no more requests are accepted, and the open ones are answered.

    Raises:
        OSError: there is no such model.
        GemError: its files cannot be used, or the audit log cannot be written.
    """
    import torch

    # Half of the cores write answers; the rest reads, measures and draws meanwhile.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    # The thread that writes answers holds Python's lock for short times only, and would wait 5 ms for it whenever another reads a file.
    sys.setswitchinterval(SWITCH_S)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("recipes.serving").setLevel(logging.INFO)
    warm_up()
    network, processor = load_gem(settings.model, trust_remote_code=settings.trust_remote_code)
    record = check_ecg(load_ecg(Path(str(processing.__file__)).parent / "samples" / "normal.hea"))
    extract_features(record)  # loads what is loaded at first use before the first request comes
    processor.page(record)
    app = gated(make_server(settings, network, processor), settings)
    log.info("http://%s:%d, until SIGTERM or Ctrl+C", settings.host, settings.port)
    uvicorn.Server(config_of(app, settings)).run()


__all__ = ["ServeSettings", "config_of", "gated", "is_local", "make_server", "serve"]
