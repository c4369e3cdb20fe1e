import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.pool import DecodePool

HERE = Path(__file__).parent
ECHO, ACT = "pool_jobs:echo", "pool_jobs:act"


@pytest.fixture(autouse=True)
def _find_jobs(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture(scope="module")
def echoing():
    sys.path.insert(0, str(HERE))
    with DecodePool(ECHO, 2, deadline_s=20) as pool:
        yield pool
    sys.path.remove(str(HERE))


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.01)


def as_bytes(results):
    return [
        (
            r.index,
            r.error,
            r.info,
            None if r.arrays is None else [(a.shape, a.dtype.str, a.tobytes()) for a in r.arrays],
        )
        for r in results
    ]


def outcomes(requests, **options):
    with DecodePool(ACT, **options) as pool:
        return list(pool.map(requests)), pool.stats


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from([0.0, 0.0, 0.003, 0.01])), max_size=20), st.integers(1, 9)
)
def test_results_come_in_order_whatever_the_durations_and_the_look_ahead(echoing, requests, ahead):
    results = list(echoing.map(requests, ahead=ahead))
    assert [r.index for r in results] == list(range(len(requests)))
    assert [r.info["value"] for r in results] == [value for value, _ in requests]


def test_any_number_of_workers_gives_the_same_bytes():
    requests = [(value, 0.02 * (value % 3)) for value in range(12)]
    found = []
    for workers in (1, 2, 3):
        with DecodePool(ECHO, workers) as pool:
            found.append(as_bytes(pool.map(requests)))
    assert found[0] == found[1] == found[2]
    assert all(result[3] for result in found[0])


def test_requests_are_taken_no_further_than_the_look_ahead(echoing):
    taken = []

    def requests():
        for value in range(20):
            taken.append(value)
            yield value, 0.0

    results = echoing.map(requests(), ahead=3)
    assert not taken
    for number in range(5):
        next(results)
        assert len(taken) == number + 3
    results.close()


def test_a_call_left_unfinished_neither_hangs_nor_reaches_into_the_next(echoing):
    first = echoing.map([(value, 0.05) for value in range(50)])
    assert next(first).info["value"] == 0
    second = echoing.map([(7, 0.0)])
    assert next(second).info["value"] == 7
    first.close()
    assert [r.info["value"] for r in echoing.map([(3, 0.0), (4, 0.0)])] == [3, 4]


def test_closing_does_not_wait_for_what_is_under_way():
    pool = DecodePool(ACT, 2)
    results = pool.map([1, "sleep", "sleep", "sleep"])
    next(results)
    began = time.monotonic()
    pool.close()
    pool.close()
    assert time.monotonic() - began < 2
    with pytest.raises(RuntimeError, match="closed"):
        next(results)


def test_an_exception_in_the_consumer_ends_the_processes():
    with pytest.raises(ZeroDivisionError), DecodePool(ACT, 2) as pool:  # noqa: PT012
        next(pool.map([1, 2]))
        pids = pool.pids()
        assert pids
        raise ZeroDivisionError
    assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("misdeed", ["sleep", "hold the interpreter"])
def test_a_hang_costs_its_own_result_only(misdeed):
    results, stats = outcomes([1, misdeed, 2, 3], workers=2, deadline_s=0.5)
    assert [r.error for r in results] == [None, "deadline of 0.5 s exceeded", None, None]
    assert (stats.deadlines, stats.respawned, stats.done, stats.failed) == (1, 1, 3, 1)


@pytest.mark.parametrize(("misdeed", "how"), [("segfault", "SIGSEGV"), ("exit", "exit code 7")])
def test_a_crash_is_tried_once_more_and_then_reported(misdeed, how):
    results, stats = outcomes([1, misdeed, 2], workers=1)
    assert [r.error is None for r in results] == [True, False, True]
    assert how in results[1].error
    assert "twice" in results[1].error
    assert stats.respawned == 2


