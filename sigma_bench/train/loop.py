"""The training loop: any Objective, accumulation to the global batch, several processes, exact resume."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from sigma_bench.contracts import Objective, UserError
from sigma_bench.progress import Reporter
from sigma_bench.train import folder as folders
from sigma_bench.train import state as states
from sigma_bench.train.distributed import Processes
from sigma_bench.train.log import JsonLines
from sigma_bench.train.plan import Place, Plan
from sigma_bench.train.record import Clock, note_of, record_of

T = TypeVar("T")
OnLog = Callable[[dict[str, Any]], None]
OnSave = Callable[[Path, int], Mapping[str, Any] | None]


class TrainingStopped(UserError):
    """Training cannot go on (a loss that is not finite); the last good checkpoint is kept."""


def fit(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    plan: Plan,
    folder: Path,
    extra: Mapping[str, Any],
    processes: Processes | None = None,
    resume: Path | None = None,
    title: str = "train",
    on_log: OnLog | None = None,
    on_save: OnSave | None = None,
) -> Path:
    """Minimise `objective` and return the last checkpoint.

    Every process calls this; the first writes. A loss is that of the union of their micro-batches, and so is a
    gradient: each process takes an equal share.

    Args:
        objective: Yields micro-batches and turns one into losses; `objective.module` is trained and saved.
        optimizer: Its groups may carry `lr_scale`, multiplied into the step's rate.
        plan: Rates and portions.
        folder: The run folder; `log.jsonl` and `checkpoints/` are written there.
        extra: Plain values stored with every checkpoint (the encoder's and the system's description).
        processes: Those that train together; None: this one.
        resume: Checkpoint to go on from.
        title: Name shown with the progress.
        on_log: Called in the first process with every record before it is written; may add to it.
        on_save: Called in the first process with each checkpoint and its step, the others wait; what it returns is
            logged.

    Raises:
        TrainingStopped: A loss is NaN or infinite.
    """
    processes = processes or Processes()
    module = objective.module
    scaler = torch.amp.GradScaler(torch.device(processes.device).type, enabled=plan.precision == "fp16")
    place = Place() if resume is None else _load(resume, objective, optimizer, scaler, plan, processes)
    objective.net = processes.wrap(objective.net)
    module.train()
    path = resume
    clock = Clock(place.step)
    log = JsonLines(folder / "log.jsonl", resume_step=place.step) if processes.leader else None
    with Reporter(title, plan.steps, start=place.step, silent=not processes.leader) as reporter:
        while place.step < plan.steps:
            epoch = place.epoch
            batches = iter(objective.batches(epoch, place.into_epoch * plan.accumulation))
            while place.step < plan.steps and place.epoch == epoch:
                losses = _step(objective, optimizer, scaler, plan, batches, place.step, processes, clock)
                if losses is None:  # the data order is shorter than the plan says
                    place.next_epoch()
                    break
                _guard(losses, place.step + 1, path, plan, processes)
                scaler.step(optimizer)
                scaler.update()
                place.advance(plan)
                if plan.logs(place.step):
                    record = record_of(losses, objective, place.step, epoch, plan, clock, processes)
                    if log is not None:
                        if on_log is not None:
                            on_log(record)
                        log.write(record)
                        reporter.update(place.step, note_of(record))
                if plan.saves(place.step):
                    path = folder / "checkpoints" / f"step-{place.step:07d}.pt"
                    _save(path, objective, optimizer, scaler, place, extra, plan, processes)
                    if on_save is not None:
                        found = _led(processes, partial(on_save, path, place.step))
                        if found and log is not None:
                            log.write({"step": place.step, "epoch": epoch, **found})
            close = getattr(batches, "close", None)
            if close is not None:
                close()
    if log is not None:
        log.close()
    assert path is not None
    return path


def _load(
    path: Path,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    plan: Plan,
    processes: Processes,
) -> Place:
    """Take everything back from a checkpoint. Global generators go on where the same process left them."""
    saved = states.load(path, processes.device)
    objective.module.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    scaler.load_state_dict(saved.get("scaler") or {})
    objective.load_state_dict(saved["objective"])
    rng = saved["rng"] if isinstance(saved["rng"], list) else [saved["rng"]]
    if len(rng) == processes.world:
        states.set_rng_state(rng[processes.rank])
    else:  # other processes than those of the checkpoint: they cannot repeat its draws, only make their own
        torch.manual_seed(saved["step"] * processes.world + processes.rank)
    into_epoch = saved["into_epoch"] if "into_epoch" in saved else saved["offset"] // plan.accumulation
    return Place(saved["step"], saved["epoch"], into_epoch)


def _save(
    path: Path,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    place: Place,
    extra: Mapping[str, Any],
    plan: Plan,
    processes: Processes,
) -> None:
    parts = processes.gather((objective.state_dict(), states.rng_state()))
    if not processes.leader:
        return
    states.save(
        path,
        {
            "model": objective.module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict(),
            "objective": objective.merge([part[0] for part in parts]),
            "step": place.step,
            "epoch": place.epoch,
            "into_epoch": place.into_epoch,
            "rng": [part[1] for part in parts],
            **extra,
        },
    )
    folders.prune(path.parent, plan.keep)


def _led(processes: Processes, work: Callable[[], T]) -> T | None:
    """Do something in the first process while the others wait, however long it takes; they get None."""
    if not processes.leader:
        processes.ranks.receive()
        return None
    try:
        return work()
    finally:
        processes.ranks.send({})


def _step(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    plan: Plan,
    batches: Iterator[Any],
    step: int,
    processes: Processes,
    clock: Clock,
) -> dict[str, torch.Tensor] | None:
    """Gather the gradients of one optimiser step; None when the data order of the epoch has ended before it."""
    for group in optimizer.param_groups:
        group["lr"] = float(plan.lrs[step]) * group.get("lr_scale", 1.0)
    optimizer.zero_grad(set_to_none=True)
    parts = plan.accumulation
    kind = torch.device(processes.device).type
    dtype = torch.float16 if plan.precision == "fp16" else torch.bfloat16
    cast = torch.autocast(kind, dtype=dtype, enabled=plan.precision != "fp32")
    if objective.surveys and parts > 1:
        with clock.waiting():
            every = list(itertools.islice(batches, parts))
        if len(every) < parts:
            return None
        with cast, torch.no_grad():
            objective.survey(every)
        batches = iter(every)
    total: dict[str, torch.Tensor] = {}
    objective.watch = plan.logs(step + 1)
    for part in range(parts):
        with clock.waiting():
            batch = next(batches, None)
        if batch is None:
            return None
        with nullcontext() if part == parts - 1 else processes.without_sync(objective.net):
            with cast:
                losses = objective.step(batch)
            scaler.scale(losses["loss"] / parts).backward()  # type: ignore[no-untyped-call]
        for name, value in losses.items():
            total[name] = total.get(name, torch.zeros((), device=value.device)) + value.detach() / parts
    scaler.unscale_(optimizer)
    grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    total["grad_norm"] = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return total


def _guard(losses: Mapping[str, torch.Tensor], step: int, good: Path | None, plan: Plan, processes: Processes) -> None:
    """Stop all processes before a step that would spoil the weights.

    Where losses are scaled (fp16) gradients overflow now and then: the scaler leaves out such a step and scales less.
    """
    loss, norm = float(losses["loss"]), float(losses["grad_norm"])
    fine = math.isfinite(loss) and (math.isfinite(norm) or plan.precision == "fp16")
    (bad,) = processes.any(not fine)
    if bad:
        raise TrainingStopped(_advice(step, f"the loss is {loss} and the norm of the gradient {norm}", good))


def _advice(step: int, what: str, good: Path | None) -> str:
    """Return the message of a training that cannot go on; other settings are another run, so it names no --resume."""
    return (
        f"step {step}: {what}; the last good checkpoint is {good or 'none, none was due before'}. Begin another run "
        "(--out) with a lower rate (--set train.base_lr=...) or in fp32 (--set train.precision=fp32)."
    )
