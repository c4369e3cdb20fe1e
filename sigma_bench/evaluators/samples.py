"""The lists of a task as its evaluator sees them: read, relabelled, checked against the disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench import registry
from sigma_bench.contracts import Counts, Run, UserError
from sigma_bench.data import files, roots, subsets
from sigma_bench.data.datasets.known import taken_for_official
from sigma_bench.data.index import Index


@dataclass(frozen=True)
class Lists:
    """Training index (None: nothing is trained) and test index of a task, and whether they are the published lists."""

    training: Index | None
    test: Index
    official: bool = False

    @property
    def train(self) -> Index:
        """The training index.

        Raises:
            UserError: The task has none.
        """
        if self.training is None:
            raise UserError(f"a task on {self.test.name} without a training list; name one in dataset.train")
        return self.training

    @property
    def train_sha256(self) -> str:
        """Hash of the training list; empty where there is none."""
        return "" if self.training is None else self.training.sha256

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of a number measured on these lists must know, each once."""
        of_training = () if self.training is None else self.training.notes
        return tuple(dict.fromkeys((*of_training, *self.test.notes)))


def dataset_folder(task: Any, run: Run) -> Path:
    """Return the folder of the task's data set, see `sigma_bench.data.roots`.

    Raises:
        UserError: No such folder.
    """
    return roots.folder(task.dataset.name, run.data_root)


def read(task: Any, run: Run) -> Lists:
    """Read the lists of `task` with the labels it asks for: the data set's own, or a column of its factors.csv.

    `run.limit` keeps the first so many samples of a seeded shuffle of each list; `run.lists` stands in for the lists.
    """
    if run.lists is not None:
        return Lists(_limited(run.lists.train, run), _limited(run.lists.test, run))
    folder = dataset_folder(task, run)
    lists: list[Index | None] = []
    official = True
    for split in (task.dataset.train, task.dataset.test):
        if split is None:
            lists.append(None)
            continue
        fold = task.dataset.split or 1
        index = _read(task.dataset.name, folder, split, fold)
        told = taken_for_official(task.dataset.name, split, fold, index)
        official &= told is not None
        if told:
            index = replace(index, notes=(*index.notes, told))
        index = _limited(index, run)
        if task.dataset.relabel is not None:
            index = subsets.relabel(index, folder / "factors.csv", task.dataset.relabel)
        lists.append(index)
    training, test = lists
    assert test is not None
    return Lists(training, test, official)


def _limited(index: Index, run: Run) -> Index:
    if run.limit is None or index.count <= run.limit:
        return index
    kept = np.random.default_rng(0).permutation(index.count)[: run.limit]
    return index.select(np.sort(kept))


def _read(name: str, folder: Path, split: str, fold: int) -> Index:
    """Return the index of a split; a reader of another package that fails is said to.

    Raises:
        UserError: The list cannot be read, or the reader is of another package and returns no index.
    """
    reader, origin = registry.get("datasets", name), registry.origin("datasets", name)
    try:
        index = reader(folder, split, fold=fold)
    except UserError:
        raise
    except Exception as error:
        if not origin:
            raise
        raise UserError(f"data set '{name}' of {origin}: reading '{split}' of {folder} failed: {error!r}") from error
    if not isinstance(index, Index):
        raise UserError(f"data set '{name}' of {origin}: its reader returned a {type(index).__name__}, not an Index")
    return index


def check(task: Any, lists: Lists) -> None:
    """Refuse lists that a classifier cannot be trained and tested on.

    Raises:
        UserError: A list is empty or lacks labels, the two name other classes, or all training samples are of one.
    """
    train, test = lists.train, lists.test
    for index in (train, test):
        where = f"{task.id}: list '{index.split}' of {index.name} in {index.root}"
        if index.count == 0:
            raise UserError(f"{where} is empty; expected samples to train and test on. Is the list file complete?")
        bare = np.flatnonzero(index.labels < 0)
        if len(bare):
            raise UserError(
                f"{where}: {len(bare)} of {index.count} samples have no label, the first is {index.ids[bare[0]]}; "
                "expected one class each. Name a labelled list in dataset.train or dataset.test"
            )
    if train.classes != test.classes:
        pairs = zip((*train.classes, None), (*test.classes, None), strict=False)
        number, (one, other) = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
        raise UserError(
            f"{task.id}: list '{train.split}' of {train.name} has {len(train.classes)} classes, '{test.split}' has "
            f"{len(test.classes)}; class {number} is {one or 'missing'} in one and {other or 'missing'} in the other. "
            "A classifier needs the same classes in the same order in both"
        )
    if len(np.unique(train.labels)) < 2:
        name = train.classes[train.labels[0]]
        raise UserError(
            f"{task.id}: all {train.count} samples of list '{train.split}' of {train.name} are of class '{name}'; "
            "expected two classes or more, nothing can be told apart. With --limit: take more samples"
        )


def never_shown(test: Index, shown_N: np.ndarray) -> str:
    """Return in words which tested classes are not among the labels of the training samples; nothing where all are."""
    untrained = np.setdiff1d(test.labels, shown_N)
    if not len(untrained):
        return ""
    names = ", ".join(test.classes[label] for label in untrained[:3])
    return (
        f"{len(untrained)} of {len(np.unique(test.labels))} tested classes without a training sample "
        f"({names}{', ...' if len(untrained) > 3 else ''}): never predicted"
    )


def counts(index: Index, decoded: int) -> Counts:
    """Return how many samples the list names, how many are on disk, how many were decoded."""
    return Counts(index.count, index.count - len(index.missing()), decoded)


def sizes_sha256(index: Index) -> str:
    """Return a hash of the sizes of the files: a list may stay the same where its videos were repaired or replaced.

    Times of change are left out, since a copy of the data has others.
    """
    sizes = [[path, files.stamp(index.root / path)[0]] for path in dict.fromkeys(index.table["path"].to_pylist())]
    return hashlib.sha256(json.dumps(sizes).encode()).hexdigest()
