# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A fair queue of waiting requests: clients take turns, and so do the sessions of a client."""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from processing.errors_gem import GemError

Item = TypeVar("Item")
Sessions = dict[str, deque[Item]]


class TooBusyError(GemError):
    """A queue is full; try again later."""


class LateError(GemError):
    """A result was not ready in time; try again later."""


@dataclass(frozen=True)
class Places:
    """How many requests may wait at once: in all, of one client (an address), of one session of a client (a tab)."""

    total: int = 256
    client: int = 192
    session: int = 4


class FairLine(Generic[Item]):
    """
    Clients take turns, and so do the sessions of a client; within a session the oldest request comes first. May be used by
    several threads.

    Examples:
        >>> line = FairLine[str]()
        >>> for item in ("a1", "a2", "a3"):
        ...     line.join(item, client="a", session="1")
        >>> line.join("b1", client="b", session="1")
        >>> line.waiting()
        ['a1', 'b1', 'a2', 'a3']
        >>> line.take(most=2)
        ['a1', 'b1']
    """

    def __init__(self, places: Places | None = None) -> None:
        self._places = places or Places()
        self._changed = threading.Condition()
        self._clients: dict[str, Sessions[Item]] = {}  # the first entry of a dict has the next turn
        self._closed = False

    def join(self, item: Item, client: str, session: str) -> None:
        """Adds a request to the queue.

        Raises:
            TooBusyError: the queue, or the client's or session's share of it, is full.
        """
        with self._changed:
            sessions = self._clients.get(client, {})
            if len(sessions.get(session, ())) >= self._places.session:
                raise TooBusyError(f"{self._places.session} of your requests are waiting; let one of them end first.")
            if _number(sessions) >= self._places.client:
                raise TooBusyError("Too many requests from your address are waiting; try again in a minute.")
            if sum(map(_number, self._clients.values())) >= self._places.total:
                raise TooBusyError("Too many people are waiting; try again in a minute.")
            self._clients.setdefault(client, {}).setdefault(session, deque()).append(item)
            self._changed.notify_all()

    def take(self, most: int = 1, *, wait: bool = True) -> list[Item]:
        """Takes up to `most` requests whose turn it is; none if the queue is closed, or if it is empty and `wait` is false."""
        with self._changed:
            self._changed.wait_for(lambda: self._clients or self._closed or not wait)
            return [] if self._closed else list(islice(_turns(self._clients), most))

    def __bool__(self) -> bool:
        """Whether a request can be taken."""
        return bool(self._clients) and not self._closed

    def leave(self, item: Item) -> bool:
        """Removes a request from the queue; returns whether it was still there."""
        with self._changed:
            for client, sessions in self._clients.items():
                for session, items in sessions.items():
                    if item in items:
                        items.remove(item)
                        if not items:
                            del sessions[session]
                        if not sessions:
                            del self._clients[client]
                        return True
        return False

    def waiting(self) -> list[Item]:
        """The requests in the order in which they will be taken."""
        with self._changed:
            copy = {
                client: {session: deque(items) for session, items in sessions.items()}
                for client, sessions in self._clients.items()
            }
        return list(_turns(copy))

    def close(self) -> None:
        """Closes the queue and wakes the threads that wait in `take`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _number(sessions: Sessions[Item]) -> int:
    return sum(map(len, sessions.values()))


def _turns(clients: dict[str, Sessions[Item]]) -> Iterator[Item]:
    """Takes the items out one by one; a client or session that has had its turn goes to the end."""
    while clients:
        client = next(iter(clients))
        sessions = clients.pop(client)
        session = next(iter(sessions))
        items = sessions.pop(session)
        item = items.popleft()
        if items:
            sessions[session] = items
        if sessions:
            clients[client] = sessions
        yield item


__all__ = ["FairLine", "LateError", "Places", "TooBusyError"]
