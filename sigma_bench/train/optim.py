"""Optimisers and their groups of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

NEVER_DECAYED = frozenset({"pos_embed", "cls_token", "mask_token"})
TABLES = NEVER_DECAYED | {"time_embed"}
"""Learned tables and tokens of all encoders that can be finetuned."""
NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
"""Layers that normalise."""


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


def finetuning_groups(
    model: nn.Module, weight_decay: float, layer_decay: float, layer_of: Callable[[str], int], last: int
) -> list[dict[str, Any]]:
    """Split the trainable parameters by depth and by whether they decay, for rates that shrink towards the input.

    A parameter of layer i learns at layer_decay ** (last - i) of the rate: layer 0 is the embedding, k + 1 block k, and
    `last` what follows the blocks (norms, head). Not decayed are vectors, every `.bias`, and the learned tables and
    tokens, told by the last part of their name. The rule of the VideoMAE family (`optim_factory.py`,
    `get_parameter_groups`).

    Args:
        model: The module whose parameters are trained.
        weight_decay: Decay of matrices.
        layer_decay: Ratio of the rates of neighbouring layers; 1 for one rate.
        layer_of: Layer of a parameter, by its name.
        last: Greatest layer: the number of blocks + 1.

    Returns:
        Groups with the keys `params`, `weight_decay`, `lr_scale` (which the loop multiplies into the rate) and
        `names`, by ascending layer, each layer's undecayed one first.

    Raises:
        ValueError: The ratio is not in (0, 1], or a parameter lies outside layers 0 to `last`.
    """
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer decay {layer_decay}; expected more than 0, at most 1")
    groups: dict[tuple[int, bool], dict[str, nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            layer = layer_of(name)
            if not 0 <= layer <= last:
                raise ValueError(f"parameter {name} is of layer {layer}; expected 0 to {last}")
            table = name.rsplit(".", 1)[-1] in TABLES
            decays = parameter.ndim > 1 and not name.endswith(".bias") and not table
            groups.setdefault((layer, decays), {})[name] = parameter
    return [
        {
            "params": list(held.values()),
            "weight_decay": weight_decay if decays else 0.0,
            "lr_scale": layer_decay ** (last - layer),
            "names": list(held),
        }
        for (layer, decays), held in sorted(groups.items(), key=lambda item: item[0])
    ]


def norms_apart(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the trainable parameters into those of normalisation layers, which are not decayed, and all others.

    The rule of SlowFast (`models/optimizer.py`, `BN.WEIGHT_DECAY`): biases of other layers are decayed.

    Args:
        model: The module whose parameters are trained.
        weight_decay: Decay of what is no norm's.

    Returns:
        Groups with the keys `params`, `weight_decay` and `names`.
    """
    of_norms = {id(p) for module in model.modules() if isinstance(module, NORMS) for p in module.parameters()}
    groups: dict[bool, dict[str, nn.Parameter]] = {False: {}, True: {}}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[id(parameter) not in of_norms][name] = parameter
    return [
        {"params": list(held.values()), "weight_decay": weight_decay if decays else 0.0, "names": list(held)}
        for decays, held in groups.items()
        if held
    ]


def adamw(
    groups: Iterable[dict[str, Any]], lr: float, betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-8
) -> torch.optim.AdamW:
    """Return AdamW over `groups`; the loop sets each step's rate on its groups."""
    return torch.optim.AdamW(list(groups), lr=lr, betas=betas, eps=eps, fused=True)


def sgd(groups: Iterable[dict[str, Any]], lr: float, momentum: float) -> torch.optim.SGD:
    """Return SGD with Nesterov's momentum (none where it is 0) over `groups`; the loop sets each step's rate."""
    return torch.optim.SGD(list(groups), lr=lr, momentum=momentum, nesterov=momentum > 0)
