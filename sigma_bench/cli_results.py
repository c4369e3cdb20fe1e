"""The commands of `sigma-bench results`: parse and dispatch, nothing else, like `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

results_app = typer.Typer(
    help="Measured rows: list, show, compare and merge them.", rich_markup_mode=None, no_args_is_help=True
)

RowsFolder = Annotated[Path, typer.Option("--results", help="Folder of the row CSVs")]


@results_app.callback()
def group() -> None:
    """Measured rows: list, show, compare and merge them."""


@results_app.command(name="list", epilog="Example: sigma-bench results list --task linear/ucf101 --data miniature")
def list_(results: RowsFolder = Path("results/rows")) -> None:
    """List the newest row of each measurement, one a line."""
    from sigma_bench.results.store import Store, latest

    found = Store(results).read()
    for row in latest(found):
        value = "" if row.value is None else f"{row.value:.2f}"
        typer.echo(f"{row.id[-16:]}  {row.measured_at[:19]}  {row.system}  {row.task}  {row.metric}  {value}")
    for problem in found.problems:
        typer.echo(str(problem), err=True)
