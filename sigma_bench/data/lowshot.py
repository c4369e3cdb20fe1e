"""The low-shot training subsets of the SEVERE benchmark (UCF 10^3, Gym 10^3): the released selection rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index

SIZE = 1000
"""The size that both published subsets aim at; they have 1,010 (UCF101, fold 1) and 1,089 (Gym99) rows."""
SEED = 99999
"""The seed that is part of the published subsets."""


def pick(labels: np.ndarray, size: int = SIZE, seed: int = SEED) -> np.ndarray:
    """Return the rows that the rule selects: equally many of every class, grouped by class.

    With C classes among `labels`, ceil(size / C) rows of each are drawn without replacement, all of a class that has
    fewer. Classes follow each other in ascending order and share one generator, so a class's draw depends on how many
    rows the classes before it have. `size` is what the division starts from, not a bound: the result is
    longer where C does not divide it, shorter where classes are small.

    Args:
        labels: int (count,) in the order of the list.
        size: Number of rows aimed at.
        seed: Seed of the generator.

    Returns:
        int64 rows, in the order of selection.

    Raises:
        ValueError: `size` is not positive, or there are no labels.

    Source: SEVERE-BENCHMARK, action_recognition/datasets/utils.py, and SIGMA, utils_datasets.py.
    """
    if size < 1:
        raise ValueError(f"size is {size}; expected at least 1")
    classes = np.unique(labels)
    if not len(classes):
        raise ValueError("no labels to select from")
    share = -(-size // len(classes))
    generator = np.random.RandomState(seed)
    rows: list[int] = []
    for label in classes:
        own = np.flatnonzero(labels == label)
        rows.extend(own[generator.choice(len(own), min(share, len(own)), replace=False)].tolist())
    return np.asarray(rows, dtype=np.int64)


def subset(index: Index, size: int = SIZE, seed: int = SEED) -> Index:
    """Return the low-shot part of a training list, in the order of selection.

    Give the list as it was read, never `Index.present()` of it: an absent clip can change the draws of all classes
    from its own on. Drop absent files from the result.

    The published draw is named `<data set>_<size>` and known by its hash; one of another seed is named
    `<data set>_<size>_seed<seed>`, so that results on it stay apart.

    Args:
        index: The whole training list, labelled.
        size: Number of clips aimed at; see `pick` for how many there will be.
        seed: Seed of the draw.

    Raises:
        UserError: The list is empty or has unlabelled samples, or `size` or `seed` is not one.
    """
    if index.count == 0 or (index.labels < 0).any():
        raise UserError(f"{index.name}/{index.split}: a low-shot subset needs labelled samples; some or all have none")
    if size < 1:
        raise UserError(f"a low-shot subset of {size} samples was asked for; expected 1 or more")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed {seed} of a low-shot subset; expected a whole number from 0 to {2**32 - 1}")
    name = f"{index.name}_{size}" if seed == SEED else f"{index.name}_{size}_seed{seed}"
    return replace(index.select(pick(index.labels, size, seed)), name=name)
