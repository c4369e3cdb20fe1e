"""The training loop: any Objective, accumulation to the global batch, several processes, exact resume."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch

from sigma_bench.contracts import Objective, Stopped, UserError
from sigma_bench.progress import Reporter
from sigma_bench.train import incident
from sigma_bench.train.again import Again
from sigma_bench.train.distributed import Processes
from sigma_bench.train.keeper import Keeper
from sigma_bench.train.log import JsonLines
from sigma_bench.train.plan import Plan
from sigma_bench.train.record import Clock, note_of, record_of
from sigma_bench.train.signals import Wish, wish_to_stop
from sigma_bench.train.snapshot import Training

T = TypeVar("T")
OnLog = Callable[[dict[str, Any]], None]
OnSave = Callable[[Path, int], Mapping[str, Any] | None]


class Unsaved(UserError):
    """The run has ended, and the storage did not take its last checkpoint."""


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
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
    again: Again | None = None,
) -> Path:
    """Minimise `objective` and return the last checkpoint.

    Every process calls this; the first writes. A loss is that of the union of their micro-batches, and so is a
    gradient: each process takes an equal share. What ends the run below ends it in all processes at the same step.

    Args:
        objective: Yields micro-batches and turns one into losses; `objective.module` is trained and saved.
        optimizer: Its groups may carry `lr_scale`, multiplied into the step's rate.
        plan: Rates and portions.
        folder: The run folder; `log.jsonl`, `checkpoints/` and `incidents/` are written there.
        extra: Plain values stored with every checkpoint (the encoder's and the system's description).
        processes: Those that train together; None: this one.
        resume: Checkpoint to go on from.
        title: Name shown with the progress.
        on_log: Called in the first process with every record before it is written; may add to it.
        on_save: Called in the first process with each checkpoint and its step, the others wait; what it returns is
            logged.
        undisturbed: A context in which this process is not ended for the loss of another one while it saves.
        again: What the user is told to do where the training ends early; None: as of a pretraining.

    Raises:
        TrainingStopped: A loss is NaN or infinite; an incident file keeps the step.
        Stopped: A signal asked one of the processes to stop; a checkpoint of the last step is saved.
        Unsaved: The storage did not take the checkpoint of the last step. Those before it cost no more than
            themselves.
    """
    processes = processes or Processes()
    training = Training(objective, optimizer, plan, processes, extra, again or Again())
    if resume is not None:
        training.restore(resume)
    objective.net = processes.wrap(objective.net)
    objective.module.train()
    place = training.place
    clock = Clock(place.step)
    log = JsonLines(folder / "log.jsonl", resume_step=place.step) if processes.leader else None
    keeper = Keeper(training, folder, log, resume, undisturbed)
    with Reporter(title, plan.steps, start=place.step, silent=not processes.leader) as reporter, wish_to_stop() as wish:
        while not plan.over(place):
            epoch = place.epoch
            batches = iter(objective.batches(epoch, place.into_epoch * plan.accumulation))
            while not plan.over(place) and place.epoch == epoch:
                attempt = incident.Attempt()
                try:
                    losses = _step(training, batches, clock, attempt)
                except FloatingPointError as error:
                    incident.stop(training, attempt, folder, str(error), keeper.last, agreed=processes.world == 1)
                if losses is None:  # the data order is shorter than the plan says
                    place.next_epoch()
                    break
                bad, stop = processes.any(bool(what := incident.not_finite(losses, plan.precision)), bool(wish))
                if bad:
                    what = what or "the loss of another process is not finite"
                    incident.stop(training, attempt, folder, what, keeper.last)
                training.scaler.step(optimizer)
                training.scaler.update()
                place.advance(plan)
                if plan.logs(place.step):
                    record = record_of(losses, objective, place.step, epoch, plan, clock, processes)
                    if log is not None:
                        if on_log is not None:
                            on_log(record)
                        log.write(record)
                        reporter.update(place.step, note_of(record))
                if (plan.saves(place.step) or stop) and keeper.save() and on_save is not None and not stop:
                    assert keeper.last is not None
                    with clock.stopped():
                        found = _led(processes, partial(on_save, keeper.last, place.step))
                    if found and log is not None:
                        log.write({"step": place.step, "epoch": epoch, **found})
                if stop and not plan.over(place):
                    _stop(keeper, folder, training, wish)
            close = getattr(batches, "close", None)
            if close is not None:
                close()
    if not keeper.current:  # the end of the last epoch came before a checkpoint was due
        keeper.save()
    if log is not None:
        log.close()
    if not keeper.current or keeper.last is None:
        raise Unsaved(keeper.refusal())
    return keeper.last


def _stop(keeper: Keeper, folder: Path, training: Training, wish: Wish) -> NoReturn:
    if not keeper.current:
        raise Unsaved(keeper.refusal())
    why = wish.signal or "another process was asked to"
    raise Stopped(f"{folder}: stopped at step {training.place.step} ({why}); saved, {training.again.resume}")


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
    training: Training, batches: Iterator[Any], clock: Clock, attempt: incident.Attempt
) -> dict[str, torch.Tensor] | None:
    """Gather the gradients of one optimiser step; None when the data order of the epoch has ended before it."""
    objective, optimizer, plan = training.objective, training.optimizer, training.plan
    for group in optimizer.param_groups:
        group["lr"] = float(plan.lrs[training.place.step]) * group.get("lr_scale", 1.0)
    optimizer.zero_grad(set_to_none=True)
    parts = plan.accumulation
    cast = autocast(training.processes.device, plan.precision)
    if objective.surveys and parts > 1:
        with clock.waiting():
            every = list(itertools.islice(batches, parts))
        if len(every) < parts:
            return None
        with cast, torch.no_grad():
            objective.survey(every)
        batches = iter(every)
    total: dict[str, torch.Tensor] = {}
    objective.watch = plan.logs(training.place.step + 1)
    for part in range(parts):
        with clock.waiting():
            batch = next(batches, None)
        if batch is None:
            return None
        attempt.batches.append(objective.origin(batch))
        with nullcontext() if part == parts - 1 else training.processes.without_sync(objective.net):
            with cast:
                losses = objective.step(batch)
            training.scaler.scale(losses["loss"] / parts).backward()  # type: ignore[no-untyped-call]
        attempt.losses.append({name: value.detach() for name, value in losses.items()})
        for name, value in losses.items():
            total[name] = total.get(name, torch.zeros((), device=value.device)) + value.detach() / parts
    training.scaler.unscale_(optimizer)
    total["grad_norm"] = gradient_norm(optimizer)
    if training.scaler.is_enabled():
        total["loss_scale"] = torch.tensor(training.scaler.get_scale())
    return total


def autocast(device: str, precision: str) -> torch.autocast:
    """Return the context of the forward pass at a precision: fp32 (none), bf16 or fp16."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(torch.device(device).type, dtype=dtype, enabled=precision != "fp32")


def gradient_norm(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """Return the norm of all gradients together."""
    grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm: torch.Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return norm
