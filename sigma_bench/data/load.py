"""From a file to the frames of its clips: the job that decoding processes run, without torch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data import boxes, clips, orders, spans
from sigma_bench.data.boxes import Box
from sigma_bench.data.clips import Indices
from sigma_bench.data.decode.interface import Reader, Seconds
from sigma_bench.data.decode.recent import recent
from sigma_bench.data.spans import Span

if TYPE_CHECKING:
    from sigma_bench.data.augment import RandAugment
    from sigma_bench.data.index import Index

SAMPLINGS = (
    "pretraining",
    "dense_train",
    "dense_test",
    "segments_train",
    "segments_test",
    "windows_train",
    "windows_test",
    "given",
)
SHUFFLE = 2**31
"""Seed word of the order of frames, which so changes no other draw of a clip."""
BOXES = ("full", "squashed", "center", "multi_scale", "random_resized", "random_square")
RESIZE_RATIO = (3 / 4, 4 / 3)
"""Aspects that a random resized crop may have."""
WHERE = ("path", "start", "end", "start_s", "end_s", "fps")
"""Columns of an index, and fields of a request, that say where a sample lies."""


@dataclass(frozen=True)
class ClipRequest:
    """Which clips of which file are wanted; picklable, so that it can be sent to another process.

    Attributes:
        path: The file.
        sampling: Temporal rule, one of `SAMPLINGS`: a function of `data.clips`, or `given`, the frames of `indices`.
            Rules that draw give every clip its own draw.
        frames: Frames in a clip.
        stride: Distance between frames; the segment rules have none and ignore it.
        clips: Clips of the file. All of them are decoded in one opening of it.
        repeats: Crops of each clip (repeated sampling): the same frames, decoded once, under boxes and mirrorings of
            their own. The first is that of a request without repeats.
        box: Spatial rule: full (whole frames, cropped later), squashed (whole frames, resized to a square later),
            center, multi_scale, random_resized or random_square.
        flip: Draw for every clip whether it is mirrored (one half). It is recorded, not carried out: resizing and
            mirroring happen on tensors.
        size: Side the crop is resized to later; multi_scale avoids resizing by a pixel or two.
        scale: Least and greatest share of the area of a random resized crop, or of the short side of a random square.
        augment: RandAugment of the whole frames before they are cropped, in timm's short form
            ("rand-m7-n4-mstd0.5-inc1"), drawn for every crop; empty for none.
        seed: Seed words of all draws of this request.
        backend: Name of the decoder, or auto.
        start: First frame of the file that belongs to the sample; None is the file's first.
        end: First frame after the sample; None is after the file's last.
        start_s: First second of the sample, counted from the file's first frame, where it is given in seconds.
        end_s: First second after it; None is the file's end.
        fps: Rate of a file that says of no frame when it is shown (a folder of frames).
        count_fps: Rate at which the sample's frames are counted, whatever the file's: frames and stride are those of
            the sample after it is resampled to it (`spans.at_rate_of`). None counts the file's frames.
        order: How the frames of a clip follow each other, see `data.orders`; `indices` of the record has them so.
        indices: The frames of the one clip, counted from the sample's first, where `sampling` is `given`.
    """

    path: str
    sampling: str
    frames: int
    stride: int = 1
    clips: int = 1
    repeats: int = 1
    box: str = "full"
    flip: bool = False
    size: int = 224
    scale: tuple[float, float] = (0.25, 1.0)
    augment: str = ""
    seed: tuple[int, ...] = (0,)
    backend: str = "auto"
    start: int | None = None
    end: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None
    count_fps: float | None = None
    order: str = "natural"
    indices: tuple[int, ...] = ()


def where(index: Index) -> Callable[[int], dict[str, Any]]:
    """Return a function from a row of `index` to the fields of a request that say where its sample lies."""
    columns = {name: index.table[name].to_pylist() for name in WHERE}

    def of(row: int) -> dict[str, Any]:
        found = {name: column[row] for name, column in columns.items()}
        return {**found, "path": str(index.root / found["path"])}

    return of


def load_clips(request: ClipRequest) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Return the frames of every wanted clip, cropped, and what was done.

    Args:
        request: What is wanted. The same request gives the same frames in any process.

    Returns:
        One uint8 (T, h, w, 3) array a crop, clip by clip, and the record: `count` (frames of the file, measured),
        `used` (frames of the sample), `height`, `width`, `indices` (each one a clip), `boxes`, `flips` (each one a
        crop), `flip` (of the first crop), `short` (a frame stands more than once in a clip), `cut` (the sample's end
        lies beyond the file's), `backend` (that read the file), and `counted` (the frames of each clip as they are
        counted from the sample's start).

    Raises:
        DecodeError: The file cannot be decoded, or is a folder that lacks frames where the list counts or times them.
        UserError: A rule of that name does not exist, the sample starts after the file's end, a frame that is given is
            not in it, or it is given in seconds or counted at a rate and nothing says when the frames of the file are
            shown.
    """
    rngs = [_rng((*request.seed, clip)) for clip in range(request.clips)]
    augment = _augmentation(request)
    _rules(request)
    reader = recent(request.backend).open(Path(request.path))
    try:
        span = _span(request, reader)
        shown = _shown(request, reader, span)
        counted = _sample(request, len(shown), rngs)
        chosen = [_ordered(request, clip, shown[indices]) for clip, indices in enumerate(counted)]
        draws = [rng for clip, rng in enumerate(rngs) for rng in (rng, *_repeats(request, clip))]
        cuts = [_box(request, reader.height, reader.width, rng) for rng in draws]
        flips = [bool(rng.randint(2)) if request.flip else False for rng in draws]
        needed, place = np.unique(np.concatenate(chosen), return_inverse=True)
        frames = reader.frames(needed.tolist())
        info: dict[str, Any] = {
            "count": reader.count,
            "used": span.end - span.start,
            "height": reader.height,
            "width": reader.width,
            "indices": [indices.tolist() for indices in chosen],
            "counted": [indices.tolist() for indices in counted],
            "boxes": [tuple(cut) for cut in cuts],
            "flips": flips,
            "flip": flips[0],
            "short": any(len(np.unique(shown[indices])) < len(indices) for indices in counted),
            "cut": span.cut,
            "backend": reader.backend,
        }
    finally:
        reader.close()
    arrays = []
    of_clips = place.reshape(request.clips, request.frames)
    crops = ((clip, repeat) for clip in range(request.clips) for repeat in range(request.repeats))
    for (clip, repeat), (y, x, h, w) in zip(crops, cuts, strict=True):
        whole = frames[of_clips[clip]]
        whole = whole if augment is None else augment(whole, _words(request, clip, repeat))
        arrays.append(np.ascontiguousarray(whole[:, y : y + h, x : x + w]))
    return arrays, info


