"""The commands of `sigma-bench data`: parse and dispatch, nothing else, like `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(
    help="Data sets: miniatures, places, lists, checks, copies, speed.", rich_markup_mode=None, no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Data set, or folder:DIR")]
Data = Annotated[str, typer.Option(help="official or miniature")]
Out = Annotated[Path, typer.Option(help="New data root; for folder:DIR the folder itself")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data sets; default: see data where")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output")]


@data_app.command(epilog="Examples: sigma-bench data miniature ucf101 | sigma-bench data miniature all")
def miniature(
    name: Annotated[str, typer.Argument(help="Data set whose format is written, or all")],
    data_root: DataRoot = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything in it")] = 0,
) -> None:
    """Write a small synthetic data set in the official on-disk format."""
    from sigma_bench.runs.miniatures import miniatures as run

    for line in run(name, data_root, seed):
        typer.echo(line)


@data_app.command(epilog="Examples: sigma-bench data where | sigma-bench data where k400")
def where(
    name: Annotated[str | None, typer.Argument(help="Data set; default: all")] = None, data_root: DataRoot = None
) -> None:
    """Tell where data sets are found, or would be expected, and which rule decides."""
    from sigma_bench.runs.where import where as run

    for line in run(name, data_root):
        typer.echo(line)


@data_app.command(
    epilog="Examples: sigma-bench data check ucf101 | sigma-bench data check k400 --quick | sigma-bench data check "
    "--all --data miniature | sigma-bench data check folder:/my/videos. Exit code: 0 well, 1 something is missing or "
    "unreadable, 2 a mistake."
)
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets, or folder:DIR")] = None,
    every: Annotated[bool, typer.Option("--all", help="All data sets that are found")] = False,
    data: Annotated[str, typer.Option(help="official or miniature")] = "official",
    fold: Annotated[int | None, typer.Option(min=1, help="Only the lists of this fold; default: all folds")] = None,
    quick: Annotated[bool, typer.Option(help="Decode nothing: absent and empty files, lists, label maps")] = False,
    classes: Annotated[bool, typer.Option(help="Show every class, not only those with something wrong")] = False,
    data_root: DataRoot = None,
    workers: Annotated[int, typer.Option(min=1, help="Decoding processes")] = 2,
    as_json: AsJson = False,
) -> None:
    """Look at every file of a data set: what is missing or unreadable, and are its lists the published ones."""
    from sigma_bench.runs.check import check as run

    lines, code = run(
        names or [],
        data_root,
        every=every,
        data=data,
        fold=fold,
        workers=workers,
        quick=quick,
        classes=classes,
        as_json=as_json,
    )
    for line in lines:
        typer.echo(line)
    raise typer.Exit(code)


@data_app.command(
    name="lists",
    epilog="Examples: sigma-bench data lists finegym | sigma-bench data lists finegym --fetch. Exit code: 0 all in "
    "place, 1 not all, 2 a mistake.",
)
def lists_(
    name: Annotated[str | None, typer.Argument(help="Data set; default: all")] = None,
    fetch: Annotated[
        bool, typer.Option(help="Fetch what is not in place; a file that differs is left as it is")
    ] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Tell where the official lists and label files are published, whether they are in place, and fetch them."""
    from sigma_bench.runs.lists import lists as run

    lines, code = run(name, data_root, fetch=fetch, as_json=as_json)
    for line in lines:
        typer.echo(line)
    raise typer.Exit(code)


@data_app.command(
    epilog="Examples: sigma-bench data transcode k400 --out /fast | sigma-bench data transcode folder:/my/videos "
    "--short-side 256 --out /my/small. Run again, it goes on where it was. Exit code: 0 well, 1 some videos could not "
    "be re-encoded and are left out, 2 a mistake."
)
def transcode(
    name: Name,
    out: Out,
    short_side: Annotated[int, typer.Option(min=16, help="Pixels; smaller videos keep their size")] = 320,
    gop: Annotated[int, typer.Option(min=1, max=250, help="Frames from key frame to key frame, 8 to 16")] = 12,
    crf: Annotated[int, typer.Option(min=0, max=40, help="Rate factor of x264; lower is better and larger")] = 18,
    data: Data = "official",
    data_root: DataRoot = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each")] = 2,
) -> None:
    """Write a copy of a data set whose videos decode faster: H.264, small, short groups of pictures."""
    from sigma_bench.data.transcode import Settings
    from sigma_bench.runs.transcode import transcode as run

    settings = Settings(short_side, gop, crf)
    lines, code = run(name, out=out, data=data, data_root=data_root, workers=workers, settings=settings)
    for line in lines:
        typer.echo(line)
    raise typer.Exit(code)


@data_app.command(
    epilog="Example: sigma-bench data pack ssv2 --out /packed && sigma-bench pretrain sigma_mlp --data ssv2 "
    "--data-root /packed"
)
def pack(
    name: Name,
    out: Out,
    shard_mb: Annotated[int, typer.Option(min=1, help="MiB of a shard")] = 1024,
    data: Data = "official",
    data_root: DataRoot = None,
) -> None:
    """Write a copy of a data set with its videos and pictures in a few tar files, read like the plain ones."""
    from sigma_bench.runs.pack import pack as run

    for line in run(name, out=out, data=data, data_root=data_root, shard_mb=shard_mb):
        typer.echo(line)


@data_app.command(
    epilog="Examples: sigma-bench data bench k400 | sigma-bench data bench folder:/my/videos --workers 4 --workers 8"
)
def bench(
    name: Name,
    clips: Annotated[int, typer.Option(min=1, help="Clips of each measurement")] = 256,
    workers: Annotated[
        list[int] | None, typer.Option(min=1, help="Decoding processes; repeatable; default 1, 2, 4, ... cores")
    ] = None,
    data: Data = "official",
    data_root: DataRoot = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure decoding, resizing and copying to the device apart; recommend a number of processes."""
    from sigma_bench.runs.bench import bench as run

    lines = run(
        name, data=data, data_root=data_root, clips=clips, workers=workers or [], device=device, as_json=as_json
    )
    for line in lines:
        typer.echo(line)
