"""Positions of V-JEPA (a table of sines and cosines) and of V-JEPA 2 (rotary, in every attention)."""

from __future__ import annotations

import math

import torch

from sigma_bench.models.positions import Grid


def sincos_uniform(grid: Grid, dim: int) -> torch.Tensor:
    """Return V-JEPA's table (1, N, dim) with a third of the channels for each of time, height and width.

    Each third is 2 ceil(dim / 6) wide; the last one is cut where they are wider than `dim` together. Within it the
    sines come first, then the cosines, of position / 10000^(k / half). Source: `get_3d_sincos_pos_embed` of
    `src/models/utils/pos_embs.py` with `uniform_power`, as the released models have it.
    """
    third = 2 * math.ceil(dim / 6)
    return _table(grid, (third, third, third))[:, :, :dim]


def sincos_by_half(grid: Grid, dim: int) -> torch.Tensor:
    """Return V-JEPA's table without `uniform_power`: half of the channels for time, a quarter each for the others."""
    return _table(grid, (dim // 2, dim // 4, dim // 4))


def rotary(grid: Grid, head_dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines of V-JEPA 2's rotary positions, (N, head_dim) each, for `attention.turn`.

    A head's channels are three equal segments for time, height and width, each 2 floor(floor(head_dim / 3) / 2) wide,
    and a rest that is not turned. Channel j of a segment w wide has the frequency 10000^(-k / (w / 2)) with
    k = j mod w / 2: the frequencies are tiled, not repeated, so the two channels of a pair have different ones and the
    map is no rotation. The released weights were trained with it. Source: `rotate_queries_or_keys` and `RoPEAttention`
    of `src/models/utils/modules.py`.
    """
    half = head_dim // 3 // 2
    frequency = 10000 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = [place.unsqueeze(1) * frequency.repeat(2) for place in _places(grid)]
    rest = torch.zeros(math.prod(grid), head_dim - 6 * half, dtype=torch.float64)
    angle = torch.cat((*angles, rest), dim=1)
    return angle.cos().float(), angle.sin().float()


def _places(grid: Grid) -> tuple[torch.Tensor, ...]:
    axes = [torch.arange(size, dtype=torch.float64) for size in grid]
    return tuple(axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))


def _table(grid: Grid, widths: tuple[int, int, int]) -> torch.Tensor:
    parts = []
    for place, width in zip(_places(grid), widths, strict=True):
        frequency = 10000 ** (-torch.arange(width // 2, dtype=torch.float64) / (width / 2))
        angle = place.unsqueeze(1) * frequency
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, dim=1).float().unsqueeze(0)
