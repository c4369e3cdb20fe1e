"""Finetuning by the command line: killed and started again, on several processes, and files that bring their head."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.several import lasting, rows, torchrun

FAST = ("finetune.epochs=2", "finetune.warmup_epochs=1", "finetune.global_batch=8", "finetune.micro_batch=4",
        "finetune.save_every=2", "finetune.drop_path=0.1")  # fmt: skip


@pytest.fixture(scope="module")
def data_root(tmp_path_factory) -> Path:
    from sigma_bench.runs.data import miniature

    root = tmp_path_factory.mktemp("data")
    miniature("k400", root)
    return root


def arguments(data_root, folder, *more, ckpt="random:nano"):
    sets = [part for one in FAST for part in ("--set", one)]
    return ["eval", "--task", "finetune/k400", "--data", "miniature", "--ckpt", ckpt, "--limit", "40",
            "--workers", "1", "--data-root", str(data_root), *sets, "--out", str(folder / "out"), "--results",
            str(folder / "rows"), *more]  # fmt: skip


DRILL = str(Path(__file__).with_name("finetune_drill.py"))


def finish(data_root, folder, tmp_path, drill=None):
    """Run the command, with an accident where `drill` says when and what."""
    program = ["-m", "sigma_bench.cli"] if drill is None else [DRILL]
    return subprocess.run(
        [sys.executable, *program, *arguments(data_root, folder)], cwd=tmp_path, capture_output=True, text=True,
        timeout=300, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", "FINETUNE_DRILL": f"0:{drill}",
                                       "SIGMA_BENCH_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip


def records(folder):
    (path,) = (folder / "rows").glob("samples/**/*.parquet")
    return pd.read_parquet(path)


@pytest.fixture(scope="module")
def straight(data_root, tmp_path_factory):
    """Rows and records of a command that nothing disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    done = finish(data_root, folder, folder)
    assert done.returncode == 0, done.stderr
    found = lasting(rows(folder / "rows"))
    assert [row["metric"] for row in found] == ["top1", "top5", "top1_constant"]
    return found, records(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("when", "says"), [("1", ""), ("13", "from step-"), ("test", "trained already, only tested")])
def test_killed_wherever_and_started_again_it_ends_with_the_same_row(data_root, straight, tmp_path, when, says):
    assert finish(data_root, tmp_path, tmp_path, f"{when}:SIGKILL").returncode == -signal.SIGKILL
    assert not rows(tmp_path / "rows")
    again = finish(data_root, tmp_path, tmp_path)
    assert again.returncode == 0, again.stderr
    assert says in again.stderr
    assert lasting(rows(tmp_path / "rows")) == straight[0]
    pd.testing.assert_frame_equal(records(tmp_path), straight[1])
    assert "has a row, skipped" in finish(data_root, tmp_path, tmp_path).stderr


@pytest.mark.slow
def test_a_notice_saves_ends_with_its_own_code_and_says_how_to_go_on(data_root, straight, tmp_path):
    done = finish(data_root, tmp_path, tmp_path, "5:SIGTERM")
    assert done.returncode == 75, done.stderr
    assert "saved, start the same command again, it goes on from there" in done.stderr
    assert not rows(tmp_path / "rows")
    assert finish(data_root, tmp_path, tmp_path).returncode == 0
    assert lasting(rows(tmp_path / "rows")) == straight[0]


@pytest.mark.slow
def test_several_processes_train_together_and_give_the_same_test(data_root, tmp_path):
    assert finish(data_root, tmp_path / "one", tmp_path).returncode == 0
    done = torchrun(2, tmp_path, *arguments(data_root, tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    assert "(2 processes x 1 x 4)" in done.stderr
    one, two = (json.loads(rows(tmp_path / name / "rows")[0]["selection"]) for name in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["last_loss"] == pytest.approx(one["last_loss"], abs=1e-5)
    # the weights of one process, tested by several: the same records to the bit
    (file,) = (tmp_path / "one" / "out").glob("finetune/*/classifier.pt")
    for world in (1, 2, 3):
        folder = tmp_path / f"test{world}"
        done = torchrun(world, tmp_path, *arguments(data_root, folder, "--test-only", ckpt=str(file)))
        assert done.returncode == 0, done.stderr
        pd.testing.assert_frame_equal(records(folder), records(tmp_path / "one"))
        assert lasting(rows(folder / "rows")) == lasting(rows(tmp_path / "test1" / "rows"))


@pytest.mark.slow
def test_a_process_that_is_killed_ends_all_and_the_same_command_goes_on(data_root, tmp_path):
    straight = torchrun(2, tmp_path, *arguments(data_root, tmp_path / "straight"))
    assert straight.returncode == 0, straight.stderr
    folder = tmp_path / "drilled"
    broken = torchrun(
        2, tmp_path, *arguments(data_root, folder), program=(DRILL,), env={"FINETUNE_DRILL": "1:4:SIGKILL"}
    )
    assert broken.returncode != 0
    assert not [row for row in rows(folder / "rows") if row["status"] != "failed"]
    again = torchrun(2, tmp_path, *arguments(data_root, folder))
    assert again.returncode == 0, again.stderr
    assert "from step-" in again.stderr
    good = [row for row in lasting(rows(folder / "rows")) if row["status"] == "ok"]
    assert good == lasting(rows(tmp_path / "straight" / "rows"))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["linear/ssv2", "linear/cifar100"])
def test_the_released_probe_runs_on_videos_and_pictures(cli, tmp_path, task):
    done = cli(
        "eval", "--task", task, "--profile", "released", "--data", "miniature", "--ckpt", "random:nano", "--limit",
        "48",         "--workers", "1", "--data-root", tmp_path / "data", "--set", "finetune.epochs=2",
        "--set", "finetune.warmup_epochs=1", "--set", "finetune.global_batch=16", "--results", tmp_path / "rows",
    )  # fmt: skip
    found = rows(tmp_path / "rows")
    assert {(row["evaluator"], row["profile"], row["metric"]) for row in found} == {
        ("linear_released", "released", "top1"),
        ("linear_released", "released", "top5"),
    }
    assert ("assumption: the released probe of SSv2" in found[0]["marks"]) == (task != "linear/ssv2")
    assert "head alone trained" in done.stderr
