"""Standardised features and their first principal components."""

from __future__ import annotations

import torch


def standardised(points_ND: torch.Tensor) -> torch.Tensor:
    """Return features with mean 0 and deviation 1 in every dimension, float64; constant ones become 0.

    The deviation divides by N, as scikit-learn's `StandardScaler` does.
    """
    points = points_ND.double()
    deviation = points.std(0, correction=0)
    return (points - points.mean(0)) / torch.where(deviation > 0, deviation, torch.ones_like(deviation))


def principal_components(points_ND: torch.Tensor, dims: int) -> torch.Tensor:
    """Return standardised features projected on their first principal components, (N, min(dims, D)) float32.

    Components are not scaled. Each has the sign with which its projection's largest value (of the first, where several
    are equal) is positive, so that the result does not depend on the solver. Source: Time-Tuning,
    `normalize_and_transform`.

    Args:
        points_ND: Features of the points that scaler and components are fitted on, all of them.
        dims: Number of components; where there are fewer dimensions, all are kept.
    """
    points = standardised(points_ND)
    N, D = points.shape
    kept = min(dims, D)
    if N < D:  # the same components from the smaller matrix; those beyond N are 0
        _, left = torch.linalg.eigh(points @ points.T)
        basis = left.flip(1)[:, :kept]
        projected = points @ (points.T @ basis)
        scale = (points.T @ basis).norm(dim=0)
        projected = projected / torch.where(scale > 1e-9, scale, torch.full_like(scale, torch.inf))
        projected = torch.nn.functional.pad(projected, (0, kept - projected.shape[1]))
    else:
        _, vectors = torch.linalg.eigh(points.T @ points)
        projected = points @ vectors.flip(1)[:, :kept]
    largest = projected.gather(0, projected.abs().argmax(0, keepdim=True))
    signed: torch.Tensor = projected * torch.where(largest < 0, -1.0, 1.0)
    return signed.float()
