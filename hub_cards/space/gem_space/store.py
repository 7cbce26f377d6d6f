# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The sessions of all users: only in memory, with limits of size and time."""

import threading
import time
from collections import OrderedDict

from .session import Session

KEPT_S = 3600.0
MAX_BYTES = 512 * 2**20


class SessionStore:
    """The sessions by their names. The least recently used ones are dropped to make room for others."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Session, float]] = OrderedDict()  # the latest to be used at the end

    def get(self, name: str) -> Session:
        """A user's session; an empty one for a new user, or after too long a time."""
        with self._lock:
            self._forget()
            if name not in self._kept:
                return Session()
            session, _ = self._kept.pop(name)
            self._kept[name] = session, time.monotonic()
            return session

    def put(self, name: str, session: Session) -> None:
        """Keeps a session under its name as the latest used, and forgets the oldest ones beyond the limits."""
        with self._lock:
            self._kept.pop(name, None)
            self._kept[name] = session, time.monotonic()
            self._forget()

    @property
    def size(self) -> int:
        """Bytes that all sessions take."""
        return sum(session.size for session, _ in self._kept.values())

    def _forget(self) -> None:
        while self._kept:
            name, (_, used) = next(iter(self._kept.items()))
            if time.monotonic() - used <= KEPT_S and (self.size <= self.max_bytes or len(self._kept) == 1):
                return
            del self._kept[name]


__all__ = ["SessionStore"]
