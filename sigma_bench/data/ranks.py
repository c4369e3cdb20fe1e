"""Processes that share a job: which part each does, and what they tell each other.

They are started by torchrun, or by anything else that sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. What they say
goes through torch's key-value store as JSON: small things only; arrays go through files, in a folder that all of them
see. A process waits for another only as long as it may reasonably take, so a lost one ends the job with an error.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from sigma_bench.contracts import Stopped, UserError
from sigma_bench.progress import say

JOIN_S = 300.0
"""How long processes wait for each other at the start."""
PATIENCE_S = 600.0
"""How much longer than this process another may take for its part of the same work, beside twice the time."""
FAREWELL_S = 30.0
"""How long rank 0 waits at the end."""
NOTICE_S = 30.0
"""After so long a wait rank 0 says whom it waits for."""
GLANCE_S = 0.05
"""How often a process that waits looks whether it may go on."""


class OtherFailed(RuntimeError):
    """Another process could not do its part."""


def share(count: int, rank: int, world: int) -> range:
    """Return which of `count` pieces the process `rank` of `world` takes: every `world`-th, from its own number on.

    Together the processes take each piece exactly once, and no two of them differ by more than one piece.

    Raises:
        UserError: No such process, or less than no pieces.
    """
    if not 0 <= rank < world or count < 0:
        raise UserError(f"process {rank} of {world} cannot take a share of {count}; expected 0 <= rank < world")
    return range(rank, count, world)


class Ranks:
    """The processes that share a job, as one of them sees them; alone where there is no store.

    Args:
        rank: This process; 0 leads: it alone prints and stores results.
        world: Number of processes.
        store: A torch.distributed store that all of them reach.
        local: Number of this process on its machine.
    """

    def __init__(self, rank: int = 0, world: int = 1, store: Any = None, local: int = 0) -> None:
        self.rank, self.world, self.local = rank, world, local
        self._store = store
        self._sent = self._gathered = 0
        self._lost = ""

    def share(self, count: int) -> range:
        """Return which of `count` pieces this process takes."""
        return share(count, self.rank, self.world)

    def store(self, name: str) -> Any:
        """Return a torch.distributed store under a name of its own, None where this process is alone."""
        if self.world == 1:
            return None
        from torch.distributed.distributed_c10d import PrefixStore

        return PrefixStore(name, self._store)

    def job(self) -> Ranks:
        """Return the same processes for one job, which all begin after the same message: names of its own."""
        own = Ranks(self.rank, self.world, self.store(f"job/{self._sent}"), self.local)
        own._lost = self._lost
        return own

    def refuse(self, error: BaseException) -> None:
        """Tell the others that this process cannot do its part, unless it has begun with it."""

        def fail() -> None:
            raise error

        if self.world > 1 and not self._gathered:
            with suppress(BaseException):
                self.together(fail)

    def give_up(self, reason: str) -> None:
        """Have every further piece of work that is done together fail at once: the others are gone."""
        self._lost = self._lost or reason

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell all others something, from rank 0."""
        if self.world > 1:
            self._store.set(f"said/{self._sent}", json.dumps(message))
        self._sent += 1

    def receive(self) -> dict[str, Any]:
        """Return the next message of rank 0; its silence is its work, so there is no end to the patience.

        Raises:
            OtherFailed: The store is gone, and rank 0 with it.
        """
        message: dict[str, Any] = json.loads(self._wait_for(f"said/{self._sent}", 0, None))
        self._sent += 1
        return message

    def together(self, work: Callable[[], Any]) -> list[Any]:
        """Do this process's part of some work, and return what every process's part gave, in the order of ranks.

        Every process calls this for the same work.

        Args:
            work: Returns something that JSON can hold.

        Raises:
            OtherFailed: Another process raised something, or did not answer within `PATIENCE_S` more than twice the
                time this one took. After the latter every further call fails.
        """
        if self.world == 1:
            return [work()]
        if self._lost:
            raise OtherFailed(self._lost)
        began, number = time.monotonic(), self._gathered
        self._gathered += 1
        try:
            mine = work()
        except BaseException as error:
            self._answer(number, {"failed": f"{type(error).__name__}: {error}"})
            raise
        self._answer(number, {"done": mine})
        patience = PATIENCE_S + time.monotonic() - began
        answers = [json.loads(self._wait_for(f"done/{number}/{r}", r, patience)) for r in range(self.world)]
        for rank, answer in enumerate(answers):
            if "failed" in answer:
                raise OtherFailed(f"process {rank} of {self.world} failed: {answer['failed']}")
        return [answer["done"] for answer in answers]

    def gather(self, value: Any) -> list[Any]:
        """Return what every process gives here, in the order of ranks."""
        return self.together(lambda: value)

    def barrier(self) -> None:
        """Wait until every process is here."""
        self.gather(None)

    def leave(self) -> None:
        """Say that this process needs the store no more; rank 0, which may hold it, waits a little for the others."""
        if self.world == 1 or self._lost:
            return
        self._store.set(f"left/{self.rank}", "")
        if self.rank == 0:
            with suppress(OtherFailed):
                for rank in range(1, self.world):
                    self._wait_for(f"left/{rank}", rank, FAREWELL_S)

    def _answer(self, number: int, answer: dict[str, Any]) -> None:
        self._store.set(f"done/{number}/{self.rank}", json.dumps(answer))

    def _wait_for(self, key: str, rank: int, patience: float | None) -> bytes:
        """Look for a key until it is there: a wait of the store's own could not be interrupted from the keyboard."""
        began = time.monotonic()
        end = math.inf if patience is None else began + patience
        notice = began + NOTICE_S if self.rank == 0 else math.inf
        try:
            while not self._store.check([key]):
                if time.monotonic() > end:
                    self._lost = (
                        f"process {rank} of {self.world} has not answered for {patience:.0f} s; it hangs, or was killed"
                    )
                    raise OtherFailed(self._lost)
                if time.monotonic() > notice:
                    say(f"waiting for process {rank} of {self.world}, for {patience:.0f} s at most")
                    notice = math.inf
                time.sleep(GLANCE_S)
            found: bytes = self._store.get(key)
        except OtherFailed:
            raise
        except RuntimeError as error:  # torch's DistError among them
            self._lost = f"the processes have lost each other: {error}"
            raise OtherFailed(self._lost) from error
        return found


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that were started together; a process that was started by itself is alone.

    Raises:
        UserError: The environment names processes, but not in a way that could be followed.
    """
    rank, world, local = _numbers()
    if world == 1:
        yield Ranks(local=local)
        return
    from torch.distributed import DistError
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        store, *_ = next(rendezvous("env://", rank, world, timeout=timedelta(seconds=JOIN_S)))
    except (DistError, ValueError) as error:
        raise UserError(
            f"process {rank} of {world} does not reach the others at MASTER_ADDR={os.environ.get('MASTER_ADDR')}, "
            f"MASTER_PORT={os.environ.get('MASTER_PORT')}: {error}; start all of them, with torchrun "
            "--nproc-per-node N; another job on this machine needs another port (--master-port)"
        ) from error
    ranks = Ranks(rank, world, PrefixStore("sigma-bench", store), local)
    try:
        yield ranks
    except (UserError, Stopped):
        ranks.leave()
        raise
    ranks.leave()


def _numbers() -> tuple[int, int, int]:
    found = []
    for name, usual in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")):
        text = os.environ.get(name, usual)
        if not (text.isascii() and text.isdecimal()):
            raise UserError(f"{name} is '{text}' in the environment; expected a whole number, as torchrun sets it")
        found.append(int(text))
    rank, world, local = found
    if world > 1 and "RANK" not in os.environ:
        raise UserError(
            f"WORLD_SIZE is {world} in the environment, but RANK is not set; start with torchrun, or unset it"
        )
    if rank >= max(1, world):
        raise UserError(f"RANK is {rank} and WORLD_SIZE {world} in the environment; expected RANK below WORLD_SIZE")
    return rank, max(1, world), local
