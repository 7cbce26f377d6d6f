# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""A process that has loaded all readers and forks reading processes, which are ready at once.

Not `multiprocessing`: its children run the caller's main module once more, and its daemonic processes (workers of a
`DataLoader`) may have none.
"""

import gc
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
import tempfile
from typing import NamedTuple, NoReturn

from .answering import answer, load_libraries
from .budget import ReadBudget, address_space

# Before each request: its length, then megabytes, CPU s, wall s: the order of a `ReadBudget`.
REQUEST = struct.Struct("<Qqdd")
# Before each reply: its length, and whether the process reads no more files.
REPLY = struct.Struct("<Q?")
# Behind the last byte of a process: its exit code, negative for a signal.
ENDING = struct.Struct("<i")
READY = b"\1"
# A process that read so many files, or that grew by so much, ends; the next one begins with clean memory.
_MAX_READINGS, _MAX_GROWTH = 100, 2**27


class _Reader(NamedTuple):
    connection: socket.socket
    folder: str


class _ForkServer:
    """Forks a reading process for each connection, and sends its exit code there when it has ended."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.readers: dict[int, _Reader] = {}
        self.wakes, self.wakes_us = socket.socketpair()
        for end in (self.wakes, self.wakes_us):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self.wakes_us.fileno(), warn_on_full_buffer=False)

    def run(self) -> None:
        """Serves until the other end of the control socket is closed everywhere; then it ends all processes."""
        selector = selectors.DefaultSelector()
        selector.register(self.control, selectors.EVENT_READ)
        selector.register(self.wakes, selectors.EVENT_READ)
        self.control.sendall(READY)
        wanted = True
        while wanted:
            events = {key.fileobj for key, _ in selector.select()}
            if self.wakes in events:
                self.wakes.recv(4096)
                self._bury_the_dead()
            if self.control in events:
                wanted = self._accept()
        signal.set_wakeup_fd(-1)
        for pid in self.readers:
            os.kill(pid, signal.SIGKILL)
        for reader in self.readers.values():
            shutil.rmtree(reader.folder, ignore_errors=True)

    def _accept(self) -> bool:
        """Starts a reading process; `False` where the callers have gone."""
        data, descriptors, _, _ = socket.recv_fds(self.control, 1, 1)
        if not data:
            return False
        if not descriptors:  # lost on the way: that caller asks again, the others must not lose their server
            return True
        # For libraries that read from paths alone; what they leave behind when they are ended goes with it.
        reader = _Reader(socket.socket(fileno=descriptors[0]), tempfile.mkdtemp(prefix="gem-reading-"))
        pid = os.fork()
        if pid == 0:
            self._read(reader)
        self.readers[pid] = reader
        return True

    def _read(self, reader: _Reader) -> NoReturn:
        """The forked process: no descriptor of others, a temporary folder of its own."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (self.control, self.wakes, self.wakes_us, *(r.connection for r in self.readers.values())):
                other.close()
            tempfile.tempdir = reader.folder
            reader.connection.sendall(READY)
            _read_files(reader.connection)
            code = 0
        finally:
            shutil.rmtree(reader.folder, ignore_errors=True)  # the server does it too, unless it has been killed
            os._exit(code)

    def _bury_the_dead(self) -> None:
        for pid in list(self.readers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                reader = self.readers.pop(pid)
                shutil.rmtree(reader.folder, ignore_errors=True)
                _tell_end(reader.connection, os.waitstatus_to_exitcode(status))


def _tell_end(connection: socket.socket, code: int) -> None:
    try:
        connection.setblocking(False)  # a caller that no longer listens must not block others
        connection.sendall(ENDING.pack(code))
        # Ends the connection even where another process holds a copy of its descriptor.
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the caller has gone
    finally:
        connection.close()


def _read_files(connection: socket.socket) -> None:
    """Answers the requests of one caller at a time, until it closes the connection or this process has read enough."""
    most = address_space() + _MAX_GROWTH
    for count in range(1, _MAX_READINGS + 1):
        head = _received(connection, REQUEST.size)
        if len(head) < REQUEST.size:
            return
        length, *limits = REQUEST.unpack(head)
        budget, request = ReadBudget(*limits), _received(connection, length)
        with budget.kept():
            reply = answer(request, budget)
        last = count == _MAX_READINGS or address_space() > most
        connection.sendall(REPLY.pack(sum(map(len, reply)), last))
        for part in reply:
            connection.sendall(part)
        del request, reply
        if last:
            return


def _received(connection: socket.socket, length: int) -> bytearray:
    """`length` bytes, or fewer where the caller has gone."""
    data = bytearray()
    while len(data) < length and (part := connection.recv(min(length - len(data), 2**20))):
        data += part
    return data


def serve(descriptor: int) -> None:
    """Serves reading processes over the inherited socket `descriptor` (Linux)."""
    load_libraries()
    gc.collect()
    gc.freeze()  # what all readings share stays shared: a collection would write to it
    _ForkServer(socket.socket(fileno=descriptor)).run()


def read_once(megabytes: str, cpu_seconds: str, wall_seconds: str) -> None:
    """One reading from standard input to standard output, where processes cannot be forked safely (macOS, Windows)."""
    budget = ReadBudget(int(megabytes), float(cpu_seconds), float(wall_seconds))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no reply
    load_libraries()
    request = sys.stdin.buffer.read()
    with budget.kept():
        reply = answer(request, budget)
    replies.writelines(reply)
    replies.close()


__all__ = ["ENDING", "READY", "REPLY", "REQUEST", "read_once", "serve"]
