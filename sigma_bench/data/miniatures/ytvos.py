"""A miniature in the on-disk format of YouTube-VOS: videos of one to four objects of six categories."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench.data.datasets.ytvos import FRAMES, LISTS, MASKS, META, PLACES, SHARE
from sigma_bench.data.miniatures import objects
from sigma_bench.data.miniatures.pictures import write_frame, write_mask
from sigma_bench.data.miniatures.publish import Miniature, publish

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""
LENGTHS = (8, 20)
"""Least and greatest number of annotated frames of a video."""
STEP = 5
"""Distance of annotated frames by their numbers; those between are not written, as in `train.zip`."""
MOST = 4
"""Objects of a video, one to so many."""


def write(root: Path, seed: int = 0, *, size_px: int = 64, videos: int = 60) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    Categories are equally frequent but for chance: every third video, if it has more than one object, shows two of one
    category. Ids are
    given in a drawn order; those of every fourth video start at 2, as those of a part of a video may. `meta.json`
    names, for every object, the frames in which it is seen.

    Args:
        root: Folder that will hold `train` and `train20.txt`, the list of a fifth of the videos.
        seed: Seed of every draw.
        size_px: Side of the frames.
        videos: Number of videos, at least 5.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else.
    """
    if size_px < 16 or not 5 <= videos <= 9999:
        raise ValueError(f"size_px {size_px}, videos {videos}; expected at least 16, and 5 to 9999 videos")

    def fill(folder: Path) -> None:
        names = [hashlib.sha256(f"ytvos {seed} {number}".encode()).hexdigest()[:10] for number in range(videos)]
        base = folder / PLACES[0]
        cast = _cast(videos, np.random.default_rng((seed, 0)))
        entries = {
            name: _write_video(base, name, cast[number], number, size_px, np.random.default_rng((seed, 1, number)))
            for number, name in enumerate(names)
        }
        meta = {"videos": {name: entries[name] for name in sorted(entries)}}
        (base / META).write_text(json.dumps(meta) + "\n", encoding="utf-8", newline="\n")
        listed = np.random.default_rng((seed, 2)).permutation(videos)[: round(SHARE * videos)]
        text = "".join(f"{names[number]}\n" for number in listed)
        (folder / LISTS[0]).write_text(text, encoding="utf-8", newline="\n")

    return publish(root, "ytvos", VERSION, {"seed": seed, "size_px": size_px, "videos": videos}, fill)


def _cast(videos: int, rng: np.random.Generator) -> list[list[str]]:
    """Return the categories of the objects of each video, all of them equally often but for the doubled ones."""
    names = sorted(objects.TEXTURES)
    counts = [1 + number % MOST for number in range(videos)]
    pairs = [number % 3 == 0 and count > 1 for number, count in enumerate(counts)]
    needed = sum(count - pair for count, pair in zip(counts, pairs, strict=True))
    rounds = [rng.permutation(names).tolist() for _ in range(-(-needed // len(names)))]
    stock = [name for one in rounds for name in one]
    cast = []
    for count, pair in zip(counts, pairs, strict=True):
        drawn, stock = stock[: count - pair], stock[count - pair :]
        cast.append(drawn + drawn[:1] * pair)
    return cast


def _write_video(
    base: Path, name: str, categories: list[str], number: int, size_px: int, rng: np.random.Generator
) -> dict[str, Any]:
    length = int(rng.integers(LENGTHS[0], LENGTHS[1] + 1))
    categories = rng.permutation(categories).tolist()
    clip, seen = objects.render(objects.draw(categories, length, size_px, rng), length, size_px)
    ids = np.array([0, *(rng.permutation(len(categories)) + (2 if number % 4 == 3 else 1))], dtype=np.uint8)
    for place in (FRAMES, MASKS):
        (base / place / name).mkdir(parents=True)
    for position in range(length):
        write_frame(base / FRAMES / name / f"{position * STEP:05d}.jpg", clip[position])
        write_mask(base / MASKS / name / f"{position * STEP:05d}.png", ids[seen[position]])
    entries = {}
    for thing, category in enumerate(categories, 1):
        frames = [f"{p * STEP:05d}" for p in range(length) if (seen[p] == thing).any()]
        entries[str(ids[thing])] = {"category": category, "frames": frames}
    return {"objects": {key: entries[key] for key in sorted(entries, key=int)}}
