"""Finding and opening the list files of a data set: under their known names, in their known places, as text."""

from __future__ import annotations

import filecmp
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError

PLACES = ("", "annotations", "labels")
"""Folders below the data set's own in which its lists are looked for."""


def find(root: Path, names: Sequence[str], what: str) -> Path | None:
    """Return the one file of these names in `PLACES` below `root`, or None.

    Copies with the same content count as one.

    Args:
        root: Folder of the data set.
        names: The names it is known under.
        what: What the file is, for the message.

    Raises:
        UserError: Files of different content are there: which is meant cannot be known.
    """
    found = [path for place in PLACES for name in names if (path := root / place / name).is_file()]
    for other in found[1:]:
        if not filecmp.cmp(found[0], other, shallow=False):
            raise UserError(f"{what} is there twice and differs: {found[0]} and {other}; keep one of them")
    return found[0] if found else None


def expected(root: Path, names: Sequence[str]) -> str:
    """Return where `find` looked, in words."""
    return f"{' or '.join(names)} in {' or '.join(str(root / place) for place in PLACES)}"


def text(path: Path) -> str:
    """Return the text of a list; a byte order mark is dropped.

    Raises:
        UserError: The file is unreadable or no UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not a text file (byte {error.start}); expected an official list") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def parsed(path: Path) -> Any:
    """Return the content of a JSON file; a key that appears twice in one object is refused.

    Raises:
        UserError: The file is unreadable, no JSON, or repeats a key.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise UserError(f"{path}: key '{twice}' appears twice in one object; expected it once")
        return seen

    try:
        return json.loads(text(path), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}:{error.lineno}: no JSON: {error.msg} at column {error.colno}; is the download complete?"
        ) from error
    except (RecursionError, ValueError) as error:
        raise UserError(f"{path}: JSON that no official list holds: {error}") from error
