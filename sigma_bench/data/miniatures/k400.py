"""A miniature in the on-disk format of Kinetics-400: 12 classes = 4 object patterns x 3 ways to move.

The ways are the same in a mirror, as clips of this data set are flipped in training.
"""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.datasets.k400 import LABEL_MAP
from sigma_bench.data.miniatures import scene
from sigma_bench.data.miniatures.publish import Miniature, publish
from sigma_bench.data.miniatures.video import encode

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""

FRAMES = 10
PARTS = {"train": "train", "val": "validate"}
"""Folder of the clips -> name of their csv, and what its column `split` reads."""

NAMES = (
    "air drumming",
    "catching or throwing frisbee",
    "hurling (sport)",
    "massaging person's head",
    "passing American football (in game)",
    "passing American football (not in game)",
    "petting animal (not cat)",
    "punching person (boxing)",
    "shooting goal (soccer)",
    "skiing (not slalom or crosscountry)",
    "tying knot (not on a tie)",
    "using remote controller (not gaming)",
)
"""Class names of the official list, sorted; spaces, parentheses, an apostrophe."""

WAYS = (("North",), ("South",), ("East", "West"))
CLASSES = dict(zip(NAMES, product(scene.PATTERNS, WAYS), strict=True))
"""Class name -> the object's pattern and its directions, one of which a clip has."""

_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def write(root: Path, seed: int = 0, *, size_px: int = 32, train: int = 40, val: int = 15) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    Ids are 11 random characters; in every part one begins with `-` and one with `_`. The lists name 12 classes, so
    the label map lies beside them, as it must wherever a list does not name all 400.

    Args:
        root: Folder that will hold the lists and the folders `train` and `val`.
        seed: Seed of every draw.
        size_px: Side of the frames, even.
        train: Clips a class in the train list.
        val: Clips a class in the validation list.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else, or no H.264 encoder is installed.
    """
    if size_px < 16 or size_px % 2 or min(train, val) < 1:
        raise ValueError(f"size_px {size_px}, train {train}, val {val}; expected an even size of at least 16, clips")
    settings = {"seed": seed, "size_px": size_px, "train": train, "val": val, "frames": FRAMES}

    def fill(folder: Path) -> None:
        (folder / LABEL_MAP).write_bytes("".join(f"{name}\n" for name in NAMES).encode())
        rng = np.random.default_rng(seed)
        for place, clips in (("train", train), ("val", val)):
            _write_part(folder, place, clips, size_px, rng)

    return publish(root, "k400", VERSION, settings, fill)


def _write_part(folder: Path, place: str, clips: int, size_px: int, rng: np.random.Generator) -> None:
    official = PARTS[place]
    with open(folder / f"{official}.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["label", "youtube_id", "time_start", "time_end", "split", "is_cc"])
        for name in NAMES:
            inside = folder / place / name.replace(" ", "_")
            inside.mkdir(parents=True)
            for clip in range(clips):
                first = "-_"[clip] if name == NAMES[0] and clip < 2 else ""
                video = first + "".join(rng.choice(_LETTERS, 11 - len(first)))
                start = int(rng.integers(600))
                frames = _frames(name, clip, size_px, rng)
                encode(inside / f"{video}_{start:06d}_{start + 10:06d}.mp4", frames)
                table.writerow([name, video, start, start + 10, official, 0])


def _frames(name: str, clip: int, size_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    pattern, ways = CLASSES[name]
    background = scene.PATTERNS[clip % len(scene.PATTERNS)]
    return scene.render(scene.draw(pattern, ways[clip // 4 % len(ways)], background, rng), FRAMES, size_px)[0]
