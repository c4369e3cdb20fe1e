"""The words and numbers of a cell, without any markup: the same in Markdown and LaTeX."""

from __future__ import annotations

from sigma_bench.results.table import Cell, Table


def spread(cell: Cell) -> str:
    """Return `1.3`, the deviation over seeds, or nothing where there is one measurement."""
    return "" if cell.spread is None else f"{cell.spread:.{cell.decimals}f}"


def difference(cell: Cell) -> str:
    """Return `+0.3`, or nothing where there is none; zero has no sign."""
    if cell.difference is None:
        return ""
    rounded = round(cell.difference, cell.decimals)
    return f"{rounded:+.{cell.decimals}f}" if rounded else f"{0:.{cell.decimals}f}"


def seeds(cell: Cell) -> str:
    """Return `n = 3` for several measurements."""
    return f"n = {cell.count}" if cell.count > 1 else ""


def column_spans(table: Table) -> list[tuple[str, int, int]]:
    """Return (heading, first, last) of the groups over the value columns; columns count from 1, attributes first."""
    spans, first = [], len(table.attributes) + 1
    for heading, width in table.column_groups:
        spans.append((heading, first, first + width - 1))
        first += width
    return spans
