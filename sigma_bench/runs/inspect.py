"""`sigma-bench ckpt inspect`: what a checkpoint file holds and how it loads."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path


def inspect(
    file: Path,
    family: str | None,
    heads: int | None,
    frames: int | None,
    image_size: int | None,
    as_json: bool,
    specs: Path | None,  # noqa: ARG001
) -> tuple[list[str], int]:
    """Return what is printed of a checkpoint, and the exit code."""
    from sigma_bench.models.checkpoints import load_encoder

    _, report = load_encoder(file, family=family, heads=heads, frames=frames, image_size=image_size)
    if as_json:
        return [json.dumps(asdict(report), indent=1, default=str)], 0
    return [report.headline], 0
