"""Mean squared errors against pixels and features."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def pixel_mse(predicted_BNP: torch.Tensor, target_BNP: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error over masked tubes and their pixels, in float32; the target gets no gradient."""
    return F.mse_loss(predicted_BNP.float(), target_BNP.detach().float())


def feature_l2(predicted_BND: torch.Tensor, feature_BND: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error over masked tokens and channels, in float32; both sides get a gradient."""
    return F.mse_loss(predicted_BND.float(), feature_BND.float())
