"""The training videos of YouTube-VOS as downloaded: `train/{JPEGImages,Annotations}/<id>` and `train/meta.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import list_file
from sigma_bench.data.index import Index, Object, Sample

FRAMES, MASKS, META = "JPEGImages", "Annotations", "meta.json"
PLACES = ("train", "")
"""Folders below the root that may hold the training part, in this order."""
LISTS = ("train20.txt", "val.txt")
"""Names of the list of the 20 % that are evaluated: ours, and that of its release."""
SHARE = 0.2

_DRAWN = re.compile(r"train20_seed(0|[1-9][0-9]{0,8})")
_VIDEO = re.compile(r"[0-9a-f]{10}")
_OBJECT = re.compile(r"[1-9][0-9]{0,2}")
_FRAME = re.compile(r"[0-9]{1,8}")


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one split, videos in the order of their ids.

    A sample is a video: id and group are its id, its path is the folder of frames and `masks` that of the masks. Its
    objects, with their categories, are those that `meta.json` names; an object may enter late, so a part of a video
    need not show all of them. Only the videos of `train` have masks throughout. Classes are the categories of all of
    `meta.json` in alphabetical order, whatever the split, so that a category has one number everywhere.

    * `train`: all videos of `meta.json`.
    * `train20`: the 20 % that are evaluated, from a list of ids in `LISTS`. The released list is told by its hash
      (`known.is_official`); any other runs too and is not called so.
    * `train20_seed<N>`: another 20 %, drawn by the rule of `drawn`.

    Args:
        root: Folder that holds `train` (or is it) and, for `train20`, the list (also in `annotations` or `labels`).
        split: As above.
        fold: Must be 1.

    Raises:
        UserError: No such split, folder or list, something in `meta.json` or the list cannot be understood, or the
            list names a video that `meta.json` does not.
    """
    number = _DRAWN.fullmatch(split)
    if split not in ("train", "train20") and number is None:
        raise UserError(
            f"ytvos has no split '{split}'; it has train, train20 and train20_seed<N>, such as train20_seed0 (the "
            "official valid and test parts have masks of first frames only)"
        )
    if fold != 1:
        raise UserError(f"ytvos has no fold {fold}; leave the fold out")
    base = _base(Path(root))
    videos = meta(base / META)
    notes = []
    ids = sorted(videos)
    if split == "train20":
        ids = sorted(_listed(Path(root), videos))
    elif number is not None:
        ids = drawn(ids, int(number[1]))
        notes = [
            f"{len(ids)} of {len(videos)} YouTube-VOS training videos drawn with seed {number[1]}, no released list"
        ]
    classes = sorted({category for objects in videos.values() for category, _ in objects.values()})
    labels = {name: label for label, name in enumerate(classes)}
    samples = [
        Sample(
            *(video, f"{FRAMES}/{video}", -1, video),
            masks=f"{MASKS}/{video}",
            objects=tuple(Object(key, labels[category]) for key, (category, _) in sorted(videos[video].items())),
        )
        for video in ids
    ]
    return Index.build("ytvos", split, base, classes, samples, notes)


def splits(root: Path) -> tuple[str, ...]:
    """Return the splits whose list is there."""
    root = Path(root)
    if not any((root / place / META).is_file() for place in PLACES):
        return ()
    return ("train",) if _list(root) is None else ("train", "train20")


def drawn(ids: list[str], seed: int) -> list[str]:
    """Return a fifth of the ids, sorted: the first of a permutation of the sorted ids by `RandomState(seed)`."""
    order = np.random.RandomState(seed).permutation(len(ids))
    return sorted(sorted(ids)[i] for i in order[: round(SHARE * len(ids))])


