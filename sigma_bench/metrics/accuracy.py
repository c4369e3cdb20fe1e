"""Accuracies of class predictions."""

from __future__ import annotations

import numpy as np


def top1(predictions_N: np.ndarray, labels_N: np.ndarray) -> float:
    """Return the share of right predictions, in percent; NaN for no samples."""
    return float(100 * np.mean(predictions_N == labels_N)) if len(labels_N) else float("nan")


def mean_class_accuracy(predictions_N: np.ndarray, labels_N: np.ndarray) -> float:
    """Return the mean over the classes that occur in `labels_N` of the share of right predictions, in percent."""
    right = predictions_N == labels_N
    classes = np.unique(labels_N)
    return float(100 * np.mean([right[labels_N == c].mean() for c in classes])) if len(classes) else float("nan")
