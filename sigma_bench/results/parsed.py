"""What was read of a large row file, kept from one command to the next, and believed only for the very same bytes.

A row file only grows, so what was read of its beginning stays true. Kept are the cells of all sound lines and the
problems of the others, in `cache.home()/rows/`, together with the SHA-256 of the bytes they come from and of the code
that read them; any other bytes, or other code, and the file is read anew. To remove the folder costs time only.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sigma_bench.cache import home
from sigma_bench.results import line as lines
from sigma_bench.results.row import Row

WORTH = 2_000_000
"""Bytes of text that must be read before keeping them pays."""
MOST = 32
"""Files kept; the longest unused go."""
_KEY = b"sigma_bench.rows"
_DIGEST = 32
"""Bytes before the Parquet file: its own SHA-256."""


@dataclass(frozen=True)
class End:
    """Where reading had come to, after whole lines."""

    size: int
    """Bytes read."""
    lines: int
    names: Sequence[str]
    """Columns of the header in effect."""
    problems: list[tuple[int, str]]
    """Number and reason of the lines that are no rows."""


@dataclass(frozen=True)
class Known:
    """What is known of the beginning of a file."""

    end: End
    rows: list[Row]
    table: Any
    """The cells of the rows, column by column (pyarrow)."""


def load(file: Path, content: bytes) -> Known | None:
    """Return what is known of the beginning of `content`, None where nothing is, or not for sure."""
    if len(content) < WORTH:
        return None
    place = _place(file)
    if not place.is_file() or not _code():
        return None
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    from sigma_bench.results import bulk

    try:
        stored = place.read_bytes()
        if hashlib.sha256(memoryview(stored)[_DIGEST:]).digest() != stored[:_DIGEST]:
            return None
        with parquet.ParquetFile(
            arrow.BufferReader(memoryview(stored)[_DIGEST:]), read_dictionary=list(lines.COLUMNS)
        ) as columns:
            about = json.loads(columns.schema_arrow.metadata[_KEY])
            size = about["size"]
            known = about["code"] == _code() and size <= len(content)
            if not known or hashlib.sha256(memoryview(content)[:size]).hexdigest() != about["sha256"]:
                return None
            table = columns.read()
        os.utime(place)
        with undisturbed():
            problems = [(number, reason) for number, reason in about["problems"]]
            return Known(End(size, about["lines"], about["names"], problems), bulk.rows(table, lines.known), table)
    except (OSError, arrow.ArrowException):
        return None


def save(file: Path, content: bytes, end: End, cells: Sequence[Any]) -> None:
    """Keep what was read; where that cannot be done, the file will be read anew.

    Args:
        file: The row file.
        content: What is in it.
        end: How far it was read.
        cells: Tables of the cells of its rows (see `bulk`).
    """
    if not _code():
        return
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    place = _place(file)
    draft = place.with_name(f".{uuid.uuid4().hex}")
    try:
        first, *others = cells
        table = arrow.concat_tables([first, *(other.cast(first.schema) for other in others)]).unify_dictionaries()
        digest = hashlib.sha256(memoryview(content)[: end.size]).hexdigest()
        about = {**asdict(end), "sha256": digest, "code": _code()}
        buffer = arrow.BufferOutputStream()
        parquet.write_table(table.replace_schema_metadata({_KEY: json.dumps(about)}), buffer, compression="zstd")
        stored = buffer.getvalue().to_pybytes()
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(hashlib.sha256(stored).digest() + stored)
            os.replace(draft, place)
        finally:
            draft.unlink(missing_ok=True)
        kept = sorted(place.parent.glob("*.kept"), key=lambda other: other.stat().st_mtime, reverse=True)
        for old in kept[MOST:]:
            old.unlink(missing_ok=True)
    except (OSError, arrow.ArrowException):  # no place, or more than an array holds
        return


def _place(file: Path) -> Path:
    return home() / "rows" / f"{hashlib.sha256(os.fsencode(file.absolute())).hexdigest()[:32]}.kept"


@cache
def _code() -> str:
    """Return the hash of the code that reads rows, empty where it is not at hand."""
    try:
        files = [Path(__file__).with_name(name) for name in ("row.py", "line.py", "bulk.py", "reading.py", "parsed.py")]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    except OSError:
        return ""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no garbage be collected while very many objects are made that stay."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
