"""The frame lists that SlowFast reads Charades from: `frame_lists/{train,val}.csv`, one line a frame."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import list_file
from sigma_bench.data.frame_labels import Labels, from_lists

HEADER = "original_vido_id video_id frame_id path labels"
"""First line of a list; the slip in it is the files' own, and SlowFast's loader asserts it."""

_LABELS = r"[0-9]{1,6}(?:,[0-9]{1,6})*"
_LINE = re.compile(rf'(\S+) +\S+ +\S+ +(\S+) +(?:"({_LABELS})?"|({_LABELS}))')
_PATH = re.compile(r"([^/\\\s]+)/\1-([0-9]{6})\.jpg")


class ListedFrames(NamedTuple):
    """The frames of a video in ascending order: their paths below the folder of frames, and their classes (T, C)."""

    id: str
    paths: tuple[str, ...]
    labels: Labels


class _Line(NamedTuple):
    number: int
    video: str
    path: str
    labels: list[int]


def read(path: Path, classes: int) -> Iterator[ListedFrames]:
    """Yield the videos of a frame list, in its order.

    As in SlowFast's loader (`datasets/utils.py`, `load_image_lists`) the first, fourth and fifth field count. The
    lines of a video must follow one another in the order of its frames.

    Args:
        path: A frame list.
        classes: Number of classes C.

    Raises:
        UserError: A line cannot be understood, or the frames are out of order.
    """
    seen: set[str] = set()
    for video, block in groupby(_lines(path, classes), key=lambda line: line.video):
        lines = list(block)
        if video in seen:
            raise UserError(
                f"{path}:{lines[0].number}: video '{video}' comes again; expected all its frames in a block"
            )
        seen.add(video)
        for line, following in pairwise(lines):
            if following.path <= line.path:
                raise UserError(
                    f"{path}:{following.number}: '{following.path}' follows '{line.path}'; expected ascending frames"
                )
        yield ListedFrames(
            video, tuple(line.path for line in lines), from_lists([line.labels for line in lines], classes)
        )
    if not seen:
        raise UserError(f"{path} names no frame; expected one a line below the header")


def _lines(path: Path, classes: int) -> Iterator[_Line]:
    for number, line in enumerate(io.StringIO(list_file.text(path)), 1):
        where, found = f"{path}:{number}", line.strip()
        if number == 1:
            if found != HEADER:
                raise UserError(f"{where}: found '{found[:120]}', expected '{HEADER}'")
        elif found:
            yield _line(found, number, where, classes)


def _line(found: str, number: int, where: str, classes: int) -> _Line:
    match = _LINE.fullmatch(found)
    file = _PATH.fullmatch(match[2]) if match else None
    if match is None or file is None or file[1] != match[1]:
        raise UserError(
            f"{where}: found '{found[:120]}', expected a line such as 'QQQQQ 0 24 QQQQQ/QQQQQ-000025.jpg \"8,59\"'"
        )
    labels = [int(label) for label in (match[3] or match[4] or "").split(",") if label]
    for label in labels:
        if label >= classes:
            raise UserError(f"{where}: class {label} is unknown; there are 0 to {classes - 1}")
    return _Line(number, match[1], match[2], labels)
