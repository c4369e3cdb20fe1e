"""Intervals: those of scipy where it has them, honest where nothing varies, and right as often as they say."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from sigma_bench.results import clustered, stats
from sigma_bench.results.ranked import AveragePrecisions

PERCENT = (0.0, 100.0)


def of(values, groups=None, limits=PERCENT):
    values = np.asarray(values, float)
    return clustered.mean(values[:, None], np.arange(len(values)) if groups is None else groups, limits)


@pytest.mark.parametrize("skewed", [False, True])
def test_without_clusters_it_is_the_bca_interval_of_scipy(skewed):
    rng = np.random.default_rng(4)
    values = rng.lognormal(0, 1, 120) if skewed else 100.0 * (rng.random(120) < 0.8)
    found = stats.interval(of(values, limits=None))
    level = 2 * reference.norm.cdf(stats.widened(120, 0.95)) - 1  # the same, for the few samples there are
    wanted = reference.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=10_000, method="BCa", rng=np.random.default_rng(5)
    ).confidence_interval
    width = wanted.high - wanted.low
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.04 * width)
    assert found.method == "bca"


def test_few_groups_widen_it_by_students_quantile_and_the_narrowness_of_percentiles():
    assert stats.widened(6, 0.95) == pytest.approx(np.sqrt(6 / 5) * 2.570582)
    assert stats.widened(10**6, 0.95) == pytest.approx(1.959964, abs=1e-4)


def test_bias_and_acceleration_move_the_ends_as_efron_has_it():
    drawn, without, times = np.arange(100.0), np.array([1.0, 2.0, 6.0]), np.array([5, 3, 2])
    value, z = 29.5, stats.widened(10, 0.95)
    low, high = stats.bca_levels(value, drawn, without, times, 0.95)
    bias = reference.norm.ppf(0.3)
    apart = np.average(without, weights=times) - np.repeat(without, times)
    a = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    wanted = [reference.norm.cdf(bias + (bias + s * z) / (1 - a * (bias + s * z))) for s in (-1, 1)]
    assert (low, high) == pytest.approx(tuple(wanted))
    equal = stats.bca_levels(50.0, np.array([49.0, 50.0, 50.0, 51.0]), np.array([1.0, 1.0]), np.array([3, 3]), 0.95)
    assert equal[0] == pytest.approx(1 - equal[1])  # half of the equal ones are below, and nothing accelerates


def test_clusters_widen_it_as_much_as_they_say():
    rng = np.random.default_rng(0)
    right = 100.0 * (np.repeat(rng.random(100), 10) < 0.7)
    alone, together = stats.interval(of(right)), stats.interval(of(right, np.repeat(np.arange(100), 10)))
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(10), rel=0.1)


def test_the_same_records_give_the_same_interval():
    right = 100.0 * (np.random.default_rng(0).random(300) < 0.4)
    assert stats.interval(of(right)) == stats.interval(of(right))
    assert stats.interval(of(right)) != stats.interval(of(right), seed=1)


@pytest.mark.parametrize("groups", [0, 1, 5])
def test_few_groups_give_none(groups):
    values = np.tile([0.0, 100.0], groups)
    assert stats.interval(of(values, np.repeat(np.arange(groups), 2))) is None


def test_all_right_is_bounded_as_by_clopper_and_pearson():
    found = stats.interval(of([100.0] * 50))
    exact = reference.binomtest(50, 50).proportion_ci(method="exact")
    assert (found.low, found.high, found.method) == (pytest.approx(100 * exact.low), 100.0, "bound")
    found = stats.interval(of([0.0] * 20))
    assert (found.low, found.high) == (0.0, pytest.approx(100 * (1 - 0.025 ** (1 / 20))))
    half = stats.interval(of([0.0, 100.0] * 20, np.repeat(np.arange(20), 2)))
    assert half.low < 50 < half.high
    assert stats.interval(of([0.25] * 50, limits=None)) is None


def test_what_is_undefined_has_none():
    assert stats.interval(of([])) is None
    assert stats.interval(of([1.0, np.nan, 3.0] * 10)) is None
    perfect = AveragePrecisions(np.arange(20.0)[None, :, None], (np.arange(20) > 14)[:, None], np.arange(20))
    assert perfect.values()[0] == 100
    assert stats.interval(AveragePrecisions(np.zeros((1, 20, 1)), np.zeros((20, 1), bool), np.arange(20))) is None


@given(st.lists(st.floats(0, 100), min_size=6, max_size=40))
def test_the_value_lies_inside_and_the_ends_within_what_can_be(values):
    found = stats.interval(of(values), resamples=200)
    assert -1e-9 <= found.low <= np.mean(values) + 1e-9
    assert np.mean(values) - 1e-9 <= found.high <= 100 + 1e-9


def test_average_precision_keeps_the_value_in_the_middle_of_a_biased_bootstrap():
    rng = np.random.default_rng(0)
    truth = rng.random((150, 6)) < 0.15
    one = AveragePrecisions((rng.normal(size=(150, 6)) + truth)[None], truth, np.arange(150))
    found, value = stats.interval(one, resamples=300), one.values()[0]
    drawn = one.resampled(np.random.default_rng(stats.SEED), 300)[:, 0]
    assert drawn.mean() > value + 1
    assert found.method == "centred"
    assert (found.low + found.high) / 2 == pytest.approx(value, abs=0.15 * (found.high - found.low))
    assert found.high - found.low == pytest.approx(2 * 1.98 * drawn.std(), rel=0.15)


def test_ten_thousand_resamples_of_many_samples_are_quick():
    rng = np.random.default_rng(0)
    right = 100.0 * (rng.random(25_000) < 0.7)
    began = time.process_time()
    one = of(right)
    stats.interval(one)
    assert time.process_time() - began < 2


def coverage(make, truth, trials, resamples=1000):
    inside = 0
    for trial in range(trials):
        found = stats.interval(make(np.random.default_rng((11, trial))), resamples=resamples, seed=trial)
        inside += found is not None and found.low <= truth <= found.high
    return inside / trials


def recordings(groups, most, chance):
    """Samples of recordings that are hard or easy as a whole, from 1 to `most` of each."""

    def make(rng):
        hardness = rng.beta(2 * chance, 2 * (1 - chance), groups)
        group = np.repeat(np.arange(groups), rng.integers(1, most + 1, groups))
        return of(100.0 * (rng.random(len(group)) < hardness[group]), group)

    return make


def test_about_95_of_100_hold_the_true_value_and_of_those_that_ignore_clusters_far_fewer():
    make = recordings(60, 5, 0.8)
    assert 0.91 <= coverage(make, 80, 200, 400) <= 0.99

    def ignoring(rng):
        group = np.repeat(np.arange(60), 5)
        return of(100.0 * (rng.random(60)[group] < 0.8))

    assert coverage(ignoring, 80, 200, 400) < 0.75


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "truth"),
    [
        (recordings(700, 7, 0.74), 74),
        (recordings(56, 3, 0.95), 95),
        (recordings(8, 5, 0.8), 80),
        (lambda rng: of(100 * rng.beta(1.5, 3, 30)), 100 / 3),
        (lambda rng: of(100 * rng.beta(1.5, 3, 10)), 100 / 3),
        (lambda rng: of(rng.lognormal(-2, 0.7, 105), limits=None), np.exp(-2 + 0.49 / 2)),
    ],
    ids=["UCF101", "near the end", "few groups", "DAVIS", "ten clips", "counting"],
)
def test_coverage(make, truth):
    assert 0.92 <= coverage(make, truth, 1000) <= 0.985


@pytest.mark.slow
def test_coverage_of_a_mean_over_classes_and_of_mean_average_precision():
    def by_class(rng):
        group, label = rng.integers(0, 80, 400), rng.integers(0, 8, 400)
        hard = rng.random(80)[group]
        return clustered.mean_over_classes(100.0 * (rng.random(400) < hard)[:, None], label, group)

    assert 0.92 <= coverage(by_class, 50, 1000) <= 0.985

    def ranked(rng):
        truth = rng.random((300, 12)) < 0.12
        return AveragePrecisions((rng.normal(size=(300, 12)) + 1.2 * truth)[None], truth, np.arange(300))

    expected = np.mean([ranked(np.random.default_rng((1, trial))).values()[0] for trial in range(1000)])
    assert 0.91 <= coverage(ranked, expected, 250, 300) <= 0.985
