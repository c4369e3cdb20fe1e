"""Two systems, task by task: the difference of their numbers, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from sigma_bench.contracts import UserError
from sigma_bench.results import intervals, own, paired, pairing, sides
from sigma_bench.results.paired import Paired
from sigma_bench.results.pairing import Unpaired
from sigma_bench.results.row import Data, Row
from sigma_bench.results.sides import Side
from sigma_bench.results.store import latest
from sigma_bench.spec.layout import Column, Layout

LEVEL = 0.05
"""A difference is called real where its corrected p is below."""
LOWER_IS_BETTER = ("mean_count_error",)
KINDS: tuple[Data, ...] = ("official", "custom", "miniature")
Verdict = Literal["A is better", "B is better", "no difference shown", "not compared"]


class Place(NamedTuple):
    """What both systems are measured on."""

    data: Data
    task: str
    evaluator: str
    profile: str
    metric: str


@dataclass(frozen=True)
class Compared:
    """One line of a comparison.

    Attributes:
        place: Task, protocol and metric.
        lower: Whether lower values are better.
        decimals: Digits that tables print.
        numbers: The values of A and B as their rows have them, mean over seeds; None: not compared.
        seeds: Measurements behind each.
        paired: Difference (B - A), interval, effect and p over test samples.
        p_seeds: Welch's p over seeds or sets of weights, where both sides have several.
        p: The larger of both.
        corrected: `p` after Holm for the lines of the same kind of data.
        refused: Why nothing was compared.
        notes: What a reader must know.
    """

    place: Place
    lower: bool
    decimals: int
    numbers: tuple[float, float] | None = None
    seeds: tuple[int, int] = (0, 0)
    paired: Paired | None = None
    p_seeds: float | None = None
    p: float | None = None
    corrected: float | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What may be said of the difference."""
        if self.paired is None or self.corrected is None:
            return "not compared"
        if self.corrected >= LEVEL:
            return "no difference shown"
        return "B is better" if (self.paired.difference < 0) == self.lower else "A is better"


@dataclass(frozen=True)
class Comparison:
    """Two systems and all lines, official data first."""

    first: Side
    second: Side
    lines: tuple[Compared, ...]


def compare(
    rows: Iterable[Row],
    first: str,
    second: str,
    folder: Path,
    layout: Layout,
    tasks: Collection[str] | None = None,
) -> Comparison:
    """Return the comparison of two systems on every task that either was measured on.

    Args:
        rows: All rows read; the newest of each key count.
        first: A: a system's name, or the beginning of the hash of its weights.
        second: B.
        folder: The folder of the row files.
        layout: Tells which metrics the paper prints, with how many digits, and which direction is better.
        tasks: Only these; None: all.

    Raises:
        UserError: A or B stands for no system or several, or they have no task in common.
    """
    a, b = sides.two(latest(rows), first, second)
    places: dict[Place, tuple[list[Row], list[Row]]] = {}
    printed = own.places_of([*a.rows, *b.rows], layout)
    for number, side in enumerate((a, b)):
        for row in side.rows:
            if (tasks is None or row.task in tasks) and (row.task, row.metric) in printed:
                place = Place(row.data, row.task, row.evaluator, row.profile, row.metric)
                places.setdefault(place, ([], []))[number].append(row)
    if not any(one and other for one, other in places.values()):
        raise UserError(
            f"'{a.name}' and '{b.name}' were not measured on a task in common"
            f"{' of those asked for' if tasks is not None else ''}: {_measured(places)}; evaluate both on one suite"
        )
    order = sorted(places, key=lambda p: (KINDS.index(p.data), *p[1:]))
    lines = [_line(place, *places[place], folder, layout) for place in order]
    return Comparison(a, b, tuple(_corrected(lines)))


def _measured(places: dict[Place, tuple[list[Row], list[Row]]]) -> str:
    told = []
    for name, number in (("A", 0), ("B", 1)):
        tasks = sorted({place.task for place, rows in places.items() if rows[number]})
        told.append(f"{name} on {', '.join(tasks[:6]) or 'nothing'}{' ...' if len(tasks) > 6 else ''}")
    return ", ".join(told)


def _line(place: Place, first: list[Row], second: list[Row], folder: Path, layout: Layout) -> Compared:
    column = _column(place, layout)
    lower = column.direction == "lower" if column is not None else place.metric in LOWER_IS_BETTER
    line = Compared(place, lower, column.decimals if column is not None else 2)
    try:
        pair = pairing.pair(first, second, folder)
    except Unpaired as reason:
        return replace(line, refused=str(reason))
    values = [intervals.replicates(rows) for rows in (pair.first, pair.second)]
    number = len(pair.first)
    found = paired.compare(pair.records[:number], pair.records[number:])
    p_seeds = paired.between_seeds(*values)
    return replace(
        line,
        numbers=(sum(values[0]) / len(values[0]), sum(values[1]) / len(values[1])),
        seeds=(len(pair.first), len(pair.second)),
        paired=found,
        p_seeds=p_seeds,
        p=max(found.p, p_seeds or 0.0),
        notes=pair.notes,
    )


def _corrected(lines: Sequence[Compared]) -> list[Compared]:
    """Return the lines with p-values corrected for how many of the same kind of data were compared."""
    done = list(lines)
    for data in KINDS:
        places = [i for i, line in enumerate(done) if line.place.data == data and line.p is not None]
        corrected = paired.holm([line.p for line in (done[i] for i in places) if line.p is not None])
        for i, p in zip(places, corrected, strict=True):
            done[i] = replace(done[i], corrected=p)
    return done


def _column(place: Place, layout: Layout) -> Column | None:
    """Return how the paper prints the metric of this task, or else of any."""
    columns = [column for table in layout.tables.values() for column in table.columns if column.metric == place.metric]
    return next((column for column in columns if column.key == place.task), columns[0] if columns else None)
