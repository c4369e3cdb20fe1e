"""Evaluate checkpoints on tasks: what has a row is skipped, everything else is measured and becomes rows."""

from __future__ import annotations

import json
import tempfile
import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigma_bench import registry
from sigma_bench.contracts import Encoder, Run, UserError
from sigma_bench.data import roots
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.ranks import Ranks, joined
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.samples import read as read_lists
from sigma_bench.progress import say
from sigma_bench.results import settings
from sigma_bench.results.row import SETTING, Key, Row
from sigma_bench.results.store import Store
from sigma_bench.runs import data as places
from sigma_bench.runs import outside
from sigma_bench.runs.done import done, present
from sigma_bench.runs.fetch import is_address
from sigma_bench.runs.helping import device_of, help_out, helpers, served
from sigma_bench.runs.machine import described, set_threads
from sigma_bench.runs.measured import rows_of
from sigma_bench.runs.systems import AS_STORED, Candidate, Reading, candidate
from sigma_bench.spec import load
from sigma_bench.spec.task import BLOCKS, Task

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    checkpoints: list[str]
    suite: str | None = None
    tasks: list[str] = field(default_factory=list)
    data: str = "official"
    profile: str | None = None
    data_root: Path | None = None
    out: Path = Path("runs/eval")
    results: Path = Path("results/rows")
    seeds: int | None = None
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
                row = None if request.force else done(store, _key(system, task, run, request, lists), lists)
                if row is not None:
                    ran = True
                    of = f" of {row.n_decoded} of {row.n_expected} samples" if row.status == "partial" else ""
                    say(f"  {task.id} seed {run.seed}: has a row{of}, skipped (--force measures again)")
                    continue
                encoder = encoder if encoder is not None else system.encoder(run.device)
                good &= _measure(system, encoder, task, run, suite, request, store, lists)
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


def settings_of(task: Task, run: Run, heads: int | None = None, reading: Reading = AS_STORED) -> dict[str, Any]:
    """Return what changes numbers beside weights, seed and lists: another setting is another measurement.

    That is the resolved task; where they depart from the usual, the precision and how the file is read; and of a
    generated data set the hash of its files, since its ids are the same whatever is in them.
    """
    younger = {block for blocks in BLOCKS.values() for block in blocks} - {"probe"}  # than rows whose hash must stay
    unused = {name for name in younger if getattr(task, name) is None}
    content = task.model_dump(mode="json", exclude={*settings.NOT_HASHED, *unused})
    if run.precision != "fp32":
        content["precision"] = run.precision
    if heads is not None:
        content["heads"] = heads
    content |= reading.asked
    place = roots.find(task.dataset.name, run.data_root)
    marker = place.folder / "miniature.json" if place is not None else None
    if marker is not None and marker.is_file():
        content["miniature"] = json.loads(marker.read_text(encoding="utf-8"))["sha256"]
    return content


def settings_sha256(task: Task, run: Run, heads: int | None = None, reading: Reading = AS_STORED) -> str:
    """Return the hash of these settings."""
    return settings.sha256_of(settings_of(task, run, heads, reading))


def _key(system: Candidate, task: Task, run: Run, request: Request, lists: Lists) -> Key:
    return Key(
        checkpoint_sha256=system.sha256,
        task=task.id,
        task_version=task.version,
        settings_sha256=settings_sha256(task, run, request.heads, request.reading),
        seed=run.seed,
        train_sha256=lists.train.sha256,
        test_sha256=lists.test.sha256,
        limit=run.limit,
        metric=task.metric,
    )


def _measure(
    system: Candidate, encoder: Encoder, task: Task, run: Run, suite: str, request: Request, store: Store, lists: Lists
) -> bool:
    """Measure one task with one seed and store its rows; a failure becomes a row with its error."""
    began = time.perf_counter()
    data = "custom" if request.data == "official" and not lists.official else request.data
    common = {**_common(system, task, run, suite, request), "data": data, "train_present": present(lists.train)}
    marks = (*system.marks, *(f"{SETTING}{s}" for s in task.resolved.sets))
    content = settings_of(task, run, request.heads, request.reading)
    kept = {"settings": settings.save(store.folder, content, load.dump(task))}
    try:
        found = outside.checked(registry.get("evaluators", task.evaluator)(encoder, task, run), task)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - any fault of an evaluator becomes a failed row, and is shown
        say(traceback.format_exc())
        message = f"{type(error).__name__}: {error}"
        failed = Row(**common, metric=task.metric, status="failed", error=message, marks=marks, artifacts=kept)
        store.append(suite, [failed])
        say(f"  {task.id} seed {run.seed}: failed: {error}")
        return False
    if data == "custom":
        marks += (f"list: other than the published one of {task.dataset.name}",)
    marks += (*outside.marks(task), *lists.notes)
    rows = rows_of(found, common, round(time.perf_counter() - began, 3), marks)
    written = {**_save_samples(store, rows[0], found.samples), **kept}
    rows = [row.model_copy(update={"artifacts": {**row.artifacts, **written}}) for row in rows]
    store.append(suite, rows)
    if request.force:
        _tell_later(store, rows[0])
    counts = found.counts
    values = ", ".join(f"{row.metric} {row.value:.2f}" for row in rows if row.value is not None)
    say(
        f"  {task.id} seed {run.seed}: {values} ({counts.n_decoded} of {counts.n_expected} samples, {rows[0].data}, "
        f"{rows[0].seconds:.1f} s{', features from the cache' if found.cached else ''})"
    )
    return True


def _tell_later(store: Store, row: Row) -> None:
    """Say where an earlier row still counts because it was made, by the clock of its machine, after this one."""
    standing = store.value(row.key)
    if standing is not None and standing.measured_at > row.measured_at:
        say(
            f"  {row.task} seed {row.seed}: an earlier row is dated {standing.measured_at}, later than this one, and "
            "still counts: a clock is wrong. Delete its line, or wait until then and measure again"
        )


def _save_samples(store: Store, row: Row, samples: pd.DataFrame) -> dict[str, str]:
    """Write the predictions for each sample; without them the row is worth as much, so a full disk leaves them out."""
    try:
        return {"samples": store.write_samples(row.id, samples).relative_to(store.folder).as_posix()}
    except OSError as error:
        say(f"  {row.task} seed {row.seed}: the predictions for each sample were not kept: {error}")
        return {}


def _common(system: Candidate, task: Task, run: Run, suite: str, request: Request) -> dict[str, Any]:
    return {
        **system.description,
        "checkpoint_sha256": system.sha256,
        "suite": suite,
        "task": task.id,
        "task_version": task.version,
        "evaluator": task.evaluator,
        "profile": task.resolved.profile or "",
        "settings_sha256": settings_sha256(task, run, request.heads, request.reading),
        "seed": run.seed,
        "limit": run.limit,
        "precision": run.precision,
        **described(run.device),
    }
