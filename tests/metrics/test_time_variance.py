"""What time alone tells of features."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.metrics.time_variance import time_variance


def features(seed, steps=4, side=3, dims=5):
    return torch.randn(steps, side, side, dims, generator=torch.Generator().manual_seed(seed))


def test_a_clock_is_all_time_and_a_still_picture_none():
    clock = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 3, 2)
    still = features(0)[:1].expand(4, 3, 3, 5)
    assert time_variance(clock) == pytest.approx(1)
    assert time_variance(still) == pytest.approx(0, abs=1e-12)
    assert time_variance(torch.cat([clock, still[..., :2]], -1)) == pytest.approx(0.5)


def test_nothing_that_varies_is_no_share_and_a_constant_dimension_does_not_count():
    assert math.isnan(time_variance(torch.full((2, 3, 3, 4), 0.1)))
    some = features(1)
    assert time_variance(torch.cat([some, torch.full((4, 3, 3, 1), 0.1)], -1)) == pytest.approx(time_variance(some))


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-100, 100))
def test_scale_offset_and_the_order_of_steps_and_places_do_not_matter(seed, scale, offset):
    some = features(seed)
    wanted = time_variance(some)
    assert 0 <= wanted <= 1
    assert time_variance(scale * some + offset) == pytest.approx(wanted, rel=1e-3)
    assert time_variance(some.flip(0).transpose(1, 2)) == pytest.approx(wanted)
