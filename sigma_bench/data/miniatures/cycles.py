"""The scene of the counting miniature: an object repeats a motion, after it has come and before it goes.

Every motion goes through a cycle of its own while its phase goes from one whole number to the next. The boundaries say
when that happens, so both the number of cycles and the length of each are free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.miniatures import scene
from sigma_bench.data.miniatures.scene import Floats, Surface

MOTIONS = ("Bouncing", "Circling", "Pulsing", "Rocking", "Swinging")
"""Up and down, round in a circle, growing and shrinking, turning to and fro, from side to side."""
SWING = 2 * math.pi * 0.1
"""Largest turn of a rocking object, to either side: less than the eighth of a turn at which squares look the same."""
FAR = 0.6
"""How far from its place an object is before it comes and after it has gone."""


@dataclass(frozen=True)
class Cycles:
    """What a clip shows. Lengths are shares of the frame's side; `reach` is the size of the motion."""

    motion: str
    object: Surface
    background: Surface
    outline: str
    radius: float
    center: tuple[float, float]
    reach: float
    coming: float
    going: float
    drift: tuple[float, float]


def draw(motion: str, rng: np.random.Generator) -> Cycles:
    """Return a random scene of this motion, one of `MOTIONS`; everything else is drawn."""
    pattern, behind = (scene.PATTERNS[int(k)] for k in rng.integers(len(scene.PATTERNS), size=2))
    return Cycles(
        motion=motion,
        object=scene.surface(pattern, 1.0, rng),
        background=scene.surface(behind, scene.BACKGROUND_CONTRAST, rng),
        outline=scene.OUTLINES[int(rng.integers(len(scene.OUTLINES)))],
        radius=rng.uniform(0.2, 0.28),
        center=(0.5 + rng.uniform(-0.08, 0.08), 0.5 + rng.uniform(-0.08, 0.08)),
        reach=rng.uniform(0.14, 0.22),
        coming=rng.uniform(0, 2 * math.pi),
        going=rng.uniform(0, 2 * math.pi),
        drift=(rng.uniform(-1, 1) / 256, rng.uniform(-1, 1) / 256),
    )


def boundaries(count: int, span: int, start: int, rng: np.random.Generator) -> list[int]:
    """Return the frames at which `count` cycles of unequal length begin, and the last frame of the last one.

    Args:
        count: Number of cycles.
        span: Frames from the first to the last of these.
        start: The first of them.
        rng: Source of the lengths, which differ by up to 15 % from their mean before rounding.
    """
    lengths = rng.uniform(0.85, 1.15, count)
    ends = np.rint(np.cumsum(lengths) / lengths.sum() * span).astype(int)
    return [start, *(start + int(end) for end in ends)]


def render(cycles: Cycles, bounds: Sequence[int], frames: int, size: int) -> NDArray[np.uint8]:
    """Return the clip, uint8 (T, S, S, 3).

    Args:
        cycles: What to show.
        bounds: As of `boundaries`; before the first and after the last the object comes and goes, straight.
        frames: Frames of the clip T, at least one more than the last boundary.
        size: Side S of the frames, pixels.
    """
    time = np.arange(frames, dtype=np.float32)
    turn = 2 * math.pi * np.interp(time, bounds, np.arange(len(bounds)))
    far = FAR * np.maximum(0, bounds[0] - time) / max(bounds[0], 1)
    gone = FAR * np.maximum(0, time - bounds[-1]) / max(frames - 1 - bounds[-1], 1)
    x = cycles.center[0] + far * math.cos(cycles.coming) + gone * math.cos(cycles.going)
    y = cycles.center[1] + far * math.sin(cycles.coming) + gone * math.sin(cycles.going)
    radius, angle = np.full(frames, cycles.radius), np.zeros(frames)
    if cycles.motion in ("Swinging", "Circling"):
        x = x - cycles.reach * np.cos(turn)
    if cycles.motion == "Bouncing":
        y = y + cycles.reach * np.cos(turn)
    if cycles.motion == "Circling":
        y = y + cycles.reach * np.sin(turn)
    if cycles.motion == "Pulsing":
        radius = radius * (1 + 2 * cycles.reach * np.cos(turn))
    if cycles.motion == "Rocking":
        angle = SWING * np.cos(turn)
    return _paint(cycles, time, x, y, radius, angle, size)


def _paint(
    cycles: Cycles,
    time: Floats,
    x: Floats,
    y: Floats,
    radius: Floats,
    angle: Floats,
    size: int,
) -> NDArray[np.uint8]:
    """Return the clip with the object at (x, y), of this radius, turned by this angle, all (T,)."""
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    across, down = axis[None, None, :], axis[None, :, None]
    at = [np.asarray(values, np.float32)[:, None, None] for values in (time, x, y, radius, angle)]
    time, x, y, radius, angle = at
    picture = scene.paint(cycles.background, across - cycles.drift[0] * time, down - cycles.drift[1] * time)
    u = (across - x) * np.cos(angle) + (down - y) * np.sin(angle)
    v = (down - y) * np.cos(angle) - (across - x) * np.sin(angle)
    scale = np.float32(cycles.radius) / radius
    seen = scene.inside(cycles.outline, scale * u, scale * v, cycles.radius)
    picture = np.where(seen[..., None], scene.paint(cycles.object, scale * u, scale * v), picture)
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), dtype=np.uint8)
