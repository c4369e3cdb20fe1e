"""The folder of one training of a classifier: what it is of, where it stands, and the classifier that it gave."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.train import folder as folders
from sigma_bench.train import state as states

SETTINGS = "settings.json"
RESULT = "classifier.pt"
"""What is tested; once it is there, the training is over and its checkpoints are deleted."""


def key_of(content: Mapping[str, Any]) -> str:
    """Return the hash of all that a training depends on."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def place(root: Path, name: str, content: Mapping[str, Any], kind: str = "finetune") -> Path:
    """Return the folder of a training: `root/KIND/NAME.HASH`."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]
    return root / kind / f"{readable}.{key_of(content)[:16]}"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder; say so where another process trains in it, and wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        say(f"{folder}: another process trains here; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def begun(folder: Path, content: Mapping[str, Any]) -> Path | None:
    """Return the checkpoint that a training goes on from, None where it begins.

    Raises:
        UserError: The folder holds another training, or checkpoints of which none is sound.
    """
    saved = folder / SETTINGS
    if not saved.exists():
        folders.write_json(saved, content)
    try:
        same = json.loads(saved.read_text(encoding="utf-8")) == json.loads(json.dumps(content))
    except ValueError:
        same = False
    if not same:
        raise UserError(f"{saved}: damaged, or of another training; move the folder away to begin anew")
    kept = folder / "checkpoints"
    folders.sweep(kept)
    return folders.newest_sound(kept)


def standing(folder: Path, content: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Return whether what a training gives is there already, and else the checkpoint that it goes on from, if any.

    Raises:
        UserError: What `finished` and `begun` raise.
    """
    if finished(folder):
        return True, None
    start = begun(folder, content)
    return False, None if start is None else str(start.resolve())


def finished(folder: Path) -> bool:
    """Return whether a folder holds the classifier that its training gave.

    Raises:
        UserError: It is damaged.
    """
    file = folder / RESULT
    wrong = states.damage(file) if file.exists() else ""
    if wrong:
        raise UserError(f"{file}: damaged ({wrong}); put back a good copy, or delete {folder} to train anew")
    return file.exists()


def finish(folder: Path, content: Mapping[str, Any]) -> None:
    """Keep the classifier, then delete what only a training that goes on needs.

    Raises:
        UserError: The storage does not take the classifier; the checkpoints stay.
    """
    try:
        states.save(folder / RESULT, content)
    except OSError as error:
        raise UserError(
            f"{folder / RESULT}: could not be written ({error}); make room and start the same command again, the "
            "training is kept"
        ) from error


def clear(folder: Path) -> None:
    """Delete the checkpoints of a training that is over."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
