"""Decoding in processes of its own: a file that hangs, crashes or eats memory costs one result, never the run."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterable
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any, Self

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.dispatch import Dispatcher, PoolStats
from sigma_bench.data.decode.process import Result, Task

__all__ = ["DecodePool", "PoolStats", "Result"]

STOP_S = 0.1
"""How often a wait that may be ended early looks whether it is."""


class DecodePool:
    """Runs a job on requests in several processes and hands the results on in the order of the requests.

    What a request gives depends on the request alone: not on the number of processes, on timing, or on what other
    requests do. Processes start at once and stay until the pool is closed. For POSIX systems.

    - A request that takes longer than `deadline_s` is given up: its process is killed and replaced.
    - A process that dies (crash, out of memory, killed from outside) is replaced, and what it was doing is tried once
      more in the new one.
    - A process whose own memory passes `memory_bound_mb` after a job is replaced.
    - An exception in the job is a result with `error`.
    - If this process dies, however it does, the others die with it, and no shared memory is left.

    Args:
        job: "module:function"; the function takes a request and returns (arrays, info). It must import quickly.
        workers: Number of processes, one thread each.
        deadline_s: Seconds a request may take, from when a process begins it.
        memory_bound_mb: Memory of one process, MB.

    Raises:
        UserError: A number is not positive.
    """

    def __init__(
        self, job: str, workers: int = 2, *, deadline_s: float = 60.0, memory_bound_mb: float = 2048.0
    ) -> None:
        for name, value in (("workers", workers), ("deadline_s", deadline_s), ("memory_bound_mb", memory_bound_mb)):
            if not value > 0:
                raise UserError(f"decoding pool: {name} is {value}; expected a number above 0")
        self.workers = workers
        self._dispatcher = Dispatcher(job, workers, deadline_s, memory_bound_mb)
        self._dispatcher.start()
        self._closing = weakref.finalize(self, self._dispatcher.stop)

    @property
    def stats(self) -> PoolStats:
        """What the pool has gone through so far."""
        return self._dispatcher.stats

    def pids(self) -> list[int]:
        """Return the process ids of the workers that are ready."""
        return self._dispatcher.pids()

    def map(
        self, requests: Iterable[Any], ahead: int | None = None, stopped: threading.Event | None = None
    ) -> Generator[Result, None, None]:
        """Run the job on every request and yield the results in order.

        Requests are taken from the iterable only when a result is asked for, in this thread, so that at most `ahead`
        of them are under way or waiting to be taken. A call may be left unfinished, and several may go on at a time.

        Args:
            requests: Anything that can be pickled.
            ahead: Results in flight; None is twice the number of processes and two more.
            stopped: Set by another thread to end the results early, also while one is waited for.

        Raises:
            UserError: The job cannot be imported.
            RuntimeError: The processes do not start, or the pool is closed.
        """
        ahead = 2 * self.workers + 2 if ahead is None else ahead
        if ahead < 1:
            raise UserError(f"decoding pool: ahead is {ahead}; expected at least 1")
        return self._map(requests, ahead, stopped)

    def _map(
        self, requests: Iterable[Any], ahead: int, stopped: threading.Event | None
    ) -> Generator[Result, None, None]:
        source = enumerate(requests)
        window: deque[Task] = deque()
        try:
            while True:
                while len(window) < ahead and (item := next(source, None)) is not None:
                    window.append(Task(item[0], bytes(ForkingPickler.dumps(item[1]))))
                    self._dispatcher.submit(window[-1])
                if not window:
                    return
                result = self._await(window[0], stopped)
                if result is None:
                    return
                window.popleft()
                yield result
        finally:
            for task in window:
                task.cancelled = True

    def _await(self, task: Task, stopped: threading.Event | None) -> Result | None:
        """Return the result of a task, None once `stopped` is set."""
        dispatcher, began = self._dispatcher, time.monotonic()
        with dispatcher.changed:
            while task.result is None:
                if dispatcher.failure is not None:
                    raise dispatcher.failure
                if not dispatcher.is_alive():
                    raise RuntimeError("the decoding pool is closed")
                if stopped is not None and stopped.is_set():
                    return None
                dispatcher.changed.wait(1.0 if stopped is None else STOP_S)
        self.stats.wait_s += time.monotonic() - began
        if task.result.error is None:
            self.stats.done += 1
        else:
            self.stats.failed += 1
        return task.result

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
