"""Writing a data set as a pack: the videos and pictures into tar shards, everything else as it is.

The folders of the tree stay as (mostly empty) folders, so that a reader that asks for one finds it. Files that hold
many pictures already (CIFAR) gain nothing and stay plain. The same files give the same bytes, wherever and whenever
they are packed: times, owners and rights are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa
from filelock import FileLock, Timeout

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets.folder import EXTENSIONS
from sigma_bench.data.decode.media import PICTURES
from sigma_bench.data.packed import SCHEMA, shard_name

MEDIA = EXTENSIONS | PICTURES
"""Endings of the files that go into shards."""
BLOCK = tarfile.BLOCKSIZE
Row = tuple[str, int, int, int, int]
"""A row of the index: path, shard, offset, size, crc32."""


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes:
        root: The packed data set.
        members: Files in shards.
        shards: Number of shards.
        bytes: Of the members.
        copied: Files that stay plain.
        kept: Shards that an earlier, interrupted run had written.
    """

    root: Path
    members: int
    shards: int
    bytes: int
    copied: int
    kept: int


@dataclass(frozen=True)
class Member:
    """A file as it was listed: path relative to the data set, size, time of its last change."""

    path: str
    size: int
    changed: int


def pack(source: Path, target: Path, shard_bytes: int) -> Packed:
    """Write the data set at `source` as a pack at `target`.

    It is built beside `target` under another name and renamed when it is whole. A run that was interrupted goes on
    with the shards it had finished, where their files have not changed since.

    Args:
        source: Folder of a data set. Links are followed.
        target: Folder it shall have; must not exist.
        shard_bytes: Size of a shard; a file that is larger has one of its own.

    Raises:
        UserError: `target` exists or is in `source`, `source` is packed already or holds no media, a name cannot be
            packed, or a file changes meanwhile.
    """
    source, target = source.absolute(), target.absolute()
    _check(source, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.partial"
    try:
        with FileLock(target.parent / f".{target.name}.lock", timeout=0):
            done = _pack(source, target, partial, shard_bytes)
    except Timeout as error:
        raise UserError(f"another process packs into {target}; wait for it") from error
    files.forget()
    return done


def plan(members: Sequence[Member], shard_bytes: int) -> Iterator[list[Member]]:
    """Yield the members of each shard: in order, as many as fit."""
    shard: list[Member] = []
    room = shard_bytes
    for member in members:
        need = BLOCK + -(-member.size // BLOCK) * BLOCK
        if shard and need > room:
            yield shard
            shard, room = [], shard_bytes
        shard.append(member)
        room -= need
    if shard:
        yield shard


def _check(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise UserError(f"{source} is not a folder; expected a data set")
    if target.resolve().is_relative_to(source.resolve()) or source.resolve().is_relative_to(target.resolve()):
        raise UserError(f"{target} is, or is inside, or holds {source}; name a folder elsewhere with --out")
    if os.path.lexists(target):
        raise UserError(f"{target} exists; a pack is written once. Name another --out, or move it away")
    if (source / files.INDEX).exists():
        raise UserError(f"{source} is packed already; copy it as it is")


def _pack(source: Path, target: Path, partial: Path, shard_bytes: int) -> Packed:
    everything = files.walk(source)
    members = [_member(source, name) for name in everything if PurePosixPath(name).suffix.lower() in MEDIA]
    if not members:
        raise UserError(f"{source} holds no videos or pictures ({' '.join(sorted(MEDIA))}); there is nothing to pack")
    packed = {member.path for member in members}
    plain = [Member(name, *_size(source, name)) for name in everything if name not in packed]
    shards = list(plan(members, shard_bytes))
    _sweep(partial, len(shards))
    found = [_finished(partial, number, source, shard) for number, shard in enumerate(shards)]
    unwritten = [m for shard, done in zip(shards, found, strict=True) if done is None for m in shard]
    need, free = sum(m.size + 2 * BLOCK for m in unwritten + plain), shutil.disk_usage(target.parent).free
    if need > free:
        raise UserError(f"{target.parent}: the pack needs {need / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free")
    rows: list[Row] = []
    for number, (shard, done) in enumerate(zip(shards, found, strict=True)):
        rows += done if done is not None else _write(partial, number, source, shard)
    for name in files.folders(source):
        (partial / name).mkdir(parents=True, exist_ok=True)
    for member in plain:
        shutil.copyfile(source / member.path, partial / member.path)
        _check_same(source, member)
    _write_index(partial, rows)
    for number in range(len(shards)):
        _record(partial, number).unlink()
    os.rename(partial, target)
    kept = sum(done is not None for done in found)
    return Packed(target, len(members), len(shards), sum(m.size for m in members), len(plain), kept)


def _member(source: Path, name: str) -> Member:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"{source}: {name!r} is no UTF-8 name and cannot be packed; rename the file") from error
    if "\\" in name:
        raise UserError(f"{source}: '{name}' has a backslash in its name and cannot be packed; rename the file")
    return Member(name, *_size(source, name))


def _size(source: Path, name: str) -> tuple[int, int]:
    """Return size and time of change of a file that can be copied."""
    try:
        status = os.stat(source / name)
    except OSError as error:
        raise UserError(f"{source / name}: {error.strerror}; mend or remove the link") from error
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{source / name} is no regular file; take it out of the data set")
    if "/" not in name and files.is_own(name):
        raise UserError(f"{source / name} has a name that a pack keeps for itself; move it out of the data set")
    return status.st_size, status.st_mtime_ns


def _check_same(source: Path, member: Member) -> None:
    """Refuse a file that is no longer the one that was listed: what was copied may be half of each."""
    if _size(source, member.path) != (member.size, member.changed):
        raise _changed(source, member)


def _changed(source: Path, member: Member) -> UserError:
    return UserError(f"{source / member.path} changed while it was packed; pack again when it is complete")


def _sweep(partial: Path, shards: int) -> None:
    """Leave nothing of an earlier run in `partial` but shards of this one that have a record."""
    records = {_record(partial, number).name for number in range(shards)}
    kept = records | {name.removesuffix(".json") for name in records}
    partial.mkdir(exist_ok=True)
    for entry in partial.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name not in kept:
            entry.unlink()


def _write(partial: Path, number: int, source: Path, shard: Sequence[Member]) -> list[Row]:
    """Write a shard and, when it is whole, the record that says so."""
    unfinished = partial / f"{shard_name(number)}.partial"
    rows: list[Row] = []
    with open(unfinished, "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in shard:
            info = tarfile.TarInfo(member.path)
            info.size, info.mode, info.mtime = member.size, 0o644, 0
            with open(source / member.path, "rb") as content:
                summed = _Summed(content)
                try:
                    tar.addfile(info, summed)
                except OSError as error:
                    if error.errno is not None:  # a disk's; tarfile's own, at a file that ends early, has none
                        raise
                    raise _changed(source, member) from error
            _check_same(source, member)
            offset = tar.offset - -(-member.size // BLOCK) * BLOCK
            rows.append((member.path, number, offset, member.size, summed.crc32))
    size = unfinished.stat().st_size
    os.replace(unfinished, partial / shard_name(number))
    members = [[m.path, m.size, m.changed] for m in shard]
    record = {"source": str(source), "members": members, "bytes": size, "rows": rows}
    text = partial / f"{_record(partial, number).name}.partial"
    text.write_text(json.dumps(record), encoding="utf-8")
    os.replace(text, _record(partial, number))
    return rows


class _Summed:
    """A file that sums what is read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.crc32 = 0

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.crc32 = zlib.crc32(content, self.crc32)
        return content


def _record(partial: Path, number: int) -> Path:
    return partial / f"{shard_name(number)}.json"


def _finished(partial: Path, number: int, source: Path, shard: Sequence[Member]) -> list[Row] | None:
    """Return the rows of a shard that an earlier run finished of the same files; None where it did not."""
    try:
        record = json.loads(_record(partial, number).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    same = record["source"] == str(source) and record["members"] == [[m.path, m.size, m.changed] for m in shard]
    whole = same and files.stamp(partial / shard_name(number))[0] == record["bytes"]
    return [tuple(row) for row in record["rows"]] if whole else None


def _write_index(partial: Path, rows: Sequence[Row]) -> None:
    ordered = sorted(rows)
    columns = list(zip(*ordered, strict=True))
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )
    with pa.OSFile(str(partial / files.INDEX), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_table(table)
