"""In which order the frames of a clip are shown: controls of what is made of time. Every order has the same frames."""

from __future__ import annotations

from typing import get_args

import numpy as np

from sigma_bench.contracts import Order
from sigma_bench.data.clips import Indices

ORDERS: tuple[Order, ...] = get_args(Order)


def reorder(indices: Indices, order: str, rng: np.random.RandomState) -> Indices:
    """Return the frames of a clip as they are shown.

    Args:
        indices: The frames in their order of time.
        order: `natural`; `reversed`, the last first; `shuffled`, a random permutation; `frozen`, the middle one (of an
            even number the later of the two) all the time.
        rng: Source of the permutation; drawn from only where it is needed.

    Raises:
        ValueError: No such order.
    """
    if order == "natural":
        return indices
    if order == "reversed":
        return indices[::-1].copy()
    if order == "shuffled":
        return indices[rng.permutation(len(indices))]
    if order == "frozen":
        return np.full_like(indices, indices[len(indices) // 2])
    raise ValueError(f"order '{order}' is unknown; expected one of {', '.join(ORDERS)}")
