"""The narrow transformer that predicts the masked tokens; only pretraining has it."""

from __future__ import annotations

import torch
from torch import nn

from sigma_bench.models.vit import EPS, Block, through, xavier_init


class Decoder(nn.Module):
    """Blocks over all tokens, then a norm and a linear head on the masked ones.

    Args:
        dim: Width of the tokens.
        depth: Number of blocks.
        heads: Attention heads of a block.
        out_dim: Width of the prediction.
        mlp_hidden: Hidden width of a block's MLP; 4 x dim where None.
        eps: Epsilon of the LayerNorms in the blocks.
        norm_eps: Epsilon of the last norm.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        out_dim: int,
        *,
        mlp_hidden: int | None = None,
        eps: float = EPS,
        norm_eps: float = EPS,
    ) -> None:
        super().__init__()
        self.recompute = False
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_hidden, eps) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, out_dim)
        xavier_init(self)

    def forward(self, x_BND: torch.Tensor, last: int) -> torch.Tensor:
        """Return the predictions for the `last` tokens of each sample, (B, last, out_dim)."""
        x_BND = through(self.blocks, x_BND, self.recompute)
        out: torch.Tensor = self.head(self.norm(x_BND[:, -last:]))
        return out
