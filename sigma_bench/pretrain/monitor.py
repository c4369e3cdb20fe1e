"""Numbers that show a collapse early: how prototypes are used, how features spread, how far the loss is from chance.

Each is in two steps: a sum over tokens, which micro-batches and processes add up, and the number made of the sum. So
the number of a whole optimiser step is exact, whatever it was divided into.
"""

from __future__ import annotations

import math

import torch


def label_counts(labels_M: torch.Tensor, prototypes: int) -> torch.Tensor:
    """Return how many tokens have each prototype as their likeliest one, (K,), int64.

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
    return float(torch.special.entr(shares).sum()) / math.log(len(counts_K))


def assignment_entropy(entropy: torch.Tensor, prototypes: int) -> float:
    """Return the mean entropy of a token's assignment divided by ln K: 0 is hard, 1 is uniform.

    Args:
        entropy: Entropy of each token's assignment in nats, or their mean.
        prototypes: K.
    """
    return float(entropy.detach().float().mean()) / math.log(prototypes)


def feature_sums(features: torch.Tensor, unit: bool = True) -> torch.Tensor:
    """Return what `feature_std` needs of features (..., D), to be added up: (D + 2,), float64.

    Args:
        features: One vector a token.
        unit: Scale each to unit length first; then only the directions count.
    """
    x = features.detach().flatten(0, -2).double()
    if unit:
        x = torch.nn.functional.normalize(x, dim=-1)
    return torch.cat((x.new_tensor([len(x)]), x.square().sum().reshape(1), x.sum(0)))


def feature_std(sums: torch.Tensor, unit: bool = True) -> float:
    """Return how far features deviate from their mean; 0 means that all are the same.

    Of unit-length features it is the root of the variances' sum, sqrt(1 - c) with c the mean cosine similarity of two
    tokens: 1 where they point everywhere. Of others it is the root of the variances' mean, the deviation of a channel.

    Args:
        sums: The sum of what `feature_sums` gave.
        unit: As given there.
    """
    count, square, total_D = sums[0], sums[1], sums[2:]
    variance = square / count - (total_D / count).square().sum()
    if variance <= 1e-12 * square / count:  # what is left of equal numbers after rounding
        return 0.0
    return math.sqrt(float(variance) / (1 if unit else len(total_D)))


def distance_from_uniform(loss: float, prototypes: int, branches: int = 2) -> float:
    """Return loss - branches * ln K: 0 is the loss of a uniform guess, below it something is predicted."""
    return loss - branches * math.log(prototypes)
