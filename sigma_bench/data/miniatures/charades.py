"""A miniature in the on-disk format of Charades: videos at 24 frames a second with timed actions that overlap."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sigma_bench.data.datasets.charades import CLASSES, FRAMES_PER_SECOND, HEADER
from sigma_bench.data.miniatures import activity
from sigma_bench.data.miniatures.publish import Miniature, publish
from sigma_bench.data.miniatures.video import encode

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""

FRAMES = (72, 144)
"""Fewest and most frames of a video: 3 to 6 seconds."""
LEAST_SECONDS = 1.0
"""Every action can be seen for so long."""
PER_SUBJECT = 4
"""Videos that a subject films at home, before one background; a subject is in one split only."""
EMPTY = 0.04
"""Share of the videos without any action."""


class Video(NamedTuple):
    """One row of a csv: text id, subject, number of frames, and (class, start, end) in hundredths of a second."""

    id: str
    subject: int
    frames: int
    actions: list[tuple[int, int, int]]


def write(root: Path, seed: int = 0, *, size_px: int = 32, train: int = 160, test: int = 60) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    As in the official lists, actions overlap, some go on after the video's end, some videos have none, some ids look
    like numbers, and the texts hold commas and quotes.

    Args:
        root: Folder that will hold `Charades_v1` (videos) and `Charades` (both csv and the classes).
        seed: Seed of every draw.
        size_px: Side of the frames, even.
        train: Videos for training, a multiple of four.
        test: Videos for testing, a multiple of four.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else, or no H.264 encoder is installed.
    """
    if size_px < 16 or size_px % 2 or any(n < PER_SUBJECT or n % PER_SUBJECT for n in (train, test)):
        raise ValueError(
            f"size_px {size_px}, train {train}, test {test}; expected an even size of at least 16 and multiples of "
            f"{PER_SUBJECT}"
        )
    settings = {"seed": seed, "size_px": size_px, "train": train, "test": test}

    def fill(folder: Path) -> None:
        (folder / "Charades").mkdir()
        (folder / "Charades_v1").mkdir()
        names = _ids(train + test, np.random.default_rng((seed, 0)))
        videos = [_video(name, k, np.random.default_rng((seed, 1, k))) for k, name in enumerate(names)]
        for k, video in enumerate(videos):
            _write_video(folder / "Charades_v1" / f"{video.id}.mp4", video, seed, k, size_px)
        _write_csv(folder / "Charades" / "Charades_v1_train.csv", videos[:train])
        _write_csv(folder / "Charades" / "Charades_v1_test.csv", videos[train:])
        lines = [f"c{label:03d} {name}\n" for label, name in enumerate(activity.CLASSES)]
        (folder / "Charades" / CLASSES).write_bytes("".join(lines).encode())

    return publish(root, "charades", VERSION, settings, fill)


def _ids(count: int, rng: np.random.Generator) -> list[str]:
    """Return different ids of five letters and digits; every tenth reads as a number in exponent form."""
    signs = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    names: dict[str, None] = {}
    while len(names) < count:
        name = rng.choice(signs, 5)
        if len(names) % 10 == 0:
            name = np.where(np.arange(5) == 1, "E", rng.choice(signs[:10], 5))
        names["".join(name)] = None
    return list(names)


def _video(name: str, number: int, rng: np.random.Generator) -> Video:
    frames = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
    length = _hundredths(frames)
    shown = 0 if rng.uniform() < EMPTY else int(rng.integers(1, len(activity.CORNERS) + 1))
    actions = []
    for label in rng.permutation(len(activity.CLASSES))[:shown]:
        least = round(100 * LEAST_SECONDS)
        start = int(rng.integers(0, length - least))
        end = int(rng.integers(start + least, length + 150))  # past the end now and then, as annotated
        actions.append((int(label), start, end))
    return Video(name, number // PER_SUBJECT, frames, actions)


def _hundredths(frames: int) -> int:
    return round(100 * frames / FRAMES_PER_SECOND)


def _write_video(path: Path, video: Video, seed: int, number: int, size_px: int) -> None:
    home = np.random.default_rng((seed, 2, video.subject))
    background = activity.surface("diagonal", activity.GREY, (0.05, 0.2), home)
    rng = np.random.default_rng((seed, 3, number))
    done = [
        activity.draw(activity.CLASSES[label], int(corner), *_frames(start, end, video.frames), rng)
        for (label, start, end), corner in zip(
            video.actions, rng.permutation(len(activity.CORNERS))[: len(video.actions)], strict=True
        )
    ]
    encode(path, activity.render(done, background, video.frames, size_px), int(FRAMES_PER_SECOND))


def _frames(start: int, end: int, frames: int) -> tuple[int, int]:
    """Return the first and the last frame from `start` to `end`, which are hundredths of a second."""
    rate = int(FRAMES_PER_SECOND)
    return math.ceil(start * rate / 100), min(math.floor(end * rate / 100), frames - 1)


def _write_csv(path: Path, videos: list[Video]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEADER)
        for video in videos:
            actions = ";".join(f"c{label:03d} {start / 100:.2f} {end / 100:.2f}" for label, start, end in video.actions)
            row = {
                "id": video.id,
                "subject": f"S{video.subject:03d}",
                "scene": "Living room",
                "quality": "6",
                "relevance": "7",
                "verified": "Yes",
                "script": 'A person sets up a corner, says "look at this", and waits.',
                "objects": "disc;square",
                "descriptions": "Things come and go, some of them at once.;Somebody shows things.",
                "actions": actions,
                "length": f"{_hundredths(video.frames) / 100:.2f}",
            }
            table.writerow([row[name] for name in HEADER])
