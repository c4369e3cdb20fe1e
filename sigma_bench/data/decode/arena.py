"""Memory that two processes share to hand over arrays. It has no name, so nothing is left behind when they die."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

ALIGNMENT = 64
STEP = 1 << 20


class Layout(NamedTuple):
    """Where an array lies in an arena."""

    offset: int
    shape: tuple[int, ...]
    dtype: str


class Arena:
    """A growing block of shared memory, known by its file descriptor.

    It is a memory file without a place in the file system: the kernel frees it with the last process that holds it,
    however that one ends, and the size of /dev/shm does not bound it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory: mmap.mmap | None = None

    @classmethod
    def create(cls) -> Arena:
        """Make an empty one in this process."""
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create("sigma-bench-frames"))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    def write(self, arrays: Sequence[np.ndarray]) -> list[Layout]:
        """Put arrays in, over what was there, and return where they lie.

        Raises:
            TypeError: An array holds Python objects.
            OSError: There is not enough memory.
        """
        layouts, end = [], 0
        for array in arrays:
            if array.dtype.hasobject:
                raise TypeError(f"an array of dtype {array.dtype} holds Python objects and cannot be shared")
            layouts.append(Layout(end, array.shape, array.dtype.str))
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        if end > os.fstat(self.descriptor).st_size:
            os.ftruncate(self.descriptor, -(-end // STEP) * STEP)
        for array, layout in zip(arrays, layouts, strict=True):
            self._view(layout)[...] = array
        return layouts

    def read(self, layouts: Sequence[Layout]) -> tuple[np.ndarray, ...]:
        """Return copies of the arrays at `layouts`, each contiguous."""
        return tuple(self._view(layout).copy() for layout in layouts)

    def close(self) -> None:
        """Let go of the memory."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        os.close(self.descriptor)

    def _view(self, layout: Layout) -> np.ndarray[Any, Any]:
        dtype = np.dtype(layout.dtype)
        size = dtype.itemsize * int(np.prod(layout.shape))
        if size == 0:
            return np.empty(layout.shape, dtype)
        if self._memory is None or layout.offset + size > len(self._memory):
            if self._memory is not None:
                self._memory.close()
            self._memory = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        return np.ndarray(layout.shape, dtype, buffer=self._memory, offset=layout.offset)
