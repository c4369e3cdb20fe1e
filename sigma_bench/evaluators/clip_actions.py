"""The classes that a training clip shows, from the timed actions of its video."""

from __future__ import annotations

import numpy as np
import torch

from sigma_bench.contracts import UserError
from sigma_bench.data.frame_labels import labels_at, union
from sigma_bench.data.index import Action, Index
from sigma_bench.data.loader import Batch
from sigma_bench.train.supervised import Targets


def targets(index: Index, fps: float, inclusive: bool) -> Targets:
    """Return the function from a micro-batch to its targets, float32 (B, C) of 0 and 1.

    A clip's target is the union of the labels of all frames from the first to the last one it shows, those between
    them included (SlowFast, `datasets/charades.py`); it may be empty. Frame f, counted at `fps`, is the moment f / fps.

    Args:
        index: The training samples, whose clips are counted at `fps`.
        fps: Frames counted a second.
        inclusive: See `frame_labels.labels_at`.

    Raises:
        UserError: A sample has no list of actions (it may be empty), or is a part of its file.
    """
    table = index.table
    for row, (actions, start, start_s) in enumerate(
        zip(*(table.column(name).to_pylist() for name in ("actions", "start", "start_s")), strict=True)
    ):
        if actions is None or start or start_s:
            what = "has no list of actions" if actions is None else "is a part of its file"
            raise UserError(
                f"{index.name}/{index.split}: {index.ids[row]} {what}; expected whole videos with timed actions"
            )
    timed = [[Action(**action) for action in actions] for actions in table.column("actions").to_pylist()]
    classes = len(index.classes)

    def of(batch: Batch) -> torch.Tensor:
        shown = np.zeros((len(batch.rows), classes), np.float32)
        for place, (row, info) in enumerate(zip(batch.rows, batch.infos, strict=True)):
            first, last = info["counted"][0][0], info["counted"][0][-1]
            moments = np.arange(first, last + 1) / fps
            shown[place] = union(labels_at(timed[row], moments, classes, inclusive=inclusive))
        return torch.from_numpy(shown)

    return of
