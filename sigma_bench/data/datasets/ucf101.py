"""UCF101 as it is downloaded: `UCF-101/<Class>/v_*.avi` and the lists of `ucfTrainTestlist`."""

from __future__ import annotations

import re
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import list_file
from sigma_bench.data.index import Index, Sample

VIDEOS = "UCF-101"
LISTS = "ucfTrainTestlist"
ROOTS = ("", "UCF101")
"""Folders below the root in which the two are looked for, side by side, in this order."""
FOLDS = (1, 2, 3)

_NAME = re.compile(r"(v_.+_(g\d+)_c\d+)\.[A-Za-z0-9]+")


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one official split.

    The label is the folder's place in classInd.txt (counted from 1 there, from 0 here); a label that a train list
    gives besides is checked against it. The id is the file's stem. The group is class and recording
    (`Archery_g01`), since clips of one recording must not be on both sides of a split.

    Args:
        root: Folder that holds `UCF-101` and `ucfTrainTestlist`, or holds `UCF101` with both.
        split: "train" or "test".
        fold: Which of the three official splits.

    Raises:
        UserError: A folder or list is missing, or a line cannot be understood.
    """
    if split not in ("train", "test"):
        raise UserError(f"ucf101 has no split '{split}'; it has train and test")
    if fold not in FOLDS:
        raise UserError(f"ucf101 has no fold {fold}; it has {', '.join(map(str, FOLDS))}")
    base = _base(Path(root))
    lists = base / LISTS
    labels = _classes(lists / "classInd.txt")
    path = lists / f"{split}list{fold:02d}.txt"
    samples: list[Sample] = []
    lines: dict[str, int] = {}
    for number, line in _lines(path):
        samples.append(_sample(line, f"{path}:{number}", labels))
        name = samples[-1].id
        if lines.setdefault(name, number) != number:
            raise UserError(f"{path}:{number}: '{name}' is in line {lines[name]} too; expected each once")
    if not samples:
        raise UserError(f"{path} is empty; expected one video a line, such as Archery/v_Archery_g01_c01.avi")
    return Index.build("ucf101", split, base / VIDEOS, list(labels), samples)


def _base(root: Path) -> Path:
    places = [root / place for place in ROOTS]
    for place in places:
        if (place / VIDEOS).is_dir() and (place / LISTS).is_dir():
            return place
    found = [f"{place / part}" for place in places for part in (VIDEOS, LISTS) if (place / part).is_dir()]
    raise UserError(
        f"UCF101 not found: expected the folders {VIDEOS} and {LISTS} side by side in {places[0]} or {places[1]}; "
        f"found {', '.join(found) or 'neither'}. Unpack UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip there."
    )


def _lines(path: Path) -> list[tuple[int, str]]:
    if not path.is_file():
        raise UserError(f"{path} does not exist; it is one of the official lists of UCF101")
    return [(number, line.strip()) for number, line in enumerate(list_file.text(path).splitlines(), 1) if line.strip()]


def _classes(path: Path) -> dict[str, int]:
    labels: dict[str, int] = {}
    for number, line in _lines(path):
        position, _, name = line.partition(" ")
        if position != str(len(labels) + 1) or not name or name in labels:
            raise UserError(f"{path}:{number}: found '{line}', expected '{len(labels) + 1} <new class name>'")
        labels[name] = len(labels)
    if not labels:
        raise UserError(f"{path} is empty; expected lines such as '1 ApplyEyeMakeup'")
    return labels


def _sample(line: str, where: str, labels: dict[str, int]) -> Sample:
    file, *rest = line.split()
    folder, _, name = file.partition("/")
    match = _NAME.fullmatch(name)
    if match is None or "/" in name or len(rest) > 1:
        raise UserError(
            f"{where}: found '{line}', expected '<Class>/v_<Class>_gXX_cYY.avi', in a train list with label"
        )
    if folder not in labels:
        raise UserError(f"{where}: class folder '{folder}' is not in classInd.txt")
    label = labels[folder]
    if rest and rest[0] != str(label + 1):
        raise UserError(f"{where}: label {rest[0]} contradicts the folder '{folder}', which is class {label + 1}")
    return Sample(match[1], file, label, f"{folder}_{match[2]}")
