"""The miniature, written once for all whole-command tests, and a way to run the command line as its user does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    """A data root that holds the miniature of UCF101."""
    from sigma_bench.runs.data import miniature

    root = tmp_path_factory.mktemp("data")
    miniature("ucf101", root)
    return root


@pytest.fixture
def tiny_ucf101(tmp_path) -> Path:
    """A data root with a UCF101 of 32 training and 224 test clips that nothing marks as generated."""
    from sigma_bench.data.miniatures.ucf101 import write

    folder = tmp_path / "official" / "ucf101"
    write(folder, seed=0, groups=8, clips_per_group=1)
    (folder / "miniature.json").unlink()
    return folder.parent


@pytest.fixture
def cli(tmp_path):
    """Run `sigma-bench ...` in a process of its own, in an empty working directory."""

    def run(*arguments, expect=0, env=None, timeout=300):
        done = subprocess.run(
            [sys.executable, "-m", "sigma_bench.cli", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "SIGMA_BENCH_CACHE": str(tmp_path / "cache"), **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return run
