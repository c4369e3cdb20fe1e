"""Any folder of videos, unlabelled: what to pretrain on without a list."""

from __future__ import annotations

import logging
import os
from pathlib import Path, PurePosixPath

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.index import Index, Sample

EXTENSIONS = frozenset(
    {".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"}
)
"""Endings of the files that count as videos, in any case."""

_log = logging.getLogger(__name__)


def read(root: Path, split: str = "train", *, fold: int = 1) -> Index:
    """Return the index of every video below `root`, sorted by path.

    Hidden files and folders are left out. Linked folders are not entered and linked files that lead out of the
    folder are left out; a warning counts them. The id is the relative path; all labels are -1.

    Args:
        root: The folder.
        split: Name the index gets; a plain folder has no splits.
        fold: Must be 1.

    Raises:
        UserError: The folder does not exist, holds no video, or a fold was asked for.
    """
    if fold != 1:
        raise UserError(f"a plain folder has no fold {fold}; leave the fold out")
    base = Path(root).resolve()
    if not base.is_dir():
        raise UserError(f"{root} is not a folder; expected one with videos in it")
    videos, left_out = _walk(base)
    if left_out:
        _log.warning("%d links below %s were left out, the first is %s", len(left_out), root, left_out[0])
    if not videos:
        raise UserError(f"no video below {root}; expected files ending in {' '.join(sorted(EXTENSIONS))}")
    return Index.build("folder", split, base, (), [Sample(file, file, -1, file) for file in videos])


def _walk(base: Path) -> tuple[list[str], list[str]]:
    found = [name for name in files.members(base) if _is_video(name)]
    left_out: list[str] = []
    for place, folders, names in os.walk(base):
        here = Path(place)
        left_out += [str(here / f) for f in folders if not f.startswith(".") and (here / f).is_symlink()]
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            file = here / name
            if not _is_video(name):
                continue
            if file.is_symlink() and not file.resolve().is_relative_to(base):
                left_out.append(str(file))
                continue
            found.append(file.relative_to(base).as_posix())
    return sorted(set(found)), left_out


def _is_video(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in EXTENSIONS and not any(part.startswith(".") for part in path.parts)
