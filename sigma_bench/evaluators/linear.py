"""Linear probing: a linear classifier on frozen features, settings chosen without the test set.

Protocol `linear`: the features of several augmented training views are computed once; a grid of rates and decays is
trained together on the training list without a tenth held out by group; the winner there is refitted on the whole
list and reports the test list, the mean of the softmax over its views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sigma_bench.contracts import Encoder, Evaluation, Run
from sigma_bench.data import subsets
from sigma_bench.evaluators import frozen, probes
from sigma_bench.evaluators.frozen import Frozen
from sigma_bench.metrics.accuracy import top1


def evaluate(encoder: Encoder, task: Any, run: Run) -> Evaluation:
    """Return top-1 accuracy (percent) of linear probes on `encoder` and one record a test sample.

    Args:
        encoder: Stays frozen, in eval mode.
        task: A task with `evaluator: linear`.
        run: Seed of views, order, held-out groups and label draws.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to train or test on.
    """
    seen = frozen.features(encoder, task, run)
    draws = [probe_once(seen, draw, task, run) for draw in range(task.dataset.draws or 1)]
    return frozen.evaluation(seen, "top1", [p for p, _ in draws], [c for _, c in draws])


def probe_once(seen: Frozen, draw: int, task: Any, run: Run) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the test probabilities (N, C) of one draw of training labels, and how its setting was chosen."""
    seed = run.seed * 1000 + draw
    train, labels = seen.train, seen.lists.train.labels
    usable, rows = frozen.labelled(seen, task, seed)
    grid = probes.grid(task.probe.rates, task.probe.weight_decays)
    fit: Mapping[str, Any] = {
        "classes": len(usable.classes),
        "epochs": task.probe.epochs,
        "batch": task.probe.batch,
        "seed": seed,
        "device": run.device,
    }
    scores: list[float | None] = [None] * len(grid)
    best, held_rows = 0, np.empty(0, dtype=np.int64)
    if len(grid) > 1:
        kept, held = subsets.holdout(usable, task.probe.holdout, seed)
        row_of = dict(zip(usable.ids, rows.tolist(), strict=True))
        kept_rows, held_rows = (np.array([row_of[name] for name in part.ids]) for part in (kept, held))
        tried = probes.fit(train.values_NVD, labels, kept_rows, grid, **fit)
        guesses = tried.predictions(train.values_NVD, held_rows)
        scores = [round(top1(g, labels[held_rows]), 3) for g in guesses]
        best = int(np.argmax([s if s is not None else -1.0 for s in scores]))
    final = probes.fit(train.values_NVD, labels, rows, [grid[best]], **fit)
    chosen = {
        "rate": grid[best].rate,
        "weight_decay": grid[best].weight_decay,
        "held_out": len(held_rows),
        "grid": [[s.rate, s.weight_decay, v] for s, v in zip(grid, scores, strict=True)],
    }
    return final.probabilities(seen.test.values_NVD)[0], chosen
