"""Numbers that show a collapse early: how prototypes are used, how features spread, how far the loss is from chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch


def label_counts(labels_M: torch.Tensor, prototypes: int) -> torch.Tensor:
    """Return how many tokens have each prototype as their likeliest one, (K,), int64; processes add theirs up.

    Args:
        labels_M: Number of the likeliest prototype of each token, any shape.
        prototypes: K.
    """
    return torch.bincount(labels_M.detach().flatten(), minlength=prototypes)


def used_prototypes(counts_K: torch.Tensor) -> float:
    """Return the share of the prototypes that are the likeliest one of some token, in (0, 1]."""
    return int(counts_K.count_nonzero()) / len(counts_K)


def usage_entropy(counts_K: torch.Tensor) -> float:
    """Return the entropy of how often each prototype is the likeliest one, divided by ln K: 1 is balanced."""
    shares = counts_K.double() / counts_K.sum()
    return relative_entropy(float(torch.special.entr(shares).sum()), len(counts_K))


def relative_entropy(entropy: float, prototypes: int) -> float:
    """Return an entropy in nats divided by the largest there is, ln K: 0 is hard, 1 is uniform."""
    return entropy / math.log(prototypes)


class Spread(NamedTuple):
    """How features of some tokens deviate; those of several parts give that of all tokens together.

    Attributes:
        tokens: How many they are.
        mean_D: Their mean, float64, on the CPU.
        squares: Sum of the squared distances from it.
        unit: Whether they were scaled to unit length first.
    """

    tokens: int
    mean_D: torch.Tensor
    squares: float
    unit: bool


def spread(features: torch.Tensor, unit: bool = True) -> Spread:
    """Return how features (..., D) deviate from their mean.

    Args:
        features: One vector a token.
        unit: Scale each to unit length first; then only the directions count.
    """
    x = features.detach().flatten(0, -2).double()
    if unit:
        x = torch.nn.functional.normalize(x, dim=-1)
    variance_D, mean_D = torch.var_mean(x, 0, correction=0)
    return Spread(len(x), mean_D.cpu(), float(variance_D.sum()) * len(x), unit)


def deviation(parts: Sequence[Spread]) -> float:
    """Return how far the features of all parts together deviate from their mean; 0 means that all are the same.

    Of unit-length features it is the root of the variances' sum, sqrt(1 - c) with c the mean cosine similarity of two
    tokens: 1 where they point everywhere. Of others it is the root of the variances' mean, the deviation of a channel.
    """
    counts_S = torch.tensor([part.tokens for part in parts], dtype=torch.float64)
    means_SD = torch.stack([part.mean_D for part in parts])
    mean_D = counts_S @ means_SD / counts_S.sum()
    between = counts_S @ (means_SD - mean_D).square().sum(1)
    variance = (sum(part.squares for part in parts) + float(between)) / float(counts_S.sum())
    return math.sqrt(variance if parts[0].unit else variance / len(mean_D))


def distance_from_uniform(loss: float, prototypes: int, branches: int = 2) -> float:
    """Return loss - branches * ln K: 0 is the loss of a uniform guess, below it something is predicted."""
    return loss - branches * math.log(prototypes)
