"""The list of samples of a data set's split: what every reader returns and everything else consumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sigma_bench.contracts import UserError
from sigma_bench.data import files

ACTION = pa.struct([("label", pa.int64()), ("start_s", pa.float64()), ("end_s", pa.float64())])
OBJECT = pa.struct([("id", pa.int64()), ("label", pa.int64())])
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("start", pa.int64()),
        pa.field("end", pa.int64()),
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("fps", pa.float64()),
        pa.field("labels", pa.list_(pa.int64())),
        pa.field("actions", pa.list_(ACTION)),
        pa.field("boundaries", pa.list_(pa.int64())),
        pa.field("masks", pa.string()),
        pa.field("objects", pa.list_(OBJECT)),
    ]
)
HASHED = ("id", "label", "start", "end")
"""Columns that `Index.sha256` covers in every row."""
HASHED_WHERE_GIVEN = ("labels", "actions", "boundaries")
"""Columns that it covers too where some row of the index has them."""


class Action(NamedTuple):
    """A labelled stretch of a video, seconds from the file's start; several may overlap."""

    label: int
    start_s: float
    end_s: float


class Object(NamedTuple):
    """An object of a masked video: the value of its pixels in the masks, and its class (-1: the set names none)."""

    id: int
    label: int


class Sample(NamedTuple):
    """One row of an index.

    Attributes:
        id: Unique in the split.
        path: Relative to the index's root, with forward slashes: a video, a still picture, a folder of numbered
            frames, or a file of several pictures of which `start` names one.
        label: Its class; -1 where it has none or several.
        group: What must not be torn apart by a split (clips cut from one recording).
        start: First frame; None for the file's first.
        end: First frame after the sample; None for the file's end.
        start_s: The same in seconds, where the list is in seconds; then `start` and `end` are None.
        end_s: First second after the sample.
        fps: Rate of a folder of frames, which has none of its own.
        labels: Classes of a sample that may have several, ascending; may be empty.
        actions: The labelled stretches those come from.
        boundaries: Frames (0-based, of the file) at which a repetition begins or the last one ends.
        masks: Folder of the mask pictures, named like the frames; relative to the root.
        objects: What the masks show.
    """

    id: str
    path: str
    label: int
    group: str
    start: int | None = None
    end: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    fps: float | None = None
    labels: tuple[int, ...] | None = None
    actions: tuple[Action, ...] | None = None
    boundaries: tuple[int, ...] | None = None
    masks: str | None = None
    objects: tuple[Object, ...] | None = None


