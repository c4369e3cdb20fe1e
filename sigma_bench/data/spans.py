"""Which frames of a file belong to a sample that is a part of it, given in frames or in seconds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.interface import Seconds

SAME_S = 1e-6
"""Times that differ by no more are the same: lists are written with so many digits at most."""


class Span(NamedTuple):
    """Frames `start` to `end` - 1 of a file; `cut` where the sample goes on after the file's end."""

    start: int
    end: int
    cut: bool


def in_frames(path: str, count: int, start: int | None, end: int | None) -> Span:
    """Return the span between two frame numbers.

    Args:
        path: The file, for the message.
        count: Its frames.
        start: First frame of the sample; None is the file's first.
        end: First frame after the sample; None is after the file's last.

    Raises:
        UserError: No frame of the file lies between them.
    """
    first, last = start or 0, count if end is None else min(end, count)
    if not 0 <= first < last:
        raise UserError(
            f"{path}: the sample's frames {start} to {end} are not in the file, which has {count}; check the list, or "
            "whether the file is the right one"
        )
    return Span(first, last, end is not None and end > count)


def in_seconds(path: str, times: Seconds, start_s: float | None, end_s: float | None) -> Span:
    """Return the span of the frames that are first shown at or after `start_s` and before `end_s`.

    These are the frames that FFmpeg's filter `trim=start=...:end=...` keeps. (The program's `-t` counts from the first
    frame kept, not from `-ss`, so that a clip cut with it may have one frame more at its end.) Where no frame falls
    into the span, it is the one that is on the screen at `start_s`.

    Args:
        path: The file, for the message.
        times: When its frames are shown, seconds after the first. The last is shown as long as the one before it.
        start_s: First second of the sample; None is the file's start.
        end_s: First second after it; None is the file's end.

    Returns:
        The span; `cut` where the sample goes on for more than half a frame after the file's end.

    Raises:
        UserError: The span is empty or negative, or begins after the file's end.
    """
    start, end = start_s or 0.0, np.inf if end_s is None else end_s
    if not 0 <= start < end:
        raise UserError(f"{path}: the sample's seconds {start_s} to {end_s} are no span of time; check the list")
    shown = float(times[-1] - times[-2]) if len(times) > 1 else 0.0
    over = float(times[-1]) + shown
    if start >= max(over - SAME_S, float(times[-1]) + SAME_S):
        raise UserError(
            f"{path}: the sample's seconds {start_s} to {end_s} begin after the file's end at {over:.3f}; check the "
            "list, or whether the file is the right one"
        )
    cut = end_s is not None and end_s > over + max(shown / 2, SAME_S)
    first, last = np.searchsorted(times, [start - SAME_S, end - SAME_S])
    if first >= last:
        first = np.searchsorted(times, start + SAME_S, side="right") - 1
        last = first + 1
    return Span(int(first), int(last), cut)


def at_rate(count: int, fps: float) -> Seconds:
    """Return when the frames of a folder are shown: frame k at k / `fps`."""
    return np.arange(count) / fps


def at_rate_of(times: Seconds, fps: float) -> np.ndarray:
    """Return which frame is each of a video that is resampled to another rate, int64, as FFmpeg's filter `fps` does it.

    A frame is taken for the moment k / `fps` that is nearest to its own; of several the last one stays, and where there
    is none the one before goes on. A video of that rate keeps its frames, however its time stamps are rounded. The last
    frame is shown as long as the one before it.

    Args:
        times: When the frames are shown, ascending seconds.
        fps: Frames a second wanted.
    """
    shown = float(times[-1] - times[-2]) if len(times) > 1 else 1 / fps
    length = float(times[-1] - times[0]) + shown
    half = 0.5 - SAME_S * fps  # of two equally near moments the later
    moments = np.arange(max(1, int(length * fps + 1 - half)))
    return np.searchsorted((times - times[0]) * fps, moments + half, side="left").astype(np.int64) - 1
