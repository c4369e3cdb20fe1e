"""A table as data, before it is rendered: blocks of lines of cells, footnotes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sigma_bench.results.published import Value
    from sigma_bench.results.row import Row

Kind = Literal["published", "measured", "missing"]
"""`missing`: nothing was measured; the cells say why."""
NOTHING = "–"
"""Stands for what is not there, or does not apply."""
NOT_RUN = "not run"


@dataclass
class Cell:
    """What stands in one place. Without `value`, `text` says what is the matter."""

    text: str
    value: float | None = None
    spread: float | None = None
    """Sample standard deviation over seeds, where there are several."""
    interval: tuple[float, float] | None = None
    """95 % interval over the test samples, and over the seeds where there are several."""
    count: int = 0
    """Measurements behind the value; 0: a published one."""
    decimals: int = 1
    published: float | None = None
    """The published value of the same system."""
    difference: float | None = None
    """`value` minus `published`, where both come from the same protocol."""
    limited: bool = False
    """Over a limited number of test samples: never the best, and without a difference."""
    apart: bool = False
    """Of another task version or other lists than the column: another quantity, and never the best."""
    best: Literal["", "best", "second"] = ""
    marks: tuple[str, ...] = ()
    """Marks of its footnotes."""
    source: str = ""
    """Where it was read (`file:line`), for formats with room for it."""
    behind: tuple[Row | Value, ...] = field(default=(), repr=False, compare=False)
    """What the cell shows: the measured rows (of a failure the failed one), or the printed value."""


@dataclass
class Line:
    """One row of a table: the attributes as printed, one cell a column."""

    kind: Kind
    attributes: tuple[str, ...]
    cells: list[Cell]
    marks: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Number of an attribute, from 0 -> marks of its footnotes."""

    @property
    def reason(self) -> Cell | None:
        """The first of several cells of a line without a measurement that all say the same: one reason for all."""
        said = {(cell.text, cell.marks) for cell in self.cells}
        return self.cells[0] if self.kind == "missing" and len(self.cells) > 1 and len(said) == 1 else None


@dataclass
class Block:
    """Lines under one side heading."""

    label: str
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Head:
    """Heading of a column of values."""

    heading: str
    task: str = ""
    metric: str = ""
    direction: Literal["higher", "lower"] | None = None

    @property
    def numeric(self) -> bool:
        """Whether numbers stand below, not words."""
        return bool(self.metric)


@dataclass
class Footnotes:
    """Texts with their marks a, b, ... z, aa; the same text has the same mark."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """Return the mark of `text`, a new one the first time."""
        if text not in self.texts:
            self.texts.append(text)
        return self._letters(self.texts.index(text))

    @property
    def items(self) -> list[tuple[str, str]]:
        """(mark, text) in order."""
        return [(self._letters(number), text) for number, text in enumerate(self.texts)]

    @staticmethod
    def _letters(number: int) -> str:
        letters = ""
        number += 1
        while number:
            number, rest = divmod(number - 1, 26)
            letters = chr(ord("a") + rest) + letters
        return letters


@dataclass
class Table:
    """A whole table."""

    name: str
    """Name of its files (`T1`, `miniature_linear`)."""
    title: str
    caption: str
    attributes: tuple[str, ...]
    """Headings of the columns before the values."""
    heads: tuple[Head, ...]
    column_groups: tuple[tuple[str, int], ...] = ()
    """(heading, number of value columns) over the headings."""
    blocks: list[Block] = field(default_factory=list)
    footnotes: Footnotes = field(default_factory=Footnotes)
    remarks: list[str] = field(default_factory=list)
    """Sentences under the table that belong to no single cell."""

    def letter_footnotes(self) -> None:
        """Give the footnotes new marks, in the order in which a reader meets them."""
        lines = [line for block in self.blocks for line in block.lines]
        met = [
            mark
            for line in lines
            for marks in (*(line.marks[place] for place in sorted(line.marks)), *(cell.marks for cell in line.cells))
            for mark in marks
        ]
        texts, fresh = dict(self.footnotes.items), Footnotes()
        new = {mark: fresh.mark(texts[mark]) for mark in dict.fromkeys([*met, *texts])}
        order = list(new.values())

        def in_order(marks: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(sorted((new[mark] for mark in marks), key=order.index))

        for line in lines:
            line.marks = {place: in_order(marks) for place, marks in line.marks.items()}
            for cell in line.cells:
                cell.marks = in_order(cell.marks)
        self.footnotes = fresh
