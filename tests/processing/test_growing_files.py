# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""However long or repetitive a file is, reading takes time in proportion to its size, and bounded memory."""

import gc
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processing.ecg_readers import load_ecg
from processing.errors_gem import GemError, ReadBudgetError
from processing.untrusted.budget import ReadBudget
from processing.untrusted.reading import load_untrusted, load_untrusted_picture
from tests.helpers.growing_files import AT_MOST, COUNTS, FILLS, TEXTS, WFDB_COUNTS, WFDB_TEXTS

CHARACTERS, ITEMS = 20_000, 1_000
DOUBLINGS, MOST_PER_DOUBLING = 2, 2.5
# What takes less is no matter, whatever its growth: times below are those of a busy machine.
FLOOR_S = 0.25
ROUNDS = 3


def cpu_seconds(source: Path | bytes) -> float:
    gc.collect()
    gc.disable()  # what the process held before would be looked through again and again
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            load_ecg(source, sampling_rate=500)
        except GemError as error:
            assert len(str(error)) < 3000
        finally:
            gc.enable()
    return time.process_time() - started


def assert_proportional(make: Callable[[int], Any], start: int) -> None:
    """Reading what `make(size)` gives takes at most 2.5 times as long for twice the size, best of three."""
    small, large = make(start), make(start * 2**DOUBLINGS)
    late = cpu_seconds(large)
    if late < FLOOR_S:
        return
    early = min(cpu_seconds(small) for _ in range(ROUNDS))
    late = min(late, *(cpu_seconds(large) for _ in range(ROUNDS - 1)))
    assert late < max(FLOOR_S, early * MOST_PER_DOUBLING**DOUBLINGS), f"{early:.2f} s, then {late:.2f} s"


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_takes_time_in_proportion(name):
    for fill in FILLS:
        assert_proportional(lambda size, fill=fill: TEXTS[name]((fill * size)[:size]), CHARACTERS)


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_takes_time_in_proportion(name):
    assert_proportional(COUNTS[name], ITEMS)


def in_folder(write: Callable[[Path, Any], Path], folder: Path, what: Any) -> Path:
    place = folder / str(len(list(folder.iterdir())))
    place.mkdir()
    return write(place, what)


@pytest.mark.parametrize("name", WFDB_TEXTS)
def test_a_text_of_wfdb_takes_time_in_proportion(name, tmp_path):
    for fill in FILLS:
        assert_proportional(
            lambda size, fill=fill: in_folder(WFDB_TEXTS[name], tmp_path, (fill * size)[:size]), CHARACTERS
        )


@pytest.mark.parametrize("name", WFDB_COUNTS)
def test_a_count_of_wfdb_takes_time_in_proportion(name, tmp_path):
    assert_proportional(lambda size: in_folder(WFDB_COUNTS[name], tmp_path, size), ITEMS)


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of a budget hold on Linux")
@pytest.mark.parametrize("name", AT_MOST)
def test_as_much_as_is_allowed_is_read_or_refused_within_a_budget(name, tmp_path):
    """The kernel's limits are 768 MB above a process of 200 MB, and 10 s of CPU time."""
    path = AT_MOST[name](tmp_path)
    budget = ReadBudget(cpu_seconds=10, wall_seconds=300)
    try:
        if path.suffix == ".png":
            load_untrusted_picture(path, budget=budget)
        else:
            load_untrusted(path, sampling_rate=500, unit="uV", budget=budget)
    except GemError as error:
        assert not isinstance(error, ReadBudgetError), error
