# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""How fast an endpoint may be asked, and how long to wait when it says no."""

import asyncio
import random
import threading
import time


class RateLimit:
    """Requests and tokens per minute as two leaky buckets; a pause that one request is told holds for all.

    Works across event loops and threads: it hands out starting times.
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._seconds_per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._seconds_per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._next_start = 0.0
        self._paused_until = 0.0
        self._lock = threading.Lock()

    async def wait(self, tokens: int) -> None:
        """Until a request of so many tokens may start."""
        with self._lock:
            start = max(time.monotonic(), self._next_start)
            self._next_start = start + max(self._seconds_per_request, tokens * self._seconds_per_token)
        while (seconds := max(start, self._paused_until) - time.monotonic()) > 0:
            await asyncio.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Nothing starts before so many seconds have passed."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)


def backoff(attempt: int, longest: float) -> float:
    """Seconds before attempt `attempt` + 1: 0.5, 1, 2 ... with up to a quarter off by chance, so that crowds disperse."""
    return min(0.5 * 2**attempt, longest) * random.uniform(0.75, 1)
