"""Measured rows as lines for a person: which of them, one a line; one of them, whole, with what each column means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, get_args

from sigma_bench.contracts import UserError
from sigma_bench.results.reading import Problem
from sigma_bench.results.row import Data, Row, Status
from sigma_bench.results.store import latest

HEADINGS = ("id", "when (UTC)", "system", "task", "metric", "value", "n", "data", "status")
SHORT = 8
"""Characters of an id's hash that are listed."""
WIDEST = 48
"""Characters of a name that are listed."""
SHOWN_PROBLEMS = 50


@dataclass(frozen=True)
class Wanted:
    """Which rows are listed; None: any. Names may have `*` and `?`; a folder of tasks stands for all in it."""

    task: str | None = None
    system: str | None = None
    suite: str | None = None
    data: str | None = None
    status: str | None = None
    superseded: bool = False
    """Those, too, that a newer row of the same measurement supersedes."""


@dataclass(frozen=True)
class Listed:
    """A row of the list."""

    row: Row
    superseded: bool


def select(rows: Sequence[Row], wanted: Wanted) -> list[Listed]:
    """Return the rows that are wanted, the oldest first.

    Raises:
        UserError: There is no such kind of data, or no such status.
    """
    for name, value, known in (("data", wanted.data, get_args(Data)), ("status", wanted.status, get_args(Status))):
        if value is not None and value not in known:
            raise UserError(f"--{name} {value}: expected one of {', '.join(known)}")
    newest = {id(row) for row in latest(rows)}
    found = [
        Listed(row, id(row) not in newest)
        for row in rows
        if (wanted.superseded or id(row) in newest) and _fits(row, wanted)
    ]
    return sorted(found, key=lambda one: one.row.measured_at)


def _fits(row: Row, wanted: Wanted) -> bool:
    if wanted.task is not None and not (_like(row.task, wanted.task) or row.task.startswith(f"{wanted.task}/")):
        return False
    pairs = ((row.system, wanted.system), (row.suite, wanted.suite))
    if any(pattern is not None and not _like(name, pattern) for name, pattern in pairs):
        return False
    return wanted.data in (None, row.data) and wanted.status in (None, row.status)


def _like(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def lines(found: Iterable[Listed]) -> list[str]:
    """Return a heading and one line a row, in columns."""
    table = [HEADINGS, *(_cells(one) for one in found)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(HEADINGS))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip() for cells in table]


def _cells(one: Listed) -> tuple[str, ...]:
    row = one.row
    n = str(row.n_decoded) if row.n_decoded == row.n_expected else f"{row.n_decoded}/{row.n_expected}"
    return (
        short(row),
        row.measured_at[:19].replace("T", " "),
        _cut(row.system + (f" ({row.variant})" if row.variant else "")),
        _cut(row.task),
        row.metric,
        shown_value(row),
        n,
        row.data,
        row.status + (", superseded" if one.superseded else ""),
    )


def shown_value(row: Row) -> str:
    """Return the value with its interval, as text."""
    if row.value is None:
        return "-"
    decimals = 3 if row.metric == "mean_count_error" else 2
    text = f"{row.value:.{decimals}f}"
    if row.interval_low is None or row.interval_high is None:
        return text
    return f"{text} [{row.interval_low:.{decimals}f}, {row.interval_high:.{decimals}f}]"


def _cut(name: str) -> str:
    plain = plainly(name)
    return plain if len(plain) <= WIDEST else "..." + plain[3 - WIDEST :]


def plainly(text: str) -> str:
    """Return text on one line, with what would disturb a terminal spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def short(row: Row) -> str:
    """Return the beginning of the hash in a row's id."""
    return row.digest[:SHORT]


def as_json(found: Iterable[Listed], problems: Iterable[Problem]) -> str:
    """Return rows and damaged lines as JSON, one of either on a line."""
    rows = ({"id": o.row.id, "superseded": o.superseded, **vars(o.row)} for o in found)
    damaged = ({"file": str(p.file), "line": p.number, "reason": p.reason} for p in problems)
    parts = (f'"{name}": [\n{_one_a_line(items)}]' for name, items in (("rows", rows), ("problems", damaged)))
    return "{" + ",\n".join(parts) + "}"


def _one_a_line(items: Iterable[Mapping[str, Any]]) -> str:
    return "".join(",\n" * (place > 0) + json.dumps(item, allow_nan=False) for place, item in enumerate(items))


def damaged(problems: Sequence[Problem]) -> list[str]:
    """Return lines that name the damaged ones: file, line or lines in a row with one reason."""
    found = []
    for _, group in groupby(enumerate(problems), key=lambda pair: (pair[1].file, pair[1].reason, _run(*pair))):
        members = [problem for _, problem in group]
        first, last = members[0], members[-1]
        numbers = str(first.number) if first is last else f"{first.number}-{last.number}"
        found.append(f"not read: {first.file}:{numbers}: {plainly(first.reason)}")
    if len(found) > SHOWN_PROBLEMS:
        found[SHOWN_PROBLEMS:] = [f"... and {len(found) - SHOWN_PROBLEMS} more; all of them with --json"]
    return found


def _run(place: int, problem: Problem) -> int:
    """Return a number that is the same for lines that follow each other."""
    return problem.number - place


def find(rows: Iterable[Row], wanted: str) -> Row:
    """Return the row whose id, or the hash at its end, begins with `wanted`.

    Raises:
        UserError: No row does, or several do.
    """
    by_id = {row.id: row for row in rows}
    found = [i for i in by_id if wanted and (i.startswith(wanted) or i.rpartition("-")[2].startswith(wanted))]
    if wanted in by_id:
        found = [wanted]
    if not found:
        raise UserError(f"no row '{plainly(wanted)[:80]}'; `sigma-bench results list --all` lists ids")
    if len(found) > 1:
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        raise UserError(f"'{wanted}' is the beginning of {len(found)} rows: {', '.join(found[:10])}{more}; write more")
    return by_id[found[0]]


def show(row: Row, rows: Sequence[Row]) -> Iterator[str]:
    """Yield lines that say all of a row: each column, what is in it and what it means.

    Args:
        row: The row.
        rows: All rows, among which there may be one that supersedes it.
    """
    yield row.id
    newest = next(other for other in latest(other for other in rows if other.key == row.key))
    if newest.id != row.id:
        yield f"superseded by {newest.id}, {newest.measured_at}"
    width = max(len(name) for name in Row.model_fields)
    for name, field in Row.model_fields.items():
        value, *more = unfolded(getattr(row, name))
        yield f"{name:<{width}}  {value}"
        yield from (f"{'':<{width}}  {line}" for line in more)
        yield f"{'':<{width}}  # {' '.join((field.description or '').split())}"


def unfolded(value: Any) -> list[str]:
    """Return the lines of a value; nested ones as JSON, one item a line."""
    if value is None or value == "":
        return ["-"]
    if isinstance(value, str):
        return [plainly(line) for line in value.split("\n")]
    if isinstance(value, dict | tuple | list):
        return _nested(value).splitlines() if value else ["-"]
    return [json.dumps(value)]


def _nested(value: Any, indent: str = "") -> str:
    """Return JSON that breaks lines only around what itself holds something nested."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | tuple | list) or (len(indent + flat) <= 80 and "\n" not in flat):
        return plainly(flat)
    inner = indent + "  "
    if isinstance(value, dict):
        items = [f"{inner}{plainly(json.dumps(k, ensure_ascii=False))}: {_nested(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _nested(v, inner) for v in value) + f"\n{indent}]"
