"""Finetuning by the command line: killed and started again, on several processes, and files that bring their head."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.several import lasting, rows, torchrun

FAST = ("finetune.epochs=2", "finetune.warmup_epochs=1", "finetune.global_batch=8", "finetune.micro_batch=4",
        "finetune.save_every=2", "finetune.drop_path=0.1")  # fmt: skip
STEPS = 10
"""Of 40 videos, 8 at a time, twice."""


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


def command(data_root, folder, *more):
    return [sys.executable, "-m", "sigma_bench.cli", *arguments(data_root, folder, *more)]


def environment(tmp_path):
    return {**os.environ, "OMP_NUM_THREADS": "1", "SIGMA_BENCH_CACHE": str(tmp_path / "cache")}


def finish(data_root, folder, tmp_path, *more):
    return subprocess.run(
        command(data_root, folder, *more), env=environment(tmp_path), capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


def records(folder):
    (path,) = (folder / "rows").glob("samples/**/*.parquet")
    return pd.read_parquet(path)


def kill_when(data_root, folder, tmp_path, there, number=signal.SIGKILL):
    """Start the command, and send it a signal as soon as something is there; return its exit code."""
    process = subprocess.Popen(command(data_root, folder), env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 120
        while not there() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[1]
        process.send_signal(number)
        return process.wait(60)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_killed_wherever_and_started_again_it_ends_with_the_same_row(data_root, tmp_path):
    straight = finish(data_root, tmp_path / "straight", tmp_path)
    assert straight.returncode == 0, straight.stderr
    expected = lasting(rows(tmp_path / "straight" / "rows"))
    assert [row["metric"] for row in expected] == ["top1", "top5"]
    for name, pattern in (
        ("begun", "settings.json"),
        ("step", "checkpoints/step-0000004.pt"),
        ("end", "classifier.pt"),
    ):
        folder = tmp_path / name
        code = kill_when(
            data_root,
            folder,
            tmp_path,
            lambda: any((folder / "out").glob(f"finetune/*/{pattern}")),  # noqa: B023
        )
        assert code == -signal.SIGKILL
        assert not rows(folder / "rows")
        again = finish(data_root, folder, tmp_path)
        assert again.returncode == 0, again.stderr
        assert ("from step-" in again.stderr) == (name == "step")
        assert ("trained already, only tested" in again.stderr) == (name == "end")
        assert lasting(rows(folder / "rows")) == expected
        pd.testing.assert_frame_equal(records(folder), records(tmp_path / "straight"))
        third = finish(data_root, folder, tmp_path)
        assert "has a row, skipped" in third.stderr


@pytest.mark.slow
def test_a_notice_saves_ends_with_its_own_code_and_says_how_to_go_on(data_root, tmp_path):
    def there():
        return any((tmp_path / "a" / "out").glob("finetune/*/checkpoints/step-0000002.pt"))

    assert kill_when(data_root, tmp_path / "a", tmp_path, there, signal.SIGTERM) == 75
    assert not rows(tmp_path / "a" / "rows")
    assert finish(data_root, tmp_path / "a", tmp_path).returncode == 0
    straight = finish(data_root, tmp_path / "b", tmp_path)
    assert straight.returncode == 0
    assert lasting(rows(tmp_path / "a" / "rows")) == lasting(rows(tmp_path / "b" / "rows"))


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
    drill = Path(__file__).with_name("finetune_drill.py")
    folder = tmp_path / "drilled"
    broken = torchrun(2, tmp_path, *arguments(data_root, folder), program=(str(drill),), env={"FINETUNE_DRILL": "1:4"})
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
