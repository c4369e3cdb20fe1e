"""The list of samples of a data set's split: what every reader returns and everything else consumes."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sigma_bench.contracts import UserError

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
    ]
)


class Sample(NamedTuple):
    """One row of an index.

    `path` is relative to the index's root, with forward slashes; `label` -1 means unlabelled; `group` names what
    must not be torn apart by a split (clips cut from one recording); `start` and `end` are frames, `end` exclusive,
    both None for the whole file.
    """

    id: str
    path: str
    label: int
    group: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Index:
    """An ordered list of samples with the names of their classes; never changed, only derived from.

    Build one with `Index.build`, which checks what it is given.
    """

    name: str
    split: str
    root: Path
    classes: tuple[str, ...]
    table: pa.Table

    @classmethod
    def build(
        cls, name: str, split: str, root: Path, classes: Sequence[str], samples: Iterable[Sample | tuple[object, ...]]
    ) -> Index:
        """Return the index of `samples`, in their order.

        Args:
            name: Name of the data set.
            split: Which part of it.
            root: Folder that the paths are relative to.
            classes: Class names in the order of their labels.
            samples: Rows in the order of `Sample`'s fields.

        Raises:
            UserError: An id appears twice, a path leaves the root, or a label names no class.
        """
        rows = list(samples)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
        table = pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
        index = cls(name, split, Path(root), tuple(classes), table)
        index._check()
        return index

    @property
    def count(self) -> int:
        """Number of samples."""
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The samples' ids, in order."""
        return tuple(self.table.column("id").to_pylist())

    @cached_property
    def labels(self) -> np.ndarray:
        """The samples' labels, int64 (count,)."""
        return np.asarray(self.table.column("label").to_pylist(), dtype=np.int64)

    @cached_property
    def sha256(self) -> str:
        """Hash of the rows' id, label, start and end in order: which samples, not where they lie."""
        digest = hashlib.sha256()
        columns = (self.table.column(c).to_pylist() for c in ("id", "label", "start", "end"))
        for row in zip(*columns, strict=True):
            digest.update(json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n")
        return digest.hexdigest()

    def sample(self, row: int) -> Sample:
        """Return one row."""
        if not 0 <= row < self.count:
            raise IndexError(f"row {row} of {self.count}")
        return Sample(**self.table.slice(row, 1).to_pylist()[0])

    def path(self, row: int) -> Path:
        """Return where the file of one row is expected."""
        return self.root / str(self.table.column("path")[row].as_py())

    def select(self, rows: Sequence[int] | np.ndarray) -> Index:
        """Return the index of these rows, in this order."""
        return replace(self, table=self.table.take(pa.array(np.asarray(rows, dtype=np.int64))))

    @cached_property
    def _there(self) -> np.ndarray:
        folders: dict[str, set[str]] = {}
        there = np.zeros(self.count, dtype=bool)
        for row, path in enumerate(self.table.column("path").to_pylist()):
            parent, _, name = path.rpartition("/")
            if parent not in folders:
                folders[parent] = _files(self.root / parent)
            there[row] = name in folders[parent]
        return there

    def missing(self) -> tuple[str, ...]:
        """Return the ids whose file is absent. Each folder is listed once, at the first call."""
        return tuple(self.ids[row] for row in np.flatnonzero(~self._there))

    def present(self) -> Index:
        """Return the index of the samples whose file exists."""
        return self.select(np.flatnonzero(self._there))

    def _check(self) -> None:
        if len(set(self.ids)) != self.count:
            seen: set[str] = set()
            twice = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise UserError(f"{self.name}/{self.split}: id '{twice}' appears twice; ids must be unique")
        for path in self.table.column("path").to_pylist():
            if "\\" in path or PurePosixPath(path).is_absolute() or ".." in path.split("/"):
                raise UserError(
                    f"{self.name}/{self.split}: path '{path}' leaves the data folder; expected a path relative to "
                    f"{self.root}, with forward slashes"
                )
        bad = self.labels[(self.labels < -1) | (self.labels >= len(self.classes))]
        if len(bad):
            raise UserError(f"{self.name}/{self.split}: label {bad[0]} names none of the {len(self.classes)} classes")


def relabel(index: Index, csv_path: Path, column: str) -> Index:
    """Return `index` with the labels of another column: the same files asked another question.

    The values are class names. The classes are all values of the column, sorted (as numbers where all are), so the
    train and the test part of a data set agree whatever rows each has.

    Args:
        index: The samples.
        csv_path: A CSV file with a header, one column of which is `id`.
        column: The column to take.

    Raises:
        UserError: The file, a column or an id is missing, or an id has two rows.
    """
    try:
        with open(csv_path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            for key in ("id", column):
                if key not in header:
                    raise UserError(f"{csv_path}:1: no column '{key}'; the columns are {', '.join(header) or 'none'}")
            values: dict[str, str] = {}
            for row in reader:
                if row["id"] in values or not row[column]:
                    wrong = "appears twice" if row["id"] in values else f"has no value in column '{column}'"
                    raise UserError(f"{csv_path}:{reader.line_num}: id '{row['id']}' {wrong}")
                values[row["id"]] = row[column]
    except FileNotFoundError as error:
        raise UserError(
            f"{csv_path} does not exist; it should hold the column '{column}' for the samples of {index.name}"
        ) from error
    unknown = [i for i in index.ids if i not in values]
    if unknown:
        raise UserError(
            f"{csv_path}: {len(unknown)} of the {index.count} ids of {index.name}/{index.split} have no row, the "
            f"first is '{unknown[0]}'; expected one row for each sample"
        )
    names = set(values.values())
    classes = sorted(names, key=int) if all(n.isascii() and n.isdecimal() for n in names) else sorted(names)
    position = {name: label for label, name in enumerate(classes)}
    labels = pa.array([position[values[i]] for i in index.ids], pa.int64())
    where = index.table.schema.get_field_index("label")
    return replace(index, classes=tuple(classes), table=index.table.set_column(where, SCHEMA.field("label"), labels))


def per_class(index: Index, n: int, seed: int) -> Index:
    """Return `n` random samples of every class, in the index's order.

    The draw of a class depends on its own rows alone, so it stays the same when other classes change.

    Args:
        index: Labelled samples.
        n: Samples a class.
        seed: Seed of the draw.

    Raises:
        UserError: A class has fewer than `n` samples, or samples are unlabelled.
    """
    _labelled(index, "a class-wise subset")
    rows: list[int] = []
    for label, name in enumerate(index.classes):
        own = np.flatnonzero(index.labels == label)
        if len(own) < n:
            raise UserError(
                f"{index.name}/{index.split}: class '{name}' has {len(own)} samples, {n} a class were asked for; "
                "lower per_class"
            )
        rows.extend(np.random.RandomState([seed, label]).permutation(own)[:n].tolist())
    return index.select(sorted(rows))


def holdout(index: Index, share: float, seed: int) -> tuple[Index, Index]:
    """Return (kept, held out): whole groups are held out, about `share` of every class.

    Both sides have every class where that is possible; a class all of whose samples are in one group stays in the
    kept part.

    Args:
        index: Labelled samples.
        share: Part to hold out, between 0 and 1.
        seed: Seed of the order in which groups are tried.

    Raises:
        ValueError: `share` is not between 0 and 1.
        UserError: Samples are unlabelled, or no group can be held out.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; expected a number between 0 and 1")
    _labelled(index, "a hold-out part")
    groups, group_of = np.unique(np.asarray(index.table.column("group").to_pylist()), return_inverse=True)
    counts = np.zeros((len(groups), len(index.classes)), dtype=np.int64)
    np.add.at(counts, (group_of, index.labels), 1)
    total, held = counts.sum(0), np.zeros(len(index.classes), dtype=np.int64)
    out = np.zeros(len(groups), dtype=bool)
    order = np.random.RandomState(seed).permutation(len(groups))
    for label in np.argsort((counts > 0).sum(0), kind="stable"):
        for group in order[counts[order, label] > 0]:
            after = held + counts[group]
            if out[group] or np.any((after == total) & (counts[group] > 0)):
                continue
            gap, gap_after = share * total[label] - held[label], share * total[label] - after[label]
            if held[label] and abs(gap_after) >= abs(gap):
                break
            out[group], held = True, after
    if not out.any():
        raise UserError(
            f"{index.name}/{index.split}: no group can be held out, since each holds all samples of some class"
        )
    return index.select(np.flatnonzero(~out[group_of])), index.select(np.flatnonzero(out[group_of]))


def class_counts(index: Index) -> dict[str, int]:
    """Return how many samples each class has."""
    counts: dict[str, int] = defaultdict(int)
    for label in index.labels[index.labels >= 0]:
        counts[index.classes[label]] += 1
    return {name: counts[name] for name in index.classes}


def _labelled(index: Index, what: str) -> None:
    if index.count == 0 or (index.labels < 0).any():
        raise UserError(f"{index.name}/{index.split}: {what} needs labelled samples; this index has none or lacks some")


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
