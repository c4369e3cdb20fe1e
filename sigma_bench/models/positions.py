"""Position tables: the fixed ones, and fitting a table to another grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F

Grid = tuple[int, int, int]
"""Tokens in time, height and width."""


def sincos_1d(tokens: int, dim: int) -> torch.Tensor:
    """Return the table (1, tokens, dim) of the VideoMAE family, over the flat (t, h, w) index.

    The angle of position p and channel j is p / 10000^(2 floor(j/2) / dim); even channels hold its sine, odd ones its
    cosine. Computed in float64, returned in float32, on the CPU whatever the default device is.
    """
    with torch.device("cpu"):  # a division on the meta device imports torch's compiler, which takes seconds
        channel = torch.arange(dim, dtype=torch.float64)
        frequency = torch.pow(torch.tensor(10000.0, dtype=torch.float64), -2 * torch.floor(channel / 2) / dim)
        angle = torch.arange(tokens, dtype=torch.float64).unsqueeze(1) * frequency
        even = torch.arange(dim) % 2 == 0
        return torch.where(even, angle.sin(), angle.cos()).float().unsqueeze(0)


def sincos_3d(grid: Grid, dim: int) -> torch.Tensor:
    """Return the table (1, t*h*w, dim) of MVD: the first quarter of the channels tells time, the others the place.

    The place is told by its column in one half of its channels and by its row in the other; each part holds its sines,
    then its cosines, at frequencies 10000^(-k / (part / 2)). Computed in float64, returned in float32.

    Raises:
        ValueError: `dim` is not divisible by 16.
    """
    if dim % 16:
        raise ValueError(f"a 3-D sine-cosine table needs a width divisible by 16, not {dim}")
    time, row, column = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing="ij")
    parts = ((time, dim // 4), (column, 3 * dim // 8), (row, 3 * dim // 8))
    return torch.cat([_waves(place.flatten(), width) for place, width in parts], dim=1).float().unsqueeze(0)


def _waves(places_N: torch.Tensor, width: int) -> torch.Tensor:
    half = width // 2
    angle = places_N.unsqueeze(1) * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    return torch.cat((angle.sin(), angle.cos()), dim=1)


def interpolate(table: torch.Tensor, grid: Grid, wanted: Grid) -> torch.Tensor:
    """Return a table (1, N, dim) over `grid` fitted to the grid `wanted`: bicubic in space, then linear in time.

    As in VideoMAEv2's and MGMAE's `run_class_finetuning.py`: half-pixel centres, no antialiasing.
    """
    t, h, w = grid
    new_t, new_h, new_w = wanted
    dim = table.shape[-1]
    space = table.float().reshape(t, h, w, dim).permute(0, 3, 1, 2)
    if (h, w) != (new_h, new_w):
        space = F.interpolate(space, size=(new_h, new_w), mode="bicubic", align_corners=False)
    if t == new_t:
        return space.permute(0, 2, 3, 1).reshape(1, -1, dim)
    time = space.permute(2, 3, 1, 0).reshape(new_h * new_w, dim, t)
    time = F.interpolate(time, size=new_t, mode="linear", align_corners=False)
    return time.permute(2, 0, 1).reshape(1, -1, dim)
