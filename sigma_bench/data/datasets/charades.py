"""Charades v1 as it is downloaded: two csv with timed actions that overlap, and videos or extracted frames."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import list_file
from sigma_bench.data.index import Action, Index, Sample

SPLITS = ("train", "test")
HEADER = (
    "id",
    "subject",
    "scene",
    "quality",
    "relevance",
    "verified",
    "script",
    "objects",
    "descriptions",
    "actions",
    "length",
)
CLASSES = "Charades_v1_classes.txt"
FRAMES_PER_SECOND = 24.0
"""Rate at which the official frames were extracted."""


class Media(NamedTuple):
    """One of the forms in which the videos are handed out: folder, ending of the names in it, rate of its frames."""

    folder: str
    ending: str
    fps: float | None


MEDIA = (
    Media("Charades_v1_rgb", "", FRAMES_PER_SECOND),
    Media("Charades_v1_480", ".mp4", None),
    Media("Charades_v1", ".mp4", None),
)
"""The forms, in the order in which they are taken: first the frames, which the published recipe (SlowFast) reads and
counts its stride in, then the smaller videos."""

_ID = re.compile(r"[A-Za-z0-9]{5}")
_CLASS = re.compile(r"c([0-9]{3}) (\S.*)")
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")
_ACTION = re.compile(rf"c([0-9]{{3}}) ({_SECONDS.pattern}) ({_SECONDS.pattern})")

_log = logging.getLogger(__name__)


class _Trimmed(NamedTuple):
    """Actions of a video as far as they lie in it, and what became of the others."""

    actions: tuple[Action, ...]
    clipped: int
    dropped: int
    lost: bool


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one official split, in the order of its csv.

    A sample's `actions` are those of the csv, in seconds, ended at the video's `length` where they go on after it (most
    videos have such), without those that do not last: they begin no earlier than they end, or after the video. Both
    are counted in the log; a note says if a video loses a class by it. `labels` are the classes of the actions that
    are left; videos without any stay, as the metric counts them as negatives. The label is -1.

    The id is text of five characters, even where it looks like a number. The group is the subject: the person who
    filmed at home, and whose rooms are in all his videos. The first form of the videos in `MEDIA` that is there is
    read, for all samples; if others are there too, a note says so. Frames are given 24 a second, the k-th in
    ascending order being that of the moment k / 24, however the files are numbered.

    Args:
        root: Folder that holds the videos and, directly or in `Charades`, `annotations` or `labels`, the csv and
            the list of classes. That has 157 of them in the official set; another contiguous list is read too.
        split: "train" or "test".
        fold: Must be 1.

    Raises:
        UserError: No such split, file or form of the videos, or a line cannot be understood.
    """
    if split not in SPLITS:
        raise UserError(f"charades has no split '{split}'; it has {' and '.join(SPLITS)}")
    if fold != 1:
        raise UserError(f"charades has no fold {fold}; leave the fold out")
    root = Path(root)
    classes = _classes(_found(root, CLASSES))
    path = _found(root, f"Charades_v1_{split}.csv")
    media, notes = _media(root)
    samples: list[Sample] = []
    seen: dict[str, int] = {}
    clipped = dropped = lost = 0
    for line, row in _rows(path):
        where = f"{path}:{line}"
        _check_row(row, where, seen)
        seen[row["id"]] = line
        kept = _trim(_actions(row["actions"], where, len(classes)), float(row["length"]))
        clipped, dropped, lost = clipped + kept.clipped, dropped + kept.dropped, lost + kept.lost
        labels = tuple(sorted({action.label for action in kept.actions}))
        file = f"{media.folder}/{row['id']}{media.ending}"
        samples.append(Sample(row["id"], file, -1, row["subject"], fps=media.fps, labels=labels, actions=kept.actions))
    if not samples:
        raise UserError(f"{path} names no video; expected one a line below the header")
    if clipped:
        _log.info("%s: %d actions go on after their video's end; ended there", path, clipped)
    if dropped:
        _log.warning("%s: %d actions left out, which begin at or after their own or their video's end", path, dropped)
    if lost:
        notes.append(f"{lost} videos lose a class whose only action does not last")
    return Index.build("charades", split, root, classes, samples, notes)


