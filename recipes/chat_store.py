# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""Replies and spending in one SQLite file: atomic, shared by threads and processes, intact after a kill."""

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from .chat_replies import ChatFailure, RawReply
from .chat_settings import ChatSettings

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, model TEXT NOT NULL, reply TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spending (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, model TEXT NOT NULL, usd REAL NOT NULL, open INTEGER NOT NULL
);
"""
FILE_NAME = "chat.sqlite"


def request_key(
    settings: ChatSettings, messages: Sequence[Mapping[str, Any]], schema: Mapping[str, Any] | None, sample: int = 0
) -> str:
    """SHA-256 of all that shapes the answer, in hex (64 characters, which is also what a batch's ids may have)."""
    shaping = {
        "model": settings.model,
        "messages": list(messages),
        "schema": schema,
        "temperature": settings.temperature,
        "seed": settings.seed,
        "max_tokens": settings.max_tokens,
        "extra_body": settings.extra_body,
        "sample": sample,
    }
    return sha256(json.dumps(shaping, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class ChatStore:
    """The replies by key, and a ledger in which money is set aside before a request goes out.

    What a killed process had set aside stays counted: its requests may have been charged.
    """

    def __init__(self, folder: str | Path | None) -> None:
        """
        Raises:
            ChatFailure: (`storage`) the folder cannot be written.
        """
        self.path = Path(folder) / FILE_NAME if folder is not None else None
        self._run = uuid.uuid4().hex
        self._lock = threading.Lock()
        with self._errors_named():
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(
                self.path or ":memory:", timeout=60, check_same_thread=False, isolation_level=None
            )
            # A write-ahead log: readers never wait, and a commit costs no flush; a kill loses nothing.
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.executescript(_TABLES)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ChatFailure(
                "storage",
                f"{self.path or 'replies in memory'}: cannot be read or written ({error}). Free some space or repair the "
                "rights of cache_dir and start again: the replies stored so far are kept.",
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors_named(), self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:  # a full disk has rolled back already
                    self._base.execute("ROLLBACK")
                raise

    def get(self, key: str) -> RawReply | None:
        with self._errors_named(), self._lock:
            row = self._base.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return RawReply.from_json(row[0]) if row else None

    def put(self, key: str, model: str, reply: RawReply, reserved: int | None = None) -> None:
        """Stores a reply and, in the same step, turns what was set aside for it into what it cost."""
        with self._transaction() as base:
            base.execute(
                "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", (key, model, reply.to_json(), time.time())
            )
            if reserved is not None:
                base.execute("UPDATE spending SET usd = ?, open = 0 WHERE id = ?", (reply.usage.cost or 0.0, reserved))

    def reserve(self, usd: float, model: str, budget: float | None) -> int | None:
        """Sets money aside for a request.

        Returns:
            Its number; `None`: not now, but when the requests of this run that are under way come back cheaper.

        Raises:
            ChatFailure: (`budget`) the request could exceed the budget.
        """
        with self._transaction() as base:
            if budget is not None:
                spent, open_here, open_elsewhere = self._sums(base)
                if spent + open_here + open_elsewhere + usd > budget:
                    if open_here:
                        return None
                    raise ChatFailure("budget", self._out_of_budget(usd, budget, spent, open_elsewhere))
            row = base.execute(
                "INSERT INTO spending (run, model, usd, open) VALUES (?, ?, ?, 1)", (self._run, model, usd)
            )
            return row.lastrowid

    def settle(self, reserved: int, usd: float | None = None) -> None:
        """Closes what was set aside: at `usd`, or at its full sum where the endpoint may have charged it."""
        with self._transaction() as base:
            base.execute(
                "UPDATE spending SET open = 0, usd = coalesce(?, usd) WHERE id = ?",
                (usd, reserved),
            )

    def spent(self) -> float:
        """USD over all runs on this store, what is set aside included."""
        with self._errors_named(), self._lock:
            return sum(self._sums(self._base))

    def _sums(self, base: sqlite3.Connection) -> tuple[float, float, float]:
        row = base.execute(
            "SELECT coalesce(sum(usd * (open = 0)), 0), coalesce(sum(usd * (open = 1 AND run = ?)), 0), "
            "coalesce(sum(usd * (open = 1 AND run != ?)), 0) FROM spending",
            (self._run, self._run),
        ).fetchone()
        return row[0], row[1], row[2]

    def _out_of_budget(self, usd: float, budget: float, spent: float, elsewhere: float) -> str:
        aside = f" and ${elsewhere:.4f} set aside by other or killed runs" if elsewhere else ""
        kept = f"Replies are kept in {self.path}" if self.path else "Replies were kept in memory only (no cache_dir)"
        return (
            f"budget of ${budget:.4f}: ${spent:.4f} spent{aside}; the next request may cost up to ${usd:.4f}. {kept}: "
            "raise budget_usd and start again; what is there is not asked or paid again."
        )

    def close(self) -> None:
        self._base.close()
