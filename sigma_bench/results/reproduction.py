"""Did I reproduce the number? Each cell of a printed row beside what was measured, with a tolerance that is stated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student

from sigma_bench.results import cells, difference, intervals, matching, printed_row, settings, sides
from sigma_bench.results.intervals import Ends
from sigma_bench.results.pairing import READING
from sigma_bench.results.published import Published, Value
from sigma_bench.results.row import Row
from sigma_bench.results.stacks import stacked
from sigma_bench.results.stats import CONFIDENCE
from sigma_bench.results.store import latest
from sigma_bench.results.table import Footnotes
from sigma_bench.spec.layout import Column, Layout
from sigma_bench.spec.tolerances import Tolerances
from sigma_bench.spec.zoo import Entry

Verdict = Literal["within", "outside", "missing"]
FEWEST_SEEDS = 3
"""Of fewer seeds the spread says too little: Student's factor of two is 12.7."""
WIDEST = 2
"""Seeds widen a tolerance to so many times the stated one at most: a number that says nothing reproduces nothing."""


@dataclass(frozen=True)
class Protocol:
    """How the paper's cell of a task is measured here.

    Attributes:
        settings: The resolved task, as rows keep it; None: there is no such task here.
        arguments: What `sigma-bench eval` is told, `--task severe/ucf_rc --profile paper`.
        notes: What the paper leaves open, and how the task settles it.
    """

    settings: Mapping[str, Any] | None
    arguments: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tolerance:
    """Largest difference that counts as reproduced, and where it is from."""

    value: float
    origin: str


@dataclass(frozen=True)
class Cell:
    """One number of the printed row.

    Attributes:
        column: How the table prints it.
        published: The printed number.
        measured: What was measured, mean over seeds; None: nothing that stands for it.
        count: Measurements behind it.
        interval: Its 95 % interval over test samples and seeds.
        tolerance: How far it may be off; None: nothing was measured.
        reason: Why nothing was.
        command: What would measure it; empty where nothing can or need be.
        settings: In which settings the measurement departs from the paper's protocol, `key: measured | protocol`.
        notes: Footnotes of the value.
        open: What the paper leaves open about this cell.
    """

    column: Column
    published: float
    measured: float | None = None
    count: int = 0
    interval: Ends | None = None
    tolerance: Tolerance | None = None
    reason: str = ""
    command: str = ""
    settings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        """Measured, as it would be printed, minus printed."""
        if self.measured is None:
            return None
        return round(round(self.measured, self.column.decimals) - self.published, 10)

    @property
    def verdict(self) -> Verdict:
        """Whether the number was reproduced."""
        if self.difference is None or self.tolerance is None:
            return "missing"
        return "within" if abs(self.difference) <= self.tolerance.value + 1e-9 else "outside"


@dataclass(frozen=True)
class Reproduction:
    """A printed row, cell by cell."""

    table: str
    title: str
    system: str
    row: Value
    cells: tuple[Cell, ...]
    measured: tuple[str, ...] = ()
    """The measured system and its weights, one line a set of weights."""

    @property
    def complete(self) -> bool:
        """Whether every number was reproduced."""
        return all(cell.verdict == "within" for cell in self.cells)


@dataclass(frozen=True)
class Sources:
    """What a reproduction is held against: the paper as data, and what is known here."""

    published: Published
    layout: Layout
    zoo: Mapping[str, Entry]
    short: Mapping[str, str]
    tolerances: Tolerances
    protocols: Mapping[str, Protocol]


def reproduce(
    table: str, system: str, rows: Iterable[Row], folder: Path, sources: Sources, tolerance: float | None = None
) -> Reproduction:
    """Return the row of `table` that `system` belongs to, its printed numbers beside the measured ones.

    Args:
        table: Name or number of a table.
        system: A zoo name, a system as rows name it, or a method that has one row in the table.
        rows: All rows read.
        folder: The folder of the row files, with the settings.
        sources: The paper's side.
        tolerance: Instead of the stated tolerances.

    Raises:
        UserError: There is no such table, it has no systems, or `system` belongs to no row of it.
    """
    name = printed_row.table_of(table, sources.layout)
    lay = sources.layout.tables[name]
    printed = sources.published.tables[name]
    official = [row for row in latest(rows) if row.data == "official"]
    entry = sources.zoo.get(sources.short.get(system, system))
    number = printed_row.number_of(system, entry, official, printed, name, sources.zoo, sources.short)
    fitting = [row for row in official if matching.match(row, printed) == number]
    own = printed_row.measured_of(fitting, system, entry, sources.short)
    known = entry or _only([e for e in sources.zoo.values() if matching.match(e, printed) == number])
    found: list[Cell] = []
    for column in lay.columns:
        value = next((v for v in printed[number] if (v.task, v.metric) == (column.key, column.metric)), None)
        if value is None or column.derived is not None:
            continue
        stated = Tolerance(tolerance, "as asked for") if tolerance is not None else None
        cell = _cell(column, value, own, lay.views, folder, sources, stated, name)
        found.append(cell if cell.measured is not None else _told(cell, system, known, sources))
    found += [
        _derived(column, value, found, sources, name, tolerance)
        for column in lay.columns
        for value in printed[number]
        if column.derived is not None and (value.task, value.metric) == (column.key, column.metric)
    ]
    title = f"Table {lay.number}" if isinstance(lay.number, int) else lay.number.capitalize()
    weights = sorted({(sides.named(row), row.checkpoint_sha256[:12], row.source) for row in own})
    measured = tuple(f"{who}, weights {sha}{f', {source}' if source else ''}" for who, sha, source in weights)
    return Reproduction(name, title, system, printed[number][0], tuple(found), measured)


