"""Evaluation on several processes gives the rows of one, and ends with an error where one of them is lost."""

import os
import socket
import subprocess
import sys

import pandas as pd
import pytest

from tests.e2e.several import lasting, rows, torchrun


def settings(data_root, *more):
    return ("eval", "--task", "linear/ucf101", "--data", "miniature", "--ckpt", "random:nano:1", "--data-root",
            str(data_root), "--limit", "40", "--set", "probe.epochs=3", "--workers", "1", *more)  # fmt: skip


@pytest.fixture
def together(tmp_path):
    """Run `sigma-bench ...` in several processes; return exit codes, what they said, and their rows."""

    def run(world, name, *arguments, env=None):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = str(free.getsockname()[1])
        place = ("--results", str(tmp_path / name / "rows"), "--out", str(tmp_path / name / "out"))
        common = {**os.environ, "OMP_NUM_THREADS": "1", "SIGMA_BENCH_CACHE": str(tmp_path / "cache"),
                  "PYTHONPATH": str(tmp_path), "WORLD_SIZE": str(world), "MASTER_ADDR": "localhost",
                  "MASTER_PORT": port, **(env or {})}  # fmt: skip
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "sigma_bench.cli", *arguments, *place],
                cwd=tmp_path,
                env={**common, "RANK": str(rank)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(world)
        ]
        said = [process.communicate(timeout=120)[1] for process in started]
        return [process.returncode for process in started], said, rows(tmp_path / name / "rows")

    return run


def samples(tmp_path, name):
    (path,) = (tmp_path / name / "rows").glob("samples/**/*.parquet")
    return pd.read_parquet(path)


def values(tmp_path, name):
    return sorted(path.read_bytes() for path in (tmp_path / name / "out").glob("features/*/*/values.npy"))


@pytest.mark.slow
def test_two_processes_give_the_row_of_one_bit_by_bit(together, tmp_path, data_root):
    codes, said, one = together(1, "one", *settings(data_root))
    assert codes == [0], said
    codes, said, two = together(2, "two", *settings(data_root))
    assert codes == [0, 0], said
    assert lasting(two) == lasting(one)
    assert len(one) == 1
    assert values(tmp_path, "two") == values(tmp_path, "one")
    pd.testing.assert_frame_equal(samples(tmp_path, "two"), samples(tmp_path, "one"))
    assert "process 0 of 2" in said[0]
    assert said[1] == ""  # only the first speaks
    (folder, *others) = {path.parent for path in (tmp_path / "two" / "out").glob("features/*/*/values.npy")}
    assert sorted(path.name for path in folder.iterdir()) == ["ok.npy", "origin.json", "values.npy"]
    assert len(others) == 1


@pytest.mark.slow
def test_what_has_a_row_is_skipped_by_all(together, data_root):
    first = together(2, "two", *settings(data_root))
    again = together(2, "two", *settings(data_root))
    assert first[0] == again[0] == [0, 0]
    assert again[2] == first[2]
    assert "has a row, skipped" in again[1][0]
    assert again[1][1] == ""


ENCODER = """
import os
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.contracts import UserError

def build():
    encoder = load_encoder("random:nano")[0]
    if os.environ["RANK"] == "1":
        act(encoder)
    return encoder

def act(encoder):
    {what}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "said_by_the_first"),
    [
        ("raise UserError('no memory left')", "process 1 of 2 failed: UserError: mine:build: building the encoder"),
        ("encoder.norm.weight.data += 1", "process 1 of 2 failed: UserError: not what process 0 has: weights "),
    ],
)
def test_a_process_that_cannot_do_its_part_is_an_error_of_all(together, tmp_path, data_root, what, said_by_the_first):
    (tmp_path / "mine.py").write_text(ENCODER.format(what=what))
    codes, said, found = together(2, "bad", *settings(data_root, "--ckpt", "mine:build"))
    assert codes == [1, 0], said
    assert said_by_the_first in said[0]
    assert [row["status"] for row in found] == ["ok", "failed"]


@pytest.mark.slow
def test_a_mistake_ends_all_with_one_message_and_the_exit_code_of_the_first(together, tmp_path):
    codes, said, _ = together(2, "no", "eval", "--task", "linear/ucf102", "--ckpt", "random:nano")
    assert codes == [2, 0]
    assert "linear/ucf101" in said[0]
    assert said[1] == ""


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_torchrun_gives_the_rows_of_one_process(together, tmp_path, data_root, world):
    codes, _, one = together(1, "one", *settings(data_root))
    assert codes == [0]
    done = torchrun(world, tmp_path, *settings(data_root), "--results", tmp_path / "many" / "rows", "--out",
                    tmp_path / "many" / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert lasting(rows(tmp_path / "many" / "rows")) == lasting(one)
    assert values(tmp_path, "many") == values(tmp_path, "one")


@pytest.mark.slow
def test_torchrun_lets_the_first_say_what_was_wrong_and_names_it(tmp_path):
    done = torchrun(4, tmp_path, "eval", "--task", "linear/ucf102", "--ckpt", "random:nano")
    assert done.returncode != 0
    assert done.stderr.count("did you mean 'linear/ucf101'?") == 1
    assert "exitcode  : 2" in done.stderr
    assert "SIGTERM" not in done.stderr


@pytest.mark.slow
def test_torchrun_ends_where_a_process_dies(tmp_path, data_root):
    (tmp_path / "mine.py").write_text(ENCODER.format(what="os._exit(9)"))
    arguments = [a if a != "random:nano:1" else "mine:build" for a in settings(data_root)]
    done = torchrun(2, tmp_path, *arguments, "--out", tmp_path / "out")
    assert done.returncode != 0
    assert not rows(tmp_path / "results" / "rows")
