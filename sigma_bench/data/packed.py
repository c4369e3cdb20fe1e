"""Reading a packed data set: an index in memory-mapped Arrow, and POSIX tar files that it points into.

Why not webdataset's reader, though it reads these tar files too: it reads shards from front to back, so the order of
the samples hangs on the number of shards and workers, shuffles only within a buffer, and resumes to the shard, not to
the sample. Here every member is read by its place, alone: order, seeds, hashes and resumption are those of the plain
files.
"""

from __future__ import annotations

import os
import zlib
from bisect import bisect_left
from functools import lru_cache
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from sigma_bench.contracts import UserError
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.files import INDEX

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("crc32", pa.uint32(), nullable=False),
    ]
)
"""A row a member, by ascending path: where its bytes lie, and their checksum."""
OUTSIDE = r"^/|\\|(^|/)(\.{0,2})(/|$)"
"""What the path of a member must not have: a root, a backslash, an empty part, `.` or `..`."""

OPEN = 64
"""Shards that a process holds open: systems allow it some hundreds of files."""


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:06d}.tar"


class Pack:
    """The members of a packed data set.

    Args:
        root: Folder that holds the index and the shards.

    Raises:
        UserError: The index is damaged, or names what no pack holds.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._table = _checked(os.path.join(root, INDEX))
        self._paths = self._table["path"].combine_chunks()
        self._shard = lru_cache(OPEN)(self._open_shard)

    def __contains__(self, name: str) -> bool:
        return self._row(name) is not None

    def children(self, folder: str) -> frozenset[str]:
        """Return the names of files and folders in a folder of the pack ("" is its root)."""
        prefix = f"{folder}/" if folder else ""
        first, end = self._range(folder)
        found = set()
        while first < end:
            name, inside, _ = self._paths[first].as_py()[len(prefix) :].partition("/")
            found.add(name)
            first = self._range(prefix + name)[1] if inside else first + 1  # over all that lies in this folder
        return frozenset(found)

    def below(self, folder: str) -> list[str]:
        """Return the members below a folder, relative to it, in ascending order."""
        first, end = self._range(folder)
        start = len(folder) + 1 if folder else 0
        return [path[start:] for path in self._paths.slice(first, end - first).to_pylist()]

    def stamp(self, name: str) -> tuple[int, int]:
        """Return size and checksum of a member; (0, 0) where there is none."""
        row = self._row(name)
        return (0, 0) if row is None else (self._cell("size", row), self._cell("crc32", row))

    def read(self, name: str) -> bytes:
        """Return the content of a member.

        Raises:
            KeyError: There is no such member.
            DecodeError: Its shard is missing, cut short or damaged.
        """
        row = self._row(name)
        if row is None:
            raise KeyError(name)
        number, offset, size = (self._cell(column, row) for column in ("shard", "offset", "size"))
        where = f"packed in {shard_name(number)} at byte {offset}"
        path = os.path.join(self.root, name)
        try:
            shard = self._shard(number)  # open as long as it is read from
            there = max(0, min(size, os.fstat(shard.fileno()).st_size - offset))
            content = os.pread(shard.fileno(), there, offset)
            while len(content) < there and (
                more := os.pread(shard.fileno(), there - len(content), offset + len(content))
            ):
                content += more
        except FileNotFoundError as error:
            raise DecodeError(path, f"{where}, and {self.root} has no such shard; copy it again") from error
        except OSError as error:
            raise DecodeError(path, f"{where}, which cannot be read: {error.strerror}") from error
        if len(content) < size:
            raise DecodeError(
                path, f"{where}, which is cut short: {len(content)} of {size} bytes are there; copy the shard again"
            )
        if zlib.crc32(content) != self._cell("crc32", row):
            raise DecodeError(path, f"{where}, whose bytes there have another checksum; copy the shard again")
        return content

    def _row(self, name: str) -> int | None:
        row = self._at(name)
        return row if row < len(self._paths) and self._paths[row].as_py() == name else None

    def _range(self, folder: str) -> tuple[int, int]:
        """Return the first row below a folder, and the first after them."""
        if not folder:
            return 0, len(self._paths)
        return self._at(f"{folder}/"), self._at(f"{folder}0")  # 0 is what follows / in the order of characters

    def _at(self, name: str) -> int:
        return bisect_left(range(len(self._paths)), name, key=lambda row: self._paths[row].as_py())

    def _cell(self, column: str, row: int) -> int:
        return int(self._table[column][row].as_py())

    def _open_shard(self, number: int) -> BinaryIO:
        return open(os.path.join(self.root, shard_name(number)), "rb")


def _checked(path: str) -> pa.Table:
    try:
        table = pa.ipc.open_file(pa.memory_map(path)).read_all()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: no index of a packed data set: {error}; copy it again or pack anew") from error
    if not table.schema.equals(SCHEMA):
        raise UserError(f"{path}: its columns are {', '.join(table.schema.names)}; expected {', '.join(SCHEMA.names)}")
    table = table.combine_chunks()
    paths = table["path"]
    outside = pc.index(pc.match_substring_regex(paths, OUTSIDE), True).as_py()
    if outside >= 0:
        raise UserError(f"{path}: row {outside} names '{paths[outside].as_py()}', which leaves the data set")
    for column in ("shard", "offset", "size"):
        if pc.any(pc.less(table[column], 0)).as_py():
            raise UserError(f"{path}: a {column} is negative; copy it again or pack anew")
    if len(paths) > 1:
        apart = pc.index(pc.less(paths.slice(0, len(paths) - 1), paths.slice(1)), False).as_py()
        if apart >= 0:
            raise UserError(f"{path}: row {apart + 1} is not after row {apart}; expected ascending paths, each once")
    return table
