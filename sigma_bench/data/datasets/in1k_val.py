"""The classes of ImageNet-1K's validation pictures, which lie in one flat folder: from Kaggle's list or the devkit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from sigma_bench.contracts import UserError
from sigma_bench.data import files
from sigma_bench.data.datasets import list_file

SOLUTION = "LOC_val_solution.csv"
"""Kaggle's list: name of the picture, then class and box of each object in it."""
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
"""The devkit's list: line i is the number of the class of picture i, in the devkit's own order."""
META = "meta.mat"
"""The devkit's table of classes: which number is which WordNet id."""
DEVKIT = ("ILSVRC2012_devkit_t12/data", "ILSVRC2012_devkit_t12", "devkit/data", "")
"""Folders in which the devkit's two files are looked for."""
HEADER = "ImageId,PredictionString"

PICTURE = re.compile(r"ILSVRC2012_val_[0-9]{8}")
WNID = re.compile(r"n[0-9]{8}")


def classes(places: Sequence[Path]) -> tuple[Path, dict[str, str]]:
    """Return the list that was found and name of the picture -> WordNet id of its class, sorted by name.

    Kaggle's list goes before the devkit's.

    Args:
        places: Folders to look in, in this order.

    Raises:
        UserError: There is no such list, or it cannot be understood.
    """
    for place in places:
        if (path := place / SOLUTION).is_file():
            return path, dict(sorted(_solution(path).items()))
    for folder in (place / part for place in places for part in DEVKIT):
        if (path := folder / GROUND_TRUTH).is_file():
            return path, _devkit(path, folder / META)
    packed = next((p / n for p in places for n in sorted(files.names(p)) if "devkit" in n and "tar" in n), None)
    raise UserError(
        f"the validation pictures lie in one folder and nothing says their classes: put {SOLUTION} (of Kaggle's "
        f"'imagenet-object-localization-challenge') or the unpacked {DEVKIT[0]} (with {GROUND_TRUTH} and {META}) into "
        f"{places[0]}, or sort the pictures into val/<wnid>/" + (f"; {packed} is still packed" if packed else "")
    )


def _solution(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    lines = list_file.text(path).splitlines()
    if not lines or lines[0].strip() != HEADER:
        raise UserError(f"{path}:1: found '{lines[0][:80] if lines else ''}', expected '{HEADER}'")
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        name, _, text = line.partition(",")
        objects = text.split()
        wnids = set(objects[::5])
        if not PICTURE.fullmatch(name) or len(objects) % 5 or len(wnids) != 1 or not WNID.fullmatch(objects[0]):
            raise UserError(
                f"{path}:{number}: found '{line[:80]}', expected 'ILSVRC2012_val_00000001,n01751748 111 108 431 323', "
                "all objects of one class"
            )
        if name in found:
            raise UserError(f"{path}:{number}: '{name}' stands in an earlier line too; expected each once")
        found[name] = objects[0]
    if not found:
        raise UserError(f"{path} names no picture; is the download complete?")
    return found


def _devkit(path: Path, meta: Path) -> dict[str, str]:
    """Return the classes by the devkit, whose numbers are those of its own table and not of the sorted WordNet ids."""
    wnids = _numbered(meta)
    found: dict[str, str] = {}
    for number, line in enumerate(list_file.text(path).splitlines(), 1):
        text = line.strip()
        if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) not in wnids:
            raise UserError(f"{path}:{number}: found '{text[:80]}', expected the number of a class in {meta}")
        found[f"ILSVRC2012_val_{number:08d}"] = wnids[int(text)]
    if not found:
        raise UserError(f"{path} is empty; expected the number of a class a line")
    return found


def _numbered(path: Path) -> dict[int, str]:
    """Return ILSVRC2012_ID -> WordNet id of the devkit's table; its inner nodes have numbers above the classes'."""
    try:
        synsets = loadmat(str(path), appendmat=False, squeeze_me=True, variable_names=["synsets"])["synsets"]
        columns = (np.atleast_1d(synsets[name]).tolist() for name in ("ILSVRC2012_ID", "WNID"))
        rows = list(zip(*columns, strict=True))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; {GROUND_TRUTH} needs it, as it counts the classes in "
            "an order of its own"
        ) from error
    except Exception as error:
        raise UserError(
            f"{path}: no table 'synsets' with ILSVRC2012_ID and WNID ({type(error).__name__}: {str(error)[:120]}); "
            "unpack the devkit anew"
        ) from error
    found: dict[int, str] = {}
    for number, wnid in rows:
        whole = isinstance(number, int | float) and float(number).is_integer()
        if not whole or number in found or not isinstance(wnid, str) or not WNID.fullmatch(wnid):
            raise UserError(
                f"{path}: synsets: found number {str(number)[:20]} with '{str(wnid)[:20]}', expected numbers, each "
                "once, with names such as n01440764"
            )
        found[int(number)] = wnid
    return found
