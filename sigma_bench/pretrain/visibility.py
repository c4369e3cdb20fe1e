"""Visibility maps of a base frame: how much each pixel wants to be seen, from 0 to 1, before motion carries the map on.

The three kinds of MGMAE (Huang et al., ICCV 2023). A map is float32 (H, W) and larger than 0 but for the far tails of
Gaussians, so that an exact 0 after warping marks a hole.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sigma_bench.pretrain.masking import masked_per_slice

Initial = Literal["mix_gauss", "token_rand", "pixel_rand"]
Map = NDArray[np.float32]
FLOOR = 1e-8
"""Value of what is not chosen in a random map: above that of a hole."""


def visible_per_slice(positions: int, ratio: float, mgmae_compat: bool = False) -> int:
    """Return how many of the positions of one time slice are visible.

    As many as a tube mask leaves, `positions - int(ratio * positions)`: 20 of 196 at 0.9. The released MGMAE takes
    `int(positions * (1 - ratio))`, where 1 - 0.9 is a little less than 0.1: 19 of 196, and none of fewer than 11.

    Raises:
        ValueError: Nothing would be masked, or a tube mask would leave nothing to see.
    """
    visible = positions - masked_per_slice(positions, ratio)
    return int(positions * (1 - ratio)) if mgmae_compat else visible


def initial_map(
    kind: Initial,
    grid: tuple[int, int],
    patch: int,
    ratio: float,
    rng: np.random.Generator,
    mgmae_compat: bool = False,
) -> Map:
    """Return the visibility map of a base frame, (H, W).

    Args:
        kind: mix_gauss: Gaussians at random tokens; token_rand: random tokens; pixel_rand: random pixels.
        grid: Tokens along height and width.
        patch: Side of a token, pixels.
        ratio: Share that is hidden. It decides how many tokens are drawn (those that a tube mask leaves visible), or
            how many pixels.
        rng: Source of the draw.
        mgmae_compat: Count the pixels of pixel_rand in floating point, as the released code does.
    """
    rows, columns = grid
    if kind == "pixel_rand":
        pixels = rows * columns * patch * patch
        chosen = np.full(pixels, FLOOR, np.float32)
        chosen[rng.permutation(pixels)[: visible_per_slice(pixels, ratio, mgmae_compat)]] = 1
        return chosen.reshape(rows * patch, columns * patch)
    tokens = rng.permutation(rows * columns)[: visible_per_slice(rows * columns, ratio)]
    return gaussians(tokens, grid, patch) if kind == "mix_gauss" else squares(tokens, grid, patch)


def gaussians(tokens: NDArray[np.int64], grid: tuple[int, int], patch: int) -> Map:
    """Return the greatest of the Gaussians exp(-(dx^2 + dy^2) / patch^2) at the centres of `tokens`, largest value 1.

    Args:
        tokens: Indices of tokens, row by row.
        grid: Tokens along height and width.
        patch: Side of a token, pixels, and width of the Gaussians.
    """
    y, x = (np.arange(side * patch, dtype=np.float64) for side in grid)
    centre_y, centre_x = (index * patch + (patch - 1) / 2 for index in np.divmod(tokens, grid[1]))
    down = np.exp(-(((y - centre_y[:, None]) / patch) ** 2))
    across = np.exp(-(((x - centre_x[:, None]) / patch) ** 2))
    field = np.zeros((len(y), len(x)))
    for one_down, one_across in zip(down, across, strict=True):
        np.maximum(field, np.outer(one_down, one_across), out=field)
    visible: Map = (field / field.max()).astype(np.float32)
    return visible


def squares(tokens: NDArray[np.int64], grid: tuple[int, int], patch: int) -> Map:
    """Return a map that is 1 in the squares of `tokens` and `FLOOR` elsewhere; arguments as of `gaussians`."""
    chosen = np.full(grid[0] * grid[1], FLOOR, np.float32)
    chosen[tokens] = 1
    return np.kron(chosen.reshape(grid), np.ones((patch, patch), np.float32))
