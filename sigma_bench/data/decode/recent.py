"""Small files that were decoded lately: a decoding process keeps their frames, so that each is opened once."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sigma_bench.data import files
from sigma_bench.data.decode.backends import pick
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Backend, Frames, Reader, Seconds, ascending
from sigma_bench.data.decode.media import open_media

SMALL = 2 << 20
"""Bytes of all frames of a file that is kept: thumbnails, no video of a real data set."""
KEPT = 80 << 20
"""Bytes a process keeps: with all else it grows by less than 100 MB, whatever it opens."""

Key = tuple[str, int, int]


class KeptReader:
    """A file whose frames are in memory."""

    def __init__(self, frames: Frames, backend: str, times: Seconds | None) -> None:
        self.backend, self.times = backend, times
        self.count, self.height, self.width = frames.shape[:3]
        self._frames = frames

    @property
    def nbytes(self) -> int:
        """Bytes of the frames."""
        return self._frames.nbytes

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the frames at `indices`, uint8 (N, H, W, 3)."""
        return ascending(indices, self.count, lambda unique: self._frames[unique])

    def close(self) -> None:
        """Do nothing: the frames stay."""


class Recent:
    """Opens files, videos by a decoder, and keeps the small ones it opened last.

    Args:
        backend: Reads the videos.
        small: Bytes of the frames of a file that is kept.
        kept: Bytes kept in all.
    """

    def __init__(self, backend: Backend, small: int = SMALL, kept: int = KEPT) -> None:
        self._backend, self._small, self._kept = backend, small, kept
        self._files: OrderedDict[Key, KeptReader] = OrderedDict()
        self._bytes = 0

    def open(self, path: str | os.PathLike[str]) -> Reader:
        """Open a file, or take it from memory; a file that was written anew is read anew.

        Raises:
            DecodeError: It cannot be read.
        """
        key = _key(path)
        if key in self._files:
            self._files.move_to_end(key)
            return self._files[key]
        reader = open_media(self._backend, path)
        if 3 * reader.count * reader.height * reader.width > self._small:
            return reader
        try:
            kept = KeptReader(reader.frames(range(reader.count)), reader.backend, reader.times)
        except DecodeError:  # damaged: what is asked for may still be readable
            return reader
        reader.close()
        self._files[key] = kept
        self._bytes += kept.nbytes
        while self._bytes > self._kept:
            self._bytes -= self._files.popitem(last=False)[1].nbytes
        return kept


def _key(path: str | os.PathLike[str]) -> Key:
    return os.fspath(path), *files.stamp(Path(path))


@cache
def recent(name: str) -> Recent:
    """Return this process's keeping decoder of a name or policy."""
    return Recent(pick(name))
