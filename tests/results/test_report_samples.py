"""Records of single samples: classes, confusion, failures, and whatever else may lie in a file."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from sigma_bench.results import report_samples
from sigma_bench.results.report_samples import Unreadable, classes, wilson
from sigma_bench.results.store import Store
from tests.results.made_up_report import with_samples


def frame(labels, predictions, **more):
    return pd.DataFrame(
        {"id": [f"v{i}" for i in range(len(labels))], "label": labels, "prediction": predictions, **more}
    )


def of(records):
    return classes(pa.Table.from_pandas(records))


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts):
    right, n = counts
    known = binomtest(right, n).proportion_ci(0.95, "wilson")
    assert wilson(right / n, n) == pytest.approx((known.low, known.high), abs=1e-9)


def test_without_a_sample_nothing_is_known_of_a_class():
    assert wilson(0.0, 0) == (0.0, 1.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.booleans()), min_size=1, max_size=60))
def test_classes_count_what_a_plain_count_finds(samples):
    labels, predictions, failed = zip(*samples, strict=True)
    records = frame(labels, predictions, error=["broken" if bad else None for bad in failed])
    ok = [(a, b) for a, b, bad in samples if not bad]
    if not ok:
        with pytest.raises(Unreadable, match="no sample that was decoded"):
            of(records)
        return
    found = of(records)
    known = sorted({label for pair in ok for label in pair})
    assert found["names"] == [f"class {label}" for label in known]
    assert found["n"] == [sum(a == label for a, _ in ok) for label in known]
    assert found["hits"] == [sum(a == b == label for a, b in ok) for label in known]
    for label, n, right, low, high in zip(
        *(known, found["n"], found["right"], found["low"], found["high"]), strict=True
    ):
        assert right == pytest.approx(100 * sum(a == b == label for a, b in ok) / max(n, 1), abs=1e-3)
        assert low <= right + 1e-3 <= high + 2e-3
    pairs = {(known[a], known[b]): count for a, b, count in found["pairs"]}
    assert pairs == {pair: ok.count(pair) for pair in ok if pair[0] != pair[1]}
    assert [count for *_, count in found["pairs"]] == sorted(pairs.values(), reverse=True)


def test_several_draws_of_labels_make_shares():
    found = of(frame([0, 0, 1], [0, 1, 1], right_draws=[5, 2, 0], draws=[5, 5, 5], label_name=["a", "a", "<b>"]))
    assert found["names"] == ["a", "<b>"]
    assert found["right"] == [70.0, 0.0]
    assert found["hits"] == [1, 1]


def test_only_the_most_frequent_pairs_are_kept(monkeypatch):
    monkeypatch.setattr(report_samples, "MOST_PAIRS", 1)
    found = of(frame([0, 0, 0, 1], [1, 1, 2, 2]))
    assert (found["pairs"], found["pairs_left_out"]) == ([[0, 1, 2]], 2)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (pd.DataFrame({"id": ["a"], "count": [3]}), "no label and prediction, but id, count"),
        (frame(["x"], ["y"]), "no whole numbers"),
        (frame([0.5], [0.5]), "no whole numbers"),
        (frame([0], [None]), "no whole numbers"),
        (frame([0], [-1]), "no sample that was decoded"),
        (frame([], []), "no whole numbers"),
    ],
)
def test_files_without_classes_say_what_is_there(tmp_path, make_row, records, reason):
    store = Store(tmp_path)
    row = with_samples(store, make_row(), records)
    found = report_samples.read(tmp_path, [row])
    assert found.classes == []
    (note,) = found.notes
    assert note.startswith("sigma_dino, linear/ssv2: ")
    assert reason in note


def test_failed_samples_are_told_once_with_all_their_measurements(tmp_path, make_row):
    store = Store(tmp_path)
    records = frame([0, 1, 0], [0, -1, 0], error=[None, "no such file\nmore", ""])
    rows = [
        with_samples(store, make_row(seed=n, status="partial", n_decoded=199), records.assign(label=n))
        for n in range(2)
    ]
    found = report_samples.read(tmp_path, rows)
    assert found.failed == [
        {"data": "official", "task": "linear/ssv2", "id": "v1", "reason": "no such file", "rows": [0, 1]}
    ]
    assert found.failed_count == 1
    found = report_samples.read(tmp_path, rows, most_files=1)
    assert [one["row"] for one in found.classes] == [1]
    assert found.failed[0]["rows"] == [0, 1]
    assert "newest 1 of 2 measurements" in found.notes[0]


def test_the_newest_of_every_task_are_read_first(tmp_path, make_row):
    store = Store(tmp_path)
    rows = [
        with_samples(
            store, make_row(task=task, seed=n, measured_at=f"2026-01-0{n}T00:00:00.000000Z"), frame([0], [n % 2])
        )
        for task, n in (("a/x", 1), ("a/x", 2), ("a/x", 3), ("b/y", 1))
    ]
    assert [one["row"] for one in report_samples.read(tmp_path, rows, most_files=3).classes] == [2, 3, 1]


def test_files_that_are_lost_damaged_or_elsewhere_are_named(tmp_path, make_row):
    store = Store(tmp_path / "rows")
    good = with_samples(store, make_row(), frame([0], [0]))
    outside = tmp_path / "outside.parquet"
    frame([0], [0]).to_parquet(outside)
    (store.folder / "samples" / "torn.parquet").write_bytes(b"PAR1 torn")
    (store.folder / "samples" / "empty.parquet").write_bytes(b"")
    names = (
        "samples/none.parquet",
        "samples/torn.parquet",
        "samples/empty.parquet",
        "../outside.parquet",
        str(outside),
        "samples/a\x00b",
    )
    rows = [good, *(make_row(system=name, artifacts={"samples": name}) for name in names)]
    found = report_samples.read(store.folder, rows)
    assert [one["row"] for one in found.classes] == [0]
    told = " ".join(found.notes)
    assert told.count("lie outside the folder of rows") == 1
    assert all(f"{name}, linear/ssv2" in told for name in names)
    assert "is not there" in told
    assert told.count("cannot be read") == 3


def test_without_files_it_is_said(make_row, tmp_path):
    assert report_samples.read(tmp_path, [make_row()]).notes == ["No row names a file of its samples."]


def test_samples_without_ids_or_errors_are_read(tmp_path, make_row):
    row = with_samples(Store(tmp_path), make_row(), pd.DataFrame({"label": np.arange(3), "prediction": np.arange(3)}))
    found = report_samples.read(tmp_path, [row])
    assert found.classes[0]["right"] == [100.0] * 3
    row = with_samples(Store(tmp_path), make_row(), pd.DataFrame({"error": ["broken", None]}))
    assert report_samples.read(tmp_path, [row]).failed[0]["id"] == "0"
