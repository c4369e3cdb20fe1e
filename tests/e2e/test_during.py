"""Evaluation during a pretraining, boards and curves, as their user meets them."""

import csv
import json

import pytest
import torch

from sigma_bench.runs import periodic
from sigma_bench.runs.pretrain import Request, pretrain
from sigma_bench.train import state

SETS = ["train.steps=8", "train.warmup_steps=1", "train.save_every=2", "train.log_every=2", "train.threads=1",
        "train.global_batch=8", "train.keep=9"]  # fmt: skip
DURING = ["train.eval_every=4", "train.eval_tasks=[controls/category_8]"]


def train(out, data_root, sets, **more):
    request = Request("sigma_mlp", "miniature", "nano", out=out, data_root=data_root, device="cpu", workers=1,
                      sets=[*SETS, *sets], **more)  # fmt: skip
    return pretrain(request)


def assert_same(one, two):
    a, b = state.load(one), state.load(two)
    assert all(torch.equal(tensor, b["model"][name]) for name, tensor in a["model"].items())
    assert str(a["rng"]) == str(b["rng"])


def losses(folder):
    records = [json.loads(line) for line in (folder / "log.jsonl").open()]
    return [(r["step"], r["loss"]) for r in records if "loss" in r], records


def points(folder, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(e.step, round(e.value, 3)) for e in events.Scalars(name)]


def test_training_does_not_notice_an_evaluation_even_one_that_fails(tmp_path, data_root, monkeypatch):
    def disturb(request):
        torch.manual_seed(1)
        torch.set_grad_enabled(False)
        torch.set_num_threads(2)
        raise RuntimeError("out of memory")

    plain = train(tmp_path / "plain", data_root, [])
    monkeypatch.setattr(periodic, "evaluate_here", disturb)
    watched = train(tmp_path / "watched", data_root, DURING)
    assert_same(plain, watched)
    assert losses(tmp_path / "plain")[0] == losses(tmp_path / "watched")[0]
    warned = [r for r in losses(tmp_path / "watched")[1] if "warning" in r]
    assert [r["step"] for r in warned] == [4, 8]
    assert "out of memory" in warned[0]["warning"]


def test_a_resumed_run_shows_each_step_once_and_boards_change_nothing(tmp_path, data_root):
    plain = train(tmp_path / "plain", data_root, [], boards=())
    assert not (tmp_path / "plain" / "tensorboard").exists()
    train(tmp_path / "run", data_root, [])
    for step in (6, 8):
        for file in (tmp_path / "run" / "checkpoints").glob(f"step-*{step}.pt*"):
            file.unlink()
    resumed = train(tmp_path / "run", data_root, [], resume=True)
    assert_same(plain, resumed)
    expected = [(step, round(loss, 3)) for step, loss in losses(tmp_path / "run")[0]]
    assert [step for step, _ in expected] == [2, 4, 6, 8]
    assert points(tmp_path / "run", "loss/loss") == expected


@pytest.mark.slow
def test_checkpoints_are_measured_as_they_are_saved_and_each_says_its_step(cli, tmp_path, data_root):
    plain = train(tmp_path / "plain", data_root, [])
    watched = train(tmp_path / "watched", data_root, DURING)
    assert_same(plain, watched)
    assert not (tmp_path / "watched" / "eval" / "features").exists()
    found = {
        r["step"]: r["eval/controls/category_8/top1"] for r in losses(tmp_path / "watched")[1] if "eval_seconds" in r
    }
    assert list(found) == [4, 8]
    with (tmp_path / "watched" / "eval" / "rows" / "tasks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["step"], r["steps"], r["epochs"]) for r in rows] == [("4", "8", "4 steps"), ("8", "8", "8 steps")]
    assert rows[0]["variant"].endswith(", step 4 of 8")
    assert "step" not in rows[1]["variant"].split(", ")[-1].replace("train.steps", "").replace("warmup_steps", "")
    assert [float(r["value"]) for r in rows] == list(found.values())
    files = sorted((tmp_path / "watched" / "checkpoints").glob("step-*[48].pt*"))  # and their checksums
    cli("eval", "--task", "controls/category_8", "--data", "miniature", "--data-root", data_root, "--ckpt", *files,
        "--results", tmp_path / "rows")  # fmt: skip
    cli("figures", "curves", tmp_path / "plain", tmp_path / "watched", "--rows", tmp_path / "rows", "--keys", "eval/",
        "--out", tmp_path / "c.csv")  # fmt: skip
    with (tmp_path / "c.csv").open() as file:
        drawn = list(csv.DictReader(file))
    for name in ("plain", "watched"):  # the same weights in both folders
        assert {int(r["step"]): float(r["value"]) for r in drawn if r["run"] == name}.items() >= found.items()
