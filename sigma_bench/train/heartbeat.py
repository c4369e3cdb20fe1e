"""Signs of life between the processes of a training: where one is lost, all end, and one says why.

A process that waits for another in a collective operation cannot look around, and the backends give up after many
minutes only. So a thread of each process says every two seconds through the key-value store that it lives, and looks
whether the others do. It needs no more of the main thread than that it lets Python's interpreter go now and then.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, NoReturn

from sigma_bench.contracts import UserError
from sigma_bench.data.ranks import JOIN_S, Ranks
from sigma_bench.progress import say
from sigma_bench.train.signals import Noticed

BEAT_S = 2.0
"""How often a process says that it lives, and looks at the others."""
SILENCE_S = 40.0
"""So long without a sign, a process counts as lost."""
CAUSE_S = 12.0
"""How long a process whose collective operation failed waits to learn which other one is behind it."""
MERCY_S = 12.0
"""How long the end waits for a checkpoint that is being written."""
FUSE_S = 45.0
"""After so long a process that is to end is ended by force: longer than it waits for others to leave."""
DONE = "done"
"""The last sign of a process."""
AGAIN = "start them again with --resume"
"""What is done after the loss of a process of a pretraining."""


class Heartbeat:
    """A context in which this process says that it lives; the loss or the exception of another one ends it.

    An exception that leaves the context is told to the others, which end with exit code 1; by a notice (`Noticed`)
    with its code. Alone (one process), it does nothing.

    Args:
        ranks: The processes.
        beat_s: Seconds between two signs of life.
        silence_s: Seconds without one after which a process counts as lost.
        agreed: Exceptions that all processes raise together, as an ordinary end.
        again: What the user is told to do with the processes.
    """

    def __init__(
        self,
        ranks: Ranks,
        beat_s: float = BEAT_S,
        silence_s: float = SILENCE_S,
        agreed: tuple[type[BaseException], ...] = (),
        again: str = AGAIN,
    ) -> None:
        self._advice = f"All processes end; {again}"
        self._ranks, self._beat_s, self._silence_s, self._agreed = ranks, beat_s, silence_s, agreed
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._missed = 0.0
        self._seen: dict[int, str] = {}
        self._quiet: dict[int, float] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Heartbeat:
        if self._ranks.world > 1:
            try:
                # a connection of its own: the main thread may wait on the other one
                self._store = self._ranks.store("heartbeat").clone()
                self._store.set(self._key(self._ranks.rank), "begun")
            except RuntimeError as error:
                self._end(self._out_of_reach(str(error)), None)
            self._threads = [threading.Thread(target=t, daemon=True) for t in (self._beat, self._watch_the_store)]
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ranks.world == 1:
            return
        try:
            if error is not None and not isinstance(error, self._agreed):
                self._tell(error)
        finally:
            self._stop.set()
            self._threads[0].join(2 * self._beat_s)
            with suppress(RuntimeError):
                self._store.set(self._key(self._ranks.rank), DONE)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Have the end of this process wait a little for what is done in the context: the writing of a checkpoint."""
        with self._busy:
            yield

    def _beat(self) -> None:
        watched = range(1, self._ranks.world) if self._ranks.rank == 0 else (0,)
        number = 0
        while not self._stop.is_set():
            try:
                self._store.set(self._key(self._ranks.rank), str(number))
                failure = self._failure()
                for rank in watched if failure is None else ():
                    if self._lost(rank):
                        failure = self._claim({"rank": rank, "silent": self._silence_s})
                        break
            except RuntimeError as error:  # torch's DistError among them
                if not self._stop.is_set():
                    self._end(self._out_of_reach(str(error)), None)
                return
            if failure is not None and not self._stop.is_set():
                self._end(_words(failure, self._ranks.world, self._advice), self._store, failure)
                return
            self._missed = 0.0
            number += 1
            self._stop.wait(self._beat_s)

    def _watch_the_store(self) -> None:
        """End where the other thread hangs in a question to the store, as when its machine lost its power.

        It counts its own seconds: where the whole process stood still, it did too.
        """
        while not self._stop.wait(1.0):
            self._missed += 1.0
            if self._missed > self._silence_s:
                self._end(self._out_of_reach(f"no answer for {self._silence_s:.0f} s"), None)
                return

    def _lost(self, rank: int) -> bool:
        """Look at the sign of another process once. What counts is how often it did not change between two looks."""
        key = self._key(rank)
        sign = self._store.get(key).decode() if rank in self._seen or self._store.check([key]) else ""
        if sign == DONE or sign != self._seen.get(rank, ""):
            self._seen[rank], self._quiet[rank] = sign, 0.0
            return False
        self._quiet[rank] = self._quiet.get(rank, 0.0) + self._beat_s
        return self._quiet[rank] >= (self._silence_s if sign else max(JOIN_S, self._silence_s))

    def _tell(self, error: BaseException) -> None:
        """Tell the others what ends this process, unless it is the end of another that does."""
        me, text = self._ranks.rank, _described(error)
        if not isinstance(error, UserError) and _of_a_collective(error):
            try:
                failure = self._cause()
            except RuntimeError as gone:
                self._stop.set()
                self._end(self._out_of_reach(str(gone)), None)
            if failure is not None:
                self._stop.set()
                self._end(_words(failure, self._ranks.world, self._advice), self._store, failure)
        self._stop.set()
        # an exit may wait for the others in a library's clean-up
        faulthandler.dump_traceback_later(FUSE_S, exit=True)
        with suppress(RuntimeError):
            self._claim({"rank": me, _kind(error): text})
            if me == 0:
                self._wait_for_the_others()

    def _cause(self) -> dict[str, Any] | None:
        """Return what another process said of its failure, or which one gives no sign of life; None: neither.

        Raises:
            RuntimeError: The store is gone.
        """
        began, signs = time.monotonic(), self._signs()
        while time.monotonic() < began + CAUSE_S:
            failure = self._failure()
            if failure is not None:
                return failure
            time.sleep(0.1)
            waited = time.monotonic() - began
            if waited > 4 * self._beat_s:
                still = [r for r, sign in self._signs().items() if sign != DONE and sign == signs.get(r)]
                if still:
                    return self._claim({"rank": still[0], "silent": waited})
        return None

    def _signs(self) -> dict[int, str]:
        others = [r for r in range(self._ranks.world) if r != self._ranks.rank]
        return {r: self._store.get(self._key(r)).decode() for r in others if self._store.check([self._key(r)])}

    def _failure(self) -> dict[str, Any] | None:
        if not self._store.check(["failure"]):
            return None
        found: dict[str, Any] = json.loads(self._store.get("failure"))
        return found if found["rank"] != self._ranks.rank else None

    def _claim(self, failure: dict[str, Any]) -> dict[str, Any]:
        """Put down a failure if it is the first, and return the first."""
        first: dict[str, Any] = json.loads(self._store.compare_set("failure", "", json.dumps(failure)))
        return first

    def _wait_for_the_others(self, lost: int | None = None) -> None:
        """Let the others read why all end before process 0, which may hold the store, is gone.

        One that has given no sign yet is on its way here, perhaps still loading its libraries.
        """
        end, others = time.monotonic() + 3 * self._beat_s, set(range(1, self._ranks.world)) - {lost}
        while time.monotonic() < end:
            signs = self._signs()
            if all(signs.get(rank) == DONE for rank in others):
                return
            time.sleep(0.1)

    def _end(self, message: str, store: Any, failure: dict[str, Any] | None = None) -> NoReturn:
        """End this process whatever its main thread does; the first to come here says why."""
        failure = failure or {}
        faulthandler.dump_traceback_later(MERCY_S + FUSE_S, exit=True)
        me = str(self._ranks.rank)
        try:
            first = store is None or store.compare_set("told", "", me).decode() == me
        except RuntimeError:
            first = True
        if first:
            say(message)
        saved = self._busy.acquire(timeout=MERCY_S)
        if not saved:
            say(f"process {me}: ends amid the writing of a checkpoint; those before it are whole")
        if store is not None:
            with suppress(RuntimeError):
                store.set(self._key(self._ranks.rank), DONE)
                if self._ranks.rank > 0:
                    self._ranks.leave()
                else:
                    self._wait_for_the_others(failure.get("rank"))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(Noticed.code if "stopped" in failure else 1)

    def _out_of_reach(self, error: str) -> str:
        reason = error.splitlines()[0] if error else "no reason given"
        return (
            f"process {self._ranks.rank} of {self._ranks.world} does not reach the others any more ({reason}): process "
            f"0 was killed, or its machine is lost. {self._advice}"
        )

    @staticmethod
    def _key(rank: int) -> str:
        return f"beat/{rank}"


def _described(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, Noticed | KeyboardInterrupt):
        return str(error) or "Ctrl-C"
    return "".join(traceback.format_exception(error)).rstrip()


def _words(failure: dict[str, Any], world: int, advice: str) -> str:
    who = f"process {failure['rank']} of {world}"
    if "silent" in failure:
        return (
            f"{who} has not been heard of for {failure['silent']:.0f} s; it was killed, or its machine is lost. "
            f"{advice}"
        )
    if "stopped" in failure:
        return f"{who} was told to stop ({failure['stopped']}). {advice}"
    if "mistaken" in failure:
        return f"{who} failed: {failure['mistaken']}\nAll processes end"
    return f"{who} failed: {failure['said']}\n{advice}"


def _kind(error: BaseException) -> str:
    """Return the name under which the others are told of an exception; to start again mends no mistake of the user."""
    if isinstance(error, Noticed):
        return "stopped"
    return "mistaken" if isinstance(error, UserError) else "said"


def _of_a_collective(error: BaseException) -> bool:
    """Tell whether an exception speaks of the connection to other processes."""
    from torch.distributed import DistError

    signs = ("gloo", "nccl", "connection", "peer", "socket", "process group")
    return isinstance(error, DistError) or (
        isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in signs)
    )
