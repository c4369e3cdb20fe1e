"""Frames and masks of the clips of a figure of segments."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sigma_bench.contracts import UserError
from sigma_bench.data import clips, masks
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.recent import recent
from sigma_bench.evaluators.segmentation.clips import draw
from sigma_bench.runs.data import TRAINING_DECODER
from sigma_bench.runs.sequences import Sequence

BINARY = {0, 255}


@dataclass(frozen=True)
class SegmentClip:
    """Frames drawn from a whole video, in order, with the masks of those that have one.

    Attributes:
        sequence: Where they are from.
        indices: Place of each frame in the video; one stands more than once where the video is short.
        frames: uint8 (T, h, w, 3).
        masks: Of each frame its ids (h, w), None where it has no mask; `VOID` is a pixel that nobody judged.
    """

    sequence: Sequence
    indices: list[int]
    frames: NDArray[np.uint8]
    masks: list[masks.Mask | None]

    @property
    def has_masks(self) -> bool:
        """Whether some frame has a mask."""
        return any(mask is not None for mask in self.masks)

    @property
    def ids(self) -> list[int]:
        """The ids in its masks, ascending, background included."""
        found = {int(i) for mask in self.masks if mask is not None for i in np.unique(mask)}
        return sorted(found - {masks.VOID})


def read_clip(sequence: Sequence, count: int, seed: int) -> SegmentClip:
    """Return frames drawn from all of a video without replacement, in order; with it where there are too few.

    They are drawn from those with a mask where there are enough of them, otherwise from all. The draw depends on the
    seed and the name alone.

    Args:
        sequence: The video.
        count: Frames.
        seed: Of the draw.

    Raises:
        UserError: A frame or mask that cannot be read, or a mask of another size than its frame.
    """
    try:
        reader = recent(TRAINING_DECODER).open(sequence.media)
    except DecodeError as error:
        raise UserError(f"{error.path}: {error.reason}") from error
    try:
        files = _mask_files(sequence, reader.count)
        indices = _drawn(sequence, sorted(files), reader.count, count, seed)
        unique = sorted(set(indices))
        pixels = reader.frames(unique)
    except DecodeError as error:
        raise UserError(f"{error.path}: {error.reason}") from error
    finally:
        reader.close()
    found = _read_masks(sequence, {n: files[n] for n in unique if n in files})
    for number, mask in found.items():
        if mask.shape != pixels.shape[1:3]:
            height, width = mask.shape
            raise UserError(f"{files[number]}: is {width}x{height}, its frame {pixels.shape[2]}x{pixels.shape[1]}")
    frames = pixels[[unique.index(n) for n in indices]]
    return SegmentClip(sequence, indices, frames, [found.get(n) for n in indices])


def _drawn(sequence: Sequence, masked: list[int], length: int, count: int, seed: int) -> list[int]:
    """Return which frames are drawn: of a data set with masks, those that its evaluation measures."""
    if sequence.index is not None and sequence.masks is not None:
        drawn = draw(sequence.index, sequence.row, frames=count, shown=count, seed=seed, must={})
        return list(drawn.positions)
    pool = masked if len(masked) >= min(count, length) else list(range(length))
    words = (seed, zlib.crc32(sequence.name.encode()))
    rng = np.random.RandomState(np.random.SeedSequence(words).generate_state(4))
    return [pool[place] for place in clips.scattered(len(pool), count, rng)]


def _mask_files(sequence: Sequence, count: int) -> dict[int, Path]:
    """Return place of a frame -> its mask, of a video of `count` frames."""
    if sequence.index is not None and sequence.masks is not None:
        return {one.position: one.mask for one in masks.mask_paths(sequence.index, sequence.row)}
    if sequence.masks is None:
        return {}
    files = masks.listed(sequence.masks)
    frames = masks.listed(sequence.media) if sequence.media.is_dir() else {}
    places = {stem: place for place, stem in enumerate(frames)} or {stem: number for stem, (number, _) in files.items()}
    lost = [path for stem, (_, path) in files.items() if not 0 <= places.get(stem, -1) < count]
    if lost:
        raise UserError(f"{lost[0]}: belongs to no frame of {sequence.media}, which has {count}")
    return {places[stem]: path for stem, (_, path) in files.items()}


def _read_masks(sequence: Sequence, files: dict[int, Path]) -> dict[int, masks.Mask]:
    """Return place -> ids. Of a data set they are read as its rules say; of a folder of one's own 255 is void, unless
    there are only 0 and 255 in all of the masks: then it is the object.
    """
    index = sequence.index
    if index is None:
        found = {place: masks.read_mask(path, void=None) for place, path in files.items()}
        values = {int(v) for mask in found.values() for v in np.unique(mask)}
        return {place: masks.remap(mask, masks.BINARY) for place, mask in found.items()} if values <= BINARY else found
    void = masks.VOID_VALUE.get(index.name, masks.VOID)
    found = {place: masks.read_mask(path, void=void) for place, path in files.items()}
    objects = [o for o in index.sample(sequence.row).objects or () if o.label >= 0]
    if not objects:
        return found
    table = masks.category_lookup(objects, void)
    return {place: masks.remap(mask, table, files[place]) for place, mask in found.items()}
