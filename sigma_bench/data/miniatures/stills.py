"""The synthetic scene as a still picture of any shape: an object of some texture and outline before another texture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.miniatures import scene

TEXTURES = {
    "bars": ("bars", 1),
    "checks": ("plaid", 2),
    "diagonal": ("diagonal", 1),
    "plaid": ("plaid", 1),
    "rows": ("rows", 1),
}
"""Name -> pattern of `scene` and how many times finer it is."""


def render(
    texture: str, outline: str, background: str, height: int, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """Return a picture with these three labels, everything else drawn, and the object's box.

    Lengths are shares of the shorter side, along which a pattern repeats four times (eight where it is finer).

    Args:
        texture: Of the object, a name of `TEXTURES`.
        outline: Of the object, one of `scene.OUTLINES`.
        background: Texture behind it, a name of `TEXTURES`.
        height: Of the picture, pixels.
        width: Of the picture, pixels.
        rng: Source of colours, phases, size and place.

    Returns:
        uint8 (height, width, 3), and the first and last pixels of the object as (x, y, x, y), from 0.
    """
    short = min(height, width)
    x = np.arange(width, dtype=np.float32)[None, :] / short
    y = np.arange(height, dtype=np.float32)[:, None] / short
    behind = _painted(background, scene.BACKGROUND_CONTRAST, x, y, rng)
    radius = rng.uniform(0.34, 0.44)
    room_x, room_y = (side / short / 2 - 0.5 + 0.06 for side in (width, height))
    x = x - np.float32(width / short / 2 + rng.uniform(-1, 1) * room_x)
    y = y - np.float32(height / short / 2 + rng.uniform(-1, 1) * room_y)
    mask = scene.inside(outline, x, y, radius)
    picture = np.where(mask[..., None], _painted(texture, 1.0, x, y, rng), behind)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8), box


def _painted(texture: str, contrast: float, x: scene.Floats, y: scene.Floats, rng: np.random.Generator) -> scene.Floats:
    pattern, fineness = TEXTURES[texture]
    return scene.paint(scene.surface(pattern, contrast, rng), fineness * x, fineness * y)
