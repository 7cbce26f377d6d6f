# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""`gem demo`: the Space on your own machine."""

from typing import Annotated

import typer


def demo(
    model: Annotated[
        str, typer.Option("--model", "-m", help="Model folder or Hub id. Default: the small model.")
    ] = "",
    port: Annotated[int, typer.Option(help="Port to serve on.", min=1, max=65535)] = 7860,
    host: Annotated[str, typer.Option(help="Address to serve on; 0.0.0.0 for the whole network.")] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show ECGs, interpretations and their evidence in a browser; needs the extra `demo`.

    Example: gem demo --port 7861
    """
    from processing.errors_gem import MissingDependencyError

    try:
        from hub_cards.space.gem_space.interface import launch
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise MissingDependencyError("gem demo needs Gradio: pip install 'gem-ecg[demo]'.") from error
    launch(model, host=host, port=port, inbrowser=open_browser)
