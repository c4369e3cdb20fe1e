"""Pictures as samples: one file, or a folder of numbered frames.

Pillow reads them as `Image.open(path).convert("RGB")` does, which is the protocol of ImageNet and of every reader built
on torchvision's ImageFolder: grey, palette and CMYK pictures become RGB, transparency is dropped, and the orientation
noted in EXIF is not applied.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from sigma_bench.data import files
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Frames, ascending
from sigma_bench.data.decode.media import PICTURES

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
"""What is looked for in a file, whatever its ending says: ImageNet has a PNG that is named .JPEG."""
MAX_PIXELS = 1 << 26
"""Of a picture that is read: 64 million, 192 MiB as RGB."""
DEEP = ("I", "F")
"""First letters of modes of more than eight bits, which Pillow's conversion to RGB would cut off at 255."""
T = TypeVar("T")
NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>[0-9]+)(?P<ending>\.[^.]+)", re.DOTALL)
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError, struct.error, zlib.error)
"""What Pillow raises at damaged files."""


def version() -> str:
    """Return the version of Pillow."""
    return metadata.version("pillow")


def numbered(folder: Path) -> dict[int, str]:
    """Return number -> file name of the frames in a folder, ascending.

    The number is the last one in the name (`00005.jpg`, `AB12C-000001.jpg`, `image_00001.jpg`); gaps are allowed.
    Hidden files and files that are no pictures by their ending are not frames.

    Raises:
        DecodeError: A picture without a number, two kinds of names, a number twice, or no picture.
    """
    found: dict[int, str] = {}
    kind: tuple[str, str] | None = None
    for name in sorted(files.names(folder)):
        if name.startswith(".") or os.path.splitext(name)[1].lower() not in PICTURES:
            continue
        parts = NUMBERED.fullmatch(name)
        if parts is None:
            raise DecodeError(folder, f"'{name}' has no number; expected frames named like 00001.jpg")
        number, own = int(parts["number"]), (parts["before"], parts["ending"])
        kind = kind or own
        if own != kind:
            raise DecodeError(
                folder,
                f"'{name}' is not named like '{kind[0]}NUMBER{kind[1]}', as the others are; a folder holds the frames "
                "of one video",
            )
        if number in found:
            raise DecodeError(folder, f"'{found[number]}' and '{name}' are both frame {number}")
        found[number] = name
    if not found:
        raise DecodeError(folder, f"no frame: no file in it ends in {', '.join(sorted(PICTURES))}")
    return {number: found[number] for number in sorted(found)}


def unbroken(folder: Path) -> None:
    """Check that the frames in a folder follow one another in equal steps of their numbers, whatever the first.

    Where a list says at which frame or second something happens, an absent frame would shift all after it.

    Raises:
        DecodeError: A frame is absent, or the folder holds none.
    """
    numbers = list(numbered(folder))
    steps = [after - before for before, after in pairwise(numbers)]
    step = min(steps, default=1)
    for before, after in pairwise(numbers):
        if after - before != step:
            raise DecodeError(
                folder,
                f"frame {after} follows frame {before}, where frames are {step} apart; all after an absent one would "
                "stand for earlier moments, so extract the video anew",
            )


class Still:
    """A picture, as a file of one frame."""

    backend = "pillow"
    count = 1
    times = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.height, self.width = _size(self._path)

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the picture as often as index 0 is asked for, uint8 RGB (N, H, W, 3).

        Raises:
            DecodeError: It is damaged.
            IndexError: Another index than 0.
        """
        return ascending(indices, 1, lambda _: _decode(self._path)[None])

    def close(self) -> None:
        """Do nothing: the file is open only while it is read."""


class FrameFolder:
    """A folder of numbered pictures, as a file whose frames they are.

    Attributes:
        numbers: The frame numbers in the names, ascending; frame k of the reader is the one of `numbers[k]`.
    """

    backend = "pillow"
    times = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._folder = Path(path)
        named = numbered(self._folder)
        self.numbers, self._names = tuple(named), tuple(named.values())
        self.count = len(named)
        self.height, self.width = self._of(0, _size)

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the frames at `indices` (places in the order of the numbers) as uint8 RGB (N, H, W, 3).

        Raises:
            DecodeError: A picture is damaged or of another size than the first; it is named.
            IndexError: An index is not in 0..count-1.
        """
        return ascending(indices, self.count, self._ascending)

    def close(self) -> None:
        """Do nothing: each picture is open only while it is read."""

    def _ascending(self, indices: list[int]) -> Frames:
        out = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        for slot, index in enumerate(indices):
            picture = self._of(index, _decode)
            if picture.shape != out.shape[1:]:
                raise DecodeError(
                    self._folder,
                    f"'{self._names[index]}' is {picture.shape[1]}x{picture.shape[0]}, but '{self._names[0]}' is "
                    f"{self.width}x{self.height}; frames of a video have one size",
                )
            out[slot] = picture
        return out

    def _of(self, index: int, read: Callable[[Path], T]) -> T:
        """Return what `read` finds in a frame; an error is the folder's and names the frame."""
        name = self._names[index]
        try:
            return read(self._folder / name)
        except DecodeError as error:
            raise DecodeError(self._folder, f"'{name}': {error.reason}") from error


def _size(path: Path) -> tuple[int, int]:
    """Return height and width as the header states them."""
    try:
        with _open(path) as picture:
            return picture.height, picture.width
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _decode(path: Path) -> Frames:
    try:
        with _open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except DAMAGE as error:
        raise _damaged(path, error) from error


def _open(path: Path) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(files.read(path)), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise DecodeError(path, f"refused: {error}") from error
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        picture.close()
        raise DecodeError(
            path, f"refused: {picture.width}x{picture.height} are {pixels:,} pixels, more than {MAX_PIXELS:,}"
        )
    pictures = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    if pictures > 1:
        picture.close()
        raise DecodeError(path, f"holds {pictures} pictures, an animation; expected one")
    if picture.mode.startswith(DEEP):
        picture.close()
        raise DecodeError(path, f"has more than 8 bits a pixel of grey (mode {picture.mode}); convert it to 8 bits")
    return picture


def _damaged(path: Path, error: BaseException) -> DecodeError:
    if isinstance(error, FileNotFoundError):
        return DecodeError(path, "no such file")
    if isinstance(error, PermissionError):
        return DecodeError(path, "no permission to read the file")
    if isinstance(error, UnidentifiedImageError):
        return DecodeError(path, f"is no picture that can be read ({', '.join(FORMATS)}), or its header is damaged")
    return DecodeError(path, f"the picture is damaged or cut short ({error})")
