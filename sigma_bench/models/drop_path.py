"""Stochastic depth: in training, branches of residual blocks are left out for single samples."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.contracts import UserError


def kept(branch_BND: torch.Tensor, rate: float, training: bool) -> torch.Tensor:
    """Return what a block adds to its tokens: nothing for a share `rate` of the samples, 1 / (1 - rate) for the others.

    Outside training, and at rate 0, the branch itself (Huang et al., "Deep Networks with Stochastic Depth", 2016). The
    draws are torch's, so that a recomputed block repeats them.
    """
    if not training or rate == 0:
        return branch_BND
    ones = torch.ones((len(branch_BND), *(1,) * (branch_BND.ndim - 1)), device=branch_BND.device)
    return branch_BND * F.dropout(ones, rate)


def set_drop_path(encoder: nn.Module, rate: float) -> None:
    """Let the blocks of an encoder leave out branches, at rates that grow linearly from 0 to `rate` with depth.

    Raises:
        UserError: The rate is not in [0, 1), or it is not 0 and the blocks cannot do that.
    """
    if not 0 <= rate < 1:
        raise UserError(f"drop path {rate}; expected at least 0 and less than 1")
    blocks = getattr(encoder, "blocks", ())
    able = len(blocks) > 0 and all(isinstance(getattr(block, "drop_path", None), float) for block in blocks)
    if rate and not able:
        raise UserError(
            f"drop path {rate}: the blocks of {type(encoder).__name__} have no stochastic depth; set drop path to 0"
        )
    if able:
        for block, value in zip(blocks, torch.linspace(0, rate, len(blocks), dtype=torch.float64), strict=True):
            block.drop_path = value.item()
