"""Linear probing: a linear classifier on frozen features, settings chosen without the test set.

Protocol `linear`: the features of several augmented training views are computed once; a grid of rates and decays is
trained together on the training list without a tenth held out by group; the winner there is refitted on the whole
list and reports the test list, the mean of the softmax over its views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.data import subsets
from sigma_bench.data.index import Index
from sigma_bench.evaluators import probes, samples
from sigma_bench.features import Features, Views, extract
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
    lists = samples.read(task, run)
    stride = task.clips.stride * task.clips.frames / encoder.spec.frames
    if stride != int(stride):
        raise UserError(
            f"{task.id}: the time span of {task.clips.frames} frames at stride {task.clips.stride} cannot be kept with "
            f"the {encoder.spec.frames} frames of this encoder"
        )
    train_views, test_views = views_of(task, int(stride), run.seed)
    pool = task.probe.pool or encoder.spec.default_pool
    wanted: dict[str, Any] = {"layer": task.probe.layer, "norm": task.probe.norm, "pool": pool}
    train = extract(encoder, lists.train, train_views, run, **wanted)
    test = extract(encoder, lists.test, test_views, run, **wanted)
    labelled, truth = lists.train, lists.test.labels

    draws = [probe_once(train, test, labelled, draw, task, run) for draw in range(task.dataset.draws or 1)]
    decoded = np.flatnonzero(test.ok_N)
    per_draw = [top1(p[decoded].argmax(1), truth[decoded]) for p, _ in draws]
    wrong = [100 * float(np.sum(p[decoded].argmax(1) == truth[decoded])) / max(1, len(truth)) for p, _ in draws]
    return Evaluation(
        metrics={"top1": float(np.mean(per_draw)), "top1_missing_wrong": float(np.mean(wrong))},
        samples=records(lists.test, test, truth, [p for p, _ in draws], labelled.classes),
        counts=samples.counts(lists.test, len(decoded)),
        selection={"per_draw": per_draw, "chosen": [c for _, c in draws]},
        views=f"{test_views.clips}x{test_views.crops}",
        marks=marks(lists.train, train, encoder, task),
        train_index=lists.train,
        test_index=lists.test,
        decoders=test.origin["decoders"],
        cached=bool(train.origin["cached"] and test.origin["cached"]),
    )


def views_of(task: Any, stride: int, seed: int) -> tuple[Views, Views]:
    """Return the training and the test views of a task."""
    train = Views(
        sampling="segments_train" if task.clips.sampling == "segments" else "dense_train",
        clips=task.views.train,
        crops=1,
        stride=stride,
        box="full" if task.views.augment == "none" else task.views.augment,
        flip=task.views.flip,
        seed=seed,
    )
    test = Views(
        sampling="segments_test" if task.clips.sampling == "segments" else "dense_test",
        clips=task.views.test_clips,
        crops=task.views.test_crops,
        stride=stride,
        box="full",
        flip=False,
        seed=0,
    )
    return train, test


def probe_once(
    train: Features, test: Features, labelled: Index, draw: int, task: Any, run: Run
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the test probabilities (N, C) of one draw of training labels, and how its setting was chosen."""
    seed = run.seed * 1000 + draw
    row_of = {name: row for row, name in enumerate(labelled.ids)}
    usable = labelled.select(np.flatnonzero(train.ok_N))
    if usable.count == 0:
        raise UserError(f"{task.id}: no training sample could be decoded")
    if task.dataset.per_class is not None:
        usable = subsets.per_class(usable, task.dataset.per_class, seed)
    rows = np.array([row_of[name] for name in usable.ids])
    grid = probes.grid(task.probe.rates, task.probe.weight_decays)
    labels = labelled.labels
    fit: Mapping[str, Any] = {
        "classes": len(labelled.classes),
        "epochs": task.probe.epochs,
        "batch": task.probe.batch,
        "seed": seed,
        "device": run.device,
    }
    scores: list[float | None] = [None] * len(grid)
    best, held_rows = 0, np.empty(0, dtype=np.int64)
    if len(grid) > 1:
        kept, held = subsets.holdout(usable, task.probe.holdout, seed)
        kept_rows, held_rows = (np.array([row_of[name] for name in part.ids]) for part in (kept, held))
        tried = probes.fit(train.values_NVD, labels, kept_rows, grid, **fit)
        guesses = tried.probabilities(train.values_NVD[held_rows]).argmax(-1)
        scores = [round(top1(g, labels[held_rows]), 3) for g in guesses]
        best = int(np.argmax([s if s is not None else -1.0 for s in scores]))
    final = probes.fit(train.values_NVD, labels, rows, [grid[best]], **fit)
    chosen = {
        "rate": grid[best].rate,
        "weight_decay": grid[best].weight_decay,
        "held_out": len(held_rows),
        "grid": [[s.rate, s.weight_decay, v] for s, v in zip(grid, scores, strict=True)],
    }
    return final.probabilities(test.values_NVD)[0], chosen


def records(
    index: Index, test: Features, truth: np.ndarray, draws: list[np.ndarray], classes: tuple[str, ...]
) -> pd.DataFrame:
    """Return one record a test sample: the prediction of the mean over the draws, or the error."""
    mean = np.mean(draws, axis=0)
    ids = index.table["id"].to_pylist()
    guess = mean.argmax(1)
    return pd.DataFrame(
        {
            "id": ids,
            "group": index.table["group"].to_pylist(),
            "label": truth,
            "label_name": [classes[t] for t in truth],
            "prediction": pd.array(np.where(test.ok_N, guess, -1), dtype="int64"),
            "confidence": np.where(test.ok_N, mean.max(1), np.nan),
            "right_draws": np.sum([(d.argmax(1) == truth) & test.ok_N for d in draws], axis=0),
            "draws": len(draws),
            "error": [test.errors.get(i) for i in ids],
        }
    )


def marks(index: Index, train: Features, encoder: Encoder, task: Any) -> tuple[str, ...]:
    """Return what a reader of the number must know."""
    found = []
    if train.errors:
        found.append(f"{len(train.errors)} of {index.count} training files not decoded")
    if encoder.spec.frames != task.clips.frames:
        found.append(f"{encoder.spec.frames} frames over the span of {task.clips.frames}")
    return tuple(found)
