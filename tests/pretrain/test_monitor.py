"""The numbers that show a collapse: of one sum, and of the sum of parts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.pretrain import monitor


def feature_std(features, unit=True):
    return monitor.deviation([monitor.spread(features, unit)])


def counts(labels, prototypes=5):
    return monitor.label_counts(torch.tensor(labels), prototypes)


def test_balance_is_told_from_collapse():
    balanced, collapsed = counts([0, 1, 2, 3, 4] * 4), counts([2] * 20)
    assert collapsed.tolist() == [0, 0, 20, 0, 0]
    assert monitor.used_prototypes(collapsed) == pytest.approx(0.2)
    assert monitor.used_prototypes(balanced) == 1
    assert monitor.usage_entropy(collapsed) == 0
    assert monitor.usage_entropy(balanced) == pytest.approx(1)


def test_entropy_of_assignments_is_in_units_of_ln_k():
    assert monitor.relative_entropy(math.log(5), 5) == pytest.approx(1)
    assert monitor.relative_entropy(math.log(5) / 2, 5) == pytest.approx(0.5)
    assert monitor.relative_entropy(0.0, 5) == 0


def test_the_loss_of_a_uniform_guess_is_at_distance_zero():
    assert monitor.distance_from_uniform(2 * math.log(7), 7) == pytest.approx(0)
    assert monitor.distance_from_uniform(math.log(7) - 1, 7, branches=1) == pytest.approx(-1)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-4, 1e4])
def test_features_that_are_the_same_have_no_deviation(value):
    same = torch.full((3, 50, 6), value)
    assert feature_std(same) == pytest.approx(0, abs=1e-9)
    assert feature_std(same, unit=False) == pytest.approx(0, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.floats(0, 9), st.integers(0, 2**31))
def test_the_deviation_of_directions_is_one_minus_their_cosine_and_ignores_length(tokens, shift, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, 3, 7, generator=generator, dtype=torch.float64) + shift
    unit = torch.nn.functional.normalize(x.flatten(0, 1), dim=-1)
    cosine = float((unit @ unit.t()).mean())
    assert feature_std(x) == pytest.approx(math.sqrt(1 - cosine), rel=1e-5)
    longer = x * torch.rand(tokens, 3, 1, generator=generator, dtype=torch.float64).add(0.1)
    assert feature_std(longer) == pytest.approx(feature_std(x), rel=1e-6)
    assert feature_std(3 * x, unit=False) == pytest.approx(3 * feature_std(x, unit=False))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.floats(0, 1e4), st.booleans(), st.integers(0, 2**31))
def test_the_deviation_of_parts_is_that_of_all_tokens_together(tokens, shift, unit, seed):
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(n, 7, generator=generator, dtype=torch.float64) + i + shift for i, n in enumerate(tokens)]
    together = monitor.deviation([monitor.spread(part, unit) for part in parts])
    assert together == pytest.approx(feature_std(torch.cat(parts), unit), rel=1e-6, abs=1e-9)


def test_directions_that_point_everywhere_deviate_by_one():
    everywhere = torch.cat((torch.eye(6), -torch.eye(6)))
    assert feature_std(everywhere) == pytest.approx(1)
    assert feature_std(everywhere, unit=False) == pytest.approx(math.sqrt(1 / 6))


def test_counts_of_parts_add_up():
    labels = torch.tensor([[0, 3, 3], [8, 0, 1]])
    both = monitor.label_counts(labels[0], 9) + monitor.label_counts(labels[1], 9)
    assert torch.equal(both, monitor.label_counts(labels, 9))
