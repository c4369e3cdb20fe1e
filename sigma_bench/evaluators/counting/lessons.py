"""From annotated videos to the segments that counting is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data.cycle_segments import FEWEST_CYCLES, draw_segment
from sigma_bench.data.index import Index
from sigma_bench.data.repetition import cycle_offsets
from sigma_bench.evaluators.counting.frames import Stretches
from sigma_bench.evaluators.counting.objective import Lesson
from sigma_bench.evaluators.samples import Lists


@dataclass(frozen=True)
class Lessons:
    """The segments of a training list, and what a reader must know of those that there are not.

    Attributes:
        segments: What is trained on, by row.
        counts: True repetitions of each video that is trained on.
        marks: What is missing of the list.
    """

    segments: list[Lesson]
    counts: list[int]
    marks: tuple[str, ...]


def boundaries(index: Index) -> list[list[int]]:
    """Return the boundaries of every sample, counted within its stretch; empty where it has none."""
    starts, given = (index.table[name].to_pylist() for name in ("start", "boundaries"))
    return [[frame - (start or 0) for frame in bounds or ()] for start, bounds in zip(starts, given, strict=True)]


def repetitions(index: Index) -> list[int]:
    """Return the true number of every sample: one less than its boundaries, 0 where it has none."""
    return [max(0, len(bounds) - 1) for bounds in boundaries(index)]


def check(task: Any, lists: Lists) -> None:
    """Refuse lists without annotated repetitions.

    Raises:
        UserError: A list is empty, or none of its samples has a repetition.
    """
    for index in (lists.train, lists.test):
        where = f"{task.id}: list '{index.split}' of {index.name} in {index.root}"
        if index.count == 0:
            raise UserError(f"{where} is empty; expected videos to train and test on. Is the list file complete?")
        if not any(repetitions(index)):
            raise UserError(
                f"{where}: none of its {index.count} samples has boundaries of repetitions; expected a list such as "
                "that of ucfrep. Name one in dataset.train or dataset.test"
            )


def lessons(stretches: Stretches, segments: int, longest: int, seed: int) -> Lessons:
    """Return the segments of a list that was read.

    Those of a video depend on the seed and its row alone, whatever becomes of the others.

    Args:
        stretches: The list and its frames.
        segments: Segments of each video.
        longest: Frames of the longest.
        seed: Seed of the draws.
    """
    index, found, counts, few = stretches.index, [], [], 0
    for row, bounds in enumerate(boundaries(index)):
        if len(bounds) - 1 < FEWEST_CYCLES:
            few += 1
            continue
        if row not in stretches.counts:
            continue
        following, previous = cycle_offsets(bounds)
        shift = bounds[0]
        rng = np.random.default_rng((seed, row))
        drawn = [draw_segment(bounds, stretches.counts[row], rng, longest) for _ in range(segments)]
        own = [
            Lesson(
                row, part, _part(following, shift, part.start, part.end), _part(previous, shift, part.start, part.end)
            )
            for part in drawn
            if part.frames >= FEWEST_CYCLES
        ]
        found += own
        counts += [len(bounds) - 1] * bool(own)
    return Lessons(found, counts, _marks(stretches, few))


def _part(distances: np.ndarray, shift: int, start: int, end: int) -> np.ndarray:
    """Return the distances of a segment; they begin with the first boundary, the segment may begin before it."""
    frames = np.arange(start, end) - shift
    inside = (frames >= 0) & (frames < len(distances))
    return np.where(inside, distances[frames.clip(0, len(distances) - 1)], -1)


def _marks(stretches: Stretches, few: int) -> tuple[str, ...]:
    count, marks = stretches.index.count, []
    if stretches.errors:
        marks.append(f"{len(stretches.errors)} of {count} training videos not decoded")
    if few:
        marks.append(f"{few} of {count} training videos with fewer than {FEWEST_CYCLES} repetitions, not trained on")
    if stretches.cut:
        marks.append(f"{len(stretches.cut)} of {count} training videos end before their annotation does")
    return tuple(marks)
