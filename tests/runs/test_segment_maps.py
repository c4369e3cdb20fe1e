"""Maps with smooth borders: the clusters of k-means on their own grid, and of interpolated features between."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sigma_bench.contracts import UserError
from sigma_bench.metrics.cluster_maps import Settings
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.runs.segment_maps import Clustering, SoftMaps, distances, soft_maps


def blobs(seed=0, k=3):
    """Return features (2, 4, 4, 5) around k centres."""
    rng = np.random.default_rng(seed)
    centres, chosen = rng.normal(size=(k, 5)) * 3, rng.integers(0, k, (2, 4, 4))
    return torch.from_numpy(centres[chosen] + rng.normal(size=(2, 4, 4, 5)) * 0.1).float()


def test_on_its_own_grid_a_map_is_that_of_the_clusters():
    encoder, _ = load_encoder("random:nano")
    frames = np.random.default_rng(0).integers(0, 256, (8, 20, 40, 3), dtype=np.uint8)
    maps = soft_maps(encoder, frames, 4, Clustering(resolution=12), "cpu")
    assert maps.maps_THW.shape == (4, 12, 12)
    same = [(maps.labels(t, (12, 12)) == maps.maps_THW[t]).mean() for t in range(4)]
    assert min(same) > 0.98
    assert maps.labels(0, (30, 60)).shape == (30, 60)


def test_between_its_places_the_cluster_is_that_of_interpolated_features():
    features = blobs()
    own = F.interpolate(features.permute(0, 3, 1, 2), size=(8, 8), mode="bilinear", align_corners=False)
    points = own.permute(0, 2, 3, 1).reshape(-1, 5).double()
    labels = (points[:, 0] > 0).long() + (points[:, 1] > 0).long()
    maps = labels.view(2, 8, 8).numpy().astype(np.int16)
    means = torch.stack([points[labels == c].mean(0) for c in range(3)])
    found = SoftMaps(maps, distances(features, maps, 3))
    for step in range(2):
        fine = F.interpolate(own[step : step + 1].double(), size=(31, 50), mode="bilinear", align_corners=False)[0]
        squared = ((fine.permute(1, 2, 0)[:, :, None] - means) ** 2).sum(-1)
        margin = squared.topk(2, largest=False).values.diff().squeeze(-1) > 1e-3
        agreed = torch.from_numpy(found.labels(step, (31, 50))) == squared.argmin(-1)
        assert margin.float().mean() > 0.9
        assert agreed[margin].all()


def test_borders_are_smooth():
    features = blobs(k=2)
    maps = Clustering(None, 4)
    made = distances(features, (features[..., 0] > features[..., 0].mean()).numpy().astype(np.int16), 2)
    fine = SoftMaps(np.zeros((2, 4, 4), np.int16), made).labels(0, (64, 64))
    blocks = np.kron(fine[8::16, 8::16], np.ones((16, 16), np.int64))
    assert maps.resolution == 4
    assert 0 < (fine != blocks).mean() < 0.3  # not the blocks that enlarged labels would be


def test_a_cluster_without_places_is_nowhere():
    features = blobs()
    maps = np.zeros((2, 4, 4), np.int16)
    maps[0, 0] = 2
    found = distances(features, maps, 4)
    assert bool(found.isfinite().all())
    assert set(np.unique(SoftMaps(maps, found).labels(0, (9, 9)))) <= {0, 2}


def test_the_same_seed_gives_the_same_maps_and_the_reduction_matters():
    encoder, _ = load_encoder("random:nano")
    frames = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    few = Settings(restarts=1, iterations=5)
    ways = [Clustering(50, 8, 0, few), Clustering(50, 8, 0, few), Clustering(None, 8, 0, few), Clustering(2, 8, 0, few)]
    maps = [soft_maps(encoder, frames, 5, way, "cpu") for way in ways]
    assert np.array_equal(maps[0].maps_THW, maps[1].maps_THW)
    assert not np.array_equal(maps[0].maps_THW, maps[2].maps_THW)
    assert not np.array_equal(maps[0].maps_THW, maps[3].maps_THW)
    assert ways[2].facts["reduction"] == "none"


def test_features_that_are_not_finite_are_refused():
    encoder, _ = load_encoder("random:nano")
    with torch.no_grad():
        encoder.norm.bias[0] = float("nan")
    with pytest.raises(UserError, match="features are not finite"):
        soft_maps(encoder, np.zeros((8, 32, 32, 3), np.uint8), 2, Clustering(), "cpu")
