"""The script in results/ runs on a folder of rows."""

import subprocess
import sys
from pathlib import Path

from sigma_bench.results.store import Store

SCRIPT = Path(__file__).parents[2] / "results" / "make_tables.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_writes_what_is_asked(tmp_path, make_row, sigma_dino):
    Store(tmp_path / "rows").append("linear", [make_row(**sigma_dino)])
    done = run(tmp_path / "rows", "--out", tmp_path / "out", "--formats", "md", "--only", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(tmp_path / "out" / "T1.md")]
    assert "21.0 (+0.2)" in (tmp_path / "out" / "T1.md").read_text(encoding="utf-8")


def test_a_mistake_is_said_without_a_traceback(tmp_path):
    done = run(tmp_path, "--out", tmp_path / "out", "--only", "99")
    assert done.returncode == 2
    assert done.stderr.startswith("no table '99'")
    assert "Traceback" not in done.stderr
