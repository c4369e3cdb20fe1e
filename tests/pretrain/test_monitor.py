"""The numbers that show a collapse: of one sum, and of the sum of parts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.pretrain import monitor


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
    assert monitor.assignment_entropy(torch.full((20,), math.log(5)), 5) == pytest.approx(1)
    assert monitor.assignment_entropy(torch.tensor(math.log(5) / 2), 5) == pytest.approx(0.5)
    assert monitor.assignment_entropy(torch.zeros(3), 5) == 0


def test_the_loss_of_a_uniform_guess_is_at_distance_zero():
    assert monitor.distance_from_uniform(2 * math.log(7), 7) == pytest.approx(0)
    assert monitor.distance_from_uniform(math.log(7) - 1, 7, branches=1) == pytest.approx(-1)


def test_features_that_are_the_same_have_no_deviation():
    for value in (0.0, 1.0, 1e-4, 1e4):
        same = torch.full((3, 50, 6), value)
        assert monitor.feature_std(monitor.feature_sums(same)) == 0
        assert monitor.feature_std(monitor.feature_sums(same, unit=False), unit=False) == 0


def test_the_deviation_of_directions_ignores_length_and_is_one_where_they_point_everywhere():
    everywhere = torch.cat((torch.eye(6), -torch.eye(6))) * torch.linspace(1, 9, 12)[:, None]
    assert monitor.feature_std(monitor.feature_sums(everywhere)) == pytest.approx(1)
    x = torch.randn(40, 8) + 1
    unit = torch.nn.functional.normalize(x, dim=-1)
    cosine = float((unit @ unit.t()).mean())
    assert monitor.feature_std(monitor.feature_sums(x)) == pytest.approx(math.sqrt(1 - cosine), rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(1, 39), st.booleans(), st.integers(0, 2**31))
def test_sums_of_parts_are_the_sum_of_the_whole(tokens, cut, unit, seed):
    x = torch.randn(tokens, 3, 7, generator=torch.Generator().manual_seed(seed)) + 0.5
    parts = [monitor.feature_sums(part, unit) for part in (x[:cut], x[cut:]) if len(part)]
    whole = monitor.feature_std(monitor.feature_sums(x, unit), unit)
    assert monitor.feature_std(torch.stack(parts).sum(0), unit) == pytest.approx(whole, rel=1e-9)
    if not unit:
        assert whole == pytest.approx(float(x.flatten(0, 1).double().var(0, correction=0).mean().sqrt()), rel=1e-9)
    labels = torch.randint(0, 9, (tokens,), generator=torch.Generator().manual_seed(seed))
    both = monitor.label_counts(labels[:cut], 9) + monitor.label_counts(labels[cut:], 9)
    assert torch.equal(both, monitor.label_counts(labels, 9))
