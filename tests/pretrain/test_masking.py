"""Tube masks, targets and the projector."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.pretrain.masking import masked_per_slice, tube_mask
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.pretrain.targets import normalized, raw_tubes, tubes, unit_range
from sigma_bench.spec import load


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(2, 14), st.integers(2, 14), st.floats(0.3, 0.95), st.integers(0, 99))
def test_a_tube_hides_the_same_positions_in_every_slice(slices, height, width, ratio, seed):
    mask = tube_mask((slices, height, width), ratio, np.random.RandomState(seed)).reshape(slices, -1)
    assert (mask == mask[0]).all()
    assert mask[0].sum() == int(ratio * height * width) == masked_per_slice(height * width, ratio)


def test_rounding_is_down():
    assert masked_per_slice(196, 0.9) == 176


def test_generators_old_and_new_both_draw_masks():
    for rng in (np.random.default_rng(0), np.random.RandomState(0)):
        assert tube_mask((2, 4, 4), 0.5, rng).sum() == 16


@pytest.mark.parametrize("ratio", [0.0, 0.01, 1.0])
def test_nothing_or_everything_masked_is_an_error(ratio):
    with pytest.raises(ValueError, match="mask ratio"):
        masked_per_slice(16, ratio)


def test_tubes_keep_channels_fastest_and_tokens_in_time_height_width_order():
    clip = torch.arange(3 * 4 * 4 * 4, dtype=torch.float32).view(1, 3, 4, 4, 4)
    cut = tubes(clip, patch=2, tubelet=2)
    assert cut.shape == (1, 8, 8, 3)
    assert torch.equal(cut[0, 5, 3], clip[0, :, 2, 1, 3])  # token (1, 0, 1), pixel (0, 1, 1)
    assert torch.equal(raw_tubes(clip, 2, 2)[0, 5, 9:12], cut[0, 5, 3])


def test_normalised_tubes_have_no_mean_and_unit_deviation_per_channel():
    clip = torch.rand(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    cut = normalized(raw_tubes(clip, 8, 2)).view(2, -1, 128, 3)
    assert torch.allclose(cut.mean(2), torch.zeros(2, 8, 3), atol=1e-5)
    assert torch.allclose(cut.std(2), torch.ones(2, 8, 3), atol=1e-4)


def test_a_constant_tube_stays_finite():
    assert not normalized(raw_tubes(torch.full((1, 3, 2, 8, 8), 0.3), 8, 2)).any()


def _widths(profile: str) -> tuple[int, ...]:
    target = load.recipe("sigma_mlp", profile=profile).target
    assert target.kind == "mlp"
    return target.widths


def test_unit_range_undoes_the_normalisation():
    clip = torch.rand(1, 3, 2, 4, 4)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    shape = (1, 3, 1, 1, 1)
    normalised = (clip - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
    assert torch.allclose(unit_range(normalised, mean, std), clip, atol=1e-6)


def test_released_projector_has_four_layers_and_the_paper_three():
    released = MlpProjector(1536, _widths("released"), 256)
    assert _widths("released") == (1024, 1024, 512)
    assert sum(p.numel() for p in released.parameters()) == pytest.approx(3.28e6, rel=0.01)
    assert [n for n, _ in released.named_parameters() if n.endswith("weight")] == [f"{i}.weight" for i in (0, 2, 4, 6)]
    paper = MlpProjector(1536, _widths("paper"), 256)
    assert sum(p.numel() for p in paper.parameters()) == pytest.approx(2.89e6, rel=0.01)
    assert next(MlpProjector(4, (), 2).parameters()).shape == (2, 4)
