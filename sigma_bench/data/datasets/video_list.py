"""The list file of the VideoMAE family: one `path label` a line, no header (`train.csv`, `val.csv`, `test.csv`)."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import list_file
from sigma_bench.data.index import Index, Sample

EXPECTED = "expected `path label`, the label a whole number counted from 0"

_LINE = re.compile(r"(\S.*?)[ \t]+(-1|[0-9]{1,6})")
_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE)
_UNFIT = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPLIT = re.compile(r"[A-Za-z0-9_-]+")


class Entry(NamedTuple):
    """One line of a list: where it stands, the path without `.` and doubled slashes, the label."""

    line: int
    path: str
    label: int


def read(root: Path, split: str, *, fold: int = 1, classes: int | None = None) -> Index:
    """Return the videos of `<root>/<split>.csv`, in the order of the list.

    The label is the last field, and the path all before it: it may hold spaces, and spaces or tabs of any number may
    stand between the two. Byte order marks, Windows' line ends and empty lines are passed over. Everything else that
    is not `path label` is refused.

    Relative paths are taken from `root`. Absolute ones, which the family's own programs need, may lie anywhere; the
    index's root is then `root` where all lie below it, otherwise their common folder. The id is the path below the
    index's root (so file names may repeat across folders, unlike for those programs, which go by the name alone), the
    group the video itself.

    A list of -1 throughout has no labels, which is good for pretraining alone: only the split "train" may be one.

    Args:
        root: Folder of the list.
        split: Name of the list without `.csv`.
        fold: Must be 1.
        classes: Number of classes; None: those of `train.csv`, or of the list itself where there is no such file.

    Raises:
        UserError: No such list, a line that is not `path label`, a video twice, or a label that names no class.
    """
    if fold != 1:
        raise UserError(f"a list of videos has no fold {fold}; leave the fold out")
    if not _SPLIT.fullmatch(split):
        raise UserError(f"'{split}' is no name of a split; expected letters, digits, '_' and '-'")
    path = Path(root) / f"{split}.csv"
    entries = _entries(path, split)
    count = classes if classes is not None else _classes(Path(root), split, entries)
    for entry in entries:
        if entry.label >= count:
            raise UserError(
                f"{path}:{entry.line}: label {entry.label} is out of range; the {count} classes"
                f"{'' if classes is not None else ' of ' + str(path.with_name('train.csv'))} are 0 to {count - 1}"
            )
    base, names = _below_one_folder(path, entries)
    samples = [Sample(name, name, entry.label, name) for name, entry in zip(names, entries, strict=True)]
    return Index.build(Path(root).name, split, base, [str(c) for c in range(count)], samples)


def _entries(path: Path, split: str) -> list[Entry]:
    if not path.is_file():
        raise UserError(f"{path}: no such list; expected one line a video, `path label` (label 0-based)")
    lines = list_file.text(path).split("\n")
    entries = [_entry(f"{path}:{n}", n, line.strip(" \t\r")) for n, line in enumerate(lines, 1) if line.strip(" \t\r")]
    if not entries:
        raise UserError(f"{path} is empty; {EXPECTED}")
    first: dict[str, int] = {}
    for entry in entries:
        if first.setdefault(entry.path, entry.line) != entry.line:
            raise UserError(f"{path}:{entry.line}: '{entry.path}' is in line {first[entry.path]} too; expected it once")
    unlabelled = [entry for entry in entries if entry.label == -1]
    if unlabelled and (len(unlabelled) < len(entries) or split != "train"):
        raise UserError(
            f"{path}:{unlabelled[0].line}: label -1 says that there is none; {len(unlabelled)} of {len(entries)} lines "
            "have it, and only train.csv may, in all lines, as a list for pretraining"
        )
    return entries


def _entry(where: str, number: int, line: str) -> Entry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise UserError(f"{where}: found {line[:80]!r}, {EXPECTED}; {_hint(line, number)}")
    name, label = match[1], int(match[2])
    words = name.split()
    if len(words) > 1 and _NUMBER.fullmatch(words[-1]):
        raise UserError(
            f"{where}: found {line[:80]!r}, {EXPECTED}; two numbers at the end may be a third column: remove it, or "
            "rename the video if its name ends in a number of its own"
        )
    if name[0] in "\"'" or name[-1] in "\"'":
        raise UserError(f"{where}: found {line[:80]!r}, {EXPECTED}; remove the quotes, spaces in a path need none")
    if _UNFIT.search(name):
        raise UserError(f"{where}: path {name[:80]!r} holds a backslash or control character; expected forward slashes")
    if ".." in name.split("/"):
        raise UserError(f"{where}: path '{name[:80]}' leads through '..'; write it out, absolute or below the list")
    return Entry(number, PurePosixPath(name).as_posix(), label)


def _hint(line: str, number: int) -> str:
    *name, last = line.split()
    if "," in last:
        return "put a space instead of the comma"
    if not name or not (last.isalpha() or _NUMBER.fullmatch(last)):
        return "is the label missing?"
    if _NUMBER.fullmatch(last):
        return f"the label '{last}' is none"
    return "a header does not belong there: delete the line" if number == 1 else f"the label '{last}' is no number"


def _classes(root: Path, split: str, entries: list[Entry]) -> int:
    """Return how many classes there are: as many in all lists as in that of the training."""
    if split != "train" and (root / "train.csv").is_file():
        entries = _entries(root / "train.csv", "train")
    return max(entry.label for entry in entries) + 1


def _below_one_folder(path: Path, entries: list[Entry]) -> tuple[Path, list[str]]:
    """Return the folder that the index is relative to, and each path below it."""
    names = [entry.path for entry in entries]
    absolute = [os.path.isabs(name) for name in names]
    if not any(absolute):
        return path.parent, names
    if not all(absolute):
        odd = entries[absolute.index(not absolute[0])]
        raise UserError(
            f"{path}:{odd.line}: '{odd.path}' is {'relative' if absolute[0] else 'absolute'}, the paths above are not; "
            "use one kind"
        )
    home = os.path.abspath(path.parent)
    common = os.path.commonpath([os.path.dirname(name) for name in names])
    base = home if os.path.commonpath([home, common]) == home else common
    return Path(base), [os.path.relpath(name, base) for name in names]
