"""Which frames show a network a pair of neighbouring cycles, in their context.

A window is (l, m, r): one cycle is the frames l to m, the next one m + 1 to r, counted from 0 within the annotated
stretch. Each half shows twice its cycle: the left one begins a length before l, the right one ends a length after r.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Windows = NDArray[np.float64]
"""Windows (N, 3): l, m, r."""


def window_frames(windows_N3: ArrayLike, frames: int = 16) -> NDArray[np.int64]:
    """Return the frames that windows show, (N, 2 * `frames`): those of the left half, then those of the right.

    A half goes from a to b, whole numbers: on the left a = int(l - (m - l + 1)), b = int(m), on the right
    a = int(m + 1), b = int(r + r - a + 1). Frame j is round(a - 0.5 + j (b - a + 1) / (frames - 1)), half to even, kept
    in a to b. Frames below 0 or after the stretch are to be shown as padding: see `is_padding`.

    Args:
        windows_N3: Windows (N, 3), whole or fractional.
        frames: Frames of a half; 16 in the released code.

    Source: `update_inputs_2stream` of the code of Zhang et al., CVPR 2020.

    Raises:
        ValueError: `frames` is below 1.
    """
    if frames < 1:
        raise ValueError(f"frames is {frames}; expected at least 1")
    left, middle, right = np.asarray(windows_N3, dtype=np.float64).reshape(-1, 3).T
    first = np.trunc(left - (middle - left + 1))
    after = np.trunc(middle + 1)
    halves = (first, np.trunc(middle)), (after, np.trunc(right + (right - after + 1)))
    return np.concatenate([_spread(start, end, frames) for start, end in halves], axis=1).astype(np.int64)


def is_padding(frames_NF: NDArray[np.int64], count: ArrayLike) -> NDArray[np.bool_]:
    """Return which frames lie outside a stretch of `count` frames; one count for all windows, or one a window (N,)."""
    after = np.asarray(count).reshape(-1, 1)
    return (frames_NF < 0) | (frames_NF >= after)


def _spread(start_N: Windows, end_N: Windows, frames: int) -> Windows:
    step = (end_N - start_N + 1) / max(frames - 1, 1)
    points = np.rint(start_N[:, None] - 0.5 + np.arange(frames) * step[:, None])
    return np.maximum(start_N[:, None], np.minimum(end_N[:, None], points))
