"""Values over the steps of a training: warm-up, then a cosine or steps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

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


def stepped_with_warmup(
    epochs_N: NDArray[np.float64],
    base: float,
    steps: Sequence[float],
    factors: Sequence[float],
    warmup_epochs: float = 0.0,
    start: float = 0.0,
) -> NDArray[np.float64]:
    """Return the values at some moments of a training, (N,).

    From `steps[k]` on, that epoch included, the value is `base * factors[k]`, and `base` before the first. During the
    warm-up it runs linearly from `start` to what it is at the warm-up's end. The rule of SlowFast's
    `steps_with_relative_lrs`; with the powers of one factor that of torch's `MultiStepLR`.

    Args:
        epochs_N: Moments in epochs; fractions are within an epoch.
        base: Value before the first step.
        steps: Epochs from which the value is another, ascending.
        factors: The value then, over `base`.
        warmup_epochs: Length of the warm-up.
        start: First value of the warm-up.

    Raises:
        ValueError: The numbers of steps and factors differ, steps do not ascend, or the warm-up is negative.
    """
    if len(steps) != len(factors) or any(b <= a for a, b in itertools.pairwise(steps)):
        raise ValueError(f"steps {list(steps)} with factors {list(factors)}; expected ascending steps, a factor each")
    if warmup_epochs < 0:
        raise ValueError(f"a warm-up of {warmup_epochs} epochs; expected 0 or more")
    levels = base * np.array([1.0, *factors])
    values = levels[np.searchsorted(np.asarray(steps, np.float64), epochs_N, side="right")]
    if warmup_epochs > 0:
        reached = levels[np.searchsorted(np.asarray(steps, np.float64), warmup_epochs, side="right")]
        values = np.where(epochs_N < warmup_epochs, start + (reached - start) / warmup_epochs * epochs_N, values)
    return values
