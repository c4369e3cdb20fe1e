"""Accuracies: what counts as a hit, and the mean over classes beside the released one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.metrics.accuracy import hits, mean_class, mean_class_cumulative_released, top_k


def test_of_equal_scores_the_first_class_is_better():
    scores = np.array([[1.0, 1.0, 0.0]])
    assert [bool(hits(scores, np.array([label]))[0]) for label in range(3)] == [True, False, False]
    assert [bool(hits(scores, np.array([label]), 2)[0]) for label in range(3)] == [True, True, False]


def test_all_classes_are_a_hit_where_there_are_no_more_than_k():
    assert top_k(np.random.default_rng(0).normal(size=(7, 4)), np.arange(7) % 4, 5) == 100


def test_mean_over_classes_leaves_out_classes_without_samples():
    right, labels = np.array([1, 1, 0, 0]), np.array([0, 0, 0, 5])
    assert mean_class(right, labels) == pytest.approx(100 / 3)


def test_released_mean_over_classes_counts_earlier_samples_again():
    right, labels = np.array([1, 0, 0]), np.array([0, 1, 3])
    assert mean_class_cumulative_released(right, labels, 4) == pytest.approx(100 * (1 + 1 / 2 + 1 / 2 + 1 / 3) / 4)
    assert np.isnan(mean_class_cumulative_released(right, labels + 1, 5))


def test_no_samples_have_no_accuracy():
    nothing = np.zeros((0, 3)), np.zeros(0, np.int64)
    assert np.isnan([top_k(*nothing), mean_class(np.zeros(0), nothing[1])]).all()


@pytest.mark.parametrize(
    ("scores", "labels", "k", "message"),
    [
        (np.zeros((2, 3)), np.array([0]), 1, "expected"),
        (np.zeros((1, 3)), np.array([3]), 1, "3 classes"),
        (np.zeros((1, 3)), np.array([-1]), 1, "3 classes"),
        (np.full((1, 3), np.nan), np.array([0]), 1, "undefined"),
        (np.zeros((1, 3)), np.array([0]), 0, "at least 1"),
    ],
)
def test_what_cannot_be_scored_is_an_error(scores, labels, k, message):
    with pytest.raises(ValueError, match=message):
        hits(scores, labels, k)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=40))
def test_mean_over_classes_is_that_of_single_accuracies(samples):
    labels, right = (np.array(column) for column in zip(*samples, strict=True))
    single = [right[labels == label].mean() for label in sorted(set(labels.tolist()))]
    assert mean_class(right, labels) == pytest.approx(100 * np.mean(single))
    together = [right[labels <= c].mean() for c in range(5)] if (labels == 0).any() else [np.nan]
    assert mean_class_cumulative_released(right, labels, 5) == pytest.approx(100 * np.mean(together), nan_ok=True)


def test_the_released_severe_code_counts_classes_without_samples_as_wrong():
    right, labels = np.array([1, 1, 0, 0]), np.array([0, 0, 0, 2])
    assert mean_class(right, labels, 4) == pytest.approx(100 * (2 / 3) / 4)
    assert mean_class(right, labels) == pytest.approx(100 * (2 / 3) / 2)
