"""The windows that counting is trained on: where one begins, and where it goes on by what the network says of it.

Source: `train_2stream.py` of the code of Zhang et al., CVPR 2020; whole numbers truncate as there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sigma_bench.data.cycle_targets import IGNORED
from sigma_bench.evaluators.counting.inference import SCALES, SHORTEST, TRIES

STRIDES = (5.0, 20.0)
"""A window moves by a share of its segment's frames: one over a number drawn between these."""


class Moved(NamedTuple):
    """Windows after a step.

    Attributes:
        windows_N3: l, m, r, whole numbers.
        done_N: Whether the middle has passed the end of the segment.
        fail_N: Whether a cycle has become too short.
    """

    windows_N3: NDArray[np.int64]
    done_N: NDArray[np.bool_]
    fail_N: NDArray[np.bool_]


def move(
    windows_N3: ArrayLike, factor1_N: ArrayLike, factor2_N: ArrayLike, step_N: ArrayLike, count_N: ArrayLike
) -> Moved:
    """Return windows moved on, their two cycles made longer or shorter.

    Args:
        windows_N3: l, m, r of each window.
        factor1_N: Factor of the length m - l + 1.
        factor2_N: Factor of the length r - m.
        step_N: Frames by which the middle moves.
        count_N: Frames of the segment.
    """
    left, middle, right = np.asarray(windows_N3, dtype=np.float64).reshape(-1, 3).T
    length1, length2 = (middle - left + 1) * np.asarray(factor1_N), (right - middle) * np.asarray(factor2_N)
    middle = np.trunc(middle + np.asarray(step_N))
    left, right = np.trunc(middle - length1 + 1), np.trunc(middle + length2)
    fail = (middle - left + 1 < SHORTEST) | (right - middle < SHORTEST)
    return Moved(np.stack([left, middle, right], axis=1).astype(np.int64), middle >= np.asarray(count_N), fail)


def draw_step(count: int, rng: np.random.Generator) -> int:
    """Return the frames by which a window moves on in a segment of `count` frames."""
    return int(max(count / rng.uniform(*STRIDES), 1))


def draw_window(count: int, cycles: float, distance: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a window (3,) to begin with, about the cycle that begins with a segment, inside the segment.

    The true length is the distance from the first frame to the same moment of the next cycle; where it is undefined,
    the segment's frames over its cycles. The window begins at a frame of that cycle, with both its cycles of one
    length: the true one times 2^U(-1, 1) (one quarter of the draws), the true one times 2^e + U(-0.05, 0.05) with e of
    -1, 0, 1 (one quarter), or one of a scale of shares of the segment. One that would pass the end of the segment
    becomes that of the segment's first cycle, or of its first half.

    Args:
        count: Frames of the segment, at least 2.
        cycles: Nominal cycles of the segment.
        distance: Distance to the next cycle at its first frame; `IGNORED` where undefined.
        rng: Source of the draws.

    Raises:
        ValueError: The segment has fewer than 2 frames, so that there are no two cycles in it.
    """
    if count < 2:
        raise ValueError(f"a segment of {count} frames; expected at least 2")
    true = count / cycles if distance == IGNORED else float(distance)
    left = int(rng.random() * true)
    length = _length(count, true, rng)
    middle = left + max(int(length - 1), 0)
    if middle >= count:
        left, middle = 0, int(count / cycles - 1)
    if 2 * middle + 1 >= count:
        left, middle = 0, int(count / 2 - 1)
    return np.array([left, middle, middle + (middle - left + 1)])


def _length(count: int, true: float, rng: np.random.Generator) -> float:
    kind = rng.random()
    if kind < 0.25:
        return float(true * 2 ** rng.uniform(-1, 1))
    if kind > 0.75:
        return float(true * (2.0 ** rng.integers(-1, 2) + rng.uniform(-0.05, 0.05)))
    shortest, longest = SCALES
    return float(count * shortest * (longest / shortest) ** (rng.integers(0, TRIES + 1) / (TRIES - 1)))
