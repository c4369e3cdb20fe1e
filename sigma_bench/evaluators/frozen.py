"""What the evaluators of frozen features share: lists and views -> features, class scores -> an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sigma_bench.contracts import Encoder, Evaluation, Run, UserError
from sigma_bench.data import subsets
from sigma_bench.data.index import Index
from sigma_bench.data.views import STILL
from sigma_bench.evaluators import samples
from sigma_bench.evaluators.samples import Lists
from sigma_bench.features import Features, Kind, Views, extract, extract_all
from sigma_bench.metrics.accuracy import top1

POOLED = ("linear", "knn")
"""Evaluators that read pooled features of both lists."""


@dataclass(frozen=True)
class Frozen:
    """The features of a task's training and test list, in the order of the lists."""

    lists: Lists
    train: Features
    test: Features
    test_views: Views
    marks: tuple[str, ...]
    """What a reader of a number measured with them must know."""


def features(encoder: Encoder, task: Any, run: Run) -> Frozen:
    """Return the features a task is measured on, from the cache where they were computed before.

    Args:
        encoder: Stays frozen, in eval mode.
        task: Its `dataset`, `clips`, `views` and the features' part of its `probe` (layer, norm, pool).
        run: Seed of the training views.

    Raises:
        UserError: The lists are missing, damaged or leave nothing to train or test on, the encoder cannot keep the
            task's time span, or no training file could be decoded.
    """
    lists = samples.read(task, run)
    samples.check(task, lists)
    train_views, test_views = views_of(task, stride_of(encoder, task), run.seed)
    pool = task.probe.pool or encoder.spec.default_pool
    wanted: dict[str, Any] = {"layer": task.probe.layer, "norm": task.probe.norm, "pool": pool}
    train = extract(encoder, lists.train, train_views, run, **wanted)
    check_decoded(task, train)
    test = extract(encoder, lists.test, test_views, run, **wanted)
    return Frozen(lists, train, test, test_views, marks(lists, train, encoder, task))


def ahead(encoder: Encoder, tasks: Sequence[Any], run: Run) -> None:
    """Compute what tasks need that differ in their layer alone, in one pass over each list, and hold it open in `run`.

    Args:
        encoder: Stays frozen, in eval mode.
        tasks: At least one.
        run: Its `held` takes the features.

    Raises:
        UserError: As `features`.
    """
    first = tasks[0]
    lists = samples.read(first, run)
    samples.check(first, lists)
    pool = first.probe.pool or encoder.spec.default_pool
    kinds = [Kind(task.probe.layer, pool) for task in tasks]
    views = views_of(first, stride_of(encoder, first), run.seed)
    for index, shown in zip((lists.train, lists.test), views, strict=True):
        extract_all(encoder, index, shown, run, kinds, norm=first.probe.norm)


def labelled(frozen: Frozen, task: Any, seed: int) -> tuple[Index, np.ndarray]:
    """Return the training samples that were decoded, or a seeded draw of so many a class, and their rows."""
    index = frozen.lists.train
    rows = np.flatnonzero(frozen.train.ok_N)
    usable = index.select(rows)
    if task.dataset.per_class is None:
        return usable, rows
    row_of = dict(zip(usable.ids, rows.tolist(), strict=True))
    usable = subsets.per_class(usable, task.dataset.per_class, seed)
    return usable, np.array([row_of[name] for name in usable.ids])


