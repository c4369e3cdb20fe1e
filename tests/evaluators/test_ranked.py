"""Metrics, records and marks of classes that may be shown together."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from sigma_bench.contracts import UserError
from sigma_bench.data.index import Index, Sample
from sigma_bench.evaluators import ranked
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.view_scores import Scores
from sigma_bench.results.records import read, statistic

CLASSES = ("a", "b", "c")
TASK = SimpleNamespace(id="severe/charades")


def index(*labels, split="test", classes=CLASSES):
    samples = [Sample(f"v{k}", f"v{k}.mp4", -1, f"g{k // 2}", labels=own) for k, own in enumerate(labels)]
    return Index.build("toy", split, Path("nowhere"), classes, samples)


def outcome(values, missing=()):
    values = np.array(values, np.float64)
    ok = ~np.isin(np.arange(len(values)), missing)
    return Scores(np.where(ok[:, None], values, np.nan), ok, {f"v{k}": "damaged" for k in missing}, {"pyav": 3})


def test_videos_without_a_class_are_negatives_of_map_and_last_of_the_official_one():
    truth = ranked.truth(index((0,), (), (1, 0), (1,), (2,)))
    scores = [[0.5, 0, 0], [0.9, 0.9, 0.9], [0.4, 0.8, 0], [0.1, 0.7, 0], [0, 0, 1]]
    found = ranked.metrics(outcome(scores), truth)
    assert found["map"] == pytest.approx(100 * ((1 / 2 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2 + 1) / 3)
    assert found["map_official"] == pytest.approx(100)
    assert found["map_constant"] == pytest.approx(100 * (2 / 5 + 2 / 5 + 1 / 5) / 3)
    assert found["map_missing_wrong"] == found["map"]


def test_a_class_that_no_test_video_shows_is_dropped_and_told():
    truth = ranked.truth(index((0,), (1,), (0,)))
    scores = outcome([[1, 0, 1], [0, 1, 1], [1, 0, 1]])
    found = ranked.metrics(scores, truth)
    assert found["map"] == 100
    assert set(found) == {"map", "map_missing_wrong", "map_constant"}
    assert ranked.marks(scores, truth, truth, CLASSES) == (
        "1 of 3 classes in no test video: left out of map, no map_official (c)",
    )
    trained = np.array([[True, False, True]])
    assert ranked.marks(scores, truth, trained, CLASSES)[1:] == ("1 of 3 classes tested without a training video (b)",)
    assert ranked.marks(scores, np.ones((3, 3), bool), np.ones((1, 3), bool), CLASSES) == ()


def test_videos_that_were_not_decoded_are_ranked_last_of_all():
    truth = ranked.truth(index((0,), (1,), (0, 1), ()))
    found = ranked.metrics(outcome([[0.9, 0, 0], [0, 0.9, 0], [1, 1, 0], [0.5, 0.5, 0]], missing=[2]), truth)
    assert found["map"] == 100
    assert found["map_missing_wrong"] == pytest.approx(100 * (1 + 2 / 4) / 2)


def test_nothing_decoded_has_no_value():
    found = ranked.metrics(outcome([[0, 0, 0]] * 2, missing=[0, 1]), ranked.truth(index((0,), (1,))))
    assert np.isnan(found["map"])
    assert "map_official" not in found


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 4))
def test_the_value_can_be_had_again_from_the_records(seed, count, classes):
    rng = np.random.default_rng(seed)
    names = tuple("abcd"[:classes])
    labels = [tuple(np.flatnonzero(rng.integers(0, 2, classes)).tolist()) for _ in range(count)]
    of, scores = index(*labels, classes=names), outcome(rng.random((count, classes)), missing=[1])
    truth = ranked.truth(of)
    values = ranked.metrics(scores, truth)
    value = values["map"]
    frame = ranked.records(scores, of, truth)
    assert list(frame["id"]) == list(of.ids)
    decoded = frame[frame["error"].isna()]
    assert len(decoded) == count - 1
    y, p = np.stack(decoded["labels"].to_list()), np.stack(decoded["scores"].to_list())
    aps = [average_precision_score(y[:, c], p[:, c]) for c in range(classes) if y[:, c].any()]
    assert value == pytest.approx(100 * np.mean(aps) if aps else np.nan, nan_ok=True)
    for name in ("map", "map_official", "map_constant"):
        if np.isfinite(values.get(name, np.nan)):
            assert statistic([read(frame, name, values[name])]).values()[0] == pytest.approx(values[name])


def test_records_go_through_a_file(tmp_path):
    of, scores = index((0,), (), (1, 2)), outcome([[0.1, 0.2, 0.3]] * 3, missing=[1])
    ranked.records(scores, of, ranked.truth(of)).to_parquet(tmp_path / "x.parquet")
    back = pd.read_parquet(tmp_path / "x.parquet")
    assert [labels.tolist() for labels in back["labels"]] == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert back["scores"][0].tolist() == [0.1, 0.2, 0.3]
    assert back["scores"][1] is None
    assert back["error"].isna().tolist() == [True, False, True]
    assert back["group"].tolist() == ["g0", "g0", "g1"]


def lists(train, test, **kinds):
    return Lists(index(*train, split="train", **kinds), index(*test))


@pytest.mark.parametrize(
    ("given_lists", "message"),
    [
        (lambda: lists([(0,)], []), "list 'test' of toy in nowhere is empty"),
        (lambda: lists([(0,), None], [(0,)]), "1 of 2 samples have no list of classes, the first is v1"),
        (lambda: lists([(0,)], [(), ()]), "none of the 2 videos has a class; expected some. With --limit"),
        (lambda: lists([(0,)], [(0,)], classes=("a", "x", "c")), "name other classes"),
    ],
)
def test_lists_that_cannot_be_trained_and_ranked_are_refused(given_lists, message):
    with pytest.raises(UserError, match=message):
        ranked.check(TASK, given_lists())


def test_lists_with_unlabelled_videos_are_fine():
    ranked.check(TASK, lists([(), (0,)], [(), (2,)]))
