"""The training of a network of cycle lengths: network, objective, optimiser and plan, from the settings of a task."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.evaluators.counting.frames import Stretches
from sigma_bench.evaluators.counting.objective import Counting, Lesson
from sigma_bench.models.cycle_net import CycleNet
from sigma_bench.spec.task_counting import Counting as Settings
from sigma_bench.train import loop
from sigma_bench.train.again import Again
from sigma_bench.train.distributed import Processes
from sigma_bench.train.plan import Plan

AGAIN = Again(
    resume="start the same command again, it goes on from there",
    change="Try a lower rate (--set counting.lr=...) or more exact arithmetic (--set counting.precision=fp32).",
    replay="",
)


def network(encoder: Encoder, settings: Settings, seed: int, device: str) -> CycleNet:
    """Return a copy of an encoder with new heads, whose weights depend on the seed alone.

    Raises:
        UserError: It is no torch module, or is not made for so many passes or that pooling.
    """
    if not isinstance(encoder, torch.nn.Module):
        raise UserError(f"{type(encoder).__name__} is no torch module, so it cannot be trained; expected one")
    own = copy.deepcopy(encoder).cpu().requires_grad_(settings.trainable == "all")
    torch.manual_seed(seed)
    return CycleNet(own, len(settings.anchors), settings.passes, settings.pool).to(device)


def plan(settings: Settings, minibatches: int) -> Plan:
    """Return rates and portions: one rate, and as many steps at most as minibatches can be unrolled."""
    per_epoch = minibatches * settings.unroll
    return Plan(
        lrs=np.full(settings.epochs * per_epoch, settings.lr),
        steps_per_epoch=per_epoch,
        accumulation=1,
        global_batch=settings.batch,
        precision=settings.precision,
        log_every=settings.log_every,
        save_every=settings.save_every,
        epochs=settings.epochs,
    )


def train(
    net: CycleNet,
    lessons: list[Lesson],
    stretches: Stretches,
    settings: Settings,
    processes: Processes,
    folder: Path,
    start: Path | None,
    *,
    seed: int,
    flip: bool,
    title: str,
    extra: Mapping[str, Any] | None = None,
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Train a network in `folder`, from the checkpoint `start` on; every process calls this.

    Raises:
        UserError: What `loop.fit` raises, or a video cannot be decoded any more.
        Stopped: A signal asked for the end; a checkpoint of the last step is saved.
    """
    objective = Counting(
        net,
        lessons,
        stretches,
        batch=settings.batch,
        anchors=settings.anchors,
        seed=seed,
        processes=processes,
        flip=flip,
        unroll=settings.unroll,
    )
    learned = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    loop.fit(
        objective,
        optimizer,
        plan(settings, objective.minibatches),
        folder,
        extra or {},
        processes,
        resume=start,
        title=title,
        undisturbed=undisturbed,
        again=AGAIN,
    )
