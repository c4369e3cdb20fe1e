"""k-means: the fast one against the definition, faiss, and scikit-learn; what a set gives depends on it alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from sigma_bench.metrics import kmeans, kmeans_faiss


def blobs(seed, count=120, dims=4, groups=3, spread=0.1):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, dims)) * 3
    labels = rng.integers(0, groups, count)
    return torch.from_numpy((centres[labels] + spread * rng.normal(size=(count, dims))).astype(np.float32)), labels


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 99), k=st.integers(1, 8))
def test_every_point_is_with_its_nearest_centroid_and_centroids_are_means(seed, k):
    points, _ = blobs(seed, spread=2.0)
    found = kmeans.kmeans(points[None], [k], seeds=[seed], iterations=300)
    labels, centroids = found.labels_BN[0], found.centroids_BKD[0]
    distances = torch.cdist(points, centroids) ** 2
    np.testing.assert_allclose(distances.gather(1, labels[:, None])[:, 0], distances.min(1).values, atol=1e-3)
    for c in range(k):
        if (labels == c).any():
            np.testing.assert_allclose(centroids[c], points[labels == c].mean(0), atol=1e-4)
    own = float(distances.gather(1, labels[:, None]).double().sum())
    assert float(found.inertia_B[0]) == pytest.approx(own, rel=1e-3)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99))
def test_one_start_ends_where_scikit_learn_does(seed):
    points, _ = blobs(seed, spread=3.0, groups=6)
    starts = points[:6]
    found = kmeans.lloyd(points.double(), starts.double())
    theirs = KMeans(6, init=starts.double().numpy(), n_init=1, tol=0, algorithm="lloyd", max_iter=300)
    theirs.fit(points.double().numpy())
    assert float(found.inertia_B[0]) == pytest.approx(theirs.inertia_)
    np.testing.assert_array_equal(found.labels_BN[0].numpy(), theirs.labels_)


def test_sets_do_not_touch_one_another_whatever_their_number_of_clusters(monkeypatch):
    sets = torch.stack([blobs(seed, spread=1.0)[0] for seed in range(5)])
    k, seeds = [3, 7, 2, 5, 3], [11, 12, 13, 14, 11]
    together = kmeans.kmeans(sets, k, seeds=seeds)
    monkeypatch.setattr(kmeans, "_best", _on_a_gpu(kmeans._best))
    for one in range(5):
        alone = kmeans.kmeans(sets[one : one + 1], k[one : one + 1], seeds=seeds[one : one + 1])
        assert torch.equal(alone.labels_BN[0], together.labels_BN[one])
        assert float(alone.inertia_B[0]) == float(together.inertia_B[one])
        assert int(alone.labels_BN.max()) < k[one]


def _on_a_gpu(best):
    """Cluster two sets at once, as a GPU would; on the processor they go one by one."""

    def twice(points, starts, used, iterations):
        doubled = (torch.cat([t, t.flip(1) if t is points else t]) for t in (points, starts, used))
        both = best(*doubled, iterations)
        return kmeans.Clusters(*(getattr(both, name)[:1] for name in kmeans.Clusters.__dataclass_fields__))

    return twice


def test_more_starts_are_never_worse_and_seeds_repeat():
    points, _ = blobs(3, count=400, groups=12, spread=1.0)
    one, five = (kmeans.kmeans(points[None], [12], seeds=[1], restarts=n) for n in (1, 5))
    assert float(five.inertia_B[0]) <= float(one.inertia_B[0])
    again = kmeans.kmeans(points[None], [12], seeds=[1])
    assert torch.equal(again.labels_BN, five.labels_BN)
    assert not torch.equal(kmeans.kmeans(points[None], [12], seeds=[2]).labels_BN, five.labels_BN)


def test_clear_groups_are_found_by_both_libraries():
    points, truth = blobs(5, count=600, groups=4)
    ours = kmeans.kmeans(points[None], [4], seeds=[1])
    theirs = kmeans_faiss.kmeans(points.numpy(), 4, seed=1)
    for labels in (ours.labels_BN[0].numpy(), theirs.labels_N):
        assert len({tuple(pair) for pair in zip(labels.tolist(), truth.tolist(), strict=True)}) == 4
    assert theirs.inertia == pytest.approx(float(ours.inertia_B[0]), rel=1e-4)


def test_few_different_points_leave_clusters_unused():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0]]).repeat(20, 1)
    found = kmeans.kmeans(points[None], [5], seeds=[0])
    assert float(found.inertia_B[0]) == pytest.approx(0, abs=1e-5)
    assert len(found.labels_BN.unique()) >= 2
    assert torch.isfinite(found.centroids_BKD).all()


def test_an_empty_cluster_takes_a_part_of_the_largest():
    points = torch.cat([torch.zeros(10, 2), torch.ones(10, 2) * 4, torch.ones(10, 2) * 5])
    found = kmeans.lloyd(points, torch.tensor([[0.0, 0.0], [4.5, 4.5], [99.0, 99.0]]))
    assert sorted(found.labels_BN[0].bincount(minlength=3).tolist()) == [10, 10, 10]
    assert float(found.inertia_B[0]) == pytest.approx(0, abs=1e-5)


def test_points_far_from_zero_keep_their_inertia():
    points, _ = blobs(1, spread=0.5)
    near = kmeans.kmeans(points[None], [3], seeds=[4])
    far = kmeans.kmeans(points[None] + 300, [3], seeds=[4])
    assert float(far.inertia_B[0]) == pytest.approx(float(near.inertia_B[0]), rel=1e-3)


def test_a_subsample_is_of_256_points_a_cluster():
    points, _ = blobs(2, count=3000, groups=3, spread=2.0)
    whole, part = (kmeans_faiss.kmeans(points.numpy(), 3, seed=1, subsample=s) for s in (False, True))
    assert len(part.labels_N) == 3000
    assert whole.inertia < part.inertia < 1.05 * whole.inertia


def test_mistakes_are_refused():
    points = torch.zeros(1, 3, 2)
    with pytest.raises(ValueError, match="4 to 4 clusters of 3 points"):
        kmeans.kmeans(points, [4], seeds=[0])
    with pytest.raises(ValueError, match="expected one each"):
        kmeans.kmeans(points, [1, 2], seeds=[0])
    with pytest.raises(ValueError, match="NaN or infinite"):
        kmeans.kmeans(points * torch.nan, [2], seeds=[0])
    with pytest.raises(ValueError, match="NaN or infinite"):
        kmeans_faiss.kmeans((points[0] * torch.nan).numpy(), 2, seed=0)
    with pytest.raises(ValueError, match="0 clusters of 3 points"):
        kmeans_faiss.kmeans(points[0].numpy(), 0, seed=0)
