"""The files of a data set as its readers and decoders see them: which there are, and whether they changed."""

from __future__ import annotations

import os
from pathlib import Path


def names(folder: Path) -> frozenset[str]:
    """Return the names of the files and folders in `folder`; none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def stamp(path: Path) -> tuple[int, int]:
    """Return size in bytes and time of the last change in nanoseconds; (0, 0) where there is no such file.

    Of a folder of frames the size is the number of its entries.
    """
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return len(names(path)) if path.is_dir() else status.st_size, status.st_mtime_ns
