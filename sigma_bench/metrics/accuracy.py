"""Accuracies of class predictions."""

from __future__ import annotations

import numpy as np


def top1(predictions_N: np.ndarray, labels_N: np.ndarray) -> float:
    """Return the share of right predictions, in percent; NaN for no samples."""
    return float(100 * np.mean(predictions_N == labels_N)) if len(labels_N) else float("nan")
