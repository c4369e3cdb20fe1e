"""The words and numbers of a cell, without any markup: the same in Markdown and LaTeX."""

from __future__ import annotations

from sigma_bench.results.table import Cell, Table

INTERVALS = "In square brackets: the 95 % interval over the test samples, and over the seeds where there are several."


def spread(cell: Cell) -> str:
    """Return `1.3`, the deviation over seeds, or nothing where there is one measurement."""
    return "" if cell.spread is None else f"{cell.spread:.{cell.decimals}f}"


def interval(cell: Cell) -> str:
    """Return `[19.8, 22.2]`, the 95 % interval, or nothing where there is none."""
    return "" if cell.interval is None else "[{:.{d}f}, {:.{d}f}]".format(*cell.interval, d=cell.decimals)


def difference(cell: Cell) -> str:
    """Return `+0.3`, or nothing where there is none; zero has no sign."""
    if cell.difference is None:
        return ""
    rounded = round(cell.difference, cell.decimals)
    return f"{rounded:+.{cell.decimals}f}" if rounded else f"{0:.{cell.decimals}f}"


def seeds(cell: Cell) -> str:
    """Return `n = 3` for several measurements."""
    return f"n = {cell.count}" if cell.count > 1 else ""


def below(cell: Cell) -> str:
    """Return how sure the value is: `± 1.3 (n = 3)` over seeds, the interval `[19.8, 22.2]`, both, or nothing."""
    spreads = "" if cell.spread is None else f"± {spread(cell)}"
    counted = f"({seeds(cell)})" if cell.count > 1 else ""
    return " ".join(part for part in (spreads, counted, interval(cell)) if part)


def after(cell: Cell) -> str:
    """Return what follows the value on one line: `± 1.3 (n = 3) [19.8, 22.2] (+0.3)`, as far as it is there."""
    return " ".join(
        part for part in (below(cell), f"({difference(cell)})" if cell.difference is not None else "") if part
    )


def full_headings(table: Table) -> list[str]:
    """Return the headings of all columns, with that of their group where it says more."""
    over = {i: heading for heading, first, last in column_spans(table) for i in range(first, last + 1)}
    found = list(table.attributes)
    for number, head in enumerate(table.heads, start=len(found) + 1):
        group = over.get(number, "")
        found.append(head.heading if group in ("", head.heading) else f"{group}: {head.heading}")
    return found


def column_spans(table: Table) -> list[tuple[str, int, int]]:
    """Return (heading, first, last) of the groups over the value columns; columns count from 1, attributes first."""
    spans, first = [], len(table.attributes) + 1
    for heading, width in table.column_groups:
        spans.append((heading, first, first + width - 1))
        first += width
    return spans
