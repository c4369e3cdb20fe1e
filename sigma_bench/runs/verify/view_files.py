"""The text files in which released finetuning code of the VideoMAE family leaves the logits of every view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sigma_bench.contracts import UserError

_VIEW = re.compile(r"(?P<name>.+) \[(?P<logits>[^][]*)\] (?P<label>\d+) (?P<chunk>\d+) (?P<crop>\d+)")
"""The id may hold blanks and brackets: the logits are in the last pair."""
_HEADER = re.compile(r"\S+, \S+")


class Viewed(NamedTuple):
    """Samples by name: the logits of their views (V, C) each, and their labels (N,)."""

    names: list[str]
    logits: list[np.ndarray]
    labels: np.ndarray
    duplicates: int
    """Views that were there before, left out: a sampler that fills up the last batch shows some twice."""


class _View(NamedTuple):
    name: str
    logits: np.ndarray
    label: int
    chunk: int
    crop: int


def read(folder: Path) -> Viewed:
    """Read all files of a folder, one a process: of views of one sample, chunk and crop the first counts.

    Each begins with the accuracies of its process; a line then holds id, logits, label, chunk and crop.

    Args:
        folder: Holds `0.txt`, `1.txt` and so on.

    Raises:
        UserError: No file, a line cannot be understood, or views of a sample differ in label or number of classes.
    """
    files = sorted((path for path in folder.glob("*.txt") if path.stem.isdecimal()), key=lambda path: int(path.stem))
    if not files:
        raise UserError(f"{folder}: holds no file of views; expected 0.txt, 1.txt, ...")
    views: dict[str, dict[tuple[int, int], np.ndarray]] = {}
    labels: dict[str, int] = {}
    width, duplicates = None, 0
    for path in files:
        for number, view in _views(path):
            width = width or len(view.logits)
            label = labels.setdefault(view.name, view.label)
            if len(view.logits) != width or label != view.label:
                found = f"{len(view.logits)} classes, label {view.label}"
                raise UserError(f"{path}:{number}: {view.name} has {found}; expected {width}, label {label} as before")
            own = views.setdefault(view.name, {})
            duplicates += (view.chunk, view.crop) in own
            own.setdefault((view.chunk, view.crop), view.logits)
    if not views:
        raise UserError(f"{folder}: its {len(files)} files hold no view; expected one a line below the header")
    names = sorted(views)
    logits = [np.stack([view for _, view in sorted(views[n].items(), key=lambda item: item[0])]) for n in names]
    return Viewed(names, logits, np.array([labels[name] for name in names]), duplicates)


def _views(path: Path) -> Iterator[tuple[int, _View]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if not lines or not _HEADER.fullmatch(lines[0].strip()):
        raise UserError(f"{path}:1: found '{(lines or [''])[0][:80]}', expected two accuracies such as '71.2, 92.4'")
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            yield number, _view(line.strip(), f"{path}:{number}")


def _view(line: str, where: str) -> _View:
    match = _VIEW.fullmatch(line)
    if match is None:
        raise UserError(f"{where}: found '{line[:80]}', expected 'id [logit, logit, ...] label chunk crop'")
    try:
        logits = np.array([float(value) for value in match["logits"].split(",")])
    except ValueError as error:
        raise UserError(f"{where}: a logit is no number: {error}") from error
    if not np.isfinite(logits).all():
        raise UserError(f"{where}: a logit is infinite or not a number")
    return _View(match["name"], logits, *(int(match[key]) for key in ("label", "chunk", "crop")))
