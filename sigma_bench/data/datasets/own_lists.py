"""Two lists of own videos, one to train on and one to test: `path,label` or `path label`, labels text or numbers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import list_file
from sigma_bench.data.index import Index, Sample

NAME = "videos"
"""Name of the data set that a task on own lists has."""
SPLITS = ("train", "test")
EXPECTED = "expected one video a line, `path,label` or `path label`"
COLUMNS = ("path", "label", "group")
"""Of a list with commas and a header; without one it has the first two. The group is what must not be torn apart when
a part is held out, such as a recording; without it each video is its own."""
UNLABELLED = "-1"
LONGEST_LABEL = 200

_NUMBER = re.compile(r"[0-9]{1,9}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Entry(NamedTuple):
    """One line: where it stands, the file, as it is written and as it is found, its label and group."""

    line: int
    written: str
    path: str
    label: str
    group: str | None


@dataclass(frozen=True)
class OwnLists:
    """A training and a test list with the same classes.

    `sha256` covers paths as they are written, labels, and the sizes of the files: two sets of videos that happen to
    have the same names are not the same.
    """

    train: Index
    test: Index
    sha256: str


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return one of the lists `<root>/train.csv` and `<root>/test.csv`, which name the classes together.

    Raises:
        UserError: As for `pair`, or there is no such split or fold.
    """
    if split not in SPLITS or fold != 1:
        raise UserError(f"{NAME} has the lists {' and '.join(SPLITS)} and no folds; found list '{split}', fold {fold}")
    both = pair(Path(root) / "train.csv", Path(root) / "test.csv")
    return both.train if split == "train" else both.test


def pair(train: Path, test: Path) -> OwnLists:
    """Return the indices of two lists.

    Lines have a comma or spaces between path and label; the path may hold spaces. Relative paths are taken from the
    folder of their list. The classes are the labels of the training list: in the order of numbers where all are whole
    numbers, else in that of the alphabet.

    Raises:
        UserError: A list cannot be read, has a line that is not understood, names a video twice, has no file that
            exists, or a label that the training list has not; or all tested videos are trained on.
    """
    lists = [_entries(Path(path)) for path in (train, test)]
    names = {entry.label for entries in lists for entry in entries}
    numbers = all(_NUMBER.fullmatch(name) for name in names)
    trained = {_class(entry.label, numbers) for entry in lists[0]}
    classes = sorted(trained, key=lambda name: (int(name), name)) if numbers else sorted(trained)
    for entry in lists[1]:
        if _class(entry.label, numbers) not in trained:
            raise UserError(
                f"{test}:{entry.line}: no video of {train} has the label '{entry.label}', so it can never be "
                f"predicted; its classes are {_some(classes)}. Mend the label, or train on some videos of it"
            )
    told = f"own lists {Path(train).name} and {Path(test).name}"
    both = [
        _index(Path(path), split, entries, classes, numbers)
        for path, split, entries in zip((train, test), SPLITS, lists, strict=True)
    ]
    notes = (told, *_overlap(Path(train), Path(test), *lists))
    return OwnLists(replace(both[0], notes=notes), both[1], _sha256(both))


def listed(path: Path) -> Index:
    """Return the index of one list whose labels do not count, and need not be there.

    Raises:
        UserError: The list cannot be read, names a video twice, or no file that exists.
    """
    return _index(path, "list", _entries(path, labelled=False), ("",), numbers=False)


def _entries(path: Path, labelled: bool = True) -> list[Entry]:
    if not path.is_file():
        raise UserError(f"{path}: no such list; {EXPECTED}")
    home = os.path.abspath(path.parent)
    entries = []
    first: dict[str, int] = {}
    for line, written, label, group in _lines(path, labelled):
        where = f"{path}:{line}"
        if not written or _CONTROL.search(written):
            raise UserError(f"{where}: found {written[:80]!r} as a path; {EXPECTED}")
        if labelled and (label in ("", UNLABELLED) or len(label) > LONGEST_LABEL or _CONTROL.search(label)):
            found = "no label" if label in ("", UNLABELLED) else f"the label {label[:40]!r}..."
            raise UserError(f"{where}: '{written[:80]}' has {found}; {EXPECTED}")
        found_at = _found(home, written)
        if not labelled and not os.path.exists(found_at) and " " in written:
            without = written.rsplit(maxsplit=1)[0]  # the label does not count
            if os.path.exists(_found(home, without)):
                written, found_at = without, _found(home, without)
        if first.setdefault(found_at, line) != line:
            raise UserError(f"{where}: '{written[:80]}' is in line {first[found_at]} too; expected it once")
        entries.append(Entry(line, written, found_at, label, group))
    if not entries:
        raise UserError(f"{path} is empty; {EXPECTED}")
    return entries


