"""How much memory a training took so far."""

from __future__ import annotations

import sys

import torch


def peak_memory(device: str) -> dict[str, float]:
    """Return `memory_gib` of this process and, where it trains on a GPU, `gpu_memory_gib` of its tensors, in GiB."""
    found: dict[str, float] = {}
    try:
        import resource
    except ImportError:  # Windows has no such account
        pass
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        found["memory_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 3)
    if torch.device(device).type == "cuda":
        found["gpu_memory_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 3)
    return found
