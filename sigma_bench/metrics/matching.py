"""Which cluster stands for which id of the ground truth, and the mIoU that follows.

Everything is read off one contingency table, so the pixels are gone through once. Sources: SIGMA, section 4.2 and
supplement C; the rules that they leave open are those of the released evaluation of Time-Tuning (`PredsmIoU`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Matching = Literal["hungarian", "m2o_precision", "m2o_iou", "merged_hungarian"]
Rule = Matching | Literal["all_background"]
RULES: tuple[Matching, ...] = get_args(Matching)
BACKGROUND = 0
WIDEST = 1 << 16
"""Labels that lie within so many numbers are counted without being sorted."""

Labels = NDArray[np.integer]


class Contingency(NamedTuple):
    """How many pixels each cluster shares with each id; only clusters and ids that occur are in it.

    Attributes:
        clusters_C: Labels of the clusters, ascending.
        ids_G: Ids of the ground truth, ascending.
        pixels_CG: Shared pixels, int64.
    """

    clusters_C: NDArray[np.int64]
    ids_G: NDArray[np.int64]
    pixels_CG: NDArray[np.int64]

    @property
    def ious(self) -> NDArray[np.float64]:
        """IoU of each cluster with each id, (C, G)."""
        of_clusters, of_ids = self.pixels_CG.sum(1, keepdims=True), self.pixels_CG.sum(0, keepdims=True)
        ious: NDArray[np.float64] = self.pixels_CG / (of_clusters + of_ids - self.pixels_CG)
        return ious


@dataclass(frozen=True)
class Matched:
    """The ids that clusters were given, and the pixels of each id that are right, too many and missing.

    Attributes:
        ids_G: Ids of the ground truth, ascending.
        id_of: Cluster -> id, of every cluster that occurs; `BACKGROUND` where it was left over.
        tp_G: Pixels of the id in clusters of the id.
        fp_G: Pixels of other ids in clusters of the id.
        fn_G: Pixels of the id in clusters of other ids.
    """

    ids_G: NDArray[np.int64]
    id_of: Mapping[int, int]
    tp_G: NDArray[np.int64]
    fp_G: NDArray[np.int64]
    fn_G: NDArray[np.int64]

    @property
    def ious(self) -> NDArray[np.float64]:
        """IoU of each id, (G,)."""
        ious: NDArray[np.float64] = self.tp_G / (self.tp_G + self.fp_G + self.fn_G)
        return ious

    def miou(self, background: bool = True) -> float:
        """Return the mean IoU over ids, from 0 to 1; without background 0 where there is nothing else."""
        if background:
            return float(self.ious.mean())
        objects = self.ious[self.ids_G != BACKGROUND]
        return float(objects.mean()) if len(objects) else 0.0


def contingency(maps: Labels, masks: Labels, void: int | None = None) -> Contingency:
    """Count the pixels that clusters and ids share.

    Args:
        maps: Cluster of each pixel, of any shape.
        masks: Id of each pixel, of the same shape.
        void: Id of pixels that are in no count; None: all are counted.

    Raises:
        ValueError: The shapes differ, or no pixel is counted.
    """
    if maps.shape != masks.shape:
        raise ValueError(f"maps {maps.shape} and masks {masks.shape} are of different shapes")
    flat_maps, flat_masks = maps.reshape(-1), masks.reshape(-1)
    if void is not None:
        judged = flat_masks != void
        flat_maps, flat_masks = flat_maps[judged], flat_masks[judged]
    if not flat_masks.size:
        raise ValueError("no pixel to compare: there are none, or all are void")
    clusters, cluster = _ranks(flat_maps)
    ids, place = _ranks(flat_masks)
    pixels = np.bincount(cluster * len(ids) + place, minlength=len(clusters) * len(ids))
    return Contingency(clusters, ids, pixels.reshape(len(clusters), len(ids)))


def match(maps: Labels, masks: Labels, rule: Rule, void: int | None = None) -> Matched:
    """Give each cluster an id and compare with the ground truth.

    Args:
        maps: Cluster of each pixel, of any shape: frames, a clip, a whole data set.
        masks: Id of each pixel.
        rule: `hungarian`: one cluster an id so that the sum of the IoUs is greatest; clusters left over become
            background. `m2o_precision`, `m2o_iou`: each cluster by itself, the id of highest precision (share of the
            cluster) or IoU, of equal ones the lowest. `merged_hungarian`: by precision, then the merged clusters once
            more one to one. `all_background`: none; every pixel is called background, whatever the clusters are.
        void: As in `contingency`.

    Raises:
        ValueError: As in `contingency`, or no such rule.
    """
    return matched(contingency(maps, masks, void), rule)


def matched(table: Contingency, rule: Rule) -> Matched:
    """Do the same on a table that was counted already."""
    if rule == "hungarian":
        given_C = _one_to_one(table)
    elif rule == "m2o_precision":
        given_C = table.ids_G[table.pixels_CG.argmax(1)]  # the precisions of a cluster have one denominator
    elif rule == "m2o_iou":
        given_C = table.ids_G[table.ious.argmax(1)]
    elif rule == "merged_hungarian":
        first_C = table.ids_G[table.pixels_CG.argmax(1)]
        merged, place = np.unique(first_C, return_inverse=True)
        pixels = np.zeros((len(merged), len(table.ids_G)), dtype=np.int64)
        np.add.at(pixels, place, table.pixels_CG)
        given_C = _one_to_one(Contingency(merged, table.ids_G, pixels))[place]
    elif rule == "all_background":
        given_C = np.full(len(table.clusters_C), BACKGROUND, dtype=np.int64)
    else:
        raise ValueError(f"no rule '{rule}'; expected one of {', '.join(RULES)}")
    return _compared(table, given_C)


def relabelled(maps: Labels, found: Matched) -> NDArray[np.int64]:
    """Return the id that each pixel's cluster was given; clusters that did not occur become background."""
    clusters, place = np.unique(maps, return_inverse=True)
    given = np.array([found.id_of.get(int(cluster), BACKGROUND) for cluster in clusters], dtype=np.int64)
    return given[place.reshape(maps.shape)]


def _one_to_one(table: Contingency) -> NDArray[np.int64]:
    """Return the id of each cluster. Ids are the rows, as in the released code: ties are settled by their order."""
    rows, columns = linear_sum_assignment(1 - table.ious.T)
    given = np.full(len(table.clusters_C), BACKGROUND, dtype=np.int64)
    given[columns] = table.ids_G[rows]
    return given


def _compared(table: Contingency, given_C: NDArray[np.int64]) -> Matched:
    is_of_GC = given_C == table.ids_G[:, None]
    taken_GG = is_of_GC.astype(np.int64) @ table.pixels_CG  # row: pixels of the clusters of an id, column: their ids
    tp, taken, there = taken_GG.diagonal(), taken_GG.sum(1), table.pixels_CG.sum(0)
    id_of = {int(cluster): int(given) for cluster, given in zip(table.clusters_C, given_C, strict=True)}
    return Matched(table.ids_G, id_of, tp.copy(), taken - tp, there - tp)


def _ranks(values: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the values that occur, ascending, and for each entry which of them it is."""
    low, high = int(values.min()), int(values.max())
    if high - low >= WIDEST:
        found, place = np.unique(values, return_inverse=True)
        return found.astype(np.int64), place.reshape(-1)
    shifted = values.astype(np.int64) - low
    occurs = np.flatnonzero(np.bincount(shifted))
    rank = np.zeros(high - low + 1, dtype=np.int64)
    rank[occurs] = np.arange(len(occurs))
    return occurs + low, rank[shifted]
