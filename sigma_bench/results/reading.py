"""A row file as bytes -> its rows and, by line number, what in it is no row."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sigma_bench.results import line as lines
from sigma_bench.results import parsed
from sigma_bench.results.row import Row

FEW = 50_000
"""Bytes of text whose lines are read one by one."""


@dataclass(frozen=True)
class Problem:
    """What could not be read: a line of a file, counted from 1."""

    file: Path
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.reason}"


class Rows(list[Row]):
    """The rows of a folder in the order they were written, and in `problems` the lines that are none."""

    def __init__(self, rows: Iterable[Row] = (), problems: Iterable[Problem] = ()) -> None:
        super().__init__(rows)
        self.problems: tuple[Problem, ...] = tuple(problems)


@dataclass
class Parser:
    """Takes the lines of a file one after the other."""

    names: Sequence[str] = ()
    """Columns of the header in effect."""
    number: int = 0
    """Lines taken."""
    rows: list[Row] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    tables: list[Any] = field(default_factory=list)
    """Cells of the rows that `take_all` has read, as they stand in the file (see `bulk`)."""

    def take_all(self, text: bytes) -> None:
        """Read many whole lines: together where all are sound, else in parts."""
        from sigma_bench.results import bulk

        if text.startswith(lines.header()):
            self.names, self.number, text = lines.HEADER, self.number + 1, text[len(lines.header()) :]
        middle = text.rfind(b"\n", 0, len(text) // 2) + 1
        if middle == 0 or len(text) < FEW:
            cells = [self.take(part) for part in text.split(b"\n")[:-1]]
            self.tables.append(bulk.coded([found for found in cells if found is not None]))
            return
        try:
            table = bulk.split(text)
            rows = bulk.rows(table, lines.read_all)
            if any(row.incoherence() for row in rows):
                raise lines.Damage("a row contradicts itself")
        except (lines.Damage, ValueError, RecursionError):
            self.take_all(text[:middle])
            self.take_all(text[middle:])
            return
        self.rows += rows
        self.tables.append(table)
        self.number += len(rows)

    def take(self, part: bytes, *, ended: bool = True) -> Sequence[str | None] | None:
        """Read the next line, without its line break, and return the cells of this version's columns if it is a row."""
        self.number += 1
        if not part.strip(b"\r"):
            return None
        try:
            cells = lines.split(part)
            if cells[0] == lines.FIRST:
                self.names = cells
                self.problems += [(self.number, reason) for reason in _header_problems(cells)]
                return None
            by_name = lines.named(self.names, cells)
            self.rows.append(lines.row_of(by_name))
            return [by_name.get(name) for name in lines.COLUMNS]
        except lines.Damage as damage:
            torn = "" if ended else " (the last line, not ended: torn by a stopped writer)"
            self.problems.append((self.number, f"{damage}{torn}"))
            return None


def parse(file: Path, content: bytes) -> Rows:
    """Return the rows in the content of `file`; what of it was read before comes from there (see `parsed`)."""
    parser, start = Parser(), 0
    known = parsed.load(file, content)
    if known is not None:
        end, start = known.end, known.end.size
        parser = Parser(end.names, end.lines, known.rows, end.problems, [known.table])
    whole = content.rfind(b"\n") + 1
    text = content[start:whole] if start else content[:whole].removeprefix(BOM_UTF8)
    if len(text) < parsed.WORTH:
        for part in text.split(b"\n")[:-1]:
            parser.take(part)
    else:
        with parsed.undisturbed():
            parser.take_all(text)
        end = parsed.End(whole, parser.number, parser.names, parser.problems)
        parsed.save(file, content, end, parser.tables)
    if rest := content[whole:]:
        parser.take(rest.removeprefix(BOM_UTF8) if whole == 0 else rest, ended=False)
    return Rows(parser.rows, (Problem(file, number, reason) for number, reason in parser.problems))


def _header_problems(names: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name not in lines.HEADER]
    twice = sorted({name for name in names if names.count(name) > 1})
    found = []
    if unknown:
        found.append(f"unknown columns, left out: {', '.join(unknown)}")
    if twice:
        found.append(f"columns named twice, the last one counts: {', '.join(twice)}")
    return found