def meta(path: Path) -> dict[str, dict[int, tuple[str, frozenset[str]]]]:
    """Return video -> object id -> (category, stems of the annotated frames that it is in), from `meta.json`.

    Ids are text, also where all their characters are digits or they look like a number (12345e6789).

    Raises:
        UserError: The file is unreadable or not of this form; the message names the key.
    """
    content = list_file.parsed(path)
    videos = content.get("videos") if isinstance(content, dict) else None
    if not isinstance(videos, dict) or not videos:
        raise UserError(f'{path}: found {_shown(content)}, expected {{"videos": {{"<id>": {{"objects": ...}}}}}}')
    found = {}
    for video, entry in videos.items():
        if not _VIDEO.fullmatch(video):
            raise UserError(f"{path}: key 'videos' holds {_shown(video)}, expected ids of 10 hexadecimal characters")
        objects = entry.get("objects") if isinstance(entry, dict) else None
        if not isinstance(objects, dict) or not objects:
            raise UserError(f"{path}: videos.{video}: found {_shown(entry)}, expected 'objects' with one at least")
        found[video] = {int(key): _object(objects[key], key, f"{path}: videos.{video}.objects") for key in objects}
    return found


def annotated(index: Index) -> dict[str, frozenset[str]]:
    """Return video -> stems of its annotated frames, those of all its objects, for an index that `read` returned.

    Raises:
        UserError: As `meta`.
    """
    videos = meta(index.root / META)
    return {video: frozenset().union(*(f for _, f in videos[video].values())) for video in index.ids}


def _object(entry: Any, key: str, where: str) -> tuple[str, frozenset[str]]:
    if not _OBJECT.fullmatch(key) or int(key) > 254:
        raise UserError(f"{where}: found the key {_shown(key)}, expected numbers from '1' to '254', as in the masks")
    category = entry.get("category") if isinstance(entry, dict) else None
    if not isinstance(category, str) or not category.strip():
        raise UserError(f"{where}.{key}: found {_shown(entry)}, expected a 'category' in words")
    frames = entry.get("frames")
    if not isinstance(frames, list) or not all(isinstance(f, str) and _FRAME.fullmatch(f) for f in frames):
        raise UserError(f"{where}.{key}: 'frames' is {_shown(frames)}, expected names of frames such as '00005'")
    return category, frozenset(frames)


def _base(root: Path) -> Path:
    for place in PLACES:
        if (root / place / META).is_file():
            for name in (FRAMES, MASKS):
                if not files.names(root / place / name):
                    raise UserError(f"{root / place / name}: no such folder, or empty; unpack train.zip of YouTube-VOS")
            return root / place
    raise UserError(
        f"no YouTube-VOS in {root}: expected {root / PLACES[0] / META} with the folders {FRAMES} and {MASKS} beside it "
        "(train.zip, unpacked)"
    )


def _list(root: Path) -> Path | None:
    return list_file.find(root, LISTS, "the list of ytvos/train20")


def _listed(root: Path, videos: Mapping[str, Any]) -> list[str]:
    path = _list(root)
    if path is None:
        raise UserError(
            f"no list of ytvos/train20: expected {list_file.expected(root, LISTS)}, one id a line. The released one is "
            "val.txt of SMSD75/TimeT_clean (695 ids), see sigma-bench data lists ytvos; for a draw of your own take "
            "the split train20_seed0"
        )
    lines: dict[str, int] = {}
    for number, line in enumerate(list_file.text(path).splitlines(), 1):
        name = line.strip()
        if not name:
            continue
        if not _VIDEO.fullmatch(name):
            raise UserError(f"{path}:{number}: found '{name[:80]}', expected an id such as 0043f083b5")
        if name in lines:
            raise UserError(f"{path}:{number}: '{name}' is in line {lines[name]} too; expected each once")
        lines[name] = number
    lacking = [name for name in lines if name not in videos]
    if lacking:
        raise UserError(
            f"{path}:{lines[lacking[0]]}: {META} has no video '{lacking[0]}' ({len(lacking)} of {len(lines)} ids are "
            "not in it); is it a list of training videos?"
        )
    if not lines:
        raise UserError(f"{path} is empty; expected one id a line, such as 0043f083b5")
    return list(lines)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
