"""Average precision by every definition (golden vectors are checked by tests/runs/verify)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from sigma_bench.metrics.average_precision import (
    by_rank,
    by_threshold,
    charades_official,
    mean_of_all,
    mean_of_present,
    weighted_by_positives,
)

shapes = st.tuples(st.integers(1, 14), st.integers(1, 4))


@st.composite
def scored(draw, levels=5):
    shape = draw(shapes)
    scores = draw(arrays(np.int64, shape, elements=st.integers(0, levels))) / 4
    return scores, draw(arrays(np.int64, shape, elements=st.integers(0, 1)))


def loop(scores, truth):
    """Sum over the distinct scores of (gain in recall) x precision, in fractions."""
    total, before = Fraction(0), Fraction(0)
    for level in sorted(set(scores.tolist()), reverse=True):
        taken = truth[scores >= level]
        recall = Fraction(int(taken.sum()), int(truth.sum()))
        total, before = total + (recall - before) * Fraction(int(taken.sum()), len(taken)), recall
    return float(total)


@given(scored())
def test_equal_scores_are_taken_together(given_values):
    scores, truth = given_values
    found = by_threshold(scores, truth)
    for label in range(truth.shape[1]):
        if truth[:, label].any():
            assert found[label] == pytest.approx(loop(scores[:, label], truth[:, label]))
            assert found[label] == pytest.approx(average_precision_score(truth[:, label], scores[:, label]))
        else:
            assert np.isnan(found[label])


@given(scored(), st.integers(0, 2**32 - 1))
def test_by_rank_is_the_mean_precision_at_the_positives(given_values, seed):
    _, truth = given_values
    scores = np.random.default_rng(seed).permutation(truth.size).reshape(truth.shape)  # all different
    for label in range(truth.shape[1]):
        ranked = truth[np.argsort(-scores[:, label]), label]
        precisions = [ranked[: rank + 1].mean() for rank in np.flatnonzero(ranked)]
        wanted = np.mean(precisions) if precisions else np.nan
        assert by_rank(scores, truth)[label] == pytest.approx(wanted, nan_ok=True)
    assert np.allclose(by_rank(scores, truth), by_threshold(scores, truth), equal_nan=True)


@given(scored(), st.integers(0, 2**32 - 1))
def test_what_official_and_slowfast_have_in_common(given_values, seed):
    _, truth = given_values
    scores = np.random.default_rng(seed).permutation(truth.size).reshape(truth.shape)
    official, slowfast = charades_official(scores, truth), by_threshold(scores, truth)
    assert (np.isnan(official) == np.isnan(slowfast)).all()
    assert (official[~np.isnan(official)] >= slowfast[~np.isnan(official)] - 1e-12).all()
    if truth.any(1).all():
        assert np.allclose(official, slowfast, equal_nan=True)


@given(scored())
def test_only_the_order_of_scores_counts(given_values):
    scores, truth = given_values
    for rule in (by_threshold, by_rank, charades_official):
        before = scores.copy()
        assert np.allclose(rule(scores, truth), rule(np.exp(3 * scores) - 100, truth), equal_nan=True)
        assert (scores == before).all()


def test_means_differ_in_classes_without_positives():
    aps, truth = np.array([0.5, np.nan, 0.25]), np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0]])
    assert mean_of_present(aps) == 0.375
    assert np.isnan(mean_of_all(aps))
    assert mean_of_all(aps[[0, 2]]) == 0.375
    assert weighted_by_positives(aps, truth) == pytest.approx((3 * 0.5 + 0.25) / 4)


def test_nothing_positive_has_no_value():
    nothing = np.zeros((3, 2))
    assert np.isnan(mean_of_present(by_threshold(nothing, nothing)))
    assert np.isnan(weighted_by_positives(by_rank(nothing, nothing), nothing))
    assert np.isnan(mean_of_all(np.zeros(0)))


@pytest.mark.parametrize("rule", [by_threshold, by_rank, charades_official])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), "expected"),
        (np.zeros(3), np.zeros(3), "expected"),
        (np.full((1, 3), np.nan), np.ones((1, 3)), "1 of 1 samples have undefined scores"),
        (np.zeros((1, 3)), np.full((1, 3), 2), "other values than 0 and 1"),
    ],
)
def test_what_cannot_be_scored_is_an_error(rule, scores, labels, message):
    with pytest.raises(ValueError, match=message):
        rule(scores, labels)
