"""Random masks over the token grid."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Shuffler(Protocol):
    """A source of random orders: numpy's Generator and its older RandomState both are one."""

    def shuffle(self, x: Any) -> None:
        """Shuffle an array in place."""
        ...


def masked_per_slice(positions: int, ratio: float) -> int:
    """Return how many of the positions of one time slice are masked: `int(ratio * positions)`, so 176 of 196 at 0.9.

    Raises:
        ValueError: Nothing would be masked, or nothing would be left to see.
    """
    count = int(ratio * positions)
    if not 0 < count < positions:
        raise ValueError(f"a mask ratio of {ratio} over {positions} positions masks {count}; some must be, not all")
    return count


def tube_mask(grid: tuple[int, int, int], ratio: float, rng: Shuffler) -> NDArray[np.bool_]:
    """Return a boolean mask (T*H*W,), True = masked, that hides the same positions in every time slice.

    Args:
        grid: Tokens along time, height and width.
        ratio: Share of the positions that is masked, rounded down.
        rng: Shuffles one float array a call, which is the draw of the released code.
    """
    slices, height, width = grid
    positions = height * width
    count = masked_per_slice(positions, ratio)
    order = np.hstack([np.zeros(positions - count), np.ones(count)])
    rng.shuffle(order)
    return np.tile(order.astype(bool), slices)
