"""The folder of measured rows: append-only CSV, one file a suite, safe against other writers, kills and editors.

Nothing written is ever changed or deleted. A line that cannot be read is reported with its number and skipped; the
next append starts on a fresh line. A file may hold several headers: each names the columns of the lines below it.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from sigma_bench.contracts import UserError
from sigma_bench.results import line as lines
from sigma_bench.results.row import Key, Row

if TYPE_CHECKING:
    import pandas as pd

_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_BOM = b"\xef\xbb\xbf"
_HEADER_LINE = re.compile(rb'^"?' + lines.FIRST.encode() + rb'"?(?:,.*)?$', re.MULTILINE)


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


def latest(rows: Iterable[Row]) -> list[Row]:
    """Return the newest row of each key, in the order of first appearance.

    A failed row supersedes no value: a failed repetition leaves the earlier measurement standing.
    """
    newest: dict[Key, Row] = {}
    for row in rows:
        other = newest.get(row.key)
        if other is None or _rank(row) >= _rank(other):
            newest[row.key] = row
    return list(newest.values())


def _rank(row: Row) -> tuple[bool, str]:
    return row.status != "failed", row.measured_at


def read_file(file: Path) -> Rows:
    """Return the rows of one file; `problems` names each line that is not a row of this version's columns."""
    return _parse(file, file.read_bytes())


def _parse(file: Path, content: bytes) -> Rows:
    rows = Rows()
    problems: list[Problem] = []
    names: Sequence[str] | None = None
    parts = content.removeprefix(_BOM).split(b"\n")
    for number, part in enumerate(parts, start=1):
        if not part.strip(b"\r"):
            continue
        torn = " (the last line, not ended: torn by a stopped writer)" if number == len(parts) else ""
        try:
            cells = lines.split(part)
            if cells[0] == lines.FIRST:
                names = cells
                problems += _header_problems(file, number, cells)
            elif names is None:
                raise lines.Damage("no header above this line")
            else:
                rows.append(lines.decode(names, cells))
        except lines.Damage as damage:
            problems.append(Problem(file, number, f"{damage}{torn}"))
    rows.problems = tuple(problems)
    return rows


def _header_problems(file: Path, number: int, names: Sequence[str]) -> list[Problem]:
    unknown = [name for name in names if name not in lines.HEADER]
    twice = sorted({name for name in names if names.count(name) > 1})
    found = []
    if unknown:
        found.append(Problem(file, number, f"unknown columns, left out: {', '.join(unknown)}"))
    if twice:
        found.append(Problem(file, number, f"columns named twice, the last one counts: {', '.join(twice)}"))
    return found


class Store:
    """The rows under one folder.

    Args:
        folder: Holds `<suite>.csv` and `samples/`; made at the first append.
        wait_s: Longest wait for another writer, in seconds.
    """

    def __init__(self, folder: Path, wait_s: float = 60.0) -> None:
        self.folder = Path(folder)
        self.wait_s = wait_s
        self.problems: tuple[Problem, ...] = ()
        """What the last `read` could not read."""

    def append(self, suite: str, rows: Iterable[Row]) -> Path:
        """Write rows at the end of `<suite>.csv`, in one piece and down to the disk, and return the file.

        Raises:
            UserError: The suite's name is no file name, rows name another suite, or another writer holds the file.
        """
        if not _SUITE.fullmatch(suite):
            raise UserError(f"suite '{suite}' is no file name; use letters, digits, '_', '-' and '.', a letter first")
        rows = list(rows)
        if strangers := sorted({row.suite for row in rows} - {suite}):
            raise UserError(f"rows of suite {', '.join(strangers)} were handed to '{suite}.csv'")
        file = self.folder / f"{suite}.csv"
        payload = b"".join(lines.encode(row) for row in rows)
        if not payload:
            return file
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked(file), open(file, "a+b", buffering=0) as stream:
            stream.seek(0)
            content = stream.read()
            fresh = b"" if not content or content.endswith(b"\n") else b"\n"
            header = b"" if _last_header(content) == lines.header() else lines.header()
            _write_all(stream.fileno(), fresh + header + payload)
            os.fsync(stream.fileno())
        return file

    def read(self) -> Rows:
        """Return all rows of the folder, file by file, and the problems met; a folder that is not there holds none."""
        rows = Rows()
        for file in sorted(file for file in self.folder.glob("*.csv") if file.is_file()):
            content = file.read_bytes()
            if content and not content.endswith(b"\n"):
                content = self._when_quiet(file)
            found = _parse(file, content)
            rows.extend(found)
            rows.problems += found.problems
        self.problems = rows.problems
        return rows

    def value(self, key: Key) -> Row | None:
        """Return the newest row that holds a value for `key`; a failed row holds none."""
        found = [row for row in latest(row for row in self.read() if row.key == key) if row.status != "failed"]
        return found[0] if found else None

    def write_samples(self, row_id: str, frame: pd.DataFrame) -> Path:
        """Write per-sample records to `samples/<row_id>.parquet`, complete or not at all, and return the path.

        Characters of `row_id` that do not belong in a file name are replaced, and a hash keeps such names apart.

        Raises:
            UserError: `samples` leads out of the folder.
        """
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", row_id).lstrip(".")[:100]
        if name != row_id:
            name += "-" + hashlib.sha256(row_id.encode("utf-8", "backslashreplace")).hexdigest()[:12]
        place = self.folder / "samples"
        place.mkdir(parents=True, exist_ok=True)
        if not place.resolve().is_relative_to(self.folder.resolve()):
            raise UserError(f"{place} leads to {place.resolve()}, out of the folder of rows; remove the link")
        final = place / f"{name}.parquet"
        draft = place / f".draft-{uuid.uuid4().hex}"
        try:
            with open(draft, "xb") as stream:
                frame.to_parquet(stream, index=False)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(draft, final)
        finally:
            draft.unlink(missing_ok=True)
        return final

    @contextmanager
    def _locked(self, file: Path) -> Iterator[None]:
        try:
            with FileLock(file.with_name(f".{file.name}.lock"), timeout=self.wait_s):
                yield
        except Timeout as error:
            raise UserError(
                f"{file} has been held by another process for {self.wait_s:g} s; wait for it or stop it, then try again"
            ) from error

    def _when_quiet(self, file: Path) -> bytes:
        """Read behind the lock, so that a line being written is not taken for a torn one."""
        if not os.access(self.folder, os.W_OK):
            return file.read_bytes()
        with self._locked(file):
            return file.read_bytes()


def _last_header(content: bytes) -> bytes:
    """Return the header that a line at the end of the file stands under, its line break included."""
    start = max((match.start() for match in _HEADER_LINE.finditer(content)), default=0)
    end = content.find(b"\n", start)
    return content[start : end + 1] if end >= 0 else b""


def _write_all(descriptor: int, payload: bytes) -> None:
    left = memoryview(payload)
    while left:
        left = left[os.write(descriptor, left) :]
