"""A run that is killed and resumed ends with the bytes of a run that was not."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from sigma_bench.runs.pretrain import Request, pretrain
from sigma_bench.train import folder, state

OBJECTIVES = ("sigma_mlp", "videomae", "sigma_l2")


def settings(steps, save_every):
    return [f"train.steps={steps}", "train.warmup_steps=1", f"train.save_every={save_every}", "train.log_every=1",
            "train.threads=1"]  # fmt: skip


def killed(recipe, out, data_root, sets, at_step):
    """Start a run in a process of its own and kill it with SIGKILL once its log has reached `at_step`."""
    options = [part for s in sets for part in ("--set", s)]
    process = subprocess.Popen(
        [sys.executable, "-m", "sigma_bench.cli", "pretrain", recipe, "--data-root", str(data_root), "--out", str(out),
         "--workers", "1", *options],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    log = out / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= at_step):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the run did not reach the step in time"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


def assert_same(straight, resumed):
    a, b = state.load(straight), state.load(resumed)
    assert a["step"] == b["step"]
    for name, tensor in a["model"].items():
        assert torch.equal(tensor, b["model"][name]), name
    for one, two in zip(a["optimizer"]["state"].values(), b["optimizer"]["state"].values(), strict=True):
        assert all(torch.equal(torch.as_tensor(one[k]), torch.as_tensor(two[k])) for k in one)


def compare(recipe, tmp_path, data_root, steps, save_every, at_step):
    sets = settings(steps, save_every)
    common = {"data": "miniature", "size": "nano", "data_root": data_root, "device": "cpu", "workers": 1, "sets": sets}
    straight = pretrain(Request(recipe, out=tmp_path / "straight", **common))
    killed(recipe, tmp_path / "killed", data_root, sets, at_step)
    reached = folder.newest(tmp_path / "killed" / "checkpoints")
    assert reached is not None
    assert reached.name < straight.name, "the kill came too late to test a resume"
    resumed = pretrain(Request(recipe, out=tmp_path / "killed", resume=True, **common))
    assert_same(straight, resumed)
    logs = [[json.loads(line) for line in (tmp_path / d / "log.jsonl").open()] for d in ("straight", "killed")]
    assert [(r["step"], r["loss"]) for r in logs[0]] == [(r["step"], r["loss"]) for r in logs[1]]


@pytest.mark.parametrize("recipe", [OBJECTIVES[0], *(pytest.param(o, marks=pytest.mark.slow) for o in OBJECTIVES[1:])])
def test_kill_and_resume_is_exact(recipe, tmp_path, data_root):
    compare(recipe, tmp_path, data_root, steps=20, save_every=5, at_step=8)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", OBJECTIVES)
def test_hundred_steps_equal_forty_kill_sixty(recipe, tmp_path, data_root):
    compare(recipe, tmp_path, data_root, steps=100, save_every=20, at_step=47)


def test_a_run_folder_in_use_is_refused(tmp_path, data_root, cli):
    out = tmp_path / "run"
    sets = [part for s in settings(2, 2) for part in ("--set", s)]
    first = cli("pretrain", "videomae", "--data-root", data_root, "--out", out, *sets)
    assert "a demonstration in miniature, not the paper's run" in first.stderr.splitlines()[0]
    again = cli("pretrain", "videomae", "--data-root", data_root, "--out", out, *sets, expect=2)
    assert "--resume" in again.stderr
    other = cli("pretrain", "videomae", "--data-root", data_root, "--out", out, "--resume", "--set", "train.steps=3",
                "--set", "train.warmup_steps=1", expect=2)  # fmt: skip
    assert "differs from the recipe" in other.stderr
    done = cli("pretrain", "videomae", "--data-root", data_root, "--out", out, "--resume", *sets)
    assert "nothing to do" in done.stderr
