"""The SHA-256 of a checkpoint file: computed beside its loading, kept in the user's cache folder for the next time."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from sigma_bench import cache
from sigma_bench.contracts import UserError
from sigma_bench.progress import say

Stamp = tuple[int, int, int, int]
KEPT_FROM = 64 << 20
"""Bytes of the smallest file whose digest is worth keeping: less is hashed in a tenth of a second."""
SETTLED_S = 2.0
"""A file that was written to less than so long ago might be again, without its time of change showing it."""
MOST = 1000
"""Digests kept; the oldest goes first."""


def stamp(path: Path) -> Stamp:
    """Return what changes when a file does: size, times of change of content and entry in ns, and its inode."""
    entry = path.stat()
    return entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns, entry.st_ino


def check_unchanged(path: Path, before: Stamp) -> None:
    """Raise a UserError where a file is not the one that was opened."""
    try:
        same = stamp(path) == before
    except FileNotFoundError:
        same = False
    if not same:
        raise UserError(f"{path}: changed while it was read; wait until it is written and try again")


def compute(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known(path: Path, now: Stamp) -> str | None:
    """Return the digest that was kept of the file as it is now, None where there is none."""
    entry = _read().get(str(path.resolve())) if now[0] >= KEPT_FROM else None
    return entry["sha256"] if entry is not None and entry["stamp"] == list(now) else None


def keep(path: Path, now: Stamp, sha256: str) -> None:
    """Keep a digest for the next time, where the file is large and not just being written."""
    if now[0] < KEPT_FROM or time.time() - max(now[1:3]) / 1e9 < SETTLED_S:
        return
    place = _place()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_suffix(".lock")):
            entries = _read()
            entries.pop(str(path.resolve()), None)
            entries[str(path.resolve())] = {"stamp": list(now), "sha256": sha256}
            draft = place.with_name(f".{place.name}.{os.getpid()}.partial")
            draft.write_text(json.dumps(dict(list(entries.items())[-MOST:]), indent=0), encoding="utf-8")
            draft.replace(place)
    except OSError as error:
        say(f"the digest of {path} is not kept for the next time: {error} (SIGMA_BENCH_CACHE names another place)")


def _place() -> Path:
    return cache.home() / "checkpoints.json"


def _read() -> dict[str, Any]:
    try:
        content = json.loads(_place().read_text(encoding="utf-8"))
        return {name: {"stamp": list(e["stamp"]), "sha256": str(e["sha256"])} for name, e in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        say(f"{_place()}: the digests kept earlier cannot be read; files are hashed again")
        return {}
