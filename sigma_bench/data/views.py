"""Which views of each sample an encoder is shown: what is asked of the decoding processes, and the clips made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from sigma_bench.contracts import EncoderSpec, Order
from sigma_bench.data import transforms
from sigma_bench.data.decode.pool import Result
from sigma_bench.data.index import Index
from sigma_bench.data.load import ClipRequest, where

GIVEN = "given"
"""Sampling of frames that the views name themselves, sample by sample."""
STILL = "still"
"""Sampling of pictures: one frame, of a video one of as many as clips, spread evenly, is shown in all of a clip."""
DECODER = "auto"
"""Decoder of evaluations: one for every file alike, see `data.decode.backends`."""


@dataclass(frozen=True)
class Views:
    """Which views of each sample are encoded.

    Attributes:
        sampling: Temporal rule, a name of `data.clips`, `STILL` or `GIVEN`.
        clips: Temporal clips of a sample.
        crops: Spatial crops of a clip: 1 or 3, or 1 random crop with `box` "random_resized".
        stride: Frames between two frames of a clip.
        box: Spatial rule, a name of `data.boxes`.
        flip: Mirror a view with probability one half (training views).
        seed: Seed of what is random.
        count_fps: Rate at which frames are counted, see `data.load.ClipRequest`; None counts the file's.
        order: How the frames of a clip follow each other, a name of `data.orders`.
        frames: With `GIVEN` the frames of each sample's one clip, in the order of the index; else empty.
    """

    sampling: str
    clips: int
    crops: int
    stride: int
    box: str
    flip: bool
    seed: int
    count_fps: float | None = None
    order: Order = "natural"
    frames: tuple[tuple[int, ...], ...] = ()

    @property
    def count(self) -> int:
        """Views of a sample."""
        return self.clips * self.crops


def requests(index: Index, views: Views, spec: EncoderSpec, rows: Sequence[int]) -> Iterator[ClipRequest]:
    """Yield the requests of some rows of `index`, in their order; what is random depends on seed and row alone."""
    sample, still = where(index), views.sampling == STILL
    for row in rows:
        given = tuple(views.frames[row]) if views.sampling == GIVEN else ()
        yield ClipRequest(
            **sample(row),
            sampling="dense_test" if still else views.sampling,
            frames=1 if still else len(given) or spec.frames,
            stride=views.stride,
            clips=views.clips,
            box=views.box,
            flip=views.flip,
            size=spec.image_size,
            seed=(views.seed, row),
            backend=DECODER,
            count_fps=views.count_fps,
            order=views.order,
            indices=given,
        )


def sample_views(result: Result, views: Views, spec: EncoderSpec, device: str) -> list[torch.Tensor]:
    """Return the V views uint8 (3, T, S, S) of one decoded sample: clip by clip, crop by crop.

    A still is decoded and resized once and repeated here.
    """
    assert result.arrays is not None
    flips = result.info.get("flips") or [False] * len(result.arrays)
    made: list[torch.Tensor] = []
    for array, flip in zip(result.arrays, flips, strict=True):
        frames = torch.from_numpy(array).to(device)
        if views.box == "full":
            crops = transforms.test_crops(frames, spec.image_size, views.crops)
            made += [crop.flip(-1) for crop in crops] if flip else crops
        else:
            made.append(transforms.to_clip(frames, spec.image_size, bool(flip)))
    return [clip.expand(-1, spec.frames, -1, -1) for clip in made] if views.sampling == STILL else made
