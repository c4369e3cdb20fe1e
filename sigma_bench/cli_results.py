"""The commands of `sigma-bench results`: parse and dispatch, nothing else, like `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigma_bench.cli_data import AsJson
from sigma_bench.contracts import UserError

if TYPE_CHECKING:
    from sigma_bench.results.reading import Rows

results_app = typer.Typer(
    help="Measured rows: list, show, compare, merge and pack them.", rich_markup_mode=None, no_args_is_help=True
)

RowsFolder = Annotated[Path, typer.Option("--results", help="Folder of the row CSVs")]
RowId = Annotated[str, typer.Argument(metavar="ID", help="Id of a row, or the beginning of its hash, as list shows it")]


@results_app.command(
    name="list",
    epilog="Examples: sigma-bench results list --task linear --data miniature | "
    "sigma-bench results list --system 'sigma_*' --status failed --json",
)
def list_(
    results: RowsFolder = Path("results/rows"),
    task: Annotated[str | None, typer.Option(help="A task, a folder of tasks, or a pattern with *")] = None,
    system: Annotated[str | None, typer.Option(help="A system, or a pattern with *")] = None,
    suite: Annotated[str | None, typer.Option(help="A suite, or a pattern with *")] = None,
    data: Annotated[str | None, typer.Option(help="official, miniature or custom")] = None,
    status: Annotated[str | None, typer.Option(help="ok, partial or failed")] = None,
    every: Annotated[bool, typer.Option("--all", help="Superseded rows, too")] = False,
    as_json: AsJson = False,
) -> None:
    """List the newest row of each measurement, one a line; then the lines of the files that are damaged."""
    from sigma_bench.results import listing

    rows = _rows(results)
    found = listing.select(rows, listing.Wanted(task, system, suite, data, status, every))
    if as_json:
        typer.echo(listing.as_json(found, rows.problems))
        return
    typer.echo("\n".join(listing.lines(found)) if found else "no such row")
    for line in listing.damaged(rows.problems):
        typer.echo(line, err=True)


@results_app.command(epilog="Example: sigma-bench results show 962de5de")
def show(row: RowId, results: RowsFolder = Path("results/rows")) -> None:
    """Show every column of a row and what it means."""
    from sigma_bench.results import listing

    rows = _rows(results)
    for line in listing.show(listing.find(rows, row), rows):
        typer.echo(line)


@results_app.command(epilog="Example: sigma-bench results diff 962de5de 3b87e6a6")
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="Id of a row, or the beginning of its hash")],
    b: Annotated[str, typer.Argument(metavar="B", help="The row it is compared with")],
    results: RowsFolder = Path("results/rows"),
) -> None:
    """Tell which setting, version, list or weights explain that two rows differ."""
    from sigma_bench.results import difference, listing

    rows = _rows(results)
    for line in difference.report(listing.find(rows, a), listing.find(rows, b), results):
        typer.echo(line)


@results_app.command(
    epilog="Example: sigma-bench results merge node1/rows node2/rows --into results/rows. "
    "Exit code: 0 all is there, 2 something conflicts."
)
def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of rows; they stay as they are")],
    into: Annotated[Path, typer.Option(help="Folder that takes their rows; made where it is missing")],
) -> None:
    """Join the rows of several machines, with their settings and samples, each once."""
    from sigma_bench.results import listing
    from sigma_bench.results.merge import merge as run
    from sigma_bench.results.merge import report

    done = run(sources, into)
    for line in (*report(done, into), *listing.damaged(done.problems)):
        typer.echo(line)
    raise typer.Exit(2 if done.conflicts else 0)


@results_app.command(
    epilog="Examples: sigma-bench results bundle --out paper.zip --suite linear | "
    "sigma-bench results bundle --check paper.zip --into unpacked. Exit code: 0 sound, 1 problems, 2 usage."
)
def bundle(
    results: RowsFolder = Path("results/rows"),
    out: Annotated[Path, typer.Option(help="The archive, .zip or .tar.gz")] = Path("sigma-bench-results.zip"),
    suite: Annotated[str | None, typer.Option(help="Only rows of the tasks of a suite")] = None,
    check: Annotated[Path | None, typer.Option(metavar="FILE", help="Instead: check a bundle")] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --check: unpack it there if it is sound")
    ] = None,
) -> None:
    """Pack rows, samples, settings, tables and versions for reviewers, without paths and names; or check a bundle."""
    from sigma_bench.runs import bundle as run

    if check is None:
        if into is not None:
            raise UserError("--into unpacks what --check names; give that, too")
        lines, code = run.pack(results, out, suite), 0
    else:
        lines, code = run.check(check, into)
    for line in lines:
        typer.echo(line)
    raise typer.Exit(code)


def _rows(folder: Path) -> Rows:
    from sigma_bench.results.store import Store

    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name the one that holds the row files (<suite>.csv) with --results")
    return Store(folder).read()
