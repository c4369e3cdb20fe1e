"""Aggregation of views (golden vectors are checked by tests/runs/verify)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.metrics.views import by_row, grouped, maximum, mean_logit, mean_softmax


def test_probabilities_are_averaged_not_logits():
    logits = np.array([[[10.0, 0.0], [-1.0, 1.0], [-1.0, 1.0]]])
    assert mean_softmax(logits).argmax() == 1
    assert mean_logit(logits).argmax() == 0


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_views_and_a_shift_of_a_view_change_nothing(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(3, 4, 5)) * 20
    scores = mean_softmax(logits)
    assert np.allclose(scores.sum(1), 1)
    assert np.allclose(mean_softmax(logits[:, rng.permutation(4)] + rng.normal(size=(3, 4, 1))), scores)


def test_great_logits_of_single_precision_do_not_overflow():
    assert mean_softmax(np.array([[[3e4, 0]]], np.float32)).tolist() == [[1, 0]]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_shares_of_any_number_of_processes_give_the_same_bytes(world):
    scores = np.random.default_rng(0).normal(size=(7, 3))
    parts = [(np.arange(rank, 7, world), scores[rank::world]) for rank in range(world)]
    found, present = by_row(7, parts)
    assert found.tobytes() == scores.tobytes()
    assert present.all()


def test_a_sample_without_scores_is_told_apart():
    found, present = by_row(3, [(np.array([2]), np.ones((1, 2))), (np.array([], int), np.ones((0, 2)))])
    assert present.tolist() == [False, False, True]
    assert np.isnan(found[:2]).all()


@pytest.mark.parametrize(
    ("rows", "message"), [([[0, 1], [1]], "more than once, the first is 1"), ([[0], [5]], "the index has 3")]
)
def test_a_row_that_comes_twice_or_is_none_of_the_index_is_an_error(rows, message):
    with pytest.raises(ValueError, match=message):
        by_row(3, [(np.array(r), np.ones((len(r), 2))) for r in rows])


def test_parts_of_other_widths_are_an_error():
    with pytest.raises(ValueError, match="do not fit"):
        by_row(3, [(np.array([0]), np.ones((1, 2))), (np.array([1]), np.ones((1, 3)))])


@pytest.mark.parametrize("logits", [np.zeros((2, 3)), np.zeros((2, 0, 3)), np.full((1, 1, 2), np.nan)])
def test_logits_of_another_shape_or_undefined_are_an_error(logits):
    with pytest.raises(ValueError, match="logits"):
        mean_softmax(logits)


def test_the_greatest_score_of_any_view_counts():
    assert maximum(np.array([[[1.0, -3], [0, -2]], [[-5, 0], [-4, 1]]])).tolist() == [[1, -2], [-4, 1]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_views_in_any_order_are_put_together_by_sample(seed, samples):
    rng = np.random.default_rng(seed)
    of = rng.permutation(np.concatenate([np.arange(samples), rng.integers(samples, size=7)]))
    scores = rng.normal(size=(len(of), 2))
    found = grouped(scores, of)
    assert len(found) == samples
    for sample, views in enumerate(found):
        assert (views == scores[of == sample]).all()


@pytest.mark.parametrize(("of", "message"), [([0, 2, 2], "1 of 3 samples have no view"), ([0, 1], "expected")])
def test_views_that_do_not_fit_are_an_error(of, message):
    with pytest.raises(ValueError, match=message):
        grouped(np.zeros((3, 2)), np.array(of))
