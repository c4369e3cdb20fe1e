"""Linear probing: a linear classifier on frozen features, settings chosen without the test set.

Protocol `linear`: the features of several augmented training views are computed once; a grid of rates and decays is
trained together on the training list without a tenth held out by group; the winner there is refitted on the whole
list and reports the test list, the mean of the softmax over its views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sigma_bench.contracts import Encoder, Evaluation, Run
from sigma_bench.evaluators import choice, frozen, probes
from sigma_bench.evaluators.classified import MEAN_CLASS
from sigma_bench.evaluators.frozen import Frozen
from sigma_bench.evaluators.probes import Probes, Setting
from sigma_bench.metrics.accuracy import mean_class


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return top-1 accuracy (percent) of linear probes on `encoder` and one record a test sample.

    Where the task's metric is the mean over classes, that is there too.

    Args:
        encoder: Stays frozen, in eval mode.
        task: A task with `evaluator: linear`.
        run: Seed of views, order, held-out groups and label draws.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to train or test on.
    """
    seen = frozen.features(encoder, task, run)
    draws = [probe_once(seen, draw, task, run) for draw in range(task.dataset.draws or 1)]
    found = frozen.evaluation(seen, "top1", [p for p, _ in draws], [c for _, c in draws])
    if task.metric == MEAN_CLASS:
        found.metrics |= _by_class(seen, [p for p, _ in draws])
    return found


def _by_class(seen: Frozen, scores: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the mean class accuracy over decoded samples, and over all, averaged over the draws."""
    ok_N, labels_N = seen.test.ok_N, seen.lists.test.labels
    hits = [(s.argmax(1) == labels_N) & ok_N for s in scores]
    return {
        MEAN_CLASS: float(np.mean([mean_class(hits_N[ok_N], labels_N[ok_N]) for hits_N in hits])),
        f"{MEAN_CLASS}_missing_wrong": float(np.mean([mean_class(hits_N, labels_N) for hits_N in hits])),
    }


def probe_once(seen: Frozen, draw: int, task: Any, run: Run) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the test probabilities (N, C) of one draw of training labels, and how its setting was chosen."""
    train, labels = seen.train.values_NVD, seen.lists.train.labels

    def fit(rows: np.ndarray, settings: Sequence[Setting], seed: int) -> Probes:
        return probes.fit(
            train,
            labels,
            rows,
            settings,
            classes=len(seen.lists.train.classes),
            epochs=task.probe.epochs,
            batch=task.probe.batch,
            seed=seed,
            device=run.device,
        )

    final, how = choice.chosen(
        seen,
        draw,
        task,
        run.seed,
        probes.grid(task.probe.rates, task.probe.weight_decays),
        fit=fit,
        predict=lambda tried, rows: tried.predictions(train, rows),
        finite=lambda tried: tried.finite(),
    )
    return final.probabilities(seen.test.values_NVD)[0], how
