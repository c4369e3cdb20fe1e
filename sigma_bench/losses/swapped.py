"""The swapped prediction loss: each branch predicts the assignment of the other."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F


class SwappedLoss(NamedTuple):
    """Cross entropies of the two branches and their sum."""

    total: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor


def swapped_cross_entropy(
    scores1_MK: torch.Tensor,
    scores2_MK: torch.Tensor,
    q1_MK: torch.Tensor,
    q2_MK: torch.Tensor,
    temperature: float = 0.1,
    hard: bool = True,
) -> SwappedLoss:
    """Return CE(scores1 / temperature, q2) + CE(scores2 / temperature, q1), each a mean over the M tokens, in float32.

    Args:
        scores1_MK: Similarities of the first branch to the prototypes.
        scores2_MK: Similarities of the second branch.
        q1_MK: Assignments of the first branch; no gradient enters them.
        q2_MK: Assignments of the second branch.
        temperature: Divides the scores.
        hard: Use the most likely prototype as the class (the released code); otherwise the whole distribution (the
            paper's equations).
    """
    first = _cross_entropy(scores1_MK, q2_MK, temperature, hard)
    second = _cross_entropy(scores2_MK, q1_MK, temperature, hard)
    return SwappedLoss(first + second, first, second)


def _cross_entropy(scores_MK: torch.Tensor, q_MK: torch.Tensor, temperature: float, hard: bool) -> torch.Tensor:
    target = q_MK.detach().argmax(-1) if hard else q_MK.detach().float()
    return F.cross_entropy(scores_MK.float() / temperature, target)
