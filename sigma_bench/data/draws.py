"""Which videos a process shows in which order, and the seed words of each draw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sigma_bench.contracts import UserError

Words = tuple[int, ...]
"""Seed words. Of a draw: seed, epoch, place of the video in the order of the epoch, attempt. Of a clip: those of its
draw and, from the second repeat on, the number of the repeat."""

DRAW_WORDS = 4
"""Seed words of a draw."""


@dataclass(frozen=True)
class Draw:
    """A video to be shown.

    Attributes:
        slot: Its place among the videos of this process in the epoch.
        row: Its row in the index.
        words: Its seed words; the last is the number of the attempt, 0 but for replacements.
    """

    slot: int
    row: int
    words: Words


class Draws:
    """The data order of one process of a training; it depends on nothing but these numbers.

    Args:
        count: Videos of the training set.
        batch: Clips of a micro-batch, in one process.
        global_batch: Clips of an optimiser step, of all processes together.
        repeats: Clips of each draw.
        seed: Seed of the order.
        rank: This process.
        world: Number of processes.

    Raises:
        UserError: The clips of a step cannot be divided into such micro-batches.
    """

    def __init__(
        self, count: int, *, batch: int, global_batch: int, repeats: int, seed: int, rank: int, world: int
    ) -> None:
        _check_sizes(batch, global_batch, repeats, world)
        self.count, self.seed, self.rank, self.world = count, seed, rank, world
        self.videos, self.videos_per_step = batch // repeats, global_batch // repeats
        """Videos of a micro-batch, and of an optimiser step of all processes together."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch, which draws every video once, but for those that fill no whole step."""
        return max(1, self.count // self.videos_per_step)

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of an epoch in the order in which all processes together draw them."""
        wanted = self.steps_per_epoch * self.videos_per_step
        rng = np.random.default_rng((self.seed, epoch))
        passes = [rng.permutation(self.count) for _ in range(-(-wanted // self.count))]
        return np.concatenate(passes)[:wanted]

    def epoch(self, epoch: int, offset: int) -> list[Draw]:
        """Return the draws of an epoch in this process, those of the first `offset` micro-batches left out."""
        rows = self.order(epoch)
        # step by step, process by process: the clips of an optimiser step do not depend on the number of processes
        mine = np.arange(len(rows)).reshape(-1, self.world, self.videos)[:, self.rank].reshape(-1).tolist()
        slots = range(offset * self.videos, len(mine))
        return [Draw(slot, int(rows[mine[slot]]), (self.seed, epoch, mine[slot], 0)) for slot in slots]

    def replacement(self, draw: Draw) -> Draw:
        """Return what is drawn where a video cannot be decoded: the next attempt, any video of the set."""
        words = (*draw.words[:-1], draw.words[-1] + 1)
        return replace(draw, row=int(np.random.default_rng(words).integers(self.count)), words=words)


def clip_words(words: Words, repeat: int) -> Words:
    """Return the seed words of a clip of a draw. Those of the first are the draw's, as if it were the only one."""
    return (*words, repeat) if repeat else words


def _check_sizes(batch: int, global_batch: int, repeats: int, world: int) -> None:
    if global_batch % (repeats * world):
        of = f"{world} processes" + (f" x {repeats} repeats (clips.repeats)" if repeats > 1 else "")
        raise UserError(f"train.global_batch {global_batch} is not a multiple of {of}; expected one that is")
    if batch % repeats:
        found = f"train.micro_batch {batch} is not a multiple of clips.repeats {repeats}"
    elif global_batch % (batch * world):
        found = f"train.global_batch {global_batch} is not a multiple of {batch} clips x {world} processes"
    else:
        return
    fit = [n for n in range(repeats, global_batch // world + 1, repeats) if global_batch % (n * world) == 0]
    raise UserError(f"{found}; train.micro_batch may be {', '.join(map(str, fit))}")
