"""Linear probes: the grid is independent of its company, statistics are those of the training rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.evaluators import probes

FIT = {"classes": 3, "epochs": 30, "batch": 32, "seed": 1}


def data(n=300, views=2, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    centres = rng.normal(size=(3, dim)) * 3 + 50  # far from zero: needs the standardisation
    features = centres[labels][:, None] + rng.normal(size=(n, views, dim))
    return features.astype(np.float32), labels


def test_separable_classes_are_learned_and_shuffled_labels_are_not():
    features, labels = data()
    train, test = np.arange(200), np.arange(200, 300)
    probe = probes.fit(features, labels, train, probes.grid([1e-1], [0.0]), **FIT)
    guesses = probe.probabilities(features[test])[0].argmax(1)
    assert (guesses == labels[test]).mean() > 0.95
    shuffled = np.random.default_rng(1).permutation(labels)
    probe = probes.fit(features, shuffled, train, probes.grid([1e-1], [0.0]), **FIT)
    assert (probe.probabilities(features[test])[0].argmax(1) == shuffled[test]).mean() < 0.6


def test_a_setting_does_not_depend_on_the_rest_of_the_grid():
    features, labels = data()
    rows = np.arange(200)
    alone = probes.fit(features, labels, rows, [probes.Setting(1e-2, 1e-2)], **FIT)
    grid = probes.grid([1e-3, 1e-2, 1e-1], [0.0, 1e-2])
    together = probes.fit(features, labels, rows, grid, **FIT)
    where = grid.index(probes.Setting(1e-2, 1e-2))
    np.testing.assert_allclose(together.weight_GCD[where], alone.weight_GCD[0], rtol=1e-4, atol=1e-5)


def test_fit_is_repeatable():
    features, labels = data()
    a, b = (probes.fit(features, labels, np.arange(200), probes.grid([1e-2], [0.0]), **FIT) for _ in range(2))
    assert a.weight_GCD.equal(b.weight_GCD)


def test_statistics_come_from_the_training_rows_only():
    features, labels = data()
    features[250:] += 1000
    probe = probes.fit(features, labels, np.arange(200), probes.grid([1e-2], [0.0]), **FIT)
    np.testing.assert_allclose(probe.mean_D, features[:200].reshape(-1, 6).mean(0), rtol=1e-5)
    np.testing.assert_allclose(probe.std_D, features[:200].reshape(-1, 6).std(0), rtol=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 4))
def test_moments_in_chunks_equal_those_at_once(n, chunk, views):
    x = np.random.default_rng(n).normal(size=(n, views, 3)).astype(np.float32)
    rows = np.arange(n)
    mean, std = probes.moments(x, rows, chunk)
    np.testing.assert_allclose(mean, x.reshape(-1, 3).astype(np.float64).mean(0), atol=1e-6)
    np.testing.assert_allclose(std, x.reshape(-1, 3).astype(np.float64).std(0), atol=1e-5)


def test_probabilities_are_the_mean_over_views():
    features, labels = data()
    probe = probes.fit(features, labels, np.arange(200), probes.grid([1e-2], [0.0]), **FIT)
    both = probe.probabilities(features)
    each = [probe.probabilities(features[:, [v]]) for v in range(2)]
    np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-6)
    assert both.sum(-1) == pytest.approx(1.0)


def test_predictions_in_parts_are_those_of_the_probabilities(monkeypatch):
    features, labels = data()
    probe = probes.fit(features, labels, np.arange(200), probes.grid([1e-2, 1e-1], [0.0]), **FIT)
    rows = np.arange(150, 300)[::-1]
    whole = probe.probabilities(features[rows]).argmax(-1)
    monkeypatch.setattr(probes, "LOGITS", 100)
    np.testing.assert_array_equal(probe.predictions(features, rows), whole)
    assert probe.predictions(features, rows[:0]).shape == (2, 0)
    assert probe.probabilities(features[:0]).shape == (2, 0, 3)
