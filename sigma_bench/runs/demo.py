"""The whole way on the miniature, by the commands a user would type."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.runs import data
from sigma_bench.spec import load


@dataclass(frozen=True)
class Show:
    """What is shown: recipes (with a profile, or None) that are pretrained, how they are measured, the tables."""

    recipes: tuple[tuple[str, str | None], ...]
    suite: str
    tables: tuple[str, ...]
    seeds: tuple[int, ...]


QUICK = Show((("videomae", None), ("sigma_mlp", None), ("sigma_l2", None)), "quick", ("1",), (3, 4, 5))
ABLATIONS = Show(
    (
        *(("ablations/prototypes_mlp", f"k{prototypes}") for prototypes in (1000, 2000, 3000, 4000, 6000)),
        *(("ablations/projection", profile) for profile in ("none", "mlp_base", "mlp_shallower", "mlp_wider")),
        *(("ablations/loss", profile) for profile in ("l2", "sinkhorn_ce")),
    ),
    "ablations",
    ("6", "7", "miniature"),
    (3,),
)
"""Without the rows of SIGMA-DINO, whose teacher has no weights here; pixels (loss) are VideoMAE (projection=none)."""


def demo(out: Path, seeds: list[int], jobs: int, sets: list[str], scale: float = 1.0, show: Show = QUICK) -> None:
    """Pretrain recipes with several seeds, measure them beside untrained encoders and print the tables.

    Runs that are complete are kept: a second call only draws the table again.

    Args:
        out: Folder of everything that is written, the miniature included.
        seeds: Pretraining seeds; of none, those of the demonstration.
        jobs: Pretraining runs at a time; each computes with one thread.
        sets: Further `--set` arguments of every pretraining.
        scale: Share of the steps and of the seeds, for a quick look whether everything works.
        show: What is demonstrated.

    Raises:
        UserError: A command failed; its log is named.
    """
    began = time.perf_counter()
    root, logs = out / "data", out / "logs"
    seeds = seeds or list(show.seeds)
    if scale < 1:
        seeds = seeds[: max(1, round(scale * len(seeds)))]
        say(f"At scale {scale:g}: so much of the steps, seeds {', '.join(map(str, seeds))}. The values mean nothing.")
    logs.mkdir(parents=True, exist_ok=True)
    say(
        "Demonstration on generated clips: it shows the mechanism, its numbers are not comparable with the paper's.\n"
        f"Everything is written to {out}."
    )
    say(f"sigma-bench data miniature ucf101 --data-root {root}")
    data.miniature("ucf101", root)
    folders = {
        _name(recipe, profile, seed): (recipe, profile, seed) for seed in seeds for recipe, profile in show.recipes
    }
    commands = {}
    for name, (recipe, profile, seed) in folders.items():
        settings = (f"train.seed={seed}", "train.threads=1", *_shorter(recipe, profile, scale), *sets)
        commands[name] = [
            *("pretrain", recipe, "--data", "miniature", "--size", "nano", "--data-root", str(root)),
            *(("--profile", profile) if profile else ()),
            *("--out", str(out / "runs" / name), "--resume", "--workers", "1"),
            *(part for setting in settings for part in ("--set", setting)),
        ]
    _together(commands, logs, jobs)
    checkpoints = [*(f"random:nano:{s}" for s in seeds), *(str(out / "runs" / name) for name in folders)]
    common = ["eval", "--suite", show.suite, "--data", "miniature", "--data-root", str(root), "--workers", "1"]
    common += [part for setting in _fewer_epochs(show.suite, scale) for part in ("--set", setting)]
    common += ["--out", str(out / "eval"), "--results", str(out / "rows"), "--ckpt"]
    parts = min(jobs, len(checkpoints))
    _together({f"eval.{part}": [*common, *checkpoints[part::parts]] for part in range(parts)}, logs, jobs)
    tables = ["tables", *(part for table in show.tables for part in ("--table", table))]
    tables += ["--results", str(out / "rows"), "--out", str(out / "tables")]
    _command("tables", tables, logs, show=True)
    say(f"Done in {time.perf_counter() - began:.0f} s. Rows: {out / 'rows'}, tables: {out / 'tables'}, logs: {logs}.")


def _name(recipe: str, profile: str | None, seed: int) -> str:
    """Return the name of the folder of a run, and of its log."""
    return f"{recipe.rpartition('/')[2]}{f'.{profile}' if profile else ''}.miniature.nano.seed{seed}"


def _shorter(recipe: str, profile: str | None, scale: float) -> list[str]:
    """Return the settings with which a recipe takes a share of its steps."""
    if scale >= 1:
        return []
    train = load.recipe(recipe, data="miniature", size="nano", profile=profile).train
    steps, warmup = (max(least, round(scale * (whole or 0))) for whole, least in
                     ((train.steps, 2), (train.warmup_steps, 1)))  # fmt: skip
    return [f"train.steps={steps}", f"train.warmup_steps={warmup}", f"train.log_every={max(1, steps // 10)}"]


def _fewer_epochs(suite: str, scale: float) -> list[str]:
    """Return the settings with which finetuning takes a share of its epochs; what else is trained takes seconds."""
    tasks = [load.task(name, data="miniature") for name in load.suite(suite).tasks] if scale < 1 else []
    longest = max((task.finetune.epochs for task in tasks if task.finetune is not None), default=0)
    return ["finetune.warmup_epochs=0", f"finetune.epochs={max(1, round(scale * longest))}"] if longest else []


def _together(commands: dict[str, list[str]], logs: Path, jobs: int) -> None:
    """Run commands, `jobs` at a time and each with one thread; the first failure ends it."""
    with ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(_command, name, arguments, logs) for name, arguments in commands.items()]
        try:
            for number, done in enumerate(as_completed(pending), 1):
                say(f"[{number}/{len(pending)}] {done.result()}")
        except BaseException:  # Ctrl-C too: what has not begun must not begin now
            pool.shutdown(cancel_futures=True)
            raise


def _command(name: str, arguments: list[str], logs: Path, show: bool = False) -> str:
    """Run one command of this package in a process of its own and return a line about it."""
    began = time.perf_counter()
    log = logs / f"{name}.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", "sigma_bench.cli", *arguments],
            stdout=None if show else file,
            stderr=file,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
        raise UserError(f"sigma-bench {' '.join(arguments)} ended with {done.returncode}; its log {log} ends:\n{tail}")
    return f"sigma-bench {' '.join(arguments)}: {time.perf_counter() - began:.0f} s"
