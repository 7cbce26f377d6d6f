# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""One model and one running Space for all tests of this folder."""

import pytest

from hub_cards.space.gem_space import interpreter
from hub_cards.space.gem_space.folder import ServerFolder


@pytest.fixture(scope="session")
def gem():
    return interpreter.Interpreter()


@pytest.fixture(scope="session")
def server(gem, tmp_path_factory):
    """The app on a free port as `gem demo` serves it, with short answers; its address and the folder of its uploads."""
    pytest.importorskip("gradio", reason="the Space needs the extra `demo`")
    from hub_cards.space.gem_space.server import serve

    folder = ServerFolder(tmp_path_factory.mktemp("servers"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", "")
        patch.setattr(interpreter, "MAX_NEW_TOKENS", 48)
        app, url, _ = serve(gem, folder, prevent_thread_lock=True, quiet=True)
        yield url, folder
        app.get_blocks().close()
    folder.close()
