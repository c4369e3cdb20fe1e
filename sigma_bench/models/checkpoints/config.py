"""The `config.json` that some families publish beside their weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError

NAME = "config.json"
MAX_BYTES = 1 << 20


def config_beside(path: Path) -> dict[str, Any]:
    """Return the `config.json` in the folder of a weights file, or in the folder itself; empty where there is none.

    Raises:
        UserError: It is not a JSON object, or is longer than a megabyte.
    """
    place = (path if path.is_dir() else path.parent) / NAME
    if not place.is_file():
        return {}
    if place.stat().st_size > MAX_BYTES:
        raise UserError(f"{place}: is longer than {MAX_BYTES} bytes; expected the configuration of a model")
    try:
        values = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{place}: is not readable as JSON ({error}); fetch it again") from error
    if not isinstance(values, dict):
        raise UserError(f"{place}: holds a {type(values).__name__}; expected an object with the sizes of the model")
    return values
