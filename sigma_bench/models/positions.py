"""Fixed position tables: computed, never stored in a checkpoint."""

from __future__ import annotations

import torch


def sincos_1d(tokens: int, dim: int) -> torch.Tensor:
    """Return the table (1, tokens, dim) of the VideoMAE family, over the flat (t, h, w) index.

    The angle of position p and channel j is p / 10000^(2 floor(j/2) / dim); even channels hold its sine, odd ones its
    cosine. Computed in float64, returned in float32.
    """
    channel = torch.arange(dim, dtype=torch.float64)
    frequency = torch.pow(torch.tensor(10000.0, dtype=torch.float64), -2 * torch.floor(channel / 2) / dim)
    angle = torch.arange(tokens, dtype=torch.float64).unsqueeze(1) * frequency
    even = torch.arange(dim) % 2 == 0
    return torch.where(even, angle.sin(), angle.cos()).float().unsqueeze(0)
