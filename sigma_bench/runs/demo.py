"""The whole way on the miniature, by the commands a user would type."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.runs import data

RECIPES = ("videomae", "sigma_mlp", "sigma_l2")


def demo(out: Path, seeds: list[int], jobs: int, sets: list[str]) -> None:
    """Pretrain three recipes with several seeds, probe them beside untrained encoders and print the table.

    Runs that are complete are kept: a second call only draws the table again.

    Args:
        out: Folder of everything that is written, the miniature included.
        seeds: Pretraining seeds.
        jobs: Pretraining runs at a time; each computes with one thread.
        sets: Further `--set` arguments of every pretraining.

    Raises:
        UserError: A command failed; its log is named.
    """
    began = time.perf_counter()
    root, logs = out / "data", out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    say(
        "Demonstration on generated clips: it shows the mechanism, its numbers are not comparable with the paper's.\n"
        f"Everything is written to {out}."
    )
    say(f"sigma-bench data miniature ucf101 --data-root {root}")
    data.miniature("ucf101", root)
    folders = {(r, s): out / "runs" / f"{r}.miniature.nano.seed{s}" for r in RECIPES for s in seeds}
    commands = [
        [
            *("pretrain", recipe, "--data", "miniature", "--size", "nano", "--data-root", str(root)),
            *("--out", str(folder), "--resume", "--workers", "1", "--set", f"train.seed={seed}"),
            *(part for setting in ("train.threads=1", *sets) for part in ("--set", setting)),
        ]
        for (recipe, seed), folder in folders.items()
    ]
    with ThreadPoolExecutor(jobs) as pool:
        for line in pool.map(lambda c: _command(c, logs, one_thread=True), commands):
            say(line)
    checkpoints = [*(f"random:nano:{s}" for s in seeds), *map(str, folders.values())]
    say(
        _command(
            [
                *("eval", "--suite", "quick", "--data", "miniature", "--data-root", str(root)),
                *("--out", str(out / "eval"), "--results", str(out / "rows")),
                *(part for checkpoint in checkpoints for part in ("--ckpt", checkpoint)),
            ],
            logs,
        )
    )
    _command(
        ["tables", "--results", str(out / "rows"), "--out", str(out / "tables"), "--format", "md"], logs, show=True
    )
    say(f"Done in {time.perf_counter() - began:.0f} s. Rows: {out / 'rows'}, tables: {out / 'tables'}, logs: {logs}.")


def _command(arguments: list[str], logs: Path, one_thread: bool = False, show: bool = False) -> str:
    """Run one command of this package in a process of its own and return a line about it."""
    began = time.perf_counter()
    name = "-".join(a.replace("/", "_") for a in arguments[:2])
    log = logs / f"{name}-{abs(hash(tuple(arguments))) % 10**8:08d}.log"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} if one_thread else None
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", "sigma_bench.cli", *arguments],
            stdout=None if show else file,
            stderr=file,
            env=environment,
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
        raise UserError(f"sigma-bench {' '.join(arguments)} ended with {done.returncode}; its log {log} ends:\n{tail}")
    return f"sigma-bench {' '.join(arguments)}: {time.perf_counter() - began:.0f} s"
