"""Compare two measured systems: a few lines over `sigma_bench.results.comparison`."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.results import comparison_text
from sigma_bench.results.comparison import compare as run
from sigma_bench.results.row import Row
from sigma_bench.results.store import Store
from sigma_bench.spec import load, roots


def compare(
    first: str, second: str, results: Path, suite: str | None, tasks: list[str], format_: str
) -> tuple[str, int]:
    """Return the comparison as text, and the exit code: 1 where something could not be compared.

    Raises:
        UserError: The folder is not there, a name stands for no system, a suite or task for no rows, or the format is
            unknown.
    """
    if format_ not in comparison_text.FORMATS:
        raise UserError(f"--format {format_}: expected one of {', '.join(comparison_text.FORMATS)}")
    if not results.is_dir():
        raise UserError(
            f"{results}: no such folder; name the one that holds the row files (<suite>.csv) with --results"
        )
    rows = Store(results).read()
    for problem in rows.problems:
        say(f"note: not read: {problem}")
    wanted = _tasks(rows, suite, tasks)
    found = run(rows, first, second, results, load.layout(), wanted)
    return comparison_text.render(found, format_), int(any(line.refused for line in found.lines))


def _tasks(rows: list[Row], suite: str | None, tasks: list[str]) -> set[str] | None:
    """Return the tasks that are asked for, None for all; a folder of tasks stands for those measured in it."""
    if suite is None and not tasks:
        return None
    measured = {row.task for row in rows}
    wanted: set[str] = set()
    if suite is not None:
        if suite in roots.names("eval"):
            wanted |= set(load.suite(suite).tasks)
        elif own := {row.task for row in rows if row.suite == suite}:
            wanted |= own
        else:
            raise UserError(f"--suite {suite}: no such suite, and no rows of one (sigma-bench list suites)")
    for task in tasks:
        found = {name for name in measured if name == task or name.startswith(f"{task}/")}
        if not found:
            raise UserError(f"--task {task}: no rows of it; measured were {', '.join(sorted(measured)) or 'no tasks'}")
        wanted |= found
    return wanted
