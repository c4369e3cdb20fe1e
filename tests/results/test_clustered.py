"""Metrics from sums over groups are those of the samples themselves, also when groups are drawn or left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.metrics.accuracy import mean_class
from sigma_bench.results import clustered

samples = st.lists(
    st.tuples(st.sampled_from([0.0, 50.0, 100.0]), st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=30
)


def parts(drawn):
    values, labels, groups = (np.array(part) for part in zip(*drawn, strict=True))
    return values[:, None].astype(float), labels, groups


@given(samples)
def test_values_and_leaving_a_group_out_are_what_the_samples_give(drawn):
    values, labels, groups = parts(drawn)
    for made, plain in (
        (clustered.mean(values, groups, (0.0, 100.0)), lambda keep: values[keep, 0].mean()),
        (
            clustered.mean_over_classes(values, labels, groups),
            lambda keep: mean_class(values[keep, 0] / 100, labels[keep]),
        ),
    ):
        every = np.ones(len(values), bool)
        assert made.values()[0] == pytest.approx(plain(every))
        assert made.groups == len(np.unique(groups))
        found = np.repeat(made.without_one()[:, 0], made.multiplicity)
        wanted = [plain(groups != g) if (groups != g).any() else np.nan for g in np.unique(groups)]
        np.testing.assert_allclose(np.sort(found), np.sort(wanted), atol=1e-9)


def plainly_resampled(values, labels, groups, resamples, rng, of):
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    found = []
    for _ in range(resamples):
        rows = np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])
        found.append(of(values[rows], labels[rows]))
    return np.array(found)


@pytest.mark.parametrize("spread", [1, 1000])
@pytest.mark.parametrize("by_class", [False, True])
def test_resamples_are_distributed_as_those_made_group_by_group(spread, by_class):
    """Both ways to draw: few kinds of groups, and as many kinds as groups (values that differ)."""
    rng = np.random.default_rng(3)
    groups, labels = rng.integers(0, 40, 200), rng.integers(0, 4, 200)
    values = np.round(100 * (rng.random(200) < 0.4 + 0.4 * (groups % 2)) + rng.random(200) * (spread > 1), 6)
    if by_class:
        made = clustered.mean_over_classes(values[:, None], labels, groups)
        plain = plainly_resampled(values, labels, groups, 2000, rng, lambda v, c: mean_class(v / 100, c))
    else:
        made = clustered.mean(values[:, None], groups, None)
        plain = plainly_resampled(values, labels, groups, 2000, rng, lambda v, c: v.mean())
    found = made.resampled(np.random.default_rng(1), 4000)[:, 0]
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert np.quantile(found, level) == pytest.approx(np.quantile(plain, level), abs=0.35 * plain.std())
    assert found.std() == pytest.approx(plain.std(), rel=0.08)


def test_equal_groups_are_one_kind_and_both_ways_to_draw_are_taken(monkeypatch):
    right = np.array([100.0, 0, 100, 0, 100, 0] * 20)[:, None]
    made = clustered.mean(right, np.repeat(np.arange(60), 2), (0.0, 100.0))
    assert (made.multiplicity.tolist(), made.sums_TF.tolist()) == ([60], [[100.0, 2.0]])
    made = clustered.mean(right, np.arange(120), (0.0, 100.0))
    assert len(made.multiplicity) == 2
    few = made.resampled(np.random.default_rng(0), 3000).std()
    monkeypatch.setattr(clustered, "CHEAPER", 10**6)
    many = made.resampled(np.random.default_rng(0), 3000).std()
    assert few == pytest.approx(many, rel=0.1)
    assert many == pytest.approx(50 / np.sqrt(120), rel=0.1)


def test_large_resamples_are_made_in_pieces(monkeypatch):
    values = np.random.default_rng(0).random((50, 2))
    made = clustered.mean(values, np.arange(50), None)
    monkeypatch.setattr(clustered, "CHUNK", 120)
    found = made.resampled(np.random.default_rng(0), 31)
    assert found.shape == (31, 2)
    assert not np.isnan(found).any()


def test_a_class_that_a_resample_lacks_does_not_count():
    made = clustered.mean_over_classes(np.array([[100.0], [0.0]]), np.array([0, 1]), np.array([0, 1]))
    assert sorted(made.without_one()[:, 0].tolist()) == [0.0, 100.0]
    assert set(made.resampled(np.random.default_rng(0), 50)[:, 0].tolist()) == {0.0, 50.0, 100.0}


def test_what_a_bound_counts_on_are_the_groups_of_the_rarest_class():
    labels = np.array([0] * 10 + [1] * 3)
    made = clustered.mean_over_classes(np.full((13, 1), 100.0), labels, np.arange(13))
    assert made.informative == 6
    assert clustered.mean(np.full((13, 1), 100.0), np.arange(13), None).informative == 13
