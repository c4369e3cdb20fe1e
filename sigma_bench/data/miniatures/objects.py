"""The third synthetic scene: several textured objects that move, cover each other, come late and leave.

Every object goes a straight way from one place to another between two frames and rests before and after; a place may
lie outside the frame. The texture is the category; outline, colours, phase, size, way and depth tell nothing of it.
Objects and backgrounds are made of the same patterns, so no pattern alone means background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.miniatures import scene
from sigma_bench.data.miniatures.scene import Floats, Surface

TEXTURES = {
    "bars": ("bars", 1),
    "checks": ("plaid", 2),
    "diagonal": ("diagonal", 1),
    "pinstripes": ("bars", 2),
    "plaid": ("plaid", 1),
    "rows": ("rows", 1),
}
"""Category -> pattern of `scene` and how many times finer it is."""

WAYS = ("stays", "enters", "leaves", "crosses")
LEAST_AREA, LEAST_FRAMES = 0.015, 3
"""An object is seen with this share of the frame in so many frames."""
INSIDE, OUTSIDE = (0.25, 0.75), 0.4
"""Where a place inside the frame lies on either axis; how far outside it one lies that is not."""


@dataclass(frozen=True)
class Thing:
    """An object. Lengths are shares of the frame's side, `span` the share of the clip at which it starts and stops."""

    surface: Surface
    fineness: int
    outline: str
    radius: float
    way: tuple[tuple[float, float], tuple[float, float]]
    span: tuple[float, float]


@dataclass(frozen=True)
class Group:
    """Things from back to front, and what is behind them, which drifts by `drift` a frame as (x, y)."""

    things: tuple[Thing, ...]
    background: Surface
    drift: tuple[float, float]


def draw(categories: Sequence[str], frames: int, size: int, rng: np.random.Generator) -> Group:
    """Return random things of these categories, all of which are seen; the first stays in the frame throughout.

    Args:
        categories: Of each thing, from back to front; names of `TEXTURES`.
        frames: Frames of the clip, at least `LEAST_FRAMES`.
        size: Side of a frame, pixels.
        rng: Source of everything else.
    """
    background = scene.PATTERNS[int(rng.integers(len(scene.PATTERNS)))]
    while True:
        ways = ["stays", *(WAYS[int(k)] for k in rng.integers(len(WAYS), size=len(categories) - 1))]
        things = [_thing(category, way, rng) for category, way in zip(categories, ways, strict=True)]
        group = Group(
            things=tuple(things),
            background=scene.surface(background, scene.BACKGROUND_CONTRAST, rng),
            drift=(rng.uniform(-1, 1) / 128, rng.uniform(-1, 1) / 128),
        )
        seen = ids(group, frames, size)
        share = np.stack([(seen == k).mean((1, 2)) for k in range(1, len(things) + 1)])
        if (share[0] >= LEAST_AREA).all() and ((share >= LEAST_AREA).sum(1) >= LEAST_FRAMES).all():
            return group


def ids(group: Group, frames: int, size: int) -> NDArray[np.uint8]:
    """Return which thing is seen where, counted from 1 in the order of `Group.things`: uint8 (T, S, S), 0 for none."""
    seen = np.zeros((frames, size, size), np.uint8)
    for number, thing in enumerate(group.things, 1):
        seen[scene.inside(thing.outline, *_own(thing, frames, size), thing.radius)] = number
    return seen


def render(group: Group, frames: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the clip, uint8 (T, S, S, 3), and `ids`."""
    x, y = _axes(size)
    time = np.arange(frames, dtype=np.float32)[:, None, None]
    picture = scene.paint(group.background, x - group.drift[0] * time, y - group.drift[1] * time)
    seen = ids(group, frames, size)
    for number, thing in enumerate(group.things, 1):
        x, y = _own(thing, frames, size)
        painted = scene.paint(thing.surface, thing.fineness * x, thing.fineness * y)
        picture = np.where((seen == number)[..., None], painted, picture)
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8), seen


def _thing(category: str, way: str, rng: np.random.Generator) -> Thing:
    pattern, fineness = TEXTURES[category]
    start, stop = np.sort(rng.uniform(0, 1, 2))
    first, last = _inside(rng), _inside(rng)
    if way in ("enters", "crosses"):
        first = _outside(rng)
        start = max(start, 0.1)
    if way in ("leaves", "crosses"):
        last = _outside(rng)
    return Thing(
        surface=scene.surface(pattern, 1.0, rng),
        fineness=fineness,
        outline=scene.OUTLINES[int(rng.integers(len(scene.OUTLINES)))],
        radius=rng.uniform(0.16, 0.28),
        way=(first, last),
        span=(float(start), float(max(stop, start + 0.3))),
    )


def _inside(rng: np.random.Generator) -> tuple[float, float]:
    x, y = rng.uniform(*INSIDE, 2)
    return x, y


def _outside(rng: np.random.Generator) -> tuple[float, float]:
    along, side = rng.uniform(0, 1), int(rng.integers(4))
    across = -OUTSIDE if side < 2 else 1 + OUTSIDE
    return (along, across) if side % 2 else (across, along)


def _axes(size: int) -> tuple[Floats, Floats]:
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    return axis[None, None, :], axis[None, :, None]


def _own(thing: Thing, frames: int, size: int) -> tuple[Floats, Floats]:
    """Return the places of the pixels as the thing counts them, from its centre: (T, 1, S) and (T, S, 1)."""
    x, y = _axes(size)
    share = np.arange(frames, dtype=np.float32)[:, None, None] / np.float32(max(frames - 1, 1))
    gone = np.clip((share - thing.span[0]) / (thing.span[1] - thing.span[0]), 0, 1).astype(np.float32)
    (x0, y0), (x1, y1) = thing.way
    return x - (x0 + (x1 - x0) * gone), y - (y0 + (y1 - y0) * gone)
