"""Kinetics-400 as it is downloaded: the official csv, or SEVERE's list of it, and clips `<id>_<start>_<end>.mp4`."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import endings, list_file, video_list
from sigma_bench.data.index import Index, Sample

CLASSES = 400
SPLITS = ("train", "val", "test")
LABEL_MAP = "label_map_k400.txt"
"""The class names in the order of their labels, one a line: needed where the list itself does not name all."""

ENDINGS = (".mp4", ".mkv", ".webm", ".avi")
"""Endings of the clips: the official one, then those of other downloads; of a clip with several the first is read."""

_NAMES = {"train": ("train",), "val": ("val", "validate", "validation"), "test": ("test",)}
_LISTS = ("{}.csv", "kinetics_{}.csv", "kinetics400_{}.csv", "kinetics-400_{}.csv", "{}_videofolder.txt")
_FOLDERS = ("{}", "videos_{}", "videos/{}")
_STEM = re.compile(r"([A-Za-z0-9_-]{11})_([0-9]{6})_([0-9]{6})")
_SEVERE = re.compile(rf"([^/\s]+)/({_STEM.pattern}) ([0-9]{{1,7}}) (0|[1-9][0-9]{{0,5}})")
_VIDEO_LIST = re.compile(r"\S.* -?[0-9]+")
_NEEDED = ("youtube_id", "time_start", "time_end")


class Clip(NamedTuple):
    """One line of a list: where it stands, the clip's stem, its class as the list writes it, its label if given."""

    line: int
    stem: str
    name: str
    label: int | None


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one split; the list's first line tells which kind of list it is.

    * The official csv (`label,youtube_id,time_start,time_end,...`): a class's label is its place in the sorted class
      names, which are those of `label_map_k400.txt` if it is there and else of the list, which must name all 400.
      A test csv without the column `label` gives labels of -1.
    * SEVERE's `class/stem frames label`: labels as given; they must agree with the classes. The number of
      frames, 0 for some, is that of its authors' copy and is not used.
    * The VideoMAE family's `path label`: read by `video_list`.

    The id is the clip's stem, the group its YouTube id. Class folders may be spelt with spaces or underscores, with
    or without punctuation; without class folders the clips lie side by side. A clip may have any of `ENDINGS`.

    Args:
        root: Folder that holds the list (also in `annotations` or `labels`) and the clips, in a folder named after
            the split, in `videos`, or directly.
        split: "train", "val" (or "validate", "validation") or "test".
        fold: Must be 1.

    Raises:
        UserError: No such split, list or clips, or a line cannot be understood.
    """
    split = next((s for s, names in _NAMES.items() if split in names), split)
    if split not in SPLITS:
        raise UserError(f"k400 has no split '{split}'; it has {', '.join(SPLITS)}")
    if fold != 1:
        raise UserError(f"k400 has no fold {fold}; leave the fold out")
    path = _list(root, split)
    if path is None:
        raise UserError(f"no list of k400/{split}: expected {list_file.expected(root, _list_names(split))}")
    lines = list_file.text(path).splitlines()
    first = next((line.strip() for line in lines if line.strip()), "")
    if not first:
        raise UserError(f"{path} is empty; expected the header 'label,youtube_id,time_start,time_end,split,is_cc'")
    severe = path.suffix == ".txt" or _SEVERE.fullmatch(first) is not None
    if not severe and _VIDEO_LIST.fullmatch(first):
        if path != root / f"{split}.csv":
            raise UserError(f"{path}:1: a list of `path label` lines must lie at {root / f'{split}.csv'}")
        return replace(video_list.read(root, split), name="k400")
    clips = list(_severe(path, lines) if severe else _official(path, lines, split))
    _unique(path, clips)
    classes = _classes(root, path, clips)
    labels = _labels(path, clips, classes)
    folder, folders = _clips_folder(root, split, classes)
    there = cache(lambda inside: endings.by_stem(folder / inside, ENDINGS))
    samples = []
    for clip, label in zip(clips, labels, strict=True):
        inside = f"{folders.get(label) or classes[label].replace(' ', '_')}/" if folders and label >= 0 else ""
        file = there(inside).get(clip.stem, clip.stem + ENDINGS[0])
        samples.append(Sample(clip.stem, f"{inside}{file}", label, clip.stem[:11]))
    return Index.build("k400", split, folder, classes, samples)


def splits(root: Path) -> tuple[str, ...]:
    """Return the splits that have a list below `root`."""
    return tuple(split for split in SPLITS if _list(root, split) is not None)


def _list_names(split: str) -> list[str]:
    return [form.format(name) for name in _NAMES[split] for form in _LISTS]


def _list(root: Path, split: str) -> Path | None:
    return list_file.find(root, _list_names(split), f"the list of k400/{split}")


def _official(path: Path, lines: list[str], split: str) -> Iterator[Clip]:
    reader = csv.DictReader(lines, strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        labelled = split != "test" or "label" in header
        for key in ("label", *_NEEDED) if labelled else _NEEDED:
            if header.count(key) != 1:
                raise UserError(
                    f"{path}:1: column '{key}' is there {header.count(key)} times; the columns are "
                    f"{', '.join(header)[:200]}; expected the header label,youtube_id,time_start,time_end,split,is_cc, "
                    "or lines `path label` without header"
                )
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise UserError(f"{where}: found another number of fields than the {len(header)} of the header")
            yield Clip(reader.line_num, _stem(row, where), row["label"].strip() if labelled else "", None)
            if "split" in header and row["split"].strip() not in _NAMES[split]:
                raise UserError(f"{where}: 'split' is '{row['split']}', expected {' or '.join(_NAMES[split])}")
            if labelled and not row["label"].strip():
                raise UserError(f"{where}: 'label' is empty; expected a class name")
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num + 1}: no csv: {error}") from error


def _stem(row: dict[str, str], where: str) -> str:
    for key in ("time_start", "time_end"):
        if not re.fullmatch(r"[0-9]{1,6}", row[key]):
            raise UserError(f"{where}: '{key}' is '{row[key]}', expected whole seconds such as 12")
    start, end = int(row["time_start"]), int(row["time_end"])
    if end <= start:
        raise UserError(f"{where}: 'time_end' is {end}, expected more than 'time_start', which is {start}")
    stem = f"{row['youtube_id']}_{start:06d}_{end:06d}"
    if not _STEM.fullmatch(stem):
        raise UserError(f"{where}: 'youtube_id' is '{row['youtube_id']}', expected 11 letters, digits, '-' or '_'")
    return stem


def _severe(path: Path, lines: list[str]) -> Iterator[Clip]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _SEVERE.fullmatch(line.strip())
        if match is None:
            raise UserError(
                f"{path}:{number}: found '{line[:80]}', expected 'class/<id>_<start>_<end> <frames> <label>'"
            )
        yield Clip(number, match[2], match[1], int(match[7]))


def _unique(path: Path, clips: list[Clip]) -> None:
    if not clips:
        raise UserError(f"{path}: no clip after the header; is the download complete?")
    seen: dict[str, int] = {}
    for clip in clips:
        if clip.stem in seen:
            raise UserError(f"{path}:{clip.line}: clip {clip.stem} is in line {seen[clip.stem]} too; expected it once")
        seen[clip.stem] = clip.line


def _key(name: str) -> str:
    """Return what the spellings of a class share: 'hurling (sport)', 'hurling_(sport)' and 'hurling_sport'."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _classes(root: Path, path: Path, clips: list[Clip]) -> list[str]:
    label_map = list_file.find(root, (LABEL_MAP,), "the label map of k400")
    if label_map is not None:
        return _label_map(label_map)
    by_label: dict[int, str] = {}
    for clip in clips:
        if clip.label is not None and by_label.setdefault(clip.label, clip.name) != clip.name:
            raise UserError(
                f"{path}:{clip.line}: label {clip.label} is that of '{clip.name}' here and of "
                f"'{by_label[clip.label]}' in an earlier line"
            )
    names = sorted({clip.name for clip in clips if clip.name})
    if len(names) not in (0, CLASSES):
        raise UserError(
            f"{path} names {len(names)} classes, so their labels cannot be counted out; expected {CLASSES}, or "
            f"{list_file.expected(root, (LABEL_MAP,))} (a class name a line, sorted)"
        )
    return names


