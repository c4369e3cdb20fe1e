"""The files of a data set as its readers and decoders see them, be they files of their own or members of a pack.

A packed data set is a folder with the index of a pack in it (`packed.INDEX`): its folders and annotation files are
plain, its videos and pictures lie in a few tar files. Whoever lists, stamps or opens through this module sees one tree.
A plain file goes before a member of the same name.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from sigma_bench.data.packed import Pack

INDEX = "pack.arrow"
"""File at the root of a packed data set that says where its members lie."""
LOOKED_AT = 1 << 14
"""Paths of which a process remembers the pack they lie in; a data set has a million."""


class Place(NamedTuple):
    """Where a path lies in a pack; `name` is relative to the pack's root, with forward slashes."""

    pack: Pack
    name: str


def names(folder: Path) -> frozenset[str]:
    """Return the names of the files and folders in `folder`; none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            there = frozenset(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        there = frozenset()
    place = _place(folder)
    return there if place is None else there | place.pack.children(place.name)


def stamp(path: Path) -> tuple[int, int]:
    """Return size in bytes and time of the last change in nanoseconds; (0, 0) where there is no such file.

    Of a folder of frames the size is the number of its entries. Of a packed file the second number is the checksum of
    its content.
    """
    try:
        status = os.stat(path)
    except OSError:
        place = _place(path)
        return (0, 0) if place is None else place.pack.stamp(place.name)
    return len(names(path)) if stat.S_ISDIR(status.st_mode) else status.st_size, status.st_mtime_ns


def is_file(path: Path) -> bool:
    """Return whether there is such a file."""
    if os.path.isfile(path):
        return True
    place = _place(path)
    return place is not None and place.name in place.pack


def read(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: There is no such file, or it cannot be read.
        DecodeError: It is packed, and its pack is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read()
    except FileNotFoundError:
        found = member(path)
        if found is None:
            raise
        return found


def open(path: Path) -> BinaryIO:
    """Return a file opened for reading bytes; a packed one is in memory.

    Raises:
        OSError: There is no such file, or it cannot be read.
        DecodeError: It is packed, and its pack is damaged.
    """
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        found = member(path)
        if found is None:
            raise
        return io.BytesIO(found)


def member(path: str | os.PathLike[str]) -> bytes | None:
    """Return the content of a packed file; None where `path` is no member of a pack.

    Raises:
        DecodeError: The pack is damaged.
    """
    place = _place(path)
    if place is None or place.name not in place.pack:
        return None
    return place.pack.read(place.name)


def members(folder: Path) -> list[str]:
    """Return the packed files below `folder`, relative to it, with forward slashes, in ascending order."""
    place = _place(folder)
    return [] if place is None else place.pack.below(place.name)


def walk(folder: Path) -> list[str]:
    """Return every file below `folder`, relative to it, with forward slashes, in ascending order.

    Packed files are among them, the files of the pack itself are not. Links are followed, but for those to a folder
    that they are in.
    """
    own = {name for name in names(folder) if is_own(name)} if os.path.isfile(os.path.join(folder, INDEX)) else set()
    plain = {path for path, is_folder in _tree(os.fspath(folder), "", ()) if not is_folder}
    return sorted(plain - own | set(members(folder)))


def folders(folder: Path) -> list[str]:
    """Return every plain folder below `folder`, as `walk` returns files."""
    return sorted(path for path, is_folder in _tree(os.fspath(folder), "", ()) if is_folder)


def _tree(top: str, below: str, above: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    here = os.path.join(top, below)
    real = os.path.realpath(here)
    if real in above:
        return
    with os.scandir(here) as entries:
        found = [(below + entry.name, entry.is_dir()) for entry in entries]
    for path, is_folder in found:
        yield path, is_folder
        if is_folder:
            yield from _tree(top, f"{path}/", (*above, real))


def forget() -> None:
    """Look anew, from now on, which folders hold a pack; a process looks once."""
    _above.cache_clear()


def is_own(name: str) -> bool:
    """Return whether a pack keeps a file of this name at its root for itself."""
    return name == INDEX or (name.startswith("shard-") and name.endswith(".tar"))


def _place(path: str | os.PathLike[str]) -> Place | None:
    file = os.path.abspath(path)
    pack = _above(file)
    if pack is None:
        return None
    return Place(pack, "" if file == pack.root else file[len(pack.root) + 1 :].replace(os.sep, "/"))


@lru_cache(LOOKED_AT)
def _above(folder: str) -> Pack | None:
    """Return the pack at the nearest folder at or above `folder` that holds one."""
    if os.path.isfile(os.path.join(folder, INDEX)):
        from sigma_bench.data.packed import Pack

        return Pack(folder)
    parent = os.path.dirname(folder)
    return None if parent == folder else _above(parent)
