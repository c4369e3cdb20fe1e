"""A miniature in the on-disk format of ImageNet-1K: 12 classes = 4 textures x 3 outlines of an object."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from sigma_bench.data.datasets.in1k_val import HEADER, SOLUTION
from sigma_bench.data.miniatures import stills
from sigma_bench.data.miniatures.publish import Miniature, publish

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""

WNIDS = (
    "n01440764",
    "n01443537",
    "n01484850",
    "n01491361",
    "n01494475",
    "n01496331",
    "n01498041",
    "n01514668",
    "n01514859",
    "n01518878",
    "n01530575",
    "n01531178",
)
"""The first of ImageNet's classes lend their names; what the pictures show is in `CLASSES`."""

CLASSES = dict(zip(WNIDS, product(("bars", "checks", "diagonal", "rows"), ("disc", "square", "triangle")), strict=True))
"""Folder of the class -> texture and outline of the object."""

SIDES = (48, 81)
"""Least height and width, and the first beyond the greatest, pixels."""
QUALITY = 92


def write(root: Path, seed: int = 0, *, train: int = 60, val: int = 20) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    `val` is flat as in the official archive, its pictures in random order, and labelled by Kaggle's list, whose boxes
    are the objects'. Height and width, background, colours, size and place of the object are drawn for each picture
    and tell nothing about its class.

    Args:
        root: Folder that will hold `train`, `val` and `LOC_val_solution.csv`.
        seed: Seed of every draw.
        train: Training pictures a class, at least 1.
        val: Validation pictures a class, at least 1.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else.
    """
    if train < 1 or val < 1:
        raise ValueError(f"train {train}, val {val}; expected at least 1 picture a class of each")

    def fill(folder: Path) -> None:
        for label, wnid in enumerate(WNIDS):
            (folder / "train" / wnid).mkdir(parents=True)
            for number in range(1, train + 1):
                rng = np.random.default_rng((seed, 0, label, number))
                _write(folder / "train" / wnid / f"{wnid}_{number}.JPEG", wnid, rng)
        (folder / "val").mkdir()
        lines = [HEADER]
        for number, place in enumerate(np.random.default_rng((seed, 1)).permutation(len(WNIDS) * val), 1):
            wnid = WNIDS[place % len(WNIDS)]
            name = f"ILSVRC2012_val_{number:08d}"
            box = _write(folder / "val" / f"{name}.JPEG", wnid, np.random.default_rng((seed, 1, int(place))))
            lines.append(f"{name},{wnid} {' '.join(map(str, box))} ")
        (folder / SOLUTION).write_bytes("".join(f"{line}\n" for line in lines).encode())

    return publish(root, "in1k", VERSION, {"seed": seed, "train": train, "val": val}, fill)


def _write(path: Path, wnid: str, rng: np.random.Generator) -> tuple[int, int, int, int]:
    texture, outline = CLASSES[wnid]
    height, width = (int(side) for side in rng.integers(*SIDES, size=2))
    background = list(stills.TEXTURES)[int(rng.integers(len(stills.TEXTURES)))]
    picture, box = stills.render(texture, outline, background, height, width, rng)
    Image.fromarray(picture).save(path, "JPEG", quality=QUALITY, subsampling=0)
    return box