def test_a_process_killed_from_outside_loses_nothing(tmp_path):
    mark = tmp_path / "pid"
    with DecodePool(ACT, 2) as pool:

        def kill():
            wait_for(lambda: mark.exists() and mark.read_text())
            os.kill(int(mark.read_text()), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        found = list(pool.map([("signal", str(mark)), 1, 2, 3]))
        killer.join()
    assert [r.error for r in found] == [None] * 4
    assert np.array_equal(found[0].arrays[0], np.ones(3))
    assert pool.stats.respawned == 1


def test_the_second_attempt_is_in_a_fresh_process(tmp_path):
    results, stats = outcomes([1, ("once", str(tmp_path / "mark")), 2], workers=1)
    assert [r.error for r in results] == [None] * 3
    assert results[0].info["pid"] != results[1].info["pid"]
    assert stats.respawned == 1


def test_idle_processes_that_are_killed_are_replaced():
    with DecodePool(ACT, 2) as pool:
        wait_for(lambda: len(pool.pids()) == 2)
        before = pool.pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert [r.error for r in pool.map([1, 2, 3, 4])] == [None] * 4
        wait_for(lambda: len(pool.pids()) == 2)
        assert not set(before) & set(pool.pids())


def test_exceptions_are_results():
    results, stats = outcomes(
        ["decode error", "raise", "stop iteration", "objects", "lambda", 5, frozenset({"unknown"})], workers=1
    )
    assert results[0].error == "3 of 9 frames decodable"
    assert results[1].error == "KeyError: 'no such thing'"
    assert "KeyError" in results[1].info["traceback"]
    assert results[2].error.startswith("StopIteration")
    assert "Python objects" in results[3].error
    assert results[4].error is not None
    assert results[5].error is None
    assert "AssertionError" in results[6].error
    assert (stats.done, stats.failed, stats.respawned) == (1, 6, 0)


def test_a_process_whose_memory_grows_is_replaced(caplog):
    caplog.set_level("INFO", logger="sigma_bench.data.decode.dispatch")
    with DecodePool(ACT, 1, memory_bound_mb=200) as pool:
        results = list(pool.map([("keep", 60)] * 8))
    assert [r.error for r in results] == [None] * 8
    assert 2 <= pool.stats.recycled <= 4
    assert len({r.info["pid"] for r in results}) - pool.stats.recycled in (0, 1)
    assert "more than the bound of 200 MB" in caplog.text
    assert pool.stats.respawned == 0
    assert pool.stats.peak_mb > 200


def test_shared_memory_grows_with_what_is_put_in():
    sizes = [1, 40, 3, 90, 0, 2]
    results, _ = outcomes([("large", size) for size in sizes], workers=1)
    for size, result in zip(sizes, results, strict=True):
        assert result.arrays[0].shape == (size * 2**17,)
        assert (result.arrays[0] == size).all()


def test_results_stay_as_they_are_when_later_ones_are_written():
    results, _ = outcomes(list(range(20)), workers=1)
    assert all((r.arrays[0] == r.index).all() for r in results)


def test_processes_start_light_and_single_threaded():
    began = time.monotonic()
    results, _ = outcomes(["modules"], workers=1)
    seconds = time.monotonic() - began
    assert not {"torch", "pandas", "av", "decord"} & set(results[0].info["modules"])
    assert results[0].info["threads"] == "1"
    assert seconds < 3, f"a worker took {seconds:.1f} s to start, answer and end"


@pytest.mark.parametrize(
    ("job", "message"),
    [("no_such_module:job", "no_such_module"), ("pool_jobs:nothing", "nothing"), ("pool_jobs", "names no object")],
)
def test_a_job_that_cannot_be_imported_is_a_clear_error(job, message):
    with DecodePool(job, 1) as pool, pytest.raises(UserError, match=message):
        list(pool.map([1]))


@pytest.mark.parametrize("options", [{"workers": 0}, {"deadline_s": 0.0}, {"memory_bound_mb": -1.0}])
def test_senseless_numbers_are_refused(options):
    with pytest.raises(UserError, match=next(iter(options))):
        DecodePool(ACT, **options)


def test_nothing_is_left_behind_by_a_pool_that_was_closed():
    def held():
        return sorted(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))

    before = held()
    outcomes([1, "segfault", ("large", 9), "raise", "hold the interpreter"], workers=2, deadline_s=0.5)
    assert held() == before


PARENT = """
import sys, time
sys.path.insert(0, {here!r})
from sigma_bench.data.decode.pool import DecodePool
pool = DecodePool("pool_jobs:act", 3)
results = pool.map([1, "hold the interpreter", "sleep"])
next(results)
while len(pool.pids()) < 3: time.sleep(0.01)
time.sleep(0.3)
print(*pool.pids(), flush=True)
{then}
"""


@pytest.mark.parametrize(
    ("then", "sent"),
    [("time.sleep(60)", signal.SIGKILL), ("raise KeyError", None)],
)
def test_processes_end_with_their_parent_however_it_ends(then, sent):
    before = sorted(os.listdir("/dev/shm"))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(here=str(HERE), then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 3
    if sent is not None:
        assert all(alive(pid) for pid in pids)
        parent.send_signal(sent)
    parent.wait(10)
    parent.stdout.close()
    wait_for(lambda: not any(alive(pid) for pid in pids), 5)
    assert sorted(os.listdir("/dev/shm")) == before


def test_an_interrupt_from_the_keyboard_reaches_the_parent_alone():
    with DecodePool(ACT, 1) as pool:
        wait_for(lambda: pool.pids())
        pid = pool.pids()[0]
        os.kill(pid, signal.SIGINT)
        assert next(pool.map([1])).info["pid"] == pid
    assert pool.stats.respawned == 0


def test_a_wait_is_ended_by_another_thread_and_the_pool_goes_on(echoing):
    stopped, taken = threading.Event(), []

    def consume():
        taken.extend(r.info["value"] for r in echoing.map([(1, 0), (2, 5), (3, 0)], ahead=3, stopped=stopped))

    consumer = threading.Thread(target=consume)
    consumer.start()
    wait_for(lambda: taken == [1])
    began = time.monotonic()
    stopped.set()
    consumer.join(10)
    assert not consumer.is_alive()
    assert time.monotonic() - began < 2
    assert taken == [1]
    assert [r.info["value"] for r in echoing.map([(4, 0), (5, 0)])] == [4, 5]
