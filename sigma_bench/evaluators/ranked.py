"""From scores of classes that may be true together to an evaluation: mean average precisions, records, marks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.view_scores import Scores
from sigma_bench.metrics.average_precision import by_threshold, charades_official, mean_of_all, mean_of_present

MAP, OFFICIAL, CONSTANT = "map", "map_official", "map_constant"


def check(task: Any, lists: Lists) -> None:
    """Refuse lists on which classes that may be true together cannot be trained and ranked.

    Raises:
        UserError: A list is empty or lacks lists of classes, the two name other classes, or no sample has any.
    """
    for index in (lists.train, lists.test):
        where = f"{task.id}: list '{index.split}' of {index.name} in {index.root}"
        if index.count == 0:
            raise UserError(f"{where} is empty; expected videos to train and test on. Is the list file complete?")
        bare = index.table.column("labels").is_null().to_pylist()
        if any(bare):
            raise UserError(
                f"{where}: {sum(bare)} of {index.count} samples have no list of classes, the first is "
                f"{index.ids[bare.index(True)]}; expected one, which may be empty: name another data set"
            )
        if not truth(index).any():
            raise UserError(
                f"{where}: none of the {index.count} videos has a class; expected some. With --limit: take more"
            )
    if lists.train.classes != lists.test.classes:
        raise UserError(
            f"{task.id}: lists '{lists.train.split}' and '{lists.test.split}' of {lists.train.name} name other "
            "classes; a classifier needs the same ones in the same order"
        )


def truth(index: Index) -> np.ndarray:
    """Return which classes each sample has, boolean (N, C)."""
    shown = np.zeros((index.count, len(index.classes)), bool)
    for row, labels in enumerate(index.table.column("labels").to_pylist()):
        shown[row, labels] = True
    return shown


def metrics(tested: Scores, truth_NC: np.ndarray) -> dict[str, float]:
    """Return mean average precisions in percent, over decoded samples and, as `NAME_missing_wrong`, over all.

    `map` leaves out classes without a positive and takes equal scores together, `map_official` ranks samples without
    any class last and is there only where every class has a positive, and `map_constant` is the `map` of scores that
    are all equal: the mean share of positives. Samples that were not decoded are ranked last of all.
    """
    ok_N = tested.ok_N
    last_NC = np.where(ok_N[:, None], tested.values_NC, -np.inf)
    parts = {"": (tested.values_NC[ok_N], truth_NC[ok_N]), "_missing_wrong": (last_NC, truth_NC)}
    found = {}
    for ending, (scores, true) in parts.items():
        found[MAP + ending] = 100 * mean_of_present(by_threshold(scores, true))
        found[OFFICIAL + ending] = 100 * mean_of_all(charades_official(scores, true))
    found[CONSTANT] = 100 * mean_of_present(by_threshold(np.zeros(parts[""][0].shape), parts[""][1]))
    if np.isnan(found[OFFICIAL]):
        del found[OFFICIAL], found[f"{OFFICIAL}_missing_wrong"]
    return found


def records(tested: Scores, index: Index, truth_NC: np.ndarray) -> pd.DataFrame:
    """Return one record a test video: its classes as 0 and 1, and its scores, from which `map` can be had again."""
    return pd.DataFrame(
        {
            "id": index.ids,
            "group": index.table["group"].to_pylist(),
            "labels": list(truth_NC.astype(np.int8)),
            "scores": [
                row if decoded else None for row, decoded in zip(tested.values_NC, tested.ok_N.tolist(), strict=True)
            ],
            "error": [tested.errors.get(name) for name in index.ids],
        }
    )


def marks(tested: Scores, truth_NC: np.ndarray, trained_NC: np.ndarray, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a reader of the numbers must know of the classes.

    Args:
        tested: Which test samples were decoded.
        truth_NC: Their classes.
        trained_NC: The classes of the training samples.
        classes: Their names.
    """
    positive_C = truth_NC[tested.ok_N].any(0)
    absent, untrained = np.flatnonzero(~positive_C), np.flatnonzero(positive_C & ~trained_NC.any(0))
    said = (
        (absent, f"of {len(classes)} classes in no test video: left out of {MAP}, no {OFFICIAL}"),
        (untrained, f"of {len(classes)} classes tested without a training video"),
    )
    return tuple(f"{len(found)} {text} ({_named(found, classes)})" for found, text in said if len(found))


def _named(labels: np.ndarray, classes: tuple[str, ...]) -> str:
    return ", ".join(classes[label] for label in labels[:3]) + (", ..." if len(labels) > 3 else "")
