# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import psutil
import pytest

from recipes.dataset.pool import in_processes


def work(item):
    if item == "raises":
        raise LookupError(item)
    if item == "dies":
        os._exit(1)
    time.sleep(0.2 if item == "slow" else 0)
    return item, os.environ["OMP_NUM_THREADS"], os.getpid()


def test_results_come_in_order_of_the_items_from_several_processes():
    items = ["slow", *range(8)]
    found = list(in_processes(work, items, workers=2, ahead=4))
    assert [item for item, _ in found] == items == [made[0] for _, made in found]
    assert {made[1] for _, made in found} == {"1"}, "one thread each"
    assert os.getpid() not in {made[2] for _, made in found} and len({made[2] for _, made in found}) == 2


def test_no_more_items_are_taken_than_asked_for():
    taken = []
    results = in_processes(work, (taken.append(i) or i for i in range(9)), workers=1, ahead=3)
    next(results)
    assert taken == [0, 1, 2]
    next(results)
    assert taken == [0, 1, 2, 3]
    results.close()


def test_a_dead_process_is_reported_and_replaced():
    found = dict(in_processes(work, [1, "dies", 2], workers=1, ahead=1))
    assert isinstance(found["dies"], BrokenProcessPool) and (found[1][0], found[2][0]) == (1, 2)
    assert found[1][2] != found[2][2]


def test_what_the_work_raises_is_raised():
    with pytest.raises(LookupError, match="raises"):
        list(in_processes(work, ["raises"], workers=1, ahead=1))


SCRIPT = """
import os, time
from recipes.dataset.pool import in_processes

def work(item):
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    list(in_processes(work, [1], workers=1, ahead=1))
"""


def test_no_process_outlives_a_killed_parent(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join(sys.path)
    run = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    worker = psutil.Process(int(run.stdout.readline()))
    run.send_signal(signal.SIGKILL)
    run.wait()
    worker.wait(timeout=30)
