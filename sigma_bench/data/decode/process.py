"""The parent's handle of one decoding process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Pipe
from typing import Any

import numpy as np

from sigma_bench.data.decode.arena import Arena

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Result:
    """What became of a request.

    Attributes:
        index: Its place among the requests of the call.
        arrays: What the job returned; None after an error.
        info: The record of the job; after an exception `traceback`.
        error: Why there are no arrays; None where there are.
        transient: The request was given up (deadline, lost process): another attempt might do.
    """

    index: int
    arrays: tuple[np.ndarray, ...] | None
    info: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    transient: bool = False


@dataclass(eq=False)
class Task:
    """A request on its way."""

    index: int
    request: Any
    attempts: int = 0
    cancelled: bool = False
    result: Result | None = None


class WorkerProcess:
    """One decoding process, its channel, and two arenas, so that it can go on while the last result is copied.

    The process is an interpreter of its own: nothing of the parent is copied (CUDA, threads and locks included), and
    the parent's main script is not run again.
    """

    def __init__(self, job: str) -> None:
        self.task: Task | None = None
        self.reserved: Task | None = None
        self.ready = False
        self.since = time.monotonic()
        self._arenas = (Arena.create(), Arena.create())
        self._turn = 0
        self.channel, theirs = Pipe()
        read, self._lifeline = os.pipe()
        passed = (theirs.fileno(), read, *(arena.descriptor for arena in self._arenas))
        path = os.pathsep.join(os.path.abspath(p) for p in sys.path)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sigma_bench.data.decode.worker", *map(str, passed)],
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                stdout=2,
                env={**os.environ, "PYTHONPATH": path, **dict.fromkeys(ONE_THREAD, "1")},
            )
        finally:
            theirs.close()
            os.close(read)
        self.pid = self._process.pid
        self.tell(job)

    def start(self, task: Task) -> None:
        """Hand over a task; its deadline runs from now."""
        self._turn = 1 - self._turn
        self.task, self.since = task, time.monotonic()
        task.attempts += 1
        self.tell((id(task), self._turn, task.request))

    def tell(self, message: Any) -> None:
        """Send a message; a process that is gone is noticed when it is listened to."""
        try:
            self.channel.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return

    def listen(self) -> tuple[Any, ...] | None:
        """Return the next message; None where the process is gone."""
        try:
            message: tuple[Any, ...] = self.channel.recv()
        except (EOFError, ConnectionResetError):
            return None
        return message

    @property
    def arena(self) -> Arena:
        """The one the task handed over last writes to."""
        return self._arenas[self._turn]

    def kill(self) -> None:
        """End the process at once and let go of everything shared with it. It still has to be waited for."""
        self._process.kill()
        self.channel.close()
        os.close(self._lifeline)
        for arena in self._arenas:
            arena.close()

    def ended(self, seconds: float = 0.0) -> bool:
        """Wait at most `seconds` for the end of the process; a process in an unanswered system call may not end."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def how_it_ended(self) -> str:
        """Say in words how the process ended."""
        code = self._process.returncode
        if code is None:
            return "closed its channel"
        if code < 0:
            return f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"signal {-code}"
        return f"ended with exit code {code}"
