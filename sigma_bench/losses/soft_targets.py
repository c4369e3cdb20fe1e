"""Cross entropy against shares of classes, as mixed and smoothed labels are."""

from __future__ import annotations

import torch


def soft_cross_entropy(logits_BC: torch.Tensor, targets_BC: torch.Tensor) -> torch.Tensor:
    """Return the mean over clips of the cross entropy between targets and the softmax of the logits, in nats.

    Computed in float32 whatever the logits are. That of a uniform prediction is ln C.

    Args:
        logits_BC: Logits.
        targets_BC: Share of each class, of sum 1.

    Raises:
        ValueError: The shapes differ.
    """
    if logits_BC.shape != targets_BC.shape:
        raise ValueError(f"logits {tuple(logits_BC.shape)} and targets {tuple(targets_BC.shape)} do not fit")
    return -(targets_BC.float() * logits_BC.float().log_softmax(-1)).sum(-1).mean()
