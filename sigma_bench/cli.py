"""The command line: parse and dispatch, nothing else. Every heavy import happens inside a command."""

from __future__ import annotations

import sys
from errno import EACCES, EDQUOT, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from sigma_bench import __version__
from sigma_bench.cli_ckpt import ckpt_app
from sigma_bench.cli_data import AsJson, DataRoot, Device, data_app
from sigma_bench.cli_eval import EVAL_EXAMPLES, FEATURES_EXAMPLES, Results, Sets, Specs, evaluate, features, numbers
from sigma_bench.cli_figures import figures_app
from sigma_bench.cli_plan import PLAN_EXAMPLES, plan
from sigma_bench.cli_results import results_app
from sigma_bench.cli_stats import stats_app
from sigma_bench.contracts import Stopped, UserError

app = typer.Typer(
    name="sigma-bench",
    help="Pretrain video encoders with SIGMA, evaluate any checkpoint, draw the paper's tables.",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(ckpt_app, name="ckpt")
app.add_typer(figures_app, name="figures")
app.add_typer(results_app, name="results")
app.command(name="eval", epilog=EVAL_EXAMPLES)(evaluate)
app.command(epilog=FEATURES_EXAMPLES)(features)
app.add_typer(stats_app)
app.command(name="plan", epilog=PLAN_EXAMPLES)(plan)

ENVIRONMENT = (EACCES, EDQUOT, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS)
"""What the operating system refuses because of a path or a disk: for the user to mend, so told without a traceback."""

SEVERAL = ("eval", "tables", "plan", "report")
"""Commands with options that take several values; so does `figures segments`."""

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sigma-bench {__version__}")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    """Pretrain video encoders with SIGMA, evaluate any checkpoint, draw the paper's tables."""


@app.command(
    epilog="Examples: sigma-bench pretrain sigma_mlp | sigma-bench pretrain sigma_mlp --data k400 --size base | "
    "sigma-bench pretrain sigma_mlp --data folder:/my/videos --set train.epochs=3"
)
def pretrain(
    recipe: Annotated[
        str | None, typer.Argument(help="Name of a recipe (sigma-bench list recipes) or a path to a .yaml")
    ] = None,
    data: Annotated[str, typer.Option(help="miniature, k400, ssv2, mini_ssv2 or folder:DIR")] = "miniature",
    size: Annotated[str, typer.Option(help="nano, small, base, large or huge")] = "nano",
    profile: Annotated[str | None, typer.Option(help="A profile of the recipe, such as released or paper")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/RECIPE[.PROFILE].DATA.SIZE.seedN")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last sound checkpoint of the run folder")] = False,
    replay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Repeat the step of an incident file instead; needs no recipe")
    ] = None,
    data_root: DataRoot = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Decoding processes")] = 2,
    log: Annotated[str, typer.Option(help="Boards beside log.jsonl: tensorboard, wandb, both with a comma, none")] = (
        "tensorboard"
    ),
    sets: Sets = None,
    specs: Specs = None,
) -> None:
    """Pretrain an encoder by a recipe. Exit code 75: stopped by a signal, saved, goes on with --resume."""
    if replay is not None:
        from sigma_bench.runs.replay import replay as repeat

        if recipe is not None:
            raise UserError(f"--replay {replay}: the file names its recipe itself; leave out '{recipe}'")
        repeat(replay, data_root=data_root, device=device, workers=workers, sets=sets or [])
        return
    if recipe is None:
        raise UserError("pretrain: name a recipe; `sigma-bench list recipes` lists them")
    from sigma_bench.runs.observers import named
    from sigma_bench.runs.pretrain import Request
    from sigma_bench.runs.pretrain import pretrain as run

    run(
        Request(
            recipe,
            data=data,
            size=size,
            profile=profile,
            out=out,
            resume=resume,
            data_root=data_root,
            device=device,
            workers=workers,
            boards=named(log),
            sets=sets or [],
            specs=specs,
        )
    )


@app.command(epilog="Examples: sigma-bench tables --table 1 | sigma-bench tables --format tex --out results/tables")
def tables(
    table: Annotated[
        list[str] | None, typer.Option(help="5, T5, 7a, card, miniature or custom; repeatable; default all")
    ] = None,
    format: Annotated[list[str] | None, typer.Option(help="md, tex, csv, html or png; repeatable")] = None,
    results: Results = Path("results/rows"),
    out: Annotated[Path, typer.Option(help="Folder the tables are written to")] = Path("results/tables"),
    claims: Annotated[
        bool, typer.Option("--claims", help="Instead: which of the paper's comparisons hold (md, csv or json)")
    ] = False,
) -> None:
    """Draw the paper's tables, published and measured values side by side; miniature rows apart."""
    if claims:
        from sigma_bench.runs.claims import claims as judge

        if table:
            raise UserError("--claims speaks of all tables; leave out --table")
        for line in judge(results, out, format or ["md"]):
            typer.echo(line)
        return
    from sigma_bench.runs.tables import tables as run

    for line in run(results, out, formats=format or ["md"], only=table):
        typer.echo(line)


