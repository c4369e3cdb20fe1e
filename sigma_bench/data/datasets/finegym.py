"""FineGym by its element lists: Gym99 and Gym288, FX-S1 and UB-S1 as parts of Gym99; cut clips or untrimmed videos."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import finegym_uncut, list_file
from sigma_bench.data.index import Index, Sample

SPLITS = ("train", "val")
VIDEOS = "subactions"
"""Folder below the root with one clip an element, named by the element's full id."""
ENDINGS = (".mp4", ".avi")
"""Endings of the clips; where an element has both, the first is read."""

_NAMES = {
    "train": ("{}_train_element_v1.0.txt", "{}_train_org.txt", "{}_train.txt"),
    "val": ("{}_val_element_v1.0.txt", "{}_val_element.txt", "{}_val_org.txt", "{}_val.txt"),
}
_NEWER = "{}_{}_element_v1.1.txt"
_CATEGORIES = ("{}_categories.txt", "{}_label_map.txt")
_ID = re.compile(r"[A-Za-z0-9_-]{11}_E_[0-9]{6}_[0-9]{6}_A_[0-9]{4}_[0-9]{4}")
_ELEMENT = re.compile(rf"({_ID.pattern})(?:\.avi|\.mp4)?\s+([0-9]{{1,6}})")
_CATEGORY = re.compile(r"Clabel:\s*([0-9]{1,6});\s*set:\s*[0-9]+;\s*(?:Glabel:\s*[0-9]+;\s*)?(\S.*)")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """One of the data sets in FineGym: the labels `first` to `last` of an element list, counted from 0 again.

    `source` is what the names of its lists begin with, `classes` how many classes that list has.
    """

    name: str
    source: str
    classes: int
    first: int
    last: int

    def read(self, root: Path, split: str, *, fold: int = 1) -> Index:
        """Return the index of one split, in the order of its element list.

        A list's lines are `<element id> <label>`, the id with or without the ending of its clip. The lists of v1.0,
        which the published counts are of, go before `<source>_<split>.txt`, which some copies hold cut down to the
        clips at hand, and this before the list of v1.1, which is read with a warning and a note where it is alone.

        Where the folder `subactions` holds a cut clip, these are read; else the untrimmed videos, of which a sample
        is the stretch from `start_s` to `end_s` (see `finegym_uncut.find`), and a note says by which file.

        The id is the element's, the group the YouTube video. The official splits part elements, not videos: some
        videos are on both sides. Class names come from `<source>_categories.txt` or `<source>_label_map.txt` where
        they are there, a name that two classes share with its label; else they are the numbers in the list.

        Args:
            root: Folder that holds `subactions`, or `videos` or `raw_videos`, and the lists (also in `annotations`
                or `labels`).
            split: "train" or "val".
            fold: Must be 1.

        Raises:
            UserError: No such split or list, neither clips nor untrimmed videos, a line cannot be understood, or an
                element has no times.
        """
        if split not in SPLITS:
            raise UserError(f"{self.name} has no split '{split}'; it has {' and '.join(SPLITS)}")
        if fold != 1:
            raise UserError(f"{self.name} has no fold {fold}; leave the fold out")
        root = Path(root)
        path = self._list(root, split)
        if path is None:
            expected = list_file.expected(root, self._names(split))
            raise UserError(f"no element list of {self.name}/{split}: expected {expected}")
        elements = {e: label - self.first for e, label in self._elements(path).items() if self._has(label)}
        if not elements:
            raise UserError(f"{path} has no element of {self.name} (labels {self.first} to {self.last})")
        newer = path.name == _NEWER.format(self.source, split)
        notes = [f"elements of {path.name}; the published counts are of v1.0"] if newer else []
        names = self._class_names(root)[self.first : self.last + 1]
        there = _clips(root / VIDEOS)
        if there:
            files_of = {e: there.get(e, f"{e}{ENDINGS[0]}") for e in elements}
            cut = [Sample(e, files_of[e], label, e[:11]) for e, label in elements.items()]
            return Index.build(self.name, split, root / VIDEOS, names, cut, notes)
        if finegym_uncut.folder(root) is None:
            raise UserError(
                f"no videos of FineGym: neither {root / VIDEOS} holds a clip, named such as "
                f"CCCCCCCCCCC_E_000123_000150_A_0003_0005.mp4 ({', '.join(ENDINGS[1:])} is read too), nor "
                f"{' or '.join(str(root / place) for place in finegym_uncut.VIDEOS)} an untrimmed video such as "
                "CCCCCCCCCCC.mp4"
            )
        found = finegym_uncut.find(root, elements, newer)
        samples = [
            Sample(e, stretch.video, elements[e], e[:11], start_s=stretch.start_s, end_s=stretch.end_s)
            for e, stretch in found.stretches.items()
        ]
        return Index.build(self.name, split, found.folder, names, samples, [*notes, found.note])

    def splits(self, root: Path) -> tuple[str, ...]:
        """Return the splits that have an element list below `root`."""
        return tuple(split for split in SPLITS if self._list(Path(root), split) is not None)

    def _has(self, label: int) -> bool:
        return self.first <= label <= self.last

    def _names(self, split: str) -> list[str]:
        return [name.format(self.source) for name in _NAMES[split]] + [_NEWER.format(self.source, split)]

    def _list(self, root: Path, split: str) -> Path | None:
        for name in self._names(split):
            path = list_file.find(root, [name], f"the element list of {self.name}/{split}")
            if path is not None:
                if name == _NEWER.format(self.source, split):
                    _log.warning("%s is read as %s/%s; the published counts are of v1.0", path, self.name, split)
                return path
        return None

    def _elements(self, path: Path) -> dict[str, int]:
        elements: dict[str, int] = {}
        lines: dict[str, int] = {}
        for number, line in enumerate(list_file.text(path).splitlines(), 1):
            if not line.strip():
                continue
            match = _ELEMENT.fullmatch(line.strip())
            if match is None:
                raise UserError(
                    f"{path}:{number}: found '{line.strip()[:80]}', expected "
                    "'<11 characters>_E_000123_000150_A_0003_0005 <label>'"
                )
            element, label = match[1], int(match[2])
            if label >= self.classes:
                raise UserError(
                    f"{path}:{number}: label {label} is out of range; {self.source} has labels 0 to {self.classes - 1}"
                )
            if element in elements:
                raise UserError(f"{path}:{number}: '{element}' is in line {lines[element]} too; expected each once")
            elements[element], lines[element] = label, number
        if not elements:
            raise UserError(f"{path} is empty; expected one element a line with its label")
        return elements

    def _class_names(self, root: Path) -> list[str]:
        for name in (pattern.format(self.source) for pattern in _CATEGORIES):
            path = list_file.find(root, [name], f"the class names of {self.source}")
            if path is not None:
                return self._named(path)
        return [str(label) for label in range(self.classes)]

    def _named(self, path: Path) -> list[str]:
        names: list[str] = []
        for number, line in enumerate(list_file.text(path).splitlines(), 1):
            name = line.strip()
            if not name:
                continue
            if path.name == _CATEGORIES[0].format(self.source):
                match = _CATEGORY.fullmatch(name)
                if match is None or int(match[1]) != len(names):
                    raise UserError(
                        f"{path}:{number}: found '{name[:80]}', expected 'Clabel: {len(names)}; set: <number>; "
                        "Glabel: <number>; <name>'"
                    )
                name = match[2]
            names.append(name)
        if len(names) != self.classes:
            raise UserError(
                f"{path} names {len(names)} classes, {self.source} has {self.classes}; give all of them, one a line, "
                "or take the file away to call the classes by their numbers"
            )
        shared = Counter(names)
        return [f"{name} (label {i})" if shared[name] > 1 else name for i, name in enumerate(names)]


def _clips(folder: Path) -> dict[str, str]:
    """Return element id -> file name of the clips, from one listing of the folder."""
    names = files.names(folder)
    found: dict[str, str] = {}
    twice = 0
    for ending in ENDINGS:
        for name in names:
            element = name.removesuffix(ending)
            if name.endswith(ending) and _ID.fullmatch(element):
                twice += element in found
                found.setdefault(element, name)
    if twice:
        _log.warning("%s holds %d elements as %s; %s is read", folder, twice, " and ".join(ENDINGS), ENDINGS[0])
    return found


_GYM99 = Part("gym99", "gym99", 99, 0, 98)
_GYM288 = Part("gym288", "gym288", 288, 0, 287)

gym99 = _GYM99.read
gym288 = _GYM288.read
fx_s1 = Part("fx_s1", "gym99", 99, 6, 16).read
ub_s1 = Part("ub_s1", "gym99", 99, 74, 88).read
gym99_splits = _GYM99.splits
gym288_splits = _GYM288.splits
