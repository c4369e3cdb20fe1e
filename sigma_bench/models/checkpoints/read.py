"""Reading a checkpoint file without running anything that is in it."""

from __future__ import annotations

import argparse
import hashlib
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError

LFS_HEAD = b"version https://git-lfs.github.com/spec/"
DAMAGE: tuple[type[Exception], ...] = (
    *(RuntimeError, OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError),
    *(ArithmeticError, MemoryError, struct.error, ImportError),
)
"""What torch raises for bytes that are no checkpoint, or a cut one."""


@dataclass(frozen=True)
class FileContent:
    """A file as it was read: its path, its digest and the plain values and tensors in it."""

    path: Path
    sha256: str
    content: dict[str, Any]


def read(path: Path) -> FileContent:
    """Read a torch file: tensors, plain containers and `argparse.Namespace`, nothing else, on the CPU.

    Raises:
        UserError: The file is missing, a folder, a Git LFS pointer, text, cut, not a torch file, holds other objects,
            or holds no dictionary.
    """
    if path.is_dir():
        inner = sorted(p.name for p in path.glob("*.pt*"))
        hint = f"name the file in it: {', '.join(inner)}" if inner else "name a checkpoint file"
        raise UserError(f"{path}: is a folder; {hint}")
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint file; check the path or fetch the file")
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _check_head(path, head)
    content = _load(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}; expected a dictionary of weights")
    return FileContent(path, digest, content)


def _check_head(path: Path, head: bytes) -> None:
    if not head:
        raise UserError(f"{path}: is empty; fetch the checkpoint again")
    if head.startswith(LFS_HEAD):
        raise UserError(f"{path}: is a Git LFS pointer, not the weights; run `git lfs pull` where it came from")
    if not any(byte < 9 or byte > 126 for byte in head):
        start = head[:40].decode("ascii").split("\n")[0]
        raise UserError(f"{path}: is a text file ({start!r}), not a checkpoint; was an error page downloaded instead?")


def _load(path: Path) -> Any:
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            with torch.serialization.safe_globals([argparse.Namespace]):
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, it is damaged or holds objects other than tensors and plain values "
            f"({_first_line(error)}); save its weights alone, as torch.save(model.state_dict(), file)"
        ) from error
    except DAMAGE as error:
        raise UserError(
            f"{path}: is not a readable torch file, perhaps cut short ({_first_line(error)}); fetch it again"
        ) from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Unsupported" in line or "GLOBAL" in line]
    return ((named or lines or [type(error).__name__])[0])[:200]
