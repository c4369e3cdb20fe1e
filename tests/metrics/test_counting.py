"""Errors of counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.metrics.counting import count_errors


def test_errors_agree_with_the_reference(golden):
    values = np.load(golden / "rep_inference.npz")
    found = count_errors(values["counts"], values["gt_counts"])
    np.testing.assert_allclose(found.relative_N, values["maes"], atol=1e-9)
    assert np.array_equal(found.within_one_N, values["oboas"])
    names = ("mae", "mae_std", "maep", "maen", "oboa")
    assert found[2:] == pytest.approx([float(values[name]) for name in names], abs=1e-9)


def test_errors_are_relative_to_the_truth_and_over_and_under_are_told_apart():
    found = count_errors([3, 4, 6, 10], [4, 4, 4, 5])
    assert found.relative_N.tolist() == [0.25, 0, 0.5, 1]
    assert found.within_one_N.tolist() == [True, True, False, False]
    assert (found.mean, found.mean_over, found.mean_under, found.obo) == (0.4375, 0.75, 0.25, 0.5)


def test_where_no_count_is_too_large_that_mean_is_0():
    assert count_errors([1], [4]).mean_over == 0
    assert count_errors([9], [4]).mean_under == 0


@pytest.mark.parametrize(("counts", "truth"), [([], []), ([1], [1, 2]), ([1], [0]), ([1], [float("nan")])])
def test_what_has_no_relative_error_is_refused(counts, truth):
    with pytest.raises(ValueError, match="expected"):
        count_errors(counts, truth)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 100)), min_size=1, max_size=20))
def test_the_mean_is_made_of_the_two_sides(pairs):
    counts, truth = np.array(pairs).T
    found = count_errors(counts, truth)
    over, under = (counts > truth).sum(), (counts < truth).sum()
    assert found.mean * len(pairs) == pytest.approx(found.mean_over * over + found.mean_under * under)
    assert 0 <= found.obo <= 1
