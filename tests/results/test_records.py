"""What the columns of records mean, and that they are believed only where they give the row's value."""

import numpy as np
import pandas as pd
import pytest

from sigma_bench.metrics.accuracy import mean_class
from sigma_bench.metrics.average_precision import by_threshold, charades_official
from sigma_bench.results import records


def frame(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame({"id": [f"v{i}" for i in range(n)], "error": [None] * n, **columns})


def value(read):
    return float(records.statistic([read]).values()[0])


def test_accuracy_comes_from_predictions_or_from_draws_and_leaves_out_what_was_not_decoded():
    samples = frame(label=[0, 1, 2, 0], prediction=[0, 1, 1, -1], group=["a", "a", "b", "b"])
    samples.loc[3, "error"] = "damaged"
    read = records.read(samples, "top1", 200 / 3)
    assert read.ids.tolist() == ["v0", "v1", "v2"]
    assert read.values_N.tolist() == [100.0, 100.0, 0.0]
    assert len(set(read.groups)) == 2
    assert value(read) == pytest.approx(200 / 3)
    assert records.read(samples, "top1", 50.0) is None  # with the damaged one counted as wrong
    samples["right_draws"], samples["draws"] = [3, 1, 0, 0], 4
    read = records.read(samples, "knn_top1", 100 / 3)
    assert (read.draws, read.values_N.tolist()) == (4, [75.0, 25.0, 0.0])
    assert not read.single


def test_a_sample_without_a_group_is_its_own_and_no_name_of_a_group():
    read = records.read(frame(label=[0, 0, 0], prediction=[0, 0, 1], group=["v1", None, ""]), "top1", 200 / 3)
    assert len(set(read.groups)) == 3
    assert read.single
    assert records.read(frame(label=[0, 0], prediction=[0, 1]), "top1", 50.0).single
    assert not records.read(frame(label=[0, 0], prediction=[0, 1], group=["a", "a"]), "top1", 50.0).single


def test_mean_class_accuracy_needs_the_labels():
    label, prediction = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    wanted = mean_class(label == prediction, label)
    read = records.read(frame(label=label, prediction=prediction), "mean_class_acc", wanted)
    assert read.kind == "mean over classes"
    assert value(read) == pytest.approx(wanted)
    assert records.read(frame(label=label, prediction=prediction), "mean_class_acc", 75.0) is None


@pytest.mark.parametrize(
    ("columns", "metric", "stated", "limits"),
    [
        ({"value": [20.0, 40.0]}, "miou", 30.0, (0.0, 100.0)),
        ({"value": [0.2, 0.4]}, "miou", 30.0, (0.0, 100.0)),
        ({"value": [0.0, 0.5]}, "mean_count_error", 0.25, None),
        ({"value": [9.0, 9.0], "mean_count_error": [0.5, 3.5]}, "mean_count_error", 2.0, (0.0, 100.0)),
        ({"value": [9.0, 9.0], "obo": [True, False]}, "obo", 50.0, (0.0, 100.0)),
    ],
)
def test_means_over_samples(columns, metric, stated, limits):
    read = records.read(frame(**columns), metric, stated)
    assert (value(read), read.limits) == (pytest.approx(stated), limits)


def test_average_precision_from_lists():
    truth, scores = [[1, 0], [0, 1], [0, 0]], [[0.9, 0.1], [0.8, 0.7], [0.1, 0.2]]
    read = records.read(frame(labels=truth, scores=scores), "map", 100.0)
    assert read.kind == "average precision"
    assert value(read) == 100
    assert records.read(frame(labels=truth, scores=[[1], [1, 2], [3]]), "map", 100.0) is None
    assert records.read(frame(labels=truth, scores=[[np.nan, 1], [1, 2], [3, 3]]), "map", 100.0) is None
    assert records.read(frame(labels=[[2, 0], [0, 1], [0, 0]], scores=scores), "map", 100.0) is None
    assert records.read(frame(label=[1, 1, 1]), "map", 100.0) is None


def test_average_precision_with_samples_of_no_class_last():
    rng = np.random.default_rng(0)
    truth, scores = (rng.random((60, 4)) < 0.2).astype(int), rng.normal(size=(60, 4))
    samples = frame(labels=list(truth), scores=list(scores))
    plain, official = (100 * float(np.mean(found(scores, truth))) for found in (by_threshold, charades_official))
    assert official > plain
    assert value(records.read(samples, "map", plain)) == pytest.approx(plain)
    assert value(records.read(samples, "map_official", official)) == pytest.approx(official)
    assert records.read(samples, "map_official", plain) is None


@pytest.mark.parametrize(
    "samples",
    [
        frame(label=[0, 1]),
        frame(value=["a", "b"]),
        frame(value=[np.nan, 50.0]),
        frame(right_draws=[1, 1], draws=[0, 0]),
        frame(label=[], prediction=[]),
        frame(label=[0, 1], prediction=[0, 1]).assign(error="gone"),
    ],
)
def test_records_that_tell_nothing_give_nothing(samples):
    assert records.read(samples, "top1", 50.0) is None
    assert records.read(samples, "mean_class_acc", 50.0) is None


def test_picking_keeps_what_belongs_together():
    read = records.read(frame(label=[0, 1, 2], prediction=[0, 1, 0], group=["a", "b", "c"]), "top1", 200 / 3)
    picked = read.picked(np.array([2, 0]))
    assert (picked.ids.tolist(), picked.values_N.tolist(), picked.labels_N.tolist()) == (["v2", "v0"], [0, 100], [2, 0])