def _cell(
    column: Column,
    value: Value,
    rows: Sequence[Row],
    views: str | None,
    folder: Path,
    sources: Sources,
    stated: Tolerance | None,
    table: str,
) -> Cell:
    cell = Cell(column, value.number)
    here = [row for row in rows if (row.task, row.metric) == (column.key, column.metric)]
    protocol = sources.protocols.get(column.key)
    standing = [row for row in here if matching.stands_for_paper(row) and matching.same_views(row, views)]
    if not standing:
        others = cells.choose(stacked(here)).rows
        reason = "not measured"
        if others:
            named = sorted({matching.protocol_name(row) for row in others})
            reason = f"measured only by another protocol: {'; '.join(named)}"
        return replace(cell, reason=reason, settings=_departures(others, folder, protocol))
    chosen, foot = cells.choose(stacked(standing)), Footnotes()
    made = cells.cell(chosen, None, foot, decimals=column.decimals, paper=True)
    notes, departures = tuple(foot.texts), _departures(chosen.rows, folder, protocol)
    if made.value is None or made.limited:
        return replace(
            cell, reason=made.text if made.value is None else "; ".join(notes), notes=notes, settings=departures
        )
    default = Tolerance(sources.tolerances.tolerances[table][column.key], "stated for this column")
    return replace(
        cell,
        measured=made.value,
        count=made.count,
        interval=made.interval,
        tolerance=stated or tolerance_of(intervals.replicates(chosen.rows), default),
        settings=departures,
        notes=notes,
        open=protocol.notes if protocol is not None else (),
    )


def tolerance_of(values: Sequence[float], default: Tolerance) -> Tolerance:
    """Return how far a mean over seeds may be from a printed number.

    The printed number is taken for one more seed: of three seeds or more Student's half width for the difference of a
    single value from their mean, if that is wider than the stated tolerance, but not more than twice this.
    """
    n = len(values)
    if n < FEWEST_SEEDS:
        return default
    spread = float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / n)
    wide = min(float(student.ppf((1 + CONFIDENCE) / 2, n - 1)) * spread, WIDEST * default.value)
    if wide <= default.value:
        return default
    bound = f", at most {WIDEST} x the stated {default.value:g}" if wide == WIDEST * default.value else ""
    return Tolerance(wide, f"spread of {n} seeds{bound}")


def _departures(rows: Sequence[Row], folder: Path, protocol: Protocol | None) -> tuple[str, ...]:
    """Return the settings that differ from the paper's protocol, those overridden with `--set` first."""
    if not rows:
        return ()
    told = [f"--set {one}" for one in dict.fromkeys(s for row in rows for s in matching.overridden(row))]
    if protocol is None or protocol.settings is None:
        return tuple(told)
    kept = settings.read(folder, rows[0])
    if kept is None:
        return (*told, "settings were not kept, so they cannot be compared")
    mine, theirs = (_plain(content) for content in (kept, protocol.settings))
    return (*told, *(line.strip().removeprefix("setting: ") for line in difference.keys("setting", mine, theirs)))


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without how a checkpoint was read, what names a task only, and what is empty."""
    left = {key: value for key, value in content.items() if key not in (*READING, *settings.NOT_HASHED)}
    return {key: value for key, value in difference.flat(left).items() if value not in (None, [], {}, "")}


def _only(entries: Sequence[Entry]) -> Entry | None:
    return entries[0] if len(entries) == 1 else None


def _told(cell: Cell, system: str, entry: Entry | None, sources: Sources) -> Cell:
    """Return a cell without a measurement with what would measure it, or why nothing can."""
    protocol = sources.protocols.get(cell.column.key)
    if entry is not None and entry.wanted is not None:
        return replace(cell, reason=f"{cell.reason}; {entry.wanted}")
    if protocol is None:
        return replace(cell, reason=f"{cell.reason}; there is no task {cell.column.key} here")
    if not protocol.arguments:
        return replace(
            cell, reason=f"{cell.reason}; no profile of {cell.column.key} is the protocol of the paper's cell"
        )
    names = {name: known for name, known in sources.zoo.items() if known is entry}
    name = system if system in sources.short or system in sources.zoo else next(iter(names), "CKPT")
    return replace(cell, command=f"sigma-bench eval {protocol.arguments} --ckpt {name}")


def _derived(
    column: Column, value: Value, found: Sequence[Cell], sources: Sources, table: str, asked: float | None
) -> Cell:
    """Return the mean over the other columns; it needs all of them."""
    cell = Cell(column, value.number)
    parts = [cell for cell in found if cell.measured is not None]
    if len(parts) < len(found):
        return replace(cell, reason=f"needs all {len(found)} columns, {len(parts)} measured")
    percent = [
        (100 * (1 - part.measured) if part.column.direction == "lower" else part.measured)
        for part in parts
        if part.measured is not None
    ]
    stated = sources.tolerances.tolerances[table][column.key]
    tolerance = Tolerance(stated, "stated for this column") if asked is None else Tolerance(asked, "as asked for")
    count = min(part.count for part in parts)
    return replace(cell, measured=math.fsum(percent) / len(percent), count=count, tolerance=tolerance)
