"""How many samples a list has: counted where the list is here, else as published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import roots
from sigma_bench.data.datasets.known import COUNTS, LEAST, LISTS
from sigma_bench.data.index import Index

MINI_SSV2 = ("mini_ssv2", "train", 1)
USUAL = {("k400", "train", 1): 240_000, MINI_SSV2: COUNTS["ssv2", "train", 1] // 2}
"""Lists that have no published length: about as many as copies in use have, and half of SSv2's list."""


@dataclass(frozen=True)
class Size:
    """The length of a list, the list itself where it is here, and where the length is from if it is not."""

    count: int
    index: Index | None
    source: str = ""


def size_of(dataset: str, split: str, fold: int, root: Path | None, limit: int | None) -> Size:
    """Return the length of a list.

    Args:
        dataset: A data set of the registry.
        split: One of its lists.
        fold: Number of the official split.
        root: Data root, or None for the usual places.
        limit: Most samples that are used.

    Raises:
        UserError: The list is not here, and nobody knows its length; or it is damaged.
    """
    found = roots.find(dataset, root)
    if found is not None:
        index = registry.get("datasets", dataset)(found.folder, split, fold=fold)
        return Size(min(index.count, limit or index.count), index.present() if index.count else None)
    key = (dataset, split, fold)
    if key in LISTS:
        count, how = LISTS[key][0], "their published numbers"
    elif key in COUNTS:
        count, how = COUNTS[key], "their published numbers"
    elif key in USUAL:
        count, how = (
            USUAL[key],
            "about what copies in use have" if key in LEAST else "half of the published number of SSv2",
        )
    else:
        raise UserError(f"{dataset}/{split}: not here, and its length is not known; {roots.missing(dataset, root)}")
    return Size(min(count, limit or count), None, how)


def notes(sizes: dict[str, Size]) -> list[str]:
    """Return what must be said of lists, by name, that are not here."""
    sources: dict[str, list[str]] = {}
    for name, size in sizes.items():
        if size.source:
            sources.setdefault(size.source, []).append(name)
    return [f"not here, so counted by {how}: {', '.join(names)}" for how, names in sources.items()]
