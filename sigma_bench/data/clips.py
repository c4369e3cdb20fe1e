"""Which frames make a clip: the sampling rules of the VideoMAE family and of SlowFast, exact to the index.

All functions return int64 indices counted from 0. The random rules draw from a `RandomState`, whose stream numpy
keeps frozen, so that one seed means one clip on every machine and numpy version.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def pretraining(n: int, frames: int, stride: int, rng: np.random.RandomState) -> Indices:
    """Return the frames of a pretraining clip: a random start, then every `stride`-th frame.

    The position (counted from 1) stops where the next step would reach or pass `n`, so a short video repeats its
    last reachable frame; the very last frame of a video is therefore never the target of a step.

    Args:
        n: Frames in the video.
        frames: Frames in the clip.
        stride: Distance between neighbours.
        rng: Source of the start; drawn from only where more than no choice exists (n >= frames * stride).

    Returns:
        (frames,) indices. Source: SIGMA, kinetics.py:580-616.

    Raises:
        ValueError: A count is below 1.
    """
    _positive(n=n, frames=frames, stride=stride)
    room = n - frames * stride + 1
    start = int(rng.randint(0, room)) if room > 0 else 0
    last = max(start, start + (n - 2 - start) // stride * stride)
    return np.minimum(start + stride * np.arange(frames, dtype=np.int64), last)


def dense_train(n: int, frames: int, stride: int, rng: np.random.RandomState) -> Indices:
    """Return one random window of `frames * stride` frames, sampled by linspace.

    Both ends of the window are sampled and values are truncated, so the spacing is slightly more than `stride`
    (64/15 rather than 4 for 16 frames at stride 4). A video no longer than the window gives `n // stride` samples
    over all of it, then its last frame.

    Args:
        n: Frames in the video.
        frames: Frames in the clip.
        stride: Nominal distance between neighbours.
        rng: Source of the window's end; drawn from only where n > frames * stride.

    Returns:
        (frames,) indices. Source: the K400-like branch of VideoMAE's finetuning loader.

    Raises:
        ValueError: A count is below 1.
    """
    _positive(n=n, frames=frames, stride=stride)
    window = frames * stride
    if n > window:
        end = int(rng.randint(window, n))
        points = np.linspace(end - window, end, frames)
    else:
        end = n
        points = np.linspace(0, n, n // stride)
        points = np.concatenate([points, np.full(frames - len(points), n)])
    return np.minimum(points, end - 1).astype(np.int64)


def dense_test(n: int, frames: int, stride: int, clips: int) -> Indices:
    """Return `clips` windows spread evenly over every `stride`-th frame of the video.

    Clip s starts at sample int(s * (samples - frames) / (clips - 1)); the last sample pads a short video. A single
    clip, for which the source's rule is undefined, is the middle one.

    Args:
        n: Frames in the video.
        frames: Frames in a clip.
        stride: Distance between neighbours.
        clips: Temporal views.

    Returns:
        (clips, frames) indices. Source: the K400-like test branch of VideoMAE's finetuning loader.

    Raises:
        ValueError: A count is below 1.
    """
    _positive(n=n, frames=frames, stride=stride, clips=clips)
    samples = np.arange(0, n, stride, dtype=np.int64)
    samples = np.pad(samples, (0, max(frames - len(samples), 0)), mode="edge")
    spare = len(samples) - frames
    starts = [int(s * (spare / (clips - 1))) for s in range(clips)] if clips > 1 else [spare // 2]
    return np.stack([samples[start : start + frames] for start in starts])


def segments_train(n: int, frames: int, rng: np.random.RandomState) -> Indices:
    """Return one random frame out of each of `frames` equal segments of n // frames frames.

    A video of fewer than `frames` frames gives its first frame only, as in the source.

    Args:
        n: Frames in the video.
        frames: Segments, hence frames in the clip.
        rng: Source of the frame inside each segment.

    Returns:
        (frames,) indices. Source: the SSv2 branch of VideoMAE's finetuning loader.

    Raises:
        ValueError: A count is below 1.
    """
    _positive(n=n, frames=frames)
    length = n // frames
    if length == 0:
        return np.zeros(frames, dtype=np.int64)
    inside = rng.randint(length, size=frames).astype(np.int64)
    return length * np.arange(frames, dtype=np.int64) + inside


def segments_test(n: int, frames: int, clips: int) -> Indices:
    """Return `clips` interleaved clips of one frame a segment, where a segment is n / frames frames (a fraction).

    Every segment is cut at `clips` evenly spaced points; all points are sorted and clip c takes each `clips`-th of
    them from c on. Two clips (the source's case) are the segments' starts and centres; a single clip takes the
    centres.

    Args:
        n: Frames in the video.
        frames: Segments, hence frames in a clip.
        clips: Temporal views.

    Returns:
        (clips, frames) indices. Source: the SSv2 test branch of VideoMAE's finetuning loader.

    Raises:
        ValueError: A count is below 1.
    """
    _positive(n=n, frames=frames, clips=clips)
    tick = n / frames
    offsets = [tick * k / clips for k in range(clips)] if clips > 1 else [tick / 2]
    points = np.sort([int(offset + tick * x) for offset in offsets for x in range(frames)]).astype(np.int64)
    return np.stack([points[c::clips] for c in range(clips)])


def windows_train(n: int, frames: int, stride: int, rng: np.random.RandomState) -> Indices:
    """Return one random window of exactly every `stride`-th frame.

    The start is drawn uniformly from all at which the window fits into the video; where it is longer than the video,
    from all at which it covers the video, and frames beyond an end are that end's frame.

    Args:
        n: Frames in the video.
        frames: Frames in the clip.
        stride: Distance between neighbours.
        rng: Source of the start.

    Returns:
        (frames,) indices, ascending. Source: SlowFast, datasets/charades.py, `get_seq_frames`.

    Raises:
        ValueError: A count is below 1.
    """
    _positive(n=n, frames=frames, stride=stride)
    room = n - _span(frames, stride)
    start = int(rng.randint(min(room, 0), max(room, 0) + 1))
    return np.clip(start + stride * np.arange(frames, dtype=np.int64), 0, n - 1)


def windows_test(n: int, frames: int, stride: int, clips: int) -> Indices:
    """Return `clips` windows of exactly every `stride`-th frame, spread evenly from the video's start to its end.

    Window s starts at round(s * room / (clips - 1)), halves to the even number, where `room` is how much longer than
    a window the video is; if it is shorter, all start at its first frame and end with repeats of its last. A single
    clip, for which the source's rule is undefined, is the middle one.

    Args:
        n: Frames in the video.
        frames: Frames in a clip.
        stride: Distance between neighbours.
        clips: Temporal views.

    Returns:
        (clips, frames) indices. Source: SlowFast, datasets/charades.py, `get_seq_frames`.

    Raises:
        ValueError: A count is below 1.
    """
    _positive(n=n, frames=frames, stride=stride, clips=clips)
    room = max(n - _span(frames, stride), 0)
    starts = [round(room / (clips - 1) * s) for s in range(clips)] if clips > 1 else [room // 2]
    return np.minimum(np.array(starts)[:, None] + stride * np.arange(frames, dtype=np.int64), n - 1)


def _span(frames: int, stride: int) -> int:
    """Return the frames from the first to the last of a window."""
    return (frames - 1) * stride + 1


def scattered(n: int, frames: int, rng: np.random.RandomState) -> Indices:
    """Return different frames drawn from all of a video, in order; a shorter one gives some of them repeatedly.

    Args:
        n: Frames to draw from.
        frames: Frames in the clip.
        rng: Source of the draw.

    Returns:
        (frames,) indices. Source: the evaluation of Time-Tuning, `generate_indices` of `data_loader.py`, in its mode
        "uniform".

    Raises:
        ValueError: A count is below 1.
    """
    _positive(n=n, frames=frames)
    drawn = rng.permutation(n)[:frames] if n >= frames else rng.randint(0, n, frames)
    return np.sort(drawn).astype(np.int64)


def _positive(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; expected at least 1")
