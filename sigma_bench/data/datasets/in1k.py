"""ImageNet-1K as it is downloaded: `train/<wnid>/*.JPEG`, and `val` flat as in the archive or in folders of classes."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import in1k_val
from sigma_bench.data.datasets.in1k_val import PICTURE, WNID
from sigma_bench.data.decode.media import PICTURES
from sigma_bench.data.index import Index, Sample

SPLITS = ("train", "val")
PLACES = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
"""Folders below the root in which `train` and `val` are looked for; the others are those of Kaggle's archive."""
ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}

_WNID_LAST = re.compile(rf"(.+)_({WNID.pattern})")

_log = logging.getLogger(__name__)


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one split. Classes are the folders of `train`, WordNet ids, in alphabetical order.

    The training pictures are sorted by class and name, those of `val` by name, so that a flat and a sorted copy give
    the same list. The id is the name without its ending, the group is the picture; a class that the name ends in, as
    in the archives of Hugging Face (`n01440764_10026_n01440764.JPEG`), is checked and no part of the id. A flat `val`
    gets its classes from Kaggle's `LOC_val_solution.csv` or from the devkit (`in1k_val`), and what that list names and
    the folder lacks is in the index. Files that are no pictures are left out; a warning counts them.

    Args:
        root: Folder that holds `train` and `val`, directly or in one of `PLACES`.
        split: "train" or "val".
        fold: Must be 1.

    Raises:
        UserError: A folder is missing, still packed or not what it should be, or the classes of a flat `val` are
            unknown.
    """
    if split not in SPLITS:
        raise UserError(f"in1k has no split '{split}'; it has {' and '.join(SPLITS)}")
    if fold != 1:
        raise UserError(f"in1k has no fold {fold}; leave the fold out")
    root = Path(root)
    base = _base(root)
    classes = _classes(base / "train")
    if split == "train":
        return Index.build("in1k", split, base, classes, _train(base / "train", classes))
    samples = _val(root, base, classes)
    shown = len({sample.label for sample in samples})
    notes = []
    if shown < len(classes):
        notes.append(f"val has pictures of {shown} of the {len(classes)} classes")
        _log.warning("%s: %s", base, notes[0])
    return Index.build("in1k", split, base, classes, samples, notes)


def splits(root: Path) -> tuple[str, ...]:
    """Return the splits that have a folder below `root`."""
    there = {name for place in PLACES for name in files.names(Path(root) / place)}
    return tuple(split for split in SPLITS if split in there)


def _base(root: Path) -> Path:
    for place in PLACES:
        if "train" in files.names(root / place):
            return root / place
    places = " or ".join(str(root / place) for place in PLACES)
    packed = sorted(set(ARCHIVES.values()) & files.names(root))
    raise UserError(
        f"no ImageNet-1K: expected the folder train with one folder a class (n01440764, ...) in {places}"
        + (f"; {packed[0]} is there, unpack it" if packed else "")
    )


def _classes(train: Path) -> list[str]:
    there = files.names(train)
    classes = sorted(name for name in there if WNID.fullmatch(name))
    tars = sorted(name for name in there if name.endswith(".tar") and WNID.fullmatch(name[:-4]))
    packed = [name for name in tars if name[:-4] not in there]
    if packed:
        raise UserError(
            f"{train / packed[0]} is still packed ({len(packed)} archives of classes are); unpack each into a folder "
            f"of its name: mkdir {packed[0][:-4]} && tar -xf {packed[0]} -C {packed[0][:-4]}"
        )
    others = sorted(name for name in there - set(classes) - set(tars) if not name.startswith("."))
    folder = next((name for name in others if files.names(train / name)), None)
    if folder is not None:
        raise UserError(
            f"{train / folder} is no class of ImageNet-1K; expected folders named by WordNet id, such as n01440764, "
            "whose order is that of the labels"
        )
    if not classes:
        raise UserError(f"{train} has no folder of a class; expected n01440764 and 999 others")
    _ignored(train, [*others, *tars])
    return classes


def _train(train: Path, classes: Sequence[str]) -> Iterator[Sample]:
    for label, wnid in enumerate(classes):
        for stem, name in sorted(_class_pictures(train / wnid).items()):
            if not stem.startswith(f"{wnid}_"):
                raise UserError(
                    f"{train / wnid / name} does not begin with its class; expected names such as {wnid}_10026.JPEG"
                )
            yield Sample(stem, f"train/{wnid}/{name}", label, stem)


def _val(root: Path, base: Path, classes: Sequence[str]) -> list[Sample]:
    folder = base / "val"
    there = files.names(folder)
    if not there:
        packed = f"; {ARCHIVES['val']} is there, unpack it" if ARCHIVES["val"] in files.names(root) else ""
        raise UserError(f"{folder} is empty or does not exist; expected the validation pictures{packed}")
    wnids = sorted(name for name in there if WNID.fullmatch(name))
    flat = [name for name in there if _is_picture(name)]
    if wnids and flat:
        raise UserError(
            f"{folder} holds {len(flat)} pictures ({min(flat)}) beside {len(wnids)} folders of classes; expected "
            "either all pictures in it or all in folders"
        )
    if not wnids and not flat:
        raise UserError(
            f"{folder} holds neither pictures nor folders of classes; expected ILSVRC2012_val_00000001.JPEG"
        )
    if wnids:
        _ignored(folder, sorted(name for name in there - set(wnids) if not name.startswith(".")))
        return _sorted_val(folder, wnids, classes)
    places = list(dict.fromkeys([root, root / "ILSVRC", base, folder]))
    return _flat_val(folder, places, classes)


def _sorted_val(folder: Path, wnids: Sequence[str], classes: Sequence[str]) -> list[Sample]:
    labels = {wnid: label for label, wnid in enumerate(classes)}
    found: dict[str, Sample] = {}
    for wnid in wnids:
        if wnid not in labels:
            raise UserError(f"{folder / wnid} is a class that {folder.with_name('train')} lacks; is train complete?")
        for stem, name in _class_pictures(folder / wnid).items():
            path = f"val/{wnid}/{name}"
            if not PICTURE.fullmatch(stem):
                raise UserError(f"{folder / wnid / name}: expected names such as ILSVRC2012_val_00000001.JPEG")
            if stem in found:
                raise UserError(f"{folder}: {found[stem].path} and {path} are one picture in two classes; remove one")
            found[stem] = Sample(stem, path, labels[wnid], stem)
    return [found[stem] for stem in sorted(found)]


def _flat_val(folder: Path, places: Sequence[Path], classes: Sequence[str]) -> list[Sample]:
    source, wnids = in1k_val.classes(places)
    labels = {wnid: label for label, wnid in enumerate(classes)}
    there = _pictures(folder)
    unlisted = sorted(set(there) - set(wnids))
    if unlisted:
        raise UserError(f"{source} does not name {len(unlisted)} pictures of {folder}, the first is {unlisted[0]}")
    for stem, wnid in wnids.items():
        _agree(folder, there.get(stem, ""), wnid)
        if wnid not in labels:
            raise UserError(
                f"{source}: {stem} is of class {wnid}, which {folder.with_name('train')} lacks; is train complete?"
            )
    return [Sample(stem, f"val/{there.get(stem, f'{stem}.JPEG')}", labels[wnid], stem) for stem, wnid in wnids.items()]


def _class_pictures(folder: Path) -> dict[str, str]:
    found = _pictures(folder)
    if not found:
        raise UserError(f"{folder} holds no picture; unpack the class anew, or remove its folder from train and val")
    for name in found.values():
        _agree(folder, name, folder.name)
    return found


def _agree(folder: Path, name: str, wnid: str) -> None:
    match = _WNID_LAST.fullmatch(os.path.splitext(name)[0])
    if match is not None and match[2] != wnid:
        raise UserError(f"{folder / name} says class {match[2]} by its name, but it is listed or lies as {wnid}")


def _pictures(folder: Path) -> dict[str, str]:
    """Return id -> name of the pictures in a folder; two names of one id cannot be told apart and are refused."""
    found: dict[str, str] = {}
    others: list[str] = []
    for name in files.names(folder):
        stem, ending = os.path.splitext(name)
        if ending.lower() not in PICTURES or name.startswith("."):
            others.append(name)
            continue
        match = _WNID_LAST.fullmatch(stem)
        stem = match[1] if match else stem
        if stem in found:
            names = " and ".join(sorted((found[stem], name)))
            raise UserError(f"{folder} holds {names}: one picture under two names; remove one")
        found[stem] = name
    _ignored(folder, sorted(others))
    return found


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PICTURES


def _ignored(folder: Path, names: Sequence[str]) -> None:
    if names:
        _log.warning("%s: %d files that are no pictures are left out, the first is %s", folder, len(names), names[0])
