"""Where the numbers of a claim come from: the printed cells, or the measured ones that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sigma_bench.contracts import UserError
from sigma_bench.results import cells, matching
from sigma_bench.results.cells import Chosen, Conditions
from sigma_bench.results.published import Published, Value
from sigma_bench.results.row import Row
from sigma_bench.results.stacks import stacked
from sigma_bench.results.table import Footnotes
from sigma_bench.spec.layout import Column, Layout
from sigma_bench.spec.zoo import Entry

EVERY = "*"


class Cell(NamedTuple):
    """A number, or why there is none."""

    value: float | None
    reason: str = ""
    conditions: Conditions | None = None
    """How it was measured; None: printed."""


class Place(NamedTuple):
    """A column by what is measured in it."""

    task: str
    metric: str


class Values(Protocol):
    """A source of numbers for the cells of the paper's tables."""

    def cell(self, table: str, number: int, column: Column) -> Cell:
        """Return the cell in row `number` of `table`."""
        ...


@dataclass(frozen=True)
class Book:
    """Rows and columns by the names that claims give them."""

    published: Published
    layout: Layout

    def rows(self, claim: str, table: str, names: Iterable[str]) -> list[int]:
        """Return the numbers of all rows that any of `names` stands for, each once.

        Raises:
            UserError: There is no such table, or a name stands for no row of it.
        """
        return list(dict.fromkeys(number for name in names for number in self._named(claim, table, name)))

    def row(self, claim: str, table: str, name: str) -> int:
        """Return the number of the one row that `name` stands for.

        Raises:
            UserError: It stands for none or for several.
        """
        found = self._named(claim, table, name)
        if len(found) > 1:
            raise UserError(
                f"claims.yaml: {claim}: '{name}' is {len(found)} rows of {table}; add a fact that tells one"
            )
        return found[0]

    def has(self, claim: str, table: str, name: str) -> bool:
        """Return whether a table has a row of that name."""
        return bool(self._fitting(claim, table, name))

    def columns(self, claim: str, table: str, names: Sequence[str]) -> list[Column]:
        """Return the columns of the tasks `names`; without names all that are measured.

        Raises:
            UserError: The table has no such column.
        """
        known = {column.key: column for column in self.layout.tables[table].columns}
        for name in names:
            if name not in known:
                raise UserError(f"claims.yaml: {claim}: {table} has no column {name}; it has {', '.join(known)}")
        return [known[name] for name in names] or [column for column in known.values() if column.derived is None]

    def first(self, table: str, number: int) -> Value:
        """Return a printed value of a row, for the facts of the row."""
        return self.published.tables[table][number][0]

    def name(self, table: str, number: int) -> str:
        """Return the method of a row, with the facts that tell it from others of the method in the table."""
        value = self.first(table, number)
        others = [values[0] for values in self.published.tables[table].values() if values[0].method == value.method]
        facts = [
            f for f in ("variant", "backbone", "pretrain_data", "epochs") if len({getattr(o, f) for o in others}) > 1
        ]
        guided = ["guided"] if value.motion_guidance == "yes" and len({o.motion_guidance for o in others}) > 1 else []
        return " ".join([value.method, *(getattr(value, fact) for fact in facts), *guided]).strip()

    def _named(self, claim: str, table: str, name: str) -> list[int]:
        found = self._fitting(claim, table, name)
        if not found:
            raise UserError(
                f"claims.yaml: {claim}: no row of {table} is '{name}'; name facts of one with commas between"
            )
        return found

    def _fitting(self, claim: str, table: str, name: str) -> list[int]:
        if table not in self.published.tables or table not in self.layout.tables:
            raise UserError(f"claims.yaml: {claim}: no table of values named {table}")
        wanted = {part.strip() for part in name.split(",")} - {EVERY}
        return [number for number, values in self.published.tables[table].items() if wanted <= _facts(values[0])]


def _facts(value: Value) -> set[str]:
    guided = "guided" if value.motion_guidance == "yes" else "unguided"
    return {value.method, value.variant, value.backbone, value.pretrain_data, value.epochs, guided}


@dataclass(frozen=True)
class Printed:
    """The numbers of the paper."""

    book: Book

    def cell(self, table: str, number: int, column: Column) -> Cell:
        """Return the printed number."""
        values = self.book.published.tables[table][number]
        found = next((v for v in values if (v.task, v.metric) == (column.key, column.metric)), None)
        return Cell(None, "not printed") if found is None else Cell(found.number)