def _rng(words: tuple[int, ...]) -> np.random.RandomState:
    return np.random.RandomState(np.random.SeedSequence(words).generate_state(4))


def _words(request: ClipRequest, clip: int, repeat: int) -> tuple[int, ...]:
    """Return the seed words of a crop of a clip; those of the first crop are the clip's."""
    return (*request.seed, clip, repeat) if repeat else (*request.seed, clip)


def _augmentation(request: ClipRequest) -> RandAugment | None:
    if not request.augment:
        return None
    from sigma_bench.data.augment import RandAugment

    return RandAugment.parse(request.augment)


def _repeats(request: ClipRequest, clip: int) -> list[np.random.RandomState]:
    """Return what the second and later crops of a clip are drawn from; the first goes on with the draws of the clip."""
    return [_rng(_words(request, clip, repeat)) for repeat in range(1, request.repeats)]


def _ordered(request: ClipRequest, clip: int, indices: Indices) -> Indices:
    """Return the frames of a clip as they are shown; a still, of one frame, has no other order."""
    return orders.reorder(indices, request.order, _rng((*request.seed, clip, SHUFFLE)))


def _span(request: ClipRequest, reader: Reader) -> Span:
    start_s, end_s = request.start_s, request.end_s
    if os.path.isdir(request.path) and {request.fps, request.start, request.end, start_s, end_s} != {None}:
        from sigma_bench.data.decode.stills import unbroken

        unbroken(Path(request.path))
    if start_s is None and end_s is None:
        return spans.in_frames(request.path, reader.count, request.start, request.end)
    if request.start is not None or request.end is not None:
        raise UserError(f"{request.path}: the list gives the sample in frames and in seconds; expected one of them")
    return spans.in_seconds(request.path, _times(request, reader, "the sample is given in seconds"), start_s, end_s)


