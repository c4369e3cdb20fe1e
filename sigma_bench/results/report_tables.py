"""Tables for the page of a report: cut to a size that a browser draws, and their cells as data of the charts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from sigma_bench.results.paper import OTHER_METRIC, OTHER_PROTOCOL
from sigma_bench.results.published import Published
from sigma_bench.results.row import Row
from sigma_bench.results.table import Block, Cell, Footnotes, Line, Table

MOST_CELLS: Final = 2400
"""Of one table."""
ERROR: Final = "error"
"""In the name of a metric: a ratio, as in the published counting errors. All else is percent."""

Unit = Literal["%", "ratio", "count"]


def cut(table: Table, most: int = MOST_CELLS) -> Table:
    """Return the table with at most `most` cells: printed lines stay, of the measured ones the newest.

    What is left out is said under the table; footnotes that belong to no line any more go.
    """
    lines = [line for block in table.blocks for line in block.lines]
    across = max(1, len(table.attributes) + len(table.heads))
    room = max(1, most // across) - sum(line.kind == "published" for line in lines)
    others = sorted((line for line in lines if line.kind != "published"), key=_newest, reverse=True)
    if len(others) <= room:
        return table
    kept = {id(line) for line in others[: max(room, 1)]}
    blocks = [
        Block(block.label, [line for line in block.lines if line.kind == "published" or id(line) in kept])
        for block in table.blocks
    ]
    left = len(others) - len(kept)
    remark = f"The newest {len(kept)} of {len(others)} lines; the other {left} are among all rows of this page."
    short = replace(table, blocks=[b for b in blocks if b.lines], remarks=[remark, *table.remarks])
    used = {mark for line in _lines(short) for marks in (*line.marks.values(), *_marks(line)) for mark in marks}
    texts = dict(table.footnotes.items)
    old = [mark for mark in texts if mark in used]
    fresh = Footnotes()
    new = {mark: fresh.mark(texts[mark]) for mark in old}
    short.blocks = [Block(b.label, [_renamed(line, new) for line in b.lines]) for b in short.blocks]
    short.footnotes = fresh
    return short


def _lines(table: Table) -> list[Line]:
    return [line for block in table.blocks for line in block.lines]


def _marks(line: Line) -> Iterable[tuple[str, ...]]:
    return (cell.marks for cell in line.cells)


def _renamed(line: Line, new: Mapping[str, str]) -> Line:
    marks = {place: tuple(new[mark] for mark in marks) for place, marks in line.marks.items()}
    return replace(
        line,
        marks=marks,
        cells=[replace(cell, marks=tuple(new[mark] for mark in cell.marks)) for cell in line.cells],
    )


def _newest(line: Line) -> str:
    return max((row.measured_at for cell in line.cells for row in cell.behind if isinstance(row, Row)), default="")


def shown(tables: Iterable[Table]) -> list[Row]:
    """Return the rows behind the cells of the tables, each once, in the order of the cells."""
    found: dict[int, Row] = {}
    for table in tables:
        for line in _lines(table):
            for cell in line.cells:
                found.update((id(one), one) for one in cell.behind if isinstance(one, Row))
    return list(found.values())


def units(published: Published) -> dict[str, Unit]:
    """Return the unit of each published metric."""
    return {value.metric: value.unit for value in published.values}


def unit(metric: str, known: Mapping[str, Unit]) -> Unit:
    """Return the unit of a metric: that of published values, else percent unless it is called an error."""
    return known.get(metric, "ratio" if ERROR in metric else "%")


def printed_beside(tables: Iterable[Table]) -> dict[int, float]:
    """Return `id` of a measured row -> the published value of the same system, task and metric."""
    return {
        id(row): cell.published
        for table in tables
        for line in _lines(table)
        if line.kind == "measured"
        for cell in line.cells
        if cell.published is not None
        for row in cell.behind
    }


def chart(
    table: Table, numbers: Mapping[int, int], beside: Mapping[int, float], known: Mapping[str, Unit]
) -> dict[str, Any]:
    """Return what charts show of a table.

    Args:
        table: The table.
        numbers: `id` of a row or of a printed value -> its number in the data of the page.
        beside: See `printed_beside`.
        known: Units of metrics.

    Returns:
        Its name, `heads`, and `lines` with a cell a head: value, ends of its whisker and what this is (`i`: the 95 %
        interval, `d`: the deviation over several measurements), whether it stands apart (limited, or other lists),
        the published value of the same system, the numbers behind it; null where there is no value.
    """
    heads = [
        {
            "heading": head.heading,
            "task": head.task,
            "metric": head.metric,
            "lower": head.direction == "lower",
            "unit": unit(head.metric, known),
        }
        for head in table.heads
    ]
    lines = [
        {
            "label": line.attributes[0] if line.attributes else "",
            "protocol": block.label,
            "kind": line.kind,
            "other": block.label.startswith((OTHER_PROTOCOL, OTHER_METRIC)),
            "cells": [_cell(cell, numbers, beside) for cell in line.cells],
        }
        for block in table.blocks
        for line in block.lines
        if any(cell.value is not None for cell in line.cells)
    ]
    return {"name": table.name, "heads": heads, "lines": lines}


def _cell(cell: Cell, numbers: Mapping[int, int], beside: Mapping[int, float]) -> dict[str, Any] | None:
    if cell.value is None:
        return None
    found: dict[str, Any] = {"v": cell.value, "d": cell.decimals, "b": behind(cell, numbers)}
    if cell.interval is not None:
        found |= {"lo": cell.interval[0], "hi": cell.interval[1], "w": "i"}
    elif cell.spread is not None:
        found |= {"lo": cell.value - cell.spread, "hi": cell.value + cell.spread, "w": "d"}
    if cell.limited or cell.apart:
        found["apart"] = 1
    if cell.count > 1:
        found["n"] = cell.count
    published = cell.published
    if published is None:
        published = next((beside[id(one)] for one in cell.behind if id(one) in beside), None)
    if published is not None:
        found["p"] = published
    return found


def behind(cell: Cell, numbers: Mapping[int, int]) -> Sequence[int]:
    """Return the numbers of what a cell shows."""
    found = (numbers.get(id(one)) for one in cell.behind)
    return [number for number in found if number is not None]
