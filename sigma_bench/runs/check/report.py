"""What a check found, as data: per class, per list, per data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Depth = Literal["size", "three frames", "every frame"]


@dataclass(frozen=True)
class ClassReport:
    """One class of a list: its samples, and how many of them have something wrong."""

    name: str
    listed: int
    missing: int
    unreadable: int
    short: int


@dataclass(frozen=True)
class ListReport:
    """One list of a data set.

    Attributes:
        split: Its name.
        fold: Which of the official foldings.
        listed: Samples in it.
        present: Samples whose file exists.
        missing: Ids of the others.
        unreadable: Id -> why, of the samples whose file exists and cannot be decoded.
        short: Id -> frames, of the samples with fewer than a clip needs; a clip of them repeats frames.
        masks: Id -> what is wrong with its masks.
        readers: What read the files -> samples.
        classes: Per class.
        sha256: Hash of the list.
        classes_sha256: Hash of the label map.
        published: How the list compares with the published one, in words.
        notes: What a reader of a number measured on it must know.
    """

    split: str
    fold: int
    listed: int
    present: int
    missing: tuple[str, ...]
    unreadable: Mapping[str, str]
    short: Mapping[str, int]
    masks: Mapping[str, str]
    readers: Mapping[str, int]
    classes: tuple[ClassReport, ...]
    sha256: str
    classes_sha256: str
    published: str
    notes: tuple[str, ...]

    @property
    def usable(self) -> int:
        """Samples that can be decoded, as far as was looked."""
        return self.present - len(self.unreadable)

    @property
    def wrong(self) -> int:
        """Samples that are missing, unreadable or have damaged masks."""
        return len({*self.missing, *self.unreadable, *self.masks})


@dataclass(frozen=True)
class SetReport:
    """A data set that was looked at.

    Attributes:
        name: Its name.
        folder: Where it lies.
        rule: What named that folder.
        depth: How the files were looked at: by their size, three frames of each, or every frame. By their size alone,
            no file is known to be unreadable but an empty one, and none to be short.
        decoder: What was to read videos; empty where nothing was decoded.
        lists: Its lists.
        said: What else is to be said.
    """

    name: str
    folder: str
    rule: str
    depth: Depth
    decoder: str
    lists: tuple[ListReport, ...]
    said: tuple[str, ...] = ()

    @property
    def wrong(self) -> int:
        """Samples with something wrong, over all lists."""
        return sum(entry.wrong for entry in self.lists)


@dataclass(frozen=True)
class Unchecked:
    """A data set that could not be looked at: it is not there, or its lists cannot be read."""

    name: str
    there: bool
    why: str
