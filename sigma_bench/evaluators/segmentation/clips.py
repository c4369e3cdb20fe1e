"""Which frames of a video are a clip, and what their masks say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigma_bench.contracts import UserError
from sigma_bench.data import clips
from sigma_bench.data.index import Index, Object
from sigma_bench.data.masks import (
    EXPECTED,
    VOID,
    VOID_VALUE,
    Annotated,
    Mask,
    category_lookup,
    listed,
    mask_paths,
    picture_size,
    read_mask,
    remap,
)
from sigma_bench.metrics.resampling import nearest

Ids = NDArray[np.uint8]


@dataclass(frozen=True)
class Drawn:
    """The frames of a clip.

    Attributes:
        frames: Each with its mask, in order; a short video gives some of them repeatedly.
        annotated: Frames of the video that have a mask, from which they were drawn.
        lacking: Frames of the video that should have one and have none.
    """

    frames: tuple[Annotated, ...]
    annotated: int
    lacking: int

    @property
    def positions(self) -> tuple[int, ...]:
        """Place of each frame among those of the video."""
        return tuple(one.position for one in self.frames)


def expected(index: Index) -> Mapping[str, frozenset[str]]:
    """Return sample -> stems of the frames that must have a mask; a sample that is not in it must have all.

    Raises:
        UserError: What says so cannot be read.
    """
    return EXPECTED[index.name](index) if index.name in EXPECTED and index.count else {}


def draw(index: Index, row: int, *, frames: int, shown: int, seed: int, must: Mapping[str, frozenset[str]]) -> Drawn:
    """Return the frames of the clip of a video: a sorted sample of different annotated frames, over all of it.

    The sample depends on `seed` and the video's name alone, whatever encoder is shown it.

    Args:
        index: The videos.
        row: Which of them.
        frames: Frames of the sample.
        shown: Frames of the clip; where it has fewer than the sample, these are evenly spread over it.
        seed: Seed of the sample.
        must: From `expected`.

    Raises:
        UserError: The video has no masks, or its folders are not as they should be.
    """
    sample = index.sample(row)
    found = mask_paths(index, row)
    stems = must.get(sample.id)
    stems = frozenset(listed(index.root / sample.path)) if stems is None else stems
    picked = clips.scattered(len(found), frames, _rng(seed, sample.id))
    if shown < frames:
        picked = picked[np.arange(shown) * frames // shown]
    lacking = len(stems - {one.mask.stem for one in found})
    return Drawn(tuple(found[place] for place in picked), len(found), lacking)


def truth(index: Index, row: int, drawn: Drawn, settings: Any) -> Ids:
    """Return the ids of a clip's masks, (T, `mask_size`, `mask_size`).

    Args:
        index: The videos.
        row: Which of them.
        drawn: Its clip.
        settings: The block `segmentation` of the task.

    Raises:
        UserError: A mask is damaged, of another size than its frame, holds an id that is not named, or nothing but
            void is left of the objects; names the file.
    """
    sample = index.sample(row)
    void = VOID_VALUE.get(index.name, VOID)
    read = {one.mask: _sized(one, void) for one in dict.fromkeys(drawn.frames)}
    ids = np.stack([nearest(read[one.mask][None], settings.mask_size, "pil")[0] for one in drawn.frames])
    if void_of(index, settings) is not None:
        _check_objects(ids, drawn, index.name)
    if sample.objects and all(thing.label >= 0 for thing in sample.objects):
        where = f"{index.root / (sample.masks or '')}"
        if settings.categories == "in_place":
            return in_place(ids, sample.objects, where)
        return remap(ids, category_lookup(sample.objects, void), where)
    return ids


def void_of(index: Index, settings: Any) -> int | None:
    """Return the id of pixels that are in no count; None where there is none."""
    return VOID if settings.void == "ignored" and VOID_VALUE.get(index.name, VOID) is not None else None


def clusters(ids: Ids, wanted: int | str, void: int | None) -> int:
    """Return the number of clusters for some masks: a fixed one, or that of the ids in them.

    Args:
        ids: Of the masks.
        wanted: A number; `ids`, background included; `objects`, without it.
        void: Id of pixels that are in no count.
    """
    if isinstance(wanted, int):
        return wanted
    held = set(np.unique(ids).tolist()) - {void}
    return max(1, len(held - {0} if wanted == "objects" else held))


def in_place(ids: Ids, objects: Sequence[Object], name: str) -> Ids:
    """Return masks with categories for objects, written one after another over the same pixels.

    So the released code of Time-Tuning does (`map_instances`): if object 1 becomes category 4 and there is an object 4,
    the pixels of both become the category of object 4.

    Raises:
        UserError: An id names no object.
    """
    category = {thing.id: thing.label + 1 for thing in objects}
    written = ids.copy()
    for number in np.unique(ids).tolist():
        if number == 0:
            continue
        if number not in category:
            raise UserError(f"{name}: holds the id {number}, for which no object is named")
        written[written == number] = category[number]
    return written


def _rng(seed: int, name: str) -> np.random.RandomState:
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype="<u4").tolist()
    return np.random.RandomState(np.random.SeedSequence((seed, *words)).generate_state(4))


def _sized(one: Annotated, void: int | None) -> Mask:
    """Return a mask, which must be of the size of its frame."""
    mask = read_mask(one.mask, void)
    size = picture_size(one.frame)
    if size is None:
        raise UserError(f"{one.frame}: the frame cannot be read")
    if size != mask.shape:
        raise UserError(
            f"{one.mask}: is {mask.shape[1]}x{mask.shape[0]}, its frame {size[1]}x{size[0]}; expected masks of the "
            "frames' size"
        )
    return mask


def _check_objects(ids: Ids, drawn: Drawn, dataset: str) -> None:
    """Refuse a clip of nothing but background and void, which would be an object in another data set's masks."""
    if not (ids == VOID).any() or ((ids != 0) & (ids != VOID)).any():
        return
    place = int((ids == VOID).any((1, 2)).argmax())
    raise UserError(
        f"{drawn.frames[place].mask}: {VOID} is void in {dataset}, and the clip's masks hold nothing else but "
        f"background, so no object is left. If {VOID} is the object (masks of DAVIS-2016 are so): "
        "--set segmentation.void=id"
    )