def _times(request: ClipRequest, reader: Reader, why: str) -> Seconds:
    """Return when the frames of a file are shown, as it says or at the rate of the list."""
    if reader.times is not None:
        return reader.times
    if request.fps is None or not 0 < request.fps < math.inf:
        raise UserError(
            f"{request.path}: {why}, and neither the file says when its frames are shown nor the list at what rate "
            f"(fps is {request.fps}); give the rate or the frames in the list"
        )
    return spans.at_rate(reader.count, request.fps)


def _shown(request: ClipRequest, reader: Reader, span: Span) -> Indices:
    """Return the file's frame of each counted frame of the sample."""
    own: Indices = np.arange(span.start, span.end, dtype=np.int64)
    if request.count_fps is None or (reader.times is None and request.fps == request.count_fps):
        return own
    times = _times(request, reader, f"frames are counted at {request.count_fps} a second")
    return np.take(own, spans.at_rate_of(times[span.start : span.end], request.count_fps))


def _sample(request: ClipRequest, n: int, rngs: list[np.random.RandomState]) -> list[Indices]:
    frames, stride = request.frames, request.stride
    if request.sampling == "given":
        if not (len(request.indices) == frames and request.clips == 1 and min(request.indices) >= 0):
            raise UserError(f"{request.path}: {len(request.indices)} frames given for one clip of {frames}")
        if max(request.indices) >= n:
            raise UserError(f"{request.path}: frame {max(request.indices)} is asked for; it has {n}")
        return [np.array(request.indices, dtype=np.int64)]
    if request.sampling == "dense_test":
        return list(clips.dense_test(n, frames, stride, request.clips))
    if request.sampling == "segments_test":
        return list(clips.segments_test(n, frames, request.clips))
    if request.sampling == "windows_test":
        return list(clips.windows_test(n, frames, stride, request.clips))
    draws: dict[str, Callable[[np.random.RandomState], Indices]] = {
        "pretraining": lambda rng: clips.pretraining(n, frames, stride, rng),
        "dense_train": lambda rng: clips.dense_train(n, frames, stride, rng),
        "segments_train": lambda rng: clips.segments_train(n, frames, rng),
        "windows_train": lambda rng: clips.windows_train(n, frames, stride, rng),
    }
    return [draws[request.sampling](rng) for rng in rngs]


def _box(request: ClipRequest, h: int, w: int, rng: np.random.RandomState) -> Box:
    if request.box == "multi_scale":
        return boxes.multi_scale(h, w, request.size, rng)
    if request.box == "random_resized":
        return boxes.random_resized(h, w, request.scale, RESIZE_RATIO, rng)
    if request.box == "random_square":
        return boxes.random_square(h, w, request.scale, rng)
    return boxes.center(h, w) if request.box == "center" else boxes.full(h, w)


def _rules(request: ClipRequest) -> None:
    known = {"sampling": SAMPLINGS, "box": BOXES, "order": orders.ORDERS}
    for key, names in known.items():
        if getattr(request, key) not in names:
            raise UserError(f"{key} '{getattr(request, key)}' is unknown; expected one of {', '.join(names)}")
