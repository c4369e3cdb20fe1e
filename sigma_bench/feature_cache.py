"""The folder of cached features: entries under a key, used by one process at a time, the oldest deleted beyond a bound.

An entry is a folder `<first two digits>/<key>` that is whole or absent: it is filled under another name and renamed.
Beside it lies its lock, which whoever fills, reads or deletes the entry holds. Arrays mapped to memory outlive their
entry, since a deleted file stays until it is closed. What a killed process had filled stays beside it too, to be gone
on with, and counts and goes like an entry.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
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


def partial(place: Path) -> Path:
    """Return the folder in which an entry is filled."""
    return place.with_name(f"{place.name}{PARTIAL}")


def make_room(folder: Path, needed: int, keep: Sequence[Path]) -> None:
    """Delete the entries that were not used for longest until `needed` more bytes stay below the bound.

    Entries whose lock another process holds are in use and stay, and so do those to `keep`, whose locks the caller
    holds, and what a killed process had filled of them, which is part of what is needed.

    Args:
        folder: The folder of the entries.
        needed: Bytes that the entries to keep will have.
        keep: The entries they are written for.
    """
    limit = bound()
    stays = {path for place in keep for path in (place, partial(place))}
    for path in folder.glob(f"??/*{DROPPED}"):
        _delete(path.with_suffix(""), path)
    left = [path for path in folder.glob("??/*") if _is_entry(path) and path not in stays]
    entries = sorted((_last_used(path), path) for path in left)
    sizes = {path: _size(path) for _, path in entries}
    total, dropped = sum(sizes.values()) + needed, 0
    for _, path in entries:
        if total <= limit:
            break
        place = path.with_suffix("") if path.suffix else path
        if place not in keep and _delete(place, path):
            total, dropped = total - sizes[path], dropped + sizes[path]
    if dropped:
        say(f"{folder}: deleted {dropped / 1e9:.2f} GB of features not used for longest ({BOUND} is {limit / 1e9:g})")
    if total > limit:
        say(f"note: {folder} will hold {total / 1e9:.2f} GB of features; {BOUND} is {limit / 1e9:g}")


def fits(needed: int) -> bool:
    """Tell whether so many bytes are within the bound of a folder of features."""
    return needed <= bound()


def check_room(folder: Path, begun: Sequence[Path], needed: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: The folder of the entries.
        begun: Folders with what was written of it already.
        needed: Bytes that these will have.

    Raises:
        UserError: Fewer bytes are free than are still to be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    needed -= sum(file.stat().st_blocks * 512 for place in begun for file in place.glob("*"))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: the features need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; name another "
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
    return place.suffix in ("", PARTIAL) and place.is_dir()


def _last_used(place: Path) -> float:
    """Return when an entry was last used, or what a killed process left of one last written to."""
    files = place.glob("*") if place.suffix == PARTIAL else [place / ORIGIN]
    try:
        return max((file.stat().st_mtime for file in files), default=0.0)
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
