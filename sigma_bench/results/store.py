"""The folder of measured rows: append-only CSV, one file a suite, safe against other writers, kills and editors.

Nothing written is ever changed or deleted. A line that cannot be read is reported with its number and skipped; the
next append starts on a fresh line. A file may hold several headers: each names the columns of the lines below it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import uuid
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from filelock import FileLock, Timeout

from sigma_bench.contracts import UserError
from sigma_bench.results import line as lines
from sigma_bench.results.reading import Problem, Rows, parse
from sigma_bench.results.row import Key, Row, key_of

if TYPE_CHECKING:
    import pandas as pd

_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO)
"""What file systems say that have no locks, such as NFS without its lock server."""


def is_suite(name: str) -> bool:
    """Return whether a suite's name can be that of its file."""
    return _SUITE.fullmatch(name) is not None


def latest(rows: Iterable[Row]) -> list[Row]:
    """Return the newest row of each key, in the order of first appearance.

    A failed row supersedes no value: a failed repetition leaves the earlier measurement standing.
    """
    newest: dict[tuple[object, ...], Row] = {}
    for row in rows:
        key = key_of(row)
        other = newest.get(key)
        if other is None or _rank(row) >= _rank(other):
            newest[key] = row
    return list(newest.values())


def _rank(row: Row) -> tuple[bool, str]:
    return row.status != "failed", row.measured_at


def read_file(file: Path) -> Rows:
    """Return the rows of one file; `problems` names each line that is not a row of this version's columns."""
    return parse(file, file.read_bytes())


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
            UserError: The suite's name is no file name, rows name another suite, or the file cannot be written (held by
                another writer, a full or read-only disk, one without locks); the rows were then saved elsewhere, and
                the message says where.
        """
        if not is_suite(suite):
            raise UserError(f"suite '{suite}' is no file name; use letters, digits, '_', '-' and '.', a letter first")
        rows = list(rows)
        if strangers := sorted({row.suite for row in rows} - {suite}):
            raise UserError(f"rows of suite {', '.join(strangers)} were handed to '{suite}.csv'")
        file = self.folder / f"{suite}.csv"
        payload = b"".join(lines.encode(row) for row in rows)
        if not payload:
            return file
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.locked(file), open(file, "a+b", buffering=0) as stream:
                _append(stream, payload)
        except (OSError, UserError) as error:
            reason = error.strerror or error if isinstance(error, OSError) else error
            raise UserError(
                f"{file}: {len(rows)} rows could not be written: {reason}{_rescued(file, payload)}"
            ) from error
        return file

    def read(self, *, settle: bool = True) -> Rows:
        """Return all rows of the folder, file by file, and the problems met; a folder that is not there holds none.

        Args:
            settle: Where a file's last line is not ended, wait for the lock, in case it is just being written; the lock
                is a file in the folder, which False leaves untouched.
        """
        rows = Rows()
        for file in sorted(file for file in self.folder.glob("*.csv") if file.is_file()):
            content = file.read_bytes()
            if settle and content and not content.endswith(b"\n"):
                content = self._when_quiet(file)
            found = parse(file, content)
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
    def locked(self, file: Path) -> Iterator[None]:
        """Hold `file` alone; other writers wait, `wait_s` at most.

        Raises:
            UserError: Another one holds it, or the file system gives no locks.
        """
        lock = FileLock(file.with_name(f".{file.name}.lock"), timeout=self.wait_s, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(
                f"{file} has been held by another process for {self.wait_s:g} s; wait for it or stop it, then try again"
            ) from error
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                raise
            raise UserError(
                f"{lock.lock_file}: this file system gives no locks ({error}), without which two writers would spoil "
                "each other's rows; name a folder on a local disk with --results, and join it later with "
                "`sigma-bench results merge`"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _when_quiet(self, file: Path) -> bytes:
        """Read behind the lock, so that a line being written is not taken for a torn one; without one, as it is."""
        if not os.access(self.folder, os.W_OK):
            return file.read_bytes()
        try:
            with self.locked(file):
                return file.read_bytes()
        except (OSError, UserError):
            return file.read_bytes()


def _append(stream: BinaryIO, payload: bytes) -> None:
    """Write whole lines at the end of a file and down to the disk, or leave the file as it was."""
    before = stream.seek(0, os.SEEK_END)
    tail = _tail(stream, before)
    fresh = b"" if not tail or tail.endswith(b"\n") else b"\n"
    header = b"" if _under_our_header(tail) else lines.header()
    try:
        _write_all(stream.fileno(), fresh + header + payload)
        os.fsync(stream.fileno())
    except OSError:
        with suppress(OSError):  # what stays is a torn line, which readers report and skip
            os.ftruncate(stream.fileno(), before)
        raise


def _tail(stream: BinaryIO, size: int) -> bytes:
    """Return the end of the file, from the beginning of its last ended line at the latest."""
    length = 1 << 16
    while True:
        start = max(0, size - length)
        stream.seek(start)
        tail = stream.read(size - start)
        if start == 0 or tail.count(b"\n") > 2:
            return tail
        length *= 4


def _under_our_header(tail: bytes) -> bool:
    """Return whether the last ended line tells that this version's header is in effect."""
    last = tail[: tail.rfind(b"\n") + 1].rstrip(b"\r\n").rsplit(b"\n", 1)[-1].removeprefix(BOM_UTF8)
    try:
        cells = lines.split(last) if last else []
        return cells == list(lines.HEADER) or bool(cells and lines.named(lines.HEADER, cells))
    except lines.Damage:
        return False


def _rescued(file: Path, payload: bytes) -> str:
    """Write rows that have no place where they belong to the folder of temporary files, and say so."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="sigma-bench-rows-"))
        with open(folder / file.name, "x+b", buffering=0) as stream:
            _append(stream, payload)
    except OSError as error:
        return f"; nor could they be written to the folder of temporary files: {error}"
    return f". They are in {folder}; mend that, then: sigma-bench results merge {folder} --into {file.parent}"


def _write_all(descriptor: int, payload: bytes) -> None:
    left = memoryview(payload)
    while left:
        left = left[os.write(descriptor, left) :]
