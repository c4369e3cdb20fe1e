"""A miniature in the on-disk format of DAVIS-2017: sequences of one to three objects, every frame with its mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.datasets.davis import FRAMES, LISTS
from sigma_bench.data.masks import VOID, Mask
from sigma_bench.data.miniatures import objects
from sigma_bench.data.miniatures.pictures import write_frame, write_mask
from sigma_bench.data.miniatures.publish import Miniature, publish

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""
EDITIONS = ("Annotations/480p", "Annotations_unsupervised/480p")
"""Folders of the masks; in the second, of the unsupervised track, the rims of the objects are void."""
LENGTHS = (34, 60)
"""Least and greatest number of frames of a sequence."""
MOST = 3
"""Objects of a sequence, one to so many; two on average, as in the validation set."""


def write(root: Path, seed: int = 0, *, size_px: int = 64, train: int = 20, val: int = 10) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    Ids are given in a drawn order, so they tell nothing about depth; the objects of a sequence are in its masks
    alone.

    Args:
        root: Folder that will hold `JPEGImages`, both editions of the masks and `ImageSets`.
        seed: Seed of every draw.
        size_px: Side of the frames, whatever the folder `480p` says.
        train: Sequences of the training list.
        val: Sequences of the validation list.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else.
    """
    if size_px < 16 or not 1 <= train <= 999 or not 1 <= val <= 999:
        raise ValueError(f"size_px {size_px}, train {train}, val {val}; expected at least 16, and 1 to 999 sequences")
    settings = {"seed": seed, "size_px": size_px, "train": train, "val": val}

    def fill(folder: Path) -> None:
        order = np.random.default_rng((seed, 0)).permutation(train + val)
        names = [f"scene-{number:03d}" for number in order]
        (folder / LISTS).mkdir(parents=True)
        for split, part in (("train", names[:train]), ("val", names[train:])):
            text = "".join(f"{name}\n" for name in sorted(part))
            (folder / LISTS / f"{split}.txt").write_text(text, encoding="utf-8", newline="\n")
        for number, name in enumerate(names):
            rng = np.random.default_rng((seed, 1, number))
            _write_sequence(folder, name, 1 + number % MOST, size_px, rng)

    return publish(root, "davis", VERSION, settings, fill)


def _write_sequence(folder: Path, name: str, count: int, size_px: int, rng: np.random.Generator) -> None:
    length = int(rng.integers(LENGTHS[0], LENGTHS[1] + 1))
    categories = rng.choice(sorted(objects.TEXTURES), count).tolist()
    clip, seen = objects.render(objects.draw(categories, length, size_px, rng), length, size_px)
    ids = np.array([0, *(rng.permutation(count) + 1)], dtype=np.uint8)
    for place in (FRAMES, *EDITIONS):
        (folder / place / name).mkdir(parents=True)
    for number in range(length):
        write_frame(folder / FRAMES / name / f"{number:05d}.jpg", clip[number])
        mask = ids[seen[number]]
        for place, values in zip(EDITIONS, (mask, np.where(_rims(mask), VOID, mask)), strict=True):
            write_mask(folder / place / name / f"{number:05d}.png", values.astype(np.uint8))


def _rims(mask: Mask) -> NDArray[np.bool_]:
    """Return which pixels are of an object and beside a pixel of another id."""
    rim = np.zeros(mask.shape, dtype=bool)
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    rim[:, 1:] |= across
    rim[:, :-1] |= across
    rim[1:] |= down
    rim[:-1] |= down
    return rim & (mask > 0)
