"""A classifier that looks at all tokens of a frozen encoder: one learned query, one block of cross-attention.

After the attentive probe of V-JEPA (Bardes et al., "Revisiting Feature Prediction for Learning Visual Representations
from Video", arXiv 2404.08471, section 4.2 and appendix; `AttentivePooler` and `AttentiveClassifier` of its code).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from sigma_bench.models.vit import Mlp

INIT_STD = 0.02


class AttentiveHead(nn.Module):
    """The query attends to the normed tokens, then goes through an MLP; both are added to it. Then a linear classifier.

    Args:
        dim: Width of the tokens.
        heads: Attention heads; they divide `dim`.
        classes: Number of classes.

    Raises:
        ValueError: The heads do not divide the width.
    """

    def __init__(self, dim: int, heads: int, classes: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide {dim} channels")
        self.heads = heads
        self.query = nn.Parameter(torch.zeros(1, 1, dim))
        self.norm1 = nn.LayerNorm(dim)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)
        nn.init.trunc_normal_(self.query, std=INIT_STD)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.trunc_normal_(part.weight, std=INIT_STD)
                nn.init.zeros_(part.bias)
        with torch.no_grad():
            for last in (self.proj, self.mlp.fc2):
                last.weight.div_(math.sqrt(2.0))
        self.linear = nn.Linear(dim, classes)

    def forward(self, tokens_BND: torch.Tensor) -> torch.Tensor:
        """Return the scores of the classes, (B, C)."""
        B, _, D = tokens_BND.shape
        query_B1D = self.query.expand(B, -1, -1)
        q = self._by_head(self.q(query_B1D))
        key, value = (self._by_head(part) for part in self.kv(self.norm1(tokens_BND)).split(D, dim=-1))
        seen = F.scaled_dot_product_attention(q, key, value).transpose(1, 2).reshape(B, 1, D)
        x_B1D = query_B1D + self.proj(seen)
        x_B1D = x_B1D + self.mlp(self.norm2(x_B1D))
        scores_BC: torch.Tensor = self.linear(x_B1D[:, 0])
        return scores_BC

    def _by_head(self, x_BND: torch.Tensor) -> torch.Tensor:
        B, N, D = x_BND.shape
        return x_BND.view(B, N, self.heads, D // self.heads).transpose(1, 2)
