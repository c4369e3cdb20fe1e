"""Checkpoints of a run: written atomically, read safely, enough for an exact resume."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sigma_bench.contracts import UserError

FORMAT = "sigma-bench/1"


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state` so that `path` holds either the old or the whole new content, whenever the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path, device: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint of `save`, never executing code in it.

    Raises:
        UserError: The file is not a checkpoint of a sigma-bench run.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not a readable checkpoint ({error}); resume from another one in {path.parent}"
        ) from error
    except Exception as error:
        raise UserError(f"{path}: refused, it holds more than tensors and plain values ({error})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not the checkpoint of a sigma-bench run (expected format {FORMAT!r})")
    return state


def rng_state() -> dict[str, Any]:
    """Return the state of torch's generators (nothing in the package draws from another global one)."""
    cuda = [t.clone() for t in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Take back what `rng_state` returned."""
    torch.set_rng_state(state["cpu"].cpu())
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all([t.cpu() for t in state["cuda"]])
