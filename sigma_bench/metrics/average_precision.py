"""Average precision of scores for classes that may be true of a sample together or not at all, 0 to 1."""

from __future__ import annotations

import numpy as np


def by_threshold(scores_NC: np.ndarray, labels_NC: np.ndarray) -> np.ndarray:
    """Return the average precision of each class, equal scores taken together; NaN for a class without positives.

    What scikit-learn's `average_precision_score` is, and so SlowFast's meter (`utils/meters.py`, `get_map`): samples
    without any label count as negatives. Its mean is `mean_of_present`.

    Args:
        scores_NC: Greater is more likely; may be minus infinity.
        labels_NC: Whether each class is true of each sample, 0 or 1.

    Raises:
        ValueError: The shapes differ, a score is NaN, or a label is neither 0 nor 1.
    """
    scores_NC, truth_NC = _ranked(scores_NC, labels_NC)
    count = len(scores_NC)
    last_NC = np.ones_like(truth_NC)  # of its equals; their common precision is that at the last
    last_NC[:-1] = scores_NC[:-1] != scores_NC[1:]
    places_NC = np.where(last_NC, np.arange(count)[:, None], count)
    return _mean_precision(truth_NC, np.minimum.accumulate(places_NC[::-1], axis=0)[::-1])


def by_rank(scores_NC: np.ndarray, labels_NC: np.ndarray) -> np.ndarray:
    """Return the mean over a class's positives of the precision at their rank; NaN for a class without positives.

    The rule of Charades' own scripts (charades-algorithms, `map.py`), without their treatment of unlabelled samples.
    Every sample has a rank of its own: of equal scores the first is better. Without equal scores this is
    `by_threshold`.

    Args:
        scores_NC: Greater is more likely; may be minus infinity.
        labels_NC: Whether each class is true of each sample, 0 or 1.

    Raises:
        ValueError: As for `by_threshold`.
    """
    _, truth_NC = _ranked(scores_NC, labels_NC)
    return _mean_precision(truth_NC, np.broadcast_to(np.arange(len(truth_NC))[:, None], truth_NC.shape))


def charades_official(scores_NC: np.ndarray, labels_NC: np.ndarray) -> np.ndarray:
    """Return `by_rank` after the samples without any label were put last for every class.

    What Charades' own scripts report: those samples can never come before a positive one, so that the value is higher
    than SlowFast's. Their mean is the plain one: NaN as soon as a class has no positive.

    Args:
        scores_NC: Greater is more likely.
        labels_NC: Whether each class is true of each sample, 0 or 1.

    Raises:
        ValueError: As for `by_threshold`.
    """
    truth_NC = _checked(scores_NC, labels_NC)
    fixed_NC = scores_NC.astype(np.float64)
    fixed_NC[~truth_NC.any(1)] = -np.inf
    return by_rank(fixed_NC, truth_NC)


def mean_of_present(aps_C: np.ndarray) -> float:
    """Return the mean over the classes that have a value; NaN where none has."""
    present = aps_C[~np.isnan(aps_C)]
    return float(present.mean()) if len(present) else float("nan")


def mean_of_all(aps_C: np.ndarray) -> float:
    """Return the mean over all classes, NaN where one has no value (or there is none)."""
    return float(aps_C.mean()) if len(aps_C) else float("nan")


def weighted_by_positives(aps_C: np.ndarray, labels_NC: np.ndarray) -> float:
    """Return the mean weighted by the number of positives, classes without a value left out of the sum.

    NaN where nothing is positive.
    """
    positives_C = labels_NC.astype(np.float64).sum(0)
    return float(np.nansum(aps_C * positives_C) / positives_C.sum()) if positives_C.sum() else float("nan")


def _ranked(scores_NC: np.ndarray, labels_NC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scores in descending order, and the labels as booleans in that of each class."""
    truth_NC = _checked(scores_NC, labels_NC)
    order_NC = np.argsort(-scores_NC.astype(np.float64), axis=0, kind="stable")
    return np.take_along_axis(scores_NC, order_NC, axis=0), np.take_along_axis(truth_NC, order_NC, axis=0)


def _mean_precision(truth_NC: np.ndarray, places_NC: np.ndarray) -> np.ndarray:
    """Return the mean over positives of the precision at the places where theirs is read."""
    precision_NC = np.cumsum(truth_NC, axis=0) / np.arange(1, len(truth_NC) + 1)[:, None]
    read_NC = np.take_along_axis(precision_NC, places_NC, axis=0)
    positives_C = truth_NC.sum(0)
    return np.where(positives_C > 0, (read_NC * truth_NC).sum(0) / np.maximum(positives_C, 1), np.nan)


def _checked(scores_NC: np.ndarray, labels_NC: np.ndarray) -> np.ndarray:
    """Return the labels as booleans."""
    if scores_NC.ndim != 2 or scores_NC.shape != labels_NC.shape:
        raise ValueError(f"scores {scores_NC.shape} and labels {labels_NC.shape}; expected (N, C) twice")
    undefined = np.isnan(scores_NC).any(1)
    if undefined.any():
        raise ValueError(f"{int(undefined.sum())} of {len(scores_NC)} samples have undefined scores")
    if not np.isin(labels_NC, (0, 1)).all():
        raise ValueError("labels hold other values than 0 and 1")
    return labels_NC.astype(bool)
