"""A table as a picture (PNG), for slides and read-me files."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

from sigma_bench.results import cell_text
from sigma_bench.results.table import Cell, Line, Table

ROW, SIZE, CHARACTER, GAP = 0.28, 10, 0.082, 0.3
"""Height of a line in inches, size of letters in points, width of a letter and space between columns in inches."""
NOTE = 0.75
"""Height of a line of a note, in lines of the table."""


def draw(table: Table, file: Path) -> None:
    """Write the table to `file` as it would be printed: rules above, below and under the headings, best values bold.

    Args:
        table: What to draw.
        file: A PNG file, replaced where it exists.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    headings = cell_text.full_headings(table)
    lines = _lines(table)
    widths = [
        GAP + CHARACTER * max(len(heading), *(len(cells[i][0]) for cells in lines if len(cells) == len(headings)), 1)
        for i, heading in enumerate(headings)
    ]
    notes = [table.caption, *(f"({mark}) {text}" for mark, text in table.footnotes.items), *table.remarks]
    width = max(sum(widths) + 0.4, 1.3 * CHARACTER * len(table.title) + 0.4, 5.0)
    notes = [part for note in notes for part in wrap(note, int(width / CHARACTER / 0.85))]
    height = ROW * (len(lines) + NOTE * len(notes) + 2.8)
    figure = Figure(figsize=(width, height), dpi=200, facecolor="white")
    FigureCanvasAgg(figure)

    def text(x: float, row: float, words: str, bold: bool = False, right: bool = False, size: float = SIZE) -> None:
        figure.text(
            x / width,
            1 - (row + 0.5) * ROW / height,
            words,
            size=size,
            weight="bold" if bold else "normal",
            ha="right" if right else "left",
            va="center",
            parse_math=False,
        )

    def rule(row: float, weight: float) -> None:
        y = 1 - row * ROW / height
        figure.add_artist(Line2D([0.2 / width, 1 - 0.2 / width], [y, y], color="black", linewidth=weight))

    text(0.2, 0.2, table.title, bold=True, size=SIZE + 1)
    rule(1.2, 1.2)
    left = 0.2
    starts = []
    for column in widths:
        starts.append(left)
        left += column
    ends = [start + column for start, column in zip(starts, widths, strict=True)]
    right = [False] * len(table.attributes) + [head.numeric for head in table.heads]
    for i, heading in enumerate(headings):
        text(ends[i] if right[i] else starts[i], 1.2, heading, right=right[i])
    rule(2.2, 0.6)
    for row, cells in enumerate(lines):
        if len(cells) == 1:
            text(0.2, row + 2.2, cells[0][0], size=SIZE - 1)
            continue
        for i, (words, bold) in enumerate(cells):
            text(ends[i] if right[i] else starts[i], row + 2.2, words, bold=bold, right=right[i])
    rule(len(lines) + 2.2, 1.2)
    for row, note in enumerate(notes):
        text(0.2, len(lines) + 2.3 + NOTE * row, note, size=SIZE - 2)
    figure.savefig(file, metadata={"Software": None})


def _lines(table: Table) -> list[list[tuple[str, bool]]]:
    """Return the lines as (text, bold) cells; a side heading is a line of one cell."""
    lines: list[list[tuple[str, bool]]] = []
    for block in table.blocks:
        if block.label:
            lines.append([(block.label, False)])
        lines += [
            [
                *((_attribute(line, i), False) for i in range(len(line.attributes))),
                *((_text(cell), cell.best == "best") for cell in line.cells),
            ]
            for line in block.lines
        ]
    return lines


def _attribute(line: Line, place: int) -> str:
    indent = "    " if place == 0 and line.kind != "published" and len(line.attributes) > 1 else ""
    return indent + line.attributes[place] + _marks(line.marks.get(place, ()))


def _marks(marks: tuple[str, ...]) -> str:
    return f" ({','.join(marks)})" if marks else ""


def _text(cell: Cell) -> str:
    return f"{cell.text} {cell_text.after(cell)}".rstrip() + _marks(cell.marks)
