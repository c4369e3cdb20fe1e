"""Reading a torch file of either format: looked through first, then read by torch with `weights_only`."""

from __future__ import annotations

import argparse
import pickle
import struct
import threading
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import archive, numbers, scan

DAMAGE: tuple[type[Exception], ...] = (
    *(RuntimeError, OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError),
    *(ArithmeticError, MemoryError, struct.error, ImportError, pickle.UnpicklingError),
)
"""What torch raises for bytes that are no checkpoint, or a cut one."""
LEGACY_PICKLES = 4
"""Pickles at the beginning of a torch file that is no zip archive: magic number, version, machine, object."""
MAX_PROTOCOL = 3
"""The highest of Python's pickle protocols that torch reads safely; it writes 2."""
SHOWN = 5
_LISTED = threading.Lock()
"""Held while torch has our list of globals, which is one for the whole process."""


def load_zip(path: Path) -> Any:
    """Return the content of a zip archive of torch, its tensors mapped to memory.

    Raises:
        UserError: It is cut, damaged, or names anything that is not on the list (`scan.ALLOWED`).
    """
    _check_scan(archive.inspect(path), path)
    return _load(path, mapped=True)


def load_legacy(path: Path) -> Any:
    """Return the content of a torch file from before the zip format.

    Raises:
        UserError: As `load_zip`.
    """
    found = _scan_legacy(path)
    _check_scan(found, path)
    if found.first != scan.MAGIC:
        raise UserError(f"{path}: is a pickle, not a torch file; save its weights with torch.save(weights, NEW)")
    wanted, size = sum(found.storages.values()), path.stat().st_size
    if wanted > size:
        raise UserError(f"{path}: its tensors claim {wanted} bytes, the file has {size}; it is damaged or cut short")
    return _load(path, mapped=False)


def _scan_legacy(path: Path) -> scan.Scan:
    """Look through the pickles that the file begins with: one where the first is not torch's magic number."""
    try:
        with path.open("rb") as file:
            found = scan.scan(file)
            for _ in range(LEGACY_PICKLES - 1 if found.first == scan.MAGIC else 0):
                one = scan.scan(file)
                found.names |= one.names
                found.storages |= one.storages
                found.protocol = max(found.protocol, one.protocol)
    except scan.Damaged as error:
        raise UserError(f"{path}: is not a readable torch file, perhaps cut short ({error}); fetch it again") from error
    return found


def _check_scan(found: scan.Scan, path: Path) -> None:
    named = found.forbidden
    if not named and found.protocol > MAX_PROTOCOL:
        raise UserError(
            f"{path}: was written with pickle protocol {found.protocol}, which torch does not read safely; save it "
            "again with torch.save(weights, NEW)"
        )
    if not named:
        return
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    raise UserError(
        f"{path}: refused, its pickle names {', '.join(named[:SHOWN])}{more}, no tensor and no plain value, which "
        "could run code; nothing was run. If you trust whoever made it, save its weights alone: "
        "torch.save(torch.load(FILE, weights_only=False)['model'], NEW)"
    )


def _load(path: Path, *, mapped: bool) -> Any:
    try:
        with _LISTED, torch.serialization.safe_globals([argparse.Namespace, *numbers.STAND_INS]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except DAMAGE as error:
        raise UserError(
            f"{path}: is not a readable torch file, perhaps cut short ({_first_line(error)}); fetch it again"
        ) from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Unsupported" in line or "GLOBAL" in line]
    return ((named or lines or [type(error).__name__])[0])[:200]
