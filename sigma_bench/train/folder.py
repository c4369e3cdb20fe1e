"""The checkpoints of a run folder: which is the newest, which may go."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = re.compile(r"step-(\d+)\.pt")


def newest(folder: Path) -> Path | None:
    """Return the checkpoint of the largest step in `folder`, None where there is none."""
    found = [(int(m.group(1)), p) for p in folder.glob("step-*.pt") if (m := NAME.fullmatch(p.name))]
    return max(found)[1] if found else None


def prune(folder: Path, keep: int) -> None:
    """Delete all but the `keep` newest checkpoints, and what a killed save left."""
    found = sorted((int(m.group(1)), p) for p in folder.glob("step-*.pt") if (m := NAME.fullmatch(p.name)))
    for _, path in found[:-keep]:
        path.unlink()
    for path in folder.glob(".step-*.partial"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file so that it holds the old or the new text, whenever the process dies."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file as `write_text` does."""
    write_text(path, json.dumps(content, indent=1))