@dataclass(frozen=True)
class Index:
    """An ordered list of samples with the names of their classes; never changed, only derived from.

    Build one with `Index.build`, which checks what it is given. `notes` are what a reader of a number measured on it
    must know: they become marks of its row.
    """

    name: str
    split: str
    root: Path
    classes: tuple[str, ...]
    table: pa.Table
    notes: tuple[str, ...] = ()

    @classmethod
    def build(
        cls,
        name: str,
        split: str,
        root: Path,
        classes: Sequence[str],
        samples: Iterable[Sample | tuple[object, ...]],
        notes: Sequence[str] = (),
    ) -> Index:
        """Return the index of `samples`, in their order.

        Args:
            name: Name of the data set.
            split: Which part of it.
            root: Folder that the paths are relative to.
            classes: Class names in the order of their labels.
            samples: Rows in the order of `Sample`'s fields; the optional ones may be left out at the end.
            notes: What a reader of a number must know.

        Raises:
            UserError: An id appears twice, a path leaves the root, or a label (of the sample, of an action, of an
                object) names no class.
        """
        rows = [Sample(*row) for row in samples]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(SCHEMA)
        try:
            arrays = [_column(name, split, column, field) for column, field in zip(columns, SCHEMA, strict=True)]
        except UnicodeEncodeError as error:
            raise UserError(f"{name}/{split}: the name {error.object!r} is no UTF-8; rename the file") from error
        index = cls(name, split, Path(root), tuple(classes), pa.table(arrays, schema=SCHEMA), tuple(notes))
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
        """Hash of the rows in order, by id, label, frame range and the annotations that are targets.

        It says which samples these are and what is asked of them, not where they lie: paths, times in seconds within
        an uncut recording, and masks (which are files) are left out.
        """
        digest = hashlib.sha256()
        given = [name for name in HASHED_WHERE_GIVEN if self.table.column(name).null_count < self.count]
        columns = (self.table.column(name).to_pylist() for name in (*HASHED, *given))
        for row in zip(*columns, strict=True):
            digest.update(json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n")
        return digest.hexdigest()

    @cached_property
    def classes_sha256(self) -> str:
        """Hash of the class names in the order of their labels: the label map."""
        return hashlib.sha256(json.dumps(self.classes, ensure_ascii=True).encode("ascii")).hexdigest()

    def sample(self, row: int) -> Sample:
        """Return one row."""
        if not 0 <= row < self.count:
            raise IndexError(f"row {row} of {self.count}")
        found = self.table.slice(row, 1).to_pylist()[0]
        for name in ("labels", "boundaries"):
            found[name] = None if found[name] is None else tuple(found[name])
        for name, kind in (("actions", Action), ("objects", Object)):
            found[name] = None if found[name] is None else tuple(kind(**entry) for entry in found[name])
        return Sample(**found)

    def path(self, row: int) -> Path:
        """Return where the file of one row is expected."""
        return self.root / str(self.table.column("path")[row].as_py())

    def select(self, rows: Sequence[int] | np.ndarray) -> Index:
        """Return the index of these rows, in this order."""
        return replace(self, table=self.table.take(pa.array(np.asarray(rows, dtype=np.int64))))

    @cached_property
    def _there(self) -> np.ndarray:
        folders: dict[str, frozenset[str]] = {}
        there = np.zeros(self.count, dtype=bool)
        for row, path in enumerate(self.table.column("path").to_pylist()):
            parent, _, name = path.rpartition("/")
            if parent not in folders:
                folders[parent] = files.names(self.root / parent)
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
        for path in self.table.column("path").to_pylist() + self.table.column("masks").drop_null().to_pylist():
            if "\\" in path or path.startswith("/") or ".." in path.split("/"):
                raise UserError(
                    f"{self.name}/{self.split}: path '{path}' leaves the data folder; expected a path relative to "
                    f"{self.root}, with forward slashes"
                )
        several = self.table.column("labels").combine_chunks().flatten()
        actions, objects = (
            self.table.column(c).combine_chunks().flatten().field("label") for c in ("actions", "objects")
        )
        for labels, least in ((pa.array(self.labels), -1), (several, 0), (actions, 0), (objects, -1)):
            values = labels.to_numpy(zero_copy_only=False)
            bad = values[(values < least) | (values >= len(self.classes))]
            if len(bad):
                raise UserError(
                    f"{self.name}/{self.split}: label {bad[0]} names none of the {len(self.classes)} classes"
                )


def _column(name: str, split: str, column: Sequence[object], field: pa.Field) -> pa.Array:
    """Return a column; a value of another type, as a label that is text, is told with its row."""
    try:
        return _array(column, field)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        for row, value in enumerate(column):
            try:
                _array([value], field)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
                raise UserError(
                    f"{name}/{split}: row {row}: {field.name} is {str(value)[:60]!r} ({type(value).__name__}); "
                    f"expected {field.type}"
                    + (". Labels are the numbers of their names in `classes`" if field.name == "label" else "")
                ) from error
        raise


def _array(column: Sequence[object], field: pa.Field) -> pa.Array:
    if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
        named = [None if cell is None else [entry._asdict() for entry in cell] for cell in column]  # type: ignore[attr-defined]
        return pa.array(named, field.type)
    if pa.types.is_integer(field.type) and any(isinstance(value, float) for value in column):
        raise pa.ArrowInvalid("a float would be rounded")
    return pa.array(column, field.type)
