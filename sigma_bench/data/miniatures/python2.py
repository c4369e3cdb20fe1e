"""Pickles as Python 2 wrote them (protocol 2), which Python 3 can read but no longer write."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_TAIL = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"


def dumps(value: Any) -> bytes:
    """Return the pickle of a dict, list, bytes, integer or uint8 array, nested as you like.

    The bytes become Python 2's `str`, and arrays what NumPy 1 made of them. As `cPickle` did, every container and
    string is given a number, though nothing is ever recalled by it.

    Raises:
        TypeError: A value is of another type.
    """
    parts = [b"\x80\x02"]
    _write(parts, value, _Numbers())
    return b"".join([*parts, b"."])


class _Numbers:
    def __init__(self) -> None:
        self.last = -1

    def next(self) -> bytes:
        self.last += 1
        return b"q" + bytes([self.last]) if self.last < 256 else b"r" + struct.pack("<I", self.last)


def _write(parts: list[bytes], value: Any, numbers: _Numbers) -> None:
    if isinstance(value, dict):
        parts += [b"}", numbers.next(), b"("]
        for key, item in value.items():
            _write(parts, key, numbers)
            _write(parts, item, numbers)
        parts.append(b"u")
    elif isinstance(value, list):
        parts += [b"]", numbers.next(), b"("]
        for item in value:
            _write(parts, item, numbers)
        parts.append(b"e")
    elif isinstance(value, bytes):
        parts += [_text(value), numbers.next()]
    elif isinstance(value, int):
        parts.append(_integer(value))
    elif isinstance(value, np.ndarray) and value.dtype == np.uint8:
        _write_array(parts, value, numbers)
    else:
        raise TypeError(f"a {type(value).__name__} is not written; expected dict, list, bytes, int or array of uint8")


def _write_array(parts: list[bytes], array: np.ndarray, numbers: _Numbers) -> None:
    called = [b"cnumpy.core.multiarray\n_reconstruct\n", numbers.next(), b"cnumpy\nndarray\n", numbers.next()]
    called += [b"K\x00\x85", numbers.next(), b"U\x01b", numbers.next(), b"\x87", numbers.next(), b"R", numbers.next()]
    kind = [b"cnumpy\ndtype\n", numbers.next(), b"U\x02u1", numbers.next(), b"K\x00K\x01\x87", numbers.next()]
    kind += [b"R", numbers.next(), b"(K\x03U\x01|", numbers.next(), _TAIL, numbers.next(), b"b"]
    shape = [b"(", *(_integer(side) for side in array.shape), b"t", numbers.next()]
    parts += [*called, b"(K\x01", *shape, *kind, b"\x89", _text(array.tobytes()), numbers.next()]
    parts += [b"t", numbers.next(), b"b"]


def _text(value: bytes) -> bytes:
    return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))) + value


def _integer(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return b"K" + bytes([value])
    if 0 <= value < 1 << 16:
        return b"M" + struct.pack("<H", value)
    return b"J" + struct.pack("<i", value)
