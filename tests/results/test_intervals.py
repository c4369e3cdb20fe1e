"""Intervals of a mean over seeds, weights and tasks."""

import math

import pytest
from scipy.stats import t

from sigma_bench.results import intervals


def rows(make_row, *values, half=2.0, **fields):
    return [
        make_row(value=v, interval_low=v - half, interval_high=v + 2 * half, seed=s, **fields)
        for s, v in enumerate(values)
    ]


def test_one_row_has_its_own(make_row):
    assert intervals.of_rows(rows(make_row, 20.0)) == (18.0, 24.0)
    assert intervals.of_rows([make_row()]) is None
    assert intervals.of_rows([]) is None


def test_seeds_and_samples_are_joined_as_a_root_of_squares(make_row):
    seeds = t.ppf(0.975, 2) * 1.0 / math.sqrt(3)
    assert intervals.seeds_half_width([20.0, 21.0, 22.0]) == pytest.approx(seeds)
    low, high = intervals.of_rows(rows(make_row, 20.0, 21.0, 22.0))
    assert (low, high) == (pytest.approx(21 - math.hypot(2, seeds)), pytest.approx(21 + math.hypot(4, seeds)))
    assert intervals.of_rows(rows(make_row, 20.0, 20.0)) == (18.0, 24.0)
    assert intervals.of_rows([*rows(make_row, 20.0), make_row(seed=1)]) is None


def test_several_weights_count_once_each(make_row):
    found = rows(make_row, 20.0, 22.0) + rows(make_row, 31.0, checkpoint_sha256="e" * 64)
    assert intervals.replicates(found) == [21.0, 31.0]
    low, _ = intervals.of_rows(found)
    assert low == pytest.approx(max(0.0, 26 - math.hypot(2, intervals.seeds_half_width([21.0, 31.0]))))


def test_ends_are_cut_at_what_can_be(make_row):
    low, high = intervals.of_rows(rows(make_row, 1.0, 99.0))
    assert (low, high) == (0.0, 100.0)


def test_the_mean_of_tasks_is_at_most_as_unsure_as_they_are_together():
    assert intervals.of_mean(30.0, [(20.0, (18.0, 21.0)), (40.0, (36.0, 43.0))]) == (27.0, 32.0)
    assert intervals.of_mean(30.0, [(20.0, (18.0, 21.0)), (40.0, None)]) is None
    assert intervals.of_mean(30.0, []) is None
