"""A row file as bytes -> its rows and, by line number, what in it is no row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sigma_bench.results import line as lines
from sigma_bench.results import parsed
from sigma_bench.results.row import Row

BOM = b"\xef\xbb\xbf"


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
    cells: list[dict[str, str]] = field(default_factory=list)
    """Of each row the cells by the names of their columns, as they stand in the file."""
    problems: list[tuple[int, str]] = field(default_factory=list)

    def take(self, part: bytes, *, ended: bool = True) -> None:
        """Read the next line, without its line break."""
        self.number += 1
        if not part.strip(b"\r"):
            return
        try:
            cells = lines.split(part)
            if cells[0] == lines.FIRST:
                self.names = cells
                self.problems += [(self.number, reason) for reason in _header_problems(cells)]
                return
            by_name = lines.named(self.names, cells)
            self.rows.append(lines.row_of(by_name))
            self.cells.append(by_name)
        except lines.Damage as damage:
            torn = "" if ended else " (the last line, not ended: torn by a stopped writer)"
            self.problems.append((self.number, f"{damage}{torn}"))


def parse(file: Path, content: bytes) -> Rows:
    """Return the rows in the content of `file`; what of it was read before comes from there (see `parsed`)."""
    parser, start = Parser(), 0
    known = parsed.load(file, content)
    if known is not None:
        parser, start = Parser(known.end.names, known.end.lines, known.rows, [], known.end.problems), known.end.size
    whole = content.rfind(b"\n") + 1
    text = content[start:whole]
    for part in (text.removeprefix(BOM) if start == 0 else text).split(b"\n")[:-1]:
        parser.take(part)
    if len(text) >= parsed.WORTH:
        end = parsed.End(whole, parser.number, parser.names, parser.problems)
        parsed.save(file, content, end, parser.cells, known)
    if rest := content[whole:]:
        parser.take(rest.removeprefix(BOM) if whole == 0 else rest, ended=False)
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
