"""Rows of an evaluation have the interval that its records give."""

import numpy as np
import pandas as pd

from sigma_bench.contracts import Counts, Evaluation
from sigma_bench.results import records, stats
from sigma_bench.runs.measured import rows_of

COMMON = {
    **dict.fromkeys(("system", "suite", "task", "evaluator"), "x"),
    **{"task_version": 1, "data": "miniature", "checkpoint_sha256": "a" * 64, "settings_sha256": "b" * 64},
}


def evaluation(**metrics):
    right = np.arange(60) % 3 > 0
    samples = pd.DataFrame(
        {"id": [f"v{i}" for i in range(60)], "group": [f"g{i // 2}" for i in range(60)], "error": [None] * 60}
    )
    samples["label"], samples["prediction"] = 1, right.astype(int)
    return Evaluation(metrics=metrics, samples=samples, counts=Counts(60, 60, 60))


def test_each_metric_has_an_interval_over_groups(capsys):
    found = evaluation(top1=200 / 3, top1_missing_wrong=60.0, mean_class_acc=200 / 3)
    rows = rows_of(found, COMMON, 1.0)
    assert [row.metric for row in rows] == ["top1", "mean_class_acc"]
    wanted = stats.interval(records.statistic([records.read(found.samples, "top1", 200 / 3)]))
    assert (rows[0].interval_low, rows[0].interval_high) == (wanted.low, wanted.high)
    assert wanted.low < 200 / 3 < wanted.high
    assert rows[1].interval_low is not None
    assert capsys.readouterr().err == ""


def test_records_that_do_not_give_the_value_give_no_interval_and_it_is_said(capsys):
    (row,) = rows_of(evaluation(top1=70.0), COMMON, 1.0)
    assert (row.value, row.interval_low, row.interval_high) == (70.0, None, None)
    assert "top1: no interval, the records of single samples do not give its value" in capsys.readouterr().err


def test_a_failed_row_has_none():
    (row,) = rows_of(evaluation(top1=float("nan")), COMMON, 1.0)
    assert (row.status, row.interval_low) == ("failed", None)
    found = evaluation(top1=200 / 3)
    found.counts = Counts(60, 60, 0)
    (row,) = rows_of(found, COMMON, 1.0)
    assert (row.status, row.interval_low) == ("failed", None)
