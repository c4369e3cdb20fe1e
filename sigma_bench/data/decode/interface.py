"""What every decoder offers, and the rules that all of them keep.

- The video stream is FFmpeg's best one (`av_find_best_stream`: the default disposition first, then the most frames);
  where that is an attached picture, the first other one. An attached picture is never taken.
- The display matrix is applied: 90 and 270 degrees swap width and height, 180 turns the picture.
- The frame count is the number of packets that are shown, found by demuxing the file; what the container says about
  its length is not used.
- Frames are decoded in ascending order, each once, and handed back in the order asked for.

Under these rules the decoders give the same pixels, but for these files:

- 10-bit and interlaced H.264: the conversion to RGB differs between FFmpeg versions (all three decoders carry or find
  another one).
- AV1, edit lists that hide frames, pictures 16, 24, 48 or 72 wide: decord cannot read them, and says so.
- AVI and MPEG streams, whose time stamps cannot be relied on, and the last frames of some H.264: torchcodec cannot read
  them, and says so.
- H.264 with intra refresh instead of key frames: torchcodec gives pictures that are refreshed in part.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
"""RGB frames (N, H, W, 3)."""
Seconds = npt.NDArray[np.float64]
"""When frames are shown (N,), seconds after the first one; strictly ascending."""


class Reader(Protocol):
    """An open file."""

    count: int
    """Frames of the file, measured."""
    height: int
    """Of a frame, pixels, after rotation."""
    width: int
    """Of a frame, pixels, after rotation."""

    @property
    def backend(self) -> str:
        """Name of the decoder that reads this file; under a policy of several, the one that gave the last frames."""
        ...

    @property
    def times(self) -> Seconds | None:
        """When each frame is shown, by the time stamps in the file; None where it has none.

        In containers that keep no reliable time stamps (AVI, MPEG streams) the frames follow at the average rate that
        the file states; None where it states none.
        """
        ...

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the frames at `indices` (any order, repetitions allowed) as uint8 RGB (N, H, W, 3).

        Raises:
            DecodeError: A frame that is needed cannot be decoded.
            IndexError: An index is not in 0..count-1.
        """
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class Backend(Protocol):
    """A decoder."""

    name: str

    def version(self) -> str:
        """Return the version of the library, and of the FFmpeg below it where the library tells."""
        ...

    def unavailable(self) -> str | None:
        """Return why this decoder cannot be used here and what to do about it; None where it can."""
        ...

    def open(self, path: str | os.PathLike[str]) -> Reader:
        """Open a file.

        Raises:
            DecodeError: It cannot be read by this decoder.
        """
        ...


def ascending(indices: Sequence[int], count: int, decode: Callable[[list[int]], Frames]) -> Frames:
    """Decode the distinct indices in ascending order, and return the frames in the order asked for.

    Args:
        indices: Frames wanted, in any order.
        count: Frames of the file.
        decode: Returns the frames at strictly ascending indices.

    Raises:
        IndexError: An index is not in 0..count-1, or none is given.
    """
    wanted = np.asarray(indices, dtype=np.int64)
    if wanted.ndim != 1 or not len(wanted):
        raise IndexError("no frame asked for; expected a flat list of at least one index")
    if wanted.min() < 0 or wanted.max() >= count:
        raise IndexError(f"frames {wanted.min()} to {wanted.max()} asked of a file that has 0 to {count - 1}")
    unique, place = np.unique(wanted, return_inverse=True)
    frames = decode(unique.tolist())
    return frames if np.array_equal(unique, wanted) else frames[place]
