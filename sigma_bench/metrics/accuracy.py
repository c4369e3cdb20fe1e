"""Accuracies of class predictions, in percent."""

from __future__ import annotations

import numpy as np


def top1(predictions_N: np.ndarray, labels_N: np.ndarray) -> float:
    """Return the share of right predictions, in percent; NaN for no samples."""
    return float(100 * np.mean(predictions_N == labels_N)) if len(labels_N) else float("nan")


def hits(scores_NC: np.ndarray, labels_N: np.ndarray, k: int = 1) -> np.ndarray:
    """Return for each sample whether its label is among the `k` best scores; of equal scores the first class is better.

    Raises:
        ValueError: The numbers of scores and labels differ, a label has no score, a score is NaN, or `k` is below 1.
    """
    if scores_NC.ndim != 2 or labels_N.shape != scores_NC.shape[:1]:
        raise ValueError(f"scores {scores_NC.shape} and labels {labels_N.shape}; expected (N, C) and (N,)")
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1")
    if len(labels_N) and not 0 <= labels_N.min() <= labels_N.max() < scores_NC.shape[1]:
        raise ValueError(f"labels {labels_N.min()} to {labels_N.max()}; there are {scores_NC.shape[1]} classes")
    if np.isnan(scores_NC).any():
        raise ValueError(f"{int(np.isnan(scores_NC).any(1).sum())} of {len(scores_NC)} samples have undefined scores")
    best = np.argsort(-scores_NC, axis=1, kind="stable")[:, :k]
    found: np.ndarray = (best == labels_N[:, None]).any(1)
    return found


def top_k(scores_NC: np.ndarray, labels_N: np.ndarray, k: int = 1) -> float:
    """Return the share of samples whose label is among the `k` best scores, in percent; NaN for no samples."""
    return float(100 * hits(scores_NC, labels_N, k).mean()) if len(labels_N) else float("nan")


def mean_class(hits_N: np.ndarray, labels_N: np.ndarray, classes: int | None = None) -> float:
    """Return the mean over classes of the share of hits, in percent; NaN for no samples.

    Args:
        hits_N: Whether each sample is right.
        labels_N: Its class.
        classes: Number of classes over which the mean is taken, one without samples counting 0, as the released
            SEVERE code has it (`test.py`). None: over the classes that have samples, which is the measure.
    """
    if not len(labels_N):
        return float("nan")
    _, places = np.unique(labels_N, return_inverse=True)
    shares = np.bincount(places, weights=hits_N) / np.bincount(places)
    return float(100 * shares.sum() / (len(shares) if classes is None else classes))


def mean_class_cumulative_released(hits_N: np.ndarray, labels_N: np.ndarray, classes: int) -> float:
    """Return what the released SIGMA code prints as mean accuracy per class; it is another number.

    Its list of samples is not emptied between classes (`engine_for_finetuning.py`, `merge_mean_per_class`): entry c is
    the share of hits over classes 0 to c together, and the mean of these entries is printed. Only for comparison with
    numbers made that way; `mean_class` is the measure.

    Args:
        hits_N: Whether each sample is right.
        labels_N: Its class.
        classes: Number of classes of the classifier; a class without samples repeats the entry before it.

    Returns:
        Percent; NaN, as there, where class 0 has no sample.
    """
    right = np.cumsum(np.bincount(labels_N, weights=hits_N, minlength=classes))
    seen = np.cumsum(np.bincount(labels_N, minlength=classes))
    if not classes or not seen[0]:
        return float("nan")
    return float(100 * np.mean(right / seen))
