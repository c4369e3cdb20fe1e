"""The thread that keeps decoding processes busy, ends those that overstay, and replaces those that are lost."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.process import Result, Task, WorkerProcess

log = logging.getLogger(__name__)

START_S = 120.0
"""A process that is not ready by then does not start."""
STARTS = 3
"""So many processes in a row that do not start end the pool."""
GRACE_S = 2.0
"""How long a process that was killed is waited for before it is left to the system."""


@dataclass
class PoolStats:
    """What a pool has gone through.

    Attributes:
        done: Results handed on with arrays.
        failed: Results handed on with an error.
        respawned: Processes replaced because they died or were killed for their deadline.
        recycled: Processes replaced because their memory passed the bound.
        deadlines: Requests given up because their deadline passed.
        wait_s: Seconds the consumer waited for a result.
        peak_mb: Greatest memory of one process seen after a job, MB.
    """

    done: int = 0
    failed: int = 0
    respawned: int = 0
    recycled: int = 0
    deadlines: int = 0
    wait_s: float = 0.0
    peak_mb: float = 0.0


class Dispatcher(threading.Thread):
    """Owns the processes; nothing else touches them.

    Args:
        job: "module:function" the processes run.
        workers: Number of processes.
        deadline_s: Seconds a request may take, from when a process begins it.
        memory_bound_mb: A process with more memory than that after a job is replaced.
    """

    def __init__(self, job: str, workers: int, deadline_s: float, memory_bound_mb: float) -> None:
        super().__init__(name="sigma-bench decode", daemon=True)
        self.job, self.deadline_s, self.memory_bound_mb = job, deadline_s, memory_bound_mb
        self.stats = PoolStats()
        self.failure: BaseException | None = None
        self.changed = threading.Condition()
        self._todo: deque[Task] = deque()
        self._stopping = False
        self._wanted = workers
        self._workers: list[WorkerProcess] = []
        self._dying: list[WorkerProcess] = []
        self._false_starts = 0
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._ring, False)
        self._released = False
        self._owner = os.getpid()

    def submit(self, task: Task) -> None:
        """Queue a task; its `result` is set, and `changed` notified, when it is done."""
        with self.changed:
            self._todo.append(task)
        self._wake()

    def stop(self) -> None:
        """End the thread and every process; call it as often as you like."""
        if os.getpid() != self._owner:  # a fork of the process that owns the pool must not end it
            return
        self._stopping = True
        self._wake()
        self.join(2 * GRACE_S + 1)
        with self.changed:
            if not self.is_alive() and not self._released:
                self._released = True
                os.close(self._bell)
                os.close(self._ring)

    def pids(self) -> list[int]:
        """Return the process ids of the workers that are ready."""
        return [worker.pid for worker in list(self._workers) if worker.ready]

    def run(self) -> None:
        """Serve until stopped."""
        try:
            while not self._stopping:
                self._staff()
                self._assign()
                self._hear()
                self._enforce()
        except (UserError, RuntimeError, OSError) as error:
            self.failure = error  # raised again where results are asked for
        finally:
            with self.changed:
                self.failure = self.failure or sys.exception()
                self.changed.notify_all()
            for worker in self._workers:
                self._end(worker)
            patience = time.monotonic() + GRACE_S
            for worker in self._dying:
                worker.ended(max(0.0, patience - time.monotonic()))

    def _staff(self) -> None:
        while len(self._workers) < self._wanted:
            self._workers.append(WorkerProcess(self.job))

    def _assign(self) -> None:
        for worker in self._workers:
            if worker.ready and worker.task is None:
                task, worker.reserved = worker.reserved or self._next(), None
                if task is None:
                    continue
                worker.start(task)

    def _next(self) -> Task | None:
        with self.changed:
            while self._todo:
                task = self._todo.popleft()
                if not task.cancelled:
                    return task
        return None

    def _hear(self) -> None:
        """Wait until a process says something, a task is queued, or a deadline passes."""
        channels: dict[Any, WorkerProcess] = {worker.channel: worker for worker in self._workers}
        ends = [w.since + (self.deadline_s if w.ready else START_S) for w in self._workers if w.task or not w.ready]
        patience = min(ends, default=float("inf")) - time.monotonic()
        patience = min(max(patience, 0.0), 1.0 if self._dying else 60.0)
        for heard in wait([self._bell, *channels], patience):
            if heard == self._bell:
                os.read(self._bell, 4096)
                self._dying = [worker for worker in self._dying if not worker.ended()]
            else:
                self._take(channels[heard])

    def _take(self, worker: WorkerProcess) -> None:
        message = worker.listen()
        if message is None:
            self._lost(worker)
        elif message[0] == "ready":
            worker.ready, self._false_starts = True, 0
        elif message[0] == "unusable":
            raise UserError(f"decoding processes cannot run the job: {message[1]}")
        else:
            self._finish(worker, message)

    def _finish(self, worker: WorkerProcess, message: tuple[Any, ...]) -> None:
        kind, _, content, info, megabytes = message
        task, arena, worker.task = worker.task, worker.arena, None
        assert task is not None
        self.stats.peak_mb = max(self.stats.peak_mb, megabytes)
        too_large = megabytes > self.memory_bound_mb
        if not too_large:
            self._assign()  # the process goes on, in its other arena, while its result is copied
        if kind == "done":
            self._settle(task, Result(task.index, arena.read(content), info))
        else:
            self._settle(task, Result(task.index, None, info, content))
        if too_large:
            log.info(
                "decoding process %d held %.0f MB, more than the bound of %.0f MB: replaced",
                worker.pid,
                megabytes,
                self.memory_bound_mb,
            )
            self.stats.recycled += 1
            self._end(worker)
            self._workers.remove(worker)

    def _lost(self, worker: WorkerProcess) -> None:
        """Replace a process that died, and give what it was doing to a fresh one, once."""
        worker.ended(GRACE_S)
        how = worker.how_it_ended()
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= STARTS:
                raise RuntimeError(f"decoding processes do not start: the last {STARTS} were each {how} before ready")
        fresh = self._replace(worker)
        task = worker.task or worker.reserved
        if task is None:
            return
        log.warning("decoding process %d was lost (%s) at attempt %d", worker.pid, how, task.attempts)
        if task.attempts < 2:
            fresh.reserved = task
        else:
            self._settle(
                task, Result(task.index, None, {}, f"the decoding process was lost twice, the last {how}", True)
            )

    def _enforce(self) -> None:
        """End processes whose deadline passed and that have not answered in the meantime."""
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.task is not None and now > worker.since + self.deadline_s and not worker.channel.poll():
                self.stats.deadlines += 1
                text = f"deadline of {self.deadline_s:g} s exceeded"
                self._settle(worker.task, Result(worker.task.index, None, {}, text, transient=True))
                self._replace(worker)
            elif not worker.ready and now > worker.since + START_S and not worker.channel.poll():
                raise RuntimeError(f"a decoding process was not ready after {START_S:.0f} s")

    def _replace(self, worker: WorkerProcess) -> WorkerProcess:
        self.stats.respawned += 1
        self._end(worker)
        fresh = WorkerProcess(self.job)
        self._workers[self._workers.index(worker)] = fresh
        return fresh

    def _end(self, worker: WorkerProcess) -> None:
        worker.kill()
        self._dying = [w for w in (*self._dying, worker) if not w.ended()]

    def _settle(self, task: Task, result: Result) -> None:
        with self.changed:
            task.result = result
            self.changed.notify_all()

    def _wake(self) -> None:
        with self.changed:
            if self._released:
                return
            try:
                os.write(self._ring, b"!")
            except BlockingIOError:  # the pipe is full of rings already
                return
