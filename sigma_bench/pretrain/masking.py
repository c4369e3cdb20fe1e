"""Random masks over the token grid, and the choice between them and masks that follow motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sigma_bench.spec.recipe import Model
from sigma_bench.spec.recipe_mask import MotionMask, TubeMask

MASK_STREAM = 1
"""Last seed word of the masks, apart from the crops of the same draw."""


class Masking(Protocol):
    """Draws the masks of a micro-batch; that of a clip depends on its frames and seed words alone."""

    def __call__(self, clips: torch.Tensor, seeds: Sequence[tuple[int, ...]], /) -> torch.Tensor:
        """Return boolean masks (B, N), True = masked, on the CPU, for uint8 clips (B, 3, T, H, W)."""
        ...


class Shuffler(Protocol):
    """A source of random orders: numpy's Generator and its older RandomState both are one."""

    def shuffle(self, x: Any) -> None:
        """Shuffle an array in place."""
        ...


def masked_per_slice(positions: int, ratio: float) -> int:
    """Return how many of the positions of one time slice are masked: `int(ratio * positions)`, so 176 of 196 at 0.9.

    Raises:
        ValueError: Nothing would be masked, or nothing would be left to see.
    """
    count = int(ratio * positions)
    if not 0 < count < positions:
        raise ValueError(f"a mask ratio of {ratio} over {positions} positions masks {count}; some must be, not all")
    return count


def tube_mask(grid: tuple[int, int, int], ratio: float, rng: Shuffler) -> NDArray[np.bool_]:
    """Return a boolean mask (T*H*W,), True = masked, that hides the same positions in every time slice.

    Args:
        grid: Tokens along time, height and width.
        ratio: Share of the positions that is masked, rounded down.
        rng: Shuffles one float array a call, which is the draw of the released code.
    """
    slices, height, width = grid
    positions = height * width
    count = masked_per_slice(positions, ratio)
    order = np.hstack([np.zeros(positions - count), np.ones(count)])
    rng.shuffle(order)
    return np.tile(order.astype(bool), slices)


class TubeMasking:
    """Draws a tube mask for each clip from its seed words alone.

    Args:
        mask: The mask block of the recipe.
        model: Gives the grid of tokens.
    """

    def __init__(self, mask: TubeMask, model: Model) -> None:
        self.grid, self.ratio = model.grid, mask.ratio

    def __call__(self, clips: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> torch.Tensor:  # noqa: ARG002
        """Return the masks of the clips (B, 3, T, H, W), uint8, drawn with these seed words: boolean (B, N)."""
        drawn = [tube_mask(self.grid, self.ratio, np.random.default_rng((*words, MASK_STREAM))) for words in seeds]
        return torch.from_numpy(np.stack(drawn))


def masking(mask: TubeMask | MotionMask, model: Model, device: str) -> Masking:
    """Return what draws the masks of a recipe.

    Raises:
        UserError: The weights of a flow network are not at hand.
    """
    if isinstance(mask, TubeMask):
        return TubeMasking(mask, model)
    from sigma_bench.pretrain.motion import MotionMasking

    return MotionMasking(mask, model, device)
