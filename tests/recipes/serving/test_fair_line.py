# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""The queue in front of a server: turns, limits, clients that leave; and the worker behind it."""

import asyncio
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.errors_gem import GemError
from recipes.serving.desk import WorkDesk
from recipes.serving.fair_line import FairLine, Places, TooBusyError

WHO = st.tuples(st.sampled_from("abc"), st.sampled_from("123"))


def line_of(people, places=None):
    line = FairLine(places or Places(1000, 1000, 1000))
    for number, (client, session) in enumerate(people):
        line.join((client, session, number), client, session)
    return line


@given(st.lists(WHO, max_size=40), st.integers(1, 5))
def test_everybody_is_served_once_in_the_order_that_was_told(people, most):
    line = line_of(people)
    told = line.waiting()
    taken = [item for _ in range(-(-len(people) // most)) for item in line.take(most)]
    assert taken == told and sorted(number for *_, number in taken) == list(range(len(people)))
    for who in set(people):  # within a session the order is kept
        own = [number for client, session, number in taken if (client, session) == who]
        assert own == sorted(own)


@given(st.lists(WHO, max_size=40))
def test_nobody_waits_for_two_of_the_same_other_client(people):
    taken = [client for client, *_ in line_of(people).waiting()]
    for client in {client for client, _ in people}:
        turns = [-1, *(at for at, other in enumerate(taken) if other == client)]
        for before, turn in pairwise(turns):
            between = taken[before + 1 : turn]
            assert len(between) == len(set(between))


def test_eight_sessions_of_one_client_do_not_hold_up_another():
    people = [("a", str(session)) for session in range(8) for _ in range(4)]
    line = line_of(people, Places(total=64, client=48, session=4))
    line.join("mine", "b", "1")
    assert "mine" in line.take(2)


def test_a_full_queue_refuses_and_takes_no_place_from_others():
    line = line_of([("a", "1")] * 2, Places(total=5, client=3, session=2))
    with pytest.raises(TooBusyError, match="2 of your requests"):
        line.join("x", "a", "1")
    line.join("y", "a", "2")
    with pytest.raises(TooBusyError, match="from your address"):
        line.join("x", "a", "3")
    for session in ("1", "2"):
        line.join(session, "b", session)
    with pytest.raises(TooBusyError, match="Too many people"):
        line.join("x", "c", "1")
    assert line.leave("y") and not line.leave("y")
    line.join("x", "c", "1")
    assert len(line.waiting()) == 5


def test_a_waiting_worker_gets_work_and_ends_when_the_line_closes():
    line, seen = FairLine(), []
    waiter = threading.Thread(target=lambda: seen.extend([line.take(), line.take()]))
    waiter.start()
    line.join("x", "a", "1")
    time.sleep(0.05)
    line.close()
    waiter.join(10)
    assert seen == [["x"], []]


def test_the_desk_gives_results_errors_and_deadlines():
    desk, release = WorkDesk(workers=1), threading.Event()

    async def visit():
        assert await desk.do(lambda: 1, "a", "1", 10) == 1
        with pytest.raises(ZeroDivisionError):
            await desk.do(lambda: 1 // 0, "a", "1", 10)
        slow = asyncio.create_task(desk.do(release.wait, "a", "1", 20))
        await asyncio.sleep(0.05)
        begun = []
        with pytest.raises(GemError, match="No result within 0 s"):
            await desk.do(lambda: begun.append(1), "b", "1", 0.05)
        left = asyncio.create_task(desk.do(lambda: begun.append(2), "b", "1", 20))
        await asyncio.sleep(0.05)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        release.set()
        assert await slow
        assert await desk.do(lambda: 3, "b", "1", 10) == 3 and begun == []

    try:
        asyncio.run(visit())
    finally:
        desk.close()
