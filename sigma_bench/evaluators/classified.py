"""From the scores of a trained classifier to an evaluation: accuracies, records, what a reader must know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sigma_bench.contracts import Evaluation
from sigma_bench.data.views import Views
from sigma_bench.evaluators import samples
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.view_scores import Scores
from sigma_bench.metrics.accuracy import hits, mean_class, mean_class_cumulative_released

MEAN_CLASS = "mean_class_acc"
RELEASED = "mean_class_cumulative_released"
"""What the released code prints as mean class accuracy, which it is not."""
CONSTANT = "_constant"
"""Ends the name of what the best constant answer gives: a number that does not beat it tells nothing."""


def evaluation(
    task: Any, lists: Lists, tested: Scores, views: Views, record: dict[str, Any], precision: str
) -> Evaluation:
    """Return the accuracies (percent) over decoded samples, each with the value where the others count as wrong.

    `top5` is left out where there are no more than five classes; the two means over classes are there where the task's
    metric is one. `NAME_constant` is what the best constant answer gives by the task's metric.
    """
    return Evaluation(
        metrics=metrics(tested, lists.test.labels, len(lists.test.classes), task.metric == MEAN_CLASS),
        samples=records(tested, lists, task.metric == MEAN_CLASS),
        counts=samples.counts(lists.test, int(tested.ok_N.sum())),
        selection=record,
        views=f"{views.clips}x{views.crops}",
        train_index=lists.train,
        test_index=lists.test,
        decoders=tested.decoders,
        precision=precision,
    )


def metrics(tested: Scores, labels_N: np.ndarray, classes: int, by_class: bool) -> dict[str, float]:
    """Return the accuracies and, as `NAME_missing_wrong`, those over all samples."""
    ok_N = tested.ok_N
    right = {"top1": _hits(tested, labels_N, 1)}
    if classes > 5:
        right["top5"] = _hits(tested, labels_N, 5)
    found = {}
    for name, hits_N in right.items():
        found[name] = 100 * float(hits_N[ok_N].mean()) if ok_N.any() else float("nan")
        found[f"{name}_missing_wrong"] = 100 * float(hits_N.mean())
    if by_class:
        first_N = right["top1"]
        found[MEAN_CLASS] = mean_class(first_N[ok_N], labels_N[ok_N])
        found[f"{MEAN_CLASS}_missing_wrong"] = mean_class(first_N, labels_N)
        found[RELEASED] = mean_class_cumulative_released(first_N[ok_N], labels_N[ok_N], classes)
    shares_N = constant(labels_N, ok_N, by_class)
    found[(MEAN_CLASS if by_class else "top1") + CONSTANT] = (
        float(shares_N[ok_N].mean()) if ok_N.any() else float("nan")
    )
    return found


def constant(labels_N: np.ndarray, ok_N: np.ndarray, by_class: bool) -> np.ndarray:
    """Return what the best constant answer gives for each sample (percent), so that their mean is what it gives in all.

    That answer is the most frequent class of the decoded test samples; by the mean over classes each is as good.
    """
    there = np.bincount(labels_N[ok_N], minlength=1)
    if by_class:
        return np.full(len(labels_N), 100 / max(1, int((there > 0).sum())))
    return np.where(labels_N == there.argmax(), 100.0, 0.0)


def records(tested: Scores, lists: Lists, by_class: bool) -> pd.DataFrame:
    """Return one record a test sample: the prediction, or the error."""
    index, ok_N = lists.test, tested.ok_N
    filled_NC = np.where(ok_N[:, None], tested.values_NC, 0.0)
    return pd.DataFrame(
        {
            "id": index.ids,
            "group": index.table["group"].to_pylist(),
            "label": index.labels,
            "label_name": [index.classes[label] for label in index.labels],
            "prediction": pd.array(np.where(ok_N, filled_NC.argmax(1), -1), dtype="int64"),
            "confidence": np.where(ok_N, filled_NC.max(1), np.nan),
            "top5": _hits(tested, index.labels, 5).astype(np.float64),
            (MEAN_CLASS if by_class else "top1") + CONSTANT: constant(index.labels, ok_N, by_class),
            "error": [tested.errors.get(name) for name in index.ids],
        }
    )


def _hits(tested: Scores, labels_N: np.ndarray, k: int) -> np.ndarray:
    """Return for each sample whether it was decoded and its label is among the `k` best."""
    found = np.zeros(len(labels_N), bool)
    found[tested.ok_N] = hits(tested.values_NC[tested.ok_N], labels_N[tested.ok_N], k)
    return found


def marks(
    found: Evaluation, tested: Scores, lists: Lists, shown_N: np.ndarray, record: dict[str, Any]
) -> tuple[str, ...]:
    """Return what a reader of these accuracies must know: classes never shown, files replaced, an accuracy at chance.

    Args:
        found: The evaluation.
        tested: Its scores.
        lists: Its lists.
        shown_N: Labels of the training samples.
        record: What is known of the training.
    """
    told = []
    if record.get("trained", True):
        told += [mark] if (mark := samples.never_shown(lists.test, shown_N)) else []
        replaced = record.get("decoded", {}).get("replaced", 0)
        told += [f"{replaced} training files not decoded, others drawn instead"] if replaced else []
    told += [mark] if (mark := _at_chance(found, tested, lists, record)) else []
    return tuple(told)


def _at_chance(found: Evaluation, tested: Scores, lists: Lists, record: dict[str, Any]) -> str:
    """Return a diagnosis where the accuracy is no better than that of the best constant answer, else nothing.

    No better: within 1.64 standard errors of it, the upper bound of a one-sided test at 5 %.
    """
    labels_N = lists.test.labels[tested.ok_N]
    if not len(labels_N):
        return ""
    constant = np.bincount(labels_N).max() / len(labels_N)
    bound = 100 * (constant + 1.64 * np.sqrt(constant * (1 - constant) / len(labels_N)))
    if found.metrics["top1"] > bound:
        return ""
    answers = len(np.unique(tested.values_NC[tested.ok_N].argmax(1)))
    said = f"at chance: the best constant answer gives {100 * constant:.1f}; {answers} of {len(lists.test.classes)} "
    said += "classes are predicted"
    if not record.get("trained", True):
        return f"{said}; is this list the one the file was finetuned on, with its classes in this order?"
    uniform = np.log(len(lists.test.classes))
    if "last_loss" in record:
        began = f" (at first {record['first_loss']:.3f})" if "first_loss" in record else ""
        said += f"; the loss ended at {record['last_loss']:.3f}{began}, that of a uniform answer is {uniform:.3f}"
    return f"{said}; are the labels right, the rate (finetune.base_lr) and the epochs enough?"
