"""Rows of whole commands, compared; the command line in several processes."""

import csv
import os
import subprocess
import sys

PASSING = ("measured_at", "seconds", "artifacts", "check", "git_commit")
"""Columns that differ between two runs of the same command; a checkout may change in between."""


def rows(folder):
    """Return the rows of all files in a folder."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open() as file:
            found += list(csv.DictReader(file))
    return found


def lasting(found):
    """Return rows without what differs between two runs of the same command."""
    return [{name: value for name, value in row.items() if name not in PASSING} for row in found]


def torchrun(world, tmp_path, *arguments, program=("-m", "sigma_bench.cli"), env=None):
    """Run the command line in `world` processes, in an empty working directory."""
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world), *program,
         *map(str, arguments)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **(env or {})},
    )  # fmt: skip
