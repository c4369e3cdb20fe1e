"""Reading a safetensors file: names and tensors, nothing else."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from sigma_bench.contracts import UserError

DAMAGE: tuple[type[Exception], ...] = (
    *(SafetensorError, RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, MemoryError),
)
"""What the library raises for a damaged file, or a type of number that torch does not have."""


def load(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file, mapped to memory.

    Raises:
        UserError: It is damaged or cut short.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except DAMAGE as error:
        raise UserError(
            f"{path}: is not a readable safetensors file, perhaps cut short ({str(error)[:200]}); fetch it again"
        ) from error
