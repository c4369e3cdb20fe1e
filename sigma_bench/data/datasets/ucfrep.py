"""UCFRep: stretches of UCF101 videos with the boundaries of their repetitions, as annotated in `annotations/`."""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import list_file, ucfrep_mat
from sigma_bench.data.datasets.ucfrep_mat import Repetitions, repetitions
from sigma_bench.data.index import Index, Sample

SPLITS = ("train", "val")
ROOTS = ("", "ucf526", "data/ori_data/ucf526")
"""Folders below the root in which `annotations` and `imgs` are looked for, in this order."""
CSV = "ucfrep_annotations.csv"
HEADER = "split,video,count,bounds"

_VIDEO = re.compile(r"v_[A-Za-z0-9]+_g[0-9]{2}_c[0-9]{2}")
_FRAME = r"[0-9]{1,9}"
_ROW = re.compile(
    rf"(?P<split>train|val),(?P<video>{_VIDEO.pattern}),(?P<count>{_FRAME}),(?P<bounds>{_FRAME}(?: {_FRAME})*)"
)

_log = logging.getLogger(__name__)


class Media(NamedTuple):
    """Where the videos lie: a folder, below it that of the class folders, and the ending of the names in these."""

    root: Path
    below: str
    ending: str


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one official split, by ascending id.

    `start` and `end` are the annotated stretch in frames of the file, `boundaries` the frames in it at which a cycle
    begins and the last frame of the last cycle: one more than there are repetitions. The label is the class' place
    among the sorted classes of both splits, 23 in the official set, called as in the ids. The group is the recording
    (`v_JumpRope_g03`); no recording is in both splits.

    Annotations are the official `annotations/{train,val}/*.mat`, or, where there are none, the table
    `ucfrep_annotations.csv` (`split,video,count,bounds`, frames counted from 1), which gives the same index.

    Videos are the extracted frames `imgs/<split>/<Class>/<id>`, which the released code reads, or else those of
    UCF101, in `UCF-101` (which may be a link) below the root or below the data set `ucf101` beside it. If both are
    there a note says so. A class folder is found whatever its case: the files of `HandstandPushups` are called
    `v_HandStandPushups_...`.

    Args:
        root: Folder that holds all this, directly or as unpacked (`ROOTS`).
        split: "train" or "val".
        fold: Must be 1.

    Raises:
        UserError: No such split, no annotations or videos, or an annotation is damaged or contradicts itself.
    """
    if split not in SPLITS:
        raise UserError(f"ucfrep has no split '{split}'; it has {' and '.join(SPLITS)}")
    if fold != 1:
        raise UserError(f"ucfrep has no fold {fold}; leave the fold out")
    root = Path(os.path.abspath(root))
    found, classes = _annotations(root, split)
    media, notes = _media(root, split)
    listed = cache(files.names)
    samples = [
        Sample(
            video,
            _path(media, video, listed),
            classes.index(_class(video)),
            video.rpartition("_")[0],
            stretch.start,
            stretch.end,
            boundaries=stretch.boundaries,
        )
        for video, stretch in sorted(found.items())
    ]
    return Index.build("ucfrep", split, media.root, classes, samples, notes)


def splits(root: Path) -> tuple[str, ...]:
    """Return the splits that have annotations below `root`: both or none, as the classes are those of both."""
    there = any(_mat_files(folder) for folder in _mat_folders(Path(root))) or list_file.find(Path(root), [CSV], CSV)
    return SPLITS if there else ()


def _mat_folders(root: Path) -> list[Path]:
    return [root / place / "annotations" for place in ROOTS]


def _mat_files(folder: Path) -> dict[str, list[Path]]:
    """Return split -> its annotation files, sorted; empty where there is none at all."""
    found = {
        split: sorted(folder / split / name for name in files.names(folder / split) if name.endswith(".mat"))
        for split in SPLITS
    }
    found = {split: [path for path in paths if not path.name.startswith(".")] for split, paths in found.items()}
    return found if any(found.values()) else {}


def _annotations(root: Path, split: str) -> tuple[dict[str, Repetitions], list[str]]:
    """Return video -> its repetitions, and the sorted classes of both splits."""
    for folder in _mat_folders(root):
        paths = _mat_files(folder)
        if not paths:
            continue
        lacking = [name for name in SPLITS if not paths[name]]
        if lacking:
            raise UserError(
                f"{folder / lacking[0]} holds no .mat file, while the other split has some; labels are the classes of "
                "both, so unpack all of ucf526_annotations.zip"
            )
        stems: dict[str, Path] = {}
        for path in (path for name in SPLITS for path in paths[name]):
            if not _VIDEO.fullmatch(path.stem):
                raise UserError(f"{path}: expected a name such as v_JumpRope_g03_c01.mat")
            if path.stem in stems:
                raise UserError(f"{path}: the video is in the other split too ({stems[path.stem]}); keep one of them")
            stems[path.stem] = path
        classes = sorted({_class(stem) for stem in stems})
        return {path.stem: ucfrep_mat.read(path) for path in paths[split]}, classes
    table = list_file.find(root, [CSV], "the table of ucfrep")
    if table is not None:
        return _table(table, split)
    places = " or ".join(str(folder) for folder in _mat_folders(root))
    only = any(files.names(folder / "repetition_label") for folder in _mat_folders(root))
    raise UserError(
        f"no annotations of ucfrep: expected train/*.mat and val/*.mat (from ucf526_annotations.zip) in {places}, or "
        f"{list_file.expected(root, [CSV])}"
        + ("; the files of repetition_label do not say which split a video is in" if only else "")
    )


def _table(path: Path, split: str) -> tuple[dict[str, Repetitions], list[str]]:
    header, *rows = list_file.text(path).splitlines() or [""]
    if header.strip() != HEADER:
        raise UserError(f"{path}:1: found '{header[:80]}', expected '{HEADER}'")
    found: dict[str, dict[str, Repetitions]] = {name: {} for name in SPLITS}
    lines: dict[str, int] = {}
    for number, row in enumerate(rows, 2):
        where, match = f"{path}:{number}", _ROW.fullmatch(row.strip())
        if match is None:
            raise UserError(f"{where}: found '{row[:120]}', expected such as 'train,v_JumpRope_g03_c01,2,3 18 33'")
        if match["video"] in lines:
            raise UserError(f"{where}: '{match['video']}' is in line {lines[match['video']]} too; expected each once")
        lines[match["video"]] = number
        stretch = repetitions([int(frame) for frame in match["bounds"].split(" ")], where)
        if int(match["count"]) != len(stretch.boundaries) - 1:
            raise UserError(f"{where}: found the count {match['count']}, expected {len(stretch.boundaries) - 1}")
        found[match["split"]][match["video"]] = stretch
    if not all(found.values()):
        raise UserError(f"{path} lacks the rows of a split; labels are the classes of both, {' and '.join(SPLITS)}")
    return found[split], sorted({_class(video) for video in lines})


def _class(video: str) -> str:
    return video[len("v_") : -len("_gXX_cYY")]


def _media(root: Path, split: str) -> tuple[Media, list[str]]:
    frames = [Media(root / place / "imgs", f"{split}/", "") for place in ROOTS]
    videos = [
        Media(base / "UCF-101", "", ".avi") for base in (root, root.parent / "ucf101", root.parent / "ucf101/UCF101")
    ]
    there = [[media for media in kind if files.names(media.root / media.below)] for kind in (frames, videos)]
    if not any(there):
        places = " or ".join(str(media.root / media.below) for media in [*frames, *videos])
        raise UserError(
            f"no videos of ucfrep: expected class folders with frames (imgs) or videos (UCF-101) in {places}; where "
            f"UCF101 lies elsewhere, link its folder: ln -s <ucf101>/UCF-101 {shlex.quote(str(root))}/UCF-101"
        )
    media = (there[0] or there[1])[0]
    _log.info("ucfrep is read from %s", media.root / media.below)
    return media, ["read from the frames in imgs, not from UCF-101, which is there too"] if all(there) else []


def _path(media: Media, video: str, listed: Callable[[Path], frozenset[str]]) -> str:
    """Return where a video lies or is expected: in a folder named like its class but for case, that holds it."""
    name, wanted = f"{video}{media.ending}", _class(video)
    folders = sorted(f for f in listed(media.root / media.below) if f.casefold() == wanted.casefold())
    holding = [f for f in folders if name in listed(media.root / media.below / f)]
    return f"{media.below}{[*holding, *folders, wanted][0]}/{name}"
