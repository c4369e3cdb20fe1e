"""A video inside a pack: its bytes as a file without a place in the file system, which every decoder can open."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from sigma_bench.data import files
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Backend, Frames, Reader, Seconds


class MemberReader:
    """A packed video, open in a decoder. It is held in memory, or in a temporary file where the system has no other.

    Args:
        backend: Reads the file.
        path: The path that the video would have if it were not packed; errors name it.
        content: The bytes of the video.

    Raises:
        DecodeError: It cannot be read.
    """

    def __init__(self, backend: Backend, path: str | os.PathLike[str], content: bytes) -> None:
        self._path = path
        self._file, name = _nameless(content)
        try:
            self._reader: Reader = backend.open(name)
        except DecodeError as error:
            self._file.close()
            raise DecodeError(path, error.reason) from error
        self.count, self.height, self.width = self._reader.count, self._reader.height, self._reader.width

    @property
    def backend(self) -> str:
        """Name of the decoder that gave the last frames."""
        return self._reader.backend

    @property
    def times(self) -> Seconds | None:
        """When each frame is shown, seconds after the first."""
        return self._reader.times

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the frames at `indices` as uint8 RGB (N, H, W, 3).

        Raises:
            DecodeError: A frame that is needed cannot be decoded.
            IndexError: An index is not in 0..count-1.
        """
        try:
            return self._reader.frames(indices)
        except DecodeError as error:
            raise DecodeError(self._path, error.reason) from error

    def close(self) -> None:
        """Release the memory."""
        self._reader.close()
        self._file.close()


@contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the name under which FFmpeg can open a video: its own, or that of its content where it is packed.

    Raises:
        DecodeError: Its pack is damaged.
    """
    content = None if os.path.exists(path) else files.member(path)
    if content is None:
        yield os.fspath(path)
        return
    file, name = _nameless(content)
    with file:
        yield name


def _nameless(content: bytes) -> tuple[BinaryIO, str]:
    """Return a file with this content and the name under which this process can open it as long as it is open."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        file = cast(BinaryIO, os.fdopen(os.memfd_create("sigma-bench-member"), "w+b"))
        name = f"/proc/self/fd/{file.fileno()}"
    else:
        file = cast(BinaryIO, tempfile.NamedTemporaryFile(prefix="sigma-bench-member-"))  # noqa: SIM115 - closed later
        name = file.name
    file.write(content)
    file.flush()
    return file, name
