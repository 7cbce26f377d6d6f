# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Replies and spending in one SQLite file: atomic, shared by threads and processes, intact after a kill."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter

from .replies import ChatFailure, ChatReply, Messages, Schema
from .settings import ChatSettings

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, model TEXT NOT NULL, reply TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS spending (id INTEGER PRIMARY KEY, usd REAL NOT NULL);
"""
# One statement, so that no two threads or processes take the last dollar.
_RESERVE = """
INSERT INTO spending (usd) SELECT :usd
WHERE :budget IS NULL OR (SELECT total(usd) FROM spending) + :usd <= :budget
"""
WAIT_S = 60  # for another process that writes
_JSON = TypeAdapter(ChatReply)


def request_key(settings: ChatSettings, messages: Messages, schema: Schema | None) -> str:
    """SHA-256 of all that shapes the answer, in hex (64 characters, which is also what a batch's ids may have)."""
    shaping = {**settings.shaping, "messages": list(messages), "schema": schema}
    return sha256(json.dumps(shaping, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class ChatStore:
    """The replies by key, and a ledger in which the cost of a request is reserved before it is sent.

    Reservations of a killed process stay counted, because its requests may have been charged.
    """

    def __init__(self, folder: Path | None) -> None:
        """
        Raises:
            ChatFailure: (`storage`) the folder cannot be written.
        """
        self.path = folder / "replies.sqlite" if folder is not None else None
        self._lock = threading.Lock()
        self._under_way: set[int] = set()  # what this store has set aside and not settled
        with self._locked():
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            where = self.path or ":memory:"
            self._base = sqlite3.connect(where, timeout=WAIT_S, check_same_thread=False, isolation_level=None)
            # SQLite does not wait for another process when it changes the journal: it fails at once with "database is locked".
            with FileLock(f"{self.path}.lock", timeout=WAIT_S) if self.path else nullcontext():
                # A write-ahead log: readers never wait, and a commit costs no flush; a kill loses nothing.
                self._base.execute("PRAGMA journal_mode=WAL")
                self._base.execute("PRAGMA synchronous=NORMAL")
                self._base.executescript(_TABLES)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OSError) as error:
            raise ChatFailure(
                "storage",
                f"{self.path or 'replies in memory'}: cannot be read or written ({error}). Free some space or fix "
                "the permissions of cache_dir and start again: the replies stored so far are kept.",
            ) from error

    def get(self, key: str) -> ChatReply | None:
        """The reply that is stored under the key, else `None`."""
        with self._locked():
            row = self._base.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return _JSON.validate_json(row[0]) if row else None

    def put(self, key: str, model: str, reply: ChatReply) -> None:
        """Stores a reply; an earlier one of the same key is replaced."""
        with self._locked():
            row = (key, model, _JSON.dump_json(reply).decode())
            self._base.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", row)

    def reserve(self, usd: float, budget: float | None = None) -> int | None:
        """Reserves the largest cost of a request.

        Returns:
            The number of the reservation; `None` if the budget allows it only once requests in progress turn out cheaper.

        Raises:
            ChatFailure: (`budget`) the request could exceed the budget.
        """
        with self._locked():
            row = self._base.execute(_RESERVE, {"usd": usd, "budget": budget})
            if row.rowcount == 1 and row.lastrowid is not None:
                self._under_way.add(row.lastrowid)
                return row.lastrowid
            if self._under_way:
                return None
            spent = self._spent()
        kept = f"Replies are kept in {self.path}" if self.path else "Replies were kept in memory only (no cache_dir)"
        raise ChatFailure(
            "budget",
            f"budget of ${budget:.4f}: ${spent:.4f} spent, or set aside by other or killed runs; the next request may cost up "
            f"to ${usd:.4f}. {kept}: raise budget_usd and start again; stored replies are not requested or paid for again.",
        )

    def settle(self, reserved: int | None, usd: float | None = None) -> None:
        """Closes a reservation with the cost `usd`, or with its full sum if the endpoint may have charged it."""
        if reserved is not None:
            with self._locked():
                self._under_way.discard(reserved)
                self._base.execute("UPDATE spending SET usd = coalesce(?, usd) WHERE id = ?", (usd, reserved))

    def spent(self) -> float:
        """USD over all runs on this store, including reservations."""
        with self._locked():
            return self._spent()

    def _spent(self) -> float:
        return self._base.execute("SELECT total(usd) FROM spending").fetchone()[0]

    def close(self) -> None:
        """Closes the database."""
        self._base.close()
