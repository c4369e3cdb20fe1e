"""The folder of cached features: entries under a key, used by one process at a time, the oldest deleted beyond a bound.

An entry is a folder `<first two digits>/<key>` that is whole or absent: it is filled under another name and renamed.
Beside it lies its lock, which whoever fills, reads or deletes the entry holds. Arrays mapped to memory outlive their
entry, since a deleted file stays until it is closed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sigma_bench.contracts import UserError
from sigma_bench.progress import say

BOUND = "SIGMA_BENCH_FEATURES_GB"
"""Variable that bounds a folder of features, in GB of 10^9 bytes; 0 keeps no entry but those in use."""
DEFAULT_GB = 500.0
PARTIAL = ".partial"
DROPPED = ".dropped"
ORIGIN = "origin.json"
"""File of an entry that says what it is; the time it was changed is when the entry was last used."""


def bound() -> float:
    """Return the most bytes that a folder of features may hold.

    Raises:
        UserError: The variable is no number, or negative.
    """
    text = os.environ.get(BOUND, "").strip()
    try:
        gigabytes = float(text) if text else DEFAULT_GB
    except ValueError:
        gigabytes = -1.0
    if not gigabytes >= 0:
        raise UserError(f"{BOUND}={text}: expected a number of gigabytes, 0 or more, such as 200")
    return gigabytes * 1e9


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold the lock of an entry; say so where another process holds it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{place}.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        say(f"another process computes the same features ({place.name[:12]}); waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def settled(place: Path, wanted: Mapping[str, Any]) -> bool:
    """Tell whether an entry is whole, says of itself what is wanted, and would come out the same again.

    A file given up for its time might not.
    """
    try:
        origin = json.loads((place / ORIGIN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return not origin["given_up"] and all(origin.get(name) == value for name, value in wanted.items())


def used(place: Path) -> None:
    """Note that an entry was used now. Its lock must be held."""
    os.utime(place / ORIGIN)


def make_room(folder: Path, needed: int, keep: Path) -> None:
    """Delete the entries that were not used for longest until `needed` more bytes stay below the bound.

    What killed processes left is deleted first. Entries whose lock another process holds are in use and stay, and so
    does `keep`, whose lock the caller holds.

    Args:
        folder: The folder of the entries.
        needed: Bytes that will be written.
        keep: The entry they are written for.
    """
    limit = bound()
    left = [p for p in folder.glob("??/*") if p.suffix in (PARTIAL, DROPPED) and p.with_suffix("") != keep]
    for place in left:
        _delete(place.with_suffix(""), place)
    filling = sum(_size(place) for place in left)
    entries = sorted((_last_used(place), place) for place in folder.glob("??/*") if _is_entry(place) and place != keep)
    sizes = {place: _size(place) for _, place in entries}
    total, dropped = sum(sizes.values()) + filling + needed, 0
    for _, place in entries:
        if total <= limit:
            break
        if _delete(place, place):
            total, dropped = total - sizes[place], dropped + sizes[place]
    if dropped:
        say(f"{folder}: deleted {dropped / 1e9:.2f} GB of features not used for longest ({BOUND} is {limit / 1e9:g})")
    if total > limit:
        say(f"note: {folder} will hold {total / 1e9:.2f} GB of features; {BOUND} is {limit / 1e9:g}")


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        UserError: Fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder.parent}: the features need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; name another "
            f"--out, or set {BOUND} to keep fewer"
        )


def _delete(place: Path, what: Path) -> bool:
    """Delete an entry, or what was left of one, unless another process holds its lock."""
    lock = FileLock(f"{place}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    try:
        gone = what if what.suffix == DROPPED else what.with_name(f"{place.name}{DROPPED}")
        if gone != what:
            shutil.rmtree(gone, ignore_errors=True)
            what.rename(gone)  # at once: an entry is never half there
        shutil.rmtree(gone, ignore_errors=True)
    except FileNotFoundError:  # another process deleted it first
        return False
    finally:
        lock.release()
    return not gone.exists()


def _is_entry(place: Path) -> bool:
    return not place.suffix and place.is_dir()


def _last_used(place: Path) -> float:
    try:
        return (place / ORIGIN).stat().st_mtime
    except OSError:
        return 0.0  # torn: a kill came between two steps


def _size(place: Path) -> int:
    total = 0
    for file in place.glob("*"):
        try:
            total += file.stat().st_size
        except OSError:
            continue  # deleted meanwhile
    return total
