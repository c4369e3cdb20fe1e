"""Measured rows of one place in a table -> a cell: which rows count, their mean and spread, the marks they carry."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from sigma_bench.results import intervals
from sigma_bench.results.row import SETTING, Row
from sigma_bench.results.stacks import Stack
from sigma_bench.results.table import NOT_RUN, Cell, Footnotes

FULL_PERCENT = 99
"""Below this share of decoded samples a value is refused in the paper's tables."""


class Conditions(NamedTuple):
    """How a row was measured; rows that differ here are never averaged."""

    task_version: int
    profile: str
    limit: int | None
    settings_sha256: str
    test_sha256: str
    train_sha256: str
    evaluator: str


_CONDITIONS = attrgetter(*Conditions._fields)
_WHEN = attrgetter("measured_at")
_ORDER = attrgetter("measured_at", "checkpoint_sha256", "seed")
"""Of the rows of a cell, which are alike in all other parts of the key."""


@dataclass(frozen=True)
class Chosen:
    """The rows behind one cell: those that count, all under the same conditions, and what was left out."""

    rows: tuple[Row, ...]
    left_out: int = 0
    failed: Row | None = None
    """The newest of those without a value, where none has one."""

    @property
    def conditions(self) -> Conditions | None:
        """Their common conditions, None where there is no value."""
        return conditions_of(self.rows[0]) if self.rows else None


def conditions_of(row: Row) -> Conditions:
    """Return under which conditions a row was measured."""
    return Conditions._make(_CONDITIONS(row))


def choose(stacks: Sequence[Stack]) -> Chosen:
    """Return the rows that make the cell: of all conditions the unlimited, then highest version, then newest one."""
    valued = [stack for stack in stacks if stack[0].status != "failed"]
    if not valued:
        newest = max((row for stack in stacks for row in stack), key=_WHEN, default=None)
        return Chosen((), failed=newest)
    best = max(valued, key=_preferred)[0]
    under = conditions_of(best)
    alike = [stack for stack in valued if _CONDITIONS(stack[0]) == under and stack[0].step == best.step]
    kept = tuple(sorted((row for stack in alike for row in stack), key=_ORDER))
    return Chosen(kept, left_out=sum(map(len, valued)) - len(kept))


def _preferred(stack: Stack) -> tuple[object, ...]:
    """Return what a stack is chosen by; at the end its conditions, so that equal times leave no choice to chance."""
    first = stack[0]
    step = -1 if first.step is None else first.step
    when = max(map(_WHEN, stack))
    return first.limit is None, first.limit or 0, first.task_version, when, _CONDITIONS(first), step


def reference(column: Iterable[Chosen]) -> Conditions | None:
    """Return the conditions the cells of a column are held against: unlimited, most frequent, of highest version."""
    found = Counter(chosen.conditions for chosen in column if chosen.conditions is not None)
    if not found:
        return None
    return max(
        found, key=lambda c: (c.limit is None, found[c], c.task_version, c.limit or 0, c.profile, c.settings_sha256)
    )


def cell(chosen: Chosen, held_against: Conditions | None, foot: Footnotes, *, decimals: int, paper: bool) -> Cell:
    """Return the cell of the chosen rows.

    Args:
        chosen: Rows of one system, task and metric.
        held_against: Conditions of the column; where they differ the cell is marked.
        foot: Takes the footnotes.
        decimals: Digits printed.
        paper: In a table of the paper: too few decoded samples are refused.
    """
    if not chosen.rows:
        if chosen.failed is None:
            return Cell(NOT_RUN, decimals=decimals)
        mark = foot.mark(f"failed: {first_line(chosen.failed.error)}")
        return Cell("failed", decimals=decimals, marks=(mark,), behind=(chosen.failed,))
    decoded, expected = min(((row.n_decoded, row.n_expected) for row in chosen.rows), key=lambda pair: share(*pair))
    if paper and share(decoded, expected) < FULL_PERCENT:
        mark = foot.mark(
            f"refused: {decoded} of {expected} test samples decoded; under {FULL_PERCENT} % is no value here"
        )
        text = f"partial {math.floor(share(decoded, expected))} %"
        return Cell(text, decimals=decimals, marks=(mark,), behind=chosen.rows)
    trained = _fewest_trained(chosen.rows)
    if paper and share(*trained) < FULL_PERCENT:
        mark = foot.mark(
            f"refused: {trained[0]} of {trained[1]} training samples were there; "
            f"under {FULL_PERCENT} % is no value here"
        )
        text = f"partial {math.floor(share(*trained))} %"
        return Cell(text, decimals=decimals, marks=(mark,), behind=chosen.rows)
    values = intervals.replicates(chosen.rows)
    mean = math.fsum(values) / len(values)
    spread = None
    if len(values) > 1:
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    marks = [foot.mark(text) for text in _remarks(chosen, held_against, decoded, expected, decimals)]
    return Cell(
        f"{mean:.{decimals}f}",
        value=mean,
        spread=spread,
        interval=intervals.of_rows(chosen.rows),
        count=len(values),
        decimals=decimals,
        limited=chosen.rows[0].limit is not None,
        apart=_apart(chosen.conditions, held_against),
        marks=tuple(dict.fromkeys(marks)),
        behind=chosen.rows,
    )


