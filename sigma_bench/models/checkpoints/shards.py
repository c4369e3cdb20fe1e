"""Weights in a folder as Hugging Face lays them out: one file, or an index that deals tensors out to several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sigma_bench.contracts import UserError

WHOLE = ("model.safetensors", "pytorch_model.bin")
INDEX_END = ".index.json"
ORDER = tuple(name + end for name in WHOLE for end in ("", INDEX_END))
"""Tried in this order; the first that is there is read, as transformers does."""
MAX_INDEX_BYTES = 1 << 26


@dataclass(frozen=True)
class Shards:
    """The weights files of a folder, the tensors each must hold (empty: unknown), and other files left unread."""

    expected: Mapping[Path, tuple[str, ...]]
    unread: tuple[str, ...] = ()


def is_sharded(path: Path) -> bool:
    """Tell whether a path is a folder with weights under Hugging Face's names, or an index of such files."""
    if path.is_dir():
        return any((path / name).is_file() for name in ORDER)
    return path.is_file() and path.name.endswith(INDEX_END)


def shards_of(path: Path) -> Shards:
    """Return the files that hold the weights.

    Args:
        path: A folder, or an index file.

    Raises:
        UserError: The index is damaged or names files that are absent or lie elsewhere.
    """
    if not path.is_dir():
        return Shards(_indexed(path))
    there = [name for name in ORDER if (path / name).is_file()]
    chosen = path / there[0]
    expected = _indexed(chosen) if chosen.name.endswith(INDEX_END) else {chosen: ()}
    return Shards(expected, tuple(there[1:]))


def _indexed(path: Path) -> dict[Path, tuple[str, ...]]:
    if path.stat().st_size > MAX_INDEX_BYTES:
        raise UserError(f"{path}: is longer than {MAX_INDEX_BYTES} bytes; expected an index of weights")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not readable as JSON ({error}); fetch it again") from error
    entries = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries or not all(isinstance(file, str) for file in entries.values()):
        raise UserError(f"{path}: key 'weight_map' is no table from tensors to files; fetch the index again")
    dealt: dict[Path, tuple[str, ...]] = {}
    for file in sorted(set(entries.values())):
        plain = PurePosixPath(file).name == file and "\\" not in file and file.endswith((".safetensors", ".bin"))
        if not plain:
            raise UserError(f"{path}: 'weight_map' names the file {file!r}; expected a .safetensors or .bin beside it")
        if not (path.parent / file).is_file():
            raise UserError(f"{path}: the file {file} that it names is not beside it; fetch all shards")
        dealt[path.parent / file] = tuple(name for name, owner in entries.items() if owner == file)
    return dealt
