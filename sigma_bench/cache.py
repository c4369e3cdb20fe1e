"""Where findings are kept from one command to the next: hashes of checkpoints, what was found of videos."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return the folder: `$SIGMA_BENCH_CACHE`, or `~/.cache/sigma-bench`."""
    return Path(os.environ.get("SIGMA_BENCH_CACHE") or Path.home() / ".cache" / "sigma-bench")
