"""Colours of clusters that can be compared: those of the ids they overlap most with, the same in every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sigma_bench.metrics.matching import Contingency, contingency
from sigma_bench.runs.sheet import Colour

Maps = NDArray[np.int16]

PALETTE: tuple[Colour, ...] = (
    *((0, 158, 115), (240, 228, 66), (213, 94, 0), (0, 114, 178), (230, 159, 0), (204, 121, 167), (86, 180, 233)),
    *((51, 34, 136), (136, 34, 85), (153, 153, 51), (221, 221, 221), (68, 170, 153), (170, 68, 102), (17, 17, 17)),
)
"""Of the background, then of objects, then of other clusters; used again from the start where there are more. The first
seven are those of Okabe and Ito, told apart with any colour vision; for the others that is not promised."""


@dataclass(frozen=True)
class Truth:
    """Masks that maps are compared with, of the same shape; the ids that have a colour, in order; the id of void."""

    masks_THW: NDArray[np.uint8]
    ids: Sequence[int]
    void: int


def slots(rows: Sequence[Maps], truth: Truth | None) -> list[dict[int, int]]:
    """Return of each row cluster -> slot of the palette.

    With masks, ids take the first slots in ascending order, and of every row clusters are given ids one to one so that
    the sum of the IoUs is greatest; one that overlaps with none of them stays without. Clusters left over take further
    slots: those of the first row by size, those of the others one to one by their IoU with those. Without masks all
    clusters are left over.

    Args:
        rows: Cluster maps of a clip, one entry an encoder, all of one shape.
        truth: Masks of the same clip; None where there are none.
    """
    free = 0 if truth is None else len(truth.ids)
    found = [{} if truth is None else _matched(maps, truth) for maps in rows]
    left = [[c for c in _by_size(maps) if c not in taken] for maps, taken in zip(rows, found, strict=True)]
    reference: dict[int, int] = {}
    for number, (maps, taken, rest) in enumerate(zip(rows, found, left, strict=True)):
        if not number:
            reference = {cluster: free + place for place, cluster in enumerate(rest)}
            taken |= reference
            continue
        known = _one_to_one(contingency(maps, rows[0]), rest, list(reference))
        taken |= {cluster: reference[other] for cluster, other in known.items()}
        used = set(taken.values())
        further = (slot for slot in range(free, free + len(rest) + len(reference)) if slot not in used)
        taken |= {cluster: next(further) for cluster in rest if cluster not in known}
    return found


def colour(slot: int) -> Colour:
    """Return the colour of a slot."""
    return PALETTE[slot % len(PALETTE)]


def painted(labels: NDArray[np.integer], slot_of: Mapping[int, int]) -> NDArray[np.uint8]:
    """Return the colours of labels (H, W) as a picture (H, W, 3)."""
    table = np.zeros((max(slot_of) + 1, 3), np.uint8)
    for label, slot in slot_of.items():
        table[label] = colour(slot)
    picture: NDArray[np.uint8] = table[labels]
    return picture


def _matched(maps: Maps, truth: Truth) -> dict[int, int]:
    """Return cluster -> rank of the id it is given; none where no pixel is judged."""
    if (truth.masks_THW == truth.void).all():
        return {}
    table = contingency(maps, truth.masks_THW, truth.void)
    pairs = _one_to_one(table, list(table.clusters_C), list(table.ids_G))
    return {cluster: list(truth.ids).index(found) for cluster, found in pairs.items()}


def _one_to_one(table: Contingency, own: Sequence[int], theirs: Sequence[int]) -> dict[int, int]:
    """Return label -> other label, one to one so that the sum of the IoUs is greatest, none of which is 0."""
    places = [np.searchsorted(axis, chosen) for axis, chosen in ((table.clusters_C, own), (table.ids_G, theirs))]
    ious = table.ious[np.ix_(*places)]
    pairs = zip(*linear_sum_assignment(ious, maximize=True), strict=True)
    return {int(own[a]): int(theirs[b]) for a, b in pairs if ious[a, b] > 0}


def _by_size(maps: Maps) -> list[int]:
    """Return the clusters that occur, the largest first, the lowest first of equal ones."""
    clusters, sizes = np.unique(maps, return_counts=True)
    return [int(c) for _, c in sorted(zip(-sizes, clusters, strict=True))]
