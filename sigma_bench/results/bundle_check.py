"""A bundle of results: is every file what it was, does every row read, and do the records give its value?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.results import archive, records
from sigma_bench.results.bundle import FACTS, FORMAT, ROOT, ROWS, SUMS, digest
from sigma_bench.results.reading import Rows
from sigma_bench.results.row import Row
from sigma_bench.results.scrub import absolute
from sigma_bench.results.store import Store

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
SHOWN = 50


@dataclass
class Checked:
    """What a check found."""

    files: int = 0
    rows: int = 0
    confirmed: int = 0
    """Rows whose value follows from their records."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what to tell a person."""
        said = [f"problem: {problem}" for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            said.append(f"problem: and {len(self.problems) - SHOWN} more")
        said += [f"note: {note}" for note in self.notes[:SHOWN]]
        state = "as packed" if not self.problems else f"{len(self.problems)} problems"
        rows = f"{self.rows} rows, the records of {self.confirmed} give their value"
        return [*said, f"{self.files} files, {rows}: {state}"]


def check(file: Path, folder: Path, draw: Callable[[Path, Path], None], version: str) -> Checked:
    """Unpack a bundle and return what is wrong with it.

    Args:
        file: The archive.
        folder: An empty folder it is unpacked into.
        draw: Draws the tables of a folder of rows into another folder.
        version: Version of this package: tables of another one may be drawn otherwise.

    Raises:
        UserError: It is no archive, holds names that lead elsewhere, or is no bundle.
    """
    names = archive.extract(file, folder)
    root = folder / ROOT
    if not (root / SUMS).is_file() or not (root / FACTS).is_file():
        raise UserError(f"{file}: no bundle of results; expected {ROOT}/{SUMS} and {ROOT}/{FACTS} in it")
    found = Checked(files=len(names))
    _sums(root, names, found)
    facts = _facts(root / FACTS, found)
    rows = Store(root / ROWS).read(settle=False)
    found.rows = len(rows)
    _rows(rows, root, facts, found)
    for name in names:
        path = folder / name
        if path.suffix != ".parquet" and (leak := absolute(path.read_text(encoding="utf-8", errors="replace"))):
            found.problems.append(f"{name}: names an absolute path, {leak[:80]!r}")
    if not found.problems:
        _tables(root, folder / "drawn", draw, facts.get("package_version") == version, found)
    return found


def _sums(root: Path, names: list[str], found: Checked) -> None:
    listed: dict[str, str] = {}
    for number, line in enumerate((root / SUMS).read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in listed:
            found.problems.append(f"{SUMS}:{number}: no line of hash and name, or a name twice")
        else:
            listed[match[2]] = match[1]
    there = {name.removeprefix(f"{ROOT}/") for name in names if name.startswith(f"{ROOT}/")} - {SUMS}
    found.problems += [f"{name}: lies outside of {ROOT}/" for name in names if not name.startswith(f"{ROOT}/")]
    found.problems += [f"{name}: is missing" for name in sorted(listed.keys() - there)]
    found.problems += [f"{name}: is not in {SUMS}" for name in sorted(there - listed.keys())]
    found.problems += [
        f"{name}: was changed, its SHA-256 is another"
        for name in sorted(there & listed.keys())
        if digest(root / name) != listed[name]
    ]


def _facts(file: Path, found: Checked) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        found.problems.append(f"{FACTS}: no JSON: {error}")
        return {}
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise UserError(f"{FACTS}: a bundle of another format; this version reads format {FORMAT}")
    found.notes += [f"left out when it was packed: {reason}" for reason in _texts(facts.get("left_out"))]
    return facts


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _rows(rows: Rows, root: Path, facts: dict[str, Any], found: Checked) -> None:
    found.problems += [
        f"{ROWS}/{problem.file.name}:{problem.number}: no row: {problem.reason}" for problem in rows.problems
    ]
    if facts and facts.get("rows") != len(rows):
        found.problems.append(f"{len(rows)} rows; {FACTS} says {facts.get('rows')}")
    for row in rows:
        problems = list(_files(row, root / ROWS))
        found.problems += [f"row {row.id}: {problem}" for problem in problems]
        found.confirmed += not problems and "samples" in row.artifacts and row.value is not None


def _files(row: Row, folder: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a row."""
    for name, path in row.artifacts.items():
        place = PurePosixPath(path)
        if place.is_absolute() or ".." in place.parts or not (folder / place).is_file():
            yield f"its {name} are not there: {path[:80]}"
            return
    kept = folder / "settings" / f"{row.settings_sha256}.json"
    if kept.is_file() and digest(kept) != row.settings_sha256:
        yield f"its settings are not those of their name: {kept.name}"
    if "samples" in row.artifacts and row.value is not None:
        try:
            frame = records.load(folder / row.artifacts["samples"])
        except UserError as error:
            yield str(error)
            return
        agrees = "id" in frame and records.read(frame, row.metric, row.value) is not None
        if not agrees:
            yield f"its records do not give its {row.metric} of {row.value}"


def _tables(root: Path, drawn: Path, draw: Callable[[Path, Path], None], same_version: bool, found: Checked) -> None:
    """Draw the tables again and hold them against those that were packed."""
    draw(root / ROWS, drawn)
    packed = {path.name: path.read_bytes() for path in (root / "tables").glob("*") if path.is_file()}
    again = {path.name: path.read_bytes() for path in drawn.glob("*") if path.is_file()}
    other = sorted(name for name in packed.keys() | again.keys() if packed.get(name) != again.get(name))
    if other and same_version:
        found.problems.append(f"tables that the rows do not give: {', '.join(other[:5])}")
    elif other:
        found.notes.append(f"{len(other)} tables are drawn otherwise by this version: {', '.join(other[:5])}")
