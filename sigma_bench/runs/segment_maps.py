"""Clusters of a clip's dense features, with borders at any resolution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sigma_bench.contracts import Encoder, UserError
from sigma_bench.data import transforms
from sigma_bench.metrics.cluster_maps import Maps, Settings, cluster_clips, reduced
from sigma_bench.metrics.resampling import upsampled

KMEANS_SEED = 1
"""The seed is added to it, as in the tasks of segmentation."""


@dataclass(frozen=True)
class Clustering:
    """How the features of a clip are clustered: as in unsupervised segmentation.

    Attributes:
        components: Of the principal component analysis of a clip's standardised features; None: as they are.
        resolution: Height and width to which features are brought before they are clustered.
        seed: Of the frames, and of k-means.
        kmeans: How clusters are found.
    """

    components: int | None = 50
    resolution: int = 28
    seed: int = 0
    kmeans: Settings = field(default_factory=Settings)

    @property
    def facts(self) -> dict[str, Any]:
        """What is to be said of it."""
        return {
            "reduction": "none" if self.components is None else f"standardised, {self.components} principal components",
            "resolution": self.resolution,
            "seed": self.seed,
            "kmeans": {**vars(self.kmeans)},
        }


@dataclass(frozen=True)
class SoftMaps:
    """Cluster maps (T, R, R) of a clip, and the squared distance of each place to each cluster's mean, (T, K, R, R)."""

    maps_THW: Maps
    distances_TKHW: torch.Tensor

    def labels(self, step: int, pixels: tuple[int, int]) -> NDArray[np.int64]:
        """Return the cluster of every pixel of a map at another height and width.

        Distances are interpolated bilinearly, and the nearest cluster is taken then: which is the cluster that
        interpolated features are nearest to, as their squared length is the same for all clusters.
        """
        found = F.interpolate(self.distances_TKHW[step : step + 1], size=pixels, mode="bilinear", align_corners=False)
        return np.asarray(found[0].argmin(0).numpy(), dtype=np.int64)


def soft_maps(encoder: Encoder, frames: NDArray[np.uint8], k: int, clustering: Clustering, device: str) -> SoftMaps:
    """Return the clusters of a clip's features: of the last block, after the pretraining norm where there is one.

    Args:
        encoder: Takes clips of so many frames.
        frames: uint8 (T, h, w, 3), whole frames; they are resized to the encoder's square.
        k: Clusters.
        clustering: How.
        device: Where the encoder is.

    Raises:
        UserError: Features that are not finite.
    """
    spec = encoder.spec
    clip = transforms.to_clip(torch.from_numpy(np.ascontiguousarray(frames)).to(device), spec.image_size)
    with torch.inference_mode():
        tokens_THWD = encoder.tokens(transforms.normalize(clip[None], spec.mean, spec.std)).patch_BTHWD[0].float()
    if not bool(tokens_THWD.isfinite().all()):
        raise UserError(f"{spec.family} {spec.backbone}: its features are not finite; are its weights damaged?")
    features_THWD = reduced([tokens_THWD.cpu()], clustering.components)[0]
    made = cluster_clips(
        [features_THWD], [k], clustering.resolution, [KMEANS_SEED + clustering.seed], clustering.kmeans
    )[0]
    return SoftMaps(made.maps_THW, distances(features_THWD, made.maps_THW, k))


def distances(features_THWD: torch.Tensor, maps_THW: Maps, k: int) -> torch.Tensor:
    """Return the squared distance of every place to the mean of every cluster, (T, K, R, R).

    Args:
        features_THWD: On the grid of the tokens.
        maps_THW: Clusters of the features at resolution R.
        k: Clusters; one without a place is farther than all others.
    """
    points_THWD = upsampled(features_THWD, maps_THW.shape[-1]).double()
    labels_N, flat_ND = torch.from_numpy(maps_THW).long().flatten(), points_THWD.flatten(0, 2)
    members_NK = F.one_hot(labels_N, k).double()
    counts_K = members_NK.sum(0)
    means_KD = members_NK.T @ flat_ND / counts_K.clamp(min=1)[:, None]
    squared_NK = torch.cdist(flat_ND, means_KD).square()
    squared_NK = squared_NK.masked_fill(counts_K == 0, 2 * float(squared_NK.max()) + 1)
    shape = (*maps_THW.shape, k)
    return squared_NK.view(shape).permute(0, 3, 1, 2).float()