def _fewest_trained(rows: Sequence[Row]) -> tuple[int, int]:
    """Return (present, listed) training samples of the row with the smallest share; (1, 1) where no row says."""
    found = {(row.train_present, row.train_count) for row in rows}
    known = [(present, count) for present, count in found if present is not None and count]
    return min(known, key=lambda pair: share(*pair), default=(1, 1))


def share(decoded: int, expected: int) -> float:
    """Return the percentage of decoded samples; nothing expected is nothing decoded."""
    return 100 * decoded / expected if expected else 0.0


def _remarks(chosen: Chosen, against: Conditions | None, decoded: int, expected: int, decimals: int) -> list[str]:
    remarks = []
    own = chosen.conditions
    if own is not None and own.limit is not None:
        remarks.append(f"limited to {own.limit} test samples")
    if own is not None and against is not None:
        if own.task_version != against.task_version:
            remarks.append(f"task version {own.task_version}, the column has {against.task_version}")
        if own.profile != against.profile:
            remarks.append(f"profile {own.profile or '(none)'}, the column has {against.profile or '(none)'}")
        if own[:2] == against[:2] and own.settings_sha256 != against.settings_sha256:
            remarks.append("settings of the task changed against the column")
        if own.limit == against.limit and own.test_sha256 != against.test_sha256:
            remarks.append("another test list than the column")
        if own.limit == against.limit and own.train_sha256 != against.train_sha256:
            remarks.append("another training list than the column")
    if decoded < expected:
        wrong = [row.value_missing_wrong for row in chosen.rows if row.value_missing_wrong is not None]
        also = f"; with the missing ones counted as wrong {sum(wrong) / len(wrong):.{decimals}f}" if wrong else ""
        remarks.append(f"{decoded} of {expected} test samples decoded{also}")
    weights = len({row.checkpoint_sha256 for row in chosen.rows})
    if weights > 1:
        seeds = ", the seeds of each averaged first" if len(chosen.rows) > weights else ""
        remarks.append(f"over {weights} sets of weights{seeds}")
    remarks += [f"arithmetic {kind}" for kind in sorted({row.precision for row in chosen.rows} - {"", "fp32"})]
    there, listed = _fewest_trained(chosen.rows)
    if there < listed:
        remarks.append(f"{there} of {listed} training samples were there")
    if chosen.left_out:
        remarks.append(f"{chosen.left_out} measurements under other conditions left out")
    return remarks + [mark for row in chosen.rows for mark in row.marks if not mark.startswith(SETTING)]


def _apart(own: Conditions | None, against: Conditions | None) -> bool:
    if own is None or against is None:
        return False
    return any(getattr(own, name) != getattr(against, name) for name in ("task_version", "test_sha256", "train_sha256"))


def first_line(text: str) -> str:
    """Return the first line of a message, shortened."""
    line = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return line if len(line) <= 200 else line[:194] + " [cut]"


def mark_best(column: Sequence[Cell], direction: str, *, second: bool) -> None:
    """Mark the best of the cells, as printed, and if asked the second best; a lone value is not marked.

    Limited ones and those of other lists or another version of the task have no part in it.
    """
    valued = [(round(c.value, c.decimals), c) for c in column if c.value is not None and not (c.limited or c.apart)]
    if len(valued) < 2:
        return
    ranks = sorted({value for value, _ in valued}, reverse=direction == "higher")
    for value, one in valued:
        if value == ranks[0]:
            one.best = "best"
        elif second and value == ranks[1]:
            one.best = "second"
