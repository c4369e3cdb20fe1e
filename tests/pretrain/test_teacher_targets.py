"""Standardisation of a teacher's features: per clip and channel, over all tokens, then the masked ones."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.pretrain.targets import teacher_targets

sizes = st.tuples(st.integers(1, 3), st.integers(3, 40), st.integers(1, 5))


def features_of(size, seed, scale, shift):
    B, N, D = size
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(B, N, D, generator=generator) * scale + shift


def mask_of(B, N, masked, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(N, generator=generator) < masked for _ in range(B)])


@given(sizes, st.integers(0, 9), st.floats(0.05, 50), st.floats(-20, 20))
def test_each_channel_of_a_clip_has_mean_0_and_unbiased_deviation_1(size, seed, scale, shift):
    B, N, _ = size
    features = features_of(size, seed, scale, shift)
    found = teacher_targets(features, torch.ones(B, N, dtype=torch.bool), normalize=True).double()
    assert found.mean(1).abs().max() < 1e-3
    deviation = features.double().var(1, correction=1).sqrt()
    torch.testing.assert_close(found.var(1, correction=1).sqrt(), deviation / (deviation + 1e-6), atol=2e-3, rtol=0)


@given(sizes, st.integers(0, 9))
def test_clips_do_not_see_each_other(size, seed):
    B, N, D = size
    features = features_of((B + 1, N, D), seed, 1.0, 0.0)
    mask = mask_of(B + 1, N, 1 + seed % N)
    together = teacher_targets(features, mask, normalize=True)
    torch.testing.assert_close(together[:B], teacher_targets(features[:B], mask[:B], normalize=True))


@given(sizes, st.integers(0, 9), st.floats(0.5, 20), st.floats(-5, 5))
def test_scale_and_shift_of_a_channel_are_undone(size, seed, scale, shift):
    B, N, _ = size
    features, mask = features_of(size, seed, 1.0, 0.0), mask_of(B, N, 2)
    torch.testing.assert_close(
        teacher_targets(features * scale + shift, mask, normalize=True),
        teacher_targets(features, mask, normalize=True),
        atol=2e-3,
        rtol=1e-3,
    )


def test_hidden_and_seen_tokens_both_count_and_the_hidden_are_returned_in_order():
    features = torch.tensor([[[0.0], [2.0], [4.0], [10.0]]])
    mask = torch.tensor([[False, True, False, True]])
    raw = teacher_targets(features, mask, normalize=False)
    assert raw.flatten().tolist() == [2.0, 10.0]
    deviation = (((features - 4) ** 2).sum() / 3).sqrt()
    found = teacher_targets(features, mask, normalize=True)
    torch.testing.assert_close(found, (raw - 4) / (deviation + 1e-6))


def test_a_constant_channel_is_0_and_half_precision_is_computed_in_float32():
    features = torch.full((1, 4, 2), 3.0, dtype=torch.bfloat16, requires_grad=True)
    found = teacher_targets(features, torch.tensor([[True, True, False, False]]), normalize=True)
    assert (found.dtype, found.requires_grad, found.abs().max().item()) == (torch.float32, False, 0.0)


def test_rows_that_hide_different_numbers_are_refused():
    with pytest.raises(ValueError, match="same number of tokens"):
        teacher_targets(torch.zeros(2, 3, 1), torch.tensor([[True, True, False], [True, False, False]]), True)
