"""A miniature in the on-disk format of Something-Something v2: 14 classes of what object and camera do.

The object's pattern, which an appearance would tell, is drawn, so the frame in the middle says next to nothing. The
first and the last show from where to where the object goes: a random forest is right of 42 clips in 100 by the first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench.data.miniatures import course, scene
from sigma_bench.data.miniatures.course import Action
from sigma_bench.data.miniatures.publish import Miniature, publish
from sigma_bench.data.miniatures.video import encode

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""

VIDEOS = "20bn-something-something-v2"
FRAMES = 12
RATE = 12
"""Frames a second, as of the official videos."""
UNLABELLED = 14
"""Videos of the test list, whose labels were never published."""

CLASSES = {
    "Approaching [something] with your camera": Action(course.one_way, {"zoom": 0.6}),
    "Holding [something]": Action(course.one_way, {}),
    "Lifting [something] up completely, then letting it drop down": Action(course.there_and_back, {"y": -0.4}),
    "Moving [something] away from the camera": Action(course.one_way, {"grow": -0.6}),
    "Moving [something] down": Action(course.one_way, {"y": 0.55}),
    "Moving [something] towards the camera": Action(course.one_way, {"grow": 0.6}),
    "Moving [something] up": Action(course.one_way, {"y": -0.55}),
    "Moving away from [something] with your camera": Action(course.one_way, {"zoom": -0.6}),
    "Pushing [something] from left to right": Action(course.one_way, {"x": 0.55}),
    "Pushing [something] from right to left": Action(course.one_way, {"x": -0.55}),
    "Turning the camera downwards while filming [something]": Action(course.one_way, {"pan_y": 0.55}),
    "Turning the camera left while filming [something]": Action(course.one_way, {"pan_x": -0.55}),
    "Turning the camera right while filming [something]": Action(course.one_way, {"pan_x": 0.55}),
    "Turning the camera upwards while filming [something]": Action(course.one_way, {"pan_y": -0.55}),
}
"""Template -> what happens."""


def write(root: Path, seed: int = 0, *, size_px: int = 32, train: int = 40, val: int = 15) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    The videos' numbers are dealt at random, so neither number nor order tells the label; all files have the same
    length.

    Args:
        root: Folder that will hold the lists and `VIDEOS`.
        seed: Seed of every draw.
        size_px: Side of the frames, even.
        train: Videos a class in the train list.
        val: Videos a class in the validation list.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else, or no VP9 encoder is installed.
    """
    if size_px < 16 or size_px % 2 or min(train, val) < 1:
        raise ValueError(f"size_px {size_px}, train {train}, val {val}; expected an even size of at least 16, videos")
    settings = {"seed": seed, "size_px": size_px, "train": train, "val": val, "frames": FRAMES}

    def fill(folder: Path) -> None:
        (folder / VIDEOS).mkdir()
        templates = sorted(CLASSES, key=_text)
        labels = {_text(template): str(label) for label, template in enumerate(templates)}
        _write_json(folder / "something-something-v2-labels.json", labels)
        parts = {
            "train": np.arange(train * len(templates)) % len(templates),
            "validation": np.arange(val * len(templates)) % len(templates),
            "test": np.arange(UNLABELLED) % len(templates),
        }
        rng = np.random.default_rng(seed)
        numbers = iter(rng.permutation(sum(map(len, parts.values()))) + 1)
        for part, chosen in parts.items():
            entries = []
            for label in rng.permutation(chosen):
                number = int(next(numbers))
                entries.append(_video(folder, seed, number, templates[label], size_px, part == "test"))
            _write_json(folder / f"something-something-v2-{part}.json", entries)

    return publish(root, "ssv2", VERSION, settings, fill)


def _video(folder: Path, seed: int, number: int, template: str, size_px: int, unlabelled: bool) -> dict[str, Any]:
    """Write one video and return its entry of the list."""
    rng = np.random.default_rng((seed, number))
    pattern, background = (scene.PATTERNS[int(k)] for k in rng.integers(len(scene.PATTERNS), size=2))
    seen = course.actor(pattern, background, rng)
    way = CLASSES[template].course(FRAMES, rng.uniform(0.7, 1.3))
    encode(folder / VIDEOS / f"{number}.webm", course.render(seen, way, size_px), RATE)
    if unlabelled:
        return {"id": str(number)}
    thing = f"a {seen.outline} of {pattern}"
    sentence = template.replace("[something]", thing)
    return {
        "id": str(number),
        "label": sentence[0].lower() + sentence[1:],
        "template": template,
        "placeholders": [thing],
    }


def _text(template: str) -> str:
    """Return the class text of a template, as the labels file has it."""
    return template.replace("[", "").replace("]", "")


def _write_json(path: Path, content: Any) -> None:
    path.write_bytes(json.dumps(content, indent=1).encode())
