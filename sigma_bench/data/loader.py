"""From an index to batches: data order, replacement of files that cannot be decoded, collation on the device."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sigma_bench.contracts import UserError
from sigma_bench.data import transforms
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.index import Index

MakeRequest = Callable[[int, tuple[int, ...]], Any]
"""(row of the index, seed words of this draw) -> request of the pool's job."""


Draw = tuple[int, int, tuple[int, ...]]
"""(place in the order of this process, row of the index, seed words)."""


class TooManyBroken(UserError):
    """More files of a training set cannot be decoded than the stated bound allows."""


@dataclass
class Batch:
    """A micro-batch: `clips` uint8 (B, 3, T, H, W) on the device, the rows they show, the seed words of each draw."""

    clips: torch.Tensor
    rows: list[int]
    seeds: list[tuple[int, ...]]


@dataclass
class Replaced:
    """What the loader could not decode: id -> reason, and how many draws of the clips handed on were replaced."""

    reasons: dict[str, str] = field(default_factory=dict)
    draws: int = 0


class TrainingLoader:
    """Endless-by-epoch training clips in an order that depends on (seed, epoch) alone.

    What is random of a clip is seeded by (seed, epoch, position in the order of the epoch, attempt), and a draw that
    cannot be decoded is replaced by another of that stream. So the clips of an optimiser step depend neither on
    timing nor on the numbers of processes and of clips in a micro-batch, and a resumed run sees what an unbroken one
    sees. A file given up at its deadline is one that cannot be decoded. Each rank counts the broken files that it
    met itself against the bound.

    Args:
        index: The training set.
        pool: Decodes; its job returns one uint8 (T, h, w, 3) array a request.
        make_request: Builds the request of a row.
        batch: Clips of a micro-batch.
        global_batch: Clips of an optimiser step; an epoch is a whole number of them. A set smaller than that is
            repeated until it fills one.
        size: Side of the square clips handed on, pixels.
        seed: Seed of order, crops and replacements.
        rank: This process.
        world: Number of processes.
        device: Where the clips are resized.
        max_broken: Largest share of the set that may be undecodable before training stops.
        on_broken: Called with (id, reason) once per broken file.
    """

    ATTEMPTS = 20

    def __init__(
        self,
        index: Index,
        pool: DecodePool,
        make_request: MakeRequest,
        *,
        batch: int,
        global_batch: int,
        size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        device: str = "cpu",
        max_broken: float = 0.5,
        on_broken: Callable[[str, str], None] | None = None,
    ) -> None:
        if index.count == 0:
            raise UserError(f"{index.root}: the {index.split} list of {index.name} is empty; nothing to train on")
        if global_batch % (batch * world):
            raise UserError(f"train.global_batch {global_batch} is not a multiple of {batch} clips x {world} processes")
        self.index, self.pool, self.make_request = index, pool, make_request
        self.batch, self.global_batch, self.size, self.seed = batch, global_batch, size, seed
        self.rank, self.world, self.device = rank, world, device
        self.max_broken, self.on_broken = max_broken, on_broken
        self.replaced = Replaced()
        self.decoders: Counter[str] = Counter()
        self._ids: list[str] = index.table["id"].to_pylist()

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return max(1, self.index.count // self.global_batch)

    @property
    def micro_batches(self) -> int:
        """Micro-batches of an epoch in this process."""
        return self.steps_per_epoch * self.global_batch // (self.batch * self.world)

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of an epoch in the order in which all processes together take them."""
        wanted = self.steps_per_epoch * self.global_batch
        rng = np.random.default_rng((self.seed, epoch))
        passes = [rng.permutation(self.index.count) for _ in range(-(-wanted // self.index.count))]
        return np.concatenate(passes)[:wanted]

    def epoch(self, epoch: int, offset: int = 0) -> Iterator[Batch]:
        """Yield the micro-batches of an epoch, the first `offset` left out."""
        rows = self.order(epoch)
        # step by step, process by process: the clips of an optimiser step do not depend on the number of processes
        mine = rows.reshape(-1, self.world, self.batch)[:, self.rank].reshape(-1)
        where = np.arange(len(rows)).reshape(-1, self.world, self.batch)[:, self.rank].reshape(-1)
        first = offset * self.batch
        todo: deque[Draw] = deque(
            (slot, int(mine[slot]), (self.seed, epoch, int(where[slot]), 0)) for slot in range(first, len(mine))
        )
        yield from self._batches(todo, first)

    def _batches(self, todo: deque[Draw], first: int) -> Iterator[Batch]:
        in_flight: dict[int, Draw] = {}
        ready: dict[int, tuple[torch.Tensor, int, tuple[int, ...], str]] = {}
        lowest, end = first, first + len(todo)
        while lowest < end:
            for result in self.pool.map(self._requests(todo, in_flight), ahead=2 * self.batch):
                slot, row, seed = in_flight.pop(result.index)
                if result.error is not None or result.arrays is None:
                    todo.appendleft(self._replacement(slot, row, seed, str(result.error)))
                    continue
                flip = bool(result.info.get("flip", False))
                frames = torch.from_numpy(result.arrays[0]).to(self.device)
                clip = transforms.to_clip(frames, self.size, flip)
                ready[slot] = (clip, row, seed, str(result.info.get("backend")))
                while lowest + self.batch <= end and all(s in ready for s in range(lowest, lowest + self.batch)):
                    parts = [ready.pop(s) for s in range(lowest, lowest + self.batch)]
                    lowest += self.batch
                    # not when they are decoded: what was fetched ahead is fetched again by a run that goes on from here
                    self.replaced.draws += sum(seed[-1] for _, _, seed, _ in parts)
                    self.decoders.update(decoder for *_, decoder in parts)
                    yield Batch(torch.stack([p[0] for p in parts]), [p[1] for p in parts], [p[2] for p in parts])

    def _requests(
        self,
        todo: deque[Draw],
        in_flight: dict[int, Draw],
    ) -> Iterator[Any]:
        number = 0
        while todo:
            entry = todo.popleft()
            in_flight[number] = entry
            number += 1
            yield self.make_request(entry[1], entry[2])

    def _replacement(self, slot: int, row: int, seed: tuple[int, ...], reason: str) -> Draw:
        name = self._ids[row]
        if name not in self.replaced.reasons:
            self.replaced.reasons[name] = reason
            if self.on_broken is not None:
                self.on_broken(name, reason)
        broken = len(self.replaced.reasons)
        if broken > max(1, self.max_broken * self.index.count) or broken >= self.index.count:
            raise TooManyBroken(
                f"{broken} of {self.index.count} files of {self.index.name} cannot be decoded, more than the bound of "
                f"{100 * self.max_broken:.0f} %; the last: {name}: {reason}"
            )
        attempt = seed[-1] + 1
        if attempt > self.ATTEMPTS:
            raise TooManyBroken(f"{self.ATTEMPTS} replacements in a row cannot be decoded; the last: {name}: {reason}")
        drawn = np.random.default_rng((*seed[:-1], attempt)).integers(self.index.count)
        return slot, int(drawn), (*seed[:-1], attempt)
