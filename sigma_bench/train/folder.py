"""The checkpoints of a run folder: which one to go on from, which may go."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.train.state import damage, sidecar, write_text

__all__ = ["checkpoints", "newest", "newest_sound", "prune", "sweep", "write_json", "write_text"]

NAME = re.compile(r"step-(\d+)\.pt")
DAMAGED = ".damaged"
"""Ending of a checkpoint that was set aside."""


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Return (step, path) of the checkpoints in `folder`, in the order of steps."""
    return sorted((int(m.group(1)), p) for p in folder.glob("step-*.pt") if (m := NAME.fullmatch(p.name)))


def newest(folder: Path) -> Path | None:
    """Return the checkpoint of the largest step in `folder` by its name, None where there is none."""
    found = checkpoints(folder)
    return found[-1][1] if found else None


def newest_sound(folder: Path) -> Path | None:
    """Return the newest checkpoint whose bytes are those that were saved, None where none was saved yet.

    Newer ones that are damaged are renamed to `*.damaged`, and named on the screen.

    Raises:
        UserError: There are checkpoints, and all are damaged.
    """
    for _, path in reversed(checkpoints(folder)):
        wrong = damage(path) if path.exists() else "a link that leads nowhere"
        if not wrong:
            if not sidecar(path).exists():
                say(f"{path} has no checksum beside it (earlier versions wrote none); its tensors agree with their own")
            return path
        _set_aside(path, wrong)
    lost = sorted(folder.glob(f"step-*.pt{DAMAGED}"))
    if lost:
        raise UserError(
            f"{folder}: no sound checkpoint is left; damaged: {', '.join(p.name for p in lost)}. Put back a good copy "
            "as step-N.pt, or delete these to begin at step 0, or begin another run with --out"
        )
    return None


def prune(folder: Path, keep: int, keep_every: int | None = None) -> None:
    """Delete old checkpoints, but only once the newest was read back from the disk as it was saved.

    Args:
        folder: The folder of the checkpoints.
        keep: So many of the newest stay.
        keep_every: Those at multiples of so many steps stay too.
    """
    sweep(folder)
    found = checkpoints(folder)
    old = [path for step, path in found[:-keep] if not (keep_every and step % keep_every == 0)]
    if not old:
        return
    last = found[-1][1]
    _forget_pages(last)
    wrong = damage(last)
    if wrong:
        _set_aside(last, f"{wrong}, right after it was written: mistrust the disk; older checkpoints stay")
        return
    for path in old:
        path.unlink()
        sidecar(path).unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete what killed saves left: half files, and checksums of nothing."""
    for path in folder.glob(".step-*.partial"):
        path.unlink(missing_ok=True)
    for path in folder.glob("step-*.pt.sha256"):
        if not path.with_name(path.name.removesuffix(".sha256")).exists():
            path.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file as `write_text` does."""
    write_text(path, json.dumps(content, indent=1))


def _set_aside(path: Path, wrong: str) -> None:
    aside = path.with_name(path.name + DAMAGED)
    path.replace(aside)
    sidecar(path).unlink(missing_ok=True)
    say(f"damaged checkpoint: {path}: {wrong}; it is now {aside.name}, and the one before it is taken")


def _forget_pages(path: Path) -> None:
    """Have the next read of a file ask the disk, not the memory of this machine."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
