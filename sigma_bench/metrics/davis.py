"""Region and contour measures of DAVIS: J and F of one object, and their statistics over a sequence.

Source: the official evaluation of DAVIS-2017 (`davis2017-evaluation`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

BOUND = 0.008
"""Share of the diagonal by which contours may be apart."""
RECALL_ABOVE = 0.5
PARTS = 4
"""Parts of a sequence; decay is the mean of the first less that of the last."""

Binary = NDArray[np.bool_]


class Statistics(NamedTuple):
    """Over the frames of a sequence: mean, share of frames above one half, and how much is lost to its end."""

    mean: float
    recall: float
    decay: float


def region(predicted_THW: Binary, truth_THW: Binary, void_THW: Binary | None = None) -> NDArray[np.float64]:
    """Return J of each frame, (T,): the IoU of two regions, 1 where both are empty.

    Args:
        predicted_THW: Pixels of the object as predicted.
        truth_THW: Its pixels.
        void_THW: Pixels that do not count.
    """
    if void_THW is not None:
        predicted_THW, truth_THW = predicted_THW & ~void_THW, truth_THW & ~void_THW
    both = (predicted_THW & truth_THW).sum((1, 2))
    either = (predicted_THW | truth_THW).sum((1, 2))
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def contour(
    predicted_THW: Binary, truth_THW: Binary, void_THW: Binary | None = None, bound: float = BOUND
) -> NDArray[np.float64]:
    """Return F of each frame, (T,): harmonic mean of the precision and recall of contours.

    A point of a contour is right if the other contour passes within a radius around it. Where only one of the regions
    has a contour F is 0, where none has it is 1.

    Args:
        predicted_THW: Pixels of the object as predicted.
        truth_THW: Its pixels.
        void_THW: Pixels that do not count: they are of no region.
        bound: Radius, as a share of the diagonal (rounded up), or in pixels where it is 1 or more.
    """
    if void_THW is not None:
        predicted_THW, truth_THW = predicted_THW & ~void_THW, truth_THW & ~void_THW
    radius = bound if bound >= 1 else math.ceil(bound * math.hypot(*truth_THW.shape[1:]))
    disc = _disc(int(radius))
    pairs = zip(predicted_THW, truth_THW, strict=True)
    return np.array([_contour(_boundary(one), _boundary(truth), disc) for one, truth in pairs], dtype=np.float64)


def statistics(values_T: NDArray[np.float64], inner: bool = False) -> Statistics:
    """Return the statistics of J or F over the frames of a sequence.

    The quarters are those of the official code and share their border frames. Its frame numbers are eight bits wide
    and wrong beyond 255; here they are not.

    Args:
        values_T: Of each frame.
        inner: Leave out the first and the last frame, as the semi-supervised evaluation does.

    Raises:
        ValueError: No frame is left.
    """
    values = values_T[1:-1] if inner else values_T
    if not len(values):
        raise ValueError(f"{len(values_T)} frames, none of which is left to average over")
    borders = (np.round(np.linspace(1, len(values), PARTS + 1) + 1e-10) - 1).astype(np.int64)
    first, last = values[borders[0] : borders[1] + 1], values[borders[-2] : borders[-1] + 1]
    return Statistics(float(values.mean()), float((values > RECALL_ABOVE).mean()), float(first.mean() - last.mean()))


def _boundary(region_HW: Binary) -> Binary:
    """Return the pixels that differ from the one to the right, below, or both; of the last row and column one only."""
    region = np.asarray(region_HW, dtype=bool)
    boundary = np.zeros_like(region)
    here, right, below, across = region[:-1, :-1], region[:-1, 1:], region[1:, :-1], region[1:, 1:]
    boundary[:-1, :-1] = (here != right) | (here != below) | (here != across)
    boundary[-1, :-1] = region[-1, :-1] != region[-1, 1:]
    boundary[:-1, -1] = region[:-1, -1] != region[1:, -1]
    return boundary


def _contour(predicted_HW: Binary, truth_HW: Binary, disc: NDArray[np.uint8]) -> float:
    drawn, there = int(predicted_HW.sum()), int(truth_HW.sum())
    if not drawn or not there:
        return float(drawn == there)
    precision = (predicted_HW & _wider(truth_HW, disc)).sum() / drawn
    recall = (truth_HW & _wider(predicted_HW, disc)).sum() / there
    total = precision + recall
    return float(2 * precision * recall / total) if total else 0.0


def _wider(boundary_HW: Binary, disc: NDArray[np.uint8]) -> Binary:
    wider: Binary = cv2.dilate(boundary_HW.astype(np.uint8), disc).astype(bool)
    return wider


def _disc(radius: int) -> NDArray[np.uint8]:
    axis = np.arange(-radius, radius + 1)
    return (axis[:, None] ** 2 + axis[None] ** 2 <= radius**2).astype(np.uint8)
