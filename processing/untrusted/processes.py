# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The caller's side of reading processes: one fork server per process that reads, started at its first reading."""

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
from dataclasses import astuple, dataclass

from processing.errors_gem import ReadBudgetError

from .budget import TIME_UP, ReadBudget
from .fork_server import ENDING, READY, REPLY, REQUEST

# Loading all readers takes 2 s of CPU time; a machine that is busy or has a slow disk takes far longer.
_START_SECONDS = 120.0
# A reading process is ended by the kernel when it is late; this much later it is taken for lost.
_GRACE_SECONDS = 5.0
# Reading processes that wait for the next file. More run where more threads read at once.
_MAX_IDLE = 4
_FORKS = sys.platform == "linux"
_NOT_STARTED = "the process that reads files of unknown origin has failed ({}); is there enough memory? Try again."
# The path is set before anything is imported: a folder to work in may hold a `pandas.py`.
_PROGRAM = (
    "import sys; split = sys.argv.index('--'); sys.path[:] = sys.argv[split + 1:]\n"
    "from processing.untrusted import fork_server as server\n"
    "{call}"
)


@dataclass(frozen=True)
class Ending:
    """How a reading ended: its reply, or the exit code of a process that ended without one (negative for a signal)."""

    reply: bytes | bytearray
    code: int = 0


class _Lost(Exception):
    """The fork server, or a reading process, ended or does not answer."""


class _Stale(_Lost):
    """A process ended without a reason: another one may read the file."""


class _ForkServer:
    """The processes that read for this one. Threads may share it; a forked process starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def take(self, new: bool) -> socket.socket:
        """An exclusive connection to a reading process: a waiting one, or a new one that has said that it is ready.

        Raises:
            _Lost: the server cannot be started.
        """
        with self._lock:
            if self._idle and not new:
                return self._idle.pop()
        for _ in range(2):  # a server that was killed is started again
            ours, theirs = socket.socketpair()
            with theirs, self._lock:
                control = self._control or self._start()
                process = self._process
                sent = _sends(control, theirs)
                if not sent:
                    self._stop()
            # One that is being ended takes connections until it is gone, and answers none of them.
            if sent and _is_ready(ours):
                return ours
            ours.close()
            self._replace(process)
        raise _Lost("it ends at once")

    def _replace(self, process: "subprocess.Popen[bytes] | None") -> None:
        """Lets go of a server that has ended, unless another thread has done so."""
        with self._lock:
            if process is not None and process is self._process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1.0)
                    self._stop()

    def give_back(self, connection: socket.socket) -> None:
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self._process = _start_python(
                "server.serve(int(sys.argv[1]))", str(number), pass_fds=(number,), stdout=subprocess.DEVNULL
            )
        if not _is_ready(ours):
            ours.close()
            self._stop()
            raise _Lost("it does not start")
        ours.settimeout(None)
        self._control = ours
        return ours

    def stop(self) -> None:
        """Ends the server and all readings."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        control, process = self._control, self._process
        self._close()
        if process is not None:
            try:
                process.wait(1.0 if control else 0.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _close(self) -> None:
        """Lets go of the server, which ends when all have done so."""
        for connection in (*self._idle, *filter(None, [self._control])):
            connection.close()
        self._idle, self._control, self._process = [], None, None

    def forget(self) -> None:
        """In a forked process: the server is the other's, and its lock may be held by a thread that is not here."""
        self._lock = threading.Lock()
        self._close()


def _sends(control: socket.socket, connection: socket.socket) -> bool:
    """Hands a connection to the server; `False` where it has gone."""
    try:
        socket.send_fds(control, [READY], [connection.fileno()])
    except OSError:
        return False
    return True


def _is_ready(connection: socket.socket) -> bool:
    """Whether the process at the other end says that it is ready, before it ends."""
    connection.settimeout(_START_SECONDS)
    try:
        return connection.recv(len(READY)) == READY
    except OSError:
        return False


def _start_python(call: str, *arguments: str, **options: object) -> "subprocess.Popen[bytes]":
    """An interpreter without threads of BLAS, on this one's import path and in a session of its own: an interrupt from the
    keyboard is for the caller."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = [os.path.abspath(folder) for folder in sys.path]
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-c", _PROGRAM.format(call=call), *arguments, "--", *path],
        env={**os.environ, **threads},
        start_new_session=True,
        **{"stdin": subprocess.DEVNULL, **options},
    )


_server = _ForkServer()
atexit.register(_server.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_server.forget)


def run(request: bytes, budget: ReadBudget, name: str) -> Ending:
    """One reading in another process.

    Raises:
        ReadBudgetError: there is no such process, or it is lost.
    """
    if not _FORKS:
        return _run_fresh(request, budget)
    try:
        try:
            return _read_in(_server.take(new=False), request, budget)
        except _Stale:
            return _read_in(_server.take(new=True), request, budget)
    except _Lost as error:
        raise ReadBudgetError(f"{name}: {_NOT_STARTED.format(error)}") from error


def _read_in(connection: socket.socket, request: bytes, budget: ReadBudget) -> Ending:
    reusable = False
    try:
        connection.settimeout(budget.wall_seconds + _GRACE_SECONDS)
        _ask(connection, request, budget)
        received, length, last = _listen(connection)
        whole = len(received) == length
        reusable = whole and not last
    except TimeoutError as error:
        raise _Lost("it does not answer") from error
    finally:
        if reusable:
            _server.give_back(connection)
        else:
            connection.close()
    if whole:
        return Ending(received)
    if len(received) < ENDING.size:  # not even how it ended: the server is gone too
        raise _Stale("it ended during the reading")
    return Ending(b"", ENDING.unpack(received[-ENDING.size :])[0])


def _ask(connection: socket.socket, request: bytes, budget: ReadBudget) -> None:
    try:
        connection.sendall(REQUEST.pack(len(request), *astuple(budget)))
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _Stale("it ended before the reading") from error
    # Where it ends before it has read all, the server says how.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(request)


def _listen(connection: socket.socket) -> tuple[bytearray, int | None, bool]:
    """What came back, how long the reply is (`None`: there is none), and whether the process reads no more."""
    received = bytearray()
    length: int | None = None
    last = True
    try:
        while (length is None or len(received) < length) and (part := connection.recv(2**20)):
            received += part
            if length is None and len(received) >= REPLY.size:
                length, last = REPLY.unpack_from(received)
                del received[: REPLY.size]
    except ConnectionResetError:
        pass  # it ended before it had read all, and everything that it said has come
    return received, length, last


def _run_fresh(request: bytes, budget: ReadBudget) -> Ending:
    """A reading in a new interpreter, where processes cannot be forked safely: seconds slower."""
    limits = map(str, astuple(budget))
    process = _start_python(
        "server.read_once(*sys.argv[1:split])", *limits, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        reply, _ = process.communicate(request, timeout=_START_SECONDS + budget.wall_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Ending(b"", -TIME_UP)
    return Ending(reply, process.returncode)


def warm_up() -> None:
    """Starts what readings need; the first one does it otherwise, and takes some seconds longer.

    Raises:
        ReadBudgetError: it cannot be started.
    """
    if _FORKS:
        try:
            _server.give_back(_server.take(new=True))
        except _Lost as error:
            raise ReadBudgetError(_NOT_STARTED.format(error)) from error


__all__ = ["Ending", "run", "warm_up"]
