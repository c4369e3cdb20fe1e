"""decord: what the reference protocols were measured with. No wheel for arm64, and no release since 2021."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Frames, Seconds, ascending
from sigma_bench.data.decode.pyav_backend import PyavReader
from sigma_bench.data.decode.scan import Scan, failure, scan

ATTEMPTS = 10
"""Reads of frames that are sound, before decord's error is believed."""


class Backend:
    """The decord decoder."""

    name = "decord"

    def version(self) -> str:
        """Return the version of decord; the FFmpeg inside its wheel does not tell its own."""
        return metadata.version("decord")

    def unavailable(self) -> str | None:
        """Return why decord cannot be used here; None where it can."""
        if importlib.util.find_spec("decord") is None:
            return "decord is not installed: `pip install decord` (x86-64 only), or name the decoder pyav"
        return None

    def open(self, path: str | os.PathLike[str]) -> DecordReader:
        """Open a file.

        Raises:
            DecodeError: decord cannot read it.
        """
        return DecordReader(path)


class DecordReader:
    """A file open in decord.

    decord numbers key frames in the order of decoding. Where that differs from the order of showing (open groups of
    pictures: much HEVC, MPEG-2, some H.264) each of its seeks, and each skip over a key frame, gives a neighbour of the
    frame asked for, without an error. So it does where a key is no place to start at (`h264`). In such files every
    frame is read from the start, which is exact.
    """

    backend = "decord"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._scan: Scan = scan(path)
        self.count, self.height, self.width = self._scan.count, self._scan.height, self._scan.width
        if self._scan.hidden:
            raise DecodeError(
                path,
                f"an edit list hides {self._scan.hidden} of its {self._scan.hidden + self.count} frames, and decord "
                "cannot follow one; the decoder pyav can",
            )
        self._video: Any = self._open()
        if len(self._video) != self.count:
            raise DecodeError(path, f"decord finds {len(self._video)} frames, the file holds {self.count}")
        sought = {int(k) for k in self._video.get_key_indices()}
        self._seeks_right = bool(sought) and sought <= self._scan.splits
        self._next = 0

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
        self._video = None

    def _ascending(self, indices: list[int]) -> Frames:
        decord = _decord()
        for attempt in range(ATTEMPTS):
            try:
                if self._seeks_right:
                    frames: Frames = self._video.get_batch(indices).asnumpy()
                else:
                    frames = self._from_the_start(indices)
                break
            except (decord.DECORDError, RuntimeError, StopIteration) as error:
                if attempt + 1 == ATTEMPTS or not self._others_can(indices):
                    raise failure(self._path, self.count, self.backend, _first_words(error)) from error
                self._video, self._next = self._open(), 0
        if frames.shape != (len(indices), self.height, self.width, 3):
            # rows of some narrow pictures (16, 24, 48 and 72 wide) keep their padding, as if they had more colours
            given = "x".join(str(n) for n in frames.shape[1:])
            raise failure(self._path, self.count, self.backend, f"gives {given}, not {self.height}x{self.width}x3")
        return frames

    def _others_can(self, indices: list[int]) -> bool:
        """Tell whether the frames are sound.

        decord's thread runs ahead of the frames asked for, by how much is a matter of timing, and damage that it meets
        there fails the read as well. PyAV's verdict depends on the file alone.
        """
        reader = PyavReader(self._path)
        try:
            for index in indices:
                reader.frames([index])
        except DecodeError:
            return False
        finally:
            reader.close()
        return True

    def _from_the_start(self, indices: list[int]) -> Frames:
        if indices[0] < self._next:
            self._video, self._next = self._open(), 0
        wanted, found = set(indices), []
        while self._next <= indices[-1]:
            frame = self._video.next()
            if self._next in wanted:
                found.append(frame.asnumpy())
            self._next += 1
        return np.stack(found)

    def _open(self) -> Any:
        decord = _decord()
        try:
            return decord.VideoReader(self._scan.path, ctx=decord.cpu(0), num_threads=1)
        except (decord.DECORDError, RuntimeError) as error:
            raise DecodeError(self._path, f"decord cannot open it ({_first_words(error)})") from error


def _decord() -> Any:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _first_words(error: BaseException) -> str:
    """Return decord's message without its place in the source and its stack."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return re.sub(r"^.* vs\. -?\d+\) |^.*\.cc:\d+: ", "", text)[:160]
