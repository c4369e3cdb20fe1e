"""Motion-guided masks, as the released MGMAE draws them from given flow and maps: `mgmae_masks.pt`."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch

from sigma_bench.models.positions import Grid
from sigma_bench.pretrain.motion import Step, carried_maps, masked_below, tube_sums, warp_steps
from sigma_bench.pretrain.visibility import FLOOR, gaussians, squares, visible_per_slice
from sigma_bench.runs.verify.vectors import Golden

FLOWS = "flows_i_to_i1__i1_to_i"
"""Flow of all neighbouring frames: (T-1, 2, B, 2, H, W), second axis forward and backward in time."""
CASE = re.compile(r"(mix_gauss|token_rand|pixel_rand)\.(consist|none)\.(middle|first)\.(mask|pairs)")
INITIAL = re.compile(r"(mix_gauss|token_rand|pixel_rand)\.init")
INPUTS = re.compile(r"grid|patch|frames|flows_i_to_i1__i1_to_i|(mix_gauss|token_rand|pixel_rand)\.ratio")
TOLERANCE = 1e-6
"""Of a map. A sum over a tube that is within this share of the last visible one ties with it."""


def check(golden: Golden) -> None:
    """Compare the pairs of frames that flow is asked for, the kinds of map, and the masks.

    The masks of mix_gauss must be the same. Those of the random maps have tokens of equal sums, of which the reference
    picks any: such tokens are compared in number only.
    """
    for key in golden.values:
        case, initial = CASE.fullmatch(key), INITIAL.fullmatch(key)
        if initial:
            _compare_initial(golden, key, initial[1])
        elif case:
            _compare_case(golden, key, *case.groups())
        elif not INPUTS.fullmatch(key):
            golden.into.unknown(key, "no check for this key")


def _compare_case(golden: Golden, key: str, kind: str, fill: Any, base_frame: str, what: str) -> None:
    values = golden.values
    base = values["frames"] // 2 if base_frame == "middle" else 0
    steps = warp_steps(values["frames"], base, mgmae_compat=True)
    if what == "pairs":
        golden.into.exact(key, torch.tensor([step.pair for step in steps]), torch.tensor(values[key]))
        return
    expected = values[key]
    side = values["grid"]
    grid = (expected.shape[1] // (side * side), side, side)
    visible = visible_per_slice(side * side, values[f"{kind}.ratio"], mgmae_compat=True)
    initial = values[f"{kind}.init"][:, 0].to(golden.device)
    flow = torch.stack([_flow(values[FLOWS], step) for step in steps], 1).to(golden.device)
    sums = tube_sums(carried_maps(initial, flow, steps, base, fill, mgmae_compat=True), grid).cpu()
    order = torch.arange(side * side).expand(len(sums), -1)
    ours = masked_below(sums, visible, order)
    if kind != "mix_gauss" and visible:
        ours = _settled(ours, expected, sums, visible, grid)
    golden.into.exact(key, ours, expected)


def _flow(flows: torch.Tensor, step: Step) -> torch.Tensor:
    first, second = step.pair
    return flows[min(first, second), 0 if first < second else 1]


def _settled(ours: torch.Tensor, expected: torch.Tensor, sums: torch.Tensor, visible: int, grid: Grid) -> torch.Tensor:
    """Return our mask with the reference's choice among tied tokens, in the slices where it shows as many as we do."""
    mask, theirs = (m.view(len(m), grid[0], -1) for m in (ours, expected))
    last = sums.sort(dim=-1, descending=True).values[..., visible - 1 : visible].double()
    tied = (sums - last).abs() <= TOLERANCE * last
    same_number = (~theirs).sum(-1, keepdim=True) == visible
    return torch.where(tied & same_number, theirs, mask).flatten(1)


def _compare_initial(golden: Golden, key: str, kind: str) -> None:
    """Build each map again from the tokens or the number of pixels found in it."""
    values = golden.values
    side, patch, ratio = values["grid"], values["patch"], values[f"{kind}.ratio"]
    size = side * patch
    if kind == "pixel_rand":
        ones = visible_per_slice(size * size, ratio, mgmae_compat=True)
        expected = values[key].flatten(1).sort(dim=1, descending=True).values
        rebuilt = torch.full_like(expected, FLOOR)
        rebuilt[:, :ones] = 1
        golden.into.close(key, rebuilt, expected, TOLERANCE)
        return
    count = visible_per_slice(side * side, ratio)
    maps = []
    for found in values[key][:, 0]:
        centres = found[(patch - 1) // 2 :: patch, (patch - 1) // 2 :: patch].flatten().numpy()
        tokens = np.argsort(-centres, kind="stable")[:count]
        maps.append((gaussians if kind == "mix_gauss" else squares)(tokens, (side, side), patch))
    golden.into.close(key, torch.from_numpy(np.stack(maps))[:, None], values[key], TOLERANCE)
