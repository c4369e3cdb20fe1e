"""Aggregation of views and accuracies: `view_averaging.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sigma_bench.metrics.accuracy import hits, mean_class, mean_class_cumulative_released, top_k
from sigma_bench.metrics.views import mean_logit, mean_softmax
from sigma_bench.runs.verify.vectors import Golden

TOLERANCE = 1e-9
INPUTS = ("logits", "labels")


def check(golden: Golden) -> None:
    """Compare accuracies over averaged views, the mean per class as it should be and as the released code has it."""
    values, into = golden.values, golden.into
    logits_NVC, labels = np.array(values["logits"]), np.array(values["labels"])
    scores = mean_softmax(logits_NVC)
    classes = logits_NVC.shape[-1]
    checks: dict[str, Callable[[], float]] = {
        "top1": lambda: top_k(scores, labels),
        "top5": lambda: top_k(scores, labels, 5),
        "true_mean_per_class_top1": lambda: mean_class(hits(scores, labels), labels),
        "true_mean_per_class_top5": lambda: mean_class(hits(scores, labels, 5), labels),
        "official_mean_per_class_top1_BUGGY": lambda: _released(scores, labels, 1, classes),
        "official_mean_per_class_top5_BUGGY": lambda: _released(scores, labels, 5, classes),
        "n_pred_changed_if_logits_averaged": lambda: _changed(logits_NVC, scores),
    }
    for key, golden_value in _compared(values).items():
        if key in checks:
            into.number(key, checks[key](), golden_value, TOLERANCE)
        else:
            into.unknown(key, "no check for this key")


def _compared(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in INPUTS}


def _released(scores: np.ndarray, labels: np.ndarray, k: int, classes: int) -> float:
    return mean_class_cumulative_released(hits(scores, labels, k), labels, classes)


def _changed(logits_NVC: np.ndarray, scores: np.ndarray) -> float:
    return float((mean_logit(logits_NVC).argmax(1) != scores.argmax(1)).sum())
