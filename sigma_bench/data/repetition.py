"""How far each frame of a repeated motion is from the same moment of the next and of the previous cycle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SMALL_CHANGE = 2
"""Frames by which the lengths of two cycles in a row may always differ."""
RATIO = 1.3
"""Quotient of the longer and the shorter of them above which, beyond `SMALL_CHANGE`, no distance is defined."""


def cycle_offsets(boundaries: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each frame's distance to the corresponding frame of the next and of the previous cycle.

    Between two boundaries the distance goes linearly from the length of the earlier cycle of the pair to that of the
    later one, rounded half up. There is none in the last cycle (next) and in the first (previous), nor where
    neighbouring cycles differ too much. The frame of the last boundary counts to the last cycle, every other one to
    the cycle that begins with it. These are `offset_next_estimate` and `offset_pre_estimate` of UCFRep's annotations,
    all 87,490 values of each.

    Args:
        boundaries: Frames at which a cycle begins, and the last frame of the last one; ascending, at least two.

    Returns:
        Two arrays (n,) for the n frames from the first boundary to the last, both included; -1 where undefined.
    """
    bounds = np.asarray(boundaries, dtype=np.int64)
    bounds = bounds - bounds[0]
    following = np.full(bounds[-1] + 1, -1, dtype=np.int64)
    previous = following.copy()
    for cycle in range(len(bounds) - 2):
        left, middle, right = bounds[cycle : cycle + 3]
        early, late = middle - left, right - middle
        longer, shorter = max(early, late), min(early, late)
        if longer - shorter > SMALL_CHANGE and longer > RATIO * shorter:
            continue
        following[left:middle] = _between(early, late, early)[:-1]
        stop = right + 1 if cycle == len(bounds) - 3 else right
        previous[middle:stop] = _between(early, late, late)[: stop - middle]
    return following, previous


def _between(first: np.int64, last: np.int64, steps: np.int64) -> NDArray[np.int64]:
    """Return the whole numbers nearest to the line from `first` to `last` in so many steps, both ends included."""
    along = np.arange(steps + 1, dtype=np.int64)
    return (2 * (first * steps + along * (last - first)) + steps) // (2 * steps)
