"""The synthetic scene of the video miniatures: one patterned object crossing a patterned, drifting background.

What is shown is known: the object's pattern (category), its direction (motion), the background's pattern (scene) and
the object's outline in every frame (mask). Patterns repeat with a quarter of the frame's side, which is the patch
of the smallest encoder, because per-patch normalisation leaves nothing to predict where a patch shows no pattern.
Neither outline, colours, phases, speed nor place tell anything about the labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PATTERNS = ("bars", "rows", "plaid", "diagonal")
"""Surface patterns: upright stripes, level stripes, both crossed, slanted stripes."""

DIRECTIONS = ("East", "SouthEast", "South", "SouthWest", "West", "NorthWest", "North", "NorthEast")
"""Directions of motion, an eighth of a turn apart; the image's y axis points down."""

OUTLINES = ("disc", "square", "diamond", "triangle")

BACKGROUND_CONTRAST = 0.5
"""Contrast of the background's pattern, as a share of the object's range."""

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Surface:
    """A pattern with its colours: base +- amplitude in each channel, values in [0, 1], and where it starts."""

    pattern: str
    base: Floats
    amplitude: Floats
    phase: tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """All that a clip shows. Lengths are shares of the frame's side, velocities such shares a frame, as (x, y)."""

    object: Surface
    background: Surface
    outline: str
    radius: float
    center: tuple[float, float]
    velocity: tuple[float, float]
    drift: tuple[float, float]


def draw(category: str, motion: str, background: str, rng: np.random.Generator) -> Scene:
    """Return a random scene with these three labels; everything else is drawn.

    Args:
        category: Pattern of the object, one of `PATTERNS`.
        motion: Direction of the object, one of `DIRECTIONS`.
        background: Pattern of the background, one of `PATTERNS`.
        rng: Source of outline, colours, phases, size, place and speeds.
    """
    drift_x, drift_y = rng.uniform(-1, 1, 2) / 64
    behind = surface(background, BACKGROUND_CONTRAST, rng)
    angle = 2 * math.pi * DIRECTIONS.index(motion) / len(DIRECTIONS)
    speed = rng.uniform(1, 2) / 32
    x, y = 0.5 + rng.uniform(-0.06, 0.06, 2)
    return Scene(
        object=surface(category, 1.0, rng),
        background=behind,
        outline=OUTLINES[int(rng.integers(len(OUTLINES)))],
        radius=rng.uniform(0.4, 0.5),
        center=(x, y),
        velocity=(speed * math.cos(angle), speed * math.sin(angle)),
        drift=(drift_x, drift_y),
    )


def render(scene: Scene, frames: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the clip and the object's masks; the object is at its centre in the middle of the clip.

    Args:
        scene: What to show.
        frames: Number of frames T.
        size: Side S of the square frames, pixels.

    Returns:
        uint8 (T, S, S, 3) and boolean (T, S, S).
    """
    time = np.arange(frames, dtype=np.float32)[:, None, None] - (frames - 1) / 2
    axis = np.arange(size, dtype=np.float32) / size
    x, y = axis[None, None, :], axis[None, :, None]
    picture = paint(scene.background, x - scene.drift[0] * time, y - scene.drift[1] * time)
    x = x - scene.center[0] - scene.velocity[0] * time
    y = y - scene.center[1] - scene.velocity[1] * time
    mask = inside(scene.outline, x, y, scene.radius)
    picture = np.where(mask[..., None], paint(scene.object, x, y), picture)
    return np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8), mask


def surface(pattern: str, contrast: float, rng: np.random.Generator) -> Surface:
    """Return a surface of this pattern with colours and phase drawn."""
    base = rng.uniform(0.2, 0.8, 3)
    amplitude = contrast * rng.uniform(0.12, 0.3) * rng.uniform(0.7, 1.3, 3)  # one sign: channels rise together
    across, down = rng.uniform(0, 1, 2)
    return Surface(pattern, base.astype(np.float32), amplitude.astype(np.float32), (across, down))


def paint(surface: Surface, x: Floats, y: Floats) -> Floats:
    """Return the colours of a surface at places that broadcast to (T, H, W), in frame sides: float (T, H, W, 3)."""
    turn = np.float32(2 * math.pi * 4)  # four periods a side
    u = turn * (x + np.float32(surface.phase[0]))
    v = turn * (y + np.float32(surface.phase[1]))
    if surface.pattern == "bars":
        wave = np.sin(u) + 0 * v
    elif surface.pattern == "rows":
        wave = np.sin(v) + 0 * u
    elif surface.pattern == "plaid":
        wave = 1.2 * np.sin(u) * np.sin(v)
    elif surface.pattern == "diagonal":
        wave = 0.9 * np.sin(u + v)
    else:
        raise ValueError(f"pattern '{surface.pattern}' is unknown; expected one of {', '.join(PATTERNS)}")
    return np.asarray(surface.base + wave[..., None] * surface.amplitude, dtype=np.float32)


def inside(outline: str, x: Floats, y: Floats, radius: float) -> NDArray[np.bool_]:
    """Return which places, counted from its centre, lie inside an outline."""
    if outline == "disc":
        return np.asarray(x * x + y * y < radius**2)
    if outline == "square":
        return (np.abs(x) < 0.9 * radius) & (np.abs(y) < 0.9 * radius)
    if outline == "diamond":
        return np.asarray(np.abs(x) + np.abs(y) < 1.2 * radius)
    if outline == "triangle":
        return (y > -0.8 * radius) & (y < 1.1 * radius - 1.7 * np.abs(x))
    raise ValueError(f"outline '{outline}' is unknown; expected one of {', '.join(OUTLINES)}")
