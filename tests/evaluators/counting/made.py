"""A small counting problem without files: a bar that blinks with a period of its own in every video."""

import numpy as np
import torch

from sigma_bench.data.cycle_segments import draw_segment
from sigma_bench.data.cycle_targets import ANCHORS
from sigma_bench.data.repetition import cycle_offsets
from sigma_bench.evaluators.counting.objective import Counting, Lesson
from sigma_bench.models.cycle_net import CycleNet
from sigma_bench.models.vit import VideoViT
from sigma_bench.train.distributed import Processes
from sigma_bench.train.plan import Plan

LENGTHS = (6, 9, 13, 20)


class Kept:
    """Stretches that are in memory."""

    def __init__(self):
        self.index = type("Index", (), {"ids": tuple(f"v{length}" for length in LENGTHS)})
        self.boundaries = [list(range(0, 5 * length + 1, length)) for length in LENGTHS]
        self.frames = {row: self._frames(length) for row, length in enumerate(LENGTHS)}
        self.asked = []

    def of(self, rows):
        self.asked.append(tuple(rows))
        return {row: self.frames[row] for row in rows}

    @staticmethod
    def _frames(length):
        frames = np.zeros((5 * length + 1, 16, 16, 3), np.uint8)
        phase = np.arange(len(frames)) / length * 2 * np.pi
        frames[:, 4:12, :8] = (127 + 120 * np.cos(phase))[:, None, None, None]
        return torch.from_numpy(frames)


class OneOf(Processes):
    """One of several processes whose others find the same: flags are its own, totals are told beforehand."""

    def __init__(self, rank, world):
        super().__init__()
        self.rank, self.world = rank, world

    def total(self, counts):
        return counts * self.world


def lessons(kept, each=3):
    made = []
    for row, boundaries in enumerate(kept.boundaries):
        following, previous = cycle_offsets(boundaries)
        rng = np.random.default_rng(row)
        for _ in range(each):
            part = draw_segment(boundaries, len(kept.frames[row]), rng)
            made.append(Lesson(row, part, following[part.start : part.end], previous[part.start : part.end]))
    return made


def objective(processes=None, *, each=3, batch=5, seed=0):
    torch.manual_seed(7)
    net = CycleNet(VideoViT(16, 8, 4, 2, 16, 1, 2), len(ANCHORS))
    kept = Kept()
    return Counting(net, lessons(kept, each), kept, batch=batch, anchors=ANCHORS, seed=seed, processes=processes)


def trained(objective, epochs=2, save_every=7, rate=1e-3):
    optimizer = torch.optim.Adam(objective.module.parameters(), lr=rate, weight_decay=1e-3, fused=True)
    per_epoch = objective.minibatches * 11
    rates = np.full(epochs * per_epoch, rate)
    plan = Plan(rates, per_epoch, 1, objective.batch, log_every=1, save_every=save_every, keep=99, epochs=epochs)
    return objective, optimizer, plan
