"""Values over the steps of a training: warm-up, then cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cosine_with_warmup(
    base: float, final: float, total_steps: int, warmup_steps: int, start: float = 0.0
) -> NDArray[np.float64]:
    """Return one value a step, (total_steps,).

    The warm-up runs linearly from `start` to `base`, both ends included; the cosine then starts at `base` again, so the
    peak is held for two steps, and ends one step short of `final`.

    Args:
        base: Peak value.
        final: Value the cosine tends to.
        total_steps: All steps, the warm-up included.
        warmup_steps: Steps of the warm-up; 0 for none.
        start: First value of the warm-up.

    Raises:
        ValueError: The warm-up is negative or longer than the training.
    """
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"a warm-up of {warmup_steps} steps does not fit into {total_steps} steps")
    left = total_steps - warmup_steps
    cosine = final + 0.5 * (base - final) * (1 + np.cos(np.pi * np.arange(left) / max(left, 1)))
    return np.concatenate((np.linspace(start, base, warmup_steps), cosine))
