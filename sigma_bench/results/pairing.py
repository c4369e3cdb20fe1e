"""Rows of two systems on one task -> the records of the samples that both have, or the reason why they are no pair."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.results import cells, difference, records, settings
from sigma_bench.results.cells import FULL_PERCENT, Conditions
from sigma_bench.results.records import Records
from sigma_bench.results.row import Row

READING = ("heads", "frames", "image_size", "positions", "weights")
"""Settings that say how a checkpoint was read: they belong to the system. Whose classifier (`head`) does not."""
SAMPLES = "samples"
SHOWN = 4


class Unpaired(Exception):
    """Why two measurements cannot be compared sample by sample."""


@dataclass(frozen=True)
class Pair:
    """Measurements of two systems under the same conditions.

    Attributes:
        first: Rows of one, one a seed or set of weights.
        second: Rows of the other.
        records: Of each row of `first`, then of `second`, the records of the common samples in one order.
        notes: What a reader must know.
    """

    first: tuple[Row, ...]
    second: tuple[Row, ...]
    records: tuple[Records, ...]
    notes: tuple[str, ...]


def pair(first: Iterable[Row], second: Iterable[Row], folder: Path) -> Pair:
    """Return the measurements of one task and metric that both sides have under the same conditions.

    Args:
        first: Rows of one side.
        second: Rows of the other.
        folder: The folder of the row files, with `samples/` and `settings/`.

    Raises:
        Unpaired: They have no conditions in common, the records of a row are not there or not its own, or too few
            samples are common.
    """
    one, other = _under_same(list(first), list(second), folder)
    read = [_records(row, folder) for row in (*one, *other)]
    expected = one[0].n_expected
    aligned = _aligned(read, [*one, *other])
    notes = []
    common = len(aligned[0].ids)
    if cells.share(common, expected) < FULL_PERCENT:
        raise Unpaired(f"both have {common} of {expected} samples; under {FULL_PERCENT} % is no comparison")
    if common < expected:
        notes.append(f"{common} of {expected} samples, those that all measurements decoded")
    if one[0].limit is not None:
        notes.append(f"limited to {one[0].limit} samples")
    if one[0].settings_sha256 != other[0].settings_sha256:
        notes.append("the checkpoints were read otherwise than as stored")
    marks = [{mark for row in rows for mark in row.marks} for rows in (one, other)]
    for name, rows, only in (("A", one, marks[0] - marks[1]), ("B", other, marks[1] - marks[0])):
        notes += [f"{name} alone is marked: {mark}" for mark in sorted(only)]
        if (weights := len({row.checkpoint_sha256 for row in rows})) > 1:
            notes.append(f"{name}: mean over {weights} sets of weights, {len(rows)} measurements")
        elif len(rows) > 1:
            notes.append(f"{name}: mean over {len(rows)} seeds")
    return Pair(tuple(one), tuple(other), tuple(aligned), tuple(notes))


def _under_same(first: list[Row], second: list[Row], folder: Path) -> tuple[list[Row], list[Row]]:
    """Return the rows of the best conditions that both sides have, in the order of preference of `cells.choose`."""
    sides = [[row for row in rows if row.value is not None] for rows in (first, second)]
    for name, own, valued in (("A", first, sides[0]), ("B", second, sides[1])):
        if not valued:
            raise Unpaired(f"{name} failed: {cells.first_line(own[-1].error)}" if own else f"{name} was not measured")
    protocols: dict[str, str] = {}
    by_conditions: list[dict[Conditions, list[Row]]] = [{}, {}]
    for found, rows in zip(by_conditions, sides, strict=True):
        for row in rows:
            if row.settings_sha256 not in protocols:
                protocols[row.settings_sha256] = _protocol(row, folder)
            alike = cells.conditions_of(row)._replace(settings_sha256=protocols[row.settings_sha256])
            found.setdefault(alike, []).append(row)
    common = by_conditions[0].keys() & by_conditions[1].keys()
    if not common:
        one, other = (max(rows, key=_preference) for rows in sides)
        raise Unpaired(f"measured under different conditions: {_differences(one, other, folder)}")
    best = max(common, key=lambda c: max(_preference(row) for rows in by_conditions for row in rows[c]))
    return by_conditions[0][best], by_conditions[1][best]


def _preference(row: Row) -> tuple[Any, ...]:
    return (row.limit is None, row.limit or 0, row.task_version, row.measured_at)


def _protocol(row: Row, folder: Path) -> str:
    """Return what identifies the settings but for how the checkpoint was read; where they were not kept, their hash."""
    try:
        content = settings.read(folder, row)
    except UserError as error:
        raise Unpaired(str(error)) from error
    if content is None or not set(READING) & content.keys():
        return row.settings_sha256
    rest = {key: value for key, value in content.items() if key not in READING}
    return hashlib.sha256(settings.canonical(rest)).hexdigest()


def _differences(one: Row, other: Row, folder: Path) -> str:
    """Return in words which conditions differ."""
    names = {"test_sha256": "test list", "train_sha256": "training list", "settings_sha256": "settings"}
    told = []
    for name in difference.differing(one, other, Conditions._fields):
        if name == "settings_sha256":
            told += _settings(one, other, folder)
            continue
        ends = (getattr(row, name) for row in (one, other))
        shown = (str(end)[:8] if name in names else "(none)" if end in (None, "") else str(end) for end in ends)
        told.append(f"{names.get(name, name.replace('_', ' '))} {' | '.join(shown)}")
    return "; ".join(told)


def _settings(one: Row, other: Row, folder: Path) -> list[str]:
    first, second = settings.read(folder, one), settings.read(folder, other)
    if first is None or second is None:
        return ["settings, which were not kept"]
    lines = [line.strip().removeprefix("setting: ") for line in difference.keys("setting", first, second)]
    more = [f"and {len(lines) - SHOWN} more settings"] if len(lines) > SHOWN else []
    return [f"setting {line}" for line in lines[:SHOWN]] + more


def _records(row: Row, folder: Path) -> Records:
    """Return the records behind a row.

    Raises:
        Unpaired: They are not there, or not those of the row.
    """
    whose = f"the records of {row.system} (row {row.id.rpartition('-')[2][:8]})"
    name = row.artifacts.get(SAMPLES)
    if name is None:
        raise Unpaired(f"{whose} were not kept; measure it again with `sigma-bench eval --force`")
    path = PurePosixPath(name)
    file = folder / path
    if path.is_absolute() or ".." in path.parts or not file.resolve().is_relative_to(folder.resolve()):
        raise Unpaired(f"{whose} lie outside of {folder}: {name}")
    if not file.is_file():
        raise Unpaired(f"{whose} are not there ({name}); fetch them, or measure again with `sigma-bench eval --force`")
    try:
        frame = records.load(file)
    except UserError as error:
        raise Unpaired(f"{whose}: {error}") from error
    if not {"id", "error"} <= set(frame) or frame["id"].duplicated().any() or len(frame) != row.n_expected:
        raise Unpaired(f"{whose} are not one for each of {row.n_expected} samples ({name})")
    found = records.read(frame, row.metric, float(row.value or 0.0))
    if found is None:
        raise Unpaired(f"{whose} do not give its {row.metric} of {row.value} ({name})")
    return found


def _aligned(read: Sequence[Records], rows: Sequence[Row]) -> list[Records]:
    """Return the records of the samples that all have, in one order.

    Raises:
        Unpaired: The metric follows from them in another way, or they say other things of a sample.
    """
    common = read[0].ids
    for one in read[1:]:
        common = np.intersect1d(common, one.ids)
    aligned = []
    for one in read:
        order = np.argsort(one.ids)
        aligned.append(one.picked(order[np.searchsorted(one.ids[order], common)]))
    first = aligned[0]
    for one, row in zip(aligned, rows, strict=True):
        for what, own, theirs in (
            ("labels", one.labels_N, first.labels_N),
            ("labels", one.truth_NC, first.truth_NC),
            ("groups", one.groups, first.groups),
        ):
            if not np.array_equal(own, theirs):
                raise Unpaired(
                    f"the records of {row.system} and {rows[0].system} have other {what} of the same samples"
                )
        if one.kind != first.kind:
            raise Unpaired(f"{row.metric} is a {one.kind} of {row.system}, a {first.kind} of {rows[0].system}")
    return aligned
