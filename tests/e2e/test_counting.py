"""Counting by the command line on several processes: one training, one test, and going on after a loss."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.several import lasting, rows, torchrun

FAST = ("counting.epochs=2", "counting.segments=2", "counting.batch=6", "counting.unroll=4", "counting.save_every=2",
        "counting.log_every=1")  # fmt: skip
DRILL = str(Path(__file__).with_name("counting_drill.py"))
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    from sigma_bench.runs.data import miniature

    root = tmp_path_factory.mktemp("data")
    miniature("ucfrep", root)
    return root


def count(world, data_root, folder, *more, program=("-m", "sigma_bench.cli"), env=None):
    folder.mkdir(parents=True, exist_ok=True)
    sets = [part for one in (*FAST, *more) for part in ("--set", one)]
    return torchrun(
        world, folder, "eval", "--task", "severe/ucf_rc", "--data", "miniature", "--ckpt", "random:nano", "--limit",
        "18", "--workers", "1", "--data-root", data_root, *sets, "--out", folder / "out", "--results",
        folder / "rows", program=program, env=env,
    )  # fmt: skip


def finished(*arguments, **given):
    done = count(*arguments, **given)
    assert done.returncode == 0, done.stderr
    return done.stderr


def records(folder):
    (path,) = (folder / "rows").glob("samples/**/*.parquet")
    return pd.read_parquet(path)


def losses(folder):
    (log,) = (folder / "out" / "counting").glob("*/log.jsonl")
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return [one["loss"] for one in found if "loss" in one]


@pytest.fixture(scope="module")
def two(data_root, tmp_path_factory):
    """A training and a test by two processes that nothing disturbed."""
    folder = tmp_path_factory.mktemp("two")
    return folder, finished(2, data_root, folder)


def test_two_processes_learn_what_one_learns(data_root, two, tmp_path):
    finished(1, data_root, tmp_path)
    folder, told = two
    assert "on 2 processes" in told
    assert losses(folder)[:4] == pytest.approx(losses(tmp_path)[:4], rel=1e-4)  # later windows follow what it said
    one, other = (json.loads(rows(place / "rows")[0]["selection"]) for place in (tmp_path, folder))
    assert (one["processes"], other["processes"]) == (1, 2)
    assert [name for name in one if one[name] != other[name]] in (["processes"], ["errors", "processes"])


def test_a_trained_network_is_tested_alike_by_any_number_of_processes(data_root, two, tmp_path):
    folder, _ = two
    reference = lasting(rows(folder / "rows"))
    assert [row["metric"] for row in reference] == [
        "mean_count_error",
        "obo",
        "training_mean_error",
        "mean_count_error_constant",
    ]
    for world in (1, 2, 3):
        place = tmp_path / str(world)
        place.mkdir()
        (place / "out").symlink_to(folder / "out")
        assert "trained already, only tested" in finished(world, data_root, place)
        assert lasting(rows(place / "rows")) == reference
        pd.testing.assert_frame_equal(records(place), records(folder))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_all_and_the_same_command_goes_on(data_root, two, tmp_path, rank):
    broken = count(2, data_root, tmp_path, program=(DRILL,), env={"COUNTING_DRILL": f"{rank}:6:SIGKILL"})
    assert broken.returncode != 0
    assert not [row for row in rows(tmp_path / "rows") if row["status"] != "failed"]
    assert "from step-" in finished(2, data_root, tmp_path)
    good = [row for row in lasting(rows(tmp_path / "rows")) if row["status"] == "ok"]
    assert good == lasting(rows(two[0] / "rows"))


def test_a_training_goes_on_with_another_number_of_processes(data_root, tmp_path):
    broken = count(2, data_root, tmp_path, program=(DRILL,), env={"COUNTING_DRILL": "1:6:SIGTERM"})
    assert broken.returncode != 0
    assert "start the same command again" in broken.stderr
    told = finished(1, data_root, tmp_path)
    assert "from step-" in told
    assert json.loads(rows(tmp_path / "rows")[0]["selection"])["processes"] == 1
