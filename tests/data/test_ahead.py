"""An iterator in a thread of its own: order, bounds, errors, and an end that never hangs."""

import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.data.ahead import ahead


def threads():
    return [t for t in threading.enumerate() if t.name == "sigma-bench ahead"]


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.005)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers() | st.none()), st.integers(1, 4), st.integers(0, 9))
def test_items_come_in_their_order_whatever_is_taken(items, depth, taken):
    assert list(ahead(lambda _: (x for x in items), depth)) == items
    some = ahead(lambda _: (x for x in items), depth)
    assert [x for x, _ in zip(some, range(taken), strict=False)] == items[:taken]
    some.close()
    assert threads() == []


@pytest.mark.parametrize("depth", [1, 3])
def test_so_many_items_are_made_in_advance_and_no_more_while_the_consumer_is_busy(depth):
    made = []

    def source(_):
        for number in range(20):
            made.append(number)
            yield number

    items = ahead(source, depth)
    assert next(items) == 0
    wait_for(lambda: len(made) == depth + 2)
    time.sleep(0.05)
    assert made == list(range(depth + 2))  # the one taken, those that wait, the one in the making
    items.close()


def test_an_error_is_raised_after_the_items_before_it():
    def source(_):
        yield 1
        raise LookupError("no more")

    items = ahead(source)
    assert next(items) == 1
    with pytest.raises(LookupError, match="no more"):
        next(items)
    assert threads() == []


@pytest.mark.parametrize("taken", [1, 2])
def test_closing_ends_thread_and_source(taken):
    ended = threading.Event()

    def source(_):
        try:
            while True:
                yield threading.current_thread().name
        finally:
            ended.set()

    items = ahead(source)
    assert [next(items) for _ in range(taken)] == ["sigma-bench ahead"] * taken
    items.close()
    assert ended.is_set()
    assert threads() == []


def test_a_source_that_waits_is_told_that_it_may_give_up():
    def source(stopped):
        yield 1
        assert stopped.wait(60)

    items = ahead(source)
    assert next(items) == 1
    began = time.monotonic()
    items.close()
    assert time.monotonic() - began < 5
    assert threads() == []


def test_an_iterator_left_behind_does_not_keep_the_interpreter():
    code = """if True:
        import itertools
        from sigma_bench.data.ahead import ahead
        left = ahead(lambda _: (x for x in itertools.count()))
        print(next(left), next(left))
    """
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 1\n", "")
