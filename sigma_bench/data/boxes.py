"""Crop boxes in source pixels: where to cut, decided before anything is resized."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

SCALES = (1.0, 0.875, 0.75, 0.66)
"""Shares of the short side that a multi-scale crop may have."""

_OFFSETS = (
    *((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)),  # corners, centre
    *((2, 0), (2, 4), (4, 2), (0, 2)),  # middles of the edges
    *((1, 1), (1, 3), (3, 1), (3, 3)),  # middles of the quarters
)


class Box(NamedTuple):
    """A rectangle of a frame: top, left, height, width, in pixels."""

    y: int
    x: int
    h: int
    w: int


def full(h: int, w: int) -> Box:
    """Return the whole frame."""
    return Box(0, 0, h, w)


def center(h: int, w: int) -> Box:
    """Return the central square as large as the short side."""
    side = min(h, w)
    return Box(round((h - side) / 2), round((w - side) / 2), side, side)


def along(h: int, w: int, crops: int = 3) -> tuple[Box, ...]:
    """Return `crops` squares of the short side's size, spread evenly along the long side.

    Crop k starts at int(k * (long - short) / (crops - 1)), the test-time rule of the VideoMAE family; a single crop
    is the central one. To be exact the frame must already have been resized to the wanted short side.

    Args:
        h: Height of the frame.
        w: Width of the frame.
        crops: Number of crops.

    Raises:
        ValueError: `crops` is below 1.
    """
    if crops < 1:
        raise ValueError(f"crops is {crops}; expected at least 1")
    if crops == 1:
        return (center(h, w),)
    side, step = min(h, w), (max(h, w) - min(h, w)) / (crops - 1)
    starts = [int(k * step) for k in range(crops)]
    return tuple(Box(s, 0, side, side) if h > w else Box(0, s, side, side) for s in starts)


def multi_scale(h: int, w: int, size: int, rng: np.random.RandomState) -> Box:
    """Return a crop of one of a few sizes at one of 13 fixed places, the augmentation of pretraining.

    Height and width are shares (`SCALES`) of the short side, at most one scale apart; a side within two pixels of
    `size` becomes `size`, so that it need not be resized. The places are the corners, the centre, the middles of
    the edges and of the quarters, on a grid of steps of a quarter of the free room (rounded down).

    A side snapped to `size` never exceeds the frame here, while the source would then cut outside it.

    Args:
        h: Height of the frame.
        w: Width of the frame.
        size: Side the crop is resized to later.
        rng: Source of the two choices: the pair of sides, the place.

    Returns:
        The box. Source: `GroupMultiScaleCrop` of TSN, used by VideoMAE and SIGMA (datasets.py:9-29).
    """
    sides = [max(1, int(min(h, w) * scale)) for scale in SCALES]
    sides = [size if abs(side - size) < 3 else side for side in sides]
    pairs = [(a, b) for i, a in enumerate(sides) for j, b in enumerate(sides) if abs(i - j) <= 1]
    crop_h, crop_w = pairs[int(rng.randint(len(pairs)))]
    crop_h, crop_w = min(crop_h, h), min(crop_w, w)
    down, right = _OFFSETS[int(rng.randint(len(_OFFSETS)))]
    return Box(down * ((h - crop_h) // 4), right * ((w - crop_w) // 4), crop_h, crop_w)


def random_square(h: int, w: int, share: tuple[float, float], rng: np.random.RandomState) -> Box:
    """Return a square at a random place whose side is a random share of the short side, drawn uniformly.

    To resize the short side to a length whose inverse is uniform between 1/b and 1/a, and to crop squares of side c
    then, is this with shares from c/b to c/a, but for the rounding to pixels: SlowFast's
    `random_short_side_scale_jitter` with inverse sampling.

    Args:
        h: Height of the frame.
        w: Width of the frame.
        share: Least and greatest share of the short side, at most 1.
        rng: Source of share and place.
    """
    side = min(max(1, round(min(h, w) * rng.uniform(*share))), h, w)
    return Box(int(rng.randint(h - side + 1)), int(rng.randint(w - side + 1)), side, side)


def random_resized(
    h: int,
    w: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    rng: np.random.RandomState,
) -> Box:
    """Return a crop of random area and aspect, the augmentation of finetuning.

    Ten tries; where none fits, the central crop whose aspect is the nearest allowed one.

    Args:
        h: Height of the frame.
        w: Width of the frame.
        scale: Least and greatest share of the area; SIGMA finetunes with (0.25, 1), VideoMAE with (0.08, 1).
        ratio: Least and greatest width / height, drawn uniformly in the logarithm; usually (3/4, 4/3).
        rng: Source of area, aspect and place.
    """
    for _ in range(10):
        area = rng.uniform(*scale) * h * w
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        crop_h, crop_w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < crop_h <= h and 0 < crop_w <= w:
            return Box(int(rng.randint(h - crop_h + 1)), int(rng.randint(w - crop_w + 1)), crop_h, crop_w)
    aspect = min(max(w / h, ratio[0]), ratio[1])
    crop_h, crop_w = min(h, max(1, round(w / aspect))), min(w, max(1, round(h * aspect)))
    return Box((h - crop_h) // 2, (w - crop_w) // 2, crop_h, crop_w)
