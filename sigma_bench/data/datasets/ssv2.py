"""Something-Something v2 as it is downloaded: JSON lists, a labels file and `<id>.webm` videos."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import endings, list_file, video_list
from sigma_bench.data.index import Index, Sample

SPLITS = ("train", "val", "test")
VIDEOS = ("20bn-something-something-v2", "something-something-v2", "videos", "")
"""Folders below the root in which the videos are looked for, in this order."""
ENDINGS = (".webm", ".mp4", ".avi")
"""Endings of the videos: the official one, then those of transcoded copies; the first that a video has is read."""

_OFFICIAL = {"train": "train", "val": "validation", "test": "test"}
_ALIAS = {"validation": "val"}
_LABELS = ("something-something-v2-labels.json", "labels.json")
_ID = re.compile(r"[0-9]{1,12}")
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one split: from the official lists, or from a list of the VideoMAE family.

    See `read_official` for the former. A folder that holds `<split>.csv` with `path label` lines instead is read by
    `video_list`.

    Args:
        root: Folder that holds the lists (also in `annotations` or `labels`) and the folder of videos.
        split: "train", "val" (or "validation") or "test".
        fold: Must be 1.

    Raises:
        UserError: No such split or list, or something in a list cannot be understood.
    """
    split = _split(split, fold)
    own = root / f"{split}.csv"
    if not own.is_file():
        return read_official(root, split)
    official = _list(root, split)
    if official is not None:
        raise UserError(f"ssv2/{split} has two lists, {official} and {own}; keep one of them in {root}")
    return replace(video_list.read(root, split), name="ssv2")


def splits(root: Path) -> tuple[str, ...]:
    """Return the splits that have a list below `root`."""
    return tuple(s for s in SPLITS if (root / f"{s}.csv").is_file() or s in official_splits(root))


def official_splits(root: Path) -> tuple[str, ...]:
    """Return the splits that have an official list below `root`."""
    return tuple(s for s in SPLITS if _list(root, s) is not None)


def read_official(root: Path, split: str) -> Index:
    """Return the index of one split from its official list, in the order of the videos' numbers.

    The class of a video is its `template` without brackets, looked up in the labels file; `label`, the filled-in
    sentence, is not used. The test list has no labels: they are -1. The order does not depend on that of the file,
    so neither do the index's hash and what is drawn from it.

    Args:
        root: As for `read`.
        split: One of `SPLITS`.

    Raises:
        UserError: No such split, list or folder of videos, or something in a list cannot be understood.
    """
    split = _split(split, 1)
    path = _list(root, split)
    if path is None:
        names = [*_names(split), f"{split}.csv"]
        raise UserError(f"no list of ssv2/{split}: expected {list_file.expected(root, names)}")
    labels_path = list_file.find(root, _LABELS, "the labels file of ssv2")
    if labels_path is None:
        raise UserError(f"no labels file of ssv2: expected {list_file.expected(root, _LABELS)}")
    labels = _labels(labels_path)
    entries = list_file.parsed(path)
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: found {_shown(entries)}, expected a list of objects with 'id' and 'template'")
    videos: dict[str, tuple[int, int]] = {}
    for position, entry in enumerate(entries):
        where = f"{path}: entry {position}"
        number = _text(entry, "id", where)
        if not _ID.fullmatch(number):
            raise UserError(f"{where}: 'id' is {_shown(number)}, expected digits such as '900001'")
        if number in videos:
            raise UserError(f"{where}: 'id' {number} is that of entry {videos[number][1]} too; expected each once")
        videos[number] = (-1 if split == "test" else _label(entry, number, where, labels, labels_path), position)
    folder, found = _videos(root)
    ordered = sorted(videos, key=lambda n: (int(n), n))
    samples = [Sample(n, found.get(n, n + ENDINGS[0]), videos[n][0], n) for n in ordered]
    return Index.build("ssv2", split, folder, list(labels), samples)


def _split(split: str, fold: int) -> str:
    split = _ALIAS.get(split, split)
    if split not in SPLITS:
        raise UserError(f"ssv2 has no split '{split}'; it has {', '.join(SPLITS)}")
    if fold != 1:
        raise UserError(f"ssv2 has no fold {fold}; leave the fold out")
    return split


def _names(split: str) -> tuple[str, ...]:
    return (f"something-something-v2-{_OFFICIAL[split]}.json", f"{_OFFICIAL[split]}.json")


def _list(root: Path, split: str) -> Path | None:
    return list_file.find(root, _names(split), f"the list of ssv2/{split}")


def _labels(path: Path) -> dict[str, int]:
    content = list_file.parsed(path)
    if not isinstance(content, dict) or not content:
        raise UserError(f'{path}: found {_shown(content)}, expected an object such as {{"Closing something": "5"}}')
    labels: dict[str, int] = {}
    owner: dict[int, str] = {}
    for name, index in content.items():
        if not isinstance(index, str) or not _INDEX.fullmatch(index) or int(index) >= len(content):
            raise UserError(
                f"{path}: key '{name}' has the index {_shown(index)}; expected text from \"0\" to "
                f'"{len(content) - 1}", since there are {len(content)} classes'
            )
        if int(index) in owner:
            raise UserError(f"{path}: keys '{owner[int(index)]}' and '{name}' have the same index {index}")
        owner[int(index)] = name
    for index in sorted(owner):
        labels[owner[index]] = index
    return labels


def _label(entry: Any, number: str, where: str, labels: dict[str, int], labels_path: Path) -> int:
    template = _text(entry, "template", where)
    name = template.replace("[", "").replace("]", "")
    if name not in labels:
        raise UserError(
            f"{where} (id {number}): 'template' {_shown(template)} without brackets is not in {labels_path}"
        )
    return labels[name]


def _text(entry: Any, key: str, where: str) -> str:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: found {_shown(entry)}, expected an object with '{key}'")
    if key not in entry:
        raise UserError(f"{where}: no key '{key}'; found {', '.join(map(_shown, entry)) or 'none'}")
    value = entry[key]
    if not isinstance(value, str):
        raise UserError(f"{where}: '{key}' is {_shown(value)}, expected text")
    return value


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _videos(root: Path) -> tuple[Path, dict[str, str]]:
    """Return the folder of the videos, and number -> file name."""
    for place in VIDEOS:
        found = endings.by_stem(root / place, ENDINGS)
        if any(_ID.fullmatch(stem) for stem in found):
            return root / place, found
    places = " or ".join(str(root / place) for place in VIDEOS)
    raise UserError(
        f"no videos of ssv2: expected files such as 900001.webm ({', '.join(ENDINGS[1:])} are read too) in {places}"
    )
