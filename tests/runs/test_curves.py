"""Curves: what is read from logs that were resumed or damaged, and what a figure shows."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sigma_bench.cli import main
from sigma_bench.contracts import UserError
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.runs.curve_figure import _title, smoothed
from sigma_bench.runs.curves import Request, curves, read


def run(folder, steps=40, miniature=True, **more):
    folder.mkdir(parents=True)
    records = [
        {"step": s, "epochs": s / 10, "loss": 1 / s, "used_prototypes": 0.5, "lr": 0.1, **more} for s in range(1, steps)
    ]
    records.append({"step": steps, "eval/linear/ucf101/top1": 40.0, "epochs": steps / 10})
    records.append({"step": steps, "epochs": steps / 10, "warning": "since step 3 it is bad"})
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (folder / "data.json").write_text(json.dumps({"miniature_sha256": "a" * 64 if miniature else ""}))
    return folder


def points(file):
    with file.open() as stream:
        return list(csv.DictReader(stream))


def test_points_are_those_of_the_log(tmp_path):
    file = curves(Request([run(tmp_path / "a"), run(tmp_path / "b", 5)], tmp_path / "out" / "c.csv"))
    found = points(file)
    losses = [(int(p["step"]), float(p["value"])) for p in found if (p["run"], p["quantity"]) == ("a", "loss")]
    assert losses == [(s, 1 / s) for s in range(1, 40)]
    (metric,) = [p for p in found if p["run"] == "b" and p["quantity"] == "eval/linear/ucf101/top1"]
    assert (metric["step"], metric["epochs"], metric["value"]) == ("5", "0.5", "40.0")
    assert {p["unit"] for p in found if p["quantity"] == "used_prototypes"} == {"share"}


def test_resumed_and_damaged_lines_are_survived_and_told(tmp_path, capsys):
    folder = run(tmp_path / "a", 6)
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "loss": 7.0}\n{"step": 9, "lo\n[1]\n')
    found = read(folder, "a")
    assert found.values["loss"] == {1: 1.0, 2: 0.5, 3: 7.0, 4: 0.25, 5: 0.2}
    assert list(found.values["loss"]) == [1, 2, 3, 4, 5]
    assert found.warnings == {6: "since step 3 it is bad"}
    assert "2 damaged lines left out (9, 10)" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["png", "pdf", "svg"])
def test_a_figure_has_a_panel_for_each_quantity(tmp_path, form):
    runs = [run(tmp_path / "a", grad_norm=1.0), run(tmp_path / "b", grad_norm=2.0)]
    file = curves(Request(runs, tmp_path / f"c.{form}", smooth=5))
    assert file.stat().st_size > 5000
    if form == "svg":
        text = file.read_text()
        for words in ("prototypes used (share)", "linear/ucf101/top1", "learning rate", "norm of the gradient",
                      "Dotted line, b, step 40: since step 3 it is bad.", "not comparable with the paper"):  # fmt: skip
            assert words in text


def test_epochs_can_be_the_axis_and_keys_chosen(tmp_path):
    file = curves(Request([run(tmp_path / "a")], tmp_path / "c.svg", keys=["loss"], axis="epoch"))
    assert ">epoch<" in file.read_text()
    assert "prototypes" not in file.read_text()
    old = run(tmp_path / "old")
    (old / "log.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    with pytest.raises(UserError, match="does not say epochs"):
        curves(Request([old], tmp_path / "d.svg", axis="epoch"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keys": ["los"]}, "los: no run has it; there are loss"),
        ({"metrics": ["linear/none:top1"]}, "eval/linear/none/top1: no run has it"),
        ({"axis": "time"}, "--x time"),
        ({"out": "c.gif"}, "ends in .png"),
        ({"out": "c.png", "form": "pdf"}, "the same format"),
        ({"rows": "nowhere"}, "--rows nowhere: no such folder"),
        ({"runs": ["none"]}, "no run folder"),
    ],
)
def test_mistakes_are_told(tmp_path, change, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "a")
    change = {
        k: Path(v) if k in ("out", "rows") else [Path(p) for p in v] if k == "runs" else v for k, v in change.items()
    }
    with pytest.raises(UserError, match=said):
        curves(Request(**{"runs": [Path("a")], **change}))


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    runs = [run(tmp_path / "x" / "a"), run(tmp_path / "y" / "a")]
    assert {p["run"] for p in points(curves(Request(runs, tmp_path / "c.csv")))} == {"x/a", "y/a"}
    with pytest.raises(UserError, match="named twice"):
        curves(Request([runs[0], runs[0]], tmp_path / "c.csv"))


def test_rows_of_the_checkpoints_become_a_curve(tmp_path):
    folder = run(tmp_path / "a")
    log = folder / "log.jsonl"
    log.write_text("".join(line for line in log.open() if json.loads(line)["step"] != 10))  # saved, but not logged
    (folder / "checkpoints").mkdir()
    store = Store(tmp_path / "rows")
    for step in (10, 20):
        content = f"weights {step}".encode()
        (folder / "checkpoints" / f"step-{step:07d}.pt").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        common = {
            **{"system": "x", "checkpoint_sha256": digest, "suite": "quick", "task": "controls/motion"},
            **{"task_version": 1, "evaluator": "linear", "settings_sha256": "0" * 64},
            **{"metric": "top1", "data": "miniature", "status": "ok"},
        }
        store.append("quick", [Row(**common, seed=seed, value=step + seed) for seed in (0, 2)])
    store.append("quick", [Row(**{**common, "checkpoint_sha256": "f" * 64}, value=99.0)])
    request = Request([folder], tmp_path / "c.csv", rows=tmp_path / "rows", metrics=["controls/motion:top1"])
    there = [p for p in points(curves(request)) if p["quantity"] == "eval/controls/motion/top1"]
    assert [(p["step"], p["epochs"], p["value"]) for p in there] == [("10", "1.0", "11.0"), ("20", "2.0", "21.0")]


def test_a_running_mean_is_centred_and_shorter_at_the_ends():
    assert smoothed(np.array([1.0, 2, 6, 4]), 3).tolist() == [1.5, 3.0, 4.0, 5.0]
    assert smoothed(np.array([1.0, 2, 6, 4]), 1).tolist() == [1.0, 2.0, 6.0, 4.0]
    assert smoothed(np.array([3.0]), 9).tolist() == [3.0]


def test_a_miniature_is_labelled_as_one(tmp_path):
    small, large = (read(run(tmp_path / n, miniature=m), n) for n, m in (("s", True), ("l", False)))
    assert _title([large]) == "l"
    assert _title([small]) == "s (miniature: synthetic data, not comparable with the paper)"
    assert "some runs are a miniature" in _title([small, large])


def test_the_command_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "a")
    with pytest.raises(SystemExit) as stop:
        main(["figures", "curves", "a", "--keys", "loss, eval/", "--format", "csv"])
    assert stop.value.code in (0, None)
    assert capsys.readouterr().out.strip() == "figures/curves.csv"
    assert {p["quantity"] for p in points(tmp_path / "figures" / "curves.csv")} == {"loss", "eval/linear/ucf101/top1"}
