"""One measurement: what identifies it, running its evaluator, and what it found as rows."""

from __future__ import annotations

import json
import time
import traceback
from typing import TYPE_CHECKING, Any

from sigma_bench import registry
from sigma_bench.contracts import Encoder, Evaluation, Run, Stopped, UserError
from sigma_bench.data import roots
from sigma_bench.evaluators.samples import Lists
from sigma_bench.progress import say
from sigma_bench.results import settings
from sigma_bench.results.row import SETTING, Key, Row
from sigma_bench.results.store import Store
from sigma_bench.runs import outside, variants
from sigma_bench.runs.done import present
from sigma_bench.runs.machine import described
from sigma_bench.runs.measured import rows_of
from sigma_bench.runs.reading import AS_STORED, Reading
from sigma_bench.runs.request import Request
from sigma_bench.runs.systems import Candidate
from sigma_bench.spec import load
from sigma_bench.spec.task import BLOCKS, Task

if TYPE_CHECKING:
    import pandas as pd


YOUNGER = (("clips", "order", "natural"), ("clips", "train_order", None), ("probe", "layers", None))
"""Settings that rows are older than whose hash must stay: (block, name, value that is not hashed)."""


def settings_of(task: Task, run: Run, heads: int | None = None, reading: Reading = AS_STORED) -> dict[str, Any]:
    """Return what changes numbers beside weights, seed and lists: another setting is another measurement.

    That is the resolved task; where they depart from the usual, the precision and how the file is read; and of a
    generated data set the hash of its files, since its ids are the same whatever is in them.
    """
    content = task_settings(task)
    if run.precision != "fp32":
        content["precision"] = run.precision
    if heads is not None:
        content["heads"] = heads
    content |= reading.asked
    if run.lists is not None:
        return {**content, "videos": run.lists.sha256}
    place = roots.find(task.dataset.name, run.data_root)
    marker = place.folder / "miniature.json" if place is not None else None
    if marker is not None and marker.is_file():
        content["miniature"] = json.loads(marker.read_text(encoding="utf-8"))["sha256"]
    return content


def task_settings(task: Task) -> dict[str, Any]:
    """Return the part of the settings that the resolved task makes."""
    younger = {block for blocks in BLOCKS.values() for block in blocks} - {"probe"}  # than rows whose hash must stay
    unused = {name for name in younger if getattr(task, name) is None}
    content = task.model_dump(mode="json", exclude={*settings.NOT_HASHED, *unused})
    for block, name, usual in YOUNGER:
        if content.get(block) and content[block][name] == usual:
            del content[block][name]
    return content


def settings_sha256(task: Task, run: Run, heads: int | None = None, reading: Reading = AS_STORED) -> str:
    """Return the hash of these settings."""
    return settings.sha256_of(settings_of(task, run, heads, reading))


def key_of(system: Candidate, task: Task, run: Run, request: Request, lists: Lists) -> Key:
    """Return what identifies the measurement of a system on a task."""
    return Key(
        checkpoint_sha256=system.sha256,
        task=task.id,
        task_version=task.version,
        settings_sha256=settings_sha256(task, run, request.heads, request.reading),
        seed=run.seed,
        train_sha256=lists.train_sha256,
        test_sha256=lists.test.sha256,
        limit=run.limit,
        metric=task.metric,
    )


def measure(
    system: Candidate, encoder: Encoder, task: Task, run: Run, suite: str, request: Request, store: Store, lists: Lists
) -> bool:
    """Measure one task with one seed and store its rows; a failure becomes a row with its error."""
    began = time.perf_counter()
    try:
        found = evaluation_of(encoder, task, run)
    except (UserError, Stopped):
        raise
    except Exception as error:  # noqa: BLE001 - any fault of an evaluator becomes a failed row, and is shown
        say(traceback.format_exc())
        message = f"{type(error).__name__}: {error}"
        about, marks = _about(system, task, run, suite, request, store, lists)
        store.append(suite, [Row(**about, metric=task.metric, status="failed", error=message, marks=marks)])
        say(f"  {variants.name(task)} seed {run.seed}: failed: {error}")
        return False
    rows = kept(found, round(time.perf_counter() - began, 3), system, task, run, suite, request, store, lists)
    if request.force:
        _tell_later(store, rows[0])
    counts = found.counts
    values = ", ".join(f"{row.metric} {row.value:.2f}" for row in rows if row.value is not None)
    say(
        f"  {variants.name(task)} seed {run.seed}: {values} ({counts.n_decoded} of {counts.n_expected} samples, "
        f"{rows[0].data}, {rows[0].seconds:.1f} s{', features from the cache' if found.cached else ''})"
    )
    return True


def evaluation_of(encoder: Encoder, task: Task, run: Run) -> Evaluation:
    """Return what the evaluator of a task finds; whatever it raises is left to the caller."""
    return outside.checked(registry.get("evaluators", task.evaluator)(encoder, task, run), task)


def kept(
    found: Evaluation,
    seconds: float,
    system: Candidate,
    task: Task,
    run: Run,
    suite: str,
    request: Request,
    store: Store,
    lists: Lists,
) -> list[Row]:
    """Store what was found: its rows, the records of single samples, the settings; return the rows."""
    about, marks = _about(system, task, run, suite, request, store, lists)
    if about["data"] == "custom" and run.lists is None:
        marks += (f"list: other than the published one of {task.dataset.name}",)
    marks += (*outside.marks(task), *lists.notes)
    settled = about.pop("artifacts")
    rows = rows_of(found, about, seconds, marks)
    written = {**_save_samples(store, rows[0], found.samples), **settled}
    rows = [row.model_copy(update={"artifacts": {**row.artifacts, **written}}) for row in rows]
    store.append(suite, rows)
    return rows


def _about(
    system: Candidate, task: Task, run: Run, suite: str, request: Request, store: Store, lists: Lists
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what every row of a measurement says of it, and its first marks; keep its settings beside the rows."""
    content = settings_of(task, run, request.heads, request.reading)
    about = {
        **_common(system, task, run, suite, request),
        "data": "custom" if request.data == "official" and not lists.official else request.data,
        "train_present": None if lists.training is None else present(lists.training),
        "artifacts": {"settings": settings.save(store.folder, content, load.dump(task))},
    }
    return about, (*system.marks, *task.marks, *(f"{SETTING}{s}" for s in task.resolved.sets))


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
