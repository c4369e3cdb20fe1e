"""Parameter groups of AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

NEVER_DECAYED = frozenset({"pos_embed", "cls_token", "mask_token"})


def pretraining_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the trainable parameters into those without and those with weight decay.

    Vectors, every `.bias` and the parameters named `pos_embed`, `cls_token` or `mask_token` are not decayed; all else
    is, prototypes and projection weights included. The third key, `names`, names the parameters.

    Args:
        model: The module whose parameters are trained.
        weight_decay: Decay of the second group.
    """
    plain: dict[str, nn.Parameter] = {}
    decayed: dict[str, nn.Parameter] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            exempt = parameter.ndim <= 1 or name.endswith(".bias") or name in NEVER_DECAYED
            (plain if exempt else decayed)[name] = parameter
    groups = ((plain, 0.0), (decayed, weight_decay))
    return [{"params": list(g.values()), "weight_decay": w, "names": list(g)} for g, w in groups if g]


def adamw(
    groups: Iterable[dict[str, Any]], lr: float, betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-8
) -> torch.optim.AdamW:
    """Return AdamW over `groups`; the loop sets each step's rate on its groups."""
    return torch.optim.AdamW(list(groups), lr=lr, betas=betas, eps=eps, fused=True)
