"""A table as CSV for programs: one line a cell, the attributes repeated, marks spelled out, no line breaks inside."""

from __future__ import annotations

import csv
import io
import re

from sigma_bench.results import cell_text
from sigma_bench.results.table import Table

COLUMNS = (
    *("heading", "task", "metric", "text", "value", "sd", "interval_low", "interval_high", "n", "published"),
    *("difference", "best", "footnotes", "source"),
)


def render(table: Table) -> str:
    """Return the cells as lines: table, title, block, kind, the table's attributes, then `COLUMNS`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["table", "title", "block", "kind", *table.attributes, *COLUMNS])
    texts = dict(table.footnotes.items)
    for block in table.blocks:
        for line in block.lines:
            for head, cell in zip(table.heads, line.cells, strict=True):
                numbers = (cell.value, cell.spread, *(cell.interval or (None, None)), cell.count, cell.published)
                marks = dict.fromkeys([*cell.marks, *(mark for marks in line.marks.values() for mark in marks)])
                cells = [
                    *(table.name, table.title, inert(block.label), line.kind, *map(inert, line.attributes)),
                    *(inert(head.heading), inert(head.task), head.metric, cell.text),
                    *("" if number is None else repr(number) for number in numbers),
                    *(cell_text.difference(cell), cell.best, inert("; ".join(texts[mark] for mark in marks))),
                    cell.source,
                ]
                writer.writerow(re.sub(r"[\r\n]+", " ", text) for text in cells)
    return stream.getvalue()


def inert(text: str) -> str:
    """Return text that a spreadsheet takes for text: names and remarks of users could begin like a formula."""
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text
