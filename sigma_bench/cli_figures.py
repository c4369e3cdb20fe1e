"""The commands of `sigma-bench figures`: parse and dispatch, nothing else, like `cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from sigma_bench.cli_data import DataRoot, Device
from sigma_bench.cli_eval import numbers
from sigma_bench.contracts import UserError

figures_app = typer.Typer(
    help="Figures: clips and masks of a data set or a video.", rich_markup_mode=None, no_args_is_help=True
)

Count = Annotated[int, typer.Option(min=1, max=100, help="Samples, spread evenly over the list")]
Split = Annotated[str | None, typer.Option(help="Default: the last that there is a list of")]
Sheet = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Default: figures/KIND.DATASET.SPLIT.png")]
Columns = Annotated[int, typer.Option(help="Of the page: 1 (3.25 inches wide) or 2 (6.875)")]
PaperFigure = Annotated[Path | None, typer.Option(metavar="FILE", help="Default: figures/KIND.CLIPS.FORMAT")]
PaperFormat = Annotated[str, typer.Option(help="pdf, png or svg; default: as FILE ends, or pdf")]

VIDEO = ("flow", "ratio", "seed", "stride", "compat", "weights")
"""Options of `masks` that are for a video."""
LISTED = ("split", "data", "data_root", "count")
"""Options of `masks` that are for a data set."""


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


@figures_app.command(
    name="masks",
    epilog="Examples: sigma-bench figures masks davis --split val --out masks.png | "
    "sigma-bench figures masks ./clip.mp4 --flow dis --ratio 0.9 --out masking.png",
)
def masks_(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(help="Data set with masks (davis, davis_unsupervised, ytvos), or the path of a video")
    ],
    split: Split = None,
    data: Annotated[str, typer.Option(help="official or miniature")] = "official",
    data_root: DataRoot = None,
    out: Sheet = None,
    count: Count = 6,
    flow: Annotated[str, typer.Option(help="Of a video: dis, farneback or raft_small")] = "dis",
    ratio: Annotated[float, typer.Option(help="Of a video: share of the tokens that is hidden")] = 0.9,
    seed: Annotated[int, typer.Option(min=0, help="Of a video: seed of the masks")] = 0,
    stride: Annotated[int, typer.Option(min=1, help="Of a video: distance between frames")] = 2,
    compat: Annotated[bool, typer.Option("--compat", help="Of a video: mask as the released MGMAE does")] = False,
    weights: Annotated[Path | None, typer.Option(help="Of a video: file of RAFT's weights")] = None,
) -> None:
    """Draw frames with their masks: objects of a data set, or what tube and motion-guided masks leave of a video."""
    is_video = "/" in source or "." in source or Path(source).is_file()
    _refuse(context, source, LISTED if is_video else VIDEO, "a video" if is_video else "a data set")
    if is_video:
        from sigma_bench.runs.masking_figure import Masking, masking_figure

        masking = Masking(Path(source), cast(Any, flow), ratio, seed, stride, compat, weights, out)
        typer.echo(str(masking_figure(masking)))
        return
    from sigma_bench.runs.figures import Figure, mask_sheet

    typer.echo(str(mask_sheet(Figure(source, split, data, data_root, out, count))))


def _refuse(context: typer.Context, source: str, names: tuple[str, ...], what: str) -> None:
    """Refuse options that were given and mean nothing for `source`."""
    for name in names:
        given = context.get_parameter_source(name)
        if given is not None and given.name == "COMMANDLINE":
            option = name.replace("_", "-")
            raise UserError(f"--{option} is not for {what}, which '{source}' is taken for; leave it out")


@figures_app.command(
    name="curves",
    epilog="Examples: sigma-bench figures curves runs/a runs/b --keys loss,target_std --smooth 10 --out c.pdf "
    "| sigma-bench figures curves runs/a --rows results/rows --metric linear/ucf101:top1",
)
def curves_(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or log files")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: figures/curves.FORMAT")] = None,
    format: Annotated[str, typer.Option(help="png, pdf, svg, or csv: all points; default: as FILE ends, or png")] = "",
    keys: Annotated[str, typer.Option(help="Quantities with commas between them; eval/: all that was measured")] = "",
    smooth: Annotated[int, typer.Option(min=1, help="Records of a running mean")] = 1,
    x: Annotated[str, typer.Option("--x", help="step or epoch")] = "step",
    rows: Annotated[Path | None, typer.Option(help="Folder of row CSVs with measurements of the checkpoints")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="TASK:METRIC of what was measured; repeatable")] = None,
) -> None:
    """Draw the curves of one or several runs from their logs: a panel a quantity, a colour a run."""
    from sigma_bench.runs.curves import Request, curves

    names = [name for part in keys.split(",") if (name := part.strip())]
    typer.echo(str(curves(Request(runs, out, format, names, smooth, x, rows, metric or []))))


@figures_app.command(
    name="prototypes",
    epilog="Examples: sigma-bench figures prototypes --ckpt runs/a --data miniature --out p.pdf | sigma-bench figures "
    "prototypes --ckpt sigma_mlp.pth --data davis --video soapbox --prototypes 3,17",
)
def prototypes_(
    ckpt: Annotated[str, typer.Option(help="Pretraining checkpoint with prototypes: file, run folder, zoo name")],
    video: Annotated[
        list[str] | None, typer.Option(help="Video or folder of frames; with --data: a clip of it, or all; repeatable")
    ] = None,
    data: Annotated[str | None, typer.Option(help="miniature (of DAVIS), a data set, or a folder of clips")] = None,
    split: Split = None,
    data_root: DataRoot = None,
    prototypes: Annotated[str, typer.Option(help="Ids with commas between them; default: the 7 most similar")] = "",
    overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Pass over one that shares more of its tubes with one shown; 1: none")
    ] = 1.0,
    features: Annotated[str, typer.Option(help="projector: of the targets; decoder: predictions")] = "projector",
    teacher: Annotated[str | None, typer.Option(metavar="TIMM-NAME[:FILE]", help="Teacher of a DINO file")] = None,
    ratio: Annotated[float | None, typer.Option(help="Of --features decoder: share that is hidden")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of --features decoder: seed of the masks")] = 0,
    stride: Annotated[int | None, typer.Option(min=1, help="Between frames; default: the run's, else 4")] = None,
    columns: Columns = 2,
    out: PaperFigure = None,
    format: PaperFormat = "",
    heads: Annotated[int | None, typer.Option(help="Attention heads where the file cannot tell")] = None,
    decoder_heads: Annotated[int | None, typer.Option(help="The same of the decoder")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of a clip, where not the file's")] = None,
    image_size: Annotated[int | None, typer.Option(min=1, help="Side of the frames, where not the file's")] = None,
    device: Device = "auto",
    specs: Annotated[Path | None, typer.Option(help="Folder of own specs, whose zoo is tried first")] = None,
) -> None:
    """Draw the 25 tubes nearest to each of some prototypes, beside frames of the video (Figures 4 and 5)."""
    from sigma_bench.runs.prototype_features import Asked
    from sigma_bench.runs.prototypes import Request
    from sigma_bench.runs.prototypes import prototypes as run

    request = Request(
        ckpt,
        videos=video or [],
        data=data,
        split=split,
        data_root=data_root,
        prototypes=numbers("--prototypes", prototypes),
        overlap=overlap,
        asked=Asked(features, teacher, ratio, seed, decoder_heads),
        stride=stride,
        columns=columns,
        out=out,
        form=format,
        reading={"heads": heads, "frames": frames, "image_size": image_size},
        device=device,
        specs=specs,
    )
    typer.echo(str(run(request)))


@figures_app.command(
    name="segments",
    epilog="Examples: sigma-bench figures segments --ckpt videomae.pth sigma_dino.pth --clips camel,horsejump-high | "
    "sigma-bench figures segments --ckpt random:nano --data miniature --out s.png",
)
def segments_(
    ckpt: Annotated[list[str], typer.Option(help="One row each; whatever eval takes; repeatable")],
    clips: Annotated[
        str, typer.Option(help="Names with commas between; default: camel,horsejump-high or the first two")
    ] = "",
    data: Annotated[str, typer.Option(help="davis, another data set, miniature (of DAVIS), or a folder")] = "davis",
    split: Split = None,
    data_root: DataRoot = None,
    labels: Annotated[str, typer.Option(help="Of the rows, with commas between them")] = "",
    k: Annotated[str, typer.Option("--k", help="Clusters, or ids: as many as the masks of a clip have")] = "6",
    frames: Annotated[
        int | None, typer.Option(min=2, help="Frames of a clip; default: all that every encoder takes")
    ] = None,
    pca: Annotated[int, typer.Option(min=0, help="Principal components of the features; 0: all, as they are")] = 50,
    resolution: Annotated[int, typer.Option(min=2, max=224, help="Side of the maps that are clustered")] = 28,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the frames and of k-means")] = 0,
    family: Annotated[str | None, typer.Option(help="Family of the checkpoints where keys cannot tell")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads where the shapes cannot tell")] = None,
    columns: Columns = 2,
    out: PaperFigure = None,
    format: PaperFormat = "",
    device: Device = "auto",
    specs: Annotated[Path | None, typer.Option(help="Folder of own specs, whose zoo is tried first")] = None,
) -> None:
    """Draw clusters of dense features, a row an encoder, the masks in the last (Figure 3)."""
    from sigma_bench.runs.segment_maps import Clustering
    from sigma_bench.runs.segments import Request
    from sigma_bench.runs.segments import segments as run

    request = Request(
        ckpt,
        clips=_words(clips),
        data=data,
        split=split,
        data_root=data_root,
        labels=_words(labels),
        k=k,
        frames=frames,
        clustering=Clustering(pca or None, resolution, seed),
        family=family,
        heads=heads,
        columns=columns,
        out=out,
        form=format,
        device=device,
        specs=specs,
    )
    typer.echo(str(run(request)))


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