def _found(root: Path, name: str) -> Path:
    names = (name, f"Charades/{name}")
    path = list_file.find(root, names, f"{name} of charades")
    if path is None:
        raise UserError(
            f"{name} of charades does not exist: expected {list_file.expected(root, names)}; unpack Charades.zip"
        )
    return path


def _classes(path: Path) -> list[str]:
    names: list[str] = []
    for number, line in enumerate(list_file.text(path).splitlines(), 1):
        if not line.strip():
            continue
        match = _CLASS.fullmatch(line.strip())
        if match is None or int(match[1]) != len(names):
            raise UserError(f"{path}:{number}: found '{line.strip()[:80]}', expected 'c{len(names):03d} <name>'")
        names.append(match[2])
    if not names:
        raise UserError(f"{path} is empty; expected lines such as 'c000 Holding some clothes'")
    return names


def _media(root: Path) -> tuple[Media, list[str]]:
    there = [media for media in MEDIA if files.names(root / media.folder)]
    if not there:
        expected = " or ".join(f"{m.folder}/QQQQQ{m.ending or '/QQQQQ-000001.jpg'}" for m in MEDIA)
        raise UserError(f"no videos of charades in {root}: expected {expected}")
    _log.info("charades is read from %s", root / there[0].folder)
    others = " or ".join(media.folder for media in there[1:])
    return there[0], [f"read from {there[0].folder}, not from {others}, which is there too"] if others else []


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line at which a row begins, and the row; quoted fields may hold line ends."""
    table = csv.reader(io.StringIO(list_file.text(path), newline=""), strict=True)
    line = 1
    try:
        header = next(table, [])
        if tuple(header) != HEADER:
            raise UserError(f"{path}:1: found the header '{','.join(header)[:120]}', expected '{','.join(HEADER)}'")
        while True:
            line = table.line_num + 1
            row = next(table, None)
            if row is None:
                return
            if not row:
                continue
            if len(row) != len(HEADER):
                raise UserError(f"{path}:{line}: found {len(row)} fields, expected {len(HEADER)}: {','.join(HEADER)}")
            yield line, dict(zip(HEADER, row, strict=True))
    except csv.Error as error:
        raise UserError(
            f"{path}:{line}: the row that begins here is no csv: {error}; is a quote missing, or the download cut off?"
        ) from error


def _check_row(row: dict[str, str], where: str, seen: dict[str, int]) -> None:
    if not _ID.fullmatch(row["id"]):
        raise UserError(f"{where}: found the id '{row['id'][:80]}', expected five letters and digits")
    if row["id"] in seen:
        raise UserError(f"{where}: id '{row['id']}' is in line {seen[row['id']]} too; expected each once")
    if not row["subject"].strip():
        raise UserError(f"{where}: the subject is empty; expected who filmed '{row['id']}'")
    if not _SECONDS.fullmatch(row["length"].strip()) or float(row["length"]) <= 0:
        raise UserError(f"{where}: found the length '{row['length'][:80]}', expected seconds above 0, such as 30.42")


def _actions(text: str, where: str, classes: int) -> list[Action]:
    actions = []
    for triplet in text.split(";") if text.strip() else []:
        match = _ACTION.fullmatch(triplet.strip())
        if match is None:
            raise UserError(f"{where}: found the action '{triplet[:80]}', expected 'c008 1.20 4.00;...'")
        if int(match[1]) >= classes:
            raise UserError(f"{where}: class c{match[1]} is unknown; {CLASSES} has c000 to c{classes - 1:03d}")
        actions.append(Action(int(match[1]), float(match[2]), float(match[3])))
    return actions


def _trim(actions: list[Action], length: float) -> _Trimmed:
    kept = [a._replace(end_s=min(a.end_s, length)) for a in actions if a.start_s < min(a.end_s, length)]
    clipped = sum(a.start_s < length < a.end_s for a in actions)
    lost = {a.label for a in actions} != {a.label for a in kept}
    return _Trimmed(tuple(kept), clipped, len(actions) - len(kept), lost)
