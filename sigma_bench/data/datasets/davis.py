"""DAVIS-2017 as it is downloaded: `JPEGImages/480p/<sequence>`, masks beside it, `ImageSets/2017/{train,val}.txt`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import list_file
from sigma_bench.data.index import Index, Sample

SPLITS = ("train", "val")
FRAMES = "JPEGImages/480p"
LISTS = "ImageSets/2017"
PLACES = ("", "DAVIS")
"""Folders below the root that may hold all this: the root itself, or the folder that the archives unpack to."""

_SEQUENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Edition:
    """One of the two editions of the annotation, which differ in the masks alone.

    `archive` is the file that holds it.
    """

    name: str
    masks: str
    archive: str

    def read(self, root: Path, split: str, *, fold: int = 1) -> Index:
        """Return the index of one split, sequences in alphabetical order.

        A sample is a sequence: id and group are its name, its path is the folder of frames and `masks` that of the
        masks. DAVIS names no categories, so there are no classes, labels are -1, and which objects there are is what
        the masks show. Which value means void is in `masks.VOID_VALUE`.

        Args:
            root: Folder that holds `JPEGImages`, the masks and `ImageSets`, or `DAVIS` with all of them.
            split: "train" or "val". The other splits have no masks.
            fold: Must be 1.

        Raises:
            UserError: No such split, list or folder at 480p, or a line names no sequence.
        """
        if split not in SPLITS:
            raise UserError(
                f"{self.name} has no split '{split}'; it has {' and '.join(SPLITS)} (test-dev and test-challenge have "
                "no masks)"
            )
        if fold != 1:
            raise UserError(f"{self.name} has no fold {fold}; leave the fold out")
        base = self._base(Path(root))
        path = base / LISTS / f"{split}.txt"
        if not path.is_file():
            raise UserError(f"{path} does not exist; it is one of the lists of DAVIS-2017 ({self.archive})")
        sequences = _sequences(path)
        samples = [Sample(s, f"{FRAMES}/{s}", -1, s, masks=f"{self.masks}/{s}") for s in sorted(sequences)]
        return Index.build(self.name, split, base, (), samples)

    def splits(self, root: Path) -> tuple[str, ...]:
        """Return the splits that have a list below `root`."""
        there = {name for place in PLACES for name in files.names(Path(root) / place / LISTS)}
        return tuple(split for split in SPLITS if f"{split}.txt" in there)

    def _base(self, root: Path) -> Path:
        for place in PLACES:
            if files.names(root / place / FRAMES) and files.names(root / place / self.masks):
                return root / place
        found = [
            f"{place}{'/' if place else ''}{kind}/{name}"
            for place in PLACES
            for kind in ("JPEGImages", "Annotations", "Annotations_unsupervised")
            for name in sorted(files.names(root / place / kind))
            if (root / place / kind / name).is_dir()
        ]
        raise UserError(
            f"no {self.name} in {root}: expected the folders {FRAMES} and {self.masks} there or in {root / PLACES[1]}; "
            f"found {', '.join(found[:6]) or 'neither'}. Unpack {self.archive}; 480p is the only resolution read"
        )


def _sequences(path: Path) -> dict[str, int]:
    lines: dict[str, int] = {}
    for number, line in enumerate(list_file.text(path).splitlines(), 1):
        name = line.strip()
        if not name:
            continue
        if not _SEQUENCE.fullmatch(name):
            raise UserError(
                f"{path}:{number}: found '{name[:80]}', expected the name of a sequence such as bike-packing (lists of "
                "pictures are those of DAVIS-2016)"
            )
        if name in lines:
            raise UserError(f"{path}:{number}: '{name}' is in line {lines[name]} too; expected each once")
        lines[name] = number
    if not lines:
        raise UserError(f"{path} is empty; expected one sequence a line, such as bike-packing")
    return lines


_SEMI = Edition("davis", "Annotations/480p", "DAVIS-2017-trainval-480p.zip")
_UNSUPERVISED = Edition(
    "davis_unsupervised", "Annotations_unsupervised/480p", "DAVIS-2017-Unsupervised-trainval-480p.zip"
)

read, splits = _SEMI.read, _SEMI.splits
unsupervised, unsupervised_splits = _UNSUPERVISED.read, _UNSUPERVISED.splits
