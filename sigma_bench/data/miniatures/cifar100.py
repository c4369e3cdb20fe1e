"""A miniature in the on-disk format of CIFAR-100: 20 coarse classes of an object, each before 5 backgrounds."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench.data.datasets.cifar100 import FOLDER
from sigma_bench.data.decode.cifar import SIDE
from sigma_bench.data.miniatures import scene, stills
from sigma_bench.data.miniatures.publish import Miniature, publish
from sigma_bench.data.miniatures.python2 import dumps

VERSION = 1
"""Version of the files; raised whenever the same seed gives others."""

COARSE = {f"{texture}_{outline}": (texture, outline) for texture, outline in product(stills.TEXTURES, scene.OUTLINES)}
"""Name of the coarse class -> texture and outline of the object."""
FINE = {f"{name}_on_{background}": (name, background) for name, background in product(COARSE, stills.TEXTURES)}
"""Name of the class -> coarse class and texture of the background."""
FILES = {"train": b"training batch 1 of 1", "test": b"testing batch 1 of 1"}
"""Name of the file -> what it calls itself."""


def write(root: Path, seed: int = 0, *, train: int = 25, test: int = 6) -> Miniature:
    """Write the miniature, or reuse the one that is there with the same seed, settings and version.

    The files are pickles as Python 2 wrote the official ones. Rows are in random order, and the names of the pictures
    are numbers, so nothing but the pictures tells the label.

    Args:
        root: Folder that will hold `cifar-100-python`.
        seed: Seed of every draw.
        train: Training pictures a class, at least 1.
        test: Test pictures a class, at least 1.

    Raises:
        ValueError: A setting is out of its range.
        UserError: `root` holds something else.
    """
    if train < 1 or test < 1:
        raise ValueError(f"train {train}, test {test}; expected at least 1 picture a class of each")

    def fill(folder: Path) -> None:
        place = folder / FOLDER
        place.mkdir()
        names = {
            b"fine_label_names": [name.encode() for name in sorted(FINE)],
            b"coarse_label_names": [name.encode() for name in sorted(COARSE)],
        }
        (place / "meta").write_bytes(dumps(names))
        for part, (name, count) in enumerate((("train", train), ("test", test))):
            (place / name).write_bytes(dumps(_pictures(name, (seed, part), count)))

    return publish(root, "cifar100", VERSION, {"seed": seed, "train": train, "test": test}, fill)


def _pictures(name: str, seed: tuple[int, int], count: int) -> dict[bytes, Any]:
    fine, coarse = sorted(FINE), sorted(COARSE)
    order = np.random.default_rng(seed).permutation(len(fine) * count)
    labels = [int(place) % len(fine) for place in order]
    data = np.empty((len(order), 3 * SIDE * SIDE), np.uint8)
    for row, (place, label) in enumerate(zip(order, labels, strict=True)):
        group, background = FINE[fine[label]]
        rng = np.random.default_rng((*seed, int(place)))
        picture, _ = stills.render(*COARSE[group], background, SIDE, SIDE, rng)
        data[row] = picture.transpose(2, 0, 1).reshape(-1)
    return {
        b"filenames": [b"%s_s_%06d.png" % (name.encode(), row) for row in range(len(order))],
        b"batch_label": FILES[name],
        b"fine_labels": labels,
        b"coarse_labels": [coarse.index(FINE[fine[label]][0]) for label in labels],
        b"data": data,
    }
