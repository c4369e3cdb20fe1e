"""The eight tasks of SEVERE on the miniatures by one command: each learns, and the table has their mean."""

import json

import pytest

TRIVIAL = {
    "severe/ssv2": ("top1", "top1_constant"),
    "severe/gym99": ("top1", "top1_constant"),
    "severe/ucf_1e3": ("top1", "top1_constant"),
    "severe/gym_1e3": ("top1", "top1_constant"),
    "severe/fx_s1": ("mean_class_acc", "mean_class_acc_constant"),
    "severe/ub_s1": ("mean_class_acc", "mean_class_acc_constant"),
    "severe/ucf_rc": ("mean_count_error", "mean_count_error_constant"),
    "severe/charades": ("map", "map_constant"),
}
"""Task -> its metric, and what the best constant answer gives by it."""


@pytest.mark.slow
def test_every_task_beats_its_best_constant_answer_and_the_table_has_the_mean(cli, tmp_path):
    asked = ("eval", "--suite", "severe", "--data", "miniature", "--profile", "quick", "--ckpt", "random:nano",
             "--data-root", tmp_path / "data", "--out", tmp_path / "out", "--results", tmp_path / "rows")  # fmt: skip
    cli(*asked, timeout=3600)
    rows = json.loads(cli("results", "list", "--results", tmp_path / "rows", "--json").stdout)
    values = {(row["task"], row["metric"]): row["value"] for row in rows}
    for task, (metric, trivial) in TRIVIAL.items():
        better = (
            values[task, metric] < values[task, trivial]
            if task == "severe/ucf_rc"
            else (values[task, metric] > values[task, trivial])
        )
        assert better, f"{task}: {metric} {values[task, metric]}, the best constant answer {values[task, trivial]}"
    assert {(row["data"], row["profile"], row["status"]) for row in rows} == {("miniature", "quick", "ok")}

    cli("tables", "--table", "5", "--results", tmp_path / "rows", "--out", tmp_path / "tables")
    (line,) = [line for line in (tmp_path / "tables" / "miniature_severe.md").read_text().splitlines()
               if line.startswith("| random:nano")]  # fmt: skip
    means = [100 * (1 - values[t, m]) if t == "severe/ucf_rc" else values[t, m] for t, (m, _) in TRIVIAL.items()]
    assert f"{sum(means) / 8:.1f}" in line
    assert "SIGMA" in (tmp_path / "tables" / "T5.md").read_text()

    again = cli(*asked).stderr
    assert again.count("has a row, skipped") == 8
