"""What a run is given as data: a miniature, a folder, or a data set; and which of its files can be decoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import roots
from sigma_bench.data.index import Index
from sigma_bench.progress import say
from sigma_bench.runs.probing import Findings

TRAINING_DECODER = "decord+pyav"
"""Training takes every file that some decoder opens; `data.json` of the run counts which."""
PROBE_LIMIT = 200
"""A folder of at most so many files is decoded whole before training starts."""


def miniature(name: str, given: Path | None, seed: int | None = None) -> Path:
    """Write the miniature of data set `name` where it is not there yet, and return its folder.

    It is that of the data set that `name` is drawn from, if it is. Without a `seed` the one that is there is kept,
    whatever its seed; where there is none, seed 0 is written.
    """
    name = roots.home(name)
    folder = roots.miniatures(given).folder / name
    seed = _seed(folder) if seed is None else seed
    made = registry.get("miniatures", name)(folder, seed=seed)
    if not made.reused:
        size = f"{made.files} files, {made.bytes / 1e6:.0f} MB"
        say(f"written: the miniature of {name}, {size}, seed {seed}, in {folder}")
    return folder


def _seed(folder: Path) -> int:
    """Return the seed of the miniature that lies in `folder`, 0 where there is none."""
    try:
        marker = json.loads((folder / "miniature.json").read_text(encoding="utf-8"))
        return int(marker["settings"]["seed"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError, ValueError):
        return 0


def pretraining_index(data: str, given: Path | None) -> Index:
    """Return the training list of pretraining data: `miniature`, `folder:DIR`, or a data set under the data root.

    Raises:
        UserError: No such data; the message names the place that was looked at.
    """
    if data == "miniature":
        folder = miniature("ucf101", given)
        return _as_index(registry.get("datasets", "ucf101")(folder, "train", fold=1))
    if data.startswith("folder:"):
        if data == "folder:":
            raise UserError("--data folder: names no folder; expected folder:DIR")
        place = Path(data.removeprefix("folder:")).expanduser()
        return _as_index(registry.get("datasets", "folder")(place, "train"))
    found = roots.find(data, given)
    if found is None:
        raise UserError(
            f"{roots.missing(data, given)}; instead of its own lists it may hold train.csv (one `path label` a line); "
            "for a try on generated data: --data miniature"
        )
    folder = found.folder
    own_list = (folder / "train.csv").is_file() and data not in registry.names("splits")
    return _as_index(_reader("video_list" if own_list else data)(folder, "train"))


def _reader(name: str) -> Any:
    return registry.get("datasets", name if name in registry.names("datasets") else "video_list")


def _as_index(index: Any) -> Index:
    assert isinstance(index, Index)
    return index


def decodable(index: Index, workers: int, policy: str) -> tuple[Index, dict[str, str]]:
    """Return the samples known to be decodable and id -> reason of the others.

    Every file is decoded where there are at most `PROBE_LIMIT`; of a larger set only what an earlier `data check`
    found is known, and the rest is met while training.
    """
    reasons = dict.fromkeys(index.missing(), "no such file")
    findings = Findings(index.root, policy)
    paths = [str(path) for path in index.table.column("path").to_pylist()]
    if index.count <= PROBE_LIMIT:
        there = dict.fromkeys(p for name, p in zip(index.ids, paths, strict=True) if name not in reasons)
        findings.probe(list(there), workers, "decode every file once", whole=True)
    for name, path in zip(index.ids, paths, strict=True):
        found = findings.get(path)
        if found is not None and found.reason:
            reasons[name] = found.reason
    usable = index.select([row for row, name in enumerate(index.ids) if name not in reasons])
    return usable, reasons