@app.command(
    epilog="Examples: sigma-bench report | sigma-bench report --runs runs/a runs/b --out report.html | "
    "sigma-bench report --results other/rows"
)
def report(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page")] = Path("results/report.html"),
    results: Results = Path("results/rows"),
    runs: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Run folders with training curves; default: runs/* that were measured"),
    ] = None,
    figures: Annotated[Path, typer.Option(help="Folder of pictures to show, where it is there")] = Path("figures"),
) -> None:
    """Write everything that was measured as one page: tables, charts, curves, where each value comes from."""
    from sigma_bench.runs.report import Request
    from sigma_bench.runs.report import report as run

    for line in run(Request(out, results, runs or [], figures)):
        typer.echo(line)


@app.command(name="list", epilog="Example: sigma-bench list recipes")
def list_(
    kind: Annotated[str, typer.Argument(help="recipes, suites, tasks, evaluators, datasets, models, decoders or zoo")],
    specs: Specs = None,
) -> None:
    """List what there is: one name a line and what it is."""
    from sigma_bench.runs.listing import listing

    for line in listing(kind, specs):
        typer.echo(line)


@app.command(epilog="Examples: sigma-bench validate | sigma-bench validate my/recipe.yaml")
def validate(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files to check; default: all specs that are found")
    ] = None,
    specs: Specs = None,
) -> None:
    """Check specs against their schemas, every overlay included."""
    from sigma_bench.runs.listing import validate as run

    problems, checked = run(paths or [], specs)
    for problem in problems:
        typer.echo(problem, err=True)
    typer.echo(f"{checked} specs checked, {len(problems)} with problems")
    raise typer.Exit(2 if problems else 0)


@app.command(epilog="Examples: sigma-bench verify | sigma-bench verify --golden DIR --device cuda --json")
def verify(
    golden: Annotated[
        Path | None, typer.Option(help="Folder of golden vectors; default: those that came with the package")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Compare this machine's arithmetic with vectors of the reference implementations."""
    from sigma_bench.runs.verify import report

    lines, code = report(golden, device, as_json)
    for line in lines:
        typer.echo(line)
    raise typer.Exit(code)


@app.command(epilog="Example: sigma-bench demo --out runs/demo")
def demo(
    out: Annotated[Path, typer.Option(help="Folder of everything the demonstration writes")] = Path("runs/demo"),
    seeds: Annotated[str | None, typer.Option(help="Pretraining seeds; default 3,4,5, of the ablations 3")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Pretraining runs at a time")] = 2,
    scale: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Share of the steps and seeds: a quick look whether all works")
    ] = 1.0,
    ablations: Annotated[
        bool, typer.Option("--ablations", help="Instead: the recipes of tables 6 and 7, finetuned (half an hour)")
    ] = False,
    sets: Sets = None,
) -> None:
    """Pretrain on the miniature, probe, draw the table: the whole way in some minutes, by the commands above."""
    from sigma_bench.runs import demo as shows

    chosen = numbers("--seeds", seeds) if seeds is not None else ()
    if seeds is not None and not chosen:
        raise UserError("--seeds: expected whole numbers with commas between them, such as 3,4,5")
    show = shows.ABLATIONS if ablations else shows.QUICK
    shows.demo(out, list(chosen), jobs, sets or [], scale, show)


def _fail(text: str, code: int) -> NoReturn:
    typer.echo(text, err=True)
    raise SystemExit(code)


def spread(arguments: list[str]) -> list[str]:
    """Return the arguments with `--ckpt A B` (`--task`, `--table`, `--format`, `--runs`) as `--ckpt A --ckpt B`.

    So a shell pattern works: `--ckpt runs/*`. Those commands take no positional arguments.
    """
    if not arguments or (arguments[0] not in SEVERAL and arguments[:2] != ["figures", "segments"]):
        return arguments
    out: list[str] = []
    option = ""
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in ("--ckpt", "--task", "--videos", "--table", "--format", "--runs") else ""
        elif option and out[-1] != option:
            out.append(option)
        out.append(argument)
    return out


def main(argv: list[str] | None = None) -> Any:
    """Run the command line; a user's mistake ends with one message and exit code 2."""
    try:
        return app(args=spread(sys.argv[1:] if argv is None else argv), prog_name="sigma-bench")
    except UserError as error:
        _fail(f"sigma-bench: {error}", 2)
    except Stopped as stopped:
        _fail(f"sigma-bench: {stopped}", Stopped.code)
    except OSError as error:
        if error.errno not in ENVIRONMENT:
            raise
        _fail(f"sigma-bench: {error}; check the path, its permissions and the space left", 2)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # what typer makes of Ctrl-C, without a word
            typer.echo("sigma-bench: interrupted", err=True)
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
