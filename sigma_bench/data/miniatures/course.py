"""The second synthetic scene: an object that moves, grows and turns before a camera that pans and zooms.

`scene` shows one object crossing the frame, its category and direction being the labels. Here the labels are in the
course of a clip: what object and camera do over time, for longer clips and for several actions one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.miniatures import scene
from sigma_bench.data.miniatures.scene import Floats, Surface


@dataclass(frozen=True)
class Actor:
    """What is seen, whatever it does: the object and its background. Lengths are shares of the frame's side.

    `drift` is the background's own movement a frame as (x, y), independent of the camera.
    """

    object: Surface
    background: Surface
    outline: str
    radius: float
    center: tuple[float, float]
    drift: tuple[float, float]


@dataclass(frozen=True)
class Course:
    """What happens in every frame of a clip, each a float array (T,).

    Attributes:
        x: Way of the object to the right from its place, shares of the frame's side.
        y: The same downwards.
        grow: Logarithm of the object's size.
        turn: Rotation of the object, in turns.
        pan_x: Way of the camera to the right; all that is seen moves to the left.
        pan_y: The same downwards.
        zoom: Logarithm of the camera's magnification.
    """

    x: Floats
    y: Floats
    grow: Floats
    turn: Floats
    pan_x: Floats
    pan_y: Floats
    zoom: Floats


def along(progress: Floats, **amounts: float) -> Course:
    """Return the course that takes each of `amounts` (names of `Course`; 0 if left out) in step with `progress`."""
    return Course(**{field.name: amounts.get(field.name, 0.0) * progress for field in fields(Course)})


@dataclass(frozen=True)
class Action:
    """What happens in a clip: how its progress goes, and how much of what a typical one has."""

    progress: Callable[[int], Floats]
    amounts: Mapping[str, float]

    def course(self, frames: int, share: float = 1.0) -> Course:
        """Return the course of a clip with this share of the typical amounts."""
        return along(self.progress(frames), **{name: share * amount for name, amount in self.amounts.items()})


def one_way(frames: int) -> Floats:
    """Return a progress from -1/2 to 1/2 at constant speed; 0 of a single frame."""
    return np.linspace(-0.5, 0.5, frames, dtype=np.float32) if frames > 1 else np.zeros(1, np.float32)


def there_and_back(frames: int) -> Floats:
    """Return a progress from -1/2 to 1/2 in the middle and back again."""
    return np.asarray(0.5 - 2 * np.abs(one_way(frames)), dtype=np.float32)


def to_and_fro(frames: int) -> Floats:
    """Return a progress that swings twice between -1/2 and 1/2."""
    return np.asarray(0.5 * np.sin(4 * np.pi * (one_way(frames) + 0.5)), dtype=np.float32)


def joined(parts: list[Course]) -> Course:
    """Return one course after the other."""
    return Course(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Course)})


def bridge(before: Course, after: Course, frames: int) -> Course:
    """Return the course of so many frames that leads from the end of one to the start of the other."""
    share = np.arange(1, frames + 1, dtype=np.float32) / (frames + 1)
    ends = ((f.name, getattr(before, f.name)[-1], getattr(after, f.name)[0]) for f in fields(Course))
    return Course(**{name: np.asarray(a + (b - a) * share, dtype=np.float32) for name, a, b in ends})


def actor(category: str, background: str, rng: np.random.Generator) -> Actor:
    """Return a random object of one of `scene.PATTERNS` before a random background of one of them."""
    drift_x, drift_y = rng.uniform(-1, 1, 2) / 64
    x, y = 0.5 + rng.uniform(-0.06, 0.06, 2)
    return Actor(
        object=scene.surface(category, 1.0, rng),
        background=scene.surface(background, scene.BACKGROUND_CONTRAST, rng),
        outline=scene.OUTLINES[int(rng.integers(len(scene.OUTLINES)))],
        radius=rng.uniform(0.35, 0.45),
        center=(x, y),
        drift=(drift_x, drift_y),
    )


def render(seen: Actor, course: Course, size: int) -> NDArray[np.uint8]:
    """Return the clip of an actor on its course as uint8 (T, S, S, 3), S = `size`."""
    track = {f.name: getattr(course, f.name).astype(np.float32)[:, None, None] for f in fields(Course)}
    time = np.arange(len(course.x), dtype=np.float32)[:, None, None]
    axis = (np.arange(size, dtype=np.float32) / size) - np.float32(0.5)
    x = axis[None, None, :] * np.exp(-track["zoom"]) + track["pan_x"]
    y = axis[None, :, None] * np.exp(-track["zoom"]) + track["pan_y"]
    drift_x, drift_y = (np.float32(d) * time for d in seen.drift)
    picture = scene.paint(seen.background, x - drift_x, y - drift_y)
    x = x - np.float32(seen.center[0] - 0.5) - track["x"]
    y = y - np.float32(seen.center[1] - 0.5) - track["y"]
    angle = np.float32(2 * math.pi) * track["turn"]
    cos, sin = np.cos(angle) * np.exp(-track["grow"]), np.sin(angle) * np.exp(-track["grow"])
    x, y = cos * x + sin * y, cos * y - sin * x
    mask = scene.inside(seen.outline, x, y, seen.radius)
    picture = np.where(mask[..., None], scene.paint(seen.object, x, y), picture)
    frames: NDArray[np.uint8] = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    return frames
