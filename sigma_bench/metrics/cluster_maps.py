"""From the dense features of a clip to its cluster maps: reduction, upsampling, k-means, repetition in time.

Source: SIGMA, section 4.2 and supplement C; what they leave open is that of Time-Tuning (`cluster_features`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sigma_bench.metrics import kmeans, kmeans_faiss
from sigma_bench.metrics.reduction import principal_components
from sigma_bench.metrics.resampling import upsampled

Backend = Literal["faiss", "torch"]
Maps = NDArray[np.int16]


@dataclass(frozen=True)
class Settings:
    """How points are clustered.

    Attributes:
        backend: `faiss`, or `torch` (several clips at a time on a GPU).
        restarts: Starts of which the best is kept.
        iterations: Most rounds of a start.
        subsample: Train on 256 points a cluster, as faiss does unless told otherwise; with `faiss` only.
    """

    backend: Backend = "faiss"
    restarts: int = 5
    iterations: int = 50
    subsample: bool = False


@dataclass(frozen=True)
class Clustered:
    """Cluster maps of a clip, one a time step of its features, and the sum of squared distances to the centroids."""

    maps_THW: Maps
    inertia: float


def reduced(clips_THWD: Sequence[torch.Tensor], dims: int | None) -> list[torch.Tensor]:
    """Return the features of clips, standardised and projected on the first components of all of them together.

    Args:
        clips_THWD: Features; to reduce each clip by itself, call this with one clip a time.
        dims: Number of components; None returns the features as they are.
    """
    if dims is None:
        return list(clips_THWD)
    shapes = [clip.shape[:3] for clip in clips_THWD]
    points = principal_components(torch.cat([clip.reshape(-1, clip.shape[-1]) for clip in clips_THWD]), dims)
    parts = torch.split(points, [shape.numel() for shape in shapes])
    return [part.view(*shape, -1) for part, shape in zip(parts, shapes, strict=True)]


def cluster_clips(
    clips_THWD: Sequence[torch.Tensor], k: Sequence[int], size: int, seeds: Sequence[int], settings: Settings
) -> list[Clustered]:
    """Cluster the features of every clip by itself, over all its time steps.

    Args:
        clips_THWD: Features on the grid of the tokens, reduced or not; all of one shape.
        k: Clusters of each clip.
        size: Height and width of the maps; features are upsampled to it first.
        seeds: Seed of each clip's starts.
        settings: How.

    Raises:
        ValueError: Features that are not finite, or fewer points than clusters.
    """
    points = [upsampled(clip.float(), size).reshape(-1, clip.shape[-1]) for clip in clips_THWD]
    shape = (-1, size, size)
    if settings.backend == "faiss":
        found = [
            kmeans_faiss.kmeans(
                own.cpu().numpy(),
                clusters,
                seed=seed,
                restarts=settings.restarts,
                iterations=settings.iterations,
                subsample=settings.subsample,
            )
            for own, clusters, seed in zip(points, k, seeds, strict=True)
        ]
        return [Clustered(one.labels_N.astype(np.int16).reshape(shape), one.inertia) for one in found]
    if settings.subsample:
        raise ValueError("a subsample of the points is drawn by faiss only")
    made = kmeans.kmeans(
        torch.stack(points), k, seeds=seeds, restarts=settings.restarts, iterations=settings.iterations
    )
    labels, inertia = made.labels_BN.to(torch.int16).cpu().numpy(), made.inertia_B.tolist()
    return [Clustered(own.reshape(shape), value) for own, value in zip(labels, inertia, strict=True)]


def cluster_frames(
    clip_THWD: torch.Tensor, k: Sequence[int], size: int, seed: int, settings: Settings
) -> list[Clustered]:
    """Cluster every time step of a clip by itself, with its own number of clusters; one `Clustered` a step."""
    steps = [clip_THWD[step : step + 1] for step in range(len(clip_THWD))]
    return cluster_clips(steps, k, size, [seed] * len(steps), settings)


def cluster_all(
    clips_THWD: Sequence[torch.Tensor], k: int, size: int, seed: int, settings: Settings
) -> list[Clustered]:
    """Cluster the features of all clips together; each keeps its share of the maps, and the common inertia."""
    lengths = [len(clip) for clip in clips_THWD]
    together = cluster_clips([torch.cat(list(clips_THWD))], [k], size, [seed], settings)[0]
    borders = np.cumsum(lengths)[:-1]
    return [Clustered(maps, together.inertia) for maps in np.split(together.maps_THW, borders)]


def over_frames(maps_THW: Maps, frames: int) -> Maps:
    """Return one map a frame: each stands for as many neighbouring frames (a a b b), the frames of its tubelet.

    Raises:
        ValueError: The maps do not divide the frames.
    """
    if not len(maps_THW) or frames % len(maps_THW):
        raise ValueError(f"{len(maps_THW)} maps do not divide {frames} frames")
    return np.repeat(maps_THW, frames // len(maps_THW), axis=0)


def changes(maps_THW: Maps) -> float:
    """Return the share of pixels whose cluster is another one in the next map; NaN for a single map."""
    return float((maps_THW[1:] != maps_THW[:-1]).mean()) if len(maps_THW) > 1 else float("nan")
