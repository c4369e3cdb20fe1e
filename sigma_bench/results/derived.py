"""Columns that follow from the others of a table: the mean of a benchmark's tasks."""

from __future__ import annotations

from collections.abc import Sequence

from sigma_bench.results import intervals
from sigma_bench.results.row import Row
from sigma_bench.results.table import NOTHING, Cell, Footnotes
from sigma_bench.spec.layout import Column


def mean_of(columns: Sequence[Column], given: Sequence[Cell], derived: Column, foot: Footnotes) -> Cell | None:
    """Return the mean over the tasks of a benchmark, errors counted as 100 x (1 - error).

    SEVERE's `Mean`: (six accuracies + 100 x (1 - counting error) + mAP) / 8. Where a task is missing, or measured over
    a part of its samples, the cell says so instead; None where nothing was measured.

    Args:
        columns: The columns it follows from.
        given: Their cells in a line.
        derived: The column that follows.
        foot: Takes the reason of a missing mean.
    """
    values = [
        100 * (1 - cell.value) if column.direction == "lower" else cell.value
        for column, cell in zip(columns, given, strict=True)
        if cell.value is not None
    ]
    if not values:
        return None
    partial = [c.heading for c, cell in zip(columns, given, strict=True) if _partial(cell)]
    if len(values) < len(columns) or partial:
        lacking = f"{len(values)} measured" if len(values) < len(columns) else f"{', '.join(partial)} partial"
        mark = foot.mark(f"needs all {len(columns)} columns, {lacking}")
        return Cell(NOTHING, decimals=derived.decimals, marks=(mark,))
    mean = sum(values) / len(values)
    count = min(cell.count for cell in given)
    made = Cell(f"{mean:.{derived.decimals}f}", value=mean, count=count, decimals=derived.decimals)
    ends = [
        _in_percent(cell.interval) if column.direction == "lower" else cell.interval
        for column, cell in zip(columns, given, strict=True)
    ]
    made.interval = intervals.of_mean(mean, list(zip(values, ends, strict=True)))
    made.limited = any(cell.limited for cell in given)
    made.apart = any(cell.apart for cell in given)
    made.marks = tuple(dict.fromkeys(mark for cell in given for mark in cell.marks))
    made.behind = tuple(row for cell in given for row in cell.behind)
    return made


def _partial(cell: Cell) -> bool:
    return any(isinstance(row, Row) and row.status == "partial" for row in cell.behind)


def _in_percent(ends: intervals.Ends | None) -> intervals.Ends | None:
    """Return the interval of 100 x (1 - error) from that of an error."""
    return None if ends is None else (100 * (1 - ends[1]), 100 * (1 - ends[0]))
