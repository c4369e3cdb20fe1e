"""`sigma-bench data miniature`: one miniature, or all of them, two at a time."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from sigma_bench import registry
from sigma_bench.data import roots
from sigma_bench.data.miniatures.publish import Miniature
from sigma_bench.progress import Reporter
from sigma_bench.runs import data

AT_A_TIME = 2


def miniatures(name: str, given: Path | None, seed: int) -> list[str]:
    """Write one miniature, or with "all" every one there is; return the lines to show.

    Raises:
        UserError: No miniature of that name, or its place holds something else.
    """
    if name != "all":
        return [str(data.miniature(name, given, seed))]
    began = time.perf_counter()
    root = roots.miniatures(given).folder
    known = sorted(registry.names("miniatures"))
    made: dict[str, tuple[Miniature, float]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(AT_A_TIME, mp_context=context) as pool, Reporter("miniatures", len(known), "set") as shown:
        waiting = {pool.submit(write, n, root / n, seed): n for n in known}
        for done in as_completed(waiting):
            made[waiting[done]] = done.result()
            shown.update(len(made), waiting[done])
    width = max(map(len, known))
    lines = [
        f"{n:<{width}}  {m.files:>6,} files  {m.bytes / 1e6:>6.1f} MB  "
        f"{'there already' if m.reused else f'{seconds:.1f} s'}"
        for n, (m, seconds) in sorted(made.items())
    ]
    size = sum(m.bytes for m, _ in made.values()) / 1e6
    return [*lines, f"{len(made)} miniatures, {size:.0f} MB, {time.perf_counter() - began:.0f} s, in {root}"]


def write(name: str, folder: Path, seed: int) -> tuple[Miniature, float]:
    """Write one miniature; return it and the seconds it took."""
    began = time.perf_counter()
    made: Miniature = registry.get("miniatures", name)(folder, seed=seed)
    return made, time.perf_counter() - began
