"""The vote of nearest neighbours is that of the definition, however the bank is cut up."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.contracts import Run, UserError
from sigma_bench.data.datasets.ucf101 import read
from sigma_bench.data.miniatures.ucf101 import write
from sigma_bench.evaluators import knn, linear
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.spec import load


def data(seed, count=60, queries=9, views=2, dim=5, classes=4):
    rng = np.random.default_rng(seed)
    bank = rng.normal(size=(count, views, dim)).astype(np.float32)
    asked = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(queries, dim)).astype(np.float32)), dim=1)
    return bank, rng.integers(classes, size=count), asked


def by_definition(queries_MD, bank_NVD, labels, rows, classes, k, temperature):
    scores = np.zeros((len(queries_MD), classes))
    for number, query in enumerate(queries_MD.double().numpy()):
        found = []
        for row in rows:
            mean = bank_NVD[row].astype(np.float64).mean(0)
            found.append((query @ mean / np.linalg.norm(mean), labels[row]))
        for similarity, label in sorted(found, reverse=True)[:k]:
            scores[number, label] += np.exp(similarity / temperature)
    return scores / scores.sum(1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 99), k=st.integers(1, 30), temperature=st.floats(0.05, 2), chunk=st.integers(1, 70))
def test_votes_are_those_of_the_definition_in_parts_of_any_size_and_any_order(seed, k, temperature, chunk):
    bank, labels, queries = data(seed)
    rows = np.random.default_rng(seed).permutation(60)[: 30 + seed % 30]
    asked = {"classes": 4, "k": k, "temperature": temperature}
    found = knn.vote(queries, bank, labels, rows, **asked, chunk=chunk)
    np.testing.assert_allclose(found, by_definition(queries, bank, labels, rows, **asked), atol=2e-4)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(knn.vote(queries, bank, labels, rows[::-1].copy(), **asked), found, atol=1e-5)
    longer = knn.vote(queries, 7 * bank, labels, rows, **asked)  # the cosine knows no length
    np.testing.assert_allclose(longer, found, atol=1e-4)


def test_a_sample_of_the_bank_is_its_own_nearest_and_low_temperatures_do_not_overflow():
    bank, labels, _ = data(0)
    queries = knn._units(bank, np.arange(60), "cpu")
    found = knn.vote(queries, bank, labels, np.arange(60), classes=4, k=5, temperature=1e-4)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found.argmax(1), labels)


def test_no_queries_give_no_votes():
    bank, labels, queries = data(0)
    assert knn.vote(queries[:0], bank, labels, np.arange(60), classes=4, k=5, temperature=0.07).shape == (0, 4)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write(root / "ucf101", seed=0, groups=8, clips_per_group=1)
    return root


def test_neighbours_use_the_features_of_the_probe_and_a_metric_of_their_own(root, tmp_path):
    run, encoder = Run("cpu", 0, root, tmp_path, workers=1), load_encoder("random:nano")[0]
    first = linear.evaluate(
        encoder, load.task("linear/ucf101", data="miniature", sets=["probe.epochs=1", "probe.rates=[0.01]"]), run
    )
    task = load.task("linear/ucf101", data="miniature", profile="knn")
    found = knn.evaluate(encoder, task, run)
    assert (first.cached, found.cached) == (False, True)
    assert set(found.metrics) == {"knn_top1", "knn_top1_missing_wrong"}
    assert found.selection["chosen"] == [{"k": 20, "temperature": 0.07}]
    right = (found.samples["prediction"] == found.samples["label"]).mean() * 100
    assert found.metrics["knn_top1"] == pytest.approx(right)
    assert len(found.samples) == read(root / "ucf101", "test").count
    with pytest.raises(UserError, match=r"knn\.k is 193, but 192 training samples are left"):
        knn.evaluate(encoder, load.task("linear/ucf101", data="miniature", profile="knn", sets=["knn.k=193"]), run)


def test_evaluator_and_metric_go_together():
    for sets, said in (
        (["metric=top1"], "expected one of knn_top1, of evaluator knn"),
        (["evaluator=linear"], "expected one of top1, mean_class_acc, of evaluator linear"),
    ):
        with pytest.raises(UserError, match=said):
            load.task("linear/ucf101", profile="knn", sets=sets)
    assert load.task("linear/ucf101").knn is None
