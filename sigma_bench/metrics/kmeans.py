"""Euclidean k-means in torch: several sets of points and several starts at once, on whatever device they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

ENTRIES_AT_A_TIME = 1 << 27
"""About so many distances are held at once."""


@dataclass(frozen=True)
class Clusters:
    """The best of several starts for each set of points.

    Attributes:
        labels_BN: Nearest centroid of each point, int64.
        centroids_BKD: The centroids; rows from a set's own K on are not used.
        inertia_B: Sum of squared distances to the nearest centroid, float64.
        iterations_B: Rounds of assigning and averaging until no point changed its cluster.
    """

    labels_BN: torch.Tensor
    centroids_BKD: torch.Tensor
    inertia_B: torch.Tensor
    iterations_B: torch.Tensor


def kmeans(
    points_BND: torch.Tensor,
    k: Sequence[int],
    *,
    seeds: Sequence[int],
    restarts: int = 5,
    iterations: int = 50,
) -> Clusters:
    """Cluster several sets of as many points; each by itself, whatever stands beside it.

    A start is `k` different points drawn at random. Of the starts the one of smallest inertia is kept.

    Args:
        points_BND: The points.
        k: Number of clusters of each set.
        seeds: Seed of each set's draws.
        restarts: Number of starts.
        iterations: Most rounds of assigning and averaging; ended early where nothing changes any more.

    Raises:
        ValueError: Fewer points than clusters, or points that are not finite.
    """
    B, N, D = points_BND.shape
    if len(k) != B or len(seeds) != B or not B:
        raise ValueError(f"{B} sets of points, {len(k)} numbers of clusters, {len(seeds)} seeds; expected one each")
    if not 1 <= min(k) <= max(k) <= N:
        raise ValueError(f"{min(k)} to {max(k)} clusters of {N} points; expected at least 1 and at most {N}")
    if not torch.isfinite(points_BND).all():
        raise ValueError("points are NaN or infinite")
    picked_BRK = torch.stack([_start(N, own, seed, restarts, max(k)) for own, seed in zip(k, seeds, strict=True)])
    picked_BRK = picked_BRK.to(points_BND.device)
    used_BK = torch.arange(max(k)) < torch.tensor(k)[:, None]
    at_a_time = max(1, ENTRIES_AT_A_TIME // (N * restarts * max(k)))
    if points_BND.device.type == "cpu":
        at_a_time = 1  # sets that are done are not waited for
    parts = []
    for first in range(0, B, at_a_time):
        some = slice(first, first + at_a_time)
        points = points_BND[some]
        starts = points.gather(1, picked_BRK[some].flatten(1)[..., None].expand(-1, -1, D))
        starts = starts.view(len(points), restarts, max(k), D)
        parts.append(_best(points, starts, used_BK[some].to(points.device), iterations))
    return Clusters(*(torch.cat([getattr(part, name) for part in parts]) for name in Clusters.__dataclass_fields__))


def lloyd(points_ND: torch.Tensor, starts_KD: torch.Tensor, iterations: int = 300) -> Clusters:
    """Cluster one set of points from given centroids; shapes as if of one set and one start."""
    used_BK = torch.ones(1, len(starts_KD), dtype=torch.bool, device=points_ND.device)
    return _best(points_ND[None], starts_KD[None, None].to(points_ND), used_BK, iterations)


def _start(points: int, k: int, seed: int, restarts: int, width: int) -> torch.Tensor:
    """Return (restarts, width) places of different points, those from `k` on of no meaning."""
    rng = np.random.RandomState(seed % (1 << 32))
    places = np.zeros((restarts, width), dtype=np.int64)
    for one in places:
        one[:k] = rng.permutation(points)[:k]
    return torch.from_numpy(places)


def _best(points_BND: torch.Tensor, starts_BRKD: torch.Tensor, used_BK: torch.Tensor, iterations: int) -> Clusters:
    B, R, _, D = starts_BRKD.shape
    N = points_BND.shape[1]
    centroids = starts_BRKD.clone()
    labels = torch.full((B, R, N), -1, dtype=torch.int64, device=points_BND.device)
    rounds = torch.zeros(B, R, dtype=torch.int64, device=points_BND.device)
    sets, starts = torch.arange(B, device=labels.device), torch.arange(R, device=labels.device)
    for _ in range(iterations):
        box = (sets[:, None], starts[None])
        found, _ = _nearest(points_BND[sets], centroids[box], used_BK[sets])
        changed = (found != labels[box]).any(-1)
        labels[box] = found
        rounds[box] += changed
        sets, starts = sets[changed.any(1)], starts[changed.any(0)]
        if not len(sets):
            break
        box = (sets[:, None], starts[None])
        centroids[box] = _means(points_BND[sets], labels[box], centroids[box], used_BK[sets])
    labels, left = _nearest(points_BND, centroids, used_BK)
    inertia = left.double().sum(-1) + points_BND.double().square().sum((1, 2))[:, None]
    best = inertia.argmin(1)
    one = torch.arange(B, device=best.device)
    # sums of differences lose digits where points are far from 0: the chosen start is measured once more, exactly
    nearest = centroids[one, best].gather(1, labels[one, best][..., None].expand(-1, -1, D))
    exact = (points_BND - nearest).double().square().sum((1, 2))
    return Clusters(labels[one, best], centroids[one, best], exact, rounds[one, best])


def _nearest(
    points_BND: torch.Tensor, centroids_BRKD: torch.Tensor, used_BK: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nearest centroid of each point (B, R, N), and the squared distance less the point's squared length."""
    B, R, K, D = centroids_BRKD.shape
    lengths = centroids_BRKD.square().sum(-1).masked_fill(~used_BK[:, None], torch.inf)
    products = torch.bmm(centroids_BRKD.reshape(B, R * K, D), points_BND.transpose(1, 2)).view(B, R, K, -1)
    nearest = torch.add(lengths[..., None], products, alpha=-2).min(2)
    return nearest.indices, nearest.values


def _means(
    points_BND: torch.Tensor, labels_BRN: torch.Tensor, centroids_BRKD: torch.Tensor, used_BK: torch.Tensor
) -> torch.Tensor:
    """Return the mean of each cluster's points; one without points goes to the point farthest from its own mean."""
    B, R, K, D = centroids_BRKD.shape
    members = torch.zeros(B, R, K, labels_BRN.shape[-1], dtype=points_BND.dtype, device=points_BND.device)
    members.scatter_(2, labels_BRN[:, :, None], 1)
    sums = torch.bmm(members.view(B, R * K, -1), points_BND).view(B, R, K, D)
    counts = members.sum(-1)
    means: torch.Tensor = sums / counts.clamp(min=1)[..., None]
    empty_BRK = (counts == 0) & used_BK[:, None]
    for b, r in torch.nonzero(empty_BRK.any(-1)).tolist():
        places = torch.nonzero(empty_BRK[b, r])[:, 0]
        away = (points_BND[b] - means[b, r, labels_BRN[b, r]]).square().sum(-1)
        means[b, r, places] = points_BND[b, away.topk(len(places)).indices]
    return means
