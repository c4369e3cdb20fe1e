"""`sigma-bench report`: what it gathers, what it refuses, what it says is absent."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from sigma_bench.cli import main
from sigma_bench.contracts import UserError
from sigma_bench.results import report_rows
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.runs import report as command
from sigma_bench.runs.report import Request, report
from tests.results.made_up_report import run as make_run

SOUND = {
    "system": "sigma_mlp", "suite": "quick", "task": "linear/ucf101", "task_version": 1, "evaluator": "linear",
    "settings_sha256": "5" * 64, "checkpoint_sha256": "a" * 64, "data": "miniature", "metric": "top1", "value": 40.0,
    "status": "ok",
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def packed(folder):
    text = (folder / "results" / "report.html").read_text(encoding="utf-8")
    return report_rows.unpack(re.search(r'id="packed-content">([^<]*)<', text)[1]), text


def checkpoint(folder, step, sha256):
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / f"step-{step:07}.pt").write_bytes(b"weights")
    (folder / "checkpoints" / f"step-{step:07}.pt.sha256").write_text(f"{sha256}  step-{step:07}.pt\n")


def test_without_anything_the_page_shows_what_is_printed(here):
    lines = report(Request())
    assert lines[0].startswith("curves: no run under runs/ has a checkpoint that was measured")
    assert lines[1] == f"no row files in {Request().rows}: printed values only"
    assert lines[2].startswith("written: results/report.html (0 measurements, 0.")
    assert sorted(file.name for file in (here / "results").iterdir()) == ["report.html"]


def test_curves_are_found_beside_the_checkpoints_that_were_measured(here):
    for name, sha256 in (("measured", "a" * 64), ("other", "b" * 64)):
        make_run(here / "runs" / name, 0, steps=5)
        checkpoint(here / "runs" / name, 5, sha256)
    Store(here / "results" / "rows").append("quick", [Row(**SOUND)])
    report(Request())
    content, _ = packed(here)
    assert [(run["run"], run["miniature"]) for run in content["curves"]["runs"]] == [("measured", True)]
    assert [axis["name"] for axis in content["curves"]["axes"]] == ["loss", "lr"]
    assert content["weights"] == {"a" * 64: "runs/measured/checkpoints/step-0000005.pt"}


def test_named_runs_are_shown_measured_or_not(here, capfd):
    for name in ("a b", "c", "d"):
        make_run(here / "elsewhere" / name, 1, steps=3)
    with pytest.raises(SystemExit) as stop:
        main(["report", "--runs", "elsewhere/a b", "elsewhere/c", "--out", "results/report.html"])
    assert stop.value.code in (0, None)
    content, _ = packed(here)
    assert [run["run"] for run in content["curves"]["runs"]] == ["a b", "c"]
    report(Request(runs=[here / "elsewhere"]))
    assert [run["run"] for run in packed(here)[0]["curves"]["runs"]] == ["a b", "c", "d"]
    assert "written: results/report.html" in capfd.readouterr().out


def test_a_run_whose_log_is_damaged_costs_its_curves_alone(here):
    make_run(here / "runs" / "torn", 0, steps=5)
    (here / "runs" / "torn" / "log.jsonl").write_bytes(b"\xff{\n")
    checkpoint(here / "runs" / "torn", 5, "a" * 64)
    Store(here / "results" / "rows").append("quick", [Row(**SOUND)])
    lines = report(Request())
    assert lines[0] == "curves: runs/torn/log.jsonl: holds no record yet"
    with pytest.raises(UserError, match="holds no record yet"):
        report(Request(runs=[here / "runs" / "torn"]))


def test_only_the_runs_measured_last_are_shown_and_it_is_said(here, monkeypatch):
    monkeypatch.setattr(command, "MOST_RUNS", 2)
    rows = []
    for n in range(3):
        make_run(here / "runs" / f"r{n}", n, steps=3)
        checkpoint(here / "runs" / f"r{n}", 3, f"{n}" * 64)
        rows.append(
            Row(**{**SOUND, "checkpoint_sha256": f"{n}" * 64, "measured_at": f"2026-01-0{3 - n}T00:00:00.000000Z"})
        )
    Store(here / "results" / "rows").append("quick", rows)
    lines = report(Request())
    assert lines[0] == "curves: the 2 runs measured last, of 3; name others with --runs"
    assert [run["run"] for run in packed(here)[0]["curves"]["runs"]] == ["r0", "r1"]


def test_pictures_of_rows_runs_and_figures_are_embedded(here):
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    for place in ("runs/eval/masks.png", "runs/a/figures/p.png", "figures/deep/q.jpg", "elsewhere/secret.png"):
        (here / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(here / place)
    make_run(here / "runs" / "b", 0, steps=2)
    artifacts = {
        "masks": "runs/eval/masks.png",
        "far": str(here / "elsewhere" / "secret.png"),
        "long": "x" * 5000 + ".png",
    }
    Store(here / "results" / "rows").append("quick", [Row(**SOUND, artifacts=artifacts)])
    make_run(here / "runs" / "a" / "log", 0, steps=2)
    os.replace(here / "runs" / "a" / "log" / "log.jsonl", here / "runs" / "a" / "log.jsonl")
    report(Request(runs=[here / "runs" / "a"]))
    _, text = packed(here)
    assert re.findall(r'<img src="data:image/webp[^>]* alt="([^"]*)"', text) == [
        *("masks: sigma_mlp, linear/ucf101", "figures/deep/q.jpg", (here / "runs/a/figures/p.png").as_posix())
    ]
    assert "far: sigma_mlp, linear/ucf101; long: sigma_mlp, linear/ucf101: lies outside the folders" in text


def test_damaged_lines_are_on_the_page(here):
    file = Store(here / "results" / "rows").append("quick", [Row(**SOUND)])
    with open(file, "ab") as stream:
        stream.write(b"<script>torn\n")
    (said,) = [line for line in report(Request()) if "damaged" in line]
    assert "count nowhere: 1; the overview" in said
    _, text = packed(here)
    assert f"{file.relative_to(here)}:3: 1 cells under" in text
    assert "<script>torn" not in text


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(rows="file"), "is a file; expected the folder that holds the row files"),
        (Request(out="folder"), "a folder; name the file, such as"),
        (Request(runs=["none"]), "no run folder, it has no log.jsonl"),
        (Request(runs=["empty"]), "no run folder, it has no log.jsonl"),
    ],
)
def test_what_cannot_be_is_refused_and_no_page_is_touched(here, request_, words):
    (here / "file").write_text("")
    (here / "folder").mkdir()
    (here / "empty").mkdir()
    places = {name: here / getattr(request_, name) for name in ("rows", "out")}
    places["runs"] = [here / one for one in request_.runs]
    with pytest.raises(UserError, match=re.escape(words)):
        report(Request(**places))
    assert not (here / "results").exists()


def test_a_page_that_cannot_be_written_leaves_the_old_one(here, monkeypatch):
    report(Request())
    before = (here / "results" / "report.html").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        report(Request())
    assert (here / "results" / "report.html").read_bytes() == before
    assert [file.name for file in (here / "results").iterdir()] == ["report.html"]
