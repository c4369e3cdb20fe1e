"""The lists of a data set that a check looks at, and how each compares with the published one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import known
from sigma_bench.data.index import Index

NOT_DATA_SETS = ("folder", "video_list", "videos")
"""Readers of any folder, which are no data sets of their own."""


@dataclass(frozen=True)
class ReadList:
    """A list that was read."""

    split: str
    fold: int
    index: Index


def names() -> list[str]:
    """Return the names of all data sets."""
    return sorted(set(registry.names("datasets")) - set(NOT_DATA_SETS))


def read_all(name: str, folder: Path, fold: int | None) -> tuple[list[ReadList], list[str]]:
    """Read every list of a data set; return them and what is said of folds that are not there.

    Args:
        name: The data set.
        folder: Where it lies.
        fold: Only this one; None reads all that there are lists of.

    Raises:
        UserError: A list of the first fold, or of the fold asked for, cannot be read, or there is none.
    """
    read = registry.get("datasets", name if name in registry.names("datasets") else "video_list")
    found, said = [], []
    for split in _splits(name, folder):
        for number in [fold] if fold is not None else _folds(name, split):
            try:
                found.append(ReadList(split, number, read(folder, split, fold=number)))
            except UserError as error:
                if number == 1 or fold is not None:
                    raise
                said.append(f"{split} of fold {number} is left out: {error}")
    if not found:
        raise UserError(f"{folder} holds no list of {name}: `sigma-bench data lists {name}` says what belongs there")
    return found, said


def _splits(name: str, folder: Path) -> list[str]:
    if name in registry.names("splits"):
        return list(registry.get("splits", name)(folder))
    if name in registry.names("datasets"):
        return ["train", "test"]
    return [split for split in ("train", "val", "test") if (folder / f"{split}.csv").is_file()]


def _folds(name: str, split: str) -> list[int]:
    return sorted({fold for dataset, part, fold in known.LISTS if (dataset, part) == (name, split)}) or [1]


def compared(name: str, read: ReadList, generated: bool) -> str:
    """Return in words how a list compares with the published one."""
    index, key = read.index, (name, read.split, read.fold)
    if generated:
        return "generated"
    if known.is_official(name, read.split, read.fold, index):
        return "published"
    published = known.LISTS.get(key)
    count = published[0] if published is not None else known.COUNTS.get(key)
    if count is None:
        return "published list not known here"
    if published is None and count == index.count:
        return "count as published"
    if count == index.count:
        return f"other, of the same {count:,}"
    return f"other, published: {count:,}"
