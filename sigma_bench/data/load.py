"""From a file to the frames of its clips: the job that decoding processes run, without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data import boxes, clips
from sigma_bench.data.boxes import Box
from sigma_bench.data.clips import Indices
from sigma_bench.data.decode.recent import recent

SAMPLINGS = ("pretraining", "dense_train", "dense_test", "segments_train", "segments_test")
BOXES = ("full", "center", "multi_scale", "random_resized")
RESIZE_RATIO = (3 / 4, 4 / 3)
"""Aspects that a random resized crop may have."""


@dataclass(frozen=True)
class ClipRequest:
    """Which clips of which file are wanted; picklable, so that it can be sent to another process.

    Attributes:
        path: The file.
        sampling: Temporal rule, a function of `data.clips`: pretraining, dense_train, dense_test, segments_train or
            segments_test. Rules that draw give every clip its own draw.
        frames: Frames in a clip.
        stride: Distance between frames; the segment rules have none and ignore it.
        clips: Clips of the file. All of them are decoded in one opening of it.
        box: Spatial rule: full (whole frames, cropped later), center, multi_scale or random_resized.
        flip: Draw for every clip whether it is mirrored (one half). It is recorded, not carried out: resizing and
            mirroring happen on tensors.
        size: Side the crop is resized to later; multi_scale avoids resizing by a pixel or two.
        scale: Least and greatest share of the area of a random resized crop.
        seed: Seed words of all draws of this request.
        backend: Name of the decoder, or auto.
        start: First frame of the file that belongs to the sample; None is the file's first.
        end: First frame after the sample; None is after the file's last.
    """

    path: str
    sampling: str
    frames: int
    stride: int = 1
    clips: int = 1
    box: str = "full"
    flip: bool = False
    size: int = 224
    scale: tuple[float, float] = (0.25, 1.0)
    seed: tuple[int, ...] = (0,)
    backend: str = "auto"
    start: int | None = None
    end: int | None = None


def load_clips(request: ClipRequest) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Return the frames of every wanted clip, cropped, and what was done.

    Args:
        request: What is wanted. The same request gives the same frames in any process.

    Returns:
        One uint8 (T, h, w, 3) array a clip, and the record: `count` (frames of the file, measured), `used` (frames
        of the sample), `height`, `width`, `indices`, `boxes`, `flips` (each one a clip), `flip` (of the first
        clip), `short` (a frame stands more than once in a clip), `cut` (the sample's end lies beyond the file's),
        `backend` (that read the file), `version`.

    Raises:
        DecodeError: The file cannot be decoded.
        UserError: A rule of that name does not exist, or the sample starts after the file's end.
    """
    rngs = [_rng(request.seed, clip) for clip in range(request.clips)]
    _rules(request)
    backend = recent(request.backend)
    reader = backend.open(Path(request.path))
    try:
        start, end = _span(request, reader.count)
        chosen = [start + indices for indices in _sample(request, end - start, rngs)]
        cuts = [_box(request, reader.height, reader.width, rng) for rng in rngs]
        flips = [bool(rng.randint(2)) if request.flip else False for rng in rngs]
        needed, place = np.unique(np.concatenate(chosen), return_inverse=True)
        frames = reader.frames(needed.tolist())
        info: dict[str, Any] = {
            "count": reader.count,
            "used": end - start,
            "height": reader.height,
            "width": reader.width,
            "indices": [indices.tolist() for indices in chosen],
            "boxes": [tuple(cut) for cut in cuts],
            "flips": flips,
            "flip": flips[0],
            "short": any(len(np.unique(indices)) < len(indices) for indices in chosen),
            "cut": request.end is not None and request.end > reader.count,
            "backend": reader.backend,
            "version": backend.version(),
        }
    finally:
        reader.close()
    arrays = []
    for where, cut in zip(place.reshape(request.clips, request.frames), cuts, strict=True):
        y, x, h, w = cut
        arrays.append(np.ascontiguousarray(frames[where, y : y + h, x : x + w]))
    return arrays, info


def _rng(seed: tuple[int, ...], clip: int) -> np.random.RandomState:
    return np.random.RandomState(np.random.SeedSequence((*seed, clip)).generate_state(4))


def _span(request: ClipRequest, count: int) -> tuple[int, int]:
    start = request.start or 0
    end = count if request.end is None else min(request.end, count)
    if not 0 <= start < end:
        raise UserError(
            f"{request.path}: the sample's frames {request.start} to {request.end} are not in the file, which has "
            f"{count}; check the list, or whether the file is the right one"
        )
    return start, end


def _sample(request: ClipRequest, n: int, rngs: list[np.random.RandomState]) -> list[Indices]:
    frames, stride = request.frames, request.stride
    if request.sampling == "dense_test":
        return list(clips.dense_test(n, frames, stride, request.clips))
    if request.sampling == "segments_test":
        return list(clips.segments_test(n, frames, request.clips))
    draws: dict[str, Callable[[np.random.RandomState], Indices]] = {
        "pretraining": lambda rng: clips.pretraining(n, frames, stride, rng),
        "dense_train": lambda rng: clips.dense_train(n, frames, stride, rng),
        "segments_train": lambda rng: clips.segments_train(n, frames, rng),
    }
    return [draws[request.sampling](rng) for rng in rngs]


def _box(request: ClipRequest, h: int, w: int, rng: np.random.RandomState) -> Box:
    if request.box == "multi_scale":
        return boxes.multi_scale(h, w, request.size, rng)
    if request.box == "random_resized":
        return boxes.random_resized(h, w, request.scale, RESIZE_RATIO, rng)
    return boxes.center(h, w) if request.box == "center" else boxes.full(h, w)


def _rules(request: ClipRequest) -> None:
    known = {"sampling": SAMPLINGS, "box": BOXES}
    for key, names in known.items():
        if getattr(request, key) not in names:
            raise UserError(f"{key} '{getattr(request, key)}' is unknown; expected one of {', '.join(names)}")
