"""How much of the dense features of a clip is told by their time step alone, whatever is seen."""

from __future__ import annotations

import torch


def time_variance(features_THWD: torch.Tensor) -> float:
    """Return the share of the variance of standardised features that lies between the means of time steps, 0 to 1.

    Near 1 the features say when, not what: k-means then cuts the clip into time slices. The tables of positions of a
    video ViT do that in encoders that learned little. NaN where nothing varies. No published source; ours.

    Args:
        features_THWD: Features of a clip, not reduced.
    """
    points = features_THWD.double()
    centred = points - points.mean((0, 1, 2))
    scale = centred.square().mean((0, 1, 2)).sqrt()
    varies = scale > 1e-6 * (points.abs().amax((0, 1, 2)) + 1e-12)
    if not varies.any():
        return float("nan")
    standard = (centred / scale)[..., varies]
    return float(standard.mean((1, 2)).square().mean())
