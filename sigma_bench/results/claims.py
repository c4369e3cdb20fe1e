"""Which claims of the paper hold: each is computed again from the printed numbers, and from measured ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from sigma_bench.results import claim_values
from sigma_bench.results.claim_values import Book, Measured, Printed, Values
from sigma_bench.results.published import Published
from sigma_bench.results.row import Row
from sigma_bench.results.store import latest
from sigma_bench.spec import claims as spec
from sigma_bench.spec.layout import Column, Layout
from sigma_bench.spec.zoo import Entry

Verdict = Literal["holds", "does not hold", "not testable"]
SHOWN = 3
"""Cells that are named before the rest is counted."""
EXACT = 1e-6
"""Distance between numbers that are the same but for binary rounding."""
ABOUT_PRINT = (spec.Derived, spec.Fact, spec.Present, spec.Parameters, spec.Number, spec.Stated)
"""Tests of what is printed; no measurement has a say in them."""


@dataclass(frozen=True)
class Outcome:
    """What one source of numbers says of a claim."""

    verdict: Verdict
    number: str
    """What was computed; empty: nothing could be."""
    reason: str


@dataclass(frozen=True)
class Judged:
    """A claim and both outcomes."""

    name: str
    claim: spec.Claim
    printed: str
    """The numbers that the claim states."""
    published: Outcome
    measured: Outcome


class _Untestable(Exception):
    """Why a test cannot be made."""


def judge(
    claims: spec.Claims,
    rows: Iterable[Row],
    published: Published,
    layout: Layout,
    zoo: Mapping[str, Entry] | None = None,
) -> list[Judged]:
    """Return every claim with what the printed numbers and the measured ones say of it.

    Args:
        claims: The claims.
        rows: All rows read; only the newest of each key, of official data and the paper's protocol, count.
        published: The printed values.
        layout: Columns of the tables.
        zoo: Known checkpoints: tells why a system was not measured.

    Raises:
        UserError: A claim names a table, row or column that does not exist.
    """
    book = Book(published, layout)
    printed, measured = Printed(book), Measured(book, latest(rows), zoo or {})
    return [
        Judged(
            name,
            claim,
            ", ".join(part for test in claim.tests if (part := _stated(test, book, name))),
            _outcome(name, claim, book, printed),
            _outcome(name, claim, book, measured),
        )
        for name, claim in claims.claims.items()
    ]


def _outcome(name: str, claim: spec.Claim, book: Book, values: Values) -> Outcome:
    """Return the outcome over all tests: one that fails refutes a claim, whatever cannot be tested beside it."""
    judge = _Judge(name, book, values)
    results = [judge.test(test) for test in claim.tests]
    verdicts = [result.verdict for result in results]
    verdict: Verdict = (
        "does not hold" if "does not hold" in verdicts else "not testable" if "not testable" in verdicts else "holds"
    )
    numbers = dict.fromkeys(result.number for result in results if result.number)
    return Outcome(verdict, ", ".join(numbers), "; ".join(dict.fromkeys(result.reason for result in results)))


def _stated(test: spec.Test, book: Book, name: str) -> str:
    """Return the number that a test holds its result against, empty where the claim states none."""
    if isinstance(test, spec.Gain):
        return f"+{test.printed}" if test.printed else ""
    if isinstance(test, spec.Spread):
        return f"+{test.printed[0]} to +{test.printed[1]}"
    if isinstance(test, spec.AnyOf):
        return ", ".join(dict.fromkeys(_stated(one, book, name) for one in test.readings))
    if isinstance(test, spec.Derived):
        place = book.columns(name, test.table, [test.column])[0]
        return f"{Printed(book).cell(test.table, book.row(name, test.table, test.of), place).value}"
    if isinstance(test, spec.Parameters):
        return f"{book.first(test.table, book.row(name, test.table, test.of)).params_m} M"
    if isinstance(test, spec.Number):
        return str(test.printed)
    return ""


class _Judge:
    def __init__(self, name: str, book: Book, values: Values) -> None:
        self.name, self.book, self.values = name, book, values
        self.about_print = isinstance(values, Printed)

    def test(self, test: spec.Test) -> Outcome:
        if isinstance(test, ABOUT_PRINT) and not self.about_print:
            return Outcome("not testable", "", "about what is printed; measurements have no say in it")
        methods: dict[type, Callable[[Any], Outcome]] = {
            spec.Gain: self._gain,
            spec.Spread: self._spread,
            spec.Beats: self._beats,
            spec.Best: self._best,
            spec.Leads: self._leads,
            spec.Same: self._same,
            spec.Derived: self._derived,
            spec.Fact: self._fact,
            spec.Present: self._present,
            spec.Parameters: self._parameters,
            spec.Number: self._number,
            spec.Stated: self._parts,
            spec.AnyOf: self._any_of,
        }
        try:
            return methods[type(test)](test)
        except _Untestable as error:
            return Outcome("not testable", "", str(error))

    def _gain(self, test: spec.Gain) -> Outcome:
        leads, over = self._leads_over(test.table, test.of, test.over, test.columns)
        if test.wins_only:
            leads = [lead for lead in leads if lead > 0]
        mean = sum(leads) / len(leads) if leads else 0.0
        what = f"{mean:+.2f} over {over}" + (f" on the {len(leads)} columns it wins" if test.wins_only else "")
        if test.printed is None:
            bound = test.above or 0.0
            return _said(mean > bound + EXACT, f"{mean:+.2f}", what + f", the bound is {bound:+g}")
        allowed = test.tolerance or _half_a_digit(test.printed)
        close = abs(mean - float(test.printed)) <= allowed + EXACT
        return _said(close, f"{mean:+.2f}", what + ("" if close else f", stated +{test.printed}"))

    def _spread(self, test: spec.Spread) -> Outcome:
        leads, over = self._leads_over(test.table, test.of, test.over, test.columns)
        ends = (min(leads), max(leads))
        close = all(abs(end - float(p)) <= _half_a_digit(p) + EXACT for end, p in zip(ends, test.printed, strict=True))
        return _said(close, f"{ends[0]:+.1f} to {ends[1]:+.1f}", f"{ends[0]:+.1f} to {ends[1]:+.1f} over {over}")

    def _beats(self, test: spec.Beats) -> Outcome:
        columns = self.book.columns(self.name, test.table, test.columns)
        ours, theirs = (self.book.rows(self.name, test.table, names) for names in (test.of, test.over))
        grid = self._grid(test.table, [*ours, *theirs], columns)
        won, decisive = 0, []
        for column in columns:
            score = {number: _signed(grid[number, column.key], column) for number in (*ours, *theirs)}
            worst, rival = min(ours, key=score.__getitem__), max(theirs, key=score.__getitem__)
            if score[worst] > score[rival] + EXACT:
                won += 1
            if score[worst] <= score[rival] + EXACT or len(columns) == 1:
                each = (f"{self._short(test.table, one)} {grid[one, column.key]:g}" for one in (worst, rival))
                decisive.append(f"{column.key}: {' against '.join(each)}")
        count = f"{won} of {len(columns)}"
        return _said(won == len(columns), count, f"in {count} columns" + "".join(f"; {one}" for one in decisive))

    def _best(self, test: spec.Best) -> Outcome:
        columns = self.book.columns(self.name, test.table, test.columns)
        own = self.book.row(self.name, test.table, test.of)
        among = [number for number in self.book.rows(self.name, test.table, test.among) if number != own]
        grid = self._grid(test.table, [own, *among], columns)
        better, equal = [], []
        for column in columns:
            mine = _signed(grid[own, column.key], column)
            better += [o for o in among if _signed(grid[o, column.key], column) > mine + EXACT]
            equal += [o for o in among if abs(_signed(grid[o, column.key], column) - mine) <= EXACT]
        value = ", ".join(f"{grid[own, column.key]:g}" for column in columns)
        names = ", ".join(self._short(test.table, o) for o in dict.fromkeys(better or equal))
        reason = (
            f"{value}, better: {names}" if better else f"{value}, " + (f"shared with {names}" if equal else "alone")
        )
        return _said(not better, value, reason)

    def _leads(self, test: spec.Leads) -> Outcome:
        leads = []
        for pair in test.pairs:
            found, _ = self._leads_over(pair.table, pair.of, [pair.over], ())
            leads.append(sum(found) / len(found))
        right = all(lead > EXACT for lead in leads)
        right &= not test.falling or all(one > two + EXACT for one, two in pairwise(leads))
        each = ", ".join(f"{lead:+.1f}" for lead in leads)
        return _said(right, each if test.falling else f"{sum(leads) / len(leads):+.2f}", f"each: {each}")

    def _same(self, test: spec.Same) -> Outcome:
        against, largest = [], 0.0
        for pair in test.pairs:
            one, two = (self._value(place) for place in pair)
            largest = max(largest, abs(one - two))
            if abs(one - two) > test.within + EXACT:
                against.append(f"{pair[1].table} {pair[1].of} {two:g}, {pair[0].table} {pair[0].of} {one:g}")
        right = f"all within {test.within:g}" if test.within else "all the same"
        return _said(not against, f"up to {largest:.1f} apart", "; ".join(against) or right)

    def _derived(self, test: spec.Derived) -> Outcome:
        number = self.book.row(self.name, test.table, test.of)
        column = self.book.columns(self.name, test.table, [test.column])[0]
        parts = self.book.columns(self.name, test.table, ())
        grid = self._grid(test.table, [number], [*parts, column])
        mean = claim_values.mean_of([grid[number, part.key] for part in parts], parts)
        printed = f"{grid[number, column.key]:.{column.decimals}f}"
        close = abs(mean - float(printed)) <= _half_a_digit(printed) + EXACT
        return _said(close, f"{mean:.3f}", f"the {len(parts)} columns give {mean:.3f}, printed {printed}")

    def _fact(self, test: spec.Fact) -> Outcome:
        found: dict[str, list[str]] = {}
        for table, names in test.rows.items():
            for number in self.book.rows(self.name, table, names):
                fact = getattr(self.book.first(table, number), test.fact)
                found.setdefault(fact or "nothing", []).append(f"{table} {self._short(table, number)}")
        odd = [f"{fact}: {_some(where)}" for fact, where in found.items() if fact != test.value]
        right = not odd if test.value is not None else len(found) == 1
        return _said(right, ", ".join(found), "all the same" if right else "; ".join(odd))

    def _present(self, test: spec.Present) -> Outcome:
        there = self.book.has(self.name, test.table, test.of)
        return _said(there, "", f"{test.table} has {'a' if there else 'no'} row {test.of}")

    def _parameters(self, test: spec.Parameters) -> Outcome:
        printed = self.book.first(test.table, self.book.row(self.name, test.table, test.of)).params_m
        millions = sum((one + 1) * two for one, two in pairwise(test.widths)) / 1e6
        layers = "-".join(map(str, test.widths))
        return _said(
            abs(millions - float(printed)) <= _half_a_digit(printed) + EXACT,
            f"{millions:.2f} M",
            f"{layers} has {millions:.2f} M, printed {printed} M",
        )

    def _number(self, test: spec.Number) -> Outcome:
        return _said(len(test.items) == test.printed, str(len(test.items)), ", ".join(test.items))

    def _parts(self, test: spec.Stated) -> Outcome:
        return _said(
            len(set(test.parts.values())) == 1,
            ", ".join(f"{number:,}" for number in dict.fromkeys(test.parts.values())),
            ", ".join(f"{where}: {number:,}" for where, number in test.parts.items()),
        )

    def _any_of(self, test: spec.AnyOf) -> Outcome:
        results = [self.test(reading) for reading in test.readings]
        good = [result for result in results if result.verdict == "holds"]
        if good:
            return good[0]
        lacking = [result for result in results if result.verdict == "not testable"]
        if lacking:
            return lacking[0]
        numbers = dict.fromkeys(result.number for result in results if result.number)
        return _said(False, ", ".join(numbers), "; ".join(dict.fromkeys(result.reason for result in results)))

    def _leads_over(self, table: str, of: str, over: Sequence[str], names: Sequence[str]) -> tuple[list[float], str]:
        """Return the lead in each column over the best of the rows `over`, and what it is over, in words."""
        columns = self.book.columns(self.name, table, names)
        own, others = self.book.row(self.name, table, of), self.book.rows(self.name, table, over)
        grid = self._grid(table, [own, *others], columns)
        leads = [
            _signed(grid[own, c.key], c) - max(_signed(grid[other, c.key], c) for other in others) for c in columns
        ]
        names = [self._short(table, other) for other in others]
        return leads, names[0] if len(names) == 1 else f"the best of {', '.join(names)} in each column"

    def _value(self, place: spec.Place) -> float:
        number = self.book.row(self.name, place.table, place.of)
        column = self.book.columns(self.name, place.table, [place.column])[0]
        return self._grid(place.table, [number], [column])[number, column.key]

    def _grid(self, table: str, numbers: Sequence[int], columns: Sequence[Column]) -> dict[tuple[int, str], float]:
        """Return (row, column) -> number.

        Raises:
            _Untestable: A cell has none, or cells of a column were measured under different conditions.
        """
        grid: dict[tuple[int, str], float] = {}
        missing = []
        for column in columns:
            conditions = set()
            for number in numbers:
                cell = self.values.cell(table, number, column)
                if cell.value is None:
                    missing.append(f"{column.key} of {self._short(table, number)} ({cell.reason})")
                    continue
                grid[number, column.key] = cell.value
                if cell.conditions is not None:
                    own = cell.conditions
                    conditions.add((own.task_version, own.profile, own.test_sha256, own.train_sha256))
            if len(conditions) > 1:
                missing.append(f"one version, profile and test list for {column.key}")
        if missing:
            raise _Untestable(f"missing: {_some(missing)}")
        return grid

    def _short(self, table: str, number: int) -> str:
        return self.book.name(table, number)


def _said(holds: bool, number: str, reason: str) -> Outcome:
    return Outcome("holds" if holds else "does not hold", number, reason)


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def _signed(value: float, column: Column) -> float:
    return -value if column.direction == "lower" else value


def _half_a_digit(printed: str) -> float:
    return float(0.5 * 10.0 ** -len(printed.partition(".")[2]))
