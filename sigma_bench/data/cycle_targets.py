"""What a network is to say of the cycles of a window: which anchors fit, and by what factor they are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

ANCHORS = (0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0)
"""Multiples of the current length that are classified and corrected."""
FITS = 0.5
"""Quotient of the shorter and the longer length from which an anchor counts as fitting."""
IGNORED = -1


class Targets(NamedTuple):
    """Targets of one side of N windows.

    Attributes:
        fits_NA: 1 where an anchor fits the true length, 0 where not, `IGNORED` where no length is defined.
        factor_NA: Logarithm of true length / anchor where it fits, `IGNORED` elsewhere (no logarithm reaches it).
    """

    fits_NA: NDArray[np.int64]
    factor_NA: NDArray[np.float64]


def targets(
    distances_N: ArrayLike, lengths_N: ArrayLike, anchors: Sequence[float] = ANCHORS, fits: float = FITS
) -> Targets:
    """Return the targets of windows of current lengths where the true cycles are these distances long.

    The true length is the distance + 1. An anchor is a multiple of the current length; it fits where the shorter of
    the two is at least `fits` of the longer.

    Args:
        distances_N: Frames to the same moment of the neighbouring cycle; `IGNORED` where undefined.
        lengths_N: Lengths of the cycles of the windows, frames.
        anchors: Multiples of the length.
        fits: Least quotient.

    Source: `update_labels` of the code of Zhang et al., CVPR 2020.
    """
    distance = np.asarray(distances_N, dtype=np.float64)[:, None]
    true = distance + 1
    anchor = np.asarray(lengths_N, dtype=np.float64)[:, None] * np.asarray(anchors, dtype=np.float64)
    known = distance != IGNORED
    positive = known & (np.minimum(true, anchor) / np.maximum(true, anchor) >= fits)
    return Targets(
        np.where(known, positive, IGNORED).astype(np.int64),
        np.where(positive, np.log(np.where(positive, true / anchor, 1.0)), float(IGNORED)),
    )


def distances_at(distances_n: NDArray[np.int64], frame: int) -> int:
    """Return the distance at a frame of a stretch; `IGNORED` past its end."""
    return int(distances_n[frame]) if frame < len(distances_n) else IGNORED
