"""What is logged of an optimiser step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from sigma_bench.contracts import Objective
from sigma_bench.train.distributed import Processes
from sigma_bench.train.memory import peak_memory
from sigma_bench.train.plan import Plan


class Clock:
    """Seconds between two laps and the part of them spent waiting for data."""

    def __init__(self, step: int) -> None:
        self._lap = time.perf_counter()
        self._waited = 0.0
        self._step = step

    def waiting(self) -> Clock:
        """Return itself as the context manager that measures a wait."""
        return self

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave out what is no training, so that it does not count as a slow one."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._lap += time.perf_counter() - began

    def __enter__(self) -> None:
        self._enter = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._waited += time.perf_counter() - self._enter

    def lap(self, step: int) -> tuple[float, float, int]:
        """Return (seconds, seconds waited, steps) since the last lap and start a new one."""
        now = time.perf_counter()
        result = (now - self._lap, self._waited, step - self._step)
        self._lap, self._waited, self._step = now, 0.0, step
        return result


def record_of(
    losses: Mapping[str, torch.Tensor],
    objective: Objective,
    step: int,
    epoch: int,
    plan: Plan,
    clock: Clock,
    processes: Processes,
) -> dict[str, Any]:
    """Return what is logged of a step: means over the processes, and the memory of the largest one."""
    seconds, waited, steps = clock.lap(step)
    means = processes.mean(
        {**{name: float(value) for name, value in losses.items()}, "wait_share": waited / max(seconds, 1e-9)}
    )
    wait_share = round(means.pop("wait_share"), 3)
    return {
        "step": step,
        "epoch": epoch,
        "lr": float(plan.lrs[step - 1]),
        **means,
        **objective.watched(),
        "clips_per_s": round(steps * plan.global_batch / max(seconds, 1e-9), 2),
        "wait_share": wait_share,
        **processes.largest(peak_memory(processes.device)),
    }


def note_of(record: Mapping[str, Any]) -> str:
    """Return what a record says beside the progress."""
    return (
        f"loss {record['loss']:.4f}, lr {record['lr']:.2e}, {record['clips_per_s']:.0f} clips/s, "
        f"waiting for data {100 * record['wait_share']:.0f} %"
    )
