"""From the views of a sample to one row of scores: test-time aggregation."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from scipy.special import softmax


def mean_softmax(logits_NVC: np.ndarray) -> np.ndarray:
    """Return the mean over views of the softmax over classes, (N, C) float64.

    The rule of the VideoMAE family (`engine_for_finetuning.py`, `merge`).
    """
    _check(logits_NVC)
    probabilities_NVC: np.ndarray = softmax(logits_NVC.astype(np.float64), axis=-1)
    return np.asarray(probabilities_NVC.mean(1))


def mean_logit(logits_NVC: np.ndarray) -> np.ndarray:
    """Return the mean over views of the logits, (N, C) float64."""
    _check(logits_NVC)
    return np.asarray(logits_NVC.astype(np.float64).mean(1))


def maximum(scores_NVC: np.ndarray) -> np.ndarray:
    """Return for each class the greatest score of any view, (N, C) float64.

    The rule of SlowFast for classes that may be true together (`TEST.ENSEMBLE_METHOD: max`); of sigmoids or logits
    alike, since either rises with the other.
    """
    _check(scores_NVC)
    return np.asarray(scores_NVC.astype(np.float64).max(1))


AGGREGATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean_softmax": mean_softmax,
    "mean_logit": mean_logit,
    "maximum": maximum,
}
"""Rules by the name that a row of results holds."""


def grouped(scores_MC: np.ndarray, samples_M: np.ndarray) -> list[np.ndarray]:
    """Return the views of each sample, (V, C) each, where they come in any order and number.

    Args:
        scores_MC: One row a view.
        samples_M: Which sample each view shows, 0 and up; in the result samples are in this order.

    Raises:
        ValueError: The numbers of rows differ, or a sample between 0 and the greatest has no view.
    """
    samples_M = np.asarray(samples_M)
    if samples_M.shape != scores_MC.shape[:1]:
        raise ValueError(f"scores {scores_MC.shape} and samples {samples_M.shape}; expected (M, C) and (M,)")
    views = np.bincount(samples_M)
    if (views == 0).any():
        raise ValueError(f"{int((views == 0).sum())} of {len(views)} samples have no view")
    order = np.argsort(samples_M, kind="stable")
    return np.split(scores_MC[order], np.cumsum(views)[:-1])


def by_row(count: int, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Put together what several processes computed; a sample is known by its row in the index and by nothing else.

    Args:
        count: Samples of the index.
        parts: Of each process, the rows (n,) and their scores (n, C).

    Returns:
        Scores (count, C), NaN where there are none, and which rows are present, (count,) boolean.

    Raises:
        ValueError: A row comes twice, lies outside the index, or the parts do not fit each other.
    """
    held = [(np.asarray(rows, np.int64), scores) for rows, scores in parts]
    widths = {scores.shape[1] for _, scores in held}
    if len(widths) != 1 or any(len(rows) != len(scores) for rows, scores in held):
        raise ValueError(f"parts of shapes {[scores.shape for _, scores in held]} do not fit each other or their rows")
    every = np.concatenate([rows for rows, _ in held])
    if len(every) and not 0 <= every.min() <= every.max() < count:
        raise ValueError(f"rows {every.min()} to {every.max()}; the index has {count}")
    times = np.bincount(every, minlength=count)
    if (times > 1).any():
        raise ValueError(f"{int((times > 1).sum())} rows come more than once, the first is {int(np.argmax(times > 1))}")
    scores_NC = np.full((count, widths.pop()), np.nan)
    for rows, scores in held:
        scores_NC[rows] = scores
    return scores_NC, times.astype(bool)


def _check(logits_NVC: np.ndarray) -> None:
    if logits_NVC.ndim != 3 or 0 in logits_NVC.shape[1:]:
        raise ValueError(f"logits have shape {logits_NVC.shape}; expected (samples, views, classes)")
    if not np.isfinite(logits_NVC).all():
        raise ValueError(f"{int((~np.isfinite(logits_NVC)).any((1, 2)).sum())} samples have infinite or NaN logits")
