"""The settings of a measurement, kept beside the rows under their hash.

`settings/<sha256>.json` holds exactly what was hashed, so `sha256sum` of the file is its name; `settings/<sha256>.yaml`
is the resolved task, which `sigma-bench eval --task FILE` measures again. Both are written once, whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sigma_bench.contracts import UserError
from sigma_bench.results.row import Row
from sigma_bench.spec import load

FOLDER = "settings"
NOT_HASHED = ("title", "cost", "notes", "marks", "resolved")
"""Parts of a task that change no number."""


def canonical(content: Mapping[str, Any]) -> bytes:
    """Return the bytes that are hashed: JSON, its keys sorted."""
    return json.dumps(content, sort_keys=True).encode()


def sha256_of(content: Mapping[str, Any]) -> str:
    """Return the hash of settings, a row's `settings_sha256`."""
    return hashlib.sha256(canonical(content)).hexdigest()


def save(folder: Path, content: Mapping[str, Any], task: str | None = None) -> str:
    """Keep settings in a folder of rows.

    Args:
        folder: The folder of the row files.
        content: What is hashed.
        task: The resolved task as YAML; None where no single task measures it again.

    Returns:
        The path of the YAML file in `folder`, or of what was hashed, for a row's artifacts.
    """
    name = f"{FOLDER}/{sha256_of(content)}"
    _write_once(folder / f"{name}.json", canonical(content))
    if task is None:
        return f"{name}.json"
    _write_once(folder / f"{name}.yaml", task.encode())
    return f"{name}.yaml"


def read(folder: Path, row: Row) -> dict[str, Any] | None:
    """Return the settings of a row, None where they were not kept.

    Raises:
        UserError: The file holds something else than what the row was measured with.
    """
    file = folder / FOLDER / f"{row.settings_sha256}.json"
    if file.is_file():
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != row.settings_sha256:
            raise UserError(f"{file}: not the settings of its name (edited?); take it from another copy, or delete it")
        found: dict[str, Any] = json.loads(content)
        return found
    for name in dict.fromkeys((row.settings_sha256, row.settings_sha256[:16])):  # the task alone, as once written
        file = folder / FOLDER / f"{name}.yaml"
        if file.is_file():
            return {key: value for key, value in load.load_yaml(file).values.items() if key not in NOT_HASHED}
    return None


def _write_once(file: Path, content: bytes) -> None:
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with open(draft, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
