# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The server of the Space: limits, access and shutdown."""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable
from typing import Any

from starlette.middleware import Middleware

from processing.untrusted.processes import warm_up
from recipes.serving.hosts import HostCheck, own_names

from .actions import Actions
from .folder import ServerFolder
from .guard import login
from .interface import EVENTS, build_demo
from .interpreter import Interpreter
from .looks import CSS, theme
from .session import measured
from .uploads import MAX_UPLOAD_BYTES, read_sample, sample_names

SESSIONS = 512  # of which Gradio keeps what is shown; what is open is kept by `SessionStore`


def launch(
    model: str = "",
    host: str = "127.0.0.1",
    port: int | None = 7860,
    password: str = "",
    hosts: Iterable[str] = (),
    **options: Any,
) -> None:
    """Loads the model and serves the app until the process gets SIGINT or SIGTERM.

    Args:
        model: folder or Hub id of a GEM; the small one that comes with gem-ecg if not given.
        host: address to listen on.
        port: port to listen on; `None` lets Gradio choose a free one.
        password: the password of the login page; any user name is accepted with it. Empty: no login.
        hosts: further host names that requests may carry, beside the server's own name and addresses.
        options: keyword arguments of `gradio.Blocks.launch`.
    """
    import torch

    # Half of the cores write answers; the rest reads, measures and draws meanwhile.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    folder = ServerFolder()
    # All that is written, by the processes that read too, is written there, and goes with it.
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder.path)
    if threading.current_thread() is threading.main_thread():
        for ending in (signal.SIGINT, signal.SIGTERM):  # a shell's background process ignores SIGINT
            signal.signal(ending, lambda number, frame: sys.exit(128 + number))
    try:
        warm_up()
        interpreter = Interpreter(model)
        measured(read_sample(sample_names()[0]))  # loads what is loaded at first use before the first user comes
        serve(interpreter, folder, host, password, hosts, server_port=port, **options)
    finally:
        folder.close()


def serve(
    interpreter: Interpreter,
    folder: ServerFolder,
    host: str = "127.0.0.1",
    password: str = "",
    hosts: Iterable[str] = (),
    **options: Any,
) -> tuple:
    """The app with its limits and looks. Arguments as in `launch`; gives what `gradio.Blocks.launch` gives."""
    os.environ["GRADIO_TEMP_DIR"] = str(folder.uploads)
    settings: dict[str, Any] = {
        "server_name": host,
        "auth": login(password),
        "auth_message": "Any user name, and the password that you were given.",
        "max_file_size": MAX_UPLOAD_BYTES,
        "app_kwargs": {
            "max_body_size": MAX_UPLOAD_BYTES + 2**20,  # several files are one upload; the rest is headers
            "middleware": [Middleware(HostCheck, names=own_names(host, hosts))],
        },
        "max_threads": EVENTS,
        "state_session_capacity": SESSIONS,
        "css": CSS,
        "theme": theme(),
        "footer_links": [],
        "run_history": False,  # it would keep pages and answers in the browser for its next user
        "ssr_mode": False,
    }
    return build_demo(Actions(interpreter, folder)).launch(**settings, **options)


__all__ = ["launch", "serve"]
