"""A miniature in the on-disk format of HMDB51: 10 classes of what an object does, cut from films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sigma_bench.data.datasets.hmdb51 import FOLDS
from sigma_bench.data.miniatures import course, scene
from sigma_bench.data.miniatures.course import Action
from sigma_bench.data.miniatures.publish import Miniature, publish
from sigma_bench.data.miniatures.video import encode

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""

VIDEOS = "videos"
LISTS = "testTrainMulti_7030_splits"
FRAMES = 12
RATE = 30
"""Frames a second, as of the official videos."""

CLASSES = {
    "climb_stairs": Action(course.one_way, {"y": -0.55}),
    "fall_floor": Action(course.one_way, {"y": 0.55}),
    "jump": Action(course.there_and_back, {"y": -0.4}),
    "pushup": Action(course.there_and_back, {"y": 0.4}),
    "ride_horse": Action(course.one_way, {"grow": 0.6}),
    "run": Action(course.one_way, {"grow": -0.6}),
    "somersault": Action(course.one_way, {"turn": 0.5}),
    "stand": Action(course.one_way, {}),
    "walk": Action(course.one_way, {"x": 0.55}),
    "wave": Action(course.to_and_fro, {"x": 0.3}),
}
"""Class -> what happens; to either side where it is sideways or turns, so a mirrored clip keeps its class."""

TITLES = (
    "20060723bartsinger", "50_FIRST_DATES", "A&B_#3_(uncut)", "Abschieds-winken_!!!!!!_Gruss", "[_NEW_AUDIO_]_Show",
    "Return_of_the_King", "Jump!_jump_(part_one)", "Rock&Roll_1959", "The_Matrix", "wave_of_the_sea", "#1_Fan",
    "Stand_By_(me)", "Walk[ing]", "Fall&Rise", "April_09", "Cats!Dogs", "Bloodlines_[HQ]", "Oceans", "prelinger_home",
    "Run_Lola", "Trumanshow", "LONGESTYARD", "Veoh_Alpha",
)  # fmt: skip
"""Films: each gives as many clips of every class. 23 films: 6 of them test, 14 train and 3 are unused in each fold."""

TEST, TRAIN = 6, 14


def write(root: Path, seed: int = 0, *, size_px: int = 32, clips: int = 3) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    A film is on one side of a fold in all classes; unlike the official splits, which have some on both. The share of
    train and test clips is the official one, 70 to 30.

    Args:
        root: Folder that will hold `videos` and the split files.
        seed: Seed of every draw.
        size_px: Side of the frames, even.
        clips: Clips of a class from each film, at most 9.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else, or no H.264 encoder is installed.
    """
    if size_px < 16 or size_px % 2 or not 1 <= clips <= 9:
        raise ValueError(f"size_px {size_px}, clips {clips}; expected an even size of at least 16, 1 to 9 clips")
    settings = {"seed": seed, "size_px": size_px, "clips": clips, "frames": FRAMES}

    def fill(folder: Path) -> None:
        (folder / LISTS).mkdir()
        order = np.random.default_rng(seed).permutation(len(TITLES)).tolist()
        for label, name in enumerate(CLASSES):
            (folder / VIDEOS / name).mkdir(parents=True)
            for film, title in enumerate(TITLES):
                for clip in range(clips):
                    rng = np.random.default_rng((seed, label, film, clip))
                    encode(folder / VIDEOS / name / _video(title, name, clip), _frames(name, size_px, rng), RATE)
            for fold in FOLDS:
                flags = _flags(order, fold)
                lines = [
                    f"{_video(title, name, clip)} {flags[film]} \n"
                    for film, title in sorted(enumerate(TITLES), key=lambda pair: pair[1])
                    for clip in range(clips)
                ]
                (folder / LISTS / f"{name}_test_split{fold}.txt").write_bytes("".join(lines).encode())

    return publish(root, "hmdb51", VERSION, settings, fill)


def _flags(order: list[int], fold: int) -> dict[int, int]:
    """Return film -> 1 (train), 2 (test) or 0 (neither): every film is tested in at most one fold."""
    turned = order[(fold - 1) * TEST :] + order[: (fold - 1) * TEST]
    return {film: 2 if k < TEST else 1 if k < TEST + TRAIN else 0 for k, film in enumerate(turned)}


def _video(title: str, name: str, clip: int) -> str:
    return f"{title}_{name}_f_cm_np1_fr_med_{clip}.avi"


def _frames(name: str, size_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    pattern, background = (scene.PATTERNS[int(k)] for k in rng.integers(len(scene.PATTERNS), size=2))
    seen = course.actor(pattern, background, rng)
    side = 1 if rng.integers(2) else -1
    action = CLASSES[name]
    mirrored = {key: side * amount if key in ("x", "turn") else amount for key, amount in action.amounts.items()}
    return course.render(seen, Action(action.progress, mirrored).course(FRAMES, rng.uniform(0.7, 1.3)), size_px)
