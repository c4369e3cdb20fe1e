"""What is raised where a file cannot be decoded."""

from __future__ import annotations

import os


class DecodeError(Exception):
    """A file, or the frames asked of it, cannot be decoded.

    Attributes:
        path: The file.
        reason: Why, in words that can stand in a report.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(str(path), reason)
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"
