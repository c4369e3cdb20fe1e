"""A miniature in the on-disk format of UCF101: 32 classes = 4 object patterns x 8 directions of motion."""

from __future__ import annotations

import csv
import os
from itertools import product
from pathlib import Path

import numpy as np

from sigma_bench.data.datasets.ucf101 import LISTS, VIDEOS
from sigma_bench.data.miniatures import scene
from sigma_bench.data.miniatures.publish import Miniature, publish
from sigma_bench.data.miniatures.video import encode

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""

FACTORS = "factors.csv"
"""Table at the root: id, category, motion and scene of every clip, to relabel the same files by."""

CLASSES = {
    f"{pattern.capitalize()}{motion}": (pattern, motion)
    for pattern, motion in product(scene.PATTERNS, scene.DIRECTIONS)
}
"""Class name -> (category, motion)."""

FRAMES = 10
"""Frames of a file: two more than the smallest encoder takes, so a clip has a choice of starts."""


def write(root: Path, seed: int = 0, *, size_px: int = 32, groups: int = 25, clips_per_group: int = 3) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    The clips of a group (`gXX`, a "recording") share the background's pattern, the scene; all else is drawn for each
    clip. As in the official lists, fold 1 tests on the first 7 of 25 groups, fold 2 on the next 7, fold 3 on the
    next (the same share of fewer groups). Nothing but the class folder tells the label: all files have the same
    length, and the numbers of groups and clips are independent of every factor.

    Args:
        root: Folder that will hold `UCF-101`, `ucfTrainTestlist` and `factors.csv`.
        seed: Seed of every draw.
        size_px: Side of the frames, even.
        groups: Recordings a class, at least 4.
        clips_per_group: Clips a recording.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else, or no H.264 encoder is installed.
    """
    if size_px < 16 or size_px % 2 or not 4 <= groups <= 99 or not 1 <= clips_per_group <= 99:
        raise ValueError(
            f"size_px {size_px}, groups {groups}, clips_per_group {clips_per_group}; expected an even size of at "
            "least 16, 4 to 99 groups, 1 to 99 clips"
        )
    settings = {
        "seed": seed,
        "size_px": size_px,
        "groups": groups,
        "clips_per_group": clips_per_group,
        "frames": FRAMES,
    }

    def fill(folder: Path) -> None:
        backgrounds = {name: _backgrounds(seed, label, groups) for label, name in enumerate(sorted(CLASSES))}
        for label, name in enumerate(sorted(CLASSES)):
            _write_class(folder, seed, label, backgrounds[name], size_px, clips_per_group)
        _write_lists(folder / LISTS, groups, clips_per_group)
        _write_factors(folder / FACTORS, backgrounds, clips_per_group)

    return publish(root, "ucf101", VERSION, settings, fill)


def _backgrounds(seed: int, label: int, groups: int) -> list[str]:
    """Return each group's scene: all patterns equally often but for a rest that moves on from class to class."""
    order = np.random.default_rng((seed, label)).permutation(groups) + label
    return [scene.PATTERNS[k % len(scene.PATTERNS)] for k in order]


def _write_class(
    folder: Path, seed: int, label: int, backgrounds: list[str], size_px: int, clips_per_group: int
) -> None:
    name = sorted(CLASSES)[label]
    category, motion = CLASSES[name]
    os.makedirs(folder / VIDEOS / name)
    for group, background in enumerate(backgrounds, 1):
        for clip in range(1, clips_per_group + 1):
            rng = np.random.default_rng((seed, label, group, clip))
            frames, _ = scene.render(scene.draw(category, motion, background, rng), FRAMES, size_px)
            encode(folder / VIDEOS / f"{_video(name, group, clip)}.avi", frames)


def _write_lists(folder: Path, groups: int, clips_per_group: int) -> None:
    folder.mkdir()
    names = sorted(CLASSES)
    _write_lines(folder / "classInd.txt", [f"{label} {name}" for label, name in enumerate(names, 1)])
    tested = max(1, round(groups * 7 / 25))
    for fold in (1, 2, 3):
        test = range((fold - 1) * tested + 1, fold * tested + 1)
        videos = [
            (f"{_video(name, group, clip)}.avi", label, group in test)
            for label, name in enumerate(names, 1)
            for group in range(1, groups + 1)
            for clip in range(1, clips_per_group + 1)
        ]
        _write_lines(
            folder / f"trainlist{fold:02d}.txt", [f"{path} {label}" for path, label, held in videos if not held]
        )
        _write_lines(folder / f"testlist{fold:02d}.txt", [path for path, _, held in videos if held])


def _write_factors(path: Path, backgrounds: dict[str, list[str]], clips_per_group: int) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", "category", "motion", "scene"])
        for name, scenes in backgrounds.items():
            for group, background in enumerate(scenes, 1):
                for clip in range(1, clips_per_group + 1):
                    table.writerow([_video(name, group, clip).rpartition("/")[2], *CLASSES[name], background])


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def _video(name: str, group: int, clip: int) -> str:
    return f"{name}/v_{name}_g{group:02d}_c{clip:02d}"
