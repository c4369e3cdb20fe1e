"""What reads a path: a video decoder, or one of the readers of pictures."""

from __future__ import annotations

import os
from pathlib import PurePath

from sigma_bench.data.decode.interface import Backend, Reader
from sigma_bench.registry import load_object

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""Endings of still pictures, in any case."""
CIFAR = ("cifar-100-python", frozenset({"train", "test"}))
"""Folder and names of the files that hold many pictures."""


def open_media(backend: Backend, path: str | os.PathLike[str]) -> Reader:
    """Open a sample's path with what reads it.

    A folder is read as numbered frames, a picture as one frame, a CIFAR-100 file as a frame a picture, and everything
    else by the video decoder. The choice is made by the name alone but for one look whether it is a folder. Readers of
    pictures are imported when the first is met: a process that decodes videos starts without them.

    Args:
        backend: Reads videos.
        path: A video, a still picture, a folder of numbered frames, or a CIFAR-100 file.

    Raises:
        DecodeError: It cannot be read.
    """
    if os.path.isdir(path):
        return _reader("sigma_bench.data.decode.stills:FrameFolder", path)
    name = PurePath(path)
    if name.suffix.lower() in PICTURES:
        return _reader("sigma_bench.data.decode.stills:Still", path)
    if name.parent.name == CIFAR[0] and name.name in CIFAR[1]:
        return _reader("sigma_bench.data.decode.cifar:CifarReader", path)
    return backend.open(path)


def _reader(target: str, path: str | os.PathLike[str]) -> Reader:
    opened: Reader = load_object(target)(path)
    return opened
