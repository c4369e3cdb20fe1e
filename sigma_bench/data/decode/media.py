"""What reads a path: a video decoder, or one of the readers of pictures."""

from __future__ import annotations

import os
import stat
from pathlib import PurePath

from sigma_bench.data import files
from sigma_bench.data.decode.interface import Backend, Reader
from sigma_bench.registry import load_object

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""Endings of still pictures, in any case."""
CIFAR = ("cifar-100-python", frozenset({"train", "test"}))
"""Folder and names of the files that hold many pictures."""


def open_media(backend: Backend, path: str | os.PathLike[str]) -> Reader:
    """Open a sample's path with what reads it.

    A folder is read as numbered frames, a picture as one frame, a CIFAR-100 file as a frame a picture, and everything
    else by the video decoder, a packed video from memory. The choice is made by the name alone but for one look at
    what is there. Readers of pictures are imported when the first is met: a process that decodes videos starts without
    them.

    Args:
        backend: Reads videos.
        path: A video, a still picture, a folder of numbered frames, or a CIFAR-100 file.

    Raises:
        DecodeError: It cannot be read.
    """
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        return _reader("sigma_bench.data.decode.stills:FrameFolder", path)
    name = PurePath(path)
    if name.suffix.lower() in PICTURES:
        return _reader("sigma_bench.data.decode.stills:Still", path)
    if name.parent.name == CIFAR[0] and name.name in CIFAR[1]:
        return _reader("sigma_bench.data.decode.cifar:CifarReader", path)
    packed = None if mode else files.member(path)
    if packed is None:
        return backend.open(path)
    from sigma_bench.data.decode.member import MemberReader

    return MemberReader(backend, path, packed)


def _mode(path: str | os.PathLike[str]) -> int:
    """Return what kind of file it is, as the system says; 0 where there is none."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _reader(target: str, path: str | os.PathLike[str]) -> Reader:
    opened: Reader = load_object(target)(path)
    return opened
