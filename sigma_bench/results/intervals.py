"""Intervals of several rows -> that of their mean, over test samples and seeds together (`docs/statistics.md`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import stdtrit

from sigma_bench.results.row import Row
from sigma_bench.results.stats import CONFIDENCE

Ends = tuple[float, float]


def replicates(rows: Sequence[Row]) -> list[float]:
    """Return the values that a mean is over: of one set of weights its seeds, of several the mean of each.

    Seeds of an evaluation repeat the same weights, so where there are several weights these are what is independent.
    """
    by_weights: dict[str, list[float]] = {}
    for row in rows:
        if row.value is not None:
            by_weights.setdefault(row.checkpoint_sha256, []).append(row.value)
    if len(by_weights) == 1:
        return next(iter(by_weights.values()))
    return [math.fsum(values) / len(values) for values in by_weights.values()]


def of_rows(rows: Sequence[Row]) -> Ends | None:
    """Return the 95 % interval of the mean of rows of one system, None where one of them has none.

    Of one row its own. Of several the mean of their half widths, which the error of a mean over the same test samples
    cannot exceed, and Student's half width over the replicates are joined as the root of the sum of their squares.
    """
    found = [
        (row.value, row.interval_low, row.interval_high)
        for row in rows
        if row.value is not None and row.interval_low is not None and row.interval_high is not None
    ]
    if not found or len(found) < len(rows):
        return None
    if len(found) == 1:
        return found[0][1:]
    values = replicates(rows)
    mean, seeds = math.fsum(values) / len(values), seeds_half_width(values)
    below = math.hypot(math.fsum(value - low for value, low, _ in found) / len(found), seeds)
    above = math.hypot(math.fsum(high - value for value, _, high in found) / len(found), seeds)
    return max(0.0, mean - below), mean + above if mean > 100 else min(100.0, mean + above)


def seeds_half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Return Student's half width of the mean of independent values, 0 for a single one."""
    n = len(values)
    if n < 2:
        return 0.0
    return _quantile(confidence, n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)


@lru_cache
def _quantile(confidence: float, freedom: int) -> float:
    """Return Student's two-sided quantile; tables ask for a few of them a thousand times."""
    return float(stdtrit(freedom, (1 + confidence) / 2))


def of_mean(value: float, parts: Sequence[tuple[float, Ends | None]]) -> Ends | None:
    """Return the interval of the mean of several tasks, None where one of them has none.

    The half width is the mean of theirs: it cannot be more, however the tasks depend on each other (some of SEVERE's
    share test videos).

    Args:
        value: The mean.
        parts: Of each task its value and interval, in the unit of the mean.
    """
    halves = [(part - ends[0], ends[1] - part) for part, ends in parts if ends is not None]
    if not halves or len(halves) < len(parts):
        return None
    below, above = (math.fsum(side) / len(halves) for side in zip(*halves, strict=True))
    return value - below, value + above
