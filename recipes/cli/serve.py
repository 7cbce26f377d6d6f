# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The verb `gem serve`."""

from pathlib import Path
from typing import Annotated

import typer

from recipes.console import errors

from .models import ModelOption


def serve(
    model: ModelOption = "",
    name: Annotated[str, typer.Option(help="Name of the model in requests. Default: its folder's or Hub's.")] = "",
    host: Annotated[str, typer.Option(help="Address to serve on; 0.0.0.0 for the whole network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve on.", min=0, max=65535)] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(envvar="GEM_API_KEY", help="Key that requests must have; repeatable.", show_default=False),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(envvar="GEM_HOSTS", help="Further host name of the server; repeatable."),
    ] = None,
    batch: Annotated[int, typer.Option(help="Questions that are answered at once.", min=1)] = 16,
    requests: Annotated[int, typer.Option(help="Largest number of open requests; further ones get 429.", min=1)] = 64,
    audit: Annotated[
        Path | None,
        typer.Option(help="JSON Lines file to which a line is added for each answer: no names, no signals."),
    ] = None,
    allowed_local_media_path: Annotated[
        Path | None, typer.Option(help="Folder below which `file://` URLs in requests may name ECGs.", exists=True)
    ] = None,
    allowed_media_domains: Annotated[
        list[str] | None, typer.Option(help="Host of `https://` URLs in requests; may be repeated.")
    ] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="Allow the model's own code to run.")] = False,
) -> None:
    """Serve a GEM over HTTP: OpenAI's chat completions, and routes of our own for ECGs; needs the extra `serve`.

    \b
    gem serve --port 8000
    curl -F file=@record.hea -F file=@record.dat http://127.0.0.1:8000/v1/ecg/interpret

    docs/serving.md has the wire format; /docs on the server lists the routes.
    """
    from recipes.serving.server import ServeSettings, is_local
    from recipes.serving.server import serve as run

    settings = ServeSettings(
        model,
        name,
        host,
        port,
        api_key or (),
        allow_host or (),
        batch,
        requests,
        audit,
        allowed_local_media_path,
        allowed_media_domains or (),
        trust_remote_code,
    )
    if not is_local(host) and not api_key:
        errors.print(
            f"Anyone who can reach {host} can use this server; demand a key with --api-key KEY.", style="yellow"
        )
    run(settings)


__all__ = ["serve"]
