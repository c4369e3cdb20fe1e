"""Mean average precision under weights is that of scikit-learn with repeated samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from sigma_bench.results.ranked import AveragePrecisions


def plain(scores, truth, weights):
    found = []
    for c in range(truth.shape[1]):
        if (truth[:, c] * weights).any():
            found.append(average_precision_score(truth[:, c], scores[:, c], sample_weight=weights))
    return 100 * np.mean(found) if found else np.nan


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 4), st.sampled_from([0, 1, 4]))
def test_weights_with_equal_scores_empty_classes_and_left_out_samples(seed, n, classes, decimals):
    rng = np.random.default_rng(seed)
    scores, truth = np.round(rng.normal(size=(n, classes)), decimals), rng.random((n, classes)) < 0.3
    weights = rng.integers(0, 3, n)
    made = AveragePrecisions(scores[None], truth, np.arange(n))
    found = made.weighted(np.column_stack([weights, np.ones(n, int)]).astype(np.int32))[:, 0]
    np.testing.assert_allclose(found, [plain(scores, truth, weights), plain(scores, truth, np.ones(n))])


def made(groups=40, n=90, classes=5, measurements=2):
    rng = np.random.default_rng(2)
    truth = rng.random((n, classes)) < 0.2
    scores = rng.normal(size=(measurements, n, classes)) + np.arange(1, measurements + 1)[:, None, None] * truth
    _, group = np.unique(rng.integers(0, groups, n), return_inverse=True)
    return AveragePrecisions(scores, truth, group)


def test_leaving_out_and_drawing_go_by_group(monkeypatch):
    one = made()
    left = one.without_one()
    assert left.shape == (len(one.multiplicity), 2)
    keep = one.group_N != 3
    assert left[3, 1] == pytest.approx(plain(one.scores_KNC[1][keep], one.truth_NC[keep], np.ones(keep.sum())))
    drawn = one.resampled(np.random.default_rng(0), 20)
    rng = np.random.default_rng(0)
    times = np.bincount(
        rng.integers(0, len(one.multiplicity), (20, len(one.multiplicity)))[0], minlength=len(one.multiplicity)
    )
    assert drawn[0, 0] == pytest.approx(plain(one.scores_KNC[0], one.truth_NC, times[one.group_N]))
    monkeypatch.setattr("sigma_bench.results.ranked.CHUNK", 300)
    np.testing.assert_allclose(one.without_one(), left)
    assert one.resampled(np.random.default_rng(0), 20).shape == (20, 2)


def test_nothing_positive_is_no_value():
    empty = AveragePrecisions(np.zeros((1, 3, 2)), np.zeros((3, 2), bool), np.arange(3))
    assert np.isnan(empty.values()).all()
