"""The commands of `sigma-bench figures`: parse and dispatch, nothing else, like `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sigma_bench.cli_data import DataRoot

figures_app = typer.Typer(help="Figures: clips and masks of a data set.", rich_markup_mode=None, no_args_is_help=True)

Count = Annotated[int, typer.Option(min=1, max=100, help="Samples, spread evenly over the list")]
Split = Annotated[str | None, typer.Option(help="Default: the last that there is a list of")]
Sheet = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Default: figures/KIND.DATASET.SPLIT.png")]


@figures_app.command(name="clips", epilog="Example: sigma-bench figures clips ucf101 --data miniature --out clips.png")
def clips_(
    dataset: Annotated[str, typer.Argument(help="Data set")],
    split: Split = None,
    data: Annotated[str, typer.Option(help="official or miniature")] = "official",
    data_root: DataRoot = None,
    out: Sheet = None,
    count: Count = 6,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training augmentation")] = 0,
) -> None:
    """Draw clips as the loader gives them: plain, and cropped and mirrored as in training."""
    from sigma_bench.runs.figures import Figure, clips

    typer.echo(str(clips(Figure(dataset, split, data, data_root, out, count, seed))))


@figures_app.command(name="masks", epilog="Example: sigma-bench figures masks davis --split val --out masks.png")
def masks_(
    dataset: Annotated[str, typer.Argument(help="Data set with masks: davis, davis_unsupervised, ytvos")],
    split: Split = None,
    data: Annotated[str, typer.Option(help="official or miniature")] = "official",
    data_root: DataRoot = None,
    out: Sheet = None,
    count: Count = 6,
) -> None:
    """Draw frames with their masks: objects tinted and outlined, with a legend."""
    from sigma_bench.runs.figures import Figure, mask_sheet

    typer.echo(str(mask_sheet(Figure(dataset, split, data, data_root, out, count))))
