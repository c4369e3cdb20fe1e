"""How our own safetensors files describe the encoder in them: one entry of the file's header, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sigma_bench.contracts import UserError

ENTRY = "sigma_bench"
DAMAGE = (SafetensorError, RuntimeError, OSError, ValueError, MemoryError)


def metadata(encoder: Mapping[str, Any], system: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of one of our own files.

    Args:
        encoder: Sizes and settings of the encoder.
        system: What the encoder's run says about itself, for rows.
    """
    described = {"encoder": dict(encoder), "system": dict(system)}
    return {"format": "pt", ENTRY: json.dumps(described, sort_keys=True, allow_nan=False)}


def description(path: Path) -> dict[str, Any] | None:
    """Return the entries `encoder` and `system` of one of our own safetensors files; None for another's.

    Raises:
        UserError: The header, or the description in it, is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(ENTRY)
    except DAMAGE as error:
        raise UserError(f"{path}: is not a readable safetensors file ({str(error)[:200]}); fetch it again") from error
    if text is None:
        return None
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its description '{ENTRY}' is not readable as JSON ({error})") from error
    if not isinstance(entries, dict) or not isinstance(entries.get("encoder"), dict):
        raise UserError(f"{path}: its description '{ENTRY}' has no entry 'encoder'; export the file again")
    return {"encoder": entries["encoder"], "system": entries.get("system")}
