"""k-means by faiss, one set of points at a time: what the released evaluation of Time-Tuning runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 256
"""faiss trains on at most so many points a centroid unless told otherwise."""


class Found(NamedTuple):
    """Nearest centroid of each point, int64 (N,); the centroids (K, D); the sum of squared distances."""

    labels_N: NDArray[np.int64]
    centroids_KD: NDArray[np.float32]
    inertia: float


def kmeans(
    points_ND: NDArray[np.float32],
    k: int,
    *,
    seed: int,
    restarts: int = 5,
    iterations: int = 50,
    subsample: bool = False,
) -> Found:
    """Cluster points by Euclidean distance.

    Args:
        points_ND: The points.
        k: Number of clusters.
        seed: Seed of the starts, and of the subsample.
        restarts: Number of starts, of which the best is kept.
        iterations: Rounds of a start; all are done.
        subsample: Train on a random part, `MOST_POINTS` a centroid, as faiss does by default; all points are then
            assigned. Else train on all points.

    Raises:
        ValueError: Fewer points than clusters, or points that are not finite.
    """
    import faiss

    points = np.ascontiguousarray(points_ND, dtype=np.float32)
    if not 1 <= k <= len(points):
        raise ValueError(f"{k} clusters of {len(points)} points; expected at least 1 and at most as many as points")
    if not np.isfinite(points).all():
        raise ValueError("points are NaN or infinite")
    trainer = faiss.Kmeans(
        points.shape[1],
        k,
        niter=iterations,
        nredo=restarts,
        seed=seed,
        spherical=False,
        gpu=False,
        min_points_per_centroid=1,  # no more than a warning hangs on it
        max_points_per_centroid=MOST_POINTS if subsample else len(points),
    )
    trainer.train(points)
    distances, labels = trainer.index.search(points, 1)
    return Found(labels[:, 0].astype(np.int64), np.asarray(trainer.centroids), float(distances.sum(dtype=np.float64)))