def _found(home: str, written: str) -> str:
    return os.path.normpath(os.path.join(home, os.path.expanduser(written)))


def _lines(path: Path, labelled: bool) -> Iterator[tuple[int, str, str, str | None]]:
    """Yield (line, path, label, group) of each line that is not empty; of a header none."""
    text = list_file.text(path)
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        return
    if "," in lines[0][1]:
        yield from _with_commas(path, text)
        return
    for place, (number, line) in enumerate(lines):
        if not labelled:
            yield number, line, "", None
            continue
        *name, label = line.rsplit(maxsplit=1)
        if not name:
            raise UserError(f"{path}:{number}: found {line[:80]!r}; {EXPECTED}; is the label missing?")
        if place == 0 and (name[0].lower(), label.lower()) == COLUMNS[:2]:
            continue
        yield number, name[0].rstrip(), label, None


def _with_commas(path: Path, text: str) -> Iterator[tuple[int, str, str, str | None]]:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    header: Sequence[str] = ()
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            where = f"{path}:{reader.line_num}"
            if not header:
                header = [cell.lower() for cell in cells]
                if "path" in header:
                    _known(where, header)
                    continue
                header = COLUMNS[:2]
            if len(cells) != len(header):
                raise UserError(
                    f"{where}: found {len(cells)} fields, expected {len(header)} ({', '.join(header)}); a path with a "
                    "comma stands in double quotes"
                )
            named = dict(zip(header, cells, strict=True))
            yield reader.line_num, named["path"], named.get("label", ""), named.get("group")
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: no line of a CSV file: {error}; {EXPECTED}") from error


def _known(where: str, header: Sequence[str]) -> None:
    unknown = [cell for cell in header if cell not in COLUMNS or header.count(cell) > 1]
    if unknown:
        raise UserError(f"{where}: column '{unknown[0]}': expected each of {', '.join(COLUMNS)} once at most")


def _class(label: str, numbers: bool) -> str:
    return str(int(label)) if numbers else label


def _index(path: Path, split: str, entries: Sequence[Entry], classes: Sequence[str], numbers: bool) -> Index:
    """Return the index of a list; its root is the list's folder, or else the one that all videos have in common."""
    home = os.path.abspath(path.parent)
    common = os.path.commonpath([os.path.dirname(entry.path) for entry in entries])
    base = home if os.path.commonpath([home, common]) == home else common
    position = {name: number for number, name in enumerate(classes)}
    samples = []
    for entry in entries:
        name = os.path.relpath(entry.path, base).replace(os.sep, "/")
        samples.append(Sample(name, name, position.get(_class(entry.label, numbers), 0), entry.group or name))
    index = Index.build(NAME, split, Path(base), classes, samples)
    if len(index.missing()) == index.count:
        first = entries[0]
        here = " It is there from the working directory: write the paths from the list's folder, or absolute." if (
            os.path.exists(first.written)
        ) else ""  # fmt: skip
        raise UserError(
            f"{path}: none of its {len(entries)} videos exists; the first, '{first.written[:80]}', was looked for at "
            f"{first.path}. Relative paths are taken from the folder of the list.{here}"
        )
    if samples[0].id in index.missing() and not os.path.splitext(entries[0].path)[1]:
        raise UserError(
            f"{path}:{entries[0].line}: there is no '{entries[0].written[:80]}'; if the line is a header, its columns "
            f"are {', '.join(COLUMNS)}"
        )
    return index


def _overlap(train: Path, test: Path, trained: Sequence[Entry], tested: Sequence[Entry]) -> tuple[str, ...]:
    """Return what is to be said where videos are in both lists.

    Raises:
        UserError: All of the tested ones are trained on.
    """
    both = {entry.path for entry in trained} & {entry.path for entry in tested}
    if len(both) == len(tested):
        raise UserError(
            f"all {len(tested)} videos of {test} are in {train} too: what is trained on cannot be tested; name other "
            "lists"
        )
    return (f"{len(both)} of {len(tested)} test videos are in the training list too",) if both else ()


def _sha256(lists: Sequence[Index]) -> str:
    rows = [
        [*(index.table[name].to_pylist() for name in ("id", "label", "group")),
         [files.stamp(index.root / path)[0] for path in index.table["path"].to_pylist()],
         list(index.classes)]
        for index in lists
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
