"""Where data lies, which miniatures there are, and what of a data set can be decoded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sigma_bench import registry
from sigma_bench.contracts import UserError
from sigma_bench.data import roots
from sigma_bench.data.index import Index
from sigma_bench.progress import say

TRAINING_DECODER = "decord+pyav"
"""Training takes every file that some decoder opens; `data.json` of the run counts which."""
PROBE_LIMIT = 200
"""A folder of at most so many files is decoded whole before training starts."""


def miniature(name: str, given: Path | None, seed: int | None = None) -> Path:
    """Write the miniature of data set `name` where it is not there yet, and return its folder.

    It is that of the data set that `name` is drawn from, if it is. Without a `seed` the one that is there is kept,
    whatever its seed; where there is none, seed 0 is written.
    """
    name = registry.DRAWN_FROM.get(name, name)
    folder = roots.base(given) / "miniature" / name
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
    known = _read_cache(index.root)
    if index.count <= PROBE_LIMIT:
        known = {**known, **_probe(index, workers, policy)}
        _write_cache(index.root, known)
    for row, name in enumerate(index.ids):
        entry = known.get(name)
        if entry is not None and entry["stamp"] == _stamp(index.path(row)) and entry["reason"]:
            reasons[name] = str(entry["reason"])
    usable = index.select([row for row, name in enumerate(index.ids) if name not in reasons])
    return usable, reasons


def check(name: str, given: Path | None, workers: int, as_json: bool) -> tuple[list[str], int]:
    """Decode every file of a data set, of all its lists, or of `folder:DIR`; return lines and the broken count."""
    if name.startswith("folder:"):
        parts = [pretraining_index(name, given)]
    else:
        folder = roots.folder(name, given)
        parts = [_reader(name)(folder, split) for split in _splits(name, folder) or ["train"]]
    lines, broken, record = [], 0, []
    for index in parts:
        missing = set(index.missing())
        present = index.present()
        found = _probe(present, workers, TRAINING_DECODER)
        _write_cache(index.root, {**_read_cache(index.root), **found})
        bad = {k: v["reason"] for k, v in found.items() if v["reason"]}
        lines.append(
            f"{index.name} {index.split}: {index.count} listed, {len(missing)} missing, {len(bad)} unreadable, "
            f"list sha256 {index.sha256[:16]}"
        )
        lines += [f"  missing     {m}" for m in sorted(missing)]
        lines += [f"  unreadable  {k}: {v}" for k, v in sorted(bad.items())]
        broken += len(missing) + len(bad)
        record.append(
            {
                "split": index.split,
                "listed": index.count,
                "missing": sorted(missing),
                "unreadable": bad,
                "sha256": index.sha256,
            }
        )
    return ([json.dumps(record, indent=1)] if as_json else lines), broken


def _splits(name: str, folder: Path) -> Sequence[str]:
    if name in registry.names("splits"):
        found: tuple[str, ...] = registry.get("splits", name)(folder)
        return found
    if name in registry.names("datasets"):
        return ("train", "test")
    return [split for split in ("train", "val", "test") if (folder / f"{split}.csv").exists()]


def _probe(index: Index, workers: int, policy: str) -> dict[str, dict[str, Any]]:
    from sigma_bench.data.decode.probe import probe

    paths = [str(index.path(row)) for row in range(index.count)]
    records = probe(paths, backend=policy, workers=workers)
    return {
        name: {"stamp": _stamp(Path(path)), "reason": None if r.ok else r.reason, "count": r.count}
        for name, path, r in zip(index.ids, paths, records, strict=True)
    }


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return [0, 0]
    return [status.st_size, status.st_mtime_ns]


def _cache_file(root: Path) -> Path:
    home = Path(os.environ.get("SIGMA_BENCH_CACHE", Path.home() / ".cache" / "sigma-bench"))
    return home / "probe" / f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]}.json"


def _read_cache(root: Path) -> dict[str, dict[str, Any]]:
    path = _cache_file(root)
    if not path.exists():
        return {}
    try:
        content: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        say(f"{path}: unreadable cache of an earlier check, made anew")
        return {}
    return content


def _write_cache(root: Path, content: dict[str, dict[str, Any]]) -> None:
    path = _cache_file(root)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        say(f"what was found of {root} is not kept for the next time: {error} (SIGMA_BENCH_CACHE names another place)")
