"""Evaluate checkpoints on tasks: what has a row is skipped, everything else is measured and becomes rows."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sigma_bench.contracts import Encoder, Run, Stopped, UserError
from sigma_bench.data import roots
from sigma_bench.data.datasets import known
from sigma_bench.data.decode.pool import DecodePool
from sigma_bench.data.ranks import Ranks, joined
from sigma_bench.evaluators import frozen
from sigma_bench.evaluators.samples import Lists
from sigma_bench.evaluators.samples import read as read_lists
from sigma_bench.progress import say
from sigma_bench.results import settings
from sigma_bench.results.row import Key
from sigma_bench.results.store import Store
from sigma_bench.runs import data as places
from sigma_bench.runs import floors, own_videos, split_mean, variants
from sigma_bench.runs.done import done
from sigma_bench.runs.fetch import is_address
from sigma_bench.runs.helping import device_of, help_out, helpers, served
from sigma_bench.runs.machine import set_threads
from sigma_bench.runs.measure import key_of, measure, settings_of
from sigma_bench.runs.request import Request
from sigma_bench.runs.sized import sized
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
            load_number = partial(_loaded, request, ranks)
            return help_out(ranks, request.workers, load_number, partial(_every, request))
        with served(ranks):
            return _evaluate_all(request, ranks)


def evaluate_here(request: Request) -> int:
    """Do the same in this process alone, whatever others were started with it."""
    return _evaluate_all(request, Ranks())


def without_checksums(checkpoints: list[str]) -> list[str]:
    """Return the names but for checksums that stand beside their file, as a pattern like `RUN/checkpoints/*` gives."""
    return [name for name in checkpoints if name.removesuffix(".sha256") == name or name[:-7] not in checkpoints]


def _evaluate_all(request: Request, ranks: Ranks) -> int:
    suite, tasks, seeds = tasks_of(request)
    root = root_of(tasks, request)
    lists = own_videos.lists(request.videos)
    there = [task for task in tasks if lists is not None or runnable(task, root, request.data)]
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
            lists=lists,
        )
        for number, name in enumerate(request.checkpoints):
            try:
                system = _candidate(request, number)
                say(system.headline)
                run = replace(run, helpers=helpers(ranks, system, run.device, number), classifier=system.classifier)
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
        for system, named in floors.beside(there):
            say(system.headline)
            runs = [replace(run, seed=seed, helpers=None) for seed in range(seeds)]
            good, _ = _evaluate(system, named, runs, suite, floors.asked(request), store)
            failed = failed or not good
    for problem in store.problems:
        say(f"note: {problem}")
    return 2 if not ran else 1 if failed else 0


def _candidate(request: Request, number: int) -> Candidate:
    name = request.checkpoints[number]
    return candidate(name, request.family, request.heads, request.as_system, request.specs, request.reading)


def _loaded(request: Request, ranks: Ranks, number: int, pool: DecodePool) -> tuple[Encoder, Run]:
    """Return the encoder of a checkpoint, and how it is run, in a process that helps."""
    here = device_of(request.device, ranks)
    system = _candidate(request, number)
    run = Run(here, 0, None, request.out, request.limit, request.precision, request.workers, pool)
    run = replace(run, lists=own_videos.lists(request.videos))
    return system.encoder(here), replace(run, classifier=system.classifier)


def _every(request: Request) -> list[Task]:
    """Return the tasks that are asked for, each split by itself."""
    asked = tasks_of(request)[1]
    return [one for task in asked for split in variants.of(task, request.splits, lambda: 1) for one in split]


def runnable(task: Task, root: Path | None, data: str) -> bool:
    """Return whether there is data for a task under `root`; say why where there is none."""
    lacking = lacks(task, root, data)
    if lacking:
        say(f"not run: {task.id}: {lacking}")
    return not lacking


def lacks(task: Task, root: Path | None, data: str) -> str:
    """Return why there is no data for a task under `root`, empty where there is."""
    place = roots.find(task.dataset.name, root)
    if place is None:
        return roots.missing(task.dataset.name, root)
    if data == "official" and (place.folder / "miniature.json").exists():
        return f"{place.folder} is a generated miniature; its numbers are had with --data miniature only"
    return ""


def _evaluate(
    system: Candidate, tasks: list[Task], runs: list[Run], suite: str, request: Request, store: Store
) -> tuple[bool, bool]:
    """Measure one system on all tasks and seeds; return whether all went well and whether anything has a row now."""
    walk = _Walk(system, suite, request, store)
    for task in tasks:
        for run in runs:
            walk.measure(task, run)
    return walk.good, walk.ran


class _Walk:
    """The measurements of one system, one after the other; whether all went well, and whether any has a row now."""

    def __init__(self, system: Candidate, suite: str, request: Request, store: Store) -> None:
        self.system, self.suite, self.request, self.store = system, suite, request, store
        self.good, self.ran = True, False
        self._encoder: Encoder | None = None

    def encoder(self, run: Run) -> Encoder:
        """Return the encoder, placed when it is first needed."""
        self._encoder = self._encoder if self._encoder is not None else self.system.encoder(run.device)
        return self._encoder

    def measure(self, task: Task, run: Run) -> None:
        """Measure all that a task stands for: each of its splits, and of a sweep each layer."""
        try:
            table = variants.of(task, self.request.splits, lambda: self.encoder(run).spec.depth)
        except UserError as error:
            self._refused(task, run, error)
            return
        keys = [self._same_lists(of_split, run) for of_split in table]
        if len(table) < 2 or not all(keys):
            return
        for number, one in enumerate(table[0]):
            pairs = zip(table, keys, strict=True)
            of_splits = dict(sorted((tasks[number].dataset.split or 1, found[number]) for tasks, found in pairs))
            if not set(known.folds(task.dataset.name)) <= set(of_splits):
                continue  # a mean is over all of them
            content = settings_of(one, run, self.request.heads, self.request.reading)
            rows = split_mean.means(self.store, of_splits, content, self.suite)
            if rows:
                settings.save(self.store.folder, split_mean.settings_of(content, list(of_splits)))
                self.store.append(self.suite, rows)
            for row in rows:
                say(f"  {task.id} seed {run.seed}, mean of {len(of_splits)} splits: {row.metric} {row.value:.2f}")

    def _same_lists(self, tasks: list[Task], run: Run) -> list[Key]:
        """Measure tasks that differ in their layer alone, those without a row; return what identifies each."""
        try:
            lists = read_lists(tasks[0], run)
            keys = [key_of(self.system, task, run, self.request, lists) for task in tasks]
            todo = [task for task, key in zip(tasks, keys, strict=True) if not self._has_row(task, key, run, lists)]
            if len(todo) > 1 and todo[0].evaluator in frozen.POOLED:
                run = replace(run, held={})
                self._ahead(todo, run)
        except UserError as error:
            self._refused(tasks[0], run, error)
            return []
        for task in todo:
            try:
                system, encoder = sized(self.system, self.encoder(run), task, self.request, run.device)
                self.good &= measure(system, encoder, task, run, self.suite, self.request, self.store, lists)
                self.ran = True
            except UserError as error:
                self._refused(task, run, error)
        return keys

    def _ahead(self, tasks: list[Task], run: Run) -> None:
        """Compute the features of a sweep in one pass."""
        try:
            _, encoder = sized(self.system, self.encoder(run), tasks[0], self.request, run.device)
            frozen.ahead(encoder, tasks, run)
        except (UserError, Stopped):
            raise
        except Exception as error:  # noqa: BLE001 - each task meets it again by itself, and its row tells it
            say(f"  {tasks[0].id}: one pass for all layers failed, each is tried alone: {error}")

    def _has_row(self, task: Task, key: Key, run: Run, lists: Lists) -> bool:
        row = None if self.request.force else done(self.store, key, lists)
        if row is None:
            return False
        self.ran = True
        of = f" of {row.n_decoded} of {row.n_expected} samples" if row.status == "partial" else ""
        say(f"  {variants.name(task)} seed {run.seed}: has a row{of}, skipped (--force measures again)")
        return True

    def _refused(self, task: Task, run: Run, error: UserError) -> None:
        say(f"  {variants.name(task)} seed {run.seed}: not run: {error}")
        self.good = False


def root_of(tasks: Sequence[Task], request: Request) -> Path | None:
    """Return the folder of the data sets; miniatures that are not there are written."""
    root = request.data_root
    if request.data == "miniature":
        for name in sorted({task.dataset.name for task in tasks}):
            root = places.miniature(name, request.data_root).parent
    return root


def tasks_of(request: Request) -> tuple[str, list[Task], int]:
    """Return the suite's name, the tasks and the number of seeds that are asked for.

    Raises:
        UserError: There is no such suite or task, or what is asked for does not go together.
    """
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
    if request.only and request.suite is None:
        raise UserError(f"--tasks {','.join(request.only)} chooses tasks of a --suite; give one, or --task ID")
    seeds = 1
    if request.suite is not None:
        suite = load.suite(request.suite, specs=request.specs)
        ids, seeds, name = chosen(suite.tasks, request.only, suite.name), suite.seeds, suite.name
    else:
        ids, name = request.tasks, "tasks"
    if request.videos:
        own_videos.check(request)
        ids = [own_videos.template(one, request.specs) for one in ids]
    tasks = [
        load.task(i, data=request.data, profile=request.profile, sets=request.sets, specs=request.specs) for i in ids
    ]
    if request.videos:
        tasks = [own_videos.on_lists(task) for task in tasks]
    variants.check(tasks, request.splits)
    if request.reading.head is not None:
        frozen = [task.id for task in tasks if task.finetune is None]
        if frozen:
            raise UserError(f"--test-only: {', '.join(frozen)} trains no classifier of the file's kind; leave it out")
    return name, tasks, request.seeds or seeds


def chosen(tasks: Sequence[str], only: Sequence[str], suite: str) -> list[str]:
    """Return the tasks of a suite that are asked for, by id or by the last part of it, in the order of the suite.

    Raises:
        UserError: One is not of the suite.
    """
    unknown = [name for name in only if not any(name in (task, task.rpartition("/")[2]) for task in tasks)]
    if unknown:
        raise UserError(f"--tasks {unknown[0]}: not in suite {suite}, which has {', '.join(tasks)}")
    return [task for task in tasks if not only or task in only or task.rpartition("/")[2] in only]


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
