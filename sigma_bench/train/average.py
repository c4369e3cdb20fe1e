"""A running average of the weights of a model in training."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of `model` whose `update_parameters(model)` keeps an exponential moving average of the weights.

    The first update copies the weights; each later one leaves `decay` of the average. Buffers are copied. Its state
    holds the number of updates, so that a resumed run goes on with the same average.

    Raises:
        ValueError: The decay is not in [0, 1).
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay {decay}; expected at least 0 and less than 1")
    average: Any = get_ema_multi_avg_fn  # torch gives it no types
    return AveragedModel(model, multi_avg_fn=average(decay))
