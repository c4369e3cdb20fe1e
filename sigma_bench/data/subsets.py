"""Indices made from indices: other labels, fewer samples a class, a part held out."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import list_file
from sigma_bench.data.index import SCHEMA, Index


def relabel(index: Index, csv_path: Path, column: str) -> Index:
    """Return `index` with the labels of another column: the same files asked another question.

    The values are class names. The classes are all values of the column, sorted (as numbers where all are), so the
    train and the test part of a data set agree whatever rows each has.

    Args:
        index: The samples.
        csv_path: A CSV file with a header, one column of which is `id`.
        column: The column to take.

    Raises:
        UserError: The file, a column or an id is missing, an id has two rows, or the file is no table.
    """
    if not csv_path.exists():
        raise UserError(
            f"{csv_path} does not exist; it should hold the column '{column}' for the samples of {index.name}"
        )
    values = _column(csv_path, column)
    unknown = [i for i in index.ids if i not in values]
    if unknown:
        raise UserError(
            f"{csv_path}: {len(unknown)} of the {index.count} ids of {index.name}/{index.split} have no row, the "
            f"first is '{unknown[0]}'; expected one row for each sample"
        )
    names = set(values.values())
    numbers = all(n.isascii() and n.isdecimal() for n in names)
    classes = sorted(names, key=lambda n: (int(n), n)) if numbers else sorted(names)
    position = {name: label for label, name in enumerate(classes)}
    labels = pa.array([position[values[i]] for i in index.ids], pa.int64())
    where = index.table.schema.get_field_index("label")
    return replace(index, classes=tuple(classes), table=index.table.set_column(where, SCHEMA.field("label"), labels))


def _column(path: Path, column: str) -> dict[str, str]:
    """Return id -> value of a column of a CSV file."""
    reader = csv.reader(io.StringIO(list_file.text(path), newline=""), strict=True)
    values: dict[str, str] = {}
    try:
        header = next(reader, [])
        for key in ("id", column):
            if header.count(key) != 1:
                found = "two columns" if key in header else "no column"
                raise UserError(f"{path}:1: {found} '{key}'; the columns are {', '.join(header) or 'none'}")
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise UserError(f"{path}:{reader.line_num}: found {len(row)} fields, expected {len(header)}")
            name, value = row[header.index("id")], row[header.index(column)]
            if name in values or not value:
                wrong = "appears twice" if name in values else f"has no value in column '{column}'"
                raise UserError(f"{path}:{reader.line_num}: id '{name}' {wrong}")
            values[name] = value
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: no table of comma-separated values: {error}") from error
    return values


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
    # the (group, class) pairs that occur, group by group: a table of all would not fit where each picture is a group
    pairs, sizes = np.unique(group_of * len(index.classes) + index.labels, return_counts=True)
    pair_group, pair_label = np.divmod(pairs, len(index.classes))
    first = np.searchsorted(pair_group, np.arange(len(groups) + 1))
    total = np.bincount(index.labels, minlength=len(index.classes))
    held = np.zeros_like(total)
    out = np.zeros(len(groups), dtype=bool)
    turn = np.argsort(np.random.RandomState(seed).permutation(len(groups)))[pair_group]
    by_label = np.lexsort((turn, pair_label))
    groups_of_label = np.bincount(pair_label, minlength=len(index.classes))
    last = np.cumsum(groups_of_label)
    for label in np.argsort(groups_of_label, kind="stable"):
        for group in pair_group[by_label[last[label] - groups_of_label[label] : last[label]]]:
            own = slice(first[group], first[group + 1])
            labels, size = pair_label[own], sizes[own]
            if out[group] or np.any(held[labels] + size == total[labels]):
                continue
            gap = share * total[label] - held[label]
            gap_after = gap - size[labels == label][0]
            if held[label] and abs(gap_after) >= abs(gap):
                break
            out[group] = True
            held[labels] += size
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
