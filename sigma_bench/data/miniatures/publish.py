"""Putting a generated data set in its place: whole or not at all, and only once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from sigma_bench.contracts import UserError
from sigma_bench.data import files

MARKER = "miniature.json"
"""File at the root of every miniature: name, version, settings, number of files and bytes, hash of all files."""
KEYS = frozenset({"name", "version", "settings", "files", "bytes", "sha256"})
"""What every such file says."""
RECORDS = ("transcode.jsonl", "transcode.json")
"""Files at the root of a re-encoded copy that tell how it was made, and are no part of the data."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Miniature:
    """A data set that is in its place."""

    root: Path
    reused: bool
    files: int
    bytes: int
    sha256: str


def publish(
    root: Path, name: str, version: int, settings: Mapping[str, int], fill: Callable[[Path], None]
) -> Miniature:
    """Return the miniature at `root`, written now unless it is there already with the same version and settings.

    It is written beside `root` under another name and renamed, so an interrupted run leaves nothing that looks
    complete. Processes that ask at the same time write it once. One of other settings, or whose files no longer
    have their hash, is replaced; anything else, the miniature of another data set too, is left alone.

    Args:
        root: The folder it shall have.
        name: Name of the data set.
        version: Version of the generator; to be raised whenever its files change.
        settings: What the files depend on besides.
        fill: Writes all files into the empty folder it is given.

    Raises:
        UserError: `root` holds something that is not this miniature.
    """
    root = Path(root).absolute()
    root.parent.mkdir(parents=True, exist_ok=True)
    wanted = {"name": name, "version": version, "settings": dict(settings)}
    with FileLock(root.parent / f".{root.name}.lock"):
        marker = _marker(root)
        if marker is not None and marker["name"] != name:
            raise UserError(f"{root} holds the miniature of {marker['name']}, not of {name}; choose another data root")
        if marker is not None and all(marker.get(key) == value for key, value in wanted.items()):
            found = _measure(root)
            if found == {key: marker.get(key) for key in found}:
                return Miniature(root, True, **found)
            _log.warning("%s has been changed since it was written; writing it anew", root)
        partial, old = (root.parent / f".{root.name}.{state}" for state in ("partial", "old"))
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
        partial.mkdir()
        fill(partial)
        made = _measure(partial)
        text = json.dumps({**wanted, **made}, indent=1, sort_keys=True) + "\n"
        (partial / MARKER).write_text(text, encoding="utf-8", newline="\n")
        if root.exists():
            os.rename(root, old)
        os.rename(partial, root)
        shutil.rmtree(old, ignore_errors=True)
    return Miniature(root, False, **made)


def mark_copy(source: Path, copy: Path) -> None:
    """Mark a copy of a miniature as one of the same version and settings, with the hash of the copy's own files.

    Raises:
        UserError: `source` is no miniature.
    """
    text = json.dumps({**(_marker(source) or {}), **_measure(copy)}, indent=1, sort_keys=True) + "\n"
    partial = copy / f".{MARKER}.partial"
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, copy / MARKER)


def _marker(root: Path) -> dict[str, Any] | None:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return None
    try:
        marker = json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        marker = None
    if not isinstance(marker, dict) or not marker.keys() >= KEYS:
        raise UserError(
            f"{root} exists and is not a miniature (no {MARKER} with {', '.join(sorted(KEYS))}); it is left alone. "
            "Choose another data root, or move it away"
        )
    return marker


def _measure(folder: Path) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    names = [name for name in files.walk(folder) if name not in (MARKER, *RECORDS)]
    for name in names:
        data = files.read(folder / name)
        size += len(data)
        digest.update(f"{name}\n{len(data)}\n".encode())
        digest.update(data)
    return {"files": len(names), "bytes": size, "sha256": digest.hexdigest()}


def generated(root: Path) -> str:
    """Return the hash of the files of the miniature that `root` belongs to, empty where it belongs to none."""
    for folder in (root, *root.parents):
        try:
            return str(json.loads((folder / MARKER).read_text(encoding="utf-8"))["sha256"])
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder / MARKER}: damaged ({error}); delete the folder, it is generated anew") from error
    return ""
