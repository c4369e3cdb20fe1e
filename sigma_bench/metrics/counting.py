"""How far counts of repetitions are off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

OFF_BY = 1
"""Counts that are no further off are right by the off-by-one measure."""


class CountErrors(NamedTuple):
    """Errors of N counts.

    Attributes:
        relative_N: |count - truth| / truth.
        within_one_N: Whether a count is at most 1 off.
        mean: Mean of the relative errors: the "counting error", lower is better, no unit.
        deviation: Their population standard deviation.
        mean_over: Mean relative error of the counts that are too large; 0 where none is.
        mean_under: The same of those too small.
        obo: Share of counts at most 1 off ("off-by-one accuracy").
    """

    relative_N: NDArray[np.float64]
    within_one_N: NDArray[np.bool_]
    mean: float
    deviation: float
    mean_over: float
    mean_under: float
    obo: float


def count_errors(counts_N: ArrayLike, truth_N: ArrayLike) -> CountErrors:
    """Return the errors of counts against the true numbers of repetitions.

    Raises:
        ValueError: There is no count, or a true number below 1, to which no error is relative.

    Source: `val_2stream.py` of the code of Zhang et al., CVPR 2020 (there MAE, MAEP, MAEN, OBOA).
    """
    counts, truth = np.asarray(counts_N, dtype=np.float64), np.asarray(truth_N, dtype=np.float64)
    if counts.shape != truth.shape or counts.ndim != 1 or not len(counts):
        raise ValueError(f"counts {counts.shape} of true numbers {truth.shape}; expected one each, at least one")
    if not (truth >= 1).all():
        raise ValueError(f"a true number of {truth.min():g}; expected at least 1")
    off = np.abs(counts - truth)
    relative = off / truth
    return CountErrors(
        relative,
        off <= OFF_BY,
        float(relative.mean()),
        float(relative.std()),
        _mean(relative[counts > truth]),
        _mean(relative[counts < truth]),
        float((off <= OFF_BY).mean()),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
