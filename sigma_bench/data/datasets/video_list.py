"""The list file of the VideoMAE family: one `path label` a line, no header (`train.csv`, `val.csv`, `test.csv`)."""

from __future__ import annotations

import os
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index, Sample


def read(root: Path, split: str, *, fold: int = 1) -> Index:  # noqa: ARG001 - one signature for all readers
    """Return the videos of `<root>/<split>.csv`; absolute paths are kept, relative ones are taken from `root`.

    The label is the last field, so a path may hold spaces. The id is the path, the group the video itself.

    Raises:
        UserError: No such list, or a line that is not `path label`.
    """
    path = root / f"{split}.csv"
    if not path.is_file():
        raise UserError(f"{path}: no such list; expected one line a video, `path label` (label 0-based)")
    entries: list[tuple[str, int]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if not name or not label.lstrip("-").isdecimal():
            raise UserError(f"{path}:{number}: found {line[:80]!r}, expected `path label` with a whole-number label")
        entries.append((name.strip(), int(label)))
    absolute = [name for name, _ in entries if os.path.isabs(name)]
    if absolute and len(absolute) != len(entries):
        raise UserError(f"{path}: mixes absolute and relative paths (first absolute: {absolute[0]}); use one kind")
    base = Path(os.path.commonpath([os.path.dirname(name) for name in absolute])) if absolute else root
    names = [os.path.relpath(name, base) if absolute else name for name, _ in entries]
    classes = [str(c) for c in range(max((label for _, label in entries), default=-1) + 1)]
    samples = [Sample(n, n, label, n) for n, (_, label) in zip(names, entries, strict=True)]
    return Index.build(root.name, split, base, classes, samples)
