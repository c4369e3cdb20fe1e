"""The commands `compare` and `reproduce`: parse and dispatch, nothing else, like `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

stats_app = typer.Typer(rich_markup_mode=None)

RowsFolder = Annotated[Path, typer.Option("--results", help="Folder of the row CSVs")]
Format = Annotated[str, typer.Option(help="md, json or csv")]


@stats_app.command(
    epilog="Examples: sigma-bench compare sigma_mlp videomae --suite linear | "
    "sigma-bench compare 3b87e6a6f0 962de5de11 --task linear/ucf101 --format json. "
    "Exit code: 0 all compared, 1 some tasks could not be, 2 nothing could."
)
def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A system as rows name it, or the beginning of its weights' hash")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The system it is compared with")],
    suite: Annotated[str | None, typer.Option(help="Only the tasks of a suite")] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only a task, or a folder of tasks; repeatable")] = None,
    results: RowsFolder = Path("results/rows"),
    format: Format = "md",
) -> None:
    """Tell whether two systems differ by more than chance: paired tests on the samples that both were tested on."""
    from sigma_bench.runs.compare import compare as run

    text, code = run(a, b, results, suite, task or [], format)
    typer.echo(text, nl=False)
    raise typer.Exit(code)


@stats_app.command(
    epilog="Examples: sigma-bench reproduce --table 5 --system sigma_mlp | "
    "sigma-bench reproduce --table 2 --system sigma_mlp_ssv2_b800 --tolerance 0.3. "
    "Exit code: 0 all numbers within tolerance, 1 not, 2 usage."
)
def reproduce(
    table: Annotated[str, typer.Option(help="A table of the paper: 5, T5, 7a, C1")],
    system: Annotated[str, typer.Option(help="A zoo name, a system as rows name it, or a method of the table")],
    results: RowsFolder = Path("results/rows"),
    tolerance: Annotated[float | None, typer.Option(help="Largest difference, instead of the stated ones")] = None,
    format: Format = "md",
) -> None:
    """Tell which printed numbers of a system were reproduced, what is missing, and the command that measures it."""
    from sigma_bench.runs.reproduce import reproduce as run

    text, code = run(table, system, results, format, tolerance)
    typer.echo(text, nl=False)
    raise typer.Exit(code)
