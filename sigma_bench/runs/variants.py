"""The measurements that a task stands for where splits or layers are asked for: one a split and layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import known
from sigma_bench.models.selection import block_of
from sigma_bench.spec.task import Task

SPLIT, LAYER, LAYERS = "dataset.split", "probe.layer", "probe.layers"


def of(task: Task, splits: Sequence[int], depth: Callable[[], int]) -> list[list[Task]]:
    """Return the tasks to measure: for each split one a layer.

    A split or layer that is not the task's own stands among its overridden settings, so that its rows are told apart.

    Args:
        task: As it was asked for.
        splits: Splits of its data set; of none, and where it has a single one, the task's own.
        depth: Tells how many blocks the encoder has; asked only where all layers are wanted.

    Raises:
        UserError: There is no such split or layer.
    """
    return [[_layer(one, layer) for layer in _layers(task, depth)] for one in _splits(task, splits)]


def check(tasks: Sequence[Task], splits: Sequence[int]) -> None:
    """Refuse splits that no task has.

    Raises:
        UserError: None of the tasks is of a data set with several splits, or one has not all of these.
    """
    if splits and not any(has_splits(task) for task in tasks):
        raise UserError(f"--splits {_listed(splits)}: no data set of these tasks has several splits")
    for task in tasks:
        _splits(task, splits)


def has_splits(task: Task) -> bool:
    """Return whether the data set of a task has several published splits."""
    return task.dataset.split is not None and len(known.folds(task.dataset.name)) > 1


def name(task: Task) -> str:
    """Return the id of a task, and which split or layer it is of where that was asked for."""
    told = [text for text in task.resolved.sets if text.partition("=")[0] in (SPLIT, LAYER)]
    return f"{task.id} ({', '.join(told)})" if told else task.id


def with_sets(task: Task, key: str, value: Any, **changed: Any) -> Task:
    """Return a task with other parts, and `key` = `value` in place of what was said of it among its settings."""
    left = [text for text in task.resolved.sets if text.partition("=")[0] not in (key, LAYERS)]
    told = (*left, f"{key}={value}")
    return task.model_copy(update={**changed, "resolved": task.resolved.model_copy(update={"sets": told})})


def _splits(task: Task, splits: Sequence[int]) -> list[Task]:
    if not splits or not has_splits(task):
        return [task]
    there = known.folds(task.dataset.name)
    if unknown := [split for split in splits if split not in there]:
        raise UserError(
            f"{task.id}: {task.dataset.name} has no split {unknown[0]}; it has {_listed(there)}, found --splits "
            f"{_listed(splits)}"
        )
    return [_split(task, split) for split in dict.fromkeys(splits)]


def _split(task: Task, split: int) -> Task:
    if split == task.dataset.split:
        return task
    return with_sets(task, SPLIT, split, dataset=task.dataset.model_copy(update={"split": split}))


def _layers(task: Task, depth: Callable[[], int]) -> list[int] | list[None]:
    """Return the layers of a sweep; one None where there is none."""
    if task.probe is None or task.probe.layers is None:
        return [None]
    if task.probe.layers == "all":
        return list(range(depth()))
    return list(dict.fromkeys(block_of(layer, depth()) for layer in task.probe.layers))


def _layer(task: Task, layer: int | None) -> Task:
    if layer is None or task.probe is None:
        return task
    return with_sets(task, LAYER, layer, probe=task.probe.model_copy(update={"layer": layer, "layers": None}))


def _listed(splits: Sequence[int]) -> str:
    return ",".join(map(str, splits))
