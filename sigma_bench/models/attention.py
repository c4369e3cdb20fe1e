"""Self-attention and blocks with one bias over queries, keys and values, as timm's image ViT has them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.models.drop_path import kept
from sigma_bench.models.vit import EPS, Mlp

Turns = tuple[torch.Tensor, torch.Tensor]
"""Cosines and sines of rotary positions, each (N, head width) or (B, 1, N, head width)."""


class Attention(nn.Module):
    """Multi-head self-attention; queries and keys are turned by `turns` where given."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} channels")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x_BND: torch.Tensor, turns: Turns | None = None) -> torch.Tensor:
        """Return the attended tokens, (B, N, D)."""
        B, N, D = x_BND.shape
        qkv = self.qkv(x_BND).view(B, N, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        if turns is not None:
            query, key = turn(query, turns), turn(key, turns)
        attended = F.scaled_dot_product_attention(query, key, value)
        out: torch.Tensor = self.proj(attended.transpose(1, 2).reshape(B, N, D))
        return out


class Block(nn.Module):
    """A pre-LN transformer block, without layer scale; `drop_path` is its rate of stochastic depth, 0 unless set."""

    def __init__(self, dim: int, heads: int, mlp_hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=EPS)
        self.mlp = Mlp(dim, mlp_hidden)
        self.drop_path = 0.0

    def forward(self, x_BND: torch.Tensor, turns: Turns | None = None) -> torch.Tensor:
        """Return the tokens after the block, (B, N, D)."""
        x_BND = x_BND + kept(self.attn(self.norm1(x_BND), turns), self.drop_path, self.training)
        return x_BND + kept(self.mlp(self.norm2(x_BND)), self.drop_path, self.training)


def turn(x: torch.Tensor, turns: Turns) -> torch.Tensor:
    """Return x cos + y sin, where y is x with each pair of neighbours (a, b) replaced by (-b, a)."""
    cosines, sines = turns
    even, odd = x[..., 0::2], x[..., 1::2]
    swapped = torch.stack((-odd, even), dim=-1).flatten(-2)
    return x * cosines.to(x.dtype) + swapped * sines.to(x.dtype)