def evaluation(frozen: Frozen, metric: str, scores: list[np.ndarray], settings: list[dict[str, Any]]) -> Evaluation:
    """Return top-1 accuracy (percent), as `metric`, and one record a test sample.

    Args:
        frozen: The features that were scored.
        metric: Name of the metric.
        scores: Class scores (N, C) of the test samples, one array a draw of training labels; accuracies of the draws
            are averaged. Rows of samples that were not decoded are ignored.
        settings: What was chosen for each draw.
    """
    test, index = frozen.test, frozen.lists.test
    truth, decoded = index.labels, np.flatnonzero(test.ok_N)
    right = [(s.argmax(1) == truth) & test.ok_N for s in scores]
    per_draw = [top1(s[decoded].argmax(1), truth[decoded]) for s in scores]
    wrong = [100 * float(r.sum()) / max(1, len(truth)) for r in right]
    return Evaluation(
        metrics={metric: float(np.mean(per_draw)), f"{metric}_missing_wrong": float(np.mean(wrong))},
        samples=_records(index, test, scores, right),
        counts=samples.counts(index, len(decoded)),
        selection={"per_draw": per_draw, "chosen": settings},
        views=f"{frozen.test_views.clips}x{frozen.test_views.crops}",
        marks=frozen.marks,
        train_index=frozen.lists.train,
        test_index=index,
        decoders=test.origin["decoders"],
        cached=bool(frozen.train.origin["cached"] and test.origin["cached"]),
    )


def check_decoded(task: Any, train: Features) -> None:
    """Refuse a training list of which nothing could be decoded.

    Raises:
        UserError: Nothing could.
    """
    if not train.ok_N.any():
        first = next(iter(train.errors.items()), ("", ""))
        raise UserError(f"{task.id}: no training sample could be decoded; the first, {first[0]}: {first[1]}")


def views_of(task: Any, stride: int, seed: int) -> tuple[Views, Views]:
    """Return the training and the test views of a task."""
    rule = task.clips.sampling
    train = Views(
        sampling=STILL if rule == STILL else f"{rule}_train",
        clips=task.views.train,
        crops=1,
        stride=stride,
        box="full" if task.views.augment == "none" else task.views.augment,
        flip=task.views.flip,
        seed=seed,
        order=task.clips.train_order or task.clips.order,
    )
    test = Views(
        sampling=STILL if rule == STILL else f"{rule}_test",
        clips=task.views.test_clips,
        crops=task.views.test_crops,
        stride=stride,
        box="full",
        flip=False,
        seed=0,
        order=task.clips.order,
    )
    return train, test


def stride_of(encoder: Encoder, task: Any) -> int:
    """Return the distance between frames with which a clip of this encoder spans the time that the task states."""
    if task.clips.sampling not in ("dense", "windows"):
        return 1
    stride = task.clips.stride * task.clips.frames / encoder.spec.frames
    if stride != int(stride):
        raise UserError(
            f"{task.id}: the time span of {task.clips.frames} frames at stride {task.clips.stride} cannot be kept with "
            f"the {encoder.spec.frames} frames of this encoder"
        )
    return int(stride)


def _records(index: Index, test: Features, scores: list[np.ndarray], right: list[np.ndarray]) -> pd.DataFrame:
    """Return one record a test sample: the prediction of the mean over the draws, or the error."""
    mean = np.mean(scores, axis=0) if len(scores) > 1 else scores[0]
    return pd.DataFrame(
        {
            "id": index.ids,
            "group": index.table["group"].to_pylist(),
            "label": index.labels,
            "label_name": [index.classes[label] for label in index.labels],
            "prediction": pd.array(np.where(test.ok_N, mean.argmax(1), -1), dtype="int64"),
            "confidence": np.where(test.ok_N, mean.max(1), np.nan),
            "right_draws": np.sum(right, axis=0),
            "draws": len(scores),
            "error": [test.errors.get(name) for name in index.ids],
        }
    )


def marks(lists: Lists, train: Features, encoder: Encoder, task: Any) -> tuple[str, ...]:
    """Return what a reader of a number must know of what was trained on."""
    found = []
    if train.errors:
        found.append(f"{len(train.errors)} of {lists.train.count} training files not decoded")
    if said := samples.never_shown(lists.test, lists.train.labels[train.ok_N]):
        found.append(said)
    if encoder.spec.frames != task.clips.frames and task.clips.sampling != STILL:
        found.append(f"{encoder.spec.frames} frames over the span of {task.clips.frames}")
    return tuple(found)
