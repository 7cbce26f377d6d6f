# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Protection of the server: login, clients' addresses, deadlines, and errors without internal details."""

import asyncio
import hmac
import os
from typing import Any

import gradio as gr

from processing.errors_gem import GemError

STEP_S = 120.0  # whatever it is, one step of an event takes no longer
NOT_UPLOADED = "This file was not uploaded here; choose it again."
FAILED = "Something went wrong; reload the page. If it happens again, the server's log has the reason."


def login(password: str) -> Any:
    """The `auth` of `gradio.Blocks.launch`: any name, and this password; none where there is no password."""

    def check(name: str, given: str) -> bool:
        return hmac.compare_digest(given.encode(), password.encode())

    return check if password else None


def client_of(request: gr.Request) -> str:
    """The client's address. On Hugging Face's Spaces all requests come from a proxy, which adds the address that it saw."""
    seen = str(request.headers.get("x-forwarded-for", "")) if "SPACE_ID" in os.environ else ""
    client = request.client
    return seen.rpartition(",")[2].strip() or (client.host if client else "")


def in_words(error: Exception) -> str:
    """The message of an error for users: without paths of the server, and never empty."""
    if isinstance(error, GemError) and str(error):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"The server could not read this: {error.strerror}. Try again."
    return FAILED


class GuardedBlocks(gr.Blocks):
    """Blocks with a deadline for every step, a message for every error, and sessions of bounded size."""

    async def process_api(self, *args: Any, state: Any = None, **options: Any) -> dict[str, Any]:
        """One event of the app, within `STEP_S` seconds; every failure becomes a `gr.Error` in words."""
        try:
            async with asyncio.timeout(STEP_S):
                return await super().process_api(*args, state=state, **options)
        except gr.Error:
            raise
        except TimeoutError as error:
            raise gr.Error(f"No result within {STEP_S:.0f} s; try again.", print_exception=False) from error
        except gr.exceptions.InvalidPathError as error:
            raise gr.Error(NOT_UPLOADED, print_exception=False) from error
        except Exception as error:
            raise gr.Error(in_words(error)) from error
        finally:
            # Gradio 6 gives a component a new number with every update, and keeps what was shown under the old ones.
            for number in [number for number in getattr(state, "config_values", ()) if number not in self.blocks]:
                del state.config_values[number]


__all__ = ["GuardedBlocks", "client_of", "in_words", "login"]
