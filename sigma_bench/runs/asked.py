"""Which tasks a suite, a task or a folder of tasks stands for, among those that have rows."""

from __future__ import annotations

from collections.abc import Sequence

from sigma_bench.contracts import UserError
from sigma_bench.results.row import Row
from sigma_bench.spec import load, roots


def tasks_of(rows: Sequence[Row], suite: str | None, tasks: Sequence[str]) -> set[str] | None:
    """Return the tasks that are asked for, None for all.

    A measurement is made once and skipped by other suites, so a suite stands for the rows of its tasks, whichever suite
    they were measured in. A folder of tasks stands for those measured in it.

    Raises:
        UserError: There is neither such a suite nor rows of one, or no rows of a task.
    """
    if suite is None and not tasks:
        return None
    measured = {row.task for row in rows}
    wanted: set[str] = set()
    if suite is not None:
        if suite in roots.names("eval") and suite != "zoo":
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