class Measured:
    """What was measured here: official data, by the protocol of the paper's cell, complete.

    Args:
        book: Rows and columns.
        rows: The latest rows of their keys.
        zoo: Known checkpoints, for the reasons why a system was not measured.
    """

    def __init__(self, book: Book, rows: Iterable[Row], zoo: Mapping[str, Entry]) -> None:
        self.book, self.zoo = book, zoo
        self.rows: dict[Place, list[Row]] = {}
        for row in rows:
            if row.data == "official" and matching.stands_for_paper(row):
                self.rows.setdefault(Place(row.task, row.metric), []).append(row)
        self._cells: dict[tuple[str, int, str], Cell] = {}
        self._tables: dict[str, dict[int, dict[Place, list[Row]]]] = {}

    def cell(self, table: str, number: int, column: Column) -> Cell:
        """Return the mean over seeds with the decimals that tables print; a derived column follows from the others."""
        place = (table, number, column.key)
        if place not in self._cells:
            made = self._derived if column.derived is not None else self._mean
            self._cells[place] = made(table, number, column)
        return self._cells[place]

    def _mean(self, table: str, number: int, column: Column) -> Cell:
        own = self._of(table).get(number, {})
        found = own.get(Place(column.key, column.metric))
        if found is None:
            reason = matching.not_to_be_had(self.book.first(table, number), self.zoo) if not own else ""
            return Cell(None, reason or "not measured")
        chosen = cells.choose(stacked(found))
        return self._complete(chosen, column)

    @staticmethod
    def _complete(chosen: Chosen, column: Column) -> Cell:
        made = cells.cell(chosen, None, Footnotes(), decimals=column.decimals, paper=True)
        if made.value is None:
            return Cell(None, made.text)
        if made.limited:
            return Cell(None, f"limited to {chosen.rows[0].limit} test samples")
        return Cell(round(made.value, column.decimals), conditions=chosen.conditions)

    def _derived(self, table: str, number: int, column: Column) -> Cell:
        columns = self.book.columns("", table, ())
        found = [self.cell(table, number, one) for one in columns]
        lacking = [f"{c.key} {one.reason}" for c, one in zip(columns, found, strict=True) if one.value is None]
        if lacking:
            return Cell(None, f"needs all {len(columns)} columns: {', '.join(lacking)}")
        mean = mean_of([one.value for one in found if one.value is not None], columns)
        return Cell(round(mean, column.decimals))

    def _of(self, table: str) -> dict[int, dict[Place, list[Row]]]:
        """Return printed row number -> rows of the one measured system that stands for it: of several the fullest."""
        if table not in self._tables:
            systems: dict[int, dict[matching.System, dict[Place, list[Row]]]] = {}
            for number, row in self._matched(table):
                rows = systems.setdefault(number, {}).setdefault(matching.system_of(row), {})
                rows.setdefault(Place(row.task, row.metric), []).append(row)
            self._tables[table] = {number: max(found.values(), key=_fullness) for number, found in systems.items()}
        return self._tables[table]

    def _matched(self, table: str) -> Iterator[tuple[int, Row]]:
        """Yield (printed row number, row) of the rows that belong to a printed row and a column of a table."""
        printed = self.book.published.tables[table]
        lay = self.book.layout.tables[table]
        places = {Place(column.key, column.metric) for column in lay.columns}
        numbers: dict[tuple[str, ...], int | None] = {}
        for place in places & self.rows.keys():
            for row in self.rows[place]:
                if not matching.same_views(row, lay.views):
                    continue
                whose = (*matching.system_of(row), row.extra_data)
                if whose not in numbers:
                    numbers[whose] = matching.match(row, printed)
                number = numbers[whose]
                if number is not None:
                    yield number, row


def _fullness(rows: Mapping[Place, list[Row]]) -> tuple[int, str]:
    """Return how many cells have a value, then the time of the newest row."""
    valued = sum(any(row.value is not None for row in found) for found in rows.values())
    return valued, max(row.measured_at for found in rows.values() for row in found)


def mean_of(values: Sequence[float], columns: Sequence[Column]) -> float:
    """Return the mean over columns in percent; an error counts as 100 x (1 - error)."""
    percent = [100 * (1 - v) if c.direction == "lower" else v for v, c in zip(values, columns, strict=True)]
    return sum(percent) / len(percent)
