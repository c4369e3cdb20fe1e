"""Counting as an objective of the training loop: its next windows depend on what it said of the last ones.

A minibatch of segments is unrolled: each has a window, every optimiser step is one forward pass over the windows of
all, and then each window moves on as the network says. It ends when every segment was passed through once, or after
`UNROLL` steps. All draws depend on seed, epoch, minibatch, place in it and step alone, so the windows of a step depend
neither on the number of processes nor on a resume.

Source: `train_2stream.py` of the code of Zhang et al., CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sigma_bench.contracts import EncoderSpec, UserError
from sigma_bench.data.cycle_segments import Segment
from sigma_bench.data.cycle_targets import IGNORED, Targets, distances_at, targets
from sigma_bench.evaluators.counting.clips import clips_of
from sigma_bench.evaluators.counting.frames import Stretches
from sigma_bench.evaluators.counting.inference import Sides
from sigma_bench.evaluators.counting.states import draw_step, draw_window, move
from sigma_bench.losses.cycles import side_loss
from sigma_bench.models.cycle_net import CycleNet, Cycles
from sigma_bench.train.distributed import Processes

UNROLL = 11
"""Steps of a minibatch at most."""
LIMIT = 2.0
"""Largest logarithm of a factor by which a window is changed, either way."""


@dataclass(frozen=True)
class Lesson:
    """A segment to train on.

    Attributes:
        row: Row of its video.
        segment: Which part of the stretch.
        following: Distance of each of its frames to the next cycle, `IGNORED` where undefined.
        previous: The same to the previous cycle.
    """

    row: int
    segment: Segment
    following: NDArray[np.int64]
    previous: NDArray[np.int64]


@dataclass(frozen=True)
class Tracks:
    """The windows of a minibatch in one process, and how far it has come.

    Attributes:
        epoch: Epoch.
        minibatch: Its number in the epoch.
        step: Steps done of it.
        before: Optimiser steps of the epoch before it.
        places: Places in the minibatch of the segments of this process.
        windows_N3: Their windows.
        done_N: Which segments were passed through.
    """

    epoch: int
    minibatch: int
    step: int
    before: int
    places: tuple[int, ...]
    windows_N3: NDArray[np.int64]
    done_N: NDArray[np.bool_]


class Batch(NamedTuple):
    """The windows of an optimiser step in one process, and the totals over all processes that losses are divided by.

    Attributes:
        tracks: Where the windows are; of a process without segments none, and it shows one that has no targets.
        lessons: Their segments.
        clips: What the network is shown (N, 3, T, S, S).
        sides: Targets of the two sides.
        known: Anchors with a target of either side, over the number of processes.
        rows: Windows, over the number of processes.
    """

    tracks: Tracks
    lessons: list[Lesson]
    clips: torch.Tensor
    sides: tuple[Targets, Targets]
    known: tuple[float, float]
    rows: float


class Counting:
    """Trains a `CycleNet` on segments of annotated videos.

    Args:
        net: The network, on the device of `processes`.
        lessons: The segments, the same in all processes.
        stretches: The frames of their videos.
        batch: Segments of a minibatch, of all processes together.
        anchors: Multiples of a length that are judged.
        seed: Seed of order, mirroring, windows and steps.
        processes: Those that train together; None: this one.
        flip: Mirror half of the segments.
        unroll: Steps of a minibatch at most.
    """

    surveys = False

    def __init__(
        self,
        net: CycleNet,
        lessons: Sequence[Lesson],
        stretches: Stretches,
        *,
        batch: int,
        anchors: Sequence[float],
        seed: int,
        processes: Processes | None = None,
        flip: bool = True,
        unroll: int = UNROLL,
    ) -> None:
        self.module: nn.Module = net
        self.net: nn.Module = net
        self.watch = False
        self.lessons, self.stretches, self.batch, self.seed, self.flip = list(lessons), stretches, batch, seed, flip
        self.anchors, self.unroll = tuple(anchors), unroll
        self.processes = processes or Processes()
        self._side = net.side
        self._spec: EncoderSpec = net.encoder.spec
        self._tracks: Tracks | None = None

    @property
    def minibatches(self) -> int:
        """Minibatches of an epoch; the last one may be smaller."""
        return -(-len(self.lessons) // self.batch)

    def batches(self, epoch: int, offset: int) -> Iterator[Batch]:
        """Yield the windows of an epoch step by step, the first `offset` steps left out; `step` moves them on.

        Raises:
            UserError: What was taken back with `load_state_dict` is of another step.
        """
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.lessons))
        resumed, self._tracks = self._tracks if offset else None, None
        if offset and (resumed is None or (resumed.epoch, resumed.before + resumed.step) != (epoch, offset)):
            raise UserError(f"the windows of step {offset} of epoch {epoch} are not known; put the checkpoint back")
        before = resumed.before if resumed else 0
        for minibatch in range(resumed.minibatch if resumed else 0, self.minibatches):
            picked = [self.lessons[k] for k in order[minibatch * self.batch : (minibatch + 1) * self.batch]]
            tracks = resumed or self._begun(epoch, minibatch, before, picked)
            resumed = None
            places = tracks.places or (0,)
            frames = self.stretches.of([picked[place].row for place in places])
            self._tracks = tracks
            while self._goes_on(tracks):
                yield self._made(tracks, picked, frames)
                tracks = self._tracks
            before += tracks.step

    def survey(self, batches: Sequence[Batch]) -> None:
        """Do nothing: no step depends on several micro-batches."""

    def origin(self, batch: Batch) -> dict[str, Any]:
        """Return which segments a step shows, and in which windows."""
        ids = [self.stretches.index.ids[lesson.row] for lesson in batch.lessons]
        parts = [[lesson.segment.start, lesson.segment.end] for lesson in batch.lessons]
        return {"ids": ids, "segments": parts, **_plain(batch.tracks)}

    def step(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """Return the losses of the windows, and move them on.

        Each is the loss over the windows of all processes, seen from this one: their mean is what is minimised.
        """
        said: Cycles = self.net(batch.clips)
        losses = []
        outputs = ((said.logits1_B2A, said.boxes1_BA), (said.logits2_B2A, said.boxes2_BA))
        for (logits, boxes), wanted, known in zip(outputs, batch.sides, batch.known, strict=True):
            fits = torch.from_numpy(wanted.fits_NA).to(boxes.device)
            factors = torch.from_numpy(wanted.factor_NA).to(boxes.device, torch.float32)
            losses.append(side_loss(logits, boxes, fits, factors, known, batch.rows))
        fit, box = (first + second for first, second in zip(*losses, strict=True))
        self._tracks = self._moved(batch, sides_of(said))
        return {"loss": fit + box, "fit": fit.detach(), "box": box.detach()}

    def watched(self) -> dict[str, float]:
        """Return nothing beside the losses."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the windows of this process."""
        return _plain(self._tracks) if self._tracks is not None else {}

    def merge(self, states: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the windows of all processes, by their place in the minibatch."""
        if not states[0]:
            return {}
        every = sorted(
            (place, window, done)
            for state in states
            for place, window, done in zip(state["places"], state["windows"], state["done"], strict=True)
        )
        places, windows, done = (list(column) for column in zip(*every, strict=True))
        return {**states[0], "places": places, "windows": windows, "done": done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the windows back that fall to this process; there may be more or fewer processes than before."""
        if not state:
            self._tracks = None
            return
        mine = self._share(len(state["places"]))
        self._tracks = Tracks(
            epoch=int(state["epoch"]),
            minibatch=int(state["minibatch"]),
            step=int(state["step"]),
            before=int(state["before"]),
            places=tuple(mine),
            windows_N3=np.array([state["windows"][k] for k in mine], np.int64).reshape(-1, 3),
            done_N=np.array([state["done"][k] for k in mine], bool),
        )

    def _share(self, count: int) -> range:
        return range(self.processes.rank, count, self.processes.world)

    def _rng(self, tracks: Tracks, place: int, step: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, tracks.epoch, tracks.minibatch, place, step))

    def _begun(self, epoch: int, minibatch: int, before: int, picked: Sequence[Lesson]) -> Tracks:
        places = tuple(self._share(len(picked)))
        empty = np.zeros((len(places), 3), np.int64)
        tracks = Tracks(epoch, minibatch, 0, before, places, empty, np.zeros(len(places), bool))
        windows = [self._first(picked[place], self._rng(tracks, place, 0)) for place in places]
        return replace(tracks, windows_N3=np.array(windows, np.int64).reshape(-1, 3))

    def _first(self, lesson: Lesson, rng: np.random.Generator) -> NDArray[np.int64]:
        return draw_window(lesson.segment.frames, lesson.segment.cycles, int(lesson.following[0]), rng)

    def _goes_on(self, tracks: Tracks) -> bool:
        (open_,) = self.processes.any(not tracks.done_N.all())
        return tracks.step < self.unroll and open_

    def _made(self, tracks: Tracks, picked: Sequence[Lesson], frames: Mapping[int, torch.Tensor]) -> Batch:
        idle = not tracks.places
        places = tracks.places or (0,)
        lessons = [picked[place] for place in places]
        windows = np.array([[0, 0, 1]]) if idle else tracks.windows_N3
        parts = [frames[lesson.row][lesson.segment.start : lesson.segment.end] for lesson in lessons]
        flips = np.array([self._flipped(tracks, place) for place in places])
        clips = clips_of(parts, windows, self._side, self._spec, self.processes.device, flips)
        sides = self._targets(lessons, windows, idle)
        counts = [float((side.fits_NA != IGNORED).sum()) for side in sides]
        world = self.processes.world
        totals = self.processes.total(torch.tensor([*counts, float(len(tracks.places))], dtype=torch.float64)) / world
        first, second, rows = totals.tolist()
        return Batch(tracks, lessons, clips, sides, (first, second), rows)

    def _flipped(self, tracks: Tracks, place: int) -> bool:
        return self.flip and bool(self._rng(tracks, place, self.unroll + 1).random() < 0.5)

    def _targets(self, lessons: Sequence[Lesson], windows: NDArray[np.int64], idle: bool) -> tuple[Targets, Targets]:
        left, middle, right = windows.T
        before = [distances_at(lesson.previous, m) for lesson, m in zip(lessons, middle, strict=True)]
        after = [distances_at(lesson.following, m + 1) for lesson, m in zip(lessons, middle, strict=True)]
        if idle:
            before, after = [IGNORED], [IGNORED]
        return targets(before, middle - left + 1, self.anchors), targets(after, right - middle, self.anchors)

    def _moved(self, batch: Batch, said: Sides) -> Tracks:
        tracks = replace(batch.tracks, step=batch.tracks.step + 1)
        if not tracks.places:
            return tracks
        rngs = [self._rng(tracks, place, tracks.step) for place in tracks.places]
        counts = [lesson.segment.frames for lesson in batch.lessons]
        strides = [draw_step(count, rng) for count, rng in zip(counts, rngs, strict=True)]
        factor1, factor2 = said.factors(self.anchors, LIMIT)
        moved = move(tracks.windows_N3, factor1, factor2, strides, counts)
        windows = moved.windows_N3
        for k in np.flatnonzero(moved.done_N | moved.fail_N):
            windows[k] = self._first(batch.lessons[k], rngs[k])
        return replace(tracks, windows_N3=windows, done_N=tracks.done_N | moved.done_N)


def sides_of(said: Cycles) -> Sides:
    """Return the probabilities and boxes of a network on the CPU, float32."""
    scores = [logits.detach().float().softmax(1)[:, 1] for logits in (said.logits1_B2A, said.logits2_B2A)]
    boxes = [boxes.detach().float() for boxes in (said.boxes1_BA, said.boxes2_BA)]
    first, box1, second, box2 = torch.stack([scores[0], boxes[0], scores[1], boxes[1]]).cpu().numpy()
    return Sides(first, box1, second, box2)


def _plain(tracks: Tracks) -> dict[str, Any]:
    return {
        "epoch": tracks.epoch,
        "minibatch": tracks.minibatch,
        "step": tracks.step,
        "before": tracks.before,
        "places": list(tracks.places),
        "windows": tracks.windows_N3.tolist(),
        "done": tracks.done_N.tolist(),
    }