def _label_map(path: Path) -> list[str]:
    names: list[str] = []
    for number, line in enumerate(list_file.text(path).splitlines(), 1):
        name = line.strip()
        if not _key(name) or (names and name <= names[-1]):
            raise UserError(f"{path}:{number}: found '{line[:80]}', expected a class name that sorts after the last")
        names.append(name)
    if len({_key(name) for name in names}) != len(names) or not names:
        raise UserError(f"{path}: {'two classes differ in punctuation alone' if names else 'empty'}; expected names")
    return names


def _labels(path: Path, clips: list[Clip], classes: list[str]) -> list[int]:
    exact = {name: label for label, name in enumerate(classes)}
    loose = {_key(name): label for label, name in enumerate(classes)}
    labels = []
    for clip in clips:
        label = -1 if not clip.name else (exact if clip.label is None else loose).get(_key_of(clip))
        if label is None:
            raise UserError(f"{path}:{clip.line}: '{clip.name}' is none of the {len(classes)} classes")
        if clip.label is not None and clip.label != label:
            raise UserError(
                f"{path}:{clip.line}: label {clip.label} contradicts '{clip.name}', which is class {label} of the "
                f"{len(classes)} sorted names"
            )
        labels.append(label)
    return labels


def _key_of(clip: Clip) -> str:
    return clip.name if clip.label is None else _key(clip.name)


def _clips_folder(root: Path, split: str, classes: list[str]) -> tuple[Path, dict[int, str]]:
    """Return the folder of the clips and label -> class folder in it, empty where the clips lie side by side."""
    labels = {_key(name): label for label, name in enumerate(classes)}
    places = [*(form.format(name) for form in _FOLDERS for name in _NAMES[split]), "videos", ""]
    for place in places:
        folder = root / place
        if not folder.is_dir():
            continue
        folders: dict[int, str] = {}
        flat = False
        for name in sorted(files.names(folder)):
            label = labels.get(_key(name))
            if label is not None and (folder / name).is_dir():
                if label in folders:
                    raise UserError(
                        f"{folder}: the folders '{folders[label]}' and '{name}' are both of the class "
                        f"'{classes[label]}'; put the clips into one"
                    )
                folders[label] = name
            stem, ending = os.path.splitext(name)
            flat = flat or (ending in ENDINGS and _STEM.fullmatch(stem) is not None)
        if folders or flat:
            return folder, folders
    raise UserError(
        f"no clips of k400/{split}: expected class folders such as 'air_drumming', or clips named "
        f"<youtube id>_<start>_<end>.mp4 ({', '.join(ENDINGS[1:])} are read too) with six digits each, in one of "
        f"{', '.join(str(root / p) for p in places)}"
    )
