# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Runs a page's Python as a reader would, in its own process; imports shared by the blocks are loaded once and forked."""

import multiprocessing
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

# Not the project: a block that forgets to import it must fail.
PRELOADED = ["torch", "datasets", "transformers.modeling_utils", "transformers.pipelines"]


def python_blocks(page: Path) -> list[str]:
    """The Python of a page, block by block."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run_block(code: str, folder: Path, seconds: float = 300) -> str:
    """The traceback of `code` run in `folder`, empty if there is none."""
    error = folder / "traceback.txt"
    error.unlink(missing_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_run, args=(code, str(folder)))
    with patch.dict(os.environ, HF_HUB_OFFLINE="1"):  # the first start hands it to all others
        process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        return f"not done after {seconds} s"
    return error.read_text() if error.exists() else "" if process.exitcode == 0 else f"exit code {process.exitcode}"


def _run(code: str, folder: str) -> None:
    os.chdir(folder)
    sys.modules["__main__"] = main = ModuleType("__main__")
    try:
        exec(compile(code, "<block>", "exec"), vars(main))
    except BaseException:
        Path("traceback.txt").write_text(traceback.format_exc())
