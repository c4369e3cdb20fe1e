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
    done = run(tmp_path / "rows", "--out", tmp_path / "out", "--format", "md", "--table", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(tmp_path / "out" / "T1.md")]
    assert "21.0 (+0.2)" in (tmp_path / "out" / "T1.md").read_text(encoding="utf-8")


def test_a_folder_without_rows_is_a_mistake(tmp_path):
    for folder in (tmp_path, tmp_path / "mistyped"):
        done = run(folder, "--out", tmp_path / "out")
        assert done.returncode == 2
        assert done.stderr == f"{folder}: no row files here; expected a folder that holds <suite>.csv\n"
    assert not (tmp_path / "out").exists()


def test_a_mistake_is_said_without_a_traceback(tmp_path, make_row):
    Store(tmp_path).append("linear", [make_row()])
    done = run(tmp_path, "--out", tmp_path / "out", "--table", "99")
    assert done.returncode == 2
    assert done.stderr.startswith("no table '99'")
    assert "Traceback" not in done.stderr


def test_it_works_on_any_folder_of_copied_files(tmp_path, make_row, sigma_dino):
    Store(tmp_path / "rows").append("linear", [make_row(**sigma_dino)])
    copied = tmp_path / "from elsewhere"
    copied.mkdir()
    (copied / "linear (copy).csv").write_bytes((tmp_path / "rows" / "linear.csv").read_bytes())
    done = run(copied, "--out", tmp_path / "out", "--table", "card", "T1", "--format", "html", "csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert [Path(line).name for line in done.stdout.splitlines()] == ["C1.csv", "C2.csv", "T1.csv", "tables.html"]
    page = (tmp_path / "out" / "tables.html").read_text(encoding="utf-8")
    assert "(+0.2)" in page
