"""The training loop: any Objective, accumulation to the global batch, exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sigma_bench.contracts import Objective, UserError
from sigma_bench.progress import Reporter
from sigma_bench.train import folder as folders
from sigma_bench.train import state as states
from sigma_bench.train.log import JsonLines


class TrainingStopped(UserError):
    """Training cannot go on (a loss that is not finite); the last good checkpoint is kept."""


@dataclass(frozen=True)
class Plan:
    """How long and in what portions a run trains.

    Attributes:
        lrs: Learning rate of every optimiser step.
        steps_per_epoch: Optimiser steps in one pass of the data order.
        accumulation: Micro-batches of one optimiser step.
        global_batch: Clips of one optimiser step.
    """

    lrs: np.ndarray
    steps_per_epoch: int
    accumulation: int
    global_batch: int
    precision: str = "fp32"
    log_every: int = 10
    save_every: int = 100
    keep: int = 2

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return len(self.lrs)


def fit(
    objective: Objective,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    plan: Plan,
    folder: Path,
    extra: Mapping[str, Any],
    device: str = "cpu",
    resume: Path | None = None,
    title: str = "train",
    on_log: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Minimise `objective` and return the last checkpoint.

    Args:
        objective: Yields micro-batches and turns one into losses.
        module: What is trained and saved under `model`.
        optimizer: Its groups may carry `lr_scale`, multiplied into the step's rate.
        plan: Rates and portions.
        folder: The run folder; `log.jsonl` and `checkpoints/` are written there.
        extra: Plain values stored with every checkpoint (the encoder's and the system's description).
        device: Torch device of the forward pass.
        resume: Checkpoint to go on from.
        title: Name shown with the progress.
        on_log: Called with every record before it is written; may add to it.

    Raises:
        TrainingStopped: A loss is NaN or infinite.
    """
    checkpoints = folder / "checkpoints"
    step = micro = epoch = 0
    if resume is not None:
        saved = states.load(resume, device)
        module.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        objective.load_state_dict(saved["objective"])
        step, epoch, micro = saved["step"], saved["epoch"], saved["offset"]
        states.set_rng_state(saved["rng"])
        del saved
    log = JsonLines(folder / "log.jsonl", resume_step=step)
    module.train()
    path = resume
    clock = _Clock(step)
    with Reporter(title, plan.steps, start=step) as reporter:
        while step < plan.steps:
            batches = iter(objective.batches(epoch, micro))
            while step < plan.steps:
                try:
                    losses = _step(objective, optimizer, plan, batches, step, device, clock)
                except FloatingPointError as error:
                    raise TrainingStopped(_advice(step + 1, str(error), path)) from error
                if losses is None:
                    break
                _guard(losses, step + 1, path)
                optimizer.step()
                step, micro = step + 1, micro + plan.accumulation
                if step % plan.log_every == 0 or step == plan.steps:
                    record = _record(losses, step, epoch, plan, clock)
                    if on_log is not None:
                        on_log(record)
                    log.write(record)
                    reporter.update(step, _note(record))
                if step % plan.save_every == 0 or step == plan.steps:
                    path = checkpoints / f"step-{step:07d}.pt"
                    # the epoch may end with this step: the data order then goes on with the next one
                    ended = micro >= plan.steps_per_epoch * plan.accumulation
                    states.save(
                        path,
                        {
                            "model": module.state_dict(),
                            "optimizer": optimizer.state_dict(),
                            "objective": objective.state_dict(),
                            "step": step,
                            "epoch": epoch + 1 if ended else epoch,
                            "offset": 0 if ended else micro,
                            "rng": states.rng_state(),
                            **extra,
                        },
                    )
                    folders.prune(checkpoints, plan.keep)
                if micro >= plan.steps_per_epoch * plan.accumulation:
                    break
            close = getattr(batches, "close", None)
            if close is not None:
                close()
            epoch, micro = epoch + 1, 0
    log.close()
    assert path is not None
    return path


def _step(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    plan: Plan,
    batches: Any,
    step: int,
    device: str,
    clock: _Clock,
) -> dict[str, torch.Tensor] | None:
    """Gather the gradients of one optimiser step; None when the data order of the epoch has ended before it."""
    for group in optimizer.param_groups:
        group["lr"] = float(plan.lrs[step]) * group.get("lr_scale", 1.0)
    optimizer.zero_grad(set_to_none=True)
    total: dict[str, torch.Tensor] = {}
    for _ in range(plan.accumulation):
        with clock.waiting():
            batch = next(batches, None)
        if batch is None:
            return None
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=plan.precision == "bf16"):
            losses = objective.step(batch)
        (losses["loss"] / plan.accumulation).backward()  # type: ignore[no-untyped-call]
        for name, value in losses.items():
            total[name] = total.get(name, torch.zeros((), device=value.device)) + value.detach() / plan.accumulation
    grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    total["grad_norm"] = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return total


def _record(losses: Mapping[str, torch.Tensor], step: int, epoch: int, plan: Plan, clock: _Clock) -> dict[str, Any]:
    seconds, waited, steps = clock.lap(step)
    return {
        "step": step,
        "epoch": epoch,
        "lr": float(plan.lrs[step - 1]),
        **{name: float(value) for name, value in losses.items()},
        "clips_per_s": round(steps * plan.global_batch / max(seconds, 1e-9), 2),
        "wait_share": round(waited / max(seconds, 1e-9), 3),
    }


def _note(record: Mapping[str, Any]) -> str:
    return (
        f"loss {record['loss']:.4f}, lr {record['lr']:.2e}, {record['clips_per_s']:.0f} clips/s, "
        f"waiting for data {100 * record['wait_share']:.0f} %"
    )


def _guard(losses: Mapping[str, torch.Tensor], step: int, good: Path | None) -> None:
    """Stop before a step that would spoil the weights."""
    loss, norm = float(losses["loss"]), float(losses["grad_norm"])
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise TrainingStopped(_advice(step, f"the loss is {loss} and the norm of the gradient {norm}", good))


def _advice(step: int, what: str, good: Path | None) -> str:
    """Return the message of a training that cannot go on; other settings are another run, so it names no --resume."""
    return (
        f"step {step}: {what}; the last good checkpoint is {good or 'none, none was due before'}. Begin another run "
        "(--out) with a lower rate (--set train.base_lr=...) or in fp32 (--set train.precision=fp32)."
    )


class _Clock:
    """Seconds between two laps and the part of them spent waiting for data."""

    def __init__(self, step: int) -> None:
        self._lap = time.perf_counter()
        self._waited = 0.0
        self._step = step

    def waiting(self) -> _Clock:
        """Return itself as the context manager that measures a wait."""
        return self

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
