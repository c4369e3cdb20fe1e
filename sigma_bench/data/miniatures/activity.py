"""The scene of the multi-label miniature: up to four things at once, each of which does something for a while.

A thing has a corner of the frame to itself and is there only while it does what its class says, so a frame shows
exactly the classes whose time it is. Outline, brightness, phase, size, speed and corner tell nothing about the class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.miniatures import scene
from sigma_bench.data.miniatures.scene import Floats, Surface

COLOURS = {
    "Showing something red": (0.85, 0.2, 0.2),
    "Showing something green": (0.2, 0.75, 0.2),
    "Showing something blue": (0.2, 0.3, 0.9),
}
"""Class -> colour of a thing, red, green and blue; all other things and the background are grey."""
STRIPES = {"Showing upright stripes": "bars", "Showing level stripes": "rows"}
"""Class -> pattern of a thing that keeps still."""
FLOWING = {
    "Moving a plaid to the right": (1, 0),
    "Moving a plaid to the left": (-1, 0),
    "Moving a plaid down": (0, 1),
    "Moving a plaid up": (0, -1),
}
"""Class -> direction in which the plaid of a thing moves, as (x, y)."""
BLINKING = "Blinking with slanted stripes"
CLASSES = (*COLOURS, *STRIPES, *FLOWING, BLINKING)

GREY = (0.5, 0.5, 0.5)
CORNERS = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
OUTLINES = ("disc", "square", "diamond")


@dataclass(frozen=True)
class Activity:
    """A thing and what it does from frame `first` to frame `last`, both included.

    Lengths are shares of the frame's side. `speed` is that of a flowing pattern, such a share a frame; `period` that
    of blinking, frames.
    """

    name: str
    surface: Surface
    outline: str
    radius: float
    center: tuple[float, float]
    speed: float
    period: float
    first: int
    last: int


def surface(
    pattern: str, colour: tuple[float, float, float], contrast: tuple[float, float], rng: np.random.Generator
) -> Surface:
    """Return a surface about this colour; brightness, contrast within these limits and phase are drawn."""
    base = np.array(colour) + rng.uniform(-0.1, 0.1)
    across, down = rng.uniform(0, 1, 2)
    return Surface(pattern, base.astype(np.float32), np.full(3, rng.uniform(*contrast), np.float32), (across, down))


def draw(name: str, corner: int, first: int, last: int, rng: np.random.Generator) -> Activity:
    """Return a random thing that does what the class says.

    Args:
        name: One of `CLASSES`.
        corner: Which of `CORNERS` it has.
        first: First frame at which it is there.
        last: Last such frame.
        rng: Source of everything else.
    """
    pattern = STRIPES.get(name, "plaid" if name in FLOWING or name in COLOURS else "diagonal")
    x, y = CORNERS[corner]
    return Activity(
        name=name,
        surface=surface(pattern, COLOURS.get(name, GREY), (0.2, 0.35), rng),
        outline=OUTLINES[int(rng.integers(len(OUTLINES)))],
        radius=rng.uniform(0.2, 0.24),
        center=(x, y),
        speed=rng.uniform(0.2, 0.35) / 32,
        period=rng.uniform(16, 28),
        first=first,
        last=last,
    )


def render(activities: Sequence[Activity], background: Surface, frames: int, size: int) -> NDArray[np.uint8]:
    """Return the clip, uint8 (T, S, S, 3).

    Args:
        activities: What is done, each in a corner of its own.
        background: What is behind, four times as coarse as the things.
        frames: Number of frames T.
        size: Side S of the frames, pixels.
    """
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    x, y = axis[None, None, :], axis[None, :, None]
    picture = np.repeat(scene.paint(background, x / 4, y / 4), frames, axis=0)
    for activity in activities:
        frame = np.arange(activity.first, activity.last + 1)
        seen, painted = _thing(activity, frame, x - activity.center[0], y - activity.center[1])
        picture[frame] = np.where(seen[..., None], painted, picture[frame])
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), dtype=np.uint8)


def _thing(activity: Activity, frame: NDArray[np.int64], x: Floats, y: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return where a thing is seen at these frames, and its colours; places are counted from its centre."""
    time = (frame - activity.first).astype(np.float32)[:, None, None]
    step_x, step_y = FLOWING.get(activity.name, (0, 0))
    painted = scene.paint(activity.surface, x - step_x * activity.speed * time, y - step_y * activity.speed * time)
    seen = np.repeat(scene.inside(activity.outline, x, y, activity.radius), len(frame), axis=0)
    if activity.name == BLINKING:
        seen &= np.sin(2 * math.pi * time / activity.period) >= 0
    return seen, painted
