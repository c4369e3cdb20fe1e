"""`make compare`: several families evaluated and set side by side in one line, and what becomes of one that fails."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
FAMILIES = ("sigma", "videomae", "mvd", "mgmae_orig_mod")
SUITE = "title: One task\ntasks: [linear/ucf101]\nseeds: 1\n"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def compare(tmp_path, data_root):
    """Run `make compare` in an empty folder with the installed package."""
    (tmp_path / "one.yaml").write_text(SUITE)
    probe = "--set probe.epochs=2 --set probe.rates=[0.01] --set probe.weight_decays=[0.0] --set views.train=1"
    tiny = f"--data-root {data_root} --heads 3 --frames 8 --limit 24 {probe} --workers 1"

    def run(checkpoints: str, arguments: str = "") -> subprocess.CompletedProcess[str]:
        variables = {
            "RUN": f"{sys.executable} -m sigma_bench.cli",
            "CKPTS": checkpoints,
            "SUITE": "one.yaml",
            "EVAL_ARGS": f"{tiny} {arguments}",
            "RESULTS": "found",
        }
        # these tests may be run by make themselves, whose own flags are not meant here
        outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        return subprocess.run(
            ["make", "--no-print-directory", "-f", CHECKOUT / "Makefile", "-o", "install", "compare"]
            + [f"{k}={v}" for k, v in variables.items()],
            cwd=tmp_path,
            env={**outside, "OMP_NUM_THREADS": "1", "SIGMA_BENCH_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


def test_four_families_stand_side_by_side_and_a_torn_file_stops_none(compare, golden, tmp_path):
    torn = tmp_path / "torn.pth"
    torn.write_bytes((golden / "ckpt_mvd.pth").read_bytes()[:3000])
    files = [golden / f"ckpt_{name}.pth" for name in FAMILIES]
    done = compare(" ".join(map(str, [files[0], torn, *files[1:]])))
    assert done.returncode != 0
    assert f"not run: {torn}: the archive is damaged" in done.stderr
    assert "make compare: not everything was measured" in done.stderr
    with (tmp_path / "found" / "rows" / "one.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["system"] for row in rows] == [str(file) for file in files]
    assert {(row["status"], row["data"], row["limit"]) for row in rows} == {("ok", "miniature", "24")}
    assert len({row["checkpoint_sha256"] for row in rows}) == 4
    table = (tmp_path / "found" / "tables" / "miniature_linear.md").read_text()
    assert table.strip() in done.stdout
    assert all(f"| {str(file).replace('_', chr(92) + '_')} | " in table for file in files)
    assert "written: found/tables/miniature_linear.md" in done.stdout
    assert done.stdout.endswith("rows: found/rows/one.csv\n")

    again = compare(str(files[0]))
    assert again.returncode == 0
    assert again.stderr.count("has a row, skipped") == 1


def test_a_mistake_is_told_and_draws_nothing(compare, golden, tmp_path):
    done = compare(str(golden / "ckpt_sigma.pth"), "--precision fp8")
    assert done.returncode != 0
    assert "--precision fp8: expected fp32 or bf16" in done.stderr
    assert not (tmp_path / "found").exists()
    assert "make compare: no checkpoints; name some" in compare("").stderr


def test_claims_are_judged_from_the_command_line(cli, tmp_path):
    done = cli("tables", "--claims", "--format", "md", "json")
    assert "12 do not hold by the paper's own tables" in done.stdout
    found = json.loads((tmp_path / "results" / "tables" / "claims.json").read_text())
    assert {one["measured_verdict"] for one in found} == {"not testable"}
    assert "leave out --table" in cli("tables", "--claims", "--table", "1", expect=2).stderr
