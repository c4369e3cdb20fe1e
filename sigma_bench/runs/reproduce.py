"""Hold measured numbers against a row of the paper: a few lines over `sigma_bench.results.reproduction`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.results import matching, published, reproduction, reproduction_text
from sigma_bench.results.reproduction import Protocol, Sources
from sigma_bench.results.store import Store
from sigma_bench.runs.measure import task_settings
from sigma_bench.spec import load, roots
from sigma_bench.spec.tolerances import tolerances


def reproduce(table: str, system: str, results: Path, format_: str, tolerance: float | None) -> tuple[str, int]:
    """Return which numbers of a printed row were reproduced, as text, and the exit code: 1 where not all were.

    Raises:
        UserError: The folder is not there, table or system is unknown, or the format.
    """
    if format_ not in reproduction_text.FORMATS:
        raise UserError(f"--format {format_}: expected one of {', '.join(reproduction_text.FORMATS)}")
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise UserError(f"--tolerance {tolerance}: expected a difference, 0 or more")
    if results.exists() and not results.is_dir():
        raise UserError(f"{results} is a file; expected the folder that holds the row files (<suite>.csv)")
    rows = Store(results).read()
    for problem in rows.problems:
        say(f"note: not read: {problem}")
    layout, zoo = load.layout(), load.zoo()
    sources = Sources(
        published.read(roots.find("published", "published.csv").parent),
        layout,
        zoo.entries,
        zoo.short,
        tolerances(),
        protocols({column.key for lay in layout.tables.values() for column in lay.columns}),
    )
    found = reproduction.reproduce(table, system, rows, results, sources, tolerance)
    return reproduction_text.render(found, format_), 0 if found.complete else 1


def protocols(tasks: Iterable[str]) -> dict[str, Protocol]:
    """Return how the paper's cell of each task is measured here, for those that there are."""
    return {task: protocol(task) for task in sorted(set(tasks) & roots.names("tasks").keys())}


def protocol(task_id: str) -> Protocol:
    """Return the paper's protocol of a task: its own settings, or the profile that stands for the paper's cell."""
    offered = load.load_yaml(roots.find("tasks", task_id)).values.get("profiles") or {}
    for profile in ("paper", None, *offered):
        if profile is not None and profile not in offered:
            continue
        task = load.task(task_id, profile=profile)
        if matching.papers_own(task.id, task.evaluator, task.resolved.profile or ""):
            usual = load.task(task_id).resolved.profile
            asked = "" if task.resolved.profile == usual else f" --profile {task.resolved.profile}"
            return Protocol(task_settings(task), f"--task {task_id}{asked}", task.notes)
    return Protocol(None, "")
