"""What an evaluation is asked for: the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sigma_bench.runs.reading import AS_STORED, Reading


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    checkpoints: list[str]
    suite: str | None = None
    tasks: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    """Tasks of the suite that are run, by their id or its last part; empty: all."""
    data: str = "official"
    profile: str | None = None
    data_root: Path | None = None
    out: Path = Path("runs/eval")
    results: Path = Path("results/rows")
    seeds: int | None = None
    videos: tuple[Path, ...] = ()
    """A training and a test list of one's own videos, in place of the data set of the tasks."""
    splits: tuple[int, ...] = ()
    limit: int | None = None
    force: bool = False
    family: str | None = None
    heads: int | None = None
    reading: Reading = AS_STORED
    as_system: str | None = None
    device: str = "auto"
    precision: str = "fp32"
    workers: int = 2
    sets: list[str] = field(default_factory=list)
    specs: Path | None = None
