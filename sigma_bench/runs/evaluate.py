"""Evaluate checkpoints on tasks: what has a row is skipped, everything else is measured and becomes rows."""

from __future__ import annotations

import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

from sigma_bench.contracts import Encoder, Run, Stopped, UserError
from sigma_bench.data import roots
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.ranks import Ranks, joined
from sigma_bench.evaluators.samples import read as read_lists
from sigma_bench.progress import say
from sigma_bench.results.store import Store
from sigma_bench.runs import data as places
from sigma_bench.runs.done import done
from sigma_bench.runs.fetch import is_address
from sigma_bench.runs.helping import device_of, help_out, helpers, served
from sigma_bench.runs.machine import set_threads
from sigma_bench.runs.measure import key_of, measure
from sigma_bench.runs.request import Request
from sigma_bench.runs.systems import Candidate, candidate
from sigma_bench.spec import load
from sigma_bench.spec.task import Task


def evaluate(request: Request) -> int:
    """Run what is asked for; return the exit code: 0 all have rows, 1 something failed, 2 nothing could run.

    Of several processes (see `data.ranks`) the first measures and stores, the others help with the features.
    """
    request = replace(request, checkpoints=without_checksums(request.checkpoints))
    with joined() as ranks:
        if ranks.rank > 0:
            return help_out(ranks, request.workers, lambda number, pool: _loaded(request, number, ranks, pool))
        with served(ranks):
            return _evaluate_all(request, ranks)


def evaluate_here(request: Request) -> int:
    """Do the same in this process alone, whatever others were started with it."""
    return _evaluate_all(request, Ranks())


def without_checksums(checkpoints: list[str]) -> list[str]:
    """Return the names but for checksums that stand beside their file, as a pattern like `RUN/checkpoints/*` gives."""
    return [name for name in checkpoints if name.removesuffix(".sha256") == name or name[:-7] not in checkpoints]


def _evaluate_all(request: Request, ranks: Ranks) -> int:
    suite, tasks, seeds = _tasks(request)
    root = request.data_root
    if request.data == "miniature":
        for name in sorted({t.dataset.name for t in tasks}):
            root = places.miniature(name, request.data_root).parent
    there = [task for task in tasks if runnable(task, root, request.data)]
    if not there:
        hint = "" if request.data == "miniature" else "; for a try on generated data: --data miniature"
        say(f"nothing could run: `sigma-bench data where` tells where data sets are looked for{hint}")
        return 2
    for folder in (request.out, request.results):
        _writable(folder)
    store = Store(request.results)
    set_threads(None, request.workers)
    failed, ran = False, False
    with DecodePool("sigma_bench.data.load:load_clips", workers=request.workers) as pool:
        run = Run(
            device=device_of(request.device, ranks),
            seed=0,
            data_root=root,
            folder=request.out,
            limit=request.limit,
            precision=request.precision,
            workers=request.workers,
            pool=pool,
        )
        for number, name in enumerate(request.checkpoints):
            try:
                system = _candidate(request, number)
                say(system.headline)
                run = replace(run, helpers=helpers(ranks, system, run.device, number))
                runs = [replace(run, seed=seed) for seed in range(seeds)]
                good, any_ran = _evaluate(system, there, runs, suite, request, store)
            except UserError as error:
                say(f"not run: {error}")
                good, any_ran = False, False
            except Stopped:
                raise
            except Exception as error:  # noqa: BLE001 - one checkpoint never stops the others, and its fault is shown
                say(f"{traceback.format_exc()}not run: {name}: {type(error).__name__}: {error}")
                good, any_ran = False, False
            failed, ran = failed or not good, ran or any_ran
    for problem in store.problems:
        say(f"note: {problem}")
    return 2 if not ran else 1 if failed else 0


def _candidate(request: Request, number: int) -> Candidate:
    name = request.checkpoints[number]
    return candidate(name, request.family, request.heads, request.as_system, request.specs, request.reading)


def _loaded(request: Request, number: int, ranks: Ranks, pool: DecodePool) -> tuple[Encoder, Run]:
    """Return the encoder of a checkpoint, and how it is run, in a process that helps."""
    here = device_of(request.device, ranks)
    encoder = _candidate(request, number).encoder(here)
    return encoder, Run(here, 0, None, request.out, precision=request.precision, pool=pool)


def runnable(task: Task, root: Path | None, data: str) -> bool:
    """Return whether there is data for a task under `root`; say why where there is none."""
    place = roots.find(task.dataset.name, root)
    if place is None:
        say(f"not run: {task.id}: {roots.missing(task.dataset.name, root)}")
    elif data == "official" and (place.folder / "miniature.json").exists():
        say(
            f"not run: {task.id}: {place.folder} is a generated miniature; its numbers are had with --data miniature "
            "only"
        )
        return False
    return place is not None


def _evaluate(
    system: Candidate, tasks: list[Task], runs: list[Run], suite: str, request: Request, store: Store
) -> tuple[bool, bool]:
    """Measure one system on all tasks and seeds; return whether all went well and whether anything has a row now."""
    encoder, good, ran = None, True, False
    for task in tasks:
        for run in runs:
            try:
                lists = read_lists(task, run)
                row = None if request.force else done(store, key_of(system, task, run, request, lists), lists)
                if row is not None:
                    ran = True
                    of = f" of {row.n_decoded} of {row.n_expected} samples" if row.status == "partial" else ""
                    say(f"  {task.id} seed {run.seed}: has a row{of}, skipped (--force measures again)")
                    continue
                encoder = encoder if encoder is not None else system.encoder(run.device)
                good &= measure(system, encoder, task, run, suite, request, store, lists)
                ran = True
            except UserError as error:
                say(f"  {task.id} seed {run.seed}: not run: {error}")
                good = False
    return good, ran


def _tasks(request: Request) -> tuple[str, list[Task], int]:
    if (request.suite is None) == (not request.tasks):
        raise UserError("give either --suite NAME or --task ID (sigma-bench list suites, sigma-bench list tasks)")
    if request.data not in ("official", "miniature"):
        raise UserError(f"--data {request.data}: expected official or miniature")
    if request.precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {request.precision}: expected fp32 or bf16")
    if request.as_system is not None and (len(request.checkpoints) > 1 or not _is_file(request.checkpoints[0])):
        raise UserError(
            f"--as {request.as_system}: describes one checkpoint file; found --ckpt {' '.join(request.checkpoints)}"
        )
    seeds = 1
    if request.suite is not None:
        suite = load.suite(request.suite, specs=request.specs)
        ids, seeds, name = list(suite.tasks), suite.seeds, suite.name
    else:
        ids, name = request.tasks, "tasks"
    tasks = [
        load.task(i, data=request.data, profile=request.profile, sets=request.sets, specs=request.specs) for i in ids
    ]
    return name, tasks, request.seeds or seeds


def _writable(folder: Path) -> None:
    """Refuse a folder that nothing can be written to now, not after hours of measuring."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error.strerror}); name another --out or --results"
        ) from error


def _is_file(checkpoint: str) -> bool:
    if checkpoint.startswith("random:"):
        return False
    return is_address(checkpoint) or ":" not in checkpoint or Path(checkpoint).exists()
