"""Cluster maps of clips, as a task's settings say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sigma_bench.evaluators.segmentation.clips import Ids, clusters
from sigma_bench.metrics import cluster_maps
from sigma_bench.metrics.cluster_maps import Clustered

DRAWN = ("all_background", "random_labels")
"""Floors without features."""
BATCH = 16
"""Clips of a batch, in the released evaluation of Time-Tuning."""


def dims_of(reduction: str) -> int | None:
    """Return the number of components of `pca50`, None of `none`."""
    return None if reduction == "none" else int(reduction.removeprefix("pca"))


def reduced(clips_THWD: Sequence[torch.Tensor], reduction: str, settings: Any) -> list[torch.Tensor]:
    """Return the features of neighbouring clips, each reduced by itself or 16 together."""
    dims = dims_of(reduction)
    size = BATCH if settings.reduce_scope == "batch16" else 1
    parts = [clips_THWD[first : first + size] for first in range(0, len(clips_THWD), size)]
    return [clip for part in parts for clip in cluster_maps.reduced(part, dims)]


def clustered(
    clips_THWD: Sequence[torch.Tensor],
    truths: Sequence[Ids],
    wanted: int | str,
    settings: Any,
    *,
    seed: int,
    void: int | None,
) -> list[Clustered]:
    """Return the cluster maps of clips, one map a time step of the features.

    Args:
        clips_THWD: Their features, reduced or not.
        truths: Their masks, which say how many clusters there are where that is not a fixed number.
        wanted: Of `settings.clusters`.
        settings: The block `segmentation` of the task.
        seed: Seed of the evaluation; that of k-means is `settings.kmeans.seed` more.
        void: Id of pixels that are in no count.
    """
    how = kmeans_of(settings)
    seed += settings.kmeans.seed
    if settings.scope == "dataset-wise":
        held = wanted if isinstance(wanted, int) else clusters(np.concatenate(truths), wanted, void)
        return cluster_maps.cluster_all(clips_THWD, held, settings.resolution, seed, how)
    if settings.scope == "frame-wise":
        made = []
        for clip, ids in zip(clips_THWD, truths, strict=True):
            steps = np.split(ids, len(clip))  # a map stands for the frames of its tubelet
            k = [clusters(step, wanted, void) for step in steps]
            each = cluster_maps.cluster_frames(clip, k, settings.resolution, seed, how)
            maps = np.concatenate([one.maps_THW for one in each])
            made.append(Clustered(maps, sum(one.inertia for one in each)))
        return made
    k = [clusters(ids, wanted, void) for ids in truths]
    return cluster_maps.cluster_clips(clips_THWD, k, settings.resolution, [seed] * len(k), how)


def random_maps(steps: int, k: int, size: int, *, seed: int, name: str) -> Clustered:
    """Return maps in which every pixel's cluster is drawn by itself."""
    words = [ord(letter) for letter in name]
    rng = np.random.RandomState(np.random.SeedSequence((seed, *words)).generate_state(4))
    return Clustered(rng.randint(0, k, (steps, size, size)).astype(np.int16), float("nan"))


def kmeans_of(settings: Any) -> cluster_maps.Settings:
    """Return the settings of k-means as the functions of arrays take them."""
    wanted = settings.kmeans
    return cluster_maps.Settings(wanted.backend, wanted.restarts, wanted.iterations, wanted.subsample)
