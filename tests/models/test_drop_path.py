"""Stochastic depth: whole branches of samples, right on average, nothing outside training."""

import pytest
import torch
from torch import nn

from sigma_bench.contracts import UserError
from sigma_bench.models.drop_path import kept, set_drop_path
from sigma_bench.models.joint import JointViT
from sigma_bench.models.timesformer import TimeSformer
from sigma_bench.models.vit import VideoViT


def _vit() -> VideoViT:
    torch.manual_seed(0)
    return VideoViT(image_size=16, patch=8, frames=2, tubelet=2, dim=12, depth=3, heads=2)


def test_a_branch_of_a_sample_is_kept_whole_and_scaled_or_left_out():
    torch.manual_seed(0)
    branch = torch.randn(4000, 2, 3)
    factors = kept(branch, 0.2, training=True) / branch
    assert torch.allclose(factors.amin((1, 2)), factors.amax((1, 2)))
    assert set(factors.amax((1, 2)).round(decimals=3).tolist()) == {0.0, 1.25}
    assert abs(float((factors[:, 0, 0] > 0).float().mean()) - 0.8) < 0.03


def test_nothing_is_drawn_at_rate_0_or_outside_training():
    branch = torch.randn(3, 2, 4)
    before = torch.get_rng_state()
    assert kept(branch, 0.0, training=True) is branch
    assert kept(branch, 0.9, training=False) is branch
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("make", [_vit, lambda: JointViT(16, 8, 2, 2, 12, 3, 2, family="omnimae")])
def test_rates_grow_with_depth_and_names_stay(make):
    encoder = make()
    names = list(encoder.state_dict())
    assert [block.drop_path for block in encoder.blocks] == [0, 0, 0]
    set_drop_path(encoder, 0.1)
    assert [block.drop_path for block in encoder.blocks] == pytest.approx([0, 0.05, 0.1])
    assert list(encoder.state_dict()) == names
    clips = torch.randn(8, 3, 2, 16, 16)
    set_drop_path(encoder, 0.9)
    assert not torch.equal(encoder.train()(clips), encoder(clips))
    assert torch.equal(encoder.eval()(clips), encoder(clips))


def test_recomputed_blocks_leave_out_the_same_branches():
    clips = torch.randn(8, 3, 2, 16, 16)
    gradients = []
    for recompute in (False, True):
        encoder = _vit().train()
        set_drop_path(encoder, 0.7)
        encoder.recompute = recompute
        torch.manual_seed(3)
        encoder(clips).square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in encoder.parameters()]))
    assert torch.allclose(*gradients, atol=1e-6)


def test_encoders_that_cannot_are_told():
    encoder = TimeSformer(image_size=16, patch=8, frames=2, dim=12, depth=1, heads=2)
    set_drop_path(encoder, 0.0)
    with pytest.raises(UserError, match="TimeSformer have no stochastic depth; set drop path to 0"):
        set_drop_path(encoder, 0.1)
    with pytest.raises(UserError, match="Linear have no"):
        set_drop_path(nn.Linear(1, 1), 0.1)
    with pytest.raises(UserError, match="less than 1"):
        set_drop_path(_vit(), 1.0)
