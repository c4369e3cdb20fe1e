"""Motion-guided masking (MGMAE; Huang et al., ICCV 2023): the visible tokens of a clip follow its optical flow.

A visibility map is drawn for a base frame and warped outwards, frame by frame, along the flow. Summed over each tube it
ranks the tokens of a time slice, and the first ones are shown to the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from sigma_bench.models.flow import FlowEstimator, Pair, estimator
from sigma_bench.models.positions import Grid
from sigma_bench.pretrain.visibility import initial_map, visible_per_slice
from sigma_bench.spec.recipe import Model
from sigma_bench.spec.recipe_mask import MotionMask

Fill = Literal["consist", "none"]
CLIPS_AT_ONCE = 4
"""Clips whose flow and maps are in memory together."""
UNITS = 2.0**48
"""A map is added up in whole numbers of 1/UNITS: such a sum does not depend on the order of its terms."""


class Step(NamedTuple):
    """One warp: the map of `frame` is made from that of `known`, along the flow of `pair`."""

    frame: int
    known: int
    pair: Pair


class Guided(NamedTuple):
    """Masks and what they are made of: maps (B, T, H, W), flow (B, T-1, 2, H, W) of the steps, mask (B, N)."""

    steps: tuple[Step, ...]
    flow: torch.Tensor
    maps: torch.Tensor
    mask: torch.Tensor


def warp_steps(frames: int, base: int, mgmae_compat: bool = False) -> tuple[Step, ...]:
    """Return the warps from the base frame outwards, first towards the past, then towards the future.

    A map is carried to a new frame by looking up, for each pixel of the new frame, where it lies in the frame whose map
    is known: `new(x) = known(x + flow(x))` with the flow from the new frame to the known one. The released MGMAE asks
    for the flow of the later frame to the earlier one in both directions, which is the wrong one towards the past.
    """
    past = [Step(i, i + 1, (i + 1, i) if mgmae_compat else (i, i + 1)) for i in range(base - 1, -1, -1)]
    return (*past, *(Step(i, i - 1, (i, i - 1)) for i in range(base + 1, frames)))


def carried_maps(
    initial: torch.Tensor,
    flow: torch.Tensor,
    steps: Sequence[Step],
    base: int,
    fill: Fill = "consist",
    mgmae_compat: bool = False,
) -> torch.Tensor:
    """Return the visibility map of every frame, (B, T, H, W).

    Args:
        initial: Map of the base frame, (B, H, W).
        flow: Flow of `steps`, in their order, (B, T-1, 2, H, W), pixels.
        steps: The warps, each from a frame whose map is known by then.
        base: The base frame.
        fill: What stands where a warped map is exactly 0: the initial map (consist), or 0 (none).
        mgmae_compat: Take half a size, not half of (size - 1), for the unit of the sampling grid, as the released code
            does: every motion is then shortened by a share of 1/size.
    """
    maps = {base: initial}
    warp = _warp_by_half_sizes if mgmae_compat else _warp
    for number, step in enumerate(steps):
        warped = warp(maps[step.known], flow[:, number])
        maps[step.frame] = torch.where(warped == 0, initial, warped) if fill == "consist" else warped
    return torch.stack([maps[frame] for frame in range(len(steps) + 1)], 1)


def tube_sums(maps: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the sum of the maps (B, T, H, W) over each tube, int64 (B, T', H'*W'), in units of 1/`UNITS`."""
    b, t, h, w = maps.shape
    slices, rows, columns = grid
    whole = (maps.double() * UNITS).round().long()
    cut = whole.view(b, slices, t // slices, rows, h // rows, columns, w // columns)
    return cut.sum((2, 4, 6)).flatten(2)


def masked_below(sums: torch.Tensor, visible: int, order: torch.Tensor) -> torch.Tensor:
    """Return the mask (B, N), True = masked, that leaves the `visible` largest tokens of each slice to see.

    Args:
        sums: What the tokens are ranked by, (B, T', H'*W').
        visible: Visible tokens of a slice.
        order: Of the tokens of a slice, (B, H'*W'): of equal ones the first in this order comes first. One order for
            all slices keeps the positions where nothing moves.
    """
    order = order[:, None].expand_as(sums)
    ranked = order.gather(-1, sums.gather(-1, order).argsort(dim=-1, descending=True, stable=True))
    mask = torch.ones_like(sums, dtype=torch.bool)
    return mask.scatter_(-1, ranked[..., :visible], False).flatten(1)


class MotionMasking:
    """Draws the motion-guided masks of a recipe.

    The mask of a clip depends on its frames and its seed words alone, not on the batch it is in.

    Args:
        mask: Settings.
        model: Gives frames, tubelet, image size and patch.
        device: Where RAFT and the warping run; OpenCV's flow runs on the CPU.
        flow: Estimator to use instead of the one that `mask` names.

    Raises:
        UserError: RAFT's weights are missing or do not fit, or OpenCV is not installed.
        ValueError: Nothing would be masked, or nothing would be left to see.
    """

    def __init__(
        self, mask: MotionMask, model: Model, device: torch.device | str = "cpu", flow: FlowEstimator | None = None
    ) -> None:
        self.mask, self.model, self.device = mask, model, torch.device(device)
        self.base = model.frames // 2 if mask.base_frame == "middle" else 0
        self.steps = warp_steps(model.frames, self.base, mask.mgmae_compat)
        slots = model.grid[1] * model.grid[2]
        self.visible = visible_per_slice(slots, mask.ratio, mask.mgmae_compat)
        if not self.visible:
            raise ValueError(f"a mask ratio of {mask.ratio} over {slots} positions leaves none to see in mgmae_compat")
        weights = Path(mask.weights) if mask.weights else None
        self.flow = flow or estimator(mask.flow, device, weights, mask.iterations)

    def __call__(self, clips_u8: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> torch.Tensor:
        """Return the masks (B, N), boolean, on the CPU, True = masked.

        Args:
            clips_u8: uint8 RGB clips (B, 3, T, H, W), augmented as the encoder sees them.
            seeds: Seed words of each clip, none negative.

        Raises:
            ValueError: The clips are not of the model's geometry, or there is not one seed a clip.
            FloatingPointError: A flow is infinite or not a number.
        """
        self._check(clips_u8, seeds)
        starts = range(0, len(seeds), CLIPS_AT_ONCE)
        groups = [slice(start, start + CLIPS_AT_ONCE) for start in starts]
        return torch.cat([self.guided(clips_u8[group], seeds[group]).mask for group in groups])

    @torch.no_grad()
    def guided(self, clips_u8: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> Guided:
        """Return the masks together with flow and maps, all clips at once; arguments and errors as of a call."""
        self._check(clips_u8, seeds)
        mask, grid = self.mask, self.model.grid
        initial, orders = [], []
        for words in seeds:
            rng = np.random.default_rng(words)
            initial.append(initial_map(mask.initial, grid[1:], self.model.patch, mask.ratio, rng, mask.mgmae_compat))
            orders.append(rng.permutation(grid[1] * grid[2]))
        flow = self.flow(clips_u8, [step.pair for step in self.steps]).to(self.device)
        if not torch.isfinite(flow).all():
            raise FloatingPointError(f"the optical flow by {mask.flow} is infinite or not a number")
        first = torch.from_numpy(np.stack(initial)).to(self.device)
        maps = carried_maps(first, flow, self.steps, self.base, mask.fill, mask.mgmae_compat)
        sums = tube_sums(maps, grid).cpu()
        hidden = masked_below(sums, self.visible, torch.from_numpy(np.stack(orders)))
        return Guided(self.steps, flow, maps, hidden)

    def _check(self, clips_u8: torch.Tensor, seeds: Sequence[tuple[int, ...]]) -> None:
        side = self.model.image_size
        expected = (len(seeds), 3, self.model.frames, side, side)
        if clips_u8.dtype != torch.uint8 or tuple(clips_u8.shape) != expected or not seeds:
            raise ValueError(
                f"expected uint8 clips {expected}, one for each seed, found {clips_u8.dtype} {tuple(clips_u8.shape)}"
            )


def _warp(known: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Return known(x + flow(x)), bilinear, 0 outside, for maps (B, H, W) and flow (B, 2, H, W).

    The map is padded with zeros to sides of 2^k + 1: half of (size - 1) is then a power of two, so that places of whole
    pixels pass the sampling grid unrounded, and a motion by whole pixels neither blurs the map nor misses its holes.
    """
    height, width = known.shape[1:]
    half_y, half_x = (_power_of_two(side - 1) / 2 for side in (height, width))
    padded = F.pad(known, (0, int(2 * half_x) + 1 - width, 0, int(2 * half_y) + 1 - height))
    x = torch.arange(width, device=known.device) + flow[:, 0]
    y = torch.arange(height, device=known.device)[:, None] + flow[:, 1]
    return _sample(padded, x / half_x - 1, y / half_y - 1)


def _warp_by_half_sizes(known: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    height, width = known.shape[1:]
    x = torch.linspace(-1, 1, width, device=known.device) + flow[:, 0] / (width / 2)
    y = torch.linspace(-1, 1, height, device=known.device)[:, None] + flow[:, 1] / (height / 2)
    return _sample(known, x, y)


def _sample(known: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    grid = torch.stack([x, y], -1)
    return F.grid_sample(known[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=True)[:, 0]


def _power_of_two(least: int) -> int:
    return 1 << max(1, (least - 1).bit_length())
