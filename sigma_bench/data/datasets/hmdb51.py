"""HMDB51 as it is downloaded: `<class>/*.avi` and the files `<class>_test_split{1,2,3}.txt`."""

from __future__ import annotations

import re
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.data.datasets import list_file
from sigma_bench.data.index import Index, Sample

FOLDS = (1, 2, 3)
FLAGS = {"0": None, "1": "train", "2": "test"}
"""What the number after a name says: the split that the clip is in; 0 is neither."""
LISTS = ("testTrainMulti_7030_splits", "test_train_splits", "splits", "annotations", "")
"""Folders below the root in which the split files are looked for, in this order."""
VIDEOS = ("videos", "hmdb51_org", "")
"""Folders below the root in which the class folders are looked for, in this order."""

_FILE = re.compile(r"([A-Za-z0-9]\w*)_test_split([123])\.txt")
_LINE = re.compile(r"([^/\\\s]+\.avi)\s+(\S+)")
_TAGS = r"[a-z]_(?:cm|nm)_np\d+_(?:ba|fr|le|ri)_(?:bad|goo|med)_\d+\.avi"
_PART = re.compile(r"(.+?)_+\d+")


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one official split: classes in alphabetical order, clips in the order of their file.

    The id is the file's stem. The group is the film: clips cut from one film must not be on both sides of a held-out
    part. It is the name up to the class (`<film>_<class>_<tags>.avi`; the last place where the class stands, as
    titles name actions too), without the number of the film's part at its end and in lower case, so `The_Matrix_4`
    and `The_Matrix_5` are one film, as are `RETURN_OF_THE_KING` and `Return_of_the_King_2`. Films run across classes,
    and the official splits, drawn class by class, have some films on both sides.

    Args:
        root: Folder that holds the class folders, directly or in one of `VIDEOS`, and the split files, directly or in
            one of `LISTS`. Other files there are ignored.
        split: "train" (flag 1) or "test" (flag 2).
        fold: Which of the three official splits.

    Raises:
        UserError: Class folders or split files are missing, or a line cannot be understood.
    """
    if split not in FLAGS.values():
        raise UserError(f"hmdb51 has no split '{split}'; it has train and test")
    if fold not in FOLDS:
        raise UserError(f"hmdb51 has no fold {fold}; it has {', '.join(map(str, FOLDS))}")
    lists = _lists(Path(root), fold)
    samples = [s for label, (name, path) in enumerate(lists.items()) for s in _samples(path, name, label, split)]
    if not samples:
        raise UserError(f"no clip of hmdb51/{split} in the files of fold {fold} in {next(iter(lists.values())).parent}")
    return Index.build("hmdb51", split, _videos(Path(root), list(lists)), list(lists), samples)


def _lists(root: Path, fold: int) -> dict[str, Path]:
    """Return class -> split file of the fold, sorted by class; each class needs a file in each fold there is."""
    for place in LISTS:
        folder = root / place
        if not folder.is_dir():
            continue
        matches = [(match, path) for path in folder.iterdir() if (match := _FILE.fullmatch(path.name))]
        if not matches:
            continue
        found = {match[1]: path for match, path in matches if match[2] == str(fold)}
        lacking = sorted({match[1] for match, _ in matches} - set(found))
        if lacking:
            raise UserError(
                f"{folder / f'{lacking[0]}_test_split{fold}.txt'} does not exist, while other folds or classes have "
                f"theirs ({len(lacking)} of fold {fold} are missing); unpack all 153 files of test_train_splits.rar"
            )
        return dict(sorted(found.items()))
    places = " or ".join(str(root / place) for place in LISTS)
    raise UserError(
        f"no split files of hmdb51: expected 153 files such as brush_hair_test_split1.txt (from test_train_splits.rar) "
        f"in {places}"
    )


def _videos(root: Path, classes: list[str]) -> Path:
    for place in VIDEOS:
        if any((root / place / name).is_dir() for name in classes):
            return root / place
    places = " or ".join(str(root / place) for place in VIDEOS)
    raise UserError(
        f"no videos of hmdb51: expected class folders such as {classes[0]} (unpack hmdb51_org.rar and the 51 archives "
        f"in it) in {places}"
    )


def _samples(path: Path, name: str, label: int, split: str) -> list[Sample]:
    pattern = re.compile(rf"(.+)_{re.escape(name)}_{_TAGS}")
    samples: list[Sample] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(list_file.text(path).splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or match[2] not in FLAGS:
            raise UserError(f"{path}:{number}: found '{line.strip()}', expected '<name>.avi 0', 1 (train) or 2 (test)")
        film = pattern.fullmatch(match[1])
        if film is None:
            raise UserError(
                f"{path}:{number}: found '{match[1]}', expected a name such as <film>_{name}_f_cm_np1_fr_med_0.avi, "
                f"since the file lists the clips of class '{name}'"
            )
        if match[1] in seen:
            raise UserError(f"{path}:{number}: '{match[1]}' is in line {seen[match[1]]} too; expected each once")
        seen[match[1]] = number
        if FLAGS[match[2]] == split:
            samples.append(Sample(match[1].removesuffix(".avi"), f"{name}/{match[1]}", label, _film(film[1])))
    if not seen:
        raise UserError(f"{path} is empty; expected the clips of class '{name}', one a line with 0, 1 or 2")
    return samples


def _film(prefix: str) -> str:
    part = _PART.fullmatch(prefix)
    return (part[1] if part else prefix).casefold()
