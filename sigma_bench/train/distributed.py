"""The processes of a training: what they agree on, and how their gradients become one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sigma_bench.contracts import UserError
from sigma_bench.data.ranks import Ranks

PATIENCE = timedelta(minutes=30)
"""How long a collective waits. A lost process is noticed long before; this bounds what is merely slow."""


class Processes:
    """The processes that train one model, as one of them sees them; alone where `ranks` are one.

    Args:
        ranks: The processes.
        device: Torch device of this one.
        group: Their torch process group, for small CPU tensors and for tensors on the device.
    """

    def __init__(self, ranks: Ranks | None = None, device: str = "cpu", group: dist.ProcessGroup | None = None) -> None:
        self.ranks = ranks or Ranks()
        self.rank, self.world = self.ranks.rank, self.ranks.world
        self.device, self.group = device, group

    @property
    def leader(self) -> bool:
        """Whether this process alone prints and writes."""
        return self.rank == 0

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return of each flag whether it is set in any process; all must call this."""
        if self.group is None:
            return flags
        found = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(found, dist.ReduceOp.MAX, self.group)
        return tuple(bool(flag) for flag in found.tolist())

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the mean of each value over the processes; all must give the same names."""
        return {name: value / self.world for name, value in self._reduced(values, dist.ReduceOp.SUM).items()}

    def largest(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the largest of each value over the processes; all must give the same names."""
        return self._reduced(values, dist.ReduceOp.MAX)

    def total(self, counts: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over the processes, on the CPU; `counts` is unchanged."""
        found = counts.detach().cpu().clone()
        if self.group is not None:
            dist.all_reduce(found, group=self.group)
        return found

    def _reduced(self, values: Mapping[str, float], op: dist.ReduceOp.RedOpType) -> dict[str, float]:
        found = torch.tensor(list(values.values()), dtype=torch.float64)
        if self.group is not None:
            dist.all_reduce(found, op, self.group)
        return dict(zip(values, found.tolist(), strict=True))

    def gather(self, value: Any) -> list[Any]:
        """Return what every process gives, in the order of ranks: plain values and CPU tensors."""
        if self.group is None:
            return [value]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value, self.group)
        return found

    def wrap(self, net: nn.Module) -> nn.Module:
        """Return `net` with gradients averaged over the processes in each backward pass; its weights become rank 0's.

        Inputs are left where they are, so that masks may stay on the CPU.
        """
        if self.group is None:
            return net
        return DistributedDataParallel(
            net, process_group=self.group, forward_sync_buffers=False, gradient_as_bucket_view=True
        )

    def without_sync(self, net: nn.Module) -> AbstractContextManager[None]:
        """Return a context in which gradients of a wrapped `net` are gathered, not averaged: all but the last part."""
        return net.no_sync() if isinstance(net, DistributedDataParallel) else nullcontext()


@contextmanager
def together(ranks: Ranks, device: str) -> Iterator[Processes]:
    """Join processes for training: gloo for the CPU, and NCCL beside it where `device` is a GPU."""
    if ranks.world == 1:
        yield Processes(ranks, device)
        return
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=ranks.store("training"),
        rank=ranks.rank,
        world_size=ranks.world,
        timeout=PATIENCE,
    )
    try:
        yield Processes(ranks, device, dist.group.WORLD)
    finally:
        dist.destroy_process_group()


def micro_batch(global_batch: int, asked: int | None, world: int, block: str = "train") -> int:
    """Return how many clips a process takes at once, so that an optimiser step sees the global batch.

    Args:
        global_batch: Clips of an optimiser step.
        asked: Clips of a micro-batch; None: the whole share of a process.
        world: Number of processes.
        block: The block of the spec that states both.

    Raises:
        UserError: The global batch cannot be met by so many processes with micro-batches of that size.
    """
    if global_batch % world:
        fits = [n for n in range(1, global_batch + 1) if global_batch % n == 0]
        raise UserError(
            f"global_batch {global_batch} cannot be divided among {world} processes; start {_near(fits, world)} of "
            f"them, or state another global batch (--set {block}.global_batch=..., which is another recipe)"
        )
    share = global_batch // world
    if asked is None:
        return share
    if share % asked:
        fits = [n for n in range(1, share + 1) if share % n == 0]
        raise UserError(
            f"{block}.micro_batch {asked} does not divide the {share} clips that each of {world} processes takes of "
            f"global_batch {global_batch}; set it to {_near(fits, asked)}"
        )
    return asked


def _near(fits: Sequence[int], wanted: int) -> str:
    below = max(n for n in fits if n <= wanted)
    above = [n for n in fits if n > wanted]
    return f"{below} or {min(above)}" if above else str(below)
