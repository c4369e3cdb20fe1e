"""Classes of every frame of a video whose actions are timed and may overlap, and of the clips cut from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.index import Action

Labels = NDArray[np.bool_]


def labels_at(
    actions: Iterable[Action], times: NDArray[np.floating], classes: int, *, inclusive: bool = True
) -> Labels:
    """Return which classes are shown at each moment.

    Args:
        actions: Labelled stretches, seconds.
        times: Moments (T,), seconds from the file's start.
        classes: Number of classes C.
        inclusive: A stretch shows its class at its first and its last moment too. Charades' own training code
            (charades-algorithms) leaves both out.

    Returns:
        Boolean (T, C).

    Raises:
        ValueError: An action's label names none of the classes.
    """
    shown = np.zeros((len(times), classes), dtype=bool)
    for action in actions:
        if not 0 <= action.label < classes:
            raise ValueError(f"label {action.label} names none of {classes} classes")
        if inclusive:
            inside = (action.start_s <= times) & (times <= action.end_s)
        else:
            inside = (action.start_s < times) & (times < action.end_s)
        shown[:, action.label] |= inside
    return shown


def frame_labels(
    actions: Iterable[Action], frames: int, classes: int, *, fps: float = 24.0, inclusive: bool = True
) -> Labels:
    """Return which classes every frame shows: frame f, counted from 0, is the moment f / fps.

    This rebuilds the labels of the frame lists that SlowFast trains and tests Charades with.

    Args:
        actions: Labelled stretches, seconds.
        frames: Number of frames T.
        classes: Number of classes C.
        fps: Frames a second.
        inclusive: See `labels_at`.

    Returns:
        Boolean (T, C).
    """
    return labels_at(actions, np.arange(frames) / fps, classes, inclusive=inclusive)


def from_lists(lists: Sequence[Iterable[int]], classes: int) -> Labels:
    """Return lists of classes, one a frame, as a boolean array (T, C).

    Raises:
        ValueError: A label names none of the classes.
    """
    shown = np.zeros((len(lists), classes), dtype=bool)
    for frame, labels in enumerate(lists):
        for label in labels:
            if not 0 <= label < classes:
                raise ValueError(f"label {label} names none of {classes} classes")
            shown[frame, label] = True
    return shown


def union(labels: Labels, first: int = 0, last: int | None = None) -> Labels:
    """Return the classes that some frame from `first` to `last` shows, both among them.

    A training clip's target is the union from its first to its last sampled frame, frames between those that are
    sampled included; a test video's is the union of all frames (SlowFast, `datasets/charades.py`).

    Args:
        labels: Boolean (T, C).
        first: First frame, counted from 0.
        last: Last frame; None for the video's last.

    Returns:
        Boolean (C,).
    """
    return np.asarray(labels[first : None if last is None else last + 1].any(axis=0))
