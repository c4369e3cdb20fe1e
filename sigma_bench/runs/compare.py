"""Compare two measured systems: a few lines over `sigma_bench.results.comparison`."""

from __future__ import annotations

from pathlib import Path

from sigma_bench.contracts import UserError
from sigma_bench.progress import say
from sigma_bench.results import comparison_text
from sigma_bench.results.comparison import compare as run
from sigma_bench.results.store import Store
from sigma_bench.runs.asked import tasks_of
from sigma_bench.spec import load


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
    wanted = tasks_of(rows, suite, tasks)
    found = run(rows, first, second, results, load.layout(), wanted)
    return comparison_text.render(found, format_), int(any(line.refused for line in found.lines))
