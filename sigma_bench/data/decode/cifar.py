"""CIFAR's files of several pictures: each row of the pickle is a frame."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data import files, pickles
from sigma_bench.data.decode.errors import DecodeError
from sigma_bench.data.decode.interface import Frames, ascending

SIDE = 32
"""Height and width of the pictures, pixels."""
KEPT = 2
"""Files that a process keeps: a training and a test file."""

_kept: OrderedDict[tuple[str, int, int], dict[str, Any]] = OrderedDict()


def contents(path: Path) -> dict[str, Any]:
    """Return the content of one of CIFAR's pickles by its keys, those of Python 2 as text.

    The files read last are kept, so that a process reads each once; one that was written anew is read anew.

    Raises:
        UserError: The file is absent, no such pickle, or no dict of text keys.
    """
    size, changed = files.stamp(path)
    key = (os.fspath(path), size, changed)
    if key not in _kept:
        _kept[key] = _read(path)
    _kept.move_to_end(key)
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return _kept[key]


def pictures(path: Path) -> np.ndarray:
    """Return `data` of one of CIFAR's pickles: uint8 (N, 3072), each row 1,024 red, green and blue values.

    Raises:
        UserError: The file cannot be read, or `data` is not such an array.
    """
    data = contents(path).get("data")
    width = 3 * SIDE * SIDE
    if not isinstance(data, np.ndarray):
        found = "is absent" if data is None else f"is a {type(data).__name__}"
        raise UserError(f"{path}: key 'data' {found}; expected an array of uint8 (N, {width})")
    if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != width or not len(data):
        raise UserError(f"{path}: key 'data' is {data.dtype} {data.shape}; expected uint8 (N, {width})")
    return data


class CifarReader:
    """The pictures of one of CIFAR's files as frames, uint8 RGB (N, 32, 32, 3)."""

    backend = "cifar"
    height = SIDE
    width = SIDE
    times = None
    """Pictures have no time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._rows = pictures(Path(path))
        except UserError as error:
            raise DecodeError(path, str(error).removeprefix(f"{path}: ")) from error
        self.count = len(self._rows)

    def frames(self, indices: Sequence[int]) -> Frames:
        """Return the pictures at `indices` as uint8 RGB (N, 32, 32, 3).

        Raises:
            IndexError: An index is not in 0..count-1.
        """
        return ascending(indices, self.count, self._ascending)

    def close(self) -> None:
        """Do nothing: the file stays in memory for its next picture."""

    def _ascending(self, rows: list[int]) -> Frames:
        planes = self._rows[rows].reshape(-1, 3, SIDE, SIDE)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def _read(path: Path) -> dict[str, Any]:
    content = pickles.load(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}; expected the dict of one of CIFAR's files")
    named: dict[str, Any] = {}
    for key, value in content.items():
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
        if not isinstance(name, str) or name in named:
            raise UserError(f"{path}: key {str(name)[:40]!r} is no text or there twice; is it one of CIFAR's files?")
        named[name] = value
    return named
