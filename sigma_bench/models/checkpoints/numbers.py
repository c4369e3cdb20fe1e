"""Stand-ins for what a pickle makes NumPy's numbers with: they give Python's own numbers and touch no memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

_CODE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c8|c16)")


class NumberType:
    """In place of `numpy.dtype`: the code of a number ("f8") and its byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or _CODE.fullmatch(code) is None:
            raise ValueError(f"a NumPy value of type {code!r}; numbers are read, nothing else")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        """Take the byte order of NumPy's own state, nothing else of it."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if not isinstance(order, str) or order not in ("<", ">", "=", "|"):
            raise ValueError(f"a NumPy type with byte order {order!r}")
        self.dtype = np.dtype(order + self.dtype.str.lstrip("<>|="))


def scalar(kind: Any, data: Any) -> Any:
    """In place of `numpy.core.multiarray.scalar`: return the one number in `data`."""
    if not isinstance(kind, NumberType) or not isinstance(data, bytes) or len(data) != kind.dtype.itemsize:
        raise ValueError("a NumPy number that is no number, or of another length than its type")
    return np.frombuffer(data, kind.dtype)[0].item()


STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (scalar, "numpy.core.multiarray.scalar"),
    (scalar, "numpy._core.multiarray.scalar"),
    (NumberType, "numpy.dtype"),
]
