"""CIFAR-100 as it is downloaded and unpacked: `cifar-100-python/{train,test,meta}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.decode import cifar
from sigma_bench.data.index import Index, Sample

SPLITS = ("train", "test")
FOLDER = "cifar-100-python"
"""Folder of the three files; decoding knows them by it."""
ARCHIVE = "cifar-100-python.tar.gz"
CLASSES = 100


def read(root: Path, split: str, *, fold: int = 1) -> Index:
    """Return the index of one split with the fine labels, in the order of the file.

    A picture is a row of the file: `start` is its number from 0, `end` the next. The id is split, row and name of the
    picture (`train_00001_bos_taurus_s_000507.png`), which is unique whether or not the names are. Each picture is a
    group of its own. Classes have the names and the order of `fine_label_names` in `meta`.

    Args:
        root: Folder that holds `cifar-100-python`, or that folder itself.
        split: "train" or "test".
        fold: Must be 1.

    Raises:
        UserError: A file is missing, still packed or not what it should be.
    """
    if split not in SPLITS:
        raise UserError(f"cifar100 has no split '{split}'; it has {' and '.join(SPLITS)}")
    if fold != 1:
        raise UserError(f"cifar100 has no fold {fold}; leave the fold out")
    folder = _folder(Path(root))
    names = _names(folder / "meta")
    path = folder / split
    count = len(cifar.pictures(path))
    labels = _column(path, "fine_labels", count)
    pictures = _column(path, "filenames", count)
    samples = []
    for row, (label, picture) in enumerate(zip(labels, pictures, strict=True)):
        if type(label) is not int or not 0 <= label < CLASSES:
            shown = label if type(label) is int else f"a {type(label).__name__}"
            raise UserError(f"{path}: key 'fine_labels', row {row}: {shown}; expected an integer of 0 to {CLASSES - 1}")
        name = f"{split}_{row:05d}_{_text(path, 'filenames', row, picture)}"
        samples.append(Sample(name, f"{FOLDER}/{split}", label, name, row, row + 1))
    return Index.build("cifar100", split, folder.parent, names, samples)


def _folder(root: Path) -> Path:
    for folder in (root / FOLDER, root.resolve()):
        if folder.name == FOLDER and files.names(folder):
            lacking = sorted({*SPLITS, "meta"} - files.names(folder))
            if lacking:
                raise UserError(
                    f"{folder / lacking[0]} does not exist; expected train, test and meta there, unpack the whole of "
                    f"{ARCHIVE}"
                )
            return folder
    there = files.names(root) | files.names(root.parent)
    if ARCHIVE in there:
        raise UserError(
            f"no folder {FOLDER} in {root}, but {ARCHIVE} is there; unpack it: tar -xzf {ARCHIVE} -C {root}"
        )
    if {*SPLITS, "meta"} <= files.names(root):
        raise UserError(f"{root} holds train, test and meta; move them into a folder called {FOLDER} in it")
    raise UserError(f"no CIFAR-100 in {root}: expected the folder {FOLDER} with train, test and meta ({ARCHIVE})")


def _names(path: Path) -> list[str]:
    names = _column(path, "fine_label_names", CLASSES)
    found = [_text(path, "fine_label_names", row, name) for row, name in enumerate(names)]
    twice = next((name for row, name in enumerate(found) if name in found[:row]), None)
    if twice is not None:
        raise UserError(f"{path}: key 'fine_label_names': '{twice}' appears twice; expected {CLASSES} different names")
    return found


def _column(path: Path, key: str, count: int) -> list[Any]:
    content = cifar.contents(path)
    if key not in content:
        keys = ", ".join(sorted(content))[:200]
        raise UserError(f"{path}: no key '{key}'; it has {keys or 'none'}. Is it CIFAR-100 (not 10) for Python?")
    values = content[key]
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if not isinstance(values, list):
        raise UserError(f"{path}: key '{key}' is a {type(values).__name__}; expected a list of {count} entries")
    if len(values) != count:
        raise UserError(f"{path}: key '{key}' has {len(values)} entries; expected {count}")
    return values


def _text(path: Path, key: str, row: int, value: Any) -> str:
    try:
        text = value.decode("utf-8") if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: key '{key}', row {row}: no UTF-8 text") from error
    if not isinstance(text, str) or not text.isprintable() or not text.strip() or {"/", "\\"} & set(text):
        shown = repr(text[:60]) if isinstance(text, str) else f"a {type(text).__name__}"
        raise UserError(f"{path}: key '{key}', row {row}: {shown}; expected a name")
    return text
