# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The limits of memory and time for reading one file, and the errors of readings that exceed them."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

from processing.errors_gem import EcgFormatError, ReadBudgetError

# The largest budget that makes sense: a reader has limits of its own far below.
_MAX_MEGABYTES, _MAX_SECONDS = 2**20, 86_400.0
# The signals of the kernel's timers of the wall clock and of CPU time (SIGALRM, SIGPROF), by which Windows knows neither.
TIME_UP, CPU_TIME_UP = 14, 27


@dataclass(frozen=True)
class ReadBudget:
    """Limits of the process that reads one file. The default suits a public server.

    Args:
        megabytes: MB (2**20 bytes) of memory on top of what the process holds before it opens the file. With the default
            a reading process stays below 1 GB.
        cpu_seconds: s of computing.
        wall_seconds: s from the beginning to the end of a reading, waiting included.

    Raises:
        EcgFormatError: a limit is not positive, or beyond a terabyte or a day.
    """

    megabytes: int = 768
    cpu_seconds: float = 8.0
    wall_seconds: float = 10.0

    def __post_init__(self) -> None:
        for field, most in zip(fields(self), (_MAX_MEGABYTES, _MAX_SECONDS, _MAX_SECONDS), strict=True):
            value = getattr(self, field.name)
            if not 0 < value <= most:
                raise EcgFormatError(f"`{field.name}` is a limit above 0 and up to {most:g}, got {value!r}.")

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Lets the kernel hold this process to the budget; what takes more time than that ends the process.

        Time is watched by the kernel's timers: at their end the signals SIGALRM (wall clock) and SIGPROF (CPU time) kill the
        process even within a C library.

        Memory is limited as address space (`RLIMIT_AS`), the only limit that Linux checks at the allocation itself, so that
        Python gets a `MemoryError` and can say so. Address space also counts what libraries reserve and never touch (stacks
        of threads, the buffers of OpenBLAS): a gigabyte with NumPy and pandas loaded. Therefore it is counted from where it
        stands now, when all libraries are loaded and no thread is to come. macOS does not keep this limit, and Windows has
        neither timers nor limits: there only the caller's clock ends a reading.
        """
        if not hasattr(signal, "setitimer"):  # Windows
            yield
            return
        import resource

        unlimited = resource.getrlimit(resource.RLIMIT_AS)
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (address_space() + self.megabytes * 2**20, unlimited[1]))
        for number in (TIME_UP, CPU_TIME_UP):
            signal.signal(number, signal.SIG_DFL)  # a caller who ignores them hands that down
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (TIME_UP, CPU_TIME_UP))
        signal.setitimer(signal.ITIMER_REAL, self.wall_seconds)
        signal.setitimer(signal.ITIMER_PROF, self.cpu_seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            resource.setrlimit(resource.RLIMIT_AS, unlimited)

    def too_much_memory(self, name: str) -> ReadBudgetError:
        """The error of a reading that took more than `megabytes`."""
        return self._exceeded(name, f"more than {self.megabytes} MB of memory", f"megabytes={2 * self.megabytes}")

    def ended_by(self, number: int, name: str) -> ReadBudgetError:
        """The error for a reading process that the signal `number` ended."""
        if number == TIME_UP:
            return self._exceeded(
                name, f"more than {self.wall_seconds:g} s", f"wall_seconds={2 * self.wall_seconds:g}"
            )
        if number == CPU_TIME_UP:
            took = f"more than {self.cpu_seconds:g} s of CPU time"
            return self._exceeded(name, took, f"cpu_seconds={2 * self.cpu_seconds:g}")
        known = {item.value: item.name for item in signal.Signals}.get(number, f"signal {number}")
        return self.ended_early(f"{name}: the process that read it was ended by {known}")

    def ended_early(self, what: str) -> ReadBudgetError:
        """The error of a reading whose process ended without an answer."""
        return ReadBudgetError(
            f"{what}. The file is corrupt or malicious, or the machine has no memory left; export the ECG again."
        )

    def _exceeded(self, name: str, took: str, more: str) -> ReadBudgetError:
        return ReadBudgetError(
            f"{name}: to read it takes {took}, which is the limit for a file of unknown origin. Export the ECG alone; for a "
            f"file that you trust raise the limit with `{more}`, or read it without one, with `load_ecg`."
        )


def address_space() -> int:
    """Bytes of address space that this process has (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


__all__ = ["TIME_UP", "ReadBudget", "address_space"]
