"""From features to cluster maps."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sigma_bench.metrics import cluster_maps, reduction, resampling
from sigma_bench.metrics.cluster_maps import Settings

TORCH, FAISS = Settings("torch"), Settings("faiss")


def halves(steps=2, side=6, dims=8, seed=0):
    """A clip whose left and right half differ, from the second step on exchanged."""
    clip = 0.05 * torch.randn(steps, side, side, dims, generator=torch.Generator().manual_seed(seed))
    clip[0, :, : side // 2] += 1
    clip[1:, :, side // 2 :] += 1
    return clip


@pytest.mark.parametrize("settings", [TORCH, FAISS])
def test_a_cluster_is_one_thing_over_all_of_a_clip(settings):
    found = cluster_maps.cluster_clips([halves()], [2], 12, [1], settings)[0]
    maps = found.maps_THW
    assert maps.shape == (2, 12, 12)
    assert maps.dtype == np.int16
    assert maps[0, 0, 0] == maps[1, 0, 11] != maps[0, 0, 11]
    assert cluster_maps.changes(maps) > 0.8
    assert np.isnan(cluster_maps.changes(maps[:1]))


@pytest.mark.parametrize("settings", [TORCH, FAISS])
def test_steps_clustered_by_themselves_have_numbers_of_clusters_of_their_own(settings):
    found = cluster_maps.cluster_frames(halves(3), [1, 2, 3], 6, 1, settings)
    assert [len(np.unique(one.maps_THW)) for one in found] == [1, 2, 3]
    assert [one.maps_THW.shape for one in found] == [(1, 6, 6)] * 3


def test_clips_clustered_together_share_their_clusters():
    clips = [halves(2), halves(2, seed=1)]
    found = cluster_maps.cluster_all(clips, 2, 6, 1, TORCH)
    assert found[0].maps_THW[0, 0, 0] == found[1].maps_THW[0, 0, 0]
    assert found[0].inertia == found[1].inertia


def test_a_subsample_is_refused_where_it_is_not_drawn():
    with pytest.raises(ValueError, match="by faiss only"):
        cluster_maps.cluster_clips([halves()], [2], 6, [1], Settings("torch", subsample=True))


def test_maps_stand_for_neighbouring_frames():
    maps = np.arange(2, dtype=np.int16)[:, None, None]
    assert cluster_maps.over_frames(maps, 4).ravel().tolist() == [0, 0, 1, 1]
    assert cluster_maps.over_frames(maps, 2).ravel().tolist() == [0, 1]
    with pytest.raises(ValueError, match="2 maps do not divide 5 frames"):
        cluster_maps.over_frames(maps, 5)


def test_components_are_fitted_on_what_is_given_together():
    clips = [halves(), 5 * halves(seed=2) + 3]
    alone = [cluster_maps.reduced([clip], 3)[0] for clip in clips]
    together = cluster_maps.reduced(clips, 3)
    assert [clip.shape for clip in together] == [(2, 6, 6, 3)] * 2
    assert not torch.allclose(alone[0], together[0], atol=0.1)
    assert torch.cat([clip.flatten(0, 2) for clip in together]).mean(0).abs().max() < 1e-4
    assert cluster_maps.reduced(clips, None)[1] is clips[1]


def test_components_agree_with_the_singular_values_whether_points_or_dimensions_are_fewer():
    for points, dims in ((40, 7), (9, 30)):
        data = torch.randn(points, dims, generator=torch.Generator().manual_seed(points)) * torch.arange(1, dims + 1)
        data[:, 2] = 4.0  # constant
        found = reduction.principal_components(data, 6)
        values = torch.linalg.svdvals(reduction.standardised(data))[:6]
        torch.testing.assert_close(found.double().norm(dim=0), values, rtol=1e-4, atol=1e-4)
        assert (found.gather(0, found.abs().argmax(0, keepdim=True)) > 0).all()
    assert reduction.principal_components(torch.randn(20, 3), 50).shape == (20, 3)
    few = reduction.principal_components(torch.randn(4, 30), 6)  # four points differ in three directions
    assert few.shape == (4, 6)
    assert few[:, 3:].abs().max() < 1e-3


def test_upsampling_is_by_cells_and_in_space_only():
    clip = torch.randn(3, 14, 14, 5)
    found = resampling.upsampled(clip, 28)
    assert found.shape == (3, 28, 28, 5)
    blocks = found.view(3, 14, 2, 14, 2, 5).mean((2, 4))
    assert F.mse_loss(blocks[:, 1:-1, 1:-1], clip[:, 1:-1, 1:-1]) < F.mse_loss(clip[:, :-2, :-2], clip[:, 1:-1, 1:-1])
    torch.testing.assert_close(resampling.upsampled(clip[1:2], 28)[0], found[1])


def test_nearest_takes_the_first_pixel_of_a_cell_and_the_others_the_middle_one():
    mask = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert resampling.nearest(mask, 2, "nearest").tolist() == [[[0, 2], [8, 10]]]
    assert resampling.nearest(mask, 2, "nearest-exact").tolist() == [[[5, 7], [13, 15]]]
    assert resampling.nearest(mask, 2, "pil").tolist() == [[[5, 7], [13, 15]]]
    with pytest.raises(ValueError, match="no operator 'bilinear'"):
        resampling.nearest(mask, 2, "bilinear")
