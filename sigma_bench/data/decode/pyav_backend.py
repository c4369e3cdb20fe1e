"""PyAV: its wheels carry FFmpeg for every platform, and it opens what FFmpeg opens."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Frames, Seconds, ascending
from sigma_bench.data.decode.scan import Scan, decodable, open_video, scan


class Backend:
    """The PyAV decoder."""

    name = "pyav"

    def version(self) -> str:
        """Return the versions of PyAV and of the libavcodec inside it."""
        codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
        return f"{av.__version__} (libavcodec {codec})"

    def unavailable(self) -> str | None:
        """Return None: PyAV is a dependency of this package."""
        return None

    def open(self, path: str | os.PathLike[str]) -> PyavReader:
        """Open a file.

        Raises:
            DecodeError: It cannot be read.
        """
        return PyavReader(path)


class PyavReader:
    """A file open in PyAV. Frames are found by their time stamps, so that a seek cannot give a neighbour."""

    backend = "pyav"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._scan: Scan = scan(path)
        self.count, self.height, self.width = self._scan.count, self._scan.height, self._scan.width
        self._index_at = {time: index for index, time in enumerate(self._scan.times)}
        self._may_seek = bool(self._scan.times)
        self._container: Any = None
        self._decoding: Iterator[Any] = iter(())
        self._last = -1
        self._rewind()

    @property
    def times(self) -> Seconds | None:
        """When each frame is shown, seconds after the first."""
        return self._scan.seconds

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the frames at `indices` as uint8 RGB (N, H, W, 3).

        Raises:
            DecodeError: A frame that is needed cannot be decoded.
            IndexError: An index is not in 0..count-1.
        """
        return ascending(indices, self.count, self._ascending)

    def close(self) -> None:
        """Release the file."""
        self._decoding = iter(())
        self._container.close()

    def _ascending(self, indices: list[int]) -> Frames:
        out = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        try:
            for slot, index in enumerate(indices):
                self._approach(index)
                frame = self._decode_to(index)
                if frame is None and self._may_seek:
                    # the seek landed behind the frame: this container's index is wrong, read from the start instead
                    self._may_seek = False
                    self._rewind()
                    frame = self._decode_to(index)
                if frame is None:
                    raise DecodeError(self._path, self._how_many(f"frame {index} does not come out"))
                out[slot] = self._picture(frame)
        except FFmpegError as error:
            raise DecodeError(self._path, self._how_many(error.strerror or str(error))) from error
        return out

    def _approach(self, index: int) -> None:
        """Go to the last key frame at or before `index` where that saves decoding or lies behind."""
        behind = index <= self._last
        if self._may_seek:
            at = bisect_right(self._scan.keys, index, key=lambda k: k.index) - 1
            if at >= 0 and (behind or self._scan.keys[at].index > self._last + 1):
                key = self._scan.keys[at]
                self._container.seek(key.time, stream=self._container.streams[self._scan.stream])
                self._start(key.index - 1)
                return
        if behind:
            self._rewind()

    def _decode_to(self, index: int) -> Any:
        """Return the frame at `index`; None where a later one, or the end, comes first."""
        for frame in self._decoding:
            if not self._index_at:
                self._last += 1
            elif frame.pts in self._index_at:
                self._last = self._index_at[frame.pts]
            else:
                continue
            if self._last == index:
                return frame
            if self._last > index:
                return None
        self._last = self.count
        return None

    def _rewind(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container, _ = open_video(self._path)
        self._start(-1)

    def _start(self, last: int) -> None:
        self._decoding = self._container.decode(self._container.streams[self._scan.stream])
        self._last = last

    def _picture(self, frame: Any) -> Frames:
        picture: Frames = frame.to_ndarray(format="rgb24")
        turned = np.rot90(picture, self._scan.turn // 90)
        if turned.shape[:2] != (self.height, self.width):
            raise DecodeError(
                self._path,
                f"the picture changes size from {self.width}x{self.height} to {turned.shape[1]}x{turned.shape[0]}",
            )
        return turned

    def _how_many(self, why: str) -> str:
        return f"{decodable(self._path)} of {self.count} frames decodable from the start ({why})"
