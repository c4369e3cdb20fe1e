"""Where weights come from: a file, or a folder as transformers writes it, whose shards are put together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import header
from sigma_bench.models.checkpoints.deepspeed import weights_file
from sigma_bench.models.checkpoints.kind import Kind, kind_of
from sigma_bench.models.checkpoints.read import FileContent, read
from sigma_bench.models.checkpoints.shards import is_sharded, shards_of

SETTINGS = ("config.json", "preprocessor_config.json", "video_preprocessor_config.json")
"""Files of a folder that change what its weights compute, so that they belong to its digest."""


@dataclass(frozen=True)
class Source:
    """What was read: the path asked for, a digest, the plain values and tensors, remarks, and the single files."""

    path: Path
    sha256: str
    content: dict[str, Any]
    notes: tuple[str, ...]
    files: tuple[FileContent, ...]

    def check_unchanged(self) -> None:
        """Raise a UserError where one of the files was written to since it was opened."""
        for file in self.files:
            file.check_unchanged()


def holds_weights(folder: Path) -> bool:
    """Tell whether a folder is one that transformers or DeepSpeed wrote weights to."""
    return is_sharded(folder) or weights_file(folder) != folder


def open_source(path: Path) -> Source:
    """Read a file, or a folder of shards, or their index.

    The digest of a file is that of its bytes; that of a folder is over its weights and the configuration beside them.

    Raises:
        UserError: A file cannot be read safely (see `read`), or shards and index do not agree.
    """
    if is_sharded(path):
        return _folder(path)
    file = read(path)
    described = header.description(path) if kind_of(path) is Kind.SAFETENSORS else None
    content = file.content if described is None else {**described, "model": file.content}
    return Source(path, file.sha256, content, (), (file,))


def _folder(path: Path) -> Source:
    found = shards_of(path)
    digest = hashlib.sha256()
    content: dict[str, Any] = {}
    files = []
    for shard, expected in found.expected.items():
        file = read(shard)
        absent = [name for name in expected if name not in file.content]
        if absent:
            raise UserError(f"{shard}: lacks {absent[0]}, which the index says is in it; fetch the shard again")
        twice = [name for name in file.content if name in content]
        if twice:
            raise UserError(f"{shard}: holds {twice[0]}, which another shard holds too; fetch the folder again")
        content |= file.content
        digest.update(f"{shard.name}:{file.sha256};".encode())
        files.append(file)
    folder = path if path.is_dir() else path.parent
    for name in SETTINGS:
        if (folder / name).is_file():
            digest.update(f"{name}:{hashlib.sha256((folder / name).read_bytes()).hexdigest()};".encode())
    notes = tuple(f"the folder also holds {name}, not read" for name in found.unread)
    return Source(path, digest.hexdigest(), content, notes, tuple(files))
