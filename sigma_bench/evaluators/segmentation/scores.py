"""What is measured of the maps of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sigma_bench.evaluators.segmentation.clips import Ids
from sigma_bench.metrics import davis
from sigma_bench.metrics.averaging import clip_miou
from sigma_bench.metrics.cluster_maps import Clustered, changes, over_frames
from sigma_bench.metrics.matching import BACKGROUND, Rule, match, relabelled
from sigma_bench.metrics.resampling import nearest

DAVIS = ("davis_j", "davis_j_recall", "davis_j_decay", "davis_f", "davis_f_recall", "davis_f_decay")
"""Columns of a record: the statistics of J and F, means over the clip's objects, percent."""


@dataclass(frozen=True)
class Compared:
    """mIoU of a clip with and without background, percent."""

    miou: float
    miou_nobg: float


def compared(found: Clustered, truth: Ids, rule: Rule, settings: Any, void: int | None) -> Compared:
    """Return the mIoU of a clip; its maps stand for the frames of their tubelets.

    Args:
        found: Its maps.
        truth: Its masks, at `settings.mask_size`.
        rule: How clusters get ids.
        settings: The block `segmentation` of the task.
        void: Id of pixels that are in no count.

    Raises:
        ValueError: No pixel is judged.
    """
    masks = nearest(truth, settings.resolution, settings.nearest)
    maps = over_frames(found.maps_THW, len(masks))
    both = clip_miou(maps, masks, rule, frames=settings.scope == "frame-wise", void=void)
    return Compared(100 * both[0], 100 * both[1])


def diagnostics(found: Clustered, truth: Ids, rule: Rule, settings: Any, void: int | None) -> dict[str, Any]:
    """Return what else is told of a clip: sizes of its ids, J and F of its objects, how much its maps change.

    J and F are of the objects of the masks at their own size, to which the maps are enlarged; they need one matching
    for the clip and are missing for other scopes.
    """
    masks = nearest(truth, settings.resolution, settings.nearest)
    ids, pixels = np.unique(masks if void is None else masks[masks != void], return_counts=True)
    record: dict[str, Any] = {
        "ids": ids.tolist(),
        "pixels": pixels.tolist(),
        "cluster_changes": 100 * changes(found.maps_THW) if settings.scope != "frame-wise" else float("nan"),
        "inertia": found.inertia,
    }
    objects = [number for number in np.unique(truth).tolist() if number not in (BACKGROUND, void)]
    record["objects"] = len(objects)
    if settings.scope != "sample-wise" or not objects:
        return record | dict.fromkeys(DAVIS, float("nan"))
    maps = over_frames(found.maps_THW, len(masks))
    given = nearest(relabelled(maps, match(maps, masks, rule, void)).astype(np.uint8), len(truth[0]), "nearest")
    unjudged = None if void is None else truth == void
    statistics = []
    for number in objects:
        pair = (given == number, truth == number, unjudged)
        statistics.append([*davis.statistics(davis.region(*pair)), *davis.statistics(davis.contour(*pair))])
    return record | dict(zip(DAVIS, (100 * np.mean(statistics, axis=0)).tolist(), strict=True))
