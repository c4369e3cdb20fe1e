"""Parts of annotated videos on which counting is trained: several a video, drawn once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LONGEST = 300
"""Frames of the longest part."""
FEWEST_CYCLES = 2
"""A video of fewer has no part that holds a cycle and its neighbour."""


class Segment(NamedTuple):
    """A part of a stretch: its frames `start` to `end` - 1, counted within the stretch, and its nominal cycles."""

    start: int
    end: int
    cycles: int

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.end - self.start


def draw_segment(boundaries: Sequence[int], frames: int, rng: np.random.Generator, longest: int = LONGEST) -> Segment:
    """Return a random part of at least two cycles.

    With the boundaries B_0 to B_K: i is uniform in 0 to K - 2 and j in i + 2 to K + 1. The part begins with the first
    frame if i = 0, else anywhere from B_(i-1) to B_i; it ends with the last frame if j = K + 1, else anywhere from
    B_(j-1) to B_j, and after `longest` frames at the latest. It counts as j - i cycles, also where it was cut.

    Args:
        boundaries: Frames of the stretch at which a cycle begins, and the last frame of the last one, ascending.
        frames: Frames of the stretch; boundaries past its end, of a file shorter than its annotation, count as its
            last frame.
        rng: Source of the four draws.
        longest: Frames of the longest part.

    Raises:
        ValueError: There are fewer than two cycles.

    Source: `make_dataset` of the code of Zhang et al., CVPR 2020.
    """
    last = len(boundaries) - 1
    if last < FEWEST_CYCLES:
        raise ValueError(f"{len(boundaries)} boundaries; expected at least {FEWEST_CYCLES + 1}")
    i = int(rng.integers(0, last - 1))
    j = int(rng.integers(i + 2, last + 2))
    start = 0 if i == 0 else _between(boundaries, i, rng)
    end = frames - 1 if j == last + 1 else _between(boundaries, j, rng)
    start, end = min(start, frames - 1), min(end, frames - 1)
    return Segment(start, min(end, start + longest - 1) + 1, j - i)


def _between(boundaries: Sequence[int], number: int, rng: np.random.Generator) -> int:
    return int(rng.integers(boundaries[number - 1], boundaries[number] + 1))
