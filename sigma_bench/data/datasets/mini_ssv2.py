"""Half of Something-Something v2 for ablations: a seeded draw from its train list, and its val list as it is.

The half that the paper trains on is not published, so this is another one, the same wherever it is drawn.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import ssv2
from sigma_bench.data.index import Index

SEED = 20240722
"""Seed of the draw; another seed is another data set."""
SPLITS = ("train", "val")


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return half of the official train list of Something-Something v2, or its val list.

    Of a class of n videos (n + 1) // 2 are kept. The draw takes them from the whole list in the order of the videos'
    numbers, whether the files are there or not, and a class's draw depends on its own videos alone.

    Args:
        root: Folder of Something-Something v2 with its official lists.
        split: "train" or "val" (or "validation").
        fold: Must be 1.

    Raises:
        UserError: No such split, or Something-Something v2 cannot be read.
    """
    split = "val" if split == "validation" else split
    if split not in SPLITS:
        raise UserError(f"mini_ssv2 has no split '{split}'; it has {', '.join(SPLITS)}")
    if fold != 1:
        raise UserError(f"mini_ssv2 has no fold {fold}; leave the fold out")
    index = replace(ssv2.read_official(root, split), name="mini_ssv2")
    return index if split == "val" else half(index)


def splits(root: Path) -> tuple[str, ...]:
    """Return the splits that have an official list below `root`."""
    return tuple(s for s in ssv2.official_splits(root) if s in SPLITS)


def half(index: Index) -> Index:
    """Return (n + 1) // 2 of the n samples of every class, in the index's order."""
    rows: list[int] = []
    for label in range(len(index.classes)):
        own = np.flatnonzero(index.labels == label)
        rows.extend(np.random.RandomState([SEED, label]).permutation(own)[: (len(own) + 1) // 2].tolist())
    return index.select(sorted(rows))
