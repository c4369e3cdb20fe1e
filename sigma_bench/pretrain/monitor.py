"""Numbers that show a collapse early: how prototypes are used and how far the loss is from chance."""

from __future__ import annotations

import math

import torch


def used_prototypes(q_MK: torch.Tensor) -> float:
    """Return the share of the prototypes that are the most likely one of some token, in (0, 1]."""
    return int(torch.bincount(q_MK.argmax(-1).flatten()).count_nonzero()) / q_MK.shape[-1]


def assignment_entropy(q_MK: torch.Tensor) -> float:
    """Return the mean entropy of a token's assignment divided by ln K: 0 is hard, 1 is uniform."""
    return float(torch.special.entr(q_MK.float()).sum(-1).mean()) / math.log(q_MK.shape[-1])


def usage_entropy(q_MK: torch.Tensor) -> float:
    """Return the entropy of how often each prototype is the most likely one, divided by ln K: 1 is balanced."""
    counts = torch.bincount(q_MK.argmax(-1).flatten(), minlength=q_MK.shape[-1]).float()
    return float(torch.special.entr(counts / counts.sum()).sum()) / math.log(q_MK.shape[-1])


def target_std(targets_MD: torch.Tensor) -> float:
    """Return the mean over channels of the deviation over tokens of unit-length targets; 0 means all are the same."""
    unit = torch.nn.functional.normalize(targets_MD.float().flatten(0, -2), dim=-1)
    return float(unit.std(0).mean())


def distance_from_uniform(loss: float, prototypes: int, branches: int = 2) -> float:
    """Return loss - branches * ln K: 0 is the loss of a uniform guess, below it something is predicted."""
    return loss - branches * math.log(prototypes)
