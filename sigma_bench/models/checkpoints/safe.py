"""Safetensors files, and the description of the encoder that our own ones carry in their header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sigma_bench.contracts import UserError

ENTRY = "sigma_bench"
"""Entry of the header under which one of our files describes itself, as JSON."""
DAMAGE = (SafetensorError, RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, MemoryError)


def metadata(encoder: Mapping[str, Any], system: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of one of our own files.

    Args:
        encoder: Sizes and settings of the encoder.
        system: What the encoder's run says about itself, for rows.
    """
    described = {"encoder": dict(encoder), "system": dict(system)}
    return {"format": "pt", ENTRY: json.dumps(described, sort_keys=True, allow_nan=False)}


def load(path: Path) -> dict[str, Any]:
    """Return the tensors of a file; of one of our own the entries `encoder`, `system` and `model` (the tensors).

    Raises:
        UserError: The file, or the description in it, is damaged.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get(ENTRY)
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
    except DAMAGE as error:
        raise UserError(
            f"{path}: is not a readable safetensors file, perhaps cut short ({str(error)[:200]}); fetch it again"
        ) from error
    return dict(tensors) if text is None else {**_description(text, path), "model": tensors}


def _description(text: str, path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its description '{ENTRY}' is not readable as JSON ({error})") from error
    if not isinstance(entries, dict) or not isinstance(entries.get("encoder"), dict):
        raise UserError(f"{path}: its description '{ENTRY}' has no entry 'encoder'; export the file again")
    return {"encoder": entries["encoder"], "system": entries.get("system")}
